"""A network as an ONNX graph, from samples to probabilities: `theanoish.model.network` once more, for other programs.

Maps are (windows, channels, time) here, as ONNX has them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from theanoish.data.mel import fft_length
from theanoish.errors import InputError
from theanoish.mel_scale import mel_filters
from theanoish.model.network import POOL, Network
from theanoish.model.operations import L2_STABILISER
from theanoish.representation import COMPRESSION, MEL_CHANNELS, WINDOW_SAMPLES
from theanoish.settings import Settings

OPSET, IR_VERSION = 18, 8  # of 2022, which every runtime in use reads
Values = dict[str, NDArray[np.float32]]


class Graph:
    """Nodes and their constants, each added behind those before it."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, operator: str, *inputs: Any, output: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output; inputs are such names, or constants."""
        name = output or f"{operator}_{len(self.nodes)}"
        names = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        self.nodes.append(helper.make_node(operator, names, [name], name=name, **attributes))
        return name

    def _constant(self, value: Any) -> str:
        array = np.asarray(value, None if np.asarray(value).dtype.kind == "i" else np.float32)
        self.constants.append(numpy_helper.from_array(array, f"constant_{len(self.constants)}"))
        return str(self.constants[-1].name)


def onnx_model(network: Network, about: dict[str, str]) -> bytes:
    """The network as an ONNX file: from "samples" (windows, 48000) in [-1, 1) to "probabilities" (windows, tags).

    Parameters
    ----------
    network : Network
    about : dict of str to str
        Metadata.

    Raises
    ------
    InputError
        If the network's front end is none of the paper's.
    """
    settings, p, add = network.settings, network.values(), Graph()
    if settings.frontend not in FRONT_ENDS:
        raise InputError(f"there is no ONNX for the front end {settings.frontend}; write .safetensors or .npz")
    maps = FRONT_ENDS[settings.frontend](settings, p, add, add("Unsqueeze", "samples", [1]))
    maps = add("Div", add("Sub", maps, p["start/centre"][:, None]), p["start/spread"])
    for layer in ("convolution1", "convolution2"):
        maps = add("Conv", maps, p[f"{layer}/filters"], p[f"{layer}/bias"])
        maps = add("Relu", add("MaxPool", maps, kernel_shape=[POOL], strides=[POOL], ceil_mode=1))
    units = add("Flatten", add("Transpose", maps, perm=[0, 2, 1]))
    units = add("Relu", add("Gemm", units, p["hidden/weights"], p["hidden/bias"]))
    add("Sigmoid", add("Gemm", units, p["output/weights"], p["output/bias"]), output="probabilities")

    ends = [("samples", ["windows", WINDOW_SAMPLES]), ("probabilities", ["windows", *network.shapes["output"]])]
    [inputs, outputs] = [[helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)] for name, shape in ends]
    graph = helper.make_graph(add.nodes, settings.name, inputs, outputs, add.constants)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, producer_name="theanoish", opset_imports=opsets, ir_version=IR_VERSION)
    helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _spectrogram(settings: Settings, p: Values, add: Graph, signal: str) -> str:
    """`theanoish.data.mel.log_mel`, whose Fourier transform and mel filters are two matrices, and `merge_bands`."""
    points, length = fft_length(settings.length), settings.length
    angles = 2 * np.pi * np.outer(np.arange(points // 2 + 1), np.arange(length)) / points
    waves = np.concatenate([np.cos(angles), np.sin(angles)]) * np.hanning(length + 1)[:-1]
    triangles = mel_filters(points).reshape(settings.mel_bands, MEL_CHANNELS // settings.mel_bands, -1).mean(axis=1)
    spectra = add("Conv", signal, waves[:, None], strides=[settings.stride])
    squares = add("Mul", spectra, spectra)
    return _logarithm(add, add("Conv", squares, np.tile(triangles, 2)[:, :, None]))  # of both parts, hence twice


def _strided_convolution(settings: Settings, p: Values, add: Graph, signal: str) -> str:
    scaled = add("Div", signal, p["start/loudness"])
    filters = p["strided/filters"][:, None]
    maps = add("Conv", scaled, filters, p["strided/bias"], strides=[settings.stride])
    if settings.pooling != "none":  # a pool is an axis of its own then
        pools = [0, len(filters) // settings.pool_size, settings.pool_size, -1]
        maps = add("Reshape", maps, pools)
    return AFTER_STRIDED[settings.pooling, settings.nonlinearity](add, maps)


def _logarithm(add: Graph, energies: str) -> str:
    return add("Log", add("Add", add("Mul", energies, COMPRESSION), 1.0))


def _mean_square(add: Graph, pools: str) -> str:
    return add("ReduceMean", add("Mul", pools, pools), [2], keepdims=0)


FRONT_ENDS: dict[str, Callable[[Settings, Values, Graph, str], str]] = {
    "raw": _strided_convolution,
    "mel": _spectrogram,
}
# By pooling and nonlinearity, as in `theanoish.model.front_ends`.
AFTER_STRIDED: dict[tuple[str, str], Callable[[Graph, str], str]] = {
    ("none", "relu"): lambda add, maps: add("Relu", maps),
    ("none", "log-square"): lambda add, maps: _logarithm(add, add("Mul", maps, maps)),
    ("none", "log-absolute"): lambda add, maps: _logarithm(add, add("Abs", maps)),
    ("l2", "relu"): lambda add, pools: add("Sqrt", add("Add", _mean_square(add, pools), L2_STABILISER)),
    ("l2", "log-square"): lambda add, pools: _logarithm(add, _mean_square(add, pools)),
    ("max", "relu"): lambda add, pools: add("ReduceMax", pools, [2], keepdims=0),
}
