"""Measure several single-threaded trainings at once, one a core, against one training with all cores, in turns."""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from tqdm import tqdm

from synthetic import write_dataset
from theanoish.data.dataset import Dataset
from theanoish.settings import Settings
from theanoish.training.trainer import UPDATES_A_CALL, Trainer

NETWORKS = {
    "raw 256/256": Settings(frontend="raw", length=256, stride=256),
    "mel 256/256": Settings(frontend="mel", length=256, stride=256),
}
BLOCKS = 3  # of updates in a turn


class Worker:
    """A process of its own that trains a network on some cores whenever it is told to.

    Parameters
    ----------
    settings : Settings
    path : Path
        The data set.
    cores : list of int
    """

    def __init__(self, settings: Settings, path: Path, cores: list[int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other_end = context.Pipe()
        context.Process(target=_work, args=(settings, path, cores, other_end), daemon=True).start()
        other_end.close()
        self.wait()

    def start(self) -> None:
        """Begin a turn."""
        self._pipe.send(None)

    def wait(self) -> None:
        """Return once the turn, or the compilation before the first one, is over."""
        self._pipe.recv()

    def close(self) -> None:
        """Let the process end."""
        self._pipe.close()


def _work(settings: Settings, path: Path, cores: list[int], pipe: Connection) -> None:
    os.sched_setaffinity(0, cores)
    blocks = Trainer(settings, Dataset(path), "jax").run(0, settings.updates)
    next(blocks)
    pipe.send(None)
    try:
        while True:
            pipe.recv()
            for _ in range(BLOCKS):
                next(blocks)
            pipe.send(None)
    except EOFError:
        return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each arrangement (default: %(default)s)")
    rounds = parser.parse_args().rounds
    cores = sorted(os.sched_getaffinity(0))
    print(f"| network | {len(cores)} processes, one thread each | one process, {len(cores)} threads | ratio |")
    print("| --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.h5"
        write_dataset(path, list(NETWORKS.values()))
        for name, settings in NETWORKS.items():
            many, one, ratio = measure(settings, path, cores, rounds, name)
            print(f"| {name} | {many:.0f} | {one:.0f} | {ratio:.2f} |", flush=True)


def measure(settings: Settings, path: Path, cores: list[int], rounds: int, name: str) -> tuple[float, float, float]:
    """Median updates a second, in all, of both arrangements, and the median of their ratio."""
    single_threaded, with_all = [Worker(settings, path, [c]) for c in cores], [Worker(settings, path, cores)]
    many, one = [], []
    for _ in tqdm(range(rounds), name, unit="round"):
        many.append(_updates_a_second(single_threaded))
        one.append(_updates_a_second(with_all))
    for worker in single_threaded + with_all:
        worker.close()
    ratio = statistics.median(a / b for a, b in zip(many, one, strict=True))
    return statistics.median(many), statistics.median(one), ratio


def _updates_a_second(workers: list[Worker]) -> float:
    """Of all workers in one turn, which ends with the slowest."""
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.wait()
    return len(workers) * BLOCKS * UPDATES_A_CALL / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
