"""Evaluating a checkpoint on a split of any data set: from checkpoint and HDF5 file to scores per tag.

The data set may have other tags than the checkpoint (those in common are scored), a single split, and no artists. What
was heard in training is read from the checkpoint, never from the file under test.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.artists import by_other_strings, by_unheard
from theanoish.experiments.paper import MAGNATAGATUNE_TAGS, paper_auc
from theanoish.experiments.statistics import interval_of_checkpoint, resample, tag_aucs, tag_precisions
from theanoish.files import write_text, written_whole
from theanoish.model.network import Network
from theanoish.training.checkpoint import CHECKPOINT, load, load_last, load_network
from theanoish.training.metrics import score_tags
from theanoish.training.prediction import Predictor

MAGNATAGATUNE_IDS, FEWEST_MAGNATAGATUNE = (2, 58_915), 20_000  # first and last clip, and of 21,111 with a tag


@dataclass(frozen=True)
class Predictions:
    """What a network predicts for the clips of a split, and what is true."""

    probabilities: NDArray[np.float32]  # (clips, tags)
    labels: NDArray[np.uint8]  # (clips, tags)
    ids: NDArray[np.int64]  # (clips,)
    artists: list[str]  # (clips,), empty if unknown
    titles: list[str]  # likewise
    tags: list[str]

    def is_of(self, ids: NDArray[np.int64], labels: NDArray[np.uint8], tags: list[str]) -> bool:
        """Whether these are the clips, labels and tags that it predicts."""
        return self.tags == tags and np.array_equal(self.ids, ids) and np.array_equal(self.labels, labels)


def plain(score: float) -> float | None:
    """A score for JSON: None instead of NaN."""
    return None if np.isnan(score) else float(score)


def evaluate(
    path: Path, data: Path | None, split: str, backend: str, report: Callable[[int, int], None] | None = None
) -> tuple[dict[str, Any], Predictions]:
    """Predict and score the clips of a split.

    Parameters
    ----------
    path : Path
        The checkpoint, with the parameters of the best validation; or ``state.pkl`` beside it, with the last ones.
    data : Path, optional
        The HDF5 data set; by default the one that the checkpoint was trained on.
    split : {"train", "validation", "test"}
    backend : {"jax", "numba"}
    report : callable, optional
        Called with the number of windows predicted so far, and of all.

    Returns
    -------
    values : dict
        All scores as plain values, None if one is undefined. "paper_auc" is for MagnaTagATune alone, "resampled" what
        the intervals drew, "missing_tags" those that the data set lacks, "undefined_tags" those that no clip or every
        clip has: they are not in the means.
    predictions : Predictions
        Of the tags that checkpoint and data set have in common.
    """
    saved, network = load_trained(path)
    dataset = Dataset(data or Path(saved["data"]["path"]))
    tags = [tag for tag in saved["tags"] if tag in dataset.tags]
    if not tags:
        raise InputError(f"{dataset.path}: has none of the checkpoint's tags, which are {', '.join(saved['tags'])}")
    rows = dataset.rows(split)
    predicted = Predictor(network, backend).predict_clips(dataset.windows(network.settings, rows), report)
    if not np.isfinite(predicted.probabilities).all():
        raise InputError(f"{path}: predictions on {dataset.path} are not finite: one of the two files is damaged")
    probabilities = predicted.probabilities[:, [saved["tags"].index(tag) for tag in tags]]
    predictions = predictions_of(dataset, rows, tags, probabilities)
    return {
        "settings": network.settings.as_dict(),
        "update": saved["update"],
        "data": dataset.path.name,
        "split": split,
        "clips_kept": dataset.tags_kept,
        "clips": len(rows),
        "paper_auc": paper_auc(network.settings)
        if len(tags) == len(dataset.tags) and is_magnatagatune(dataset)
        else None,
        **_scores_of(predictions),
        **_of_clips("artist_filtered", predictions, by_unheard(predictions.artists, saved["artists"])),
        **_of_clips("artist_strings_filtered", predictions, by_other_strings(predictions.artists, saved["artists"])),
        "silent": predicted.silent,
        "missing_tags": [tag for tag in saved["tags"] if tag not in tags],
    }, predictions


def predictions_of(
    dataset: Dataset, rows: NDArray[np.int64], tags: list[str], probabilities: NDArray[np.float32]
) -> Predictions:
    """What was predicted for some clips of a data set, (clips, tags), with what it says of these."""
    labels = dataset.labels[rows][:, [dataset.tags.index(tag) for tag in tags]]
    artists, titles = ([names[row] for row in rows] for names in (dataset.artists, dataset.titles))
    return Predictions(probabilities, labels, dataset.ids[rows], artists, titles, tags)


def is_magnatagatune(dataset: Dataset) -> bool:
    """Whether clips are MagnaTagATune's, of which a few may be missing; other music may have tags of the same names."""
    ids = dataset.ids
    return (
        set(dataset.tags) == MAGNATAGATUNE_TAGS
        and len(ids) > FEWEST_MAGNATAGATUNE
        and (ids.min(), ids.max()) == MAGNATAGATUNE_IDS
    )


