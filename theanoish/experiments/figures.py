"""The paper's figures, as PNG and PDF: the architecture, and the filters that a strided convolution has learned."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from theanoish.experiments.filters import dominant_frequencies, low_passed, spectra
from theanoish.files import written_whole
from theanoish.model.network import Network
from theanoish.settings import SAMPLE_RATE, WINDOW_SAMPLES, Settings

Array = NDArray[np.float64]

_COLUMN = 3.39  # inches: a column of the paper
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 7,
    "axes.linewidth": 0.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "pdf.fonttype": 42,
}


@contextmanager
def _figure(folder: Path, name: str, width: float, height: float) -> Iterator[Figure]:
    """A figure to draw on, in inches, which is then written as PNG and PDF."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        for kind in ("png", "pdf"):
            with written_whole(folder / f"{name}.{kind}") as beside:
                figure.savefig(beside, format=kind, dpi=300)


def draw_filters(folder: Path, settings: Settings, filters: Array) -> list[str]:
    """Draw those of Figs. 2 to 4 that a network with a strided convolution has.

    Parameters
    ----------
    folder : Path
        Which must exist.
    settings : Settings
    filters : float array (filters, length)

    Returns
    -------
    list of str
        Names of the files, without their endings.
    """
    draw_spectra(folder, filters)
    draw_waveforms(folder, filters)
    if settings.pooling == "none":
        return ["figure2", "figure3"]
    draw_pools(folder, filters, settings.pool_size)
    return ["figure2", "figure3", "figure4"]


def draw_spectra(folder: Path, filters: Array) -> None:
    """Fig. 2: normalised magnitude spectra, one a vertical line, ordered by dominant frequency; white is 0."""
    order = np.argsort(dominant_frequencies(filters), kind="stable")
    with _figure(folder, "figure2", _COLUMN, 0.75 * _COLUMN) as figure:
        axes = figure.add_subplot()
        axes.imshow(
            spectra(filters)[order].T,
            origin="lower",
            aspect="auto",
            cmap="gray_r",
            extent=(0, len(filters), 0, SAMPLE_RATE / 2),
            interpolation="antialiased",
            vmin=0,
            vmax=1,
        )
        axes.set(xlabel="filter, by dominant frequency", ylabel="frequency (Hz)")


def draw_waveforms(folder: Path, filters: Array, rows: int = 8, columns: int = 3) -> None:
    """Fig. 3: some filters as waveforms, evenly chosen in the order of dominant frequency, column by column."""
    dominant = dominant_frequencies(filters)
    order = np.argsort(dominant, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, rows * columns).round().astype(int)]
    with _figure(folder, "figure3", _COLUMN, 1.1 * _COLUMN) as figure:
        grid = figure.subplots(rows, columns)
        for axes, number in zip(grid.T.ravel(), chosen, strict=True):
            _draw_waveform(axes, filters[number])
            axes.set_title(f"{dominant[number]:.0f} Hz", fontsize=5, pad=1)


def draw_pools(folder: Path, filters: Array, pool_size: int, rows: int = 8) -> None:
    """Fig. 4: some pools, one a row, low-pass filtered; evenly chosen from all in the order of dominant frequency."""
    smooth = low_passed(filters)
    pools = smooth.reshape(-1, pool_size, smooth.shape[1])
    power = (np.abs(np.fft.rfft(pools)) ** 2).mean(axis=1)  # (pools, bins)
    order = np.argsort(power.argmax(axis=1), kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, rows).round().astype(int)]
    with _figure(folder, "figure4", _COLUMN, 1.1 * _COLUMN) as figure:
        grid = figure.subplots(rows, pool_size, squeeze=False)
        for line, pool in zip(grid, pools[chosen], strict=True):
            for axes, waveform in zip(line, pool, strict=True):
                _draw_waveform(axes, waveform)


