"""Running the cells of a sweep: several at once, taken up again if they die, kept from other sweeps."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from theanoish.errors import InputError
from theanoish.experiments.cells import Cell
from theanoish.experiments.workers import Runner
from theanoish.files import lock
from theanoish.interrupt import StopRequest

FATAL_DEATHS = 3  # of the processes of one cell: then the cell is at fault rather than the machine
_LOOK_SECONDS = 0.2
_BUSY_SECONDS = 5.0  # until a cell that another process has is tried again


@dataclass(frozen=True)
class Event:
    """What is heard of a sweep.

    A cell has "finished" or "failed"; it has "stopped" as it was asked to, its state on disk; it has "died", or its
    place is "lost", and it is taken up again; it is "busy" in another process, which is waited for; or all are
    "waiting" for a place.
    """

    cell: Cell | None  # the one it is about
    state: str
    reason: str = ""


def run_cells(
    cells: Sequence[Cell], stop: StopRequest, new_places: Callable[[], Sequence[Runner]]
) -> Iterator[list[Event]]:
    """Run cells until each is finished or has failed, one at a time at each place.

    Parameters
    ----------
    cells : sequence of Cell
    stop : StopRequest
        Once requested, running cells save their state and stop, and no others begin.
    new_places : callable
        Places that have come since it was last asked, several times a second; no cell can go on if it raises OSError.

    Yields
    ------
    list of Event
        What has happened, several times a second; often nothing.
    """
    work, threads, waits = _Work(cells), list[threading.Thread](), False
    try:
        while not (work.over and not any(thread.is_alive() for thread in threads)):
            if stop.requested:
                work.stopped.set()
            new = [threading.Thread(target=work.do, args=(each,), daemon=True) for each in new_places()]
            for thread in new:
                thread.start()  # as a daemon, since one that hangs is left behind
            threads = [thread for thread in [*threads, *new] if thread.is_alive()]
            waited, waits = waits, not threads and not work.over
            said = [Event(None, "waiting", "no worker is left; one is waited for")] if waits and not waited else []
            yield [*(work.news.get() for _ in range(work.news.qsize())), *said]
            time.sleep(_LOOK_SECONDS)
        yield [work.news.get() for _ in range(work.news.qsize())]
    except OSError as error:
        yield [Event(cell, "failed", str(error)) for cell in work.left]
    finally:
        work.stopped.set()  # if the consumer gives up, too


class _Work:
    """The cells that are neither finished nor failed, shared by a thread per place."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.left, self.news, self.stopped = list(cells), SimpleQueue[Event](), threading.Event()
        self._waiting, self._lock = list(cells), threading.Lock()
        self._deaths: Counter[Cell] = Counter()
        self._not_before: dict[Cell, float] = {}  # of cells that are busy

    @property
    def over(self) -> bool:
        return not self.left or self.stopped.is_set()

    def do(self, runner: Runner) -> None:
        """Run one cell after the other at a place."""
        state = ""
        while not self.over and state != "lost":
            if (cell := self._next()) is None:
                time.sleep(_LOOK_SECONDS)
                continue
            state, reason = self._run(cell, runner)
            if state != "busy" or cell not in self._not_before:  # that is said once
                self.news.put(Event(cell, state, reason))
            if state == "busy":
                self._not_before[cell] = time.monotonic() + _BUSY_SECONDS
            if state in ("died", "lost", "busy"):
                self._waiting.insert(0, cell)
            else:
                self.left.remove(cell)

    def _next(self) -> Cell | None:
        with self._lock:
            ready = (cell for cell in self._waiting if self._not_before.get(cell, 0.0) < time.monotonic())
            if cell := next(ready, None):
                self._waiting.remove(cell)
            return cell

    def _run(self, cell: Cell, runner: Runner) -> tuple[str, str]:
        """Run a cell, and keep other sweeps from it meanwhile; state and reason of what has come of it."""
        busy = f"{cell.folder}: another sweep has this cell"
        try:
            cell.folder.mkdir(parents=True, exist_ok=True)
            with lock(cell.folder / "sweep.lock", busy):
                if cell.finished:  # the other sweep has finished it
                    return "finished", ""
                status, line = runner(cell.commands(), cell.log, self.stopped.is_set)
        except ConnectionError as error:
            return "lost", str(error)
        except (InputError, OSError) as error:  # such as a full disk
            return "busy" if str(error) == busy else "failed", str(error)
        except Exception as error:  # a fault of this program, which must not leave the cell without an end
            return "failed", repr(error)
        if status == 0:
            return ("finished", "") if cell.finished else ("failed", "left no test.json and test.npz that can be read")
        if status == 2 and "another process" in line:  # such as a train.py that someone has started by hand
            return "busy", ""
        if status in (1, 2):
            return "failed", re.sub(r"^\w+\.py: error: ", "", line)
        if self.stopped.is_set():
            return "stopped", ""
        self._deaths[cell] += 1
        if self._deaths[cell] == FATAL_DEATHS:
            return "failed", f"its process died {FATAL_DEATHS} times, the last time with exit status {status}"
        return "died", f"exit status {status}"
