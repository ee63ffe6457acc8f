"""What a sweep's run folders say beyond its tables.json: python results/runs.py runs/realnotes results/NAME_runs.json

Of each run: test AUC of the parameters that were best on validation and of the last ones, the validation curve, and how
far the strided filters went. Of each network: its mean with a 95 % interval, and its differences from some others.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from theanoish.data.dataset import Dataset
from theanoish.experiments.contrasts import score_networks
from theanoish.experiments.evaluation import read_predictions
from theanoish.experiments.figures import initial_filters
from theanoish.experiments.filters import dominant_frequencies
from theanoish.experiments.statistics import interval
from theanoish.files import read_json, write_json
from theanoish.settings import Settings
from theanoish.training.checkpoint import load_last, load_network
from theanoish.training.metrics import score_tags
from theanoish.training.prediction import Predictor

PAIRS = "raw_256_256_log-square_l2_2_mel-filters"
# what networks are compared with: spectrograms of 128 and of as many bands, raw audio, filters that stay
OTHERS = ("mel_256_256", "mel_256_256_64_bands", "raw_256_256", f"{PAIRS}_fixed", f"{PAIRS}_rate_1")


def last_auc(folder: Path) -> float:
    """Test AUC of a run's last parameters, averaged if the run averages."""
    saved, network = load_last(folder / "state.pkl")
    dataset = Dataset(Path(saved["data"]["path"]))
    rows = dataset.rows("test")
    predicted = Predictor(network, saved["backend"]).predict_clips(dataset.windows(network.settings, rows))
    return float(score_tags(dataset.labels[rows], predicted.probabilities).mean_auc)


def moved(folder: Path) -> dict[str, float] | None:
    """How far the filters of a checkpoint are from where they began; None if there are none, or they began as noise.

    Returns
    -------
    dict
        ``median`` and ``largest`` of each filter's distance from its start, in norms of the start, and
        ``hertz``, the median change of the dominant frequency.
    """
    _, network = load_network(folder / "checkpoint.pkl")
    values = network.values()
    if network.settings.initial_filters == "random" or "strided/filters" not in values:
        return None
    # what is stored is for samples in [-1, 1), which the network divides by their loudness
    before = values["start/loudness"] * initial_filters(folder, network.settings, from_noise=False)
    after = values["strided/filters"].astype(np.float64)
    distances = np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)
    hertz = np.abs(dominant_frequencies(after) - dominant_frequencies(before))
    return {"median": float(np.median(distances)), "largest": float(distances.max()), "hertz": float(np.median(hertz))}


def describe_run(folder: Path) -> dict[str, Any]:
    scores = read_json(folder / "test.json")
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {
        "seed": scores["settings"]["seed"],
        "auc": scores["mean_auc"],
        "best_update": scores["update"],
        "last_auc": last_auc(folder),
        "validation": {str(entry["update"]): round(entry["validation_auc"], 5) for entry in log},
        "moved": moved(folder),
    }


def over_seeds(parts: list[Any], units: int) -> tuple[float, list[float] | None]:
    """Value and 95 % interval of a score or a difference; one seed says nothing of others, so that it has none."""
    value, bounds = interval(parts, units)
    return float(value), bounds if all(len(scores) > 1 for _, scores, _ in parts) else None


def describe(runs: Path) -> dict[str, Any]:
    """All networks of a folder of runs that are trained and tested; their runs must be of one data set."""
    folders: dict[str, list[Path]] = {}
    for file in sorted(runs.glob("*/test.npz")):
        settings = Settings.from_dict(read_json(file.with_name("test.json"))["settings"])
        folders.setdefault(settings.name, []).append(file.parent)
    predictions = {
        name: {seed: read_predictions(folder / "test.npz") for seed, folder in enumerate(of_network)}
        for name, of_network in folders.items()
    }
    scores, resamples = score_networks(predictions)
    networks = {}
    for name, of_network in folders.items():
        others = [other for other in OTHERS if other in scores and other != name]
        networks[name] = {
            "runs": [describe_run(folder) for folder in of_network],
            **dict(zip(("mean_auc", "interval"), over_seeds([(1.0, *scores[name])], resamples.units), strict=True)),
            "differences": {
                other: over_seeds([(1.0, *scores[name]), (-1.0, *scores[other])], resamples.units) for other in others
            },
        }
    return {"resampled": resamples.drawn, "networks": networks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of run folders, as reproduce.py leaves it")
    parser.add_argument("output", type=Path, help="JSON file")
    args = parser.parse_args()
    write_json(args.output, describe(args.runs))


if __name__ == "__main__":
    main()
