"""How every script ends: 2 and one line for input that cannot be used, 130 for Ctrl-C and SIGTERM."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from theanoish.errors import InputError


def run_script(main: Callable[[], int]) -> int:
    """Run the `main` of a script and turn the failures that its user can mend into a message.

    Any other exception passes: a traceback means a fault of this program.

    Returns
    -------
    int
        The exit status.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = Path(sys.argv[0]).name
    try:
        return main()
    except (InputError, OSError) as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return 130


def user_path(text: str) -> Path:
    """A path as a user gives it, `~` being the home folder; for argparse's `type`."""
    return Path(text).expanduser()
