"""An existing Dask cluster as the place where cells run; its workers see the same files under the same paths."""

import hashlib
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from theanoish.errors import InputError
from theanoish.experiments.cells import Job
from theanoish.experiments.workers import DIED, Attempt, Place

_CONNECT_SECONDS = 10.0
_POLL_SECONDS = 0.5
_GONE = (OSError, RuntimeError, AttributeError)  # what a client raises whose scheduler is gone, by how long it is


def connect(address: str) -> Any:
    """A client of the scheduler at `address`, such as ``tcp://host:8786``.

    Raises
    ------
    InputError
        If dask.distributed is not installed or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--scheduler needs Dask; install it with: python -m pip install -e '.[cluster]'") from error
    try:
        return Client(address, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(f"--scheduler {address}: no Dask scheduler answers there ({error})") from error


class Cluster:
    """The workers of a Dask cluster, with one cell at each of their threads.

    Only workers that have this Python and this very version of the package get cells. What is sent to them are
    functions by value, so that the scheduler, and the workers that lack the package, need not have it.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Any) -> None:
        from distributed import Event as Flag

        self._client, self._sweep = client, f"theanoish-{uuid.uuid4().hex}"
        self._asked = Flag(self._sweep, client=client)
        self._objections: dict[str, str] = {}  # to each worker seen so far; empty for those that get cells
        self._threads: dict[str, int] = {}
        self._running: dict[Any, tuple[Job, str]] = {}
        self._waits_for = ""

    def look(self) -> list[str]:
        try:
            threads = self._client.nthreads()
            new = [worker for worker in threads if worker not in self._objections]
            self._objections |= self._ask(new) if new else {}
            new = [worker for worker in new if worker in self._objections]  # others are asked once they answer
        except _GONE as error:
            raise ConnectionError("the cluster's scheduler is gone") from error
        self._threads = {worker: count for worker, count in threads.items() if self._objections.get(worker) == ""}
        said = [f"{worker} gets no cells: {self._objections[worker]}" for worker in new if self._objections[worker]]
        waits_for = ""
        if not self._threads:
            count = len(threads)
            waits_for = f"none of the cluster's {count} can take a cell" if count else "the cluster has none"
        if waits_for and waits_for != self._waits_for:
            said.append(f"waiting for a worker: {waits_for}")
        self._waits_for = waits_for
        return said

    def _ask(self, workers: list[str]) -> dict[str, str]:
        """What stands against these workers, as far as they answer.

        What Python they have the scheduler knows, and so only those that can read our byte code are asked the rest:
        that of another version ends theirs with a signal.
        """
        versions = self._client.get_versions()
        pythons = {worker: _python(versions["workers"][worker]) for worker in workers if worker in versions["workers"]}
        here = _python(versions["client"])
        refused = {worker: f"it has Python {its}, not {here}" for worker, its in pythons.items() if its != here}
        readers = [worker for worker in pythons if worker not in refused]
        return refused | (self._ask_for_sources(readers) if readers else {})

    def _ask_for_sources(self, workers: list[str]) -> dict[str, str]:
        ours = _sources()

        def objection() -> str:
            try:
                from theanoish.experiments.cluster import _sources
            except ImportError as error:
                return f"theanoish cannot be imported there ({error})"
            return "" if _sources() == ours else "it has another version of theanoish"

        answers = self._client.run(objection, workers=workers, on_error="return")
        return {worker: answer if isinstance(answer, str) else repr(answer) for worker, answer in answers.items()}

    def _busy(self) -> Counter[str]:
        return Counter(worker for _, worker in self._running.values())

    def room(self) -> bool:
        busy = self._busy()
        return any(busy[worker] < count for worker, count in self._threads.items())

    def start(self, job: Job) -> None:
        def theanoish_cell(commands: Sequence[Sequence[str]], log: str, flag: str) -> tuple[int, str]:
            from theanoish.experiments.cluster import run_as_task

            return run_as_task(commands, log, flag)

        busy = self._busy()
        worker = max(self._threads, key=lambda worker: self._threads[worker] - busy[worker])
        arguments = (job.commands(), str(job.log), self._sweep)
        future = self._client.submit(theanoish_cell, *arguments, pure=False, workers=[worker])
        self._running[future] = job, worker

    def ended(self) -> Iterator[tuple[Job, int, str]]:
        for future, (job, worker) in list(self._running.items()):
            lost = worker not in self._threads
            if not (future.done() or lost):
                continue
            del self._running[future]
            if future.status == "finished":
                yield job, *future.result()
            elif future.status == "error":
                yield job, 1, f"{worker}: {future.exception()!r}"
            else:
                future.cancel()
                yield job, DIED, ""

    def stop(self) -> None:
        with suppress(*_GONE):  # then they stop by themselves
            self._asked.set()


def run_as_task(commands: Sequence[Sequence[str]], log: str, flag: str) -> tuple[int, str]:
    """Run the scripts of a cell in a Dask worker, until they end, `flag` is set or nobody waits for them any more.

    Returns
    -------
    int, str
        Exit status of the last script, and the last line they printed.
    """
    from distributed import Event as Flag
    from distributed import get_worker

    worker, asked = get_worker(), Flag(flag)
    task = worker.state.tasks[worker.get_current_task()]
    attempt = Attempt(commands, Path(log), Place())
    while (status := attempt.poll()) is None:
        time.sleep(_POLL_SECONDS)
        try:
            unwanted = asked.is_set() or task.state == "cancelled"  # as it is once its client has died
        except _GONE:
            unwanted = True
        if unwanted:
            attempt.stop()
    return status, attempt.last_line()


def _python(versions: dict[str, Any]) -> str:
    """Version of Python, such as "3.12", by what `Client.get_versions` says of one process."""
    return ".".join(versions["host"]["python"].split(".")[:2])


def _sources() -> str:
    """A fingerprint of the package and of the scripts of a cell."""
    from theanoish.experiments.cells import SCRIPTS

    files = [*sorted(SCRIPTS.glob("theanoish/**/*.py")), SCRIPTS / "train.py", SCRIPTS / "evaluate.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
