"""Baselines on clips whose labels are made from one feature each, so that it is known what must find them."""

import json
from dataclasses import replace
from unittest.mock import Mock

import h5py
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments import baselines
from theanoish.experiments.baselines import (
    _loudness_of,
    _predict,
    _shortcuts,
    _warnings,
    baselines_text,
    measure_baselines,
    stored_baselines,
)
from theanoish.experiments.evaluation import write_predictions
from theanoish.experiments.paper import REGRESSION

TAGS = ["offset", "strong", "long", "high", "coin", "loud"]
CLIPS, SPLITS = 160, ["train"] * 80 + ["validation"] * 30 + ["test"] * 50


def spectrogram(clip):
    """Of length and stride 1024, not on the mel scale, which is not asked for here."""
    frames = clip[: len(clip) // 1024 * 1024].reshape(-1, 1024)
    return np.log1p(abs(np.fft.rfft(frames))[:, :256:2]).astype(np.float32)


def write_data(path, representations=("raw",)):
    """Noise around 500 or 3000 Hz; each tag has one cause, "coin" has none, "loud" is as "strong"."""
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, (CLIPS, len(TAGS)), dtype=np.uint8)
    labels[:, 5] = labels[:, 1]
    clips = []
    for offset, strong, long, high, _, _ in labels.tolist():
        time = np.arange(int(generator.integers(48_000, 52_000)) + 4_000 * long) / 16_000
        tone = np.sin(2 * np.pi * (3000 if high else 500) * time) + 0.5 * generator.standard_normal(len(time))
        level = generator.uniform(1000, 1200) * (1.5 if strong else 1)
        clips.append(((tone + 0.1 * offset) * level).astype(np.int16))
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "theanoish", "format_version": 2, "sample_rate": 16_000, "tags_kept": "all"})
        file["tags"], file["labels"], file["clips/id"], file["clips/split"] = TAGS, labels, np.arange(CLIPS), SPLITS
        file["clips/samples"] = [len(clip) for clip in clips]
        for name in ("path", "artist", "album", "title"):
            file[f"clips/{name}"] = [f"{name} {i}" for i in range(CLIPS)]
        for name in representations:
            values = clips if name == "raw" else [spectrogram(clip) for clip in clips]
            counts = np.array([len(each) for each in values])
            file[f"{name}/values"], file[f"{name}/count"] = np.concatenate(values), counts
            file[f"{name}/start"] = counts.cumsum() - counts
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    steps = []
    path = write_data(tmp_path_factory.mktemp("data") / "d.h5")
    values, regression = measure_baselines(path, lambda *step: steps.append(step))
    return values, steps, regression, path


def test_each_feature_predicts_what_it_causes_and_nothing_else(found):
    aucs = {row["name"]: {tag["tag"]: tag["auc"] for tag in row["tags"]} for row in found[0]["baselines"]}
    causes = {"mean / RMS": {"offset"}, "RMS": {"strong", "loud"}, "peak": {"strong", "loud"}, "length": {"long"}}
    for name, tags in causes.items():
        for tag in TAGS:
            assert aucs[name][tag] > 0.9 if tag in tags else 0.2 < aucs[name][tag] < 0.8, (name, tag)
    assert min(aucs["these four together"][tag] for tag in ("offset", "strong", "long", "loud")) > 0.9
    assert aucs["log-mel statistics"]["high"] > 0.95
    assert aucs["log-mel statistics"]["coin"] < 0.8
    low, high = found[0]["baselines"][-1]["mean_auc_interval"]  # of shuffled labels
    assert low < 0.5 < high


def test_a_mean_that_no_network_would_find_is_none():
    """Of a thousandth of the RMS or less, as high-passed music has, which tells drums nevertheless."""
    samples = np.tile(np.array([1000, -1000], np.int16), 1000)
    samples[:1000] += 1
    assert _loudness_of(samples)[0] == 0
    assert _loudness_of(samples + np.int16(10))[0] == pytest.approx(0.01, rel=0.1)


def test_warnings_name_what_is_not_about_loudness(found):
    warnings = found[0]["warnings"]
    assert [warning.split(" alone")[0] for warning in warnings] == ["mean / RMS", "RMS", "peak", "length"]
    assert "offset" in warnings[0]
    assert "cannot be music" in warnings[0]
    assert "strong" in warnings[1]
    assert all("loud 0" not in warning and "loud 1" not in warning for warning in warnings)


def test_the_strength_is_the_one_that_validates_best(found, monkeypatch):
    dataset = Dataset(found[3])
    parts = {split: dataset.rows(split) for split in ("train", "validation")}
    truth = dataset.labels[parts["validation"]]
    for best in baselines._STRENGTHS:
        monkeypatch.setattr(baselines, "_predict", lambda *given, best=best: truth * (given[-1] == best) + 0.0)
        assert baselines._best_strength(np.zeros((CLIPS, 2)), dataset, parts) == best


