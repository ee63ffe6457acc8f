"""Is a falling rate worth more than the average? python results/falling_rate.py runs/SET results/falling_SET.json

The averaged runs of spectrograms and of slow mel-initialised filters are trained again without an average, but for half
of the updates at a rate that falls linearly to 0. What the last parameters reach on test clips is compared by seed.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from results.runs import minus, predict_last
from results.shown import PAIRS
from theanoish.data.dataset import Dataset
from theanoish.experiments.contrasts import score_networks
from theanoish.experiments.evaluation import Predictions, evaluate, read_predictions
from theanoish.experiments.statistics import interval
from theanoish.files import read_json, write_json
from theanoish.interrupt import StopRequest
from theanoish.model.descent import MEAN, Shared, Updates, sgd
from theanoish.settings import Settings
from theanoish.training import trainer
from theanoish.training.run import start_run


def descend(
    settings: Settings, loss: TensorVariable, parameters: Shared, memory: Shared, share: TensorVariable
) -> Updates:
    """The descent at a `share` of the rate; in the place of the mean are the parameters themselves."""
    updates = sgd(loss, parameters, settings.learning_rate, settings.strided_rate)
    shorter = {parameter: parameter + share * (after - parameter) for parameter, after in updates.items()}
    return shorter | {memory[name + MEAN]: shorter[parameter] for name, parameter in parameters.items()}


def shares(updates: range, total: int) -> NDArray[np.float32]:
    """1 in the first half of all updates, then linearly towards 0."""
    return np.minimum(1, 2 - 2 * np.array(updates) / total).astype(np.float32)


def train(settings: Settings, data: Path, folder: Path) -> Predictions:
    """What a network predicts of the test clips after all of its updates."""
    instead = {"descend": descend, "mean_weights": lambda average, updates: shares(updates, settings.updates)}
    with mock.patch.multiple(trainer, **instead):
        run = start_run(folder, settings, Dataset(data), "jax", None)
        with StopRequest() as stop:
            if not run.train(stop, lambda progress: None):
                sys.exit("stopped")
    return evaluate(folder / "checkpoint.pkl", data, "test", "jax")[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of averaged run folders, as reproduce.py leaves it")
    parser.add_argument("output", type=Path, help="JSON file")
    args = parser.parse_args()
    found = {}
    for name in ("mel_256_256", PAIRS):
        averaged, falling = {}, {}
        for file in sorted(args.runs.glob(f"{name}_seed*/test.npz")):
            about = read_json(file.with_name("settings.json"))
            settings = about["settings"] | {"validation_interval": about["settings"]["updates"]}  # the last count
            seed = settings["seed"]
            averaged[seed] = predict_last(file.parent, read_predictions(file))[0]
            with tempfile.TemporaryDirectory() as folder:
                falling[seed] = train(Settings.from_dict(settings), Path(about["data"]), Path(folder))
        scores, resamples = score_networks({"averaged": averaged, "falling": falling})
        difference, bounds = interval([(1.0, *minus(scores["falling"], scores["averaged"]))], resamples.units)
        aucs = {which: values[0].tolist() for which, values in scores.items()}
        found[name] = aucs | {"difference": difference, "interval": bounds}
        write_json(args.output, found)


if __name__ == "__main__":
    main()
