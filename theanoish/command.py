"""How every script begins and ends, and prints.

Exit status 2 and one line: input that cannot be used, a full disk, too little memory. 130: Ctrl-C or SIGTERM, from the
script's first line to its last. A traceback means a fault of this program.
"""

import argparse
import atexit
import errno
import io
import os
import signal
import stat
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from theanoish.errors import InputError
from theanoish.interrupt import SIGNALS
from theanoish.machine import cache_folder, processor
from theanoish.weights import checkpoint_at

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]  # that a terminal obeys
_ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in _CONTROLS}


_before: list[tuple[Any, ...]] = []  # what the process was like before its script began


def _state() -> tuple[Any, ...]:
    environment = {name: os.environ.get(name) for name in ("MATPLOTLIBRC", "MPLBACKEND")}
    handlers = [signal.getsignal(number) for number in SIGNALS]
    return handlers, environment, sys.stdout, sys.stderr, sys.excepthook, sys.unraisablehook


def _restore(state: tuple[Any, ...]) -> None:
    """As it was, for a process that lives on behind its script, as IPython does behind %run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Printed):
            stream.detach()  # it would close what it writes to when it goes
    handlers, environment, sys.stdout, sys.stderr, sys.excepthook, sys.unraisablehook = state
    for number, handler in zip(SIGNALS, handlers, strict=True):
        if handler is not None:  # which would not be Python's
            signal.signal(number, handler)
    for name, value in environment.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def begin_script() -> None:
    """Before the imports of a script, which take seconds: nothing is to be kept yet if they are interrupted or fail."""
    _before[:] = [_state()]
    for number in SIGNALS:
        signal.signal(number, _end_at_once)
    for descriptor in (0, 1, 2):  # a closed one would be the number of the next file that is opened
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    os.environ |= {"MATPLOTLIBRC": os.devnull, "MPLBACKEND": "agg"}  # a user's may need LaTeX, or a package not here
    _keep_compiled()
    atexit.register(_ignore_signals)
    sys.excepthook = _end_with_message


def _keep_compiled() -> None:
    """Have JAX keep what it compiles in the user's cache folder, unless the environment names another.

    One folder for each kind of processor, as compiled code may not run on another one that shares the home folder.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    with suppress(OSError, RuntimeError):  # of a folder that cannot be written: then everything is compiled each time
        folder = cache_folder() / "jax" / processor()
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
            os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


def run_script(main: Callable[[], int]) -> int:
    """Run the `main` of a script and turn the failures that its user can mend into a message.

    At the first signal `main` sees a KeyboardInterrupt; the second ends the process at once.

    Returns
    -------
    int
        The exit status.
    """
    interrupted = False
    before = _before.pop() if _before else _state()

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        for each in SIGNALS:
            signal.signal(each, _end_at_once)
        raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, interrupt)
    sys.unraisablehook = _end_if_interrupted
    sys.stdout, sys.stderr = _Printed.instead_of(sys.stdout, _ESCAPES), _Printed.instead_of(sys.stderr, {})
    try:
        status = main()
        if sys.stdout:
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        if interrupted or isinstance(error, KeyboardInterrupt):  # libraries make other exceptions of it
            print(f"{_name()}: stopped", file=sys.stderr)
            return 130
        message = _message(error)
        if message is None:
            raise
        print(f"{_name()}: error: {message}", file=sys.stderr)
        return 2
    finally:
        _restore(before)
    return status


def positive(text: str) -> int:
    """A whole number above 0; for argparse's `type`."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


def user_path(text: str) -> Path:
    """A path as a user gives it, `~` being the home folder; for argparse's `type`."""
    if not text:
        raise argparse.ArgumentTypeError("an empty text names no file or folder")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text}: there is no such home folder") from error


def checkpoint_path(text: str) -> Path:
    """The path of a checkpoint that a file, a run folder or a name of our own weights stands for; for argparse."""
    return checkpoint_at(user_path(text))


def escaped(text: str) -> str:
    """Text from a file on one line, its control characters as escapes, which a terminal would obey."""
    return text.translate(_ESCAPES)


