"""Checkpoints: pickles of plain Python values and NumPy arrays, read without running anything they hold."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from theanoish.errors import InputError
from theanoish.files import written_whole

CHECKPOINT, STATE = "theanoish checkpoint", "theanoish state"
VERSION = 1
_PROTOCOL = 4  # the last one in which NumPy pickles every array through the three names below

# what each kind of file must hold, by name and type
_CHECKPOINT_FIELDS = {
    "settings": dict,
    "tags": list,
    "parameters": dict,
    "update": int,
    "validation_auc": float,
    "history": list,
    "data": dict,
    "backend": str,
    "versions": dict,
}
_STATE_FIELDS = {
    "settings": dict,
    "tags": list,
    "parameters": dict,
    "velocities": dict,
    "update": int,
    "history": list,
    "losses": dict,
    "data": dict,
    "backend": str,
    "versions": dict,
}
_FIELDS = {CHECKPOINT: _CHECKPOINT_FIELDS, STATE: _STATE_FIELDS}
_ARRAYS = ("parameters", "velocities")


def save(path: Path, kind: str, values: dict[str, Any]) -> None:
    """Write a checkpoint (`kind` CHECKPOINT) or the state a run resumes from (STATE).

    Parameters
    ----------
    path : Path
    kind : str
    values : dict
        Exactly the fields of that kind.
    """
    _check_fields(values, kind)
    with written_whole(path) as beside:
        beside.write_bytes(pickle.dumps({"format": kind, "version": VERSION, **values}, protocol=_PROTOCOL))


def load(path: Path, kind: str) -> dict[str, Any]:
    """Read what `save` wrote.

    Raises
    ------
    InputError
        Where the file is missing, cut off, of another kind or version, or holds anything but plain values and arrays.
    """
    try:
        with path.open("rb") as file:
            values = _PlainUnpickler(file).load()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise InputError(f"{path}: no {kind}, or a damaged one ({error or type(error).__name__})") from error
    if not isinstance(values, dict) or values.pop("format", None) != kind:
        raise InputError(f"{path}: not a {kind}")
    if values.pop("version", None) != VERSION:
        raise InputError(f"{path}: written by another version of this program, which this one cannot read")
    try:
        _check_fields(values, kind)
    except ValueError as error:
        raise InputError(f"{path}: damaged {kind}: {error}") from error
    return values


def _check_fields(values: dict[str, Any], kind: str) -> None:
    expected = _FIELDS[kind]
    if values.keys() != expected.keys():
        raise ValueError(f"fields {', '.join(sorted(map(str, values.keys() ^ expected.keys())))} missing or unknown")
    for name, type_ in expected.items():
        if type(values[name]) is not type_:
            raise ValueError(f"field '{name}' is of type {type(values[name]).__name__}, not {type_.__name__}")
    for name in _ARRAYS:
        for array in values.get(name, {}).values():
            if not isinstance(array, np.ndarray) or array.dtype != np.float32:
                raise ValueError(f"field '{name}' holds something else than float32 arrays")


class _PlainUnpickler(pickle.Unpickler):
    """Admits what NumPy arrays are made of and no other class or function, so that a file cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _empty_array
        raise InputError(f"holds {module}.{name}, which is neither a plain value nor an array; it was not run")


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    """An array for the unpickler to fill; NumPy writes shape (0,) here and the real one behind."""
    if kind is not np.ndarray or shape != (0,):
        raise ValueError("an array was pickled in an unknown way")
    return np.ndarray.__new__(np.ndarray, (0,), np.int8)
