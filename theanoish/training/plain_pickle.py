"""A small part of pickle: plain values and float32 arrays, in files that any `pickle.load` with any NumPy reads.

Python's own reader runs what a file tells it to, and even with all classes forbidden a short file can ask it for
endless time and memory, by values that refer to others. Files are written here without references, and the reader
knows no other opcodes than theirs: it has nothing to call, and takes time and memory in proportion to the file.
"""

import io
import pickle
import pickletools
from typing import Any

import numpy as np

_PROTOCOL = 4
_VALUES = {
    "SHORT_BINUNICODE", "BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

# Arrays of earlier files are calls of NumPy's private functions, which the reader replaces by these.
_FLOAT32, _EARLIER_ARRAY = object(), object()
_FLOAT32_STATE = (3, "<", None, None, None, -1, -1, 0)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """An array as a call of `numpy.ndarray`: by itself it names functions that other versions of NumPy lack."""
        if not isinstance(value, np.ndarray):
            return NotImplemented
        return np.ndarray, (value.shape, value.dtype.str, bytearray(value.tobytes()))


def dump(values: Any) -> bytes:
    """Pickle dicts, lists, str, int, float, bool, None and float32 arrays."""
    file = io.BytesIO()
    pickler = _Pickler(file, _PROTOCOL)
    pickler.fast = True  # no references
    pickler.dump(values)
    return file.getvalue()


def load(content: bytes) -> Any:
    """What `dump` pickled.

    Raises
    ------
    Exception
        Of any class if `content` is something else.
    """
    stack: list[Any] = []
    marks: list[int] = []

    def pop(count: int | None = None) -> list[Any]:
        """The last `count` values; those since the last mark if there is none."""
        first = marks.pop() if count is None else len(stack) - count
        items = stack[first:]
        del stack[first:]
        return items

    for opcode, argument, _ in pickletools.genops(content):
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                marks.append(len(stack))
            case name if name in _VALUES:
                stack.append(_readable(argument))
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case name if name in _TUPLES:
                stack.append(tuple(pop(_TUPLES[name])))
            case "TUPLE":
                stack.append(tuple(pop()))
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "APPEND" | "APPENDS" as name:
                items = pop(1 if name == "APPEND" else None)
                _last(stack, list).extend(items)
            case "SETITEM" | "SETITEMS" as name:
                items = pop(2 if name == "SETITEM" else None)
                if not all(type(key) is str for key in items[::2]):
                    raise ValueError("a key is no text")
                _last(stack, dict).update(zip(items[::2], items[1::2], strict=True))
            case "STACK_GLOBAL":
                stack.append(".".join(pop(2)))  # a name, and so it stays
            case "REDUCE":
                stack.append(_called(*pop(2)))
            case "BUILD":
                stack.append(_built(*pop(2)))
            case "STOP":
                (value,) = stack
                return value
            case name:
                raise ValueError(f"holds {name}, which this program never writes")


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        value.encode()  # fails if it is no text that could be written again
    return value


def _last(stack: list[Any], kind: type) -> Any:
    if type(stack[-1]) is not kind:
        raise ValueError(f"a {kind.__name__} is missing")
    return stack[-1]


def _called(function: Any, arguments: Any) -> Any:
    match function, arguments:
        case "numpy.ndarray", (shape, "<f4", bytes(data)):
            return np.frombuffer(data, "<f4").reshape(shape).copy()
        case "builtins.bytearray", (bytes(data),):
            return data
        case "builtins.bytearray", ():
            return b""
        case "numpy.dtype", ("f4", False, True):
            return _FLOAT32
        case "numpy._core.multiarray._reconstruct", ("numpy.ndarray", (0,), b"b"):
            return _EARLIER_ARRAY
    raise ValueError("holds a call, which was not run")


def _built(value: Any, state: Any) -> Any:
    if value is _FLOAT32 and state == _FLOAT32_STATE:
        return value
    _, shape, dtype, column_major, data = state
    if value is not _EARLIER_ARRAY or dtype is not _FLOAT32:
        raise ValueError("holds an array of another kind than float32")
    return np.frombuffer(data, "<f4").reshape(shape, order="F" if column_major else "C").copy()
