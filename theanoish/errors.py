"""What a user gave and cannot be used: scripts end with the message and exit status 2.

All of the library raises InputError for it; docstrings name only what else is raised, or what is not plain from the
function's purpose.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class InputError(Exception):
    """Something the user gave cannot be used.

    The message names the file, the field and what to do, since it is all that the user sees.
    """


class MissingFileError(InputError, FileNotFoundError):
    """A file that is not there, for programs that catch what Python raises then."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the name of the file that a value comes from before the message of an InputError."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def typed(name: str) -> str:
    """What a user types for another command, such as "train", after the way that this program was started."""
    script = Path(sys.argv[0]).parent / ("preprocess/build_h5.py" if name == "build" else f"{name}.py")
    ours = script.is_file() and script.resolve().is_relative_to(Path(__file__).resolve().parents[1])
    return f"{sys.executable} {script}" if ours else f"{sys.executable} -m theanoish {name}"


_LISTED = 10  # places at most


def listed(places: Sequence[str]) -> str:
    """The first of many places, a line each, below what is said of them."""
    more = [f"and {len(places) - _LISTED} more"] if len(places) > _LISTED else []
    return "".join(f"\n  {place}" for place in [*places[:_LISTED], *more])
