"""What a sweep's run folders say beyond its tables.json: python results/runs.py runs/realnotes results/NAME_runs.json

Each network is scored with the parameters that were best on validation, the paper's; with the last ones, averaged if
the run averages; and with the last ones as the descent left them. Of each there is the mean over seeds with its 95 %
interval, and the differences from some others. Of each run there are the validation curve and how far the strided
filters went.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from results.shown import PAIRS
from theanoish.data.dataset import Dataset
from theanoish.experiments.contrasts import Scores, score_networks
from theanoish.experiments.cost import cost
from theanoish.experiments.evaluation import Predictions, read_predictions
from theanoish.experiments.figures import initial_filters
from theanoish.experiments.filters import dominant_frequencies
from theanoish.experiments.statistics import interval
from theanoish.files import read_json, write_json
from theanoish.settings import Settings
from theanoish.training.checkpoint import load_last, load_network
from theanoish.training.prediction import Predictor

# what networks are compared with: spectrograms of 128 and of as many bands, raw audio, filters that stay or go fast
OTHERS = ("mel_256_256", "mel_256_256_64_bands", "raw_256_256", f"{PAIRS}_fixed", f"{PAIRS}_rate_1")


def predict_last(folder: Path, best: Predictions) -> tuple[Predictions, Predictions]:
    """What a run's last parameters predict for the clips of `best`, averaged and as the descent left them."""
    saved, network = load_last(folder / "state.pkl")
    dataset = Dataset(Path(saved["data"]["path"]))
    windows = dataset.windows(network.settings, dataset.rows("test"))
    predictor = Predictor(network, saved["backend"])
    averaged = predictor.predict_clips(windows).probabilities
    network.set_values(saved["parameters"])
    return replace(best, probabilities=averaged), replace(
        best, probabilities=predictor.predict_clips(windows).probabilities
    )


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


def minus(first: Scores, second: Scores) -> Scores:
    """Differences seed by seed, of parameters of the same runs."""
    return first[0] - second[0], first[1] - second[1]


def compare(predictions: dict[str, dict[str, list[Predictions]]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Each network's AUC by seed, its mean with an interval, and its differences from `OTHERS`.

    Parameters
    ----------
    predictions : dict of str to dict of str to list
        From "best", "last" and "plain", the last without an average, to a network's name to what its seeds predict.
    """
    scores, resamples = score_networks(
        {
            f"{which} {name}": dict(enumerate(seeds))
            for which, networks in predictions.items()
            for name, seeds in networks.items()
        }
    )

    def over_seeds(*signed: tuple[float, str]) -> tuple[float, list[float] | None]:
        return of_parts([(sign, *scores[name]) for sign, name in signed])

    def of_parts(parts: list[Any]) -> tuple[float, list[float] | None]:
        value, bounds = interval(parts, resamples.units)
        return float(value), bounds if all(len(aucs) > 1 for _, aucs, _ in parts) else None  # one seed says nothing

    def describe_network(which: str, name: str) -> dict[str, Any]:
        mean, bounds = over_seeds((1.0, f"{which} {name}"))
        others = [other for other in OTHERS if other in predictions[which] and other != name]
        return {
            "aucs": scores[f"{which} {name}"][0].tolist(),
            "mean_auc": mean,
            "interval": bounds,
            "differences": {o: over_seeds((1.0, f"{which} {name}"), (-1.0, f"{which} {o}")) for o in others},
            "less_plain": of_parts([(1.0, *minus(scores[f"{which} {name}"], scores[f"plain {name}"]))]),
        }

    return {name: {which: describe_network(which, name) for which in predictions} for name in predictions["best"]}


def describe(runs: Path) -> dict[str, Any]:
    """All networks of a folder of runs that are trained and tested; their runs must be of one data set."""
    folders: dict[str, list[Path]] = {}
    predictions: dict[str, dict[str, list[Predictions]]] = {"best": {}, "last": {}, "plain": {}}
    costs = {}
    for file in sorted(runs.glob("*/test.npz")):
        settings = Settings.from_dict(read_json(file.with_name("test.json"))["settings"])
        name, best = settings.name, read_predictions(file)
        folders.setdefault(name, []).append(file.parent)
        costs[name] = cost(settings).operations
        for which, one in zip(predictions, (best, *predict_last(file.parent, best)), strict=True):
            predictions[which].setdefault(name, []).append(one)
    compared = compare(predictions)
    return {
        name: {"operations": costs[name], "runs": [describe_run(folder) for folder in of_network], **compared[name]}
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