def _draw_waveform(axes: Axes, waveform: Array) -> None:
    axes.plot(waveform, color="black", linewidth=0.4)
    largest = np.abs(waveform).max() or 1.0
    axes.set(xlim=(0, len(waveform) - 1), ylim=(-1.1 * largest, 1.1 * largest), xticks=[], yticks=[])


def architecture(settings: Settings, tags: int) -> list[tuple[str, str, str]]:
    """The layers of a network from input to output, with sizes as the network itself has them.

    Returns
    -------
    list of (str, str, str)
        Name; its filter or pooling size (↔), stride and number of units (#), as Fig. 1 gives them; shape of its output
        for one window, as time by channels.
    """
    network = Network(settings, tags)
    layers = [*_front_end(network)]
    for number in (1, 2):
        convolution, pool = getattr(network, f"convolution{number}"), getattr(network, f"pool{number}")
        sizes = f"↔ {convolution.width}  # {convolution.n_filters}"
        layers.append(("convolution", sizes, _shape(convolution.output_shape)))
        layers.append(("max-pooling", f"↔ {pool.size}", _shape(pool.output_shape)))
    for layer in (network.hidden, network.output):
        units = layer.weights.type.shape[1]
        layers.append(("dense", f"# {units}", str(units)))
    return layers


def _front_end(network: Network) -> Iterator[tuple[str, str, str]]:
    settings = network.settings
    if settings.frontend == "mel":
        shape = (network.convolution1.time, network.convolution1.channels)
        yield "mel spectrogram", f"window {settings.length}  stride {settings.stride}", _shape(shape)
        return
    strided = network.strided
    yield "raw audio", "", _shape((WINDOW_SAMPLES, 1))
    sizes = f"↔ {strided.length}  stride {strided.stride}  # {strided.output_shape[1]}"
    yield "strided convolution", sizes, _shape(strided.output_shape)
    if settings.pooling != "none":
        shape = (network.convolution1.time, network.convolution1.channels)
        yield f"{settings.pooling.replace('l2', 'L2')} feature pooling", f"pools of {settings.pool_size}", _shape(shape)


def _shape(shape: tuple[int, ...]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(map(str, shape))


def draw_architectures(folder: Path, variants: list[Settings], tags: int) -> None:
    """Fig. 1: networks side by side, the input at the bottom, with the shape of each layer's output above it.

    Parameters
    ----------
    folder : Path
    variants : list of Settings
    tags : int
        Output units.
    """
    columns = [architecture(settings, tags) for settings in variants]
    highest = max(map(len, columns))
    with _figure(folder, "figure1", 1.7 * len(columns), 0.4 * highest + 0.2) as figure:
        axes = figure.add_subplot()
        axes.set(xlim=(0, len(columns)), ylim=(-0.5, highest))
        axes.axis("off")
        for x, (settings, layers) in enumerate(zip(variants, columns, strict=True)):
            lowest = highest - len(layers)  # the layers that all have stand at the same height
            for y, layer in enumerate(layers, start=lowest):
                _draw_layer(axes, x + 0.5, y, layer)
            axes.text(x + 0.5, lowest - 0.25, f"({_letter(settings)})", ha="center", va="center", weight="bold")


def _letter(settings: Settings) -> str:
    if settings.frontend == "mel":
        return "a"
    return "b" if settings.pooling == "none" else "c"


def _draw_layer(axes: Axes, x: float, y: float, layer: tuple[str, str, str]) -> None:
    name, sizes, shape = layer
    learned = "#" in sizes
    box = Rectangle(
        (x - 0.46, y), 0.92, 0.6, facecolor="0.85" if learned else "white", edgecolor="black", linewidth=0.5
    )
    axes.add_patch(box)
    text = f"{name}\n{sizes}" if sizes else name
    axes.text(x, y + 0.29, text, ha="center", va="center", fontsize=6, linespacing=1.2)
    axes.annotate("", (x, y + 1), (x, y + 0.6), arrowprops={"arrowstyle": "-|>", "linewidth": 0.5, "color": "black"})
    axes.text(x + 0.04, y + 0.8, shape, ha="left", va="center", fontsize=5.5)
