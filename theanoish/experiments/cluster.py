"""An existing Dask cluster as the place where cells run; its workers see the same files under the same paths."""

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from theanoish import scheduler
from theanoish.errors import InputError
from theanoish.experiments.cells import CLONE
from theanoish.experiments.workers import Runner
from theanoish.scheduler import python_version

_FIRST_SECONDS = 30.0  # until a worker must have come that can take cells
_POLL_SECONDS = 0.5
_GONE = (OSError, RuntimeError, AttributeError)  # what a client raises whose scheduler is gone, by how long it is


def connect(address: str) -> Any:
    """A client of the scheduler at `address`, such as ``tcp://host:8786``."""
    what = f"--editable '{CLONE}[cluster]'" if CLONE else "'theanoish[cluster]'"
    return scheduler.connect(address, "--scheduler", what)


class Cluster:
    """The workers of a Dask cluster, with one cell at each of their threads.

    Only workers that have this Python and this very version of the package get cells. What is sent to them are
    functions by value, so that the scheduler, and the workers that lack the package, need not have it.

    Parameters
    ----------
    client : distributed.Client
    say : callable
        Called with a line for each worker that gets none.
    """

    def __init__(self, client: Any, say: Callable[[str], None]) -> None:
        from distributed import Event as Flag

        self._client, self._say, self._sweep = client, say, f"theanoish-{uuid.uuid4().hex}"
        self._asked = Flag(self._sweep, client=client)
        self._there, self._used = set[str](), False  # workers that are there; whether any was fit
        self._objections: dict[str, str] = {}  # to each worker that has answered; empty for those that get cells

    def new_places(self) -> list[Runner]:
        """Those of workers that have come since it was last asked.

        At first it waits half a minute for one, and ends if none is fit.

        Raises
        ------
        ConnectionError
            If the scheduler is gone.
        """
        deadline = time.monotonic() + _FIRST_SECONDS
        while True:
            try:
                threads = self._client.nthreads()
                new = [worker for worker in threads if worker not in self._objections]
                answers = self._ask(new) if new else {}  # who does not answer yet is asked again
            except _GONE as error:
                raise ConnectionError("the cluster's scheduler is gone") from error
            self._there = set(threads)
            self._objections |= answers
            for worker in filter(answers.get, answers):
                self._say(f"{worker} gets no cells: {answers[worker]}")
            fit = [worker for worker, objection in answers.items() if not objection]
            if self._used or fit:
                self._used = True
                return [partial(self._run, worker) for worker in fit for _ in range(threads[worker])]
            if self._objections or time.monotonic() > deadline:
                why = "; ".join(self._objections.values()) or "the cluster has none"
                raise InputError(f"--scheduler: looking for a worker failed: {why}")
            time.sleep(_POLL_SECONDS)

    def _ask(self, workers: list[str]) -> dict[str, str]:
        """What stands against these workers, as far as they answer.

        What Python they have the scheduler knows, and so only those that can read our byte code are asked the rest:
        that of another version ends theirs with a signal.
        """
        versions = self._client.get_versions()
        pythons = {
            worker: python_version(versions["workers"][worker]) for worker in workers if worker in versions["workers"]
        }
        here = python_version(versions["client"])
        refused = {worker: f"it has Python {its}, not {here}" for worker, its in pythons.items() if its != here}
        readers = [worker for worker in pythons if worker not in refused]
        ours = sources()

        def objection() -> str:
            try:
                from theanoish.experiments.cluster import sources
            except ImportError as error:
                return f"theanoish cannot be imported there ({error})"
            return "" if sources() == ours else "it has another version of theanoish"

        answers = self._client.run(objection, workers=readers, on_error="return") if readers else {}
        return refused | {w: answer if isinstance(answer, str) else repr(answer) for w, answer in answers.items()}

    def _run(
        self, worker: str, commands: Sequence[Sequence[str]], log: Path, stop: Callable[[], bool]
    ) -> tuple[int, str]:
        """As `run_here`, in a worker."""

        def theanoish_cell(commands: Sequence[Sequence[str]], log: Path, flag: str) -> tuple[int, str]:
            from distributed import Event, get_worker

            from theanoish.experiments.workers import run_here

            worker, asked = get_worker(), Event(flag)
            task = worker.state.tasks[worker.get_current_task()]

            def unwanted() -> bool:
                with suppress(*_GONE):
                    return asked.is_set() or task.state == "cancelled"  # as it is once its client has died
                return True

            return run_here(commands, log, unwanted)

        future = self._client.submit(theanoish_cell, commands, log, self._sweep, pure=False, workers=[worker])
        while not future.done() and worker in self._there:
            if stop():
                with suppress(*_GONE):  # then it stops by itself
                    self._asked.set()
            time.sleep(_POLL_SECONDS)
        if future.status == "error":
            return 1, f"{worker}: {future.exception()!r}"
        if future.status != "finished":
            future.cancel()
            raise ConnectionError(f"the worker {worker} is gone")
        status, line = future.result()
        return int(status), str(line)


def sources() -> str:
    """A fingerprint of the package, in a clone or installed."""
    package = Path(__file__).resolve().parents[1]
    files = {file.relative_to(package).as_posix(): file for file in package.rglob("*.py")}
    parts = [name.encode() + file.read_bytes() for name, file in sorted(files.items()) if name[:8] != "scripts/"]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
