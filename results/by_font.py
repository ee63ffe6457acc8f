"""Table 1 on the test clips of each sound font: python results/by_font.py runs/two_fonts results/by_font.json

The clips of TimGM6mb have numbers below 20,000 (results/merge.py). Of each network there is the mean AUC, of each size
the difference of the front ends, with 95 % intervals over seeds and clips.
"""

import sys
from pathlib import Path

from theanoish.experiments.contrasts import score_networks
from theanoish.experiments.evaluation import Predictions, read_predictions
from theanoish.experiments.statistics import interval
from theanoish.files import write_json

FONTS = {"TimGM6mb": range(0, 20_000), "FluidR3 GM": range(20_000, 40_000)}
Interval = tuple[float, list[float] | None]


def of_numbers(read: Predictions, numbers: range) -> Predictions:
    """What is predicted for the clips of these numbers."""
    rows = [row for row, number in enumerate(read.ids) if number in numbers]
    return Predictions(
        read.probabilities[rows],
        read.labels[rows],
        read.ids[rows],
        [read.artists[row] for row in rows],
        [read.titles[row] for row in rows],
        read.tags,
    )


def compare(runs: Path, numbers: range, sizes: list[str]) -> dict[str, Interval]:
    """Scores on the clips of these numbers, and differences, of spectrograms and raw audio of each size ("256_256")."""
    names = [f"{frontend}_{size}" for size in sizes for frontend in ("mel", "raw")]
    predictions = {
        name: dict(enumerate(of_numbers(read_predictions(file), numbers) for file in sorted(runs.glob(pattern))))
        for name, pattern in ((name, f"{name}_seed*/test.npz") for name in names)
    }
    scores, resamples = score_networks(predictions)
    found = {name: interval([(1.0, *scores[name])], resamples.units) for name in names}
    for size in sizes:
        parts = [(1.0, *scores[f"mel_{size}"]), (-1.0, *scores[f"raw_{size}"])]
        found[f"mel_{size} - raw_{size}"] = interval(parts, resamples.units)
    return found


if __name__ == "__main__":
    runs, output = map(Path, sys.argv[1:])
    sizes = ["1024_1024", "1024_512", "512_512", "512_256", "256_256"]
    write_json(output, {font: compare(runs, clips, sizes) for font, clips in FONTS.items()})
