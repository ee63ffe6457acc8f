"""Work shared among processes, and work that no two processes may do at once."""

import fcntl
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from theanoish.errors import InputError
from theanoish.processes import spawned_pool

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_parallel(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    """Results of `function` in the order in which they are ready.

    Tasks are dropped, and killed, if the caller stops asking.

    Raises
    ------
    InputError
        Where a worker died.
    """
    others = multiprocessing.active_children()
    pool = spawned_pool(max(1, min(workers, len(tasks))))
    try:
        for future in as_completed([pool.submit(function, task) for task in tasks]):
            yield future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process died, perhaps for want of memory; try the same command with fewer --workers"
        ) from error
    finally:
        for worker in multiprocessing.active_children():
            if worker not in others:
                worker.kill()  # nobody waits for its result, and it may wait for ever for a lock that a dead one held
        pool.shutdown(cancel_futures=True)


@contextmanager
def alone(path: Path, what: str) -> Iterator[BinaryIO]:
    """Open the file `path` as the only process that does; who holds it may remove it.

    Raises
    ------
    InputError
        Where another process holds it: "`what` by another process".
    """
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = os.path.samestat(os.fstat(file.fileno()), path.stat())  # not removed since it was opened
        except (BlockingIOError, FileNotFoundError):
            held = False
        if not held:
            raise InputError(f"{what} by another process")
        yield file
