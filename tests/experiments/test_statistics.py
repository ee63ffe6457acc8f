"""Scores of resamples against scikit-learn on the very clips drawn, and intervals worked out by hand."""

import numpy as np
import pytest
from scipy.stats import t
from sklearn.metrics import average_precision_score, roc_auc_score

from theanoish.experiments.statistics import (
    interval,
    interval_of_checkpoint,
    mean_over_tags,
    resample,
    tag_aucs,
    tag_precisions,
)


@pytest.mark.parametrize("decimals", [1, 2, 7])
def test_scores_of_resamples_are_those_of_the_clips_drawn(decimals):
    """With many ties, few and none; tags of one class in some resamples, and in all."""
    generator = np.random.default_rng(decimals)
    labels = (generator.random((60, 5)) < [0.02, 0.1, 0.4, 0.9, 0]).astype(np.uint8)
    labels[0, 0] = 1
    scores = generator.random((60, 5)).round(decimals).astype(np.float32)
    weights = resample([""] * 60, [""] * 60, 300).weights  # more than are computed at a time
    aucs, precisions = tag_aucs(labels, scores, weights), tag_precisions(labels, scores, weights)
    undefined = 0
    for i in range(0, 300, 7):
        drawn = np.repeat(np.arange(60), weights[:, i].astype(int))
        for tag in range(5):
            truth, predicted = labels[drawn, tag], scores[drawn, tag]
            expected = [np.nan, np.nan]
            if 0 < truth.sum() < len(truth):
                expected = [score(truth, predicted) for score in (roc_auc_score, average_precision_score)]
            undefined += np.isnan(expected[0])
            assert [aucs[tag, i], precisions[tag, i]] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert undefined > 300 / 7  # the tag that no clip has, and others


def test_bounds_of_a_checkpoints_score_are_scores():
    resampled = np.array([[0.5, 1.0, 0.9], [0.7, 1.0, 1.0]])
    low, high = interval_of_checkpoint(0.9, resampled, 12)
    assert high == 1
    spread = 12 / 11 * np.var([0.6, 1.0, 0.95], ddof=1)
    assert low == pytest.approx(0.9 - t.ppf(0.975, 11) * spread**0.5)


def test_undefined_tags_are_left_out_of_a_resamples_mean():
    scores = np.array([[0.5, np.nan, np.nan], [0.7, 0.8, np.nan]])
    np.testing.assert_array_equal(mean_over_tags(scores), [0.6, 0.8, np.nan])


def test_artists_are_drawn_whole():
    artists = [f"band {i % 12}" for i in range(60)] + ["", "Various Artists", ""]
    drawn = resample(artists, ["same"] * 63, 50)
    assert (drawn.units, drawn.by) == (15, "artist")  # 12 bands, and each clip of unknown artist by itself
    assert (drawn.weights[:60] == np.tile(drawn.weights[:12], (5, 1))).all()
    assert (drawn.weights[[*range(12), 60, 61, 62]].sum(axis=0) == 15).all()
    assert len(np.unique(drawn.weights[60:], axis=0)) == 3


def test_titles_are_drawn_if_artists_are_few_and_clips_if_titles_are():
    artists = [f"band {i % 9}" for i in range(60)]
    titles = [f"song {i % 27 // 9}" for i in range(59)] + [""]
    drawn = resample(artists, titles, 50)
    assert (drawn.units, drawn.by) == (28, "title")  # 9 bands have 3 songs each, and one clip has no title
    assert (drawn.weights[:27] == drawn.weights[27:54]).all()
    assert len(np.unique(drawn.weights[:27], axis=0)) > 20
    few = resample(artists, ["song"] * 60, 50)
    assert (few.units, few.by) == (60, "clip")


def test_nothing_can_be_said_of_one_clip_or_undefined_scores():
    one = np.array([[1.0]])
    assert interval([(1.0, np.array([0.8]), one.repeat(9, 1))], 1) == (0.8, None)
    labels, scores = np.zeros((20, 2), np.uint8), np.random.default_rng(0).random((20, 2)).astype(np.float32)
    weights = resample([""] * 20, [""] * 20).weights
    for scores_of in (tag_aucs, tag_precisions):
        assert interval_of_checkpoint(np.nan, scores_of(labels, scores, weights), 20) is None


def expected_interval(parts, units):
    """The module's formula from its text: pairs of seeds, sums and loops, instead of variances of means."""

    def variance_of(values):
        mean = sum(values) / len(values)
        return sum((value - mean) ** 2 for value in values) / (len(values) - 1)

    larger = units / (units - 1)
    value = sum(c * sum(scores) / len(scores) for c, scores, _ in parts)
    variance = larger * variance_of(sum(c * sum(each) / len(each) for c, _, each in parts))
    doubts = variance**2 / (units - 1)
    for c, scores, each in parts:
        count = len(scores)
        if count < 2:
            continue
        pairs = [(i, j) for i in range(count) for j in range(i)]
        own = larger * sum(variance_of(each[i] - each[j]) / 2 for i, j in pairs) / len(pairs)
        variance += c**2 * max(0, variance_of(scores) - own) / count
        doubts += (c**2 * variance_of(scores) / count) ** 2 / (count - 1)
    half = t.ppf(0.975, variance**2 / doubts) * variance**0.5
    return value, [value - half, value + half]


def test_interval_by_hand():
    """Of 11 artists and 2 seeds; every number of the module's formula worked out on paper.

    Means over seeds 0.705, 0.72, 0.735: V = 1.1 · 0.000225 = 0.0002475. Differences -0.05, -0.04, -0.03: var(e) =
    1.1 · 0.0001 / 2 = 0.000055. s² = 0.0008. Variance V + (s² - var(e)) / 2 = 0.00062; degrees of freedom
    0.00062² / (V² / 10 + (s² / 2)²) = 3.844e-7 / 1.66125625e-7 = 2.31391, whose 97.5 % point of t is 3.78897.
    """
    resampled = np.array([[0.68, 0.70, 0.72], [0.73, 0.74, 0.75]])
    value, (low, high) = interval([(1.0, np.array([0.70, 0.74]), resampled)], 11)
    assert value == pytest.approx(0.72, abs=1e-12)
    assert [value - low, high - value] == pytest.approx([3.78897 * 0.00062**0.5] * 2, rel=1e-5)


def test_intervals_of_sums_of_networks_against_pairs_of_seeds():
    """One to four seeds, which differ more than their resamples tell, and less; coefficients as findings have them."""
    generator = np.random.default_rng(4)
    for spread in (0.0001, 0.003, 0.05):
        parts = []
        for c, seeds in ((1.0, 3), (-1.0, 2), (0.5, 1), (-0.25, 4)):
            scores = 0.8 + spread * generator.standard_normal(seeds)
            common = 0.01 * generator.standard_normal(50)
            parts.append((c, scores, scores[:, None] + common + 0.004 * generator.standard_normal((seeds, 50))))
        for units in (10, 25, 400):
            value, bounds = interval(parts, units)
            expected, limits = expected_interval(parts, units)
            assert [value, *bounds] == pytest.approx([expected, *limits], rel=1e-9)
    assert interval(parts, 9)[1] is None


def test_the_resamples_of_a_report():
    """Reports name no seed: all draw these thousand."""
    assert resample([""] * 12, [""] * 12).weights.shape == (12, 1000)
    assert resample([""] * 12, [""] * 12, 1).weights[:, 0].tolist() == [1, 0, 2, 3, 1, 1, 1, 2, 0, 1, 0, 0]
