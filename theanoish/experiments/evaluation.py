"""Evaluating a checkpoint on a split of any data set: from checkpoint and HDF5 file to scores per tag.

The data set may have other tags than the checkpoint (those in common are scored), a single split, and no artists. What
was heard in training is read from the checkpoint, never from the file under test.
"""

import csv
import io
import zipfile
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
from theanoish.experiments.statistics import Interval, Resamples, interval_of_checkpoint, resample
from theanoish.files import write_text, written_whole
from theanoish.settings import Settings
from theanoish.training.checkpoint import load_network
from theanoish.training.metrics import TagScores, score_tags
from theanoish.training.prediction import Predictor

FEWEST_CLIPS, FEWEST_POSITIVES = 100, 5  # below, a split or a tag says little by itself


@dataclass(frozen=True)
class Predictions:
    """What a network predicts for the clips of a split, and what is true.

    Attributes
    ----------
    probabilities : float32 array (clips, tags)
    labels : uint8 array (clips, tags)
    ids : int64 array (clips,)
    artists, titles : list of str (clips)
        Empty if unknown.
    tags : list of str
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.uint8]
    ids: NDArray[np.int64]
    artists: list[str]
    titles: list[str]
    tags: list[str]

    def is_of(self, ids: NDArray[np.int64], labels: NDArray[np.uint8], tags: list[str]) -> bool:
        """Whether these are the clips, labels and tags that it predicts."""
        return self.tags == tags and np.array_equal(self.ids, ids) and np.array_equal(self.labels, labels)


@dataclass(frozen=True)
class Evaluation:
    """What a checkpoint reaches on a split.

    Attributes
    ----------
    settings : Settings
    update : int
        Update after which the checkpoint was saved.
    data, split : str
    clips_kept : str
        Which clips the data set keeps: "all" readable ones, or only "tagged" ones.
    paper_auc : float or None
        The paper's, if the data set has MagnaTagATune's tags and the paper has the network.
    predictions : Predictions
        Of the tags that checkpoint and data set have in common.
    missing_tags : list of str
        Tags of the checkpoint that the data set lacks.
    scores : TagScores
    auc_interval, precision_interval : Interval
        Of the means, over test clips: of this checkpoint, not of others with other seeds.
    resamples : Resamples
    silent : dict of str to float
        Of each rectified layer, the share of units that are 0 for every window of the split.
    by_strings, by_people : TagScores or None
        The scores of the clips by artists not heard in training, names compared as strings, and as people
        (`theanoish.experiments.artists`); None if there are none.
    """

    settings: Settings
    update: int
    data: str
    split: str
    clips_kept: str
    paper_auc: float | None
    predictions: Predictions
    missing_tags: list[str]
    scores: TagScores
    auc_interval: Interval
    precision_interval: Interval
    resamples: Resamples
    silent: dict[str, float]
    by_strings: TagScores | None
    by_people: TagScores | None

    @property
    def undefined_tags(self) -> list[str]:
        """Tags that every clip or no clip of the split has: they have no AUC and are not in the means."""
        return [tag for tag, auc in zip(self.predictions.tags, self.scores.auc, strict=True) if np.isnan(auc)]

    @property
    def rare_tags(self) -> int:
        """How many of the other tags less than five clips have, or lack."""
        fewer = np.minimum(self.scores.positives, self.scores.clips - self.scores.positives)
        return int(((fewer > 0) & (fewer < FEWEST_POSITIVES)).sum())

    @property
    def is_small(self) -> bool:
        """Whether the scores of single tags mean little: below 100 clips, or half of the tags rare or undefined."""
        few = self.rare_tags + len(self.undefined_tags)
        return self.scores.clips < FEWEST_CLIPS or 2 * few > len(self.predictions.tags)

    def as_dict(self) -> dict[str, Any]:
        """All scores as plain values, None if one is undefined."""
        scores = self.scores
        table = zip(self.predictions.tags, scores.auc, scores.average_precision, scores.positives, strict=True)
        return {
            "settings": self.settings.as_dict(),
            "update": self.update,
            "data": self.data,
            "split": self.split,
            "clips_kept": self.clips_kept,
            "clips": scores.clips,
            "mean_auc": plain(scores.mean_auc),
            "mean_auc_interval": self.auc_interval.bounds,
            "mean_average_precision": plain(scores.mean_average_precision),
            "mean_average_precision_interval": self.precision_interval.bounds,
            "resampled": self.resamples.drawn,
            "paper_auc": self.paper_auc,
            "artist_filtered_clips": self.by_people.clips if self.by_people else 0,
            "artist_filtered_mean_auc": plain(self.by_people.mean_auc) if self.by_people else None,
            "artist_strings_filtered_clips": self.by_strings.clips if self.by_strings else 0,
            "artist_strings_filtered_mean_auc": plain(self.by_strings.mean_auc) if self.by_strings else None,
            "silent": self.silent,
            "missing_tags": self.missing_tags,
            "undefined_tags": self.undefined_tags,
            "tags": [
                {"tag": tag, "auc": plain(auc), "average_precision": plain(precision), "positives": int(positives)}
                for tag, auc, precision, positives in table
            ],
        }


def plain(score: float) -> float | None:
    """A score for JSON: None instead of NaN."""
    return None if np.isnan(score) else float(score)


def evaluate(
    path: Path, data: Path | None, split: str, backend: str, report: Callable[[int, int], None] | None = None
) -> Evaluation:
    """Predict and score the clips of a split.

    Parameters
    ----------
    path : Path
        The checkpoint.
    data : Path, optional
        The HDF5 data set; by default the one that the checkpoint was trained on.
    split : {"train", "validation", "test"}
    backend : {"jax", "numba"}
    report : callable, optional
        Called with the number of windows predicted so far, and of all.

    Raises
    ------
    InputError
        If the checkpoint or the data cannot be used, or the two have no tag in common.
    """
    saved, network = load_network(path)
    dataset = Dataset(data or Path(saved["data"]["path"]))
    tags = [tag for tag in saved["tags"] if tag in dataset.tags]
    if not tags:
        raise InputError(f"{dataset.path}: has none of the checkpoint's tags, which are {', '.join(saved['tags'])}")
    rows = dataset.rows(split)
    predicted = Predictor(network, backend).predict_clips(dataset.windows(network.settings, rows), report)
    if not np.isfinite(predicted.probabilities).all():
        raise InputError(f"{path}: predictions on {dataset.path} are not finite: one of the two files is damaged")
    predictions = Predictions(
        predicted.probabilities[:, [saved["tags"].index(tag) for tag in tags]],
        dataset.labels[rows][:, [dataset.tags.index(tag) for tag in tags]],
        dataset.ids[rows],
        [dataset.artists[row] for row in rows],
        [dataset.titles[row] for row in rows],
        tags,
    )
    resamples = resample(predictions.artists, predictions.titles)
    auc, precision = interval_of_checkpoint(predictions.labels, predictions.probabilities, resamples)
    return Evaluation(
        settings=network.settings,
        update=saved["update"],
        data=dataset.path.name,
        split=split,
        clips_kept=str(dataset.attributes["tags_kept"]),
        paper_auc=paper_auc(network.settings) if set(tags) == MAGNATAGATUNE_TAGS == set(dataset.tags) else None,
        predictions=predictions,
        missing_tags=[tag for tag in saved["tags"] if tag not in tags],
        scores=score_tags(predictions.labels, predictions.probabilities),
        auc_interval=auc,
        precision_interval=precision,
        resamples=resamples,
        silent=predicted.silent,
        by_strings=_scores_of(predictions, by_other_strings(predictions.artists, saved["artists"])),
        by_people=_scores_of(predictions, by_unheard(predictions.artists, saved["artists"])),
    )


def _scores_of(predictions: Predictions, chosen: NDArray[np.bool_]) -> TagScores | None:
    return score_tags(predictions.labels[chosen], predictions.probabilities[chosen]) if chosen.any() else None


def write_csv(path: Path, evaluation: Evaluation) -> None:
    """Write the table of tags as CSV; undefined scores are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["tag", "auc", "average_precision", "positives"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(evaluation.as_dict()["tags"])
    write_text(path, text.getvalue())


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write an uncompressed .npz file with an array per attribute of `Predictions`."""
    with written_whole(path) as beside, beside.open("wb") as file:
        np.savez(file, **vars(predictions))


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises
    ------
    InputError
        If the file is missing, damaged or something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("it is compressed")  # and might take any memory
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
