"""Contrasts of predictions whose truth is known, and the verdict on every kind of interval."""

from dataclasses import replace

import numpy as np
import pytest

from theanoish.errors import InputError
from theanoish.experiments.contrasts import _direction, _verdict, find_contrasts, score_networks
from theanoish.experiments.evaluation import Predictions
from theanoish.experiments.paper import REGRESSION
from theanoish.training.metrics import score_tags

CLIPS, TAGS = 600, 6
GENERATOR = np.random.default_rng(5)
LABELS = (GENERATOR.random((CLIPS, TAGS)) < 0.3).astype(np.uint8)
HARD = GENERATOR.standard_normal((CLIPS, TAGS))


def contrasts_of(predictions):
    return find_contrasts(*score_networks(predictions))


def predict(distance):
    """Of a network that separates labels by `distance`."""
    scores = HARD + distance * LABELS + 0.2 * GENERATOR.standard_normal((CLIPS, TAGS))
    artists = [f"band {i // 5}" for i in range(CLIPS)]
    tags = [f"tag {i}" for i in range(TAGS)]
    return Predictions(scores.astype(np.float32), LABELS, np.arange(CLIPS), artists, artists, tags)


@pytest.fixture(scope="module")
def predictions():
    networks = {"mel_256_256": 1.8, "raw_256_256": 1.4, "mel_1024_1024": 1.4, "raw_1024_1024": 1.8}
    networks |= {
        "raw_256_256_l2_2": 1.8,
        "raw_1024_1024_l2_2": 1.8,
        "raw_1024_1024_max_4": 1.0,
        "mel_256_256_dropout": 1.0,
        "of no finding": 1.0,
    }
    return {name: {seed: predict(distance) for seed in (1, 2, 3)} for name, distance in networks.items()}


@pytest.fixture(scope="module")
def contrasts(predictions):
    return {row["finding"]: row for row in contrasts_of(predictions)}


def test_verdicts_where_the_truth_is_known(contrasts):
    assert {name: row["verdict"] for name, row in contrasts.items()} == {
        "spectrograms - raw audio, 256/256": "holds",
        "spectrograms - raw audio, 1024/1024": "opposite",
        "256/256 - 1024/1024, spectrograms": "holds",
        "256/256 - 1024/1024, raw audio": "opposite",
        "L2 pooling of 2 - none": "holds",  # no difference, and none here
        "max-pooling of 4 - none": "holds",  # a difference of 0.0086, the smallest that the paper calls one
        "dropout - none, spectrograms": "opposite",  # no difference, but one here
        "L2 pooling of 2 - raw audio": "higher",
        "L2 pooling of 2 - spectrograms, 128 bands": "not resolved",
    }
    assert contrasts["L2 pooling of 2 - raw audio"]["paper_finds"] == "nothing"
    assert contrasts["L2 pooling of 2 - none"]["paper_finds"] == "no difference"
    assert contrasts["max-pooling of 4 - none"]["paper_finds"] == "difference"


def test_differences_are_those_of_the_plain_scores(predictions, contrasts):
    first, second = (
        np.mean([score_tags(p.labels, p.probabilities).mean_auc for p in predictions[name].values()])
        for name in ("mel_256_256", "raw_256_256")
    )
    row = contrasts["spectrograms - raw audio, 256/256"]
    assert row["difference"] == pytest.approx(first - second, abs=1e-12)
    assert row["interval"][0] < row["difference"] < row["interval"][1]
    assert (row["seeds"], row["clips"], row["resampled"]) == (3, CLIPS, {"by": "artist", "units": 120})


def test_findings_over_several_rows():
    sizes = ("1024_1024", "1024_512", "512_512", "512_256", "256_256")
    predictions = {
        f"{frontend}_{size}": {seed: predict(distance) for seed in (1, 2)}
        for size in sizes
        for frontend, distance in (("mel", 1.7), ("raw", 1.5))
    }
    rows = {row["finding"]: row for row in contrasts_of(predictions)}
    single = [rows[f"spectrograms - raw audio, {size.replace('_', '/')}"] for size in sizes]
    mean = rows["spectrograms - raw audio, mean of the five"]
    assert mean["difference"] == pytest.approx(np.mean([row["difference"] for row in single]), abs=1e-12)
    widths = [row["interval"][1] - row["interval"][0] for row in (*single, mean)]
    assert widths[-1] < min(widths[:-1])
    assert rows["stride of half a length - of a whole one, mean of four"]["verdict"] == "holds"


def test_a_network_is_compared_with_the_regression_which_has_no_seeds(predictions):
    compared = {"mel_256_256": predictions["mel_256_256"], REGRESSION: {0: predict(1.0)}}
    (row,) = contrasts_of(compared)
    assert (row["finding"], row["verdict"]) == ("spectrograms, 256/256 - logistic regression", "higher")
    assert row["seeds"] == 3


@pytest.mark.parametrize(
    ("bounds", "paper", "verdict"),
    [
        ([0.001, 0.02], 0.03, "holds"),
        ([-0.02, -0.001], 0.03, "opposite"),
        ([-0.001, 0.02], 0.03, "not resolved"),
        ([-0.02, -0.001], -0.01, "holds"),
        ([0.001, 0.02], -0.01, "opposite"),
        ([-0.004, 0.008], None, "holds"),
        ([0.001, 0.008], None, "holds"),  # a difference, too small to be called one
        ([0.001, 0.02], None, "not resolved"),
        ([-0.03, 0.03], None, "not resolved"),  # however wide, an interval around 0 shows nothing
        ([0.01, 0.02], None, "opposite"),
        ([-0.02, -0.01], None, "opposite"),
        (None, 0.03, "not resolved"),
    ],
)
def test_verdict(bounds, paper, verdict):
    assert _verdict(bounds, paper) == verdict


@pytest.mark.parametrize(
    ("bounds", "direction"), [([0.01, 0.02], "higher"), ([-0.02, -0.01], "lower"), ([-0.01, 0.01], "not resolved")]
)
def test_direction(bounds, direction):
    assert _direction(bounds) == direction


def test_predictions_of_other_clips():
    first = predict(1.0)
    other = replace(first, ids=first.ids + 1)
    with pytest.raises(InputError, match="raw_256_256, seed 2: its predictions are of other clips"):
        contrasts_of({"mel_256_256": {1: first}, "raw_256_256": {1: first, 2: other}})


def test_one_seed_of_either_network_resolves_nothing(predictions):
    """However many the other one has: the fewest count."""
    one, three = {1: predictions["mel_256_256"][1]}, predictions["mel_256_256"]
    for mel, other, seeds in (
        (one, REGRESSION, {0: predict(1.0)}),
        (one, "raw_256_256", three),
        (three, "raw_256_256", one),
    ):
        (row,) = contrasts_of({"mel_256_256": mel, other: seeds})
        assert (row["seeds"], row["interval"], row["verdict"]) == (1, None, "not resolved")
