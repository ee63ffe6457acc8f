"""Songs tagged by the workers of a Dask cluster, which see the same files under the same paths."""

import pickle
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from theanoish import scheduler
from theanoish.errors import InputError, listed
from theanoish.scheduler import python_version
from theanoish.tagging.songs import SONGS_AHEAD, Failure, read_or_explain
from theanoish.tagging.tagger import Tagger
from theanoish.tagging.taggram import Taggram

_SECONDS = 30.0  # until a worker must have come


def tag_at(address: str, tagger: Tagger, paths: Iterable[Path], hop: float) -> Iterator[Taggram | Failure]:
    """As `tag_on_cluster`, with the scheduler at `address`, such as ``tcp://host:8786``.

    Raises
    ------
    InputError
        If dask.distributed is not installed, or no scheduler answers.
    """
    with scheduler.connect(address, "--dask", "distributed") as client:
        yield from tag_on_cluster(client, tagger, paths, hop)


def tag_on_cluster(client: Any, tagger: Tagger, paths: Iterable[Path], hop: float) -> Iterator[Taggram | Failure]:
    """The taggrams of songs, in their order, decoded and computed by the workers of a `distributed.Client`.

    Raises
    ------
    InputError
        If there is no worker, or one has another Python or theanoish, or the scheduler goes.
    """
    from distributed import KilledWorker

    _check_workers(client)

    def theanoish_song(pickled: bytes, path: str, hop: float) -> Taggram | Failure:  # sent by value: the scheduler
        from theanoish.tagging.cluster import tag_here, tagger_of  # need not have the package

        return tag_here(tagger_of(pickled), path, hop)

    pickled = pickle.dumps(tagger)  # with each song: of what is scattered, all copies but one are soon let go

    def start(path: Path) -> Any:
        return client.submit(theanoish_song, pickled, str(path.absolute()), hop, pure=False)

    def result(path: Path, future: Any) -> Taggram | Failure:
        with suppress(KilledWorker):  # as several of its workers were, by it or by what waited there with it
            return replace(future.result(), path=path)
        try:
            return replace(start(path).result(), path=path)
        except KilledWorker:
            return Failure(path, "the worker that decodes it dies, perhaps for want of memory")

    waiting = deque[tuple[Path, Any]]()
    try:
        for path in paths:
            while len(waiting) >= SONGS_AHEAD * max(1, sum(client.nthreads().values())):
                yield result(*waiting.popleft())
            waiting.append((path, start(path)))
        while waiting:
            yield result(*waiting.popleft())
    except (CancelledError, OSError) as error:
        raise InputError("the cluster's scheduler is gone; start it and its workers, and try again") from error
    finally:
        for _, future in waiting:
            future.cancel()


@lru_cache(maxsize=1)
def tagger_of(pickled: bytes) -> Any:
    """The tagger that a worker was sent, unpickled and compiled once for all songs."""
    return pickle.loads(pickled)


def tag_here(tagger: Tagger, path: str, hop: float) -> Taggram | Failure:
    """What a worker does with a song."""
    song = read_or_explain(Path(path), tagger.representation)
    return song if isinstance(song, Failure) else tagger.listen(song, hop)


def _check_workers(client: Any) -> None:
    try:
        client.wait_for_workers(1, timeout=_SECONDS)
    except TimeoutError as error:
        raise InputError(f"the cluster has no worker after {_SECONDS:.0f} s; start one with: dask worker") from error
    said = client.get_versions()
    pythons = {worker: _python(there) for worker, there in said["workers"].items()}
    if others := {worker: its for worker, its in pythons.items() if its != _python(said["client"])}:
        raise _unfit(others, _python(said["client"]))  # nothing is sent to them: code of ours would end theirs

    def version() -> str:
        import theanoish

        return f"theanoish {theanoish.__version__}"

    answers = client.run(version, on_error="return")
    if others := {worker: str(its) for worker, its in answers.items() if its != version()}:
        raise _unfit(others, version())


def _python(versions: Any) -> str:
    return f"Python {python_version(versions)}"


def _unfit(others: dict[str, str], here: str) -> InputError:
    places = listed([f"{worker}: {its}" for worker, its in others.items()])
    return InputError(f"here is {here}; start these workers from the same environment:{places}")
