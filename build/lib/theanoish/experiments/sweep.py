"""Running the cells of a sweep: several at once, taken up again if they die, kept from other sweeps."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from theanoish.errors import InputError
from theanoish.experiments.cells import Job
from theanoish.experiments.cluster import Cluster
from theanoish.experiments.workers import Machine
from theanoish.files import lock
from theanoish.interrupt import StopRequest

FATAL_DEATHS = 3  # of the processes of one cell: then the cell is at fault rather than the machine
_LOOK_SECONDS = 0.2
_BUSY_SECONDS = 5.0  # until a cell that another process has is tried again


@dataclass(frozen=True)
class Event:
    """What is heard of a sweep.

    A cell has "finished" or "failed"; it has "stopped" as it was asked to, its state on disk; it has "died" and is
    taken up again; it is "busy" in another process, which is waited for; or all are "waiting" for workers.
    """

    job: Job | None  # the cell it is about
    state: str
    reason: str = ""


def run_cells(jobs: Sequence[Job], workers: Machine | Cluster, stop: StopRequest) -> Iterator[list[Event]]:
    """Run cells until each is finished or has failed.

    Parameters
    ----------
    jobs : sequence of Job
    workers : Machine or Cluster
    stop : StopRequest
        Once requested, running cells save their state and stop, and no others begin.

    Yields
    ------
    list of Event
        What has happened, several times a second; often nothing.
    """
    waiting, running = list(jobs), dict[Job, ExitStack]()
    deaths: Counter[Job] = Counter()
    not_before: dict[Job, float] = {}  # of cells that are busy
    try:
        while waiting or running:
            if stop.requested:
                waiting.clear()
                workers.stop()
            events = [Event(None, "waiting", text) for text in workers.look()]
            for job in [job for job in waiting if not_before.get(job, 0.0) < time.monotonic()]:
                if not workers.room():
                    break
                waiting.remove(job)
                events += _start(job, workers, running)
            for job, status, line in workers.ended():
                running.pop(job).close()
                events.append(_event_of(job, status, line, stop, deaths))
            for event in list(events):
                if event.job and event.state in ("died", "busy"):
                    waiting.insert(0, event.job)
                if event.job and event.state == "busy":
                    if event.job in not_before:  # said once
                        events.remove(event)
                    not_before[event.job] = time.monotonic() + _BUSY_SECONDS
            yield events
            time.sleep(_LOOK_SECONDS)
    except OSError as error:
        yield [Event(job, "failed", str(error)) for job in [*running, *waiting]]
    finally:
        workers.stop()  # if the consumer gives up


def _start(job: Job, workers: Machine | Cluster, running: dict[Job, ExitStack]) -> list[Event]:
    """Start a cell and keep other sweeps from it; what is to be said if it does not start."""
    busy = f"{job.folder}: another sweep has this cell"
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            held.enter_context(lock(job.folder / "sweep.lock", busy))
            if job.finished:  # the other sweep has finished it
                return [Event(job, "finished")]
            workers.start(job)
            running[job] = held.pop_all()
            return []
    except (InputError, OSError) as error:  # such as a full disk
        return [Event(job, "busy" if str(error) == busy else "failed", str(error))]


def _event_of(job: Job, status: int, line: str, stop: StopRequest, deaths: Counter[Job]) -> Event:
    if status == 0:
        unread = "left no test.json and test.npz that can be read"
        return Event(job, "finished") if job.finished else Event(job, "failed", unread)
    if status == 2 and "another process" in line:  # such as a train.py that someone has started by hand
        return Event(job, "busy")
    if status in (1, 2):
        return Event(job, "failed", re.sub(r"^\w+\.py: error: ", "", line))
    if stop.requested:
        return Event(job, "stopped")
    deaths[job] += 1
    reason = f"exit status {status}"
    if deaths[job] == FATAL_DEATHS:
        return Event(job, "failed", f"its process died {FATAL_DEATHS} times, the last time with {reason}")
    return Event(job, "died", reason)