def load_trained(path: Path) -> tuple[dict[str, Any], Network]:
    """What a checkpoint, or the ``state.pkl`` beside it, holds, with the artists heard in training, and the network."""
    if path.name != "state.pkl":
        return load_network(path)
    artists = load(path.with_name("checkpoint.pkl"), CHECKPOINT)["artists"]
    saved, network = load_last(path)
    return saved | {"artists": artists}, network


def _scores_of(predictions: Predictions) -> dict[str, Any]:
    """Of each tag, and the means with intervals of this checkpoint over test clips: not of others with other seeds."""
    scores = score_tags(predictions.labels, predictions.probabilities)
    resamples = resample(predictions.artists, predictions.titles)
    values: dict[str, Any] = {"resampled": resamples.drawn}
    for name, mean, scores_of in (
        ("mean_auc", scores.mean_auc, tag_aucs),
        ("mean_average_precision", scores.mean_average_precision, tag_precisions),
    ):
        resampled = scores_of(predictions.labels, predictions.probabilities, resamples.weights)
        values |= {name: plain(mean), f"{name}_interval": interval_of_checkpoint(mean, resampled, resamples.units)}
    table = zip(predictions.tags, scores.auc, scores.average_precision, scores.positives, strict=True)
    values["tags"] = [
        {"tag": tag, "auc": plain(auc), "average_precision": plain(precision), "positives": int(positives)}
        for tag, auc, precision, positives in table
    ]
    return values | {"undefined_tags": [row["tag"] for row in values["tags"] if row["auc"] is None]}


def _of_clips(name: str, predictions: Predictions, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    auc = score_tags(predictions.labels[chosen], predictions.probabilities[chosen]).mean_auc if chosen.any() else np.nan
    return {f"{name}_clips": int(chosen.sum()), f"{name}_mean_auc": plain(auc)}


def write_csv(path: Path, tags: list[dict[str, Any]]) -> None:
    """Write the table of tags as CSV; undefined scores are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["tag", "auc", "average_precision", "positives"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(tags)
    write_text(path, text.getvalue())


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write an uncompressed .npz file with an array per attribute of `Predictions`."""
    with written_whole(path) as beside, beside.open("wb") as file:
        np.savez(file, **vars(predictions))


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("probabilities", "labels", "ids", "artists", "titles", "tags")}
        probabilities, labels, ids, artists, titles, tags = arrays.values()
        kinds = [array.dtype.kind for array in arrays.values()]
        if kinds != ["f", "u", "i", "U", "U", "U"] or probabilities.dtype != np.float32 or labels.dtype != np.uint8:
            raise ValueError("an array is of another type")
        shape = (len(ids), len(tags))
        if not probabilities.shape == labels.shape == shape or not artists.shape == titles.shape == ids.shape:
            raise ValueError("the arrays' shapes differ")
        if labels.max(initial=0) > 1 or not np.isfinite(probabilities).all():
            raise ValueError("labels must be 0 or 1, probabilities finite")
    except Exception as error:  # a damaged file raises nearly anything
        raise InputError(f"{path}: no predictions that evaluate.py --predictions wrote ({error})") from error
    return Predictions(probabilities, labels, ids, artists.tolist(), titles.tolist(), tags.tolist())
