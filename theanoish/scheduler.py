"""A Dask cluster: reaching its scheduler, and what Python its processes have."""

import sys
from typing import Any

from theanoish.errors import InputError

CONNECT_SECONDS = 30.0


def connect(address: str, option: str, package: str) -> Any:
    """A client of the scheduler at `address`, such as ``tcp://host:8786``.

    `option` is how the user named it, `package` what pip is to install where Dask is missing.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(f"{option} needs Dask; install it with: {sys.executable} -m pip install {package}") from error
    try:
        return Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(f"{option} {address}: no Dask scheduler answers there ({error})") from error


def python_version(versions: Any) -> str:
    """Such as "3.12", by what `Client.get_versions` says of one process; of an odd one, none."""
    try:
        return ".".join(versions["host"]["python"].split(".")[:2])
    except (TypeError, KeyError, AttributeError):
        return "of no known version"
