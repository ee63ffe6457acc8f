"""Evaluations against scikit-learn on predictions of the NumPy network, with labels chosen by hand."""

import csv
import json
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

import reference
import stand_ins
from small_data import TAGS, clip_of, small_settings, write_small_data
from theanoish.commands.evaluate import report
from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.evaluation import (
    evaluate,
    is_magnatagatune,
    read_predictions,
    write_csv,
    write_predictions,
)
from theanoish.experiments.paper import MAGNATAGATUNE_TAGS
from theanoish.experiments.statistics import interval_of_checkpoint, resample, tag_aucs, tag_precisions
from theanoish.model.descent import MEAN
from theanoish.model.network import Network
from theanoish.training import checkpoint

SETTINGS = small_settings(dropout=0.0)
CHECKPOINT_TAGS = ["loud", "high", "low"]  # neither in the order of the data, nor all of its tags
PAPER_AUC = 0.8690  # Table 1, spectrograms, 1024/1024


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    labels = np.random.default_rng(8).integers(0, 2, (24, 4), dtype=np.uint8)
    labels[12:18, 0] = [1, 0, 0, 1, 0, 1]
    labels[12:18, 2] = 0  # "high": undefined
    labels[12:18, 3] = [0, 1, 0, 1, 1, 1]  # "loud": undefined where the artist is unheard
    return write_small_data(tmp_path_factory.mktemp("data") / "small.h5", labels=labels, tags_kept="tagged")


@pytest.fixture(scope="module")
def saved(data):
    return save_checkpoint(data.with_name("checkpoint.pkl"), data, CHECKPOINT_TAGS)


def parameters_of(tags):
    """Of a network that tells clips apart, which it does not at its start."""
    weights = np.random.default_rng([tags, 4]).standard_normal((100, tags)).astype(np.float32)
    return Network(SETTINGS, tags).values() | {"output/weights": weights}


def save_checkpoint(path, data, tags, artists=("artist 0", "Artist 1 & Others", "artist 2")):
    return stand_ins.save_checkpoint(path, SETTINGS, tags, parameters_of(len(tags)), data, artists)


@pytest.fixture(scope="module")
def evaluated(saved):
    return evaluate(saved, None, "validation", "jax")


