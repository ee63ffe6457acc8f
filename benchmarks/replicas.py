"""Several networks as one compiled step with a leading axis, against one at a time: updates a second of all together.

On a CPU compare with `sweep.py` too, which trains one network a core.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from compiled import compiled_updates
from training import NETWORKS, add_threads, describe_machine, restrict

UPDATES = 64  # a turn, of all networks together
COUNTS = (2, 4, 8, 16, 32)
TOLERANCE = 1e-4  # of a loss


def rates(name: str, counts: list[int], rounds: int) -> list[float]:
    """Median updates a second, of all networks together, for each number of them."""
    turns = {count: compiled_updates(NETWORKS[name], UPDATES // count, count) for count in counts}
    check(name, turns)
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    for _ in tqdm(range(rounds), name, unit="round", file=sys.stderr):
        for count, turn in turns.items():
            begin = time.perf_counter()
            turn()
            seconds[count].append(time.perf_counter() - begin)
    return [UPDATES / statistics.median(times) for times in seconds.values()]


def check(name: str, turns: dict[int, Callable[[], np.ndarray]]) -> None:
    """Make sure that the first of several networks, which sees the same windows as one alone, has the same loss.

    That each takes the updates it would take alone is tested in ``tests/test_benchmarks.py``.

    Raises
    ------
    SystemExit
        Where it has not.
    """
    losses = {count: turn().reshape(UPDATES // count, -1)[0, 0] for count, turn in turns.items()}
    if not np.allclose(list(losses.values()), losses[1], rtol=TOLERANCE, atol=0):
        sys.exit(f"nothing was measured: the first losses of {name} differ: {losses}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_threads(parser)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each number (default: %(default)s)")
    parser.add_argument(
        "--counts", type=int, nargs="+", choices=COUNTS, default=[2, 4, 8], help="networks at once (default: 2 4 8)"
    )
    arguments = parser.parse_args()
    restrict(arguments.threads)
    counts = [1, *arguments.counts]
    print(describe_machine(arguments.threads))
    print(f"\n| network | {' | '.join(f'{count} at once' for count in counts)} |\n|{' --- |' * (len(counts) + 1)}")
    for name in NETWORKS:
        found = rates(name, counts, arguments.rounds)
        print(f"| {name} | {' | '.join(f'{rate:.0f}' for rate in found)} |", flush=True)


if __name__ == "__main__":
    main()
