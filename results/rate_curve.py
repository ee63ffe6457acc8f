"""Draw test AUC against the rate of mel-initialised filters: python results/rate_curve.py

Points are single seeds, the line joins their means. Spectrograms and the paper's raw network, which have no such rate,
are dashed lines. What results/runs.py wrote takes the place of what a prototype measured once there are enough rates.
"""

import math
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.of_recipe import runs
from results.shown import PAIRS, RESULTS, read

RATES = {
    "1": f"{PAIRS}_rate_1",
    "0.1": f"{PAIRS}_rate_0.1",
    "0.01": f"{PAIRS}_rate_0.01",
    "0.001": PAIRS,
    "0.0001": f"{PAIRS}_rate_0.0001",
    "0": f"{PAIRS}_fixed",
}
FEWEST = 5  # rates that make a curve
BESIDE = {"spectrograms": "mel_256_256", "raw audio, the paper's": "raw_256_256"}


def curves() -> dict[str, dict[str, Any]]:
    """AUCs by seed, by rate and of what stands beside, of each data set."""
    found = {f"{title}, prototype": curve for title, curve in read("prototype").items()}
    for data, networks in runs().items():
        rates = {rate: networks[name]["last"]["aucs"] for rate, name in RATES.items() if name in networks}
        if len(rates) >= FEWEST:
            beside = {text: networks[name]["last"]["aucs"] for text, name in BESIDE.items()}
            found.pop(f"{data}, averaged, prototype", None)
            found[f"{data}, averaged"] = {"rates": rates, **beside}
    return found


def place(rate: str) -> float:
    return -5.0 if rate == "0" else math.log10(float(rate))  # no rate lies where the next smaller one would


def draw(axes: Axes, curve: dict[str, Any]) -> None:
    for rate, aucs in curve["rates"].items():
        axes.plot([place(rate)] * len(aucs), aucs, "o", color="0.6", markersize=3)
    axes.plot([*map(place, curve["rates"])], [fmean(aucs) for aucs in curve["rates"].values()], "-o", color="k", ms=4)
    for text in BESIDE:
        mean = fmean(curve[text])
        axes.axhline(mean, color="0.4", linestyle="--", linewidth=0.8)
        axes.annotate(text, (0.98, mean), (0, 2), ("axes fraction", "data"), "offset points", ha="right", fontsize=6)
    axes.set_xticks(range(-5, 1), ["0", "1/10,000", "1/1000", "1/100", "1/10", "1"], fontsize=6)
    axes.invert_xaxis()


def draw_all(target: Path) -> None:
    found = curves()
    with matplotlib.rc_context({"font.size": 8}):
        figure = Figure(figsize=(3.2 * len(found), 2.6), layout="constrained")
        for axes, (title, curve) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
            draw(axes, curve)
            axes.set_title(title, fontsize=7)
        figure.supxlabel("rate of the mel-initialised filters, times the learning rate")
        figure.supylabel("test AUC")
        figure.savefig(target, dpi=150)


if __name__ == "__main__":
    draw_all(RESULTS.parent / "docs" / "rate_curve.png")
