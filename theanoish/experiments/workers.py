"""Where the cells of a sweep run: in processes of this machine, or as tasks of a Dask cluster.

Both ways yield the same events, stop when asked to, and take a cell up again whose process died.
"""

import math
import multiprocessing
import os
import queue
import subprocess
import sys
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from theanoish.errors import InputError
from theanoish.experiments.cells import Event, Job, Outcome, run_cell
from theanoish.interrupt import StopRequest

_DEATHS_ALLOWED = 3  # of the processes of one cell: then the cell is at fault rather than the machine
_REPORT_SECONDS = 0.5
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Place:
    """Where one process of this machine computes.

    Attributes
    ----------
    core : int or None
        The one core it is held to. A process to each core does more in all than one process on all cores, and always
        computing with one thread makes a result independent of how many cells ran beside it.
    environment : dict
        Environment variables that tell JAX which GPU to use, and how much of its memory.
    """

    core: int | None
    environment: dict[str, str]


def places_here(backend: str, workers: int | None) -> list[Place]:
    """The places for processes on this machine: its GPUs where the backend has any, its cores otherwise.

    Parameters
    ----------
    backend : {"jax", "numba"}
    workers : int, optional
        How many; by default one a GPU, or one a core.
    """
    gpus = _count_gpus() if backend == "jax" else 0
    if gpus:
        return _places_on_gpus(gpus, workers or gpus)
    cores: list[int | None] = [None] * (os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):  # macOS cannot hold a process to a core
        cores = [*sorted(os.sched_getaffinity(0))]
    return [Place(cores[i % len(cores)], {}) for i in range(workers or len(cores))]


def _places_on_gpus(gpus: int, workers: int) -> list[Place]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(gpus)]
    share = f"{0.9 / -(-workers // gpus):.3f}"  # of a GPU's memory, which JAX else reserves for one process
    return [
        Place(None, {"CUDA_VISIBLE_DEVICES": names[i % gpus], "XLA_PYTHON_CLIENT_MEM_FRACTION": share})
        for i in range(workers)
    ]


def _count_gpus() -> int:
    """GPUs that JAX sees; asked in another process, since JAX would take their memory in this one."""
    question = "import jax; print(0 if jax.default_backend() == 'cpu' else jax.local_device_count())"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=False)
    return int(answer.stdout) if answer.returncode == 0 else 0


@dataclass
class _Worker:
    """A process of this machine that trains one cell."""

    job: Job
    place: Place
    process: Any
    pipe: Connection
    outcome: Outcome | None = None


def run_here(jobs: list[Job], places: list[Place], stop: StopRequest) -> Iterator[Event]:
    """Run cells in processes of this machine, one process a cell, so that nothing is left of it afterwards.

    Parameters
    ----------
    jobs : list of Job
    places : list of Place
        As many cells run at once.
    stop : StopRequest
        Once requested, running cells save their state and stop, and no others begin.

    Yields
    ------
    Event
    """
    waiting, free = deque(jobs), deque(places)
    running: dict[Connection, _Worker] = {}
    deaths: Counter[Job] = Counter()
    asked = False
    try:
        while waiting or running:
            if stop.requested and not asked:
                asked = True
                waiting.clear()
                _ask_to_stop(running)
            while waiting and free:
                worker = _start(waiting.popleft(), free.popleft())
                running[worker.pipe] = worker
            for pipe in wait(list(running), _POLL_SECONDS):
                worker = running[pipe]  # type: ignore[index]
                try:
                    message = worker.pipe.recv()
                except (EOFError, ConnectionError):
                    del running[worker.pipe]
                    free.appendleft(worker.place)
                    yield from _ended(worker, waiting, deaths, stop)
                    continue
                if isinstance(message, Outcome):
                    worker.outcome = message
                else:
                    yield Event(worker.job, update=message)
    finally:
        _ask_to_stop(running)  # where the consumer gives up, as at a second Ctrl-C
        for worker in running.values():
            worker.pipe.close()


def _ask_to_stop(running: dict[Connection, _Worker]) -> None:
    for pipe in running:
        with suppress(OSError):  # it may have ended by itself
            pipe.send("stop")


def _ended(worker: _Worker, waiting: deque[Job], deaths: Counter[Job], stop: StopRequest) -> Iterator[Event]:
    worker.process.join()
    worker.pipe.close()
    job, outcome = worker.job, worker.outcome
    alone = outcome is not None and outcome.state == "stopped" and not stop.requested  # by a signal to it alone
    if outcome is not None and not alone:
        yield Event(job, outcome=outcome)
        return
    deaths[job] += 1
    if stop.requested:
        yield Event(job, outcome=Outcome("stopped"))
    elif deaths[job] == _DEATHS_ALLOWED:
        reason = f"its process died {_DEATHS_ALLOWED} times, the last time with exit status {worker.process.exitcode}"
        yield Event(job, outcome=Outcome("failed", reason))
    else:
        waiting.appendleft(job)
        yield Event(job, died=True)


