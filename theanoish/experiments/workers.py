"""Running the cells of a sweep: several at once, taken up again if they die, on this machine or on a cluster.

`Machine` here and `theanoish.experiments.cluster.Cluster` have the same methods, by which `run_cells` deals with both.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from theanoish.errors import InputError
from theanoish.experiments.cells import SCRIPTS, Job
from theanoish.experiments.places import Place
from theanoish.files import lock
from theanoish.interrupt import StopRequest

DEATHS_ALLOWED = 3  # of the processes of one cell: then the cell is at fault rather than the machine
DIED = -1  # exit status of a process whose end nobody saw
STOPPED = 130  # of a script at Ctrl-C or SIGTERM
_LOOK_SECONDS = 0.2
_BUSY_SECONDS = 5.0
_ATTACHED = Path(__file__).with_name("attached.py")


@dataclass(frozen=True)
class Ending:
    """How the processes of a cell ended.

    Attributes
    ----------
    job : Job
    status : int
        Exit status of the last one; negative if it died.
    line : str
        The last line they printed.
    """

    job: Job
    status: int
    line: str


@dataclass(frozen=True)
class Event:
    """What is heard of a sweep.

    Attributes
    ----------
    job : Job or None
        The cell it is about.
    state : {"finished", "failed", "stopped", "died", "busy", "waiting"}
        "stopped" as it was asked to, its state on disk; "died" and taken up again; "busy" in another process, which is
        waited for; "waiting" for workers.
    reason : str
    """

    job: Job | None
    state: str
    reason: str = ""


class Workers(Protocol):
    """Where cells run."""

    def look(self) -> list[str]:
        """What there is to say about the workers; raises OSError if they are lost for good."""

    def room(self) -> bool:
        """Whether another cell can start."""

    def start(self, job: Job) -> None:
        """Start a cell."""

    def ended(self) -> Iterator[Ending]:
        """The cells that have ended since it was last asked."""

    def stop(self) -> None:
        """Ask all cells to save their state and end."""


def run_cells(jobs: Sequence[Job], workers: Workers, stop: StopRequest) -> Iterator[list[Event]]:
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
            for ending in workers.ended():
                running.pop(ending.job).close()
                events.append(_event_of(ending, stop, deaths))
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


def _start(job: Job, workers: Workers, running: dict[Job, ExitStack]) -> list[Event]:
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


def _event_of(ending: Ending, stop: StopRequest, deaths: Counter[Job]) -> Event:
    job, status = ending.job, ending.status
    if status == 0:
        unread = "left no test.json and test.npz that can be read"
        return Event(job, "finished") if job.finished else Event(job, "failed", unread)
    if status == 2 and "another process" in ending.line:  # such as a train.py that someone has started by hand
        return Event(job, "busy")
    if status in (1, 2):
        return Event(job, "failed", re.sub(r"^\w+\.py: error: ", "", ending.line))
    if stop.requested:
        return Event(job, "stopped")
    deaths[job] += 1
    reason = f"exit status {status}"
    if deaths[job] == DEATHS_ALLOWED:
        return Event(job, "failed", f"its process died {DEATHS_ALLOWED} times, the last time with {reason}")
    return Event(job, "died", reason)


class Attempt:
    """The scripts of a cell, one after the other as long as they succeed, each in a process that ends with this one.

    Parameters
    ----------
    commands : sequence of list of str
        Names and arguments of this project's scripts.
    log : Path
        What they print is appended to it; its folder, the run's, is made if it is missing.
    place : Place
    """

    def __init__(self, commands: Sequence[Sequence[str]], log: Path, place: Place) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._commands, self._log, self._place = list(commands), log, place
        self._log_start = log.stat().st_size if log.exists() else 0
        self._asked = False
        self._process = self._next()

    def _next(self) -> subprocess.Popen[bytes]:
        script, *arguments = self._commands.pop(0)
        core = "any" if self._place.core is None else str(self._place.core)
        command = [sys.executable, "-P", str(_ATTACHED), core, str(SCRIPTS / script), *arguments]
        environment = os.environ | self._place.environment
        with self._log.open("ab") as log:
            # in a session of its own, since Ctrl-C shall reach it once, through `stop`
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def poll(self) -> int | None:
        """The exit status, once a script has failed or all are done; None before."""
        status = self._process.poll()
        if status is not None:
            self._process.stdin.close()  # type: ignore[union-attr]
        if status == 0 and self._commands:
            if self._asked:
                return STOPPED
            self._process = self._next()
            return None
        return status

    def stop(self) -> None:
        """Have the script that runs save its state and end, as at SIGTERM."""
        self._asked = True
        self._process.stdin.close()  # type: ignore[union-attr]

    def last_line(self) -> str:
        """The last line that was printed; empty if there is none."""
        with suppress(OSError), self._log.open("rb") as log:
            log.seek(self._log_start)
            lines = re.split(r"[\r\n]+", log.read().decode(errors="replace"))
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""


class Machine:
    """This machine, with one cell at each of some places."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._free = list(places)
        self._running: dict[Job, tuple[Attempt, Place]] = {}

    def look(self) -> list[str]:
        return []

    def room(self) -> bool:
        return bool(self._free)

    def start(self, job: Job) -> None:
        self._running[job] = Attempt(job.commands(), job.log, self._free[-1]), self._free.pop()

    def ended(self) -> Iterator[Ending]:
        for job, (attempt, place) in list(self._running.items()):
            status = attempt.poll()
            if status is not None:
                del self._running[job]
                self._free.append(place)
                yield Ending(job, status, attempt.last_line())

    def stop(self) -> None:
        for attempt, _ in self._running.values():
            attempt.stop()
