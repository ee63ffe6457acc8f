"""Stopping long work at Ctrl-C, SIGTERM or the terminal's end, if its state can be kept."""

import signal
import threading
from types import FrameType

SIGNALS = [signal.SIGINT, signal.SIGTERM]
if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # of a terminal that closes; `nohup` has it ignored
    SIGNALS.append(signal.SIGHUP)


class StopRequest:
    """Catches these signals while it is entered, for a loop that asks `requested` between its steps.

    A second signal is handled as before it was entered, for a step that hangs. Outside the main thread, where Python
    takes no signals, it never reports one.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "StopRequest":
        self._previous = {}
        if threading.current_thread() is threading.main_thread():
            self._previous = {s: signal.signal(s, self._note) for s in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            self.__exit__()
            signal.raise_signal(number)
        self.requested = True
