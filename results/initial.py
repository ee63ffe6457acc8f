#!/usr/bin/env python3
"""What starting from the weights that ship gains on few labelled clips: a JSON line for each network trained.

Of a data set's training clips, draws of 50, 100 and 200 (the smaller ones within the larger), with a third of its
validation and test clips, each trained from the weights and from nothing.
"""

import argparse
import json
import tempfile
from pathlib import Path

import h5py
import numpy as np

from theanoish.data.dataset import Dataset
from theanoish.experiments.evaluation import evaluate
from theanoish.interrupt import StopRequest
from theanoish.settings import Settings
from theanoish.training.run import start_run
from theanoish.weights import DEFAULT_MODEL

SIZES, DRAWS = (50, 100, 200), 3
GROUP = "mel_256_256"


def draw(source: Path, target: Path, size: int, seed: int) -> None:
    """Write the data set of a draw."""
    with h5py.File(source) as whole, h5py.File(target, "w") as part:
        splits = whole["clips/split"].asstr()[:]
        training = np.random.default_rng(seed).permutation(np.flatnonzero(splits == "train"))[:size]
        rows = np.concatenate([np.sort(training), *(np.flatnonzero(splits == s)[::3] for s in ("validation", "test"))])
        part.attrs.update(whole.attrs)
        whole.copy("tags", part)
        part["labels"] = whole["labels"][:][rows]
        for name, values in whole["clips"].items():
            part[f"clips/{name}"] = values[:][rows]
        group, starts, counts = whole[GROUP], whole[f"{GROUP}/start"][:][rows], whole[f"{GROUP}/count"][:][rows]
        clips = [group["values"][start : start + count] for start, count in zip(starts, counts, strict=True)]
        part[f"{GROUP}/values"], part[f"{GROUP}/count"] = np.concatenate(clips), counts
        part[f"{GROUP}/start"] = np.cumsum(counts) - counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="HDF5 data set with spectrograms of 256/256")
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--rate-from-weights", type=float, default=0.07)
    args = parser.parse_args()
    for seed in range(1, DRAWS + 1):
        for size in SIZES:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                draw(args.data, folder / "draw.h5", size, seed)
                for initial, rate in ((DEFAULT_MODEL, args.rate_from_weights), (None, args.rate)):
                    settings = Settings(
                        frontend="mel",
                        learning_rate=rate,
                        updates=args.updates,
                        validation_interval=args.updates // 4,
                        seed=seed,
                    )
                    run = start_run(
                        folder / str(initial is None), settings, Dataset(folder / "draw.h5"), "jax", initial
                    )
                    with StopRequest() as stop:
                        run.train(stop, lambda progress: None)
                    scores, _ = evaluate(run.folder / "checkpoint.pkl", None, "test", "jax")
                    about = {"clips": size, "draw": seed, "from_weights": initial is not None, "rate": rate}
                    print(json.dumps(about | {"update": scores["update"], "auc": scores["mean_auc"]}), flush=True)


if __name__ == "__main__":
    main()
