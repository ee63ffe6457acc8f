"""Training on an accelerator: agreement with the CPU, updates a second, the profile of a block (benchmarks/gpu.sh)."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from synthetic import with_top_layer, write_dataset
from theanoish.data.dataset import Dataset
from theanoish.experiments.cost import cost
from theanoish.settings import Settings
from theanoish.training.trainer import UPDATES_A_CALL, Trainer
from training import CHECKED_UPDATES, LOSS_TOLERANCE, NETWORKS, describe_machine

NAMES = ("raw 256/256", "raw 1024/1024", "mel 256/256")
LONG_RUN = 5_000_000  # updates
NEVER = 10**7  # updates, so that reading ahead goes on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--seconds", type=float, default=15, help="to train each network each way (default: %(default)s)")
    add("--long", type=float, default=60, help="seconds that the long run is extrapolated from (default: %(default)s)")
    add("--profile", type=Path, help="folder for the profile of a block, for TensorBoard or Perfetto (default: none)")
    add("--losses", type=Path, help=argparse.SUPPRESS)  # the CPU's part of the comparison, in a process of its own
    arguments = parser.parse_args()
    if arguments.losses:
        write_losses(arguments.losses)
        return
    print(describe_machine(len(os.sched_getaffinity(0))), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.h5"
        write_dataset(path, [NETWORKS[name] for name in NAMES])
        agree_with_cpu(path)
        print("\n| network | clips | updates a second | GFLOP/s |\n| --- | --- | --- | --- |")
        for name in NAMES:
            for resident in (True, False):
                trainer = Trainer(NETWORKS[name], Dataset(path), "jax", resident)
                line(name, "resident" if resident else "fed", rate(trainer, arguments.seconds))
        trainer = Trainer(NETWORKS[NAMES[0]], Dataset(path), "jax", resident=True)
        updates = rate(trainer, arguments.long)
        hours = LONG_RUN / updates / 3600
        print(f"\n{LONG_RUN:,} updates of {NAMES[0]}, resident: {hours:.2f} hours, from {arguments.long:.0f} seconds")
        if arguments.profile:
            profile(trainer, arguments.profile)


def agree_with_cpu(path: Path) -> None:
    """Losses of the first block against those of a process that sees the CPU alone.

    Raises
    ------
    SystemExit
        Where they differ.
    """
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
        subprocess.run([sys.executable, __file__, "--losses", file.name], env=environment, check=True)
        with np.load(file.name) as expected:
            for name in NAMES:
                for way, losses in first_losses(NETWORKS[name], Dataset(path)).items():
                    difference = float(np.max(np.abs(losses / expected[name] - 1)))
                    print(f"{name}, {way}: losses differ from the CPU's by {difference:.1e} at most", flush=True)
                    if not difference < LOSS_TOLERANCE:
                        sys.exit("nothing was measured: the losses differ from the CPU's")


def write_losses(path: Path) -> None:
    """Losses of the first updates of every network here."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "noise.h5"
        write_dataset(data, [NETWORKS[name] for name in NAMES])
        losses: dict[str, Any] = {name: first_losses(NETWORKS[name], Dataset(data))["fed"] for name in NAMES}
        np.savez(path, **losses)


def first_losses(settings: Settings, dataset: Dataset) -> dict[str, NDArray[np.float32]]:
    """By where the clips are: losses of a few updates, before rounding has grown to more than it is."""
    losses = {}
    for way in ("resident", "fed"):
        trainer = Trainer(settings, dataset, "jax", resident=way == "resident")
        trainer.network.set_values(with_top_layer(trainer.network.values()))
        losses[way] = next(trainer.run(0, CHECKED_UPDATES))[1]
    return losses


def rate(trainer: Trainer, seconds: float) -> float:
    """Updates a second, after the first blocks."""
    blocks, done = trainer.run(0, NEVER), 0
    for _ in range(3):
        next(blocks)
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        next(blocks)
        done += UPDATES_A_CALL
    passed = time.perf_counter() - begun
    blocks.close()  # type: ignore[attr-defined]
    return done / passed


def line(name: str, way: str, updates: float) -> None:
    work = cost(NETWORKS[name]).operations
    print(f"| {name} | {way} | {updates:.0f} | {updates * work / 1e9:.0f} |", flush=True)


def profile(trainer: Trainer, folder: Path) -> None:
    """A trace of one block."""
    blocks = trainer.run(0, 3 * UPDATES_A_CALL)
    next(blocks)
    with jax.profiler.trace(str(folder)):
        next(blocks)
    print(f"profile of {UPDATES_A_CALL} updates: {folder}")


if __name__ == "__main__":
    main()