@pytest.fixture(scope="module")
def expected(data):
    """Labels and probabilities of the validation clips, in the checkpoint's order of tags."""
    labels = Dataset(data).labels[12:18][:, [TAGS.index(tag) for tag in CHECKPOINT_TAGS]]
    clips = []
    for row in range(12, 18):
        frames = clip_of(data, "mel_1024_1024", row)
        begins = [k * 48_000 // 1024 for k in range(len(clip_of(data, "raw", row)) // 48_000)]
        windows = np.stack([frames[b : b + SETTINGS.frames] for b in begins])
        clips.append(reference.probabilities(SETTINGS, parameters_of(3), windows).mean(axis=0))
    return labels, np.array(clips)


def test_scores_per_tag_and_of_clips_by_artists_not_in_train(evaluated, expected):
    """These are by artist 3; that of the first three is in train as well. Of their tags only the last is defined."""
    (values, _), (labels, probabilities) = evaluated, expected
    assert values["undefined_tags"] == ["high"]
    assert values["tags"][1] == {"tag": "high", "auc": None, "average_precision": None, "positives": 0}
    defined = [values["tags"][0], values["tags"][2]]
    assert [(row["tag"], row["positives"]) for row in defined] == [("loud", 4), ("low", 3)]
    for name, score in (("auc", roc_auc_score), ("average_precision", average_precision_score)):
        scores = [score(labels[:, tag], probabilities[:, tag]) for tag in (0, 2)]
        assert [row[name] for row in defined] == pytest.approx(scores)
        assert values[f"mean_{name}"] == pytest.approx(np.mean(scores))
    assert len({*(row["auc"] for row in defined), 1.0, 0.5}) == 4  # or a mistake in tags could not be seen
    auc = pytest.approx(roc_auc_score(labels[3:, 2], probabilities[3:, 2]))
    for prefix in ("artist", "artist_strings"):
        assert [values[f"{prefix}_filtered_{what}"] for what in ("clips", "mean_auc")] == [3, auc]


def test_artists_heard_come_from_the_checkpoint(data, tmp_path):
    """Not from the file under test, whose training clips are others' or none; and people are told from strings."""
    path = save_checkpoint(tmp_path / "c.pkl", data, CHECKPOINT_TAGS, ["ARTIST 2 and Friends"])
    for split, clips in (("validation", (3, 6)), ("train", (10, 12))):
        values, found = evaluate(path, None, split, "jax")
        assert (values["artist_filtered_clips"], values["artist_strings_filtered_clips"]) == clips
    drawn = resample(found.artists, found.titles)  # of twelve clips something can be said
    for mean, scores_of in (("mean_auc", tag_aucs), ("mean_average_precision", tag_precisions)):
        resampled = scores_of(found.labels, found.probabilities, drawn.weights)
        assert values[f"{mean}_interval"] == interval_of_checkpoint(values[mean], resampled, drawn.units)
        assert values[f"{mean}_interval"][0] < values[mean]


def test_the_last_averaged_parameters_are_those_of_the_state(saved, tmp_path):
    """Who was heard in training its checkpoint tells."""
    values = checkpoint.load(shutil.copy(saved, tmp_path / "checkpoint.pkl"), checkpoint.CHECKPOINT)
    moved = {name: array + 1 for name, array in values["parameters"].items()}
    means = {f"{name}{MEAN}": array for name, array in values["parameters"].items()}
    common = {name: values[name] for name in values if name not in ("validation_auc", "artists")}
    state = common | {"update": 2000, "parameters": moved, "memory": means, "losses": {"sum": 0.0, "count": 0}}
    checkpoint.save(tmp_path / "state.pkl", checkpoint.STATE, state)
    last, best = (evaluate(path, None, "validation", "jax")[0] for path in (tmp_path / "state.pkl", saved))
    assert last == best | {"update": 2000} and last["artist_filtered_clips"] == 3  # of six


def test_tables_of_the_file_under_test(saved, data, evaluated, tmp_path):
    """Artists that nobody knows; a file of test clips only; tags in another order, which have the same scores."""
    path = tmp_path / "other.h5"
    for table, of, clips in (("artist", "", (6, 0)), ("split", "test", (24, 24 - 15))):
        shutil.copy(data, path)
        with h5py.File(path, "a") as file:
            file[f"clips/{table}"][:] = [of] * 24
            file["labels"][:, TAGS.index("low")] = 1
        values, _ = evaluate(saved, path, "test", "jax")
        assert (values["clips"], values["artist_filtered_clips"]) == clips
        assert (values["artist_filtered_mean_auc"] is None) == (clips[1] == 0)
        assert "low" in values["undefined_tags"]  # as every clip has it
    shutil.copy(data, path)
    with h5py.File(path, "a") as file:
        order = [2, 0, 3, 1]
        file["tags"][:] = [TAGS[i] for i in order]
        file["labels"][:] = file["labels"][:][:, order]
    assert evaluate(saved, path, "validation", "jax")[0] == evaluated[0] | {"data": "other.h5"}


def test_what_is_written(evaluated, tmp_path):
    values = evaluated[0]
    assert json.loads(json.dumps(values)) == values
    assert values["mean_auc_interval"] is None  # of six clips nothing can be said
    assert values["resampled"] == {"by": "clip", "units": 6}  # of two artists only
    assert (values["clips"], values["clips_kept"], values["update"]) == (6, "tagged", 1234)
    assert values["silent"].keys() == {"convolution1", "convolution2", "hidden"}
    write_csv(tmp_path / "e.csv", values["tags"])
    rows = list(csv.DictReader((tmp_path / "e.csv").open()))
    assert [row["tag"] for row in rows] == CHECKPOINT_TAGS
    assert [row["auc"] for row in rows] == ["" if row["auc"] is None else str(row["auc"]) for row in values["tags"]]


def test_predictions_that_are_not_finite(saved, tmp_path):
    values = checkpoint.load(saved, checkpoint.CHECKPOINT)
    values["parameters"]["output/bias"][1] = np.nan
    checkpoint.save(tmp_path / "nan.pkl", checkpoint.CHECKPOINT, values)
    with pytest.raises(InputError, match=r"nan\.pkl: predictions on .*small\.h5 are not finite"):
        evaluate(tmp_path / "nan.pkl", None, "test", "jax")


def test_data_of_other_tags_or_that_moved(data, tmp_path):
    """Tags in common are scored as if there were no others; the rest is named."""
    path = save_checkpoint(tmp_path / "c.pkl", tmp_path / "gone.h5", ["zither", *CHECKPOINT_TAGS])
    with pytest.raises(InputError, match=r"gone\.h5: no such file.*--data"):
        evaluate(path, None, "validation", "jax")
    values, predictions = evaluate(path, data, "validation", "jax")
    assert (values["missing_tags"], predictions.tags) == (["zither"], CHECKPOINT_TAGS)
    of_four = save_checkpoint(tmp_path / "c.pkl", data, ["middle", *CHECKPOINT_TAGS])
    every = evaluate(of_four, None, "validation", "jax")[1].probabilities
    np.testing.assert_array_equal(predictions.probabilities, every[:, 1:])
    path = save_checkpoint(tmp_path / "none.pkl", data, ["zither"])
    with pytest.raises(InputError, match=r"small\.h5: has none of the checkpoint's tags, which are zither"):
        evaluate(path, None, "test", "jax")


def test_the_papers_number_is_for_magnatagatunes_clips(saved, data, tmp_path, monkeypatch):
    """Music that has tags of the same names, as realmusic has, is another data set."""
    official = SimpleNamespace(tags=list(MAGNATAGATUNE_TAGS), ids=np.r_[2, 6:20_100, 58_915])
    assert is_magnatagatune(official)
    for ids in (official.ids[1:], official.ids[:-1], official.ids[[0, 1, -1]]):
        assert not is_magnatagatune(SimpleNamespace(tags=official.tags, ids=ids))
    assert not is_magnatagatune(SimpleNamespace(tags=TAGS, ids=official.ids))
    monkeypatch.setattr("theanoish.experiments.evaluation.is_magnatagatune", lambda dataset: True)
    path = save_checkpoint(tmp_path / "c.pkl", data, TAGS)
    assert evaluate(path, None, "test", "jax")[0]["paper_auc"] == PAPER_AUC
    assert evaluate(saved, None, "test", "jax")[0]["paper_auc"] is None  # of three of the tags


def test_few_clips_are_told(evaluated):
    values = evaluated[0]
    assert "few clips: 6, and 2 tags that fewer than 5 clips have or lack" in report(values)  # "high" is undefined
    many = values | {"clips": 100, "undefined_tags": []}
    for positives, told in (((5, 95, 50), False), ((4, 96, 50), True)):
        tags = [row | {"auc": 1.0, "positives": count} for row, count in zip(values["tags"], positives, strict=True)]
        assert ("few clips: 100, and 2 tags" in report(many | {"tags": tags})) == told


def test_predictions_come_back(evaluated, expected, tmp_path):
    write_predictions(tmp_path / "p.npz", evaluated[1])
    again = read_predictions(tmp_path / "p.npz")
    np.testing.assert_array_equal(again.probabilities, evaluated[1].probabilities)
    np.testing.assert_allclose(again.probabilities, expected[1], rtol=1e-3)
    assert again.is_of(np.arange(112, 118), expected[0], CHECKPOINT_TAGS)
    assert again.artists == ["artist 2"] * 3 + ["artist 3"] * 3
    assert again.titles == [f"title {row}" for row in range(12, 18)]


@pytest.mark.parametrize(
    "change",
    [
        {"artists": np.array([{}] * 6)},  # a pickle
        {"labels": np.zeros((6, 2), np.uint8)},
        {"labels": np.zeros((6, 3))},
        {"labels": np.full((6, 3), 2, np.uint8)},
        {"probabilities": np.full((6, 3), np.nan, np.float32)},
        None,
    ],
)
def test_predictions_that_are_damaged(evaluated, tmp_path, change):
    path = tmp_path / "p.npz"
    np.savez(path, **(vars(evaluated[1]) | (change or {})))
    if change is None:
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"p\.npz: no predictions that evaluate\.py --predictions wrote"):
        read_predictions(path)
