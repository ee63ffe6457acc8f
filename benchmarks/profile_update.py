"""Where the time of an update goes: large matrix products, the rest of the compiled update, and what surrounds it."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from compiled import compiled_updates
from synthetic import write_dataset
from theanoish.data.dataset import Dataset
from theanoish.model.network import WIDTH
from theanoish.settings import Settings
from theanoish.training.trainer import UPDATES_A_CALL, Trainer

NETWORKS = [Settings(frontend=frontend, length=256, stride=256) for frontend in ("raw", "mel")]
CALLS = 20  # a turn
UPDATES = "compiled updates, minibatches at hand"
TRAINING = "training, windows read from the file meanwhile"

Turn = tuple[Callable[[], object], int]  # what to time, and how many updates' worth of it that is


def turns(settings: Settings, dataset: Dataset, longest: int) -> dict[str, Turn]:
    """What is timed for one network; training goes on for `longest` turns."""
    found: dict[str, Turn] = {name: (call, 1) for name, call in products(settings).items()}
    found[UPDATES] = compiled_updates(settings, UPDATES_A_CALL), UPDATES_A_CALL
    trainer = Trainer(settings, dataset, "jax", resident=False)
    training = trainer.run(0, (longest * CALLS + 10) * UPDATES_A_CALL)  # reading ahead never ends
    found[TRAINING] = (lambda: next(training)), UPDATES_A_CALL
    return found


def products(settings: Settings) -> dict[str, Callable[[], object]]:
    """The products of the first two layers, each on operands of the shapes and layouts that training has."""
    times, taps = settings.minibatch * settings.frames, WIDTH * settings.filters
    generator = np.random.default_rng(1)

    def operand(*shape: int) -> jax.Array:
        return jnp.asarray(generator.standard_normal(shape), jnp.float32)

    channels = settings.strided_filters  # as many as a spectrogram's
    maps, rows, gradient = operand(times, channels), operand(taps, channels), operand(taps, times)
    along, across, down = (jax.jit(f) for f in (lambda a, b: a @ b.T, lambda a, b: a @ b, lambda a, b: a.T @ b))
    found = {
        "convolution, forwards": lambda: along(maps, rows),
        "convolution, for its filters": lambda: across(gradient, maps),
    }
    if settings.frontend == "raw":
        frames, filters = operand(times, settings.length), operand(channels, settings.length)
        found["convolution, for its input"] = lambda: down(gradient, rows)
        found["strided convolution, forwards"] = lambda: along(frames, filters)
        found["strided convolution, for its filters"] = lambda: down(maps, frames)
    return {name: lambda call=call: jax.block_until_ready(call()) for name, call in found.items()}  # type: ignore[misc]


def milliseconds(timed: dict[str, Turn], rounds: int, network: str) -> dict[str, float]:
    """Median time an update of everything, timed in turns."""
    found: dict[str, list[float]] = {name: [] for name in timed}
    for number in tqdm(range(rounds + 1), network, unit="round"):
        for name, (call, updates) in timed.items():
            begin = time.perf_counter()
            for _ in range(CALLS):
                call()
            if number:  # the first round compiles and warms up
                found[name].append(1e3 * (time.perf_counter() - begin) / CALLS / updates)
    return {name: statistics.median(times) for name, times in found.items()}


def table(settings: Settings, times: dict[str, float]) -> str:
    """Rows of the table for one network."""
    training, updates = times[TRAINING], times[UPDATES]
    parts = {name: time_ for name, time_ in times.items() if name not in (TRAINING, UPDATES)}
    parts["rest of the compiled update"] = updates - sum(parts.values())
    parts["reading, sampling, Python"] = training - updates
    rows = [f"| {settings.name} | {name} | {time_:.2f} | {time_ / training:.1%} |" for name, time_ in parts.items()]
    return "\n".join([*rows, f"| {settings.name} | update, all in all | {training:.2f} | |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="turns of everything (default: %(default)s)")
    arguments = parser.parse_args()
    print("| network | part | ms an update | share |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.h5"
        write_dataset(path, NETWORKS)
        for settings in NETWORKS:
            timed = turns(settings, Dataset(path), arguments.rounds + 1)
            print(table(settings, milliseconds(timed, arguments.rounds, settings.name)), flush=True)


if __name__ == "__main__":
    main()
