"""Where the time of an update goes: its large matrix products, measured alone, against the whole update."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from synthetic import write_dataset

from theanoish.dataset import Dataset
from theanoish.network import FILTERS, WIDTH
from theanoish.settings import STRIDED_FILTERS, Settings
from theanoish.training import UPDATES_A_CALL, Trainer

NETWORKS = [Settings(frontend=frontend, length=256, stride=256) for frontend in ("raw", "mel")]


def products(settings: Settings) -> dict[str, Callable[[], jax.Array]]:
    """The products of the first two layers, each on operands of the shapes and layouts that training has."""
    rows, taps = settings.minibatch * settings.frames, WIDTH * FILTERS
    generator = np.random.default_rng(1)

    def operand(*shape: int) -> jax.Array:
        return jnp.asarray(generator.standard_normal(shape), jnp.float32)

    maps, out, weights = operand(rows, STRIDED_FILTERS), operand(rows, taps), operand(STRIDED_FILTERS, taps)
    across, by_rows, down = (jax.jit(f) for f in (lambda a, b: a @ b, lambda a, b: a @ b.T, lambda a, b: a.T @ b))
    found = {"convolution, forwards": lambda: across(maps, weights), "for its filters": lambda: down(maps, out)}
    if settings.frontend == "raw":
        frames, filters = operand(rows, settings.length), operand(STRIDED_FILTERS, settings.length)
        found["for its input"] = lambda: by_rows(out, weights)
        found["strided convolution, forwards"] = lambda: by_rows(frames, filters)
        found["for its filters, strided"] = lambda: down(maps, frames)
    return found


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Median time of a call."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        jax.block_until_ready(call())
        times.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(times[1:])  # the first one compiles


def profile(settings: Settings, folder: Path, repeats: int) -> list[str]:
    """Rows of the table for one network."""
    path = folder / f"{settings.name}.h5"
    write_dataset(path, [settings], clips=20)
    trainer = Trainer(settings, Dataset(path), "jax")
    update = milliseconds(lambda: list(trainer.run(0, UPDATES_A_CALL * 4)), 6) / (UPDATES_A_CALL * 4)
    times = {name: milliseconds(call, repeats) for name, call in products(settings).items()}
    times["everything else"] = update - sum(times.values())
    return [f"| {settings.name} | {name} | {time_:.2f} | {time_ / update:.0%} |" for name, time_ in times.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=100, help="of every product (default: 100)")
    args = parser.parse_args()
    print("| network | product | ms an update | share |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for settings in NETWORKS:
            print("\n".join(profile(settings, Path(folder), args.repeats)))


if __name__ == "__main__":
    main()
