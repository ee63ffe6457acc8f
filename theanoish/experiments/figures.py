"""The paper's figures, as PNG and PDF: the architecture, and the filters that a strided convolution has learned."""

import textwrap
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

from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.filters import (
    LOW_PASS,
    describe,
    dominant_frequencies,
    frequencies,
    is_at_zero,
    low_passed,
    mean_spectrum,
    spectra,
)
from theanoish.files import write_json, written_whole
from theanoish.model.network import POOL, WIDTH, Network
from theanoish.representation import MEL_CHANNELS, SAMPLE_RATE
from theanoish.settings import Settings
from theanoish.training.checkpoint import load_network

Array = NDArray[np.float64]

_COLUMN = 3.39  # inches: a column of the paper
_GRID_ROWS, _GRID_COLUMNS = 8, 3  # of filters in Fig. 3; as many pools in Fig. 4
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


def make_figures(
    checkpoint: Path, folder: Path, data: Path | None = None, log_frequency: bool = False, with_initial: bool = False
) -> tuple[list[str], dict[str, Any]]:
    """Draw those of Figs. 1 to 4 that a checkpoint's network has, and write the numbers behind them.

    Parameters
    ----------
    checkpoint : Path
    folder : Path
        For the pictures and ``filters.json``; is made if it is missing.
    data : Path, optional
        The data set that the network was trained on, if it has been moved.
    log_frequency, with_initial : bool
        Fig. 2 with a logarithmic axis, and with the filters before training beside.

    Returns
    -------
    list of str
        Names of the figures' files, without their endings.
    dict
        What ``filters.json`` holds: whose filters they are, and what `describe` says; empty without filters.
    """
    saved, network = load_network(checkpoint)
    settings, trained_on = network.settings, Path(saved["data"]["path"])
    caption = f"{settings.name}, seed {settings.seed}, {trained_on.name}, update {saved['update']:,}"
    draw_architectures(folder, [settings], len(saved["tags"]))
    if settings.frontend == "mel":
        return ["figure1"], {}
    learned = network.values()["strided/filters"].astype(np.float64)
    initial = initial_filters(
        checkpoint.parent, settings, from_noise=settings.initial_filters == "random" and not saved["initial"]
    )
    decibels, missing = _mean_spectrum(saved, settings, data)
    numbers = {
        "network": settings.name,
        "seed": settings.seed,
        "update": saved["update"],
        "data": saved["data"],
        "coloured_noise_left_out": missing,
        **describe(learned, initial, settings.pool_size, decibels),
    }
    write_json(folder / "filters.json", numbers)
    panels = {"before training": initial, "after training": learned} if with_initial else {"": learned}
    draw_spectra(folder, panels, caption, log_frequency)
    draw_waveforms(folder, learned, caption)
    if settings.pool_size == 1:
        return ["figure1", "figure2", "figure3"], numbers
    draw_pools(folder, learned, settings.pool_size, caption)
    return ["figure1", "figure2", "figure3", "figure4"], numbers


