"""What a sweep's run folders say beyond its tables.json: python results/runs.py runs/realnotes results/NAME_runs.json

Each network is scored twice: with the parameters that were best on validation, the paper's, and with the last ones,
averaged if the run averages. Of each there is the mean over seeds with its 95 % interval, and the differences from
some others. Of each run there are the validation curve and how far the strided filters went.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from theanoish.data.dataset import Dataset
from theanoish.experiments.contrasts import score_networks
from theanoish.experiments.cost import cost
from theanoish.experiments.evaluation import Predictions, read_predictions
from theanoish.experiments.figures import initial_filters
from theanoish.experiments.filters import dominant_frequencies
from theanoish.experiments.statistics import interval
from theanoish.files import read_json, write_json
from theanoish.settings import Settings
from theanoish.training.checkpoint import load_last, load_network
from theanoish.training.prediction import Predictor

PAIRS = "raw_256_256_log-square_l2_2_mel-filters"
# what networks are compared with: spectrograms of 128 and of as many bands, raw audio, filters that stay or go fast
OTHERS = ("mel_256_256", "mel_256_256_64_bands", "raw_256_256", f"{PAIRS}_fixed", f"{PAIRS}_rate_1")


def predict_last(folder: Path, best: Predictions) -> Predictions:
    """What a run's last parameters predict for the clips that its best ones were tested on."""
    saved, network = load_last(folder / "state.pkl")
    dataset = Dataset(Path(saved["data"]["path"]))
    windows = dataset.windows(network.settings, dataset.rows("test"))
    return replace(best, probabilities=Predictor(network, saved["backend"]).predict_clips(windows).probabilities)


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
        "best_update": scores["update"],
        "validation": {str(entry["update"]): round(entry["validation_auc"], 5) for entry in log},
        "moved": moved(folder),
    }


def compare(predictions: dict[str, dict[int, Predictions]]) -> dict[str, dict[str, Any]]:
    """Each network's AUC by seed, its mean with an interval, and its differences from `OTHERS`."""
    scores, resamples = score_networks(predictions)

    def over_seeds(parts: list[Any]) -> tuple[float, list[float] | None]:
        value, bounds = interval(parts, resamples.units)
        return float(value), bounds if all(len(each) > 1 for _, each, _ in parts) else None  # one seed says nothing

    found = {}
    for name, (aucs, resampled) in scores.items():
        mean, bounds = over_seeds([(1.0, aucs, resampled)])
        others = {
            other: over_seeds([(1.0, aucs, resampled), (-1.0, *scores[other])])
            for other in OTHERS
            if other in scores and other != name
        }
        found[name] = {"aucs": aucs.tolist(), "mean_auc": mean, "interval": bounds, "differences": others}
    return found


def describe(runs: Path) -> dict[str, Any]:
    """All networks of a folder of runs that are trained and tested; their runs must be of one data set."""
    folders: dict[str, list[Path]] = {}
    costs = {}
    for file in sorted(runs.glob("*/test.npz")):
        settings = Settings.from_dict(read_json(file.with_name("test.json"))["settings"])
        folders.setdefault(settings.name, []).append(file.parent)
        costs[settings.name] = cost(settings).operations
    best = {name: {i: read_predictions(f / "test.npz") for i, f in enumerate(each)} for name, each in folders.items()}
    last = {name: {i: predict_last(f, best[name][i]) for i, f in enumerate(each)} for name, each in folders.items()}
    compared = {"best": compare(best), "last": compare(last)}
    return {
        name: {
            "operations": costs[name],
            "runs": [describe_run(folder) for folder in of_network],
            **{which: found[name] for which, found in compared.items()},
        }
        for name, of_network in folders.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of run folders, as reproduce.py leaves it")
    parser.add_argument("output", type=Path, help="JSON file")
    args = parser.parse_args()
    write_json(args.output, describe(args.runs))


if __name__ == "__main__":
    main()
