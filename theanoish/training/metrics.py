"""How well clips were tagged: ROC AUC and average precision a tag, and their means (section 4.1).

A tag that no clip or every clip of the split has is undefined: NaN, named in the report and left out of the means.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEW_CLIPS, FEW_POSITIVES = 100, 5  # a split of fewer clips, and a tag that fewer have or lack, say little alone


@dataclass(frozen=True)
class TagScores:
    """Scores a tag, in the order of the tags."""

    auc: NDArray[np.float64]  # (tags,), NaN where the tag has no positive or no negative clip
    average_precision: NDArray[np.float64]  # (tags,), likewise
    positives: NDArray[np.int64]  # (tags,)

    @property
    def mean_auc(self) -> float:
        """The paper's figure of merit: the mean over the tags that are defined; NaN where none is."""
        return _mean(self.auc)

    @property
    def mean_average_precision(self) -> float:
        """Mean over the tags that are defined; NaN where none is."""
        return _mean(self.average_precision)


def score_tags(labels: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> TagScores:
    """Score predicted probabilities against labels.

    Parameters
    ----------
    labels : uint8 array (clips, tags)
    probabilities : float array (clips, tags)
        As predicted, never rounded.
    """
    # importing it takes longer than all else that a script imports, and a script that refuses its input never needs it
    from sklearn.metrics import average_precision_score, roc_auc_score

    positives = labels.sum(axis=0, dtype=np.int64)
    auc, precision = np.full((2, labels.shape[1]), np.nan)
    for tag in np.flatnonzero((positives > 0) & (positives < len(labels))):
        auc[tag] = roc_auc_score(labels[:, tag], probabilities[:, tag])
        precision[tag] = average_precision_score(labels[:, tag], probabilities[:, tag])
    return TagScores(auc, precision, positives)


def _mean(scores: NDArray[np.float64]) -> float:
    defined = scores[~np.isnan(scores)]
    return float(defined.mean()) if len(defined) else float("nan")


def chance_error(labels: NDArray[np.uint8]) -> float:
    """By how much a tag's AUC typically differs from 0.5 if predictions are drawn by chance.

    That is sqrt((n + 1) / (12 · positives · negatives)) for n clips (Mann & Whitney, 1947), here the median over tags.

    Parameters
    ----------
    labels : uint8 array (clips, tags)

    Returns
    -------
    float
        Infinity if no tag has both positive and negative clips.
    """
    positives = labels.sum(axis=0, dtype=np.float64)
    pairs = positives * (len(labels) - positives)
    errors = np.sqrt((len(labels) + 1) / (12 * pairs[pairs > 0]))
    return float(np.median(errors)) if len(errors) else float("inf")
