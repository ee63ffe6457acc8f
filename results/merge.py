"""Make one data set of several in MagnaTagATune's form: python results/merge.py tim1 tim2 fluid3 fluid4 two_fonts

Clips of the second get numbers 10,000 higher, of the third 20,000, and so on. A clip stays in its folder, which decides
its split; sound files are linked, not copied.
"""

import csv
import sys
from pathlib import Path

STEP = 10_000


def merge(sources: list[Path], target: Path) -> None:
    for name in ("annotations_final.csv", "clip_info_final.csv"):
        merged: list[list[str]] = []
        for first, source in zip(range(0, STEP * len(sources), STEP), sources, strict=True):
            with (source / name).open(newline="", encoding="utf-8") as file:
                header, *clips = csv.reader(file, delimiter="\t")
            for number, *values, path in clips:
                if not path:  # no sound
                    continue
                place = Path(path).parent / f"{source.name}-{Path(path).name}"
                merged.append([str(int(number) + first), *values, str(place)])
                (target / place).parent.mkdir(parents=True, exist_ok=True)
                if not (target / place).exists():
                    (target / place).hardlink_to(source / path)
        with (target / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL).writerows([header, *merged])


if __name__ == "__main__":
    *given, last = map(Path, sys.argv[1:])
    merge(given, last)
