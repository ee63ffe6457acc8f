"""Measure training against PyTorch, pytensor-ml and hand-written JAX, in turns and in one run; print Markdown tables.

Every program first performs five updates on the same windows from the same parameters. Where losses or gradients
differ, nothing is measured. Then each trains on windows that it cuts at random from the same clips: this project by its
own trainer, which reads an HDF5 file, the others from memory. One program written by hand is also given the very blocks
of windows that this project's trainer reads, so that only what is compiled differs.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import jax_network
from synthetic import with_top_layer, write_dataset
from theanoish.data.dataset import Dataset, Windows
from theanoish.experiments.cost import cost
from theanoish.machine import usable_cores
from theanoish.settings import Settings
from theanoish.training.feeding import ReadAhead, draw_windows
from theanoish.training.prediction import Predictor
from theanoish.training.trainer import UPDATES_A_CALL, Trainer

try:
    import torch

    import torch_network
except ModuleNotFoundError:
    torch = None
try:
    import pytensor_ml

    import pytensor_ml_network
except ModuleNotFoundError:
    pytensor_ml = None

NETWORKS = {  # without averaged parameters, which the other programs do not keep
    "raw 256/256": Settings(frontend="raw", length=256, stride=256, average=0.0),
    "raw 1024/1024": Settings(frontend="raw", length=1024, stride=1024, average=0.0),
    "mel 256/256": Settings(frontend="mel", length=256, stride=256, average=0.0),
    "raw 256/256, 256 filters, L2 of 2, log": Settings(
        pooling="l2", pool_size=2, nonlinearity="log-square", strided_filters=256, average=0.0
    ),
}
FORMULAS = "JAX, `lax.scan`, this project's formulas"
FED = f"{FORMULAS}, windows from the file"
OURS, AVERAGED = "this project, JAX", "this project, JAX, averaged parameters"
PREDICTION, PRODUCTS = "prediction", ("product, NumPy", "product, JAX")
PREDICTED_WINDOWS = 512  # a turn
CHECKED_UPDATES = 5
LOSS_TOLERANCE = 1e-4
# Where rounding decides between two nearly equal values of a pool, the gradient takes the other one's place: one such
# decision among the minibatch's 14,000 was seen to move a gradient by 1e-3 of its norm.
GRADIENT_TOLERANCE = 5e-3

Seconds = dict[str, list[float]]  # of every turn, by the name of what was timed


class Program(Protocol):
    """Something else that trains the network."""

    def train(self, clips: NDArray[np.int32], offsets: NDArray[np.int32]) -> NDArray[np.float32]:
        """Perform one update for each row of the indices, (updates, minibatch); returns the losses."""

    def parameters(self) -> dict[str, NDArray[np.float32]]:
        """The present parameters, named and shaped as this project's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_threads(parser)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each program (default: %(default)s)")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="default: all")
    parser.add_argument("--numba", action="store_true", help="the Numba backend too, which takes minutes to compile")
    arguments = parser.parse_args()
    restrict(arguments.threads)
    print(describe_machine(arguments.threads), flush=True)
    if torch is None:
        print("PyTorch is left out: it is not installed (extra 'benchmarks')", file=sys.stderr)
    if pytensor_ml is None:
        print("pytensor-ml is left out: it is not installed (Python 3.12, extra 'benchmarks')", file=sys.stderr)
    backends = ["jax", "numba"] if arguments.numba else ["jax"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.h5"
        write_dataset(path, [NETWORKS[name] for name in arguments.networks])
        for name in arguments.networks:
            seconds = measure(name, Dataset(path), arguments.rounds, backends)
            print(f"\n{name}\n\n{table(NETWORKS[name], seconds)}\n\n{prediction_line(seconds)}", flush=True)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add the option that `restrict` needs."""
    choices = range(1, len(usable_cores()) + 1)
    parser.add_argument("--threads", type=int, choices=choices, metavar="N", default=1, help="and cores (default: 1)")


def restrict(threads: int) -> None:
    """Keep this process on so many cores, with one thread for each of them; before anything is computed."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leaves memory of a GPU to PyTorch
    if hasattr(os, "sched_setaffinity"):  # macOS cannot hold a process to a core
        os.sched_setaffinity(0, usable_cores()[-threads:])
    threadpool_limits(threads)
    if torch:
        torch.set_num_threads(threads)


def describe_machine(threads: int) -> str:
    """What the figures depend on, in one line."""
    devices = sorted({device.device_kind for device in jax.devices() if device.platform != "cpu"})
    packages = [
        f"{package} {_version(package)}" for package in ("pytensor", "jax", "numba", "torch", "pytensor-ml", "numpy")
    ]
    threads_used = f"{threads} of {os.cpu_count()} cores, one thread each"
    return ", ".join([_cpu_name(), threads_used, *devices, f"Python {platform.python_version()}", *packages])


def measure(name: str, dataset: Dataset, rounds: int, backends: list[str]) -> Seconds:
    """Check all programs on one network, then time them in turns."""
    settings = NETWORKS[name]
    windows = dataset.windows(settings, dataset.rows("train"))
    trainers = {f"this project, {b.replace('jax', 'JAX')}": Trainer(settings, dataset, b) for b in backends}
    trainers[AVERAGED] = Trainer(replace(settings, average=Settings().average), dataset, "jax")
    values = with_top_layer(trainers[OURS].network.values())
    for trainer in trainers.values():
        trainer.network.set_values(values)
    others = other_programs(settings, values, windows.read_whole_clips(), dataset.labels)
    allow_tf32(False)
    check(settings, windows, trainers, others)
    allow_tf32(True)

    turns: dict[str, Callable[[], object]] = {}
    stop = CHECKED_UPDATES + (rounds + 10) * UPDATES_A_CALL  # never reached, so that reading ahead never ends
    for program, trainer in trainers.items():
        turns[program] = partial(next, trainer.run(CHECKED_UPDATES, stop))
    generator = np.random.default_rng(0)
    for program, other in others.items():
        turns[program] = partial(_train_on_random_windows, other, windows, settings, generator)
    by_hand = others.get(FORMULAS)
    if isinstance(by_hand, jax_network.JaxTrainer):
        feed = ReadAhead(windows, dataset.labels[dataset.rows("train")], settings)
        ranges = [range(first, first + UPDATES_A_CALL) for first in range(0, stop, UPDATES_A_CALL)]
        turns[FED] = partial(next, by_hand.train_on_blocks(feed.blocks(ranges)))
    turns[PREDICTION] = _prediction(trainers[OURS], windows)
    turns.update(zip(PRODUCTS, _matrix_products(), strict=True))
    return time_in_turns(turns, rounds, name)


def other_programs(
    settings: Settings, values: dict[str, NDArray[np.float32]], clips: NDArray[Any], labels: NDArray[np.uint8]
) -> dict[str, Program]:
    """What this project is measured against, by name; each with the same initial parameters and clips."""
    if settings.pooling != "none":
        return {}  # none of them has it; that row is for its GFLOP/s beside the paper's networks
    data = (settings, values, clips, labels)
    by_hand = partial(jax_network.JaxTrainer, *data)
    programs: dict[str, Program] = {
        "JAX, `lax.conv`, one update a call": by_hand(jax_network.lax_convolution, jax_network.max_pool, 1),
        "JAX, `lax.scan`, sum of products": by_hand(jax_network.sum_of_products, jax_network.max_pool, UPDATES_A_CALL),
        FORMULAS: by_hand(jax_network.shift_add, jax_network.rectified_max_pool, UPDATES_A_CALL),
    }
    if jax.default_backend() != "cpu":  # on a CPU, XLA's convolution is some 15 times slower inside a loop
        programs["JAX, `lax.scan`, `lax.conv`"] = by_hand(
            jax_network.lax_convolution, jax_network.max_pool, UPDATES_A_CALL
        )
    if pytensor_ml:
        programs["pytensor-ml, JAX, one update a call"] = pytensor_ml_network.PytensorMlTrainer(*data)
    if torch is None:
        return programs
    for name, kind in (("`Conv1d`", torch_network.Conv1dNetwork), ("channels-last", torch_network.ChannelsLastNetwork)):
        programs[f"PyTorch eager, {name}"] = torch_network.TorchTrainer(*data, kind)
        programs[f"`torch.compile`, {name}"] = torch_network.TorchTrainer(*data, kind, compiled=True)
    return programs


def allow_tf32(allowed: bool) -> None:
    """Whether matrix products and convolutions on a GPU may round their inputs, as JAX does by default."""
    jax.config.update("jax_default_matmul_precision", None if allowed else "float32")
    if torch:
        torch.set_float32_matmul_precision("high" if allowed else "highest")
        torch.backends.cudnn.allow_tf32 = allowed


def check(settings: Settings, windows: Windows, trainers: dict[str, Trainer], others: dict[str, Program]) -> None:
    """Make sure that all programs compute the same losses and, in the first update, the same gradients.

    Raises
    ------
    SystemExit
        Where they do not.
    """
    drawn = draw_windows(windows, settings, range(CHECKED_UPDATES))
    clips, offsets = (a.astype(np.int32).reshape(CHECKED_UPDATES, 1, -1) for a in drawn)
    losses, gradients = {}, {}
    for name, trainer in trainers.items():
        before, updates = trainer.network.values(), range(CHECKED_UPDATES)
        losses[name] = [next(trainer.run(0, 1))[1]]
        gradients[name] = _difference(trainer.network.values(), before)
        losses[name] += [next(trainer.run(i, i + 1))[1] for i in updates[1:]]
    for name, program in others.items():
        before = program.parameters()
        losses[name] = [program.train(clips[0], offsets[0])]
        gradients[name] = _difference(program.parameters(), before)
        losses[name] += [program.train(*indices) for indices in zip(clips[1:], offsets[1:], strict=True)]
    for name in losses:
        if not np.allclose(losses[name], losses[OURS], rtol=LOSS_TOLERANCE, atol=0):
            sys.exit(f"nothing was measured: the losses of '{name}' differ from this project's")
        for parameter, expected in gradients[OURS].items():
            difference = np.linalg.norm(gradients[name][parameter] - expected) / np.linalg.norm(expected)
            if not difference < GRADIENT_TOLERANCE:
                sys.exit(
                    f"nothing was measured: the gradient of {parameter} in '{name}' differs from this project's "
                    f"by {difference:.1e} of its norm"
                )


def time_in_turns(turns: dict[str, Callable[[], object]], rounds: int, name: str) -> Seconds:
    """Time everything once a round, so that what disturbs the machine disturbs all alike."""
    seconds: Seconds = {program: [] for program in turns}
    for number in tqdm(range(rounds + 1), name, unit="round", file=sys.stderr):
        for program, turn in turns.items():
            begin = time.perf_counter()
            turn()
            if number:  # the first round compiles and warms up
                seconds[program].append(time.perf_counter() - begin)
    return seconds


def table(settings: Settings, seconds: Seconds) -> str:
    """A Markdown table of a network: updates a second, GFLOP/s and shares, and how much faster this project is."""
    work, product = cost(settings).operations, max(_product_flops() / min(seconds[name]) for name in PRODUCTS)
    lines = [
        f"{work / 1e6:.0f} MFLOP an update; a large matrix product runs at {product / 1e9:.0f} GFLOP/s",
        "",
        "| program | updates a second, median (best) | GFLOP/s | share of product | this project is faster by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for program, times in seconds.items():
        if program in (PREDICTION, *PRODUCTS):
            continue
        rate = UPDATES_A_CALL / statistics.median(times)
        best = UPDATES_A_CALL / min(times)
        ratio = _median_ratio(times, seconds[OURS])
        speeds = f"{rate:.0f} ({best:.0f}) | {rate * work / 1e9:.0f} | {rate * work / product:.0%}"
        lines.append(f"| {program} | {speeds} | {'' if program == OURS else f'{ratio:.2f}'} |")
    return "\n".join(lines)


def prediction_line(seconds: Seconds) -> str:
    """How long predicting a window takes, against training."""
    milliseconds = 1e3 * statistics.median(seconds[PREDICTION]) / PREDICTED_WINDOWS
    updates = _median_ratio(seconds[OURS], seconds[PREDICTION]) * PREDICTED_WINDOWS / UPDATES_A_CALL
    return (
        f"Predicting takes {milliseconds:.3f} ms a window: an update takes {updates:.1f} times, "
        f"and each of its windows {updates / Settings().minibatch:.1f} times as long."
    )


def _train_on_random_windows(
    program: Program, windows: Windows, settings: Settings, generator: np.random.Generator
) -> None:
    shape = (UPDATES_A_CALL, settings.minibatch)
    clips = generator.integers(len(windows.choices), size=shape, dtype=np.int32)
    program.train(clips, generator.integers(windows.choices[clips], dtype=np.int32))


def _prediction(trainer: Trainer, windows: Windows) -> Callable[[], object]:
    predictor = Predictor(trainer.network, trainer.backend)
    size = predictor.windows_a_call
    batch = np.empty((size, *windows.shape), windows.dtype)
    clips = np.arange(size) % len(windows.counts)
    windows.read(clips, np.zeros_like(clips), batch)
    return lambda: [predictor.predict_windows(batch) for _ in range(PREDICTED_WINDOWS // size)]


def _matrix_products() -> list[Callable[[], object]]:
    matrix = np.random.default_rng(0).standard_normal((_product_size(),) * 2, np.float32)
    on_device, product = jax.device_put(matrix), jax.jit(jax.numpy.matmul)
    return [lambda: matrix @ matrix, lambda: product(on_device, on_device).block_until_ready()]


def _product_size() -> int:
    return 2048 if jax.default_backend() == "cpu" else 8192


def _product_flops() -> int:
    return 2 * _product_size() ** 3


def _difference(
    after: dict[str, NDArray[np.float32]], before: dict[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    return {name: after[name] - before[name] for name in before if not name.startswith("start/")}


def _median_ratio(numerators: list[float], denominators: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _cpu_name() -> str:
    information = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in information.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
