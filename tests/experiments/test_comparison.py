import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from theanoish.errors import InputError
from theanoish.experiments import comparison
from theanoish.experiments.comparison import auc_differences, write_differences
from theanoish.experiments.evaluation import Predictions
from theanoish.settings import Settings


def predictions(noise, clips=120, tags=("one", "two", "never"), seed=0):
    """Labels and artists are the same whatever the noise and the seed of it."""
    labels = (np.random.default_rng(7).random((clips, len(tags))) < 0.3).astype(np.uint8)
    labels[:, -1] = 0
    scores = (labels + noise * np.random.default_rng(seed).standard_normal(labels.shape)).astype(np.float32)
    artists = [f"Artist {clip // 3}" for clip in range(clips)]
    return Predictions(scores, labels, np.arange(clips), artists, [""] * clips, list(tags))


def mean_auc(of, clips, tags=(0, 1)):
    return np.mean([roc_auc_score(of.labels[clips, tag], of.probabilities[clips, tag]) for tag in tags])


def test_differences_are_those_of_scikit_learn_and_a_bootstrap_by_hand():
    first, second = predictions(0.5), predictions(1.0, seed=1)
    found = auc_differences(first, second)
    for row, tags in ((found["tags"][0], [0]), (found["tags"][1], [1]), (found["mean"], [0, 1])):
        a, b = (mean_auc(each, slice(None), tags) for each in (first, second))
        assert row["auc"] == pytest.approx([a, b])
        assert row["difference"] == pytest.approx(a - b)
        assert row["interval"][0] < a - b < row["interval"][1]
    drawn = []
    for artists in np.random.default_rng(3).integers(40, size=(500, 40, 1)):
        clips = (3 * artists + np.arange(3)).ravel()
        drawn.append(mean_auc(first, clips) - mean_auc(second, clips))
    low, high = found["mean"]["interval"]
    assert high - low == pytest.approx(2 * 2.02 * np.std(drawn) * np.sqrt(40 / 39), rel=0.15)
    assert auc_differences(first, first)["mean"]["interval"] == [0, 0]


def test_a_tag_that_no_clip_has_is_left_out_and_the_rest_are_matched_by_name(tmp_path):
    first, second = predictions(0.5), predictions(1.0, seed=1)
    found = auc_differences(first, second)
    undefined = found["tags"][2]
    assert (undefined["auc"], undefined["difference"], undefined["interval"]) == ([None, None], None, None)
    turned = replace(
        second, tags=second.tags[::-1], labels=second.labels[:, ::-1], probabilities=second.probabilities[:, ::-1]
    )
    assert auc_differences(first, turned) == found
    write_differences(tmp_path / "d.csv", found["tags"])
    rows = list(csv.DictReader((tmp_path / "d.csv").open()))
    assert [row["tag"] for row in rows] == first.tags
    assert float(rows[0]["difference"]) == found["tags"][0]["difference"]
    assert set(rows[2].values()) == {"never", "", "0"}
    with pytest.raises(InputError, match="none of the first one's tags"):
        auc_differences(first, replace(second, tags=["a", "b", "c"]))


def test_both_are_tested_on_the_data_of_the_first(monkeypatch):
    """Unless others are named."""
    asked = []

    def evaluate(path, data, split, backend):
        asked.append((path, data, split))
        values = {"settings": Settings().as_dict(), "update": 7, "data": data.name, "split": split}
        return values | {"clips": 120, "resampled": {}}, predictions(0.5)

    monkeypatch.setattr(comparison, "evaluate", evaluate)
    monkeypatch.setattr(comparison, "load_trained", lambda path: ({"data": {"path": f"/data/{path.name}.h5"}}, None))
    first, second = Path("runs/a"), Path("runs/b")
    values = comparison.compare_checkpoints((first, second), None, "validation", "jax")
    assert asked == [(path, Path("/data/a.h5"), "validation") for path in (first, second)]
    assert [each["path"] for each in values["checkpoints"]] == ["runs/a", "runs/b"]
    assert comparison.compare_checkpoints((first, second), Path("c.h5"), "test", "jax")["data"] == "c.h5"