@contextmanager
def progress(title: str = "") -> Iterator[Callable[[str, int, int], None]]:
    """Bars with the time left, one for each thing that is counted; a line now and then if no terminal shows them.

    Parameters
    ----------
    title : str
        Printed, on a terminal or not, once there is something to count.
    """
    from tqdm import tqdm  # which a script must not wait for before it can be interrupted

    bars: dict[str, tqdm[Any]] = {}
    said = time.monotonic()
    with ExitStack() as opened:

        def update(what: str, done: int, total: int) -> None:
            nonlocal said
            if title and not bars:
                print(title, file=sys.stderr)
            if what not in bars:
                bars[what] = opened.enter_context(tqdm(total=total, unit=f" {what}", disable=None, leave=False))
            bars[what].update(done - bars[what].n)
            if bars[what].disable and time.monotonic() - said > 30:
                said = time.monotonic()
                print(f"{done} of {total} {what}", file=sys.stderr)

        yield update


def _message(error: BaseException) -> str | None:
    """What to tell the user; None if the program is at fault."""
    if isinstance(error, InputError):
        return "\n".join(map(escaped, str(error).split("\n")))  # some list the places of a fault
    if isinstance(error, ImportError):
        return escaped(f"{error}; {_remedy()}")
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return escaped(f"{where}{error.strerror or error}")
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):  # the latter by JAX, of a GPU's
        return escaped(f"not enough memory {str(error)[:200]}".strip())
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    imported = [frame.f_globals["__name__"].partition(".")[0] for frame in frames if frame.f_code.co_name == "<module>"]
    if imported and imported[-1] not in ("__main__", "theanoish"):
        what = f"{imported[-1]} cannot be imported ({type(error).__name__}: {error})"
        return escaped(f"{what}; see to its environment variables and settings files")
    return None


def _remedy() -> str:
    """How to install what is missing; Debian, Ubuntu and Homebrew refuse to where Python is their own."""
    clone = Path(__file__).resolve().parents[1]
    if not (clone / "pyproject.toml").exists():
        return f"install theanoish's wheel again, with what it needs, by {sys.executable} -m pip install"
    if sys.prefix != sys.base_prefix:
        return f"install what it needs with: {sys.executable} -m pip install --editable {clone}"
    return (
        f"install what it needs with: {sys.executable} -m venv {clone}/.venv && "
        f"{clone}/.venv/bin/python -m pip install --editable {clone}; then use {clone}/.venv/bin/python"
    )


def _name() -> str:
    return Path(sys.argv[0]).name


def _end_at_once(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, f"{_name()}: stopped\n".encode())
    os._exit(130)


def _ignore_signals() -> None:
    """Once all is done: what Python still clears away must not change the exit status."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end_with_message(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    message = _message(error)
    if message is None:
        sys.__excepthook__(kind, error, trace)
        return
    print(f"{_name()}: error: {message}", file=sys.stderr, flush=True)
    os._exit(2)


def _end_if_interrupted(unraisable: Any) -> None:
    """Python drops exceptions in destructors and the like; an interrupt must not be lost there."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _end_at_once(signal.SIGINT, None)
    sys.__unraisablehook__(unraisable)


class _Printed(io.TextIOWrapper):
    """Standard output or error that takes any text, and goes on in silence once its reader has gone, as `head` does."""

    escapes: dict[int, str]
    replaced: Any

    @classmethod
    def instead_of(cls, stream: Any, escapes: dict[int, str]) -> Any:
        """The same stream, but for what is escaped in it; new lines and tabulators never are."""
        if not isinstance(stream, io.TextIOWrapper):  # closed, or a test's
            return stream
        by_line = stream.line_buffering or stream.write_through  # the latter with PYTHONUNBUFFERED
        printed = cls(stream.buffer, stream.encoding, "backslashreplace", line_buffering=by_line)
        printed.replaced = stream  # which would close the buffer if it went
        printed.escapes = {code: escape for code, escape in escapes.items() if chr(code) not in "\n\t"}
        return printed

    def write(self, text: str) -> int:
        try:
            return super().write(text.translate(self.escapes))
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        there = os.fstat(self.fileno())
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())  # or Python would complain at its end
        gone = error.errno == errno.EIO and stat.S_ISCHR(there.st_mode)  # a terminal that was closed
        if not isinstance(error, BrokenPipeError) and not gone:
            error.filename = "standard output"
            raise error