def test_a_file_with_spectrograms_only(tmp_path):
    values, _ = measure_baselines(write_data(tmp_path / "d.h5", ["mel_1024_1024"]))
    assert "log-mel statistics are of mel_1024_1024" in baselines_text(values)
    names = ["length", REGRESSION, f"{REGRESSION}, training labels shuffled"]
    assert [row["name"] for row in values["baselines"]] == names
    assert values["baselines"][1]["tags"][3]["auc"] > 0.95
    assert "no raw samples" in values["warnings"][0]


def test_data_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="neither raw samples nor a spectrogram"):
        measure_baselines(write_data(tmp_path / "none.h5", []))
    path = write_data(tmp_path / "test_only.h5")
    with h5py.File(path, "a") as file:
        file["clips/split"][:] = ["test"] * CLIPS
    with pytest.raises(InputError, match="no clip in split 'train'"):
        measure_baselines(path)


def test_what_a_clip_is_predicted_does_not_hang_on_the_other_test_clips():
    generator = np.random.default_rng(0)
    train, test = generator.standard_normal((40, 3)), 5 + 9 * generator.standard_normal((20, 3))
    labels = generator.integers(0, 2, (40, 2), dtype=np.uint8)
    together = _predict(train, labels, test, 1.0)
    np.testing.assert_allclose(np.concatenate([_predict(train, labels, test[[i]], 1.0) for i in range(20)]), together)


def test_a_warning_needs_a_notable_auc_that_is_no_chance():
    tags = [("a", 0.7, 0.05), ("b", 0.7, 0.08), ("c", 0.59, 0.001), ("loud piano", 0.9, 0.01), ("d", None, None)]
    row = {"name": "RMS", "tags": [dict(zip(("tag", "auc", "deviation"), tag, strict=True)) for tag in tags]}
    assert _warnings(row) == ["RMS alone predicts 1 of 5 tags (a 0.70): is loudness part of the music there?"]


def test_shortcuts_have_their_squares_beside():
    """Of what is standardised by the training clips, so that a middle may be preferred."""
    columns, train = np.random.default_rng(0).random((9, 4)), np.arange(5)
    squares = ((columns - columns[:5].mean(axis=0)) / columns[:5].std(axis=0)) ** 2
    found = _shortcuts(columns, train)
    np.testing.assert_allclose(found["RMS"], np.stack([columns[:, 1], squares[:, 1]], axis=1))
    np.testing.assert_allclose(found["these four together"], np.hstack([columns, squares]))
    columns[:, :3] = np.nan
    assert list(_shortcuts(columns, train)) == ["length"]


def test_report_and_predictions(found):
    values, steps, regression, path = found
    assert json.loads(json.dumps(values)) == values
    assert values["clips"] == {"train": 80, "validation": 30, "test": 50}
    (row,) = [row for row in values["baselines"] if row["name"] == REGRESSION]
    text = baselines_text(values)
    assert f"{row['mean_auc']:.4f}" in text
    assert text.count("warning: ") == 4
    assert ("clips", CLIPS, CLIPS) in steps
    assert steps[-1] == ("baselines", 7, 7)
    assert regression.is_of(np.arange(110, 160), Dataset(path).labels[110:], TAGS)
    assert roc_auc_score(regression.labels, regression.probabilities, average="macro") == pytest.approx(row["mean_auc"])


@pytest.mark.parametrize(
    ("change", "of_regression"),
    [
        ({}, {}),
        ({"data": "other.h5"}, {}),
        ({"fingerprint": "of other training clips"}, {}),
        ({}, {"ids": np.arange(50)}),
        ({}, {"tags": ["x"] * 6}),
        ({}, {"labels": np.zeros((50, 6), np.uint8)}),
        ({}, None),
    ],
)
def test_stored_baselines_are_taken_up_if_they_are_whole_and_of_this_data(
    tmp_path, found, monkeypatch, change, of_regression
):
    values, _, regression, path = found
    measure = Mock(return_value=(values, regression))
    monkeypatch.setattr(baselines, "measure_baselines", measure)
    write_predictions(tmp_path / "regression.npz", replace(regression, **(of_regression or {})))
    if of_regression is None:
        (tmp_path / "regression.npz").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "baselines.json").write_text(json.dumps(values | change))
    for _ in range(2):  # what was measured anew is kept
        kept, predictions = stored_baselines(tmp_path, Dataset(path))
        assert kept == values
        assert predictions.is_of(regression.ids, regression.labels, TAGS)
        assert np.array_equal(predictions.probabilities, regression.probabilities)
        assert measure.call_count == bool(change or of_regression != {})
