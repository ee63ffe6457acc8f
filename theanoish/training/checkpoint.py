"""Checkpoints: pickles of plain Python values and NumPy arrays, read without running anything they hold."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.errors import InputError
from theanoish.files import written_whole

CHECKPOINT, STATE = "theanoish checkpoint", "theanoish state"
VERSION = 2  # 1 held filters in another layout
_PROTOCOL = 4  # the last one in which NumPy pickles every array through the three names below

# what each kind of file must hold, by name and type
_CHECKPOINT_FIELDS = {
    "settings": dict,
    "tags": list,
    "artists": list,
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
_DATA_FIELDS = {"path": str, "fingerprint": str}
_LOSSES_FIELDS = {"sum": float, "count": int}
_HISTORY_FIELDS = {"update": int, "loss": float, "validation_auc": float, "best": bool, "time": float}
_ARRAYS = {"parameters", "velocities"}


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
        raise InputError(f"{path}: no {kind}, or a damaged one") from error
    if not isinstance(values, dict) or values.pop("format", None) != kind:
        raise InputError(f"{path}: not a {kind}")
    if values.pop("version", None) != VERSION:
        raise InputError(f"{path}: written by another version of this program, which this one cannot read")
    for name in _ARRAYS & values.keys():
        if isinstance(values[name], dict):
            values[name] = {str(key): getattr(array, "values", None) for key, array in values[name].items()}
    try:
        _check_fields(values, kind)
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path}: damaged {kind}: {error}") from error
    return values


def _check_fields(values: dict[str, Any], kind: str) -> None:
    _check_types(values, _FIELDS[kind])
    _check_types(values["data"], _DATA_FIELDS)
    if "losses" in values:
        _check_types(values["losses"], _LOSSES_FIELDS)
    for entry in values["history"]:
        _check_types(entry, _HISTORY_FIELDS)
    for name in {"tags", "artists"} & values.keys():
        if not all(type(entry) is str for entry in values[name]):
            raise ValueError(f"field '{name}' holds something else than names")
    for name in _ARRAYS & values.keys():
        for array in values[name].values():
            if not isinstance(array, np.ndarray) or array.dtype != np.float32:
                raise ValueError(f"field '{name}' holds something else than float32 arrays")


def _check_types(values: dict[str, Any], expected: Mapping[str, type]) -> None:
    if values.keys() != expected.keys():
        raise ValueError(f"fields {', '.join(sorted(map(str, values.keys() ^ expected.keys())))} missing or unknown")
    for name, type_ in expected.items():
        if type(values[name]) is not type_:
            raise ValueError(f"field '{name}' is of type {type(values[name]).__name__}, not {type_.__name__}")


class _PlainUnpickler(pickle.Unpickler):
    """Admits float32 arrays and no other class or function, so that a file cannot run code.

    Not even NumPy's own: told that an array's bytes are objects, it would take them for addresses.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return None  # only ever an argument of _reconstruct
        if (module, name) == ("numpy", "dtype"):
            return _Float32
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _Array
        raise InputError(f"holds {module}.{name}, which is neither a plain value nor an array; it was not run")


class _Float32:
    """Takes the place of a pickled dtype."""

    def __init__(self, code: str, align: bool, copy: bool) -> None:
        if code != "f4":
            raise InputError("an array in it is not of float32")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state != (3, "<", None, None, None, -1, -1, 0):
            raise InputError("an array in it is not of float32")


class _Array:
    """Takes the place of a pickled array until its bytes are known."""

    values: NDArray[np.float32] | None = None

    def __init__(self, kind: None, shape: tuple[int, ...], code: bytes) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, column_major, data = state
        if type(dtype) is not _Float32:
            raise InputError("an array in it is not of float32")
        self.values = np.frombuffer(data, "<f4").reshape(shape, order="F" if column_major else "C").copy()
