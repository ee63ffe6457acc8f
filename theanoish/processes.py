"""Worker processes, one thread each, and their results."""

import ctypes
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, NamedTuple, TypeVar

from threadpoolctl import threadpool_limits

from theanoish.errors import InputError
from theanoish.interrupt import SIGNALS

AHEAD = 8  # clips that a worker may be ahead, while the program waits for the disk
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h

Item = TypeVar("Item")
Result = TypeVar("Result")

_shared: "_Shared"  # in a worker


def in_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, array_bytes: int = 0
) -> Iterator[Result]:
    """As `in_order`, a few results for each worker waiting to be taken; an InputError if a worker died."""
    try:
        yield from in_order(function, items, workers, AHEAD * workers, array_bytes)
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process died, perhaps for want of memory; try the same command with fewer --workers"
        ) from error


def in_order(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, ahead: int, array_bytes: int = 0
) -> Generator[Result, None, None]:
    """What `function` returns for each item, in the order of the items; at most `ahead` results wait to be taken.

    What is left is dropped, and the workers are killed, if the caller stops asking. BrokenProcessPool if one died.

    Parameters
    ----------
    array_bytes : int
        Arrays of a result with no more bytes than this stay in memory that workers share, where they last until the
        next result is asked for. Those of larger results pass through a pipe, which takes some copies more.
    """
    with _pool(max(1, min(workers, len(items))), ahead + 1, array_bytes) as (pool, shared):
        waiting: deque[Future[_Returned]] = deque()
        for number, item in enumerate(items):
            if len(waiting) == ahead:
                yield shared.take(waiting.popleft().result())
            waiting.append(_submit(pool, function, item, number % (ahead + 1)))
        while waiting:
            yield shared.take(waiting.popleft().result())


class _Returned(NamedTuple):
    """A result, pickled, and where its arrays are, or no sizes if the pickle holds them."""

    pickled: bytes
    place: int
    sizes: list[int]


class _Shared:
    """Memory that the program and its workers share, in places for one result's arrays each."""

    def __init__(self, places: int, size: int) -> None:
        self.size = 0
        self._memory: Any = bytearray()
        with suppress(OSError):  # no room, or a limit on the size of files: all results pass through the pipe
            self._memory = SpawnContext().RawArray("b", places * size)
            self.size = size

    def put(self, result: object, place: int) -> _Returned:
        """In a worker: leave a result's arrays in a place, or all of it in the pickle if they are too large."""
        buffers: list[pickle.PickleBuffer] = []
        pickled = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)
        arrays = [buffer.raw() for buffer in buffers]
        sizes = [array.nbytes for array in arrays]
        if sum(sizes) > self.size:
            return _Returned(pickle.dumps(result), place, [])
        for part, array in zip(self._parts(place, sizes), arrays, strict=True):
            part[:] = array
        return _Returned(pickled, place, sizes)

    def take(self, returned: _Returned) -> Any:
        """The result; its arrays are those in the place, so that nothing is copied."""
        return pickle.loads(returned.pickled, buffers=self._parts(returned.place, returned.sizes))

    def _parts(self, place: int, sizes: list[int]) -> Iterator[memoryview]:
        begin = place * self.size
        for size in sizes:
            yield memoryview(self._memory).cast("B")[begin : begin + size]
            begin += size


@contextmanager
def _pool(workers: int, places: int, array_bytes: int) -> Iterator[tuple[ProcessPoolExecutor, _Shared]]:
    """Processes that begin afresh, since a fork of a process with threads may hang, and end with the block."""
    context: Any = SpawnContext()
    context.Process = _Worker
    shared = _Shared(places, array_bytes)
    try:
        pool = ProcessPoolExecutor(workers, context, initializer=_prepare_worker, initargs=(shared,))
    except OSError as error:
        raise InputError(f"no worker process can be started ({error}); /dev/shm must be there and writable") from error
    resource_tracker.ensure_running()  # which would let signals through in `_submit`
    try:
        yield pool, shared
    finally:
        for worker in [*vars(pool)["_processes"].values()]:
            worker.kill()  # nobody waits for its result, and it may wait for ever for a lock that a dead one held
        queue: Any = vars(pool)["_result_queue"]
        queue._writer.close()  # or what a killed worker has sent by half is waited for, for ever
        pool.shutdown(cancel_futures=True)


class _Worker(SpawnProcess):
    """A process that a pool can end once another one has died, though it ignores SIGTERM; else it is waited for."""

    def terminate(self) -> None:
        self.kill()


def _submit(pool: ProcessPoolExecutor, function: Callable[[Item], Any], item: Item, place: int) -> Future[_Returned]:
    """Submit a task; a worker that is started for it holds signals back until it ignores them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        return pool.submit(_call, function, item, place)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _call(function: Callable[[Item], Any], item: Item, place: int) -> _Returned:
    return _shared.put(function(item), place)


def _prepare_worker(shared: _Shared) -> None:
    """One thread a worker; signals and the end of the program reach workers through their parent alone."""
    global _shared
    _shared = shared
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
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
