import numpy as np
import pytest

from theanoish.training.metrics import chance_error, score_tags

LABELS = np.array([[1, 0, 1, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 1, 1]], np.uint8)
PROBABILITIES = np.array(
    [[0.9, 0.1, 0.3, 0.4], [0.8, 0.2, 0.3, 0.4], [0.3, 0.9, 0.1, 0.1], [0.2, 0.5, 0.6, 0.2], [0.1, 0.5, 0.7, 0.9]],
    np.float32,
)


def test_by_hand():
    """Tag 0: the positives 0.9 and 0.3 win 5 of 6 pairs. Tag 3: 0.4 and 0.9 win 5, and tie in one, of 6.

    Tags 1 and 2, without positives or negatives, are undefined and left out.
    """
    scores = score_tags(LABELS, PROBABILITIES)
    np.testing.assert_allclose(scores.auc, [5 / 6, np.nan, np.nan, 5.5 / 6])
    assert scores.average_precision[0] == pytest.approx((1 + 2 / 3) / 2)  # found at ranks 1 and 3
    assert np.isnan(scores.average_precision).tolist() == [False, True, True, False]
    assert scores.mean_auc == pytest.approx((5 / 6 + 5.5 / 6) / 2)
    assert scores.mean_average_precision == pytest.approx(np.nanmean(scores.average_precision))
    assert scores.positives.tolist() == [2, 0, 5, 2]
    nothing = score_tags(LABELS[:, 1:3], PROBABILITIES[:, 1:3])
    assert np.isnan([nothing.mean_auc, nothing.mean_average_precision]).all()


def test_chance_error_by_hand():
    """Tags 0 and 3 have 2 positives of 5, so sqrt(6 / (12 · 2 · 3)); tags 1 and 2 say nothing."""
    assert chance_error(LABELS) == pytest.approx((1 / 12) ** 0.5, rel=1e-12)
    assert chance_error(LABELS[:, 1:3]) == float("inf")
    labels = (np.arange(100)[:, None] < [1, 10, 50]).astype(np.uint8)  # the median is the tag's of 10 positives
    assert chance_error(labels) == pytest.approx((101 / (12 * 10 * 90)) ** 0.5, rel=1e-12)
