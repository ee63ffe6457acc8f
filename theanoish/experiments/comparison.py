"""The difference of two checkpoints on the same clips, with its interval, in the mean and tag by tag.

Both are scored on the same resamples of the clips: what makes a clip hard for one is hard for the other mostly, so that
a difference is known better than either score. The interval is about these two checkpoints and other clips like these;
how far other seeds would be off it does not say.
"""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.errors import InputError
from theanoish.experiments.evaluation import Predictions, evaluate, load_trained, plain
from theanoish.experiments.statistics import interval, mean_over_tags, resample, tag_aucs
from theanoish.files import write_text
from theanoish.settings import Settings


def compare_checkpoints(paths: tuple[Path, Path], data: Path | None, split: str, backend: str) -> dict[str, Any]:
    """Evaluate two checkpoints on one data set, and subtract the second's scores from the first's.

    Parameters
    ----------
    paths : two of Path
    data : Path, optional
        The HDF5 data set; by default the one that the first checkpoint was trained on.
    split : {"train", "validation", "test"}
    backend : {"jax", "numba"}

    Returns
    -------
    dict
        "checkpoints", the names and updates of the two; "data", "split", "clips", "resampled"; and what
        `auc_differences` returns.
    """
    data = data or Path(load_trained(paths[0])[0]["data"]["path"])
    found = [evaluate(path, data, split, backend) for path in paths]
    names = [
        {"path": str(path), "network": Settings.from_dict(values["settings"]).name, "update": values["update"]}
        for path, (values, _) in zip(paths, found, strict=True)
    ]
    same = {name: found[0][0][name] for name in ("data", "split", "clips", "resampled")}
    return {"checkpoints": names, **same, **auc_differences(found[0][1], found[1][1])}


def auc_differences(first: Predictions, second: Predictions) -> dict[str, Any]:
    """Both AUCs, the first less the second, and its 95 % interval, of the tags that the two have in common.

    Returns
    -------
    dict
        "mean", and "tags", a list: each has "auc" (of both), "difference" and "interval", None where they are not
        defined; a tag also has "tag" and "positives".
    """
    tags = [tag for tag in first.tags if tag in second.tags]
    if not tags:
        raise InputError(f"the second checkpoint has none of the first one's tags, which are {', '.join(first.tags)}")
    columns = [first.tags.index(tag) for tag in tags]
    labels = first.labels[:, columns]
    resamples = resample(first.artists, first.titles)
    scores = (first.probabilities[:, columns], second.probabilities[:, [second.tags.index(tag) for tag in tags]])
    once = np.ones((len(labels), 1), np.float32)
    plainly, drawn = (
        [tag_aucs(labels, probabilities, weights) for probabilities in scores] for weights in (once, resamples.weights)
    )

    def difference(aucs: list[NDArray[np.float64]], resampled: list[NDArray[np.float64]]) -> dict[str, Any]:
        parts = [(sign, auc, each[None]) for sign, auc, each in zip((1.0, -1.0), aucs, resampled, strict=True)]
        value, bounds = interval(parts, resamples.units)
        return {"auc": [plain(auc[0]) for auc in aucs], "difference": plain(value), "interval": bounds}

    return {
        "mean": difference([mean_over_tags(each) for each in plainly], [mean_over_tags(each) for each in drawn]),
        "tags": [
            {"tag": tag, **difference([a[i] for a in plainly], [d[i] for d in drawn]), "positives": int(positives)}
            for i, (tag, positives) in enumerate(zip(tags, labels.sum(axis=0), strict=True))
        ],
    }


def write_differences(path: Path, tags: list[dict[str, Any]]) -> None:
    """Write the differences of tags, by `auc_differences`, as CSV; what is undefined is empty."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["tag", "first_auc", "second_auc", "difference", "low", "high", "positives"])
    for row in tags:
        rows.writerow([row["tag"], *row["auc"], row["difference"], *(row["interval"] or ["", ""]), row["positives"]])
    write_text(path, text.getvalue())