def initial_filters(run: Path, settings: Settings, from_noise: bool) -> Array:
    """The filters that training started from, (filters, length): stored in the run's folder, or drawn by the seed."""
    stored = run / "initial_filters.npy"
    if not stored.exists():
        if not from_noise:
            raise InputError(f"{stored}: no such file, and training did not start from noise; copy it from the run")
        return Network(settings, tags=1).values()["strided/filters"].astype(np.float64)
    try:
        filters = np.load(stored, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{stored}: no array of filters ({error}); remove it or train again") from error
    shape = (settings.strided_filters, settings.length)
    if filters.shape != shape or filters.dtype.kind != "f":
        raise InputError(f"{stored}: not {shape[0]} filters of {shape[1]} samples; remove it or train again")
    return np.asarray(filters, np.float64)


def _mean_spectrum(saved: dict[str, Any], settings: Settings, data: Path | None) -> tuple[Array | None, str | None]:
    """Mean spectrum of the training data, or why there is none: only a data set that the user named must be there."""
    try:
        dataset = Dataset(data or Path(saved["data"]["path"]))
        if dataset.fingerprint() != saved["data"]["fingerprint"]:
            raise InputError(f"{dataset.path}: clips or labels are not those that the network was trained on")
        return mean_spectrum(dataset, settings), None
    except InputError as error:
        if data is not None:
            raise
        return None, str(error)


@contextmanager
def _figure(folder: Path, name: str, width: float, height: float, caption: str = "") -> Iterator[Figure]:
    """A figure to draw on, in inches, which is then written as PNG and PDF, the caption below."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        lines = [wrapped for line in caption.splitlines() for wrapped in textwrap.wrap(line, int(24 * width))]
        figure.supxlabel("\n".join(lines), fontsize=5.5, color="0.3", parse_math=False)
        for kind in ("png", "pdf"):
            with written_whole(folder / f"{name}.{kind}") as beside:
                figure.savefig(beside, format=kind, dpi=300)


def draw_spectra(folder: Path, panels: dict[str, Array], caption: str = "", log_frequency: bool = False) -> None:
    """Fig. 2: normalised magnitude spectra, one per vertical line, ordered by dominant frequency; white is 0.

    Parameters
    ----------
    folder : Path
    panels : dict of str to float array (filters, length)
        Drawn side by side, with their names as titles.
    caption : str
    log_frequency : bool
        Whether the frequency axis is logarithmic; then it begins where a filter holds one period.
    """
    with _figure(folder, "figure2", _COLUMN * len(panels), 0.8 * _COLUMN, caption) as figure:
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (title, filters) in zip(grid, panels.items(), strict=True):
            lowest = SAMPLE_RATE / filters.shape[1]
            edges = np.geomspace(lowest, 8000, 401) if log_frequency else np.linspace(0, 8000, 401)
            ordered = spectra(filters)[np.argsort(dominant_frequencies(filters), kind="stable")]
            image = _averaged(ordered, frequencies(filters.shape[1]), edges)
            mesh = axes.pcolormesh(
                np.arange(len(filters) + 1), edges, image.T, cmap="gray_r", vmin=0, vmax=1, rasterized=True
            )
            axes.set(title=title, xlabel="filter, by dominant frequency")
            if log_frequency:
                ticks = [20, 50, 100, 200, 500, 1000, 2000, 4000, 8000]
                axes.set(yscale="log", yticks=[tick for tick in ticks if tick >= lowest])
                axes.yaxis.set_major_formatter("{x:.0f}")
                axes.minorticks_off()
        grid[0].set_ylabel("frequency (Hz)")
        figure.colorbar(mesh, ax=grid, label="normalised magnitude", aspect=40, pad=0.02)


def _averaged(values: Array, positions: Array, edges: Array) -> Array:
    """Rows of values at evenly spaced positions, averaged between neighbouring edges, (rows, edges - 1)."""
    width = positions[1] - positions[0]
    bounds = np.append(positions - width / 2, positions[-1] + width / 2)
    sums = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1) * width
    return np.stack([np.diff(np.interp(edges, bounds, row)) for row in sums]) / np.diff(edges)


def draw_waveforms(folder: Path, filters: Array, caption: str) -> None:
    """Fig. 3: some filters as waveforms, evenly chosen in the order of dominant frequency, column by column."""
    order = np.argsort(dominant_frequencies(filters), kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, _GRID_ROWS * _GRID_COLUMNS).round().astype(int)]
    _draw_grid(folder, "figure3", filters, chosen.reshape(_GRID_COLUMNS, _GRID_ROWS).T, caption)


def draw_pools(folder: Path, filters: Array, pool_size: int, caption: str) -> None:
    """Fig. 4: some pools, one per row, low-passed; evenly chosen from all in the order of dominant frequency."""
    smooth = low_passed(filters)
    numbers = np.arange(len(filters)).reshape(-1, pool_size)
    power = (np.abs(np.fft.rfft(smooth)) ** 2)[numbers].mean(axis=1)  # (pools, bins)
    order = np.argsort(power.argmax(axis=1), kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, _GRID_ROWS).round().astype(int)]
    caption = f"each row is a pool, low-passed at {LOW_PASS:.0f} Hz; frequencies of what remains\n{caption}"
    _draw_grid(folder, "figure4", smooth, numbers[chosen], caption)


def _draw_grid(folder: Path, name: str, filters: Array, numbers: NDArray[np.int64], caption: str) -> None:
    """Draw the filters `numbers` (rows, columns), each scaled to its own maximum."""
    dominant = dominant_frequencies(filters)
    dominant[is_at_zero(filters)] = 0
    caption = f"filters by number and dominant frequency, each scaled to its largest value\n{caption}"
    with _figure(folder, name, _COLUMN, 1.35 * _COLUMN, caption) as figure:
        grid = figure.subplots(*numbers.shape, squeeze=False, sharex=True)
        for axes, number in zip(grid.ravel(), numbers.ravel(), strict=True):
            waveform = filters[number]
            axes.plot(1000 * np.arange(len(waveform)) / SAMPLE_RATE, waveform, color="black", linewidth=0.4)
            largest = np.abs(waveform).max() or 1.0
            axes.set(ylim=(-1.1 * largest, 1.1 * largest), yticks=[])
            axes.set_title(f"no. {number}, {dominant[number]:.0f} Hz", fontsize=5.5, pad=2)
            axes.margins(x=0)
            axes.tick_params(axis="x", bottom=axes in grid[-1], labelsize=6)
        for axes in grid[-1]:
            axes.set_xlabel("time (ms)", fontsize=6)


def architecture(settings: Settings, tags: int) -> list[tuple[str, str, str]]:
    """The layers of a network from input to output, with sizes as the network itself has them.

    Returns
    -------
    list of (str, str, str)
        Name; its filter or pooling size (↔), stride and number of units (#), as Fig. 1 gives them; shape of its output
        for one window, as time by channels.
    """
    span = f"{settings.length}  stride {settings.stride}"
    texts = {
        "input": ("raw audio", "") if settings.frontend == "raw" else ("mel spectrogram", f"window {span}"),
        "bands": ("bands averaged", f"{MEL_CHANNELS // settings.mel_bands} adjacent"),
        "strided": ("strided convolution", f"{'fixed, ' if settings.fixed_filters else ''}↔ {span}  #"),
        "pooling": (f"{settings.pooling.replace('l2', 'L2')} feature pooling", f"pools of {settings.pool_size}"),
        "convolution": ("convolution", f"↔ {WIDTH}  #"),
        "pool": ("max-pooling", f"↔ {POOL}"),
        "hidden": ("dense", "#"),
        "output": ("dense", "#"),
    }
    layers = []
    for layer, shape in Network(settings, tags).shapes.items():
        name, size = texts.get(layer.rstrip("12"), (layer, ""))
        size = f"{size} {shape[-1]}" if size.endswith("#") else size
        layers.append((name, size, " \N{MULTIPLICATION SIGN} ".join(map(str, shape))))
    return layers


def draw_architectures(folder: Path, variants: list[Settings], tags: int) -> None:
    """Fig. 1: networks of so many tags, the input at the bottom, with the shape of each layer's output above it."""
    columns = [architecture(settings, tags) for settings in variants]
    highest = max(map(len, columns))
    caption = "↔ size of filters or pools, # units; at the arrows: time \N{MULTIPLICATION SIGN} channels"
    with _figure(folder, "figure1", 1.7 * len(columns), 0.4 * highest + 0.4, caption) as figure:
        axes = figure.add_subplot()
        axes.set(xlim=(0, len(columns)), ylim=(-0.5, highest))
        axes.axis("off")
        for x, (settings, layers) in enumerate(zip(variants, columns, strict=True)):
            lowest = highest - len(layers)  # the layers that all have stand at the same height
            for y, layer in enumerate(layers, start=lowest):
                _draw_layer(axes, x + 0.5, y, layer)
            letter = "a" if settings.frontend == "mel" else "b" if settings.pooling == "none" else "c"
            label = f"({letter}) {settings.name}"
            size = min(7, 180 / len(label))
            axes.text(x + 0.5, lowest - 0.25, label, ha="center", va="center", weight="bold", fontsize=size)


def _draw_layer(axes: Axes, x: float, y: float, layer: tuple[str, str, str]) -> None:
    name, sizes, shape = layer
    color = "0.85" if "#" in sizes and "fixed" not in sizes else "white"  # grey is what learns
    axes.add_patch(Rectangle((x - 0.46, y), 0.92, 0.6, facecolor=color, edgecolor="black", linewidth=0.5))
    text = f"{name}\n{sizes}" if sizes else name
    axes.text(x, y + 0.29, text, ha="center", va="center", fontsize=6, linespacing=1.2)
    axes.annotate("", (x, y + 1), (x, y + 0.6), arrowprops={"arrowstyle": "-|>", "linewidth": 0.5, "color": "black"})
    axes.text(x + 0.04, y + 0.8, shape, ha="left", va="center", fontsize=5.5)
