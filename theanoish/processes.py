"""Worker processes, one thread each, and their results."""

import ctypes
import fcntl
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from theanoish.errors import InputError

AHEAD = 4
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """As `in_order`, a few results for each worker waiting to be taken; an InputError if a worker died."""
    try:
        yield from in_order(function, items, workers, AHEAD * workers)
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process died, perhaps for want of memory; try the same command with fewer --workers"
        ) from error


def in_order(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, ahead: int
) -> Generator[Result, None, None]:
    """What `function` returns for each item, in the order of the items; at most `ahead` results wait to be taken.

    What is left is dropped, and the workers are killed, if the caller stops asking. BrokenProcessPool if one died.
    """
    with _pool(max(1, min(workers, len(items)))) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            if len(waiting) == ahead:
                yield waiting.popleft().result()
            waiting.append(_submit(pool, function, item))
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that begin afresh, since a fork of a process with threads may hang, and end with the block."""
    others = multiprocessing.active_children()
    context: Any = SpawnContext()
    context.Process = _Worker
    try:
        pool = ProcessPoolExecutor(max_workers=workers, mp_context=context, initializer=_prepare_worker)
    except OSError as error:
        raise InputError(f"no worker process can be started ({error}); /dev/shm must be there and writable") from error
    _keep_freed_memory()
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # a clip's two megabytes would pass in pieces of 64 kB
        with suppress(OSError):
            fcntl.fcntl(vars(pool)["_result_queue"]._reader, fcntl.F_SETPIPE_SZ, 1 << 20)
    resource_tracker.ensure_running()  # which would let signals through in `_submit`
    try:
        yield pool
    finally:
        for worker in multiprocessing.active_children():
            if worker not in others:
                worker.kill()  # nobody waits for its result, and it may wait for ever for a lock that a dead one held
        queue: Any = vars(pool)["_result_queue"]
        queue._writer.close()  # or what a killed worker has sent by half is waited for, for ever
        pool.shutdown(cancel_futures=True)


class _Worker(SpawnProcess):
    """A process that a pool can end once another one has died, though it ignores SIGTERM; else it is waited for."""

    def terminate(self) -> None:
        self.kill()


def _submit(pool: ProcessPoolExecutor, function: Callable[[Item], Result], item: Item) -> Future[Result]:
    """Submit a task; a worker that is started for it holds signals back until it ignores them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        return pool.submit(function, item)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker() -> None:
    """One thread a worker; signals and the end of the program reach workers through their parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _keep_freed_memory()
    threadpool_limits(1)  # of the libraries that are loaded, which with more threads may give other last bits
    os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # of others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)  # the decoder prints there about broken files, which the program reports itself


def _keep_freed_memory() -> None:
    """Have glibc use freed memory again: fetching it anew for each clip was a third of a build's system time."""
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 1 << 25)
        mallopt(_M_TRIM_THRESHOLD, 1 << 28)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
