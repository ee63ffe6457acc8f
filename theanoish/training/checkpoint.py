"""Checkpoints, and the state that a run resumes from: their fields, and files of others that are none.

Parameters and constants are float32 arrays by name, as `theanoish.model.network.Network.values` gives them.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from theanoish.errors import InputError, naming
from theanoish.files import written_whole
from theanoish.model.descent import MEAN
from theanoish.model.network import HIDDEN_UNITS, Network
from theanoish.settings import Settings
from theanoish.training import plain_pickle

CHECKPOINT, STATE = "theanoish checkpoint", "theanoish state"
# Before the last version, arrays named private modules of NumPy. States of version 3 called memory "velocities".
# Checkpoints of version 2, which are not read, held no constants of the start, and parameters by other names.
VERSIONS = {CHECKPOINT: 4, STATE: 5}

# What each kind of file holds: a type, [what each item is], {str: what each value is} or {field: what it is}.
_ENTRY = {"update": int, "loss": float, "validation_auc": float, "silent": {str: float}, "best": bool, "time": float}
_COMMON = {
    "settings": {str: (int, float, str, bool)},
    "tags": [str],
    "parameters": {str: np.ndarray},
    "update": int,
    "history": [_ENTRY],
    "data": {"path": str, "fingerprint": str},
    "initial": str,  # the checkpoint whose parameters the run started from, empty if none
    "backend": str,
    "versions": {str: str},
}
_FIELDS = {
    CHECKPOINT: {**_COMMON, "validation_auc": float, "artists": [str]},  # artists of the training split
    STATE: {**_COMMON, "memory": {str: np.ndarray}, "losses": {"sum": float, "count": int}},
}
_BEGINNING = re.compile(
    rb"\x80\x04(?:\x95.{8})?\}\x94?\(\x8c\x06format\x94?\x8c.(theanoish [a-z]+)\x94?\x8c\x07version\x94?K(.)", re.DOTALL
)


def save(path: Path, kind: str, values: dict[str, Any]) -> None:
    """Write a checkpoint (CHECKPOINT) or what a run resumes from (STATE); `values`: exactly the fields of that kind."""
    _check(values, _FIELDS[kind], "the file")
    with written_whole(path) as beside:
        beside.write_bytes(plain_pickle.dump({"format": kind, "version": VERSIONS[kind], **values}))


def load(path: Path, kind: str) -> dict[str, Any]:
    """Read what `save` wrote.

    Raises
    ------
    InputError
        If the file is missing, cut off, of another kind or version, or holds anything but the fields of its kind.
    """
    if not path.is_file():
        raise InputError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    content = path.read_bytes()
    beginning = _BEGINNING.match(content)
    if not beginning or beginning[1].decode() != kind:
        raise InputError(f"{path}: not a {kind}")
    if not 3 <= (version := beginning[2][0]) <= VERSIONS[kind]:
        raise InputError(
            f"{path}: a {kind} of version {version}, and this program reads version {VERSIONS[kind]}; "
            + ("train again" if version < 3 else "it was written by a later one")
        )
    try:
        values = plain_pickle.load(content)
        del values["format"], values["version"]
        if kind == STATE and version == 3:
            values["memory"] = values.pop("velocities")
        _check(values, _FIELDS[kind], "the file")
    except Exception as error:  # a damaged pickle raises nearly anything
        raise InputError(f"{path}: a damaged {kind}, or written by another program ({str(error)[:200]})") from error
    return values


def load_network(path: Path) -> tuple[dict[str, Any], Network]:
    """A checkpoint and the network it describes, with its parameters.

    Raises
    ------
    InputError
        If the file is no checkpoint or contradicts itself.
    """
    saved = load(path, CHECKPOINT)
    return saved, _network_of(path, saved, saved["parameters"])


def load_last(path: Path) -> tuple[dict[str, Any], Network]:
    """A run's state and its network with the last parameters, averaged if the run averages.

    Raises
    ------
    InputError
        If the file is no state or contradicts itself.
    """
    saved = load(path, STATE)
    means = {name.removesuffix(MEAN): mean for name, mean in saved["memory"].items() if name.endswith(MEAN)}
    return saved, _network_of(path, saved, saved["parameters"] | means)


def _network_of(path: Path, saved: dict[str, Any], parameters: dict[str, Any]) -> Network:
    tags, weights = len(saved["tags"]), parameters.get("output/weights")
    with naming(path):
        if weights is None or weights.shape != (HIDDEN_UNITS, tags):  # before there is a network of that many
            raise InputError(f"its output layer is not one of {tags} tags")
        network = Network(Settings.from_dict(saved["settings"]), tags)
        network.set_values(parameters)
    return network


def _check(value: Any, expected: Any, field: str) -> None:
    """Raise ValueError if `value` is something else than `expected`, one of the forms of `_COMMON`."""
    if isinstance(expected, list):
        _check_type(value, (list,), field)
        for item in value:
            _check(item, expected[0], f"an item of {field}")
    elif isinstance(expected, dict):
        _check_type(value, (dict,), field)
        if str in expected:
            expected = dict.fromkeys(value, expected[str])
        if different := sorted(value.keys() ^ expected.keys()):
            raise ValueError(f"{field} {'has' if different[0] in value else 'lacks'} {different[0][:30]!r}")
        for name, inside in expected.items():
            _check(value[name], inside, f"{name[:30]!r} of {field}")
    else:
        _check_type(value, expected if isinstance(expected, tuple) else (expected,), field)


def _check_type(value: Any, types: tuple[type, ...], field: str) -> None:
    good = type(value) in types
    if type(value) is int:
        good = good and abs(value) < 2**63
    elif type(value) is float:
        good = good and abs(value) < 3.4e38  # as float32 has; false for NaN
    elif type(value) is np.ndarray:
        good = good and value.dtype == np.float32
    if not good:
        names = " or ".join("float32 array" if t is np.ndarray else t.__name__ for t in types)
        raise ValueError(f"{field} is no proper {names}")
