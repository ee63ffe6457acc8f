"""Compiling symbolic graphs for a backend, many updates a call, and holding data on the device."""

import os
import signal
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytensor
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.compile.mode import get_mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import graph_inputs
from pytensor.tensor.variable import TensorVariable

from theanoish.errors import InputError
from theanoish.interrupt import StopRequest
from theanoish.model.descent import Updates

pytensor.config.floatX = "float32"
# PyTensor asks for sums and positions in 64 bits, which JAX computes in 32: as good for these networks.
warnings.filterwarnings("ignore", message="Explicitly requested dtype (float|int)64", category=UserWarning)
pytensor.config.cxx = ""  # neither backend needs a C compiler, so that results do not depend on one being there


def compile_function(
    inputs: Sequence[TensorVariable],
    outputs: TensorVariable | Sequence[TensorVariable],
    backend: str,
    updates: Updates | None = None,
    givens: dict[Any, Any] | None = None,
) -> Any:
    """Compile a graph for "jax" or "numba"; its inputs must then come with the exact dtype and shape.

    Returns
    -------
    callable
    """
    if backend == "jax":
        _jax().config.update("jax_default_matmul_precision", "float32")  # a GPU's default may be TF32
    # Pulled out of the loop, the conversion of samples would write a whole block of them in single precision first.
    mode = get_mode(backend.upper()).excluding("scan_push_out_seq")
    try:
        return pytensor.function(
            list(inputs), outputs, updates=updates or {}, givens=givens or {}, mode=mode, trust_input=True
        )
    except OSError as error:
        remedy = "PYTENSOR_FLAGS=base_compiledir=FOLDER" if error.filename else "TMPDIR=FOLDER"
        raise InputError(
            f"PyTensor cannot write what it compiles ({error.filename or ''}: {error.strerror}); name a folder that "
            f"can be written: {remedy}"
        ) from error


def repeat(
    inputs: Sequence[TensorVariable], loss: TensorVariable, updates: Updates, count: int
) -> tuple[list[TensorVariable], TensorVariable, Updates]:
    """Turn one update into `count` updates, one after the other, within one graph.

    A call of a compiled function costs tens of microseconds and more for its inputs, so many updates a call are faster;
    they give the same parameters, bit for bit, as `count` calls of one.

    Parameters
    ----------
    inputs : symbolic variables
        What one update sees, such as its windows and labels.
    loss : scalar symbolic variable
    updates : dict of shared variable to symbolic variable
        Its shared variables are carried from update to update.
    count : int

    Returns
    -------
    inputs : symbolic variables
        As given, with a leading axis of length `count`.
    losses : symbolic vector (count,)
    updates : dict
        The shared variables after the last update.
    """
    held = [v for v in graph_inputs([loss, *updates.values()]) if isinstance(v, SharedVariable)]
    constants = [v for v in dict.fromkeys(held) if v not in updates]
    blocks = [pt.tensor(f"{v.name}_block", shape=(count, *v.type.shape), dtype=v.type.dtype) for v in inputs]
    shared = list(updates)

    def update(*arguments: TensorVariable) -> list[Any]:
        replacements = dict(zip([*inputs, *shared, *constants], arguments, strict=True))
        return clone_replace([loss, *updates.values()], replacements)

    losses, *histories = pytensor.scan(
        update, blocks, outputs_info=[None, *shared], non_sequences=constants, strict=True, return_updates=False
    )
    return blocks, losses, {variable: history[-1] for variable, history in zip(shared, histories, strict=True)}


def held_on_device(values: NDArray[Any]) -> Any:
    """A shared variable of these values as an array of JAX's device, which a call then needs not copy there.

    Its shape is static, without which JAX does not compile indexing. ``set_value`` would make a NumPy array of it.
    """
    variable: Any = pytensor.shared(values, shape=values.shape, borrow=True)
    variable.container.storage[0] = _jax().device_put(values)
    return variable


def copied_to_device(values: NDArray[Any]) -> Any:
    """An array of JAX's device with these values, all of them there already: the original may be overwritten."""
    array = _jax().numpy.array(values)  # not device_put, which a CPU's memory need not be copied for
    return array.block_until_ready()


def free_device_memory(backend: str) -> int:
    """Bytes that are free on the accelerator the backend computes on; 0 where it computes on the CPU."""
    device = _device(backend)
    if device is None or device.platform == "cpu":
        return 0
    statistics = device.memory_stats() or {}
    return int(statistics.get("bytes_limit", 0)) - int(statistics.get("bytes_in_use", 0))


def device_name(backend: str) -> str:
    """What the backend computes on, such as "cpu" or "NVIDIA H100"."""
    device = _device(backend)
    return "cpu" if device is None else device.device_kind


def _device(backend: str) -> Any:
    """JAX's device; None for another backend, which computes on the CPU."""
    if backend != "jax":
        return None
    try:
        return _jax().devices()[0]
    except (RuntimeError, AssertionError) as error:
        named, reason = os.environ.get("JAX_PLATFORMS", ""), str(error).split("\n")[0]
        raise InputError(
            f"JAX_PLATFORMS={named}: JAX finds no such device ({reason}); install JAX for it, or set JAX_PLATFORMS=cpu "
            "without JAX_PLATFORM_NAME"
        ) from error


@cache
def _jax() -> Any:
    """JAX, whose native code crashes where a signal's exception comes up while it is imported: signals wait for it."""
    with StopRequest() as stop:
        import jax
    if stop.requested:
        signal.raise_signal(signal.SIGINT)
    return jax
