"""Make weights that ship, with their card, of a run: python results/card.py RUN theanoish/models/NAME.pkl --data DATA

The card at NAME.json already says what the sound, the labels and the licence are; all else comes from the run.
"""

import argparse
import json
import re
import shlex
from pathlib import Path

from theanoish.data.dataset import Dataset
from theanoish.experiments.cells import train_options
from theanoish.machine import versions_in_use
from theanoish.settings import Settings
from theanoish.training import checkpoint

FEW_TRAINING, FEW_TEST = 25, 5


def _seed(run: Path) -> dict[str, float]:
    saved = checkpoint.load(run / "checkpoint.pkl", checkpoint.CHECKPOINT)
    test_auc = json.loads((run / "test.json").read_text())["mean_auc"]
    return {"seed": saved["settings"]["seed"], "validation_auc": saved["validation_auc"], "test_auc": test_auc}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    saved = checkpoint.load(arguments.run / "checkpoint.pkl", checkpoint.CHECKPOINT)
    scores = json.loads((arguments.run / "test.json").read_text())
    if scores["update"] != saved["update"]:
        raise SystemExit(f"{arguments.run}: test.json is of another update than checkpoint.pkl")
    path = arguments.weights.with_suffix(".json")
    card = json.loads(path.read_text())
    settings = Settings.from_dict(saved["settings"])
    dataset = Dataset(arguments.data)
    counts = dataset.labels[dataset.rows("train")].sum(axis=0).astype(int).tolist()
    card["network"] = settings.as_dict()
    card["command"] = shlex.join(
        ["python", "train.py", "--data", f"data/{arguments.data.name}", *train_options(settings)]
    )
    saved["data"]["path"] = f"data/{arguments.data.name}"
    card["updates"], card["validation_auc"] = saved["update"], saved["validation_auc"]
    card["chosen"] = "of the seeds, the one of the best validation AUC"
    card["seeds"] = [
        _seed(run) for run in sorted(arguments.run.parent.glob(re.sub("seed[0-9]+", "seed*", arguments.run.name)))
    ]
    card["test"] |= {name: scores[name] for name in card["test"] if name in scores}
    card["tags"] = [
        {
            "tag": row["tag"],
            "test_auc": row["auc"],
            "test_average_precision": row["average_precision"],
            "test_clips": row["positives"],
            "training_clips": count,
        }
        for row, count in zip(scores["tags"], counts, strict=True)
    ]
    card["rare_tags"] = [
        row["tag"] for row in card["tags"] if row["training_clips"] < FEW_TRAINING or row["test_clips"] < FEW_TEST
    ]
    card["rare_means"] = (
        f"fewer than {FEW_TRAINING} training clips or fewer than {FEW_TEST} test clips: too rare to trust, and left "
        "out by tag.py unless --all-tags is given"
    )
    card["versions"] = versions_in_use()
    path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    checkpoint.save(arguments.weights, checkpoint.CHECKPOINT, saved)


if __name__ == "__main__":
    main()
