"""Evaluating a checkpoint on a split of a data set: from checkpoint and HDF5 file to scores a tag."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.paper import paper_auc
from theanoish.files import written_whole
from theanoish.settings import Settings
from theanoish.training.metrics import TagScores, score_tags
from theanoish.training.prediction import Predictor
from theanoish.training.run import load_network


@dataclass(frozen=True)
class Evaluation:
    """What a checkpoint reaches on a split.

    Attributes
    ----------
    settings : Settings
    update : int
        Update after which the checkpoint was saved.
    split : str
    clips_kept : str
        Which clips the data set keeps: "all" readable ones, or only "tagged" ones.
    tags : list of str
    scores : TagScores
    artist_filtered : TagScores or None
        The same on the clips by artists of whom no clip is in the training split; None where there is none.
    """

    settings: Settings
    update: int
    data: str
    split: str
    clips_kept: str
    tags: list[str]
    scores: TagScores
    artist_filtered: TagScores | None

    @property
    def undefined_tags(self) -> list[str]:
        """Tags that every clip or no clip of the split has: they have no AUC and are not in the means."""
        return [tag for tag, auc in zip(self.tags, self.scores.auc, strict=True) if np.isnan(auc)]

    def as_dict(self) -> dict[str, Any]:
        """All scores as plain values, None where one is undefined."""
        scores, filtered = self.scores, self.artist_filtered
        table = zip(self.tags, scores.auc, scores.average_precision, scores.positives, strict=True)
        return {
            "settings": self.settings.as_dict(),
            "update": self.update,
            "data": self.data,
            "split": self.split,
            "clips_kept": self.clips_kept,
            "clips": scores.clips,
            "mean_auc": _plain(scores.mean_auc),
            "mean_average_precision": _plain(scores.mean_average_precision),
            "paper_auc": paper_auc(self.settings),
            "artist_filtered_clips": filtered.clips if filtered else 0,
            "artist_filtered_mean_auc": _plain(filtered.mean_auc) if filtered else None,
            "undefined_tags": self.undefined_tags,
            "tags": [
                {"tag": tag, "auc": _plain(auc), "average_precision": _plain(precision), "positives": int(positives)}
                for tag, auc, precision, positives in table
            ],
        }


def _plain(score: float) -> float | None:
    return None if np.isnan(score) else float(score)


def evaluate(path: Path, data: Path | None, split: str, backend: str) -> Evaluation:
    """Predict and score the clips of a split.

    Parameters
    ----------
    path : Path
        The checkpoint.
    data : Path, optional
        The HDF5 data set; by default the one that the checkpoint was trained on.
    split : {"train", "validation", "test"}
    backend : {"jax", "numba"}

    Raises
    ------
    InputError
        Where the checkpoint or the data cannot be used, or the data lack one of the checkpoint's tags.
    """
    saved, network = load_network(path)
    dataset = Dataset(data or Path(saved["data"]["path"]))
    tags = saved["tags"]
    labels = _labels_of(dataset, tags)
    rows = dataset.rows(split)
    probabilities = Predictor(network, backend).predict_clips(dataset.windows(network.settings, rows))
    if not np.isfinite(probabilities).all():
        raise InputError(f"{path}: predictions on {dataset.path} are not finite: one of the two files is damaged")
    unheard = _by_unheard_artists(dataset, rows)
    return Evaluation(
        settings=network.settings,
        update=saved["update"],
        data=dataset.path.name,
        split=split,
        clips_kept=str(dataset.attributes["tags_kept"]),
        tags=tags,
        scores=score_tags(labels[rows], probabilities),
        artist_filtered=score_tags(labels[rows][unheard], probabilities[unheard]) if unheard.any() else None,
    )


def _labels_of(dataset: Dataset, tags: list[str]) -> NDArray[np.uint8]:
    missing = sorted(set(tags) - set(dataset.tags))
    if missing:
        raise InputError(
            f"{dataset.path}: lacks tags of the checkpoint: {', '.join(missing)}; name the data set it was trained on "
            "with --data"
        )
    return dataset.labels[:, [dataset.tags.index(tag) for tag in tags]]


def _by_unheard_artists(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    heard = {dataset.artists[row] for row in dataset.rows("train")}
    return np.array([dataset.artists[row] not in heard for row in rows])


def write_json(path: Path, evaluation: Evaluation) -> None:
    """Write all scores as JSON."""
    with written_whole(path) as beside:
        beside.write_text(json.dumps(evaluation.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path: Path, evaluation: Evaluation) -> None:
    """Write the table of tags as CSV; undefined scores are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["tag", "auc", "average_precision", "positives"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(evaluation.as_dict()["tags"])
    with written_whole(path) as beside:
        beside.write_text(text.getvalue(), encoding="utf-8")
