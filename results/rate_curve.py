"""Draw test AUC against the rate of mel-initialised filters: python results/rate_curve.py

Points are single seeds, of the last averaged parameters; the line joins their means. Spectrograms and the paper's raw
network, which have no such rate, are dashed lines.
"""

from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.of_recipe import PAIRS, runs
from results.shown import RESULTS

RATES = {
    "1": f"{PAIRS}_rate_1",
    "1/10": f"{PAIRS}_rate_0.1",
    "1/100": f"{PAIRS}_rate_0.01",
    "1/1000": PAIRS,
    "1/10,000": f"{PAIRS}_rate_0.0001",
    "0": f"{PAIRS}_fixed",
}
BESIDE = {"mel_256_256": "spectrograms", "raw_256_256": "raw audio, the paper's"}


def draw(axes: Axes, networks: dict[str, Any]) -> None:
    """One data set's curve, from what results/runs.py wrote."""
    places = [(place, networks[name]) for place, name in enumerate(RATES.values()) if name in networks]
    for place, network in places:
        axes.plot([place] * len(network["last"]["aucs"]), network["last"]["aucs"], "o", color="0.6", markersize=3)
    axes.plot([p for p, _ in places], [fmean(n["last"]["aucs"]) for _, n in places], "-o", color="black", markersize=4)
    for name, text in BESIDE.items():
        if name in networks:
            mean = fmean(networks[name]["last"]["aucs"])
            axes.axhline(mean, color="0.4", linestyle="--", linewidth=0.8)
            axes.annotate(text, (0.02, mean), (0, 2), ("axes fraction", "data"), "offset points", fontsize=7)
    axes.set_xticks(range(len(RATES)), list(RATES))


def draw_all(target: Path) -> None:
    with matplotlib.rc_context({"font.size": 8}):
        found = runs()
        figure = Figure(figsize=(3.6 * len(found), 2.8), layout="constrained")
        for axes, (data, networks) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
            draw(axes, networks)
            axes.set(title=data, xlabel="rate of the filters, times the learning rate", ylabel="test AUC")
        figure.savefig(target, dpi=150)


if __name__ == "__main__":
    draw_all(RESULTS.parent / "docs" / "rate_curve.png")