def _start(job: Job, place: Place) -> _Worker:
    context = multiprocessing.get_context("spawn")  # JAX does not survive a fork
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(job, place.environment, theirs))
    with _held_to(place.core):  # inherited, so that libraries count one core when they are loaded
        process.start()
    theirs.close()  # the process now has the only copy, whose end tells of its death
    return _Worker(job, place, process, ours)


@contextmanager
def _held_to(core: int | None) -> Iterator[None]:
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _work(job: Job, environment: dict[str, str], pipe: Connection) -> None:
    """Train one cell in a process of its own."""
    os.environ.update(environment)
    last = -math.inf

    def report(update: int) -> None:
        nonlocal last
        if pipe.poll():  # asked to stop, or the other end is gone with its process
            stop.requested = True
        if time.monotonic() - last > _REPORT_SECONDS:
            last = time.monotonic()
            with suppress(OSError):
                pipe.send(update)

    with StopRequest() as stop:
        outcome = run_cell(job, stop, report)
        with suppress(OSError):
            pipe.send(outcome)


def run_on_cluster(jobs: list[Job], address: str, stop: StopRequest) -> Iterator[Event]:
    """Run cells as tasks of an existing Dask cluster, whose workers see the same files under the same paths.

    Parameters
    ----------
    jobs : list of Job
    address : str
        Of the scheduler, such as ``tcp://host:8786``.
    stop : StopRequest
        Once requested, running cells save their state and stop, and no others begin.

    Yields
    ------
    Event

    Raises
    ------
    InputError
        Where dask.distributed is not installed or no scheduler answers.
    """
    client = _connect(address)
    from distributed import Event as Flag

    sweep = f"theanoish-{uuid.uuid4().hex}"
    messages: queue.SimpleQueue[tuple[int, int | None]] = queue.SimpleQueue()
    with client:
        asked = Flag(sweep, client=client)
        client.subscribe_topic(sweep, lambda event: messages.put(event[1]))
        futures = {
            client.submit(_work_as_task, job, number, sweep, key=f"{sweep}-{number}", priority=-number): job
            for number, job in enumerate(jobs)
        }
        begun: set[Job] = set()
        while futures:
            if stop.requested and not asked.is_set():
                asked.set()
                _withdraw(futures, begun)
            for number, update in _received(messages):
                begun.add(jobs[number])
                yield Event(jobs[number], update=update)
            for future in [future for future in futures if future.done()]:
                yield Event(futures.pop(future), outcome=_outcome_of(future))


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--scheduler needs Dask; install it with: pip install 'theanoish[cluster]'") from error
    try:
        return Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(f"--scheduler {address}: no Dask scheduler answers there ({error})") from error


def _withdraw(futures: dict[Any, Job], begun: set[Job]) -> None:
    """Take back the tasks that no worker has begun."""
    for future, job in list(futures.items()):
        if job not in begun:
            future.cancel()
            del futures[future]


def _received(messages: "queue.SimpleQueue[Any]") -> Iterator[Any]:
    """The messages that have come; waits a moment where there is none."""
    with suppress(queue.Empty):
        yield messages.get(timeout=_POLL_SECONDS)
        while True:
            yield messages.get_nowait()


def _outcome_of(future: Any) -> Outcome:
    if future.status == "finished":
        return future.result()
    if future.status == "cancelled":
        return Outcome("failed", "the cluster's scheduler is gone or has cancelled it")
    return Outcome("failed", str(future.exception()))  # such as KilledWorker


def _work_as_task(job: Job, number: int, sweep: str) -> Outcome:
    """Train one cell in a Dask worker, which runs it in a thread, where no signals arrive."""
    from distributed import Event as Flag
    from distributed import get_worker

    worker, asked, stop = get_worker(), Flag(sweep), StopRequest()
    last = -math.inf

    def report(update: int | None) -> None:
        nonlocal last
        if time.monotonic() - last > _REPORT_SECONDS:
            last = time.monotonic()
            try:
                stop.requested = asked.is_set()
                worker.log_event(sweep, (number, update))
            except OSError:  # the scheduler is gone, and with it whoever waits for this cell
                stop.requested = True

    report(None)
    last = -math.inf
    return run_cell(job, stop, report)
