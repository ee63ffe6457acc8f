"""How far a network of instruments goes beyond its own recordings.

    python results/instruments.py TABLE CHECKPOINT [CHECKPOINT ...] [--json results/instruments.json]

TABLE is CSV: `file` (beside the table), `source` (who recorded it), `kind` ("played", or "notes" that were joined),
`instrument` (several with a + between), and anything more. An instrument that the network has no tag for speaks against
all its instruments, and for its family. AUCs are means over the checkpoints, which differ in their seeds. The 95 %
intervals are over the sources, drawn whole, because one player, room or microphone says little of others, and over the
seeds. Instruments of one or two sources are listed, but not in the means. "pairs" are two recordings of other sources
and instruments, laid over each other. A recording is in about two of them, so that their intervals are too narrow.
"""

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import theanoish
from theanoish.data.audio import decode
from theanoish.experiments.statistics import interval, mean_over_tags, resample, tag_aucs
from theanoish.files import write_json
from theanoish.representation import SAMPLE_RATE
from theanoish.tagging.worth import Worth

FAMILIES = {
    "woodwind": "flute oboe english-horn clarinet bass-clarinet bassoon contrabassoon saxophone",
    "brass": "french-horn trombone trumpet tuba",
    "strings": "cello double-bass violin viola string-orchestra",
    "plucked": "banjo guitar mandolin harp",
    "percussion": "percussion",
}
FAMILY_OF = {name: family for family, names in FAMILIES.items() for name in names.split()}
INSTRUMENTS = {name.replace("-", " ") for name in FAMILY_OF} | {"piano"}
RESULTS = Path(__file__).resolve().parent
FEWEST_SOURCES = 3
Rows = list[dict[str, str]]
Heard = tuple[list[str], NDArray[np.float64], Worth]  # a network's tags, means (recordings, tags), and what is known


def played(instruments: str) -> set[str]:
    """The tags of a recording: its instruments and their families."""
    names = instruments.split("+")
    return {name.replace("-", " ") for name in names} | {FAMILY_OF[name] for name in names if name in FAMILY_OF}


def laid_over(rows: Rows, sounds: list[NDArray[np.int16]]) -> tuple[Rows, list[NDArray[np.float32]]]:
    """Pairs of recordings, equally loud within 4 dB, as long as the shorter one."""
    generator = np.random.default_rng(0)
    order = np.concatenate([generator.permutation(len(rows)) for _ in range(2)])
    pairs, both = [], []
    for first, second in zip(order[::2], order[1::2], strict=False):
        one, other = rows[first], rows[second]
        if one["source"] != other["source"] and not played(one["instrument"]) & played(other["instrument"]):
            length = min(len(sounds[first]), len(sounds[second]))
            parts = [sounds[i][:length] / max(1.0, sounds[i][:length].std()) for i in (first, second)]
            mixed = parts[0] + parts[1] * 10 ** (generator.uniform(-4, 4) / 20)
            both.append((mixed / np.abs(mixed).max() / 2).astype(np.float32))
            pairs.append({key: f"{one[key]}+{other[key]}" for key in ("file", "source", "instrument")})
    return pairs, both


def listen(sounds: list[NDArray[Any]], checkpoint: Path) -> Heard:
    tagger = theanoish.load(checkpoint, all_tags=True)
    means = [tagger.windows(sound, sample_rate=SAMPLE_RATE).means for sound in sounds]
    return tagger.tags, np.array(means, np.float64), tagger.worth


def score(rows: Rows, heard: list[Heard], names: set[str]) -> dict[str, Any]:
    """AUCs of the tags among `names` that some of the recordings have and others have not.

    Returns
    -------
    dict
        The mean AUC, its interval, the mean AUC of the same tags on the networks' own test clips (None if that is not
        known), how often the likeliest is right in recordings that have one of the tags, and the same of each tag.
    """
    every = heard[0][0]
    labels = np.array([[tag in played(row["instrument"]) for tag in every] for row in rows], np.uint8)
    sources = [len({row["source"] for row, has in zip(rows, column, strict=True) if has}) for column in labels.T]
    columns = [c for c, tag in enumerate(every) if tag in names and 0 < labels[:, c].sum() < len(rows)]
    counted = [c for c in columns if sources[c] >= FEWEST_SOURCES]
    resamples = resample([row["source"] for row in rows], [row["file"] for row in rows])
    aucs = np.array([tag_aucs(labels, means, np.ones((len(rows), 1), np.float32))[:, 0] for _, means, _ in heard])
    resampled = np.array([tag_aucs(labels, means, resamples.weights) for _, means, _ in heard])

    def summary(chosen: list[int]) -> dict[str, Any]:
        drawn = np.array([mean_over_tags(each[chosen]) for each in resampled])
        value, bounds = interval([(1.0, aucs[:, chosen].mean(axis=1), drawn)], resamples.units)
        own = [worth.aucs.get(every[c]) for *_, worth in heard for c in chosen]
        known = [auc for auc in own if auc is not None]
        return {
            "auc": value,
            "interval": bounds and np.clip(bounds, 0, 1).tolist(),
            "own_auc": float(np.mean(known)) if len(known) == len(own) else None,
        }

    alone = labels[:, counted].sum(axis=1) == 1
    right = [labels[alone, np.take(counted, means[alone][:, counted].argmax(axis=1))].mean() for _, means, _ in heard]
    of_tags = [
        {"tag": every[c], "recordings": int(labels[:, c].sum()), "sources": sources[c], **summary([c])}
        for c in sorted(columns, key=lambda c: -aucs[:, c].mean())
    ]
    return {
        "recordings": len(rows),
        "sources": resamples.units,
        **summary(counted),
        "likeliest_is_right": float(np.mean(right)),
        "of_recordings": int(alone.sum()),
        "tags": of_tags,
    }


def lines(scores: dict[str, Any], name: str) -> list[str]:
    """Scores as rows of a table in Markdown."""

    def row(shown: str, one: dict[str, Any]) -> str:
        bounds = "{:.2f} to {:.2f}".format(*one["interval"]) if one["interval"] else ""
        own = "" if one["own_auc"] is None else f"{one['own_auc']:.2f}"
        return f"| {shown} | {one['recordings']} ({one['sources']}) | {one['auc']:.2f} | {bounds} | {own} |"

    return [row(f"**{name}**", scores), *(row(each["tag"], each) for each in scores["tags"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with arguments.table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    sounds = [decode(arguments.table.parent / row["file"]) for row in rows]
    heard = [listen(sounds, checkpoint) for checkpoint in arguments.checkpoints]
    parts = {"all": (rows, heard)}
    for kind in ("played", "notes"):
        those = [i for i, row in enumerate(rows) if row["kind"] == kind]
        parts[kind] = [rows[i] for i in those], [(tags, means[those], worth) for tags, means, worth in heard]
    pairs, both = laid_over(rows, sounds)
    parts["pairs"] = pairs, [listen(both, checkpoint) for checkpoint in arguments.checkpoints]
    found: dict[str, Any] = {}
    for which, (part, of_part) in parts.items():
        print(f"\n| {which} | recordings (sources) | AUC | 95 % interval | own test |\n| --- | --- | --- | --- | --- |")
        for name, names in (("instruments", INSTRUMENTS), ("families", set(FAMILIES))):
            scores = found[f"{which} {name}"] = score(part, of_part, names)
            print("\n".join(lines(scores, name)))
            print(f"likeliest right: {scores['likeliest_is_right']:.0%} of {scores['of_recordings']}")
    if arguments.json:
        write_json(arguments.json, found)


if __name__ == "__main__":
    main()
