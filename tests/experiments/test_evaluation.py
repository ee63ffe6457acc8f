"""Evaluations against scikit-learn on predictions of the NumPy network, with labels chosen by hand."""

import csv
import json
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

import reference
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
from theanoish.files import write_json
from theanoish.model.descent import MEAN
from theanoish.model.network import Network
from theanoish.training import checkpoint

SETTINGS = small_settings(dropout=0.0)
CHECKPOINT_TAGS = ["loud", "high", "low"]  # neither in the order of the data, nor all of its tags
VALIDATION = range(12, 18)
SEED = 4
UNHEARD = range(15, 18)  # artist 3; the artist of 12 to 14 is also in train
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
    values = Network(SETTINGS, tags).values()
    return values | {
        "output/weights": np.random.default_rng([tags, SEED]).standard_normal((100, tags)).astype(np.float32)
    }


def save_checkpoint(path, data, tags, artists=("artist 0", "Artist 1 & Others", "artist 2")):
    values = {
        "settings": SETTINGS.as_dict(),
        "tags": tags,
        "artists": sorted(artists),
        "parameters": parameters_of(len(tags)),
        "update": 1234,
        "validation_auc": 0.5,
        "history": [],
        "data": {"path": str(data), "fingerprint": "of no consequence"},
        "backend": "jax",
        "initial": "",
        "versions": {},
    }
    checkpoint.save(path, checkpoint.CHECKPOINT, values)
    return path


@pytest.fixture(scope="module")
def evaluated(saved):
    return evaluate(saved, None, "validation", "jax")


@pytest.fixture(scope="module")
def values(evaluated):
    return evaluated[0]


@pytest.fixture(scope="module")
def expected(data):
    """Labels and probabilities of the validation clips, in the checkpoint's order of tags."""
    labels = Dataset(data).labels[12:18][:, [TAGS.index(tag) for tag in CHECKPOINT_TAGS]]
    parameters = parameters_of(3)
    clips = []
    for row in VALIDATION:
        frames = clip_of(data, "mel_1024_1024", row)
        begins = [k * 48_000 // 1024 for k in range(len(clip_of(data, "raw", row)) // 48_000)]
        windows = np.stack([frames[b : b + SETTINGS.frames] for b in begins])
        clips.append(reference.probabilities(SETTINGS, parameters, windows).mean(axis=0))
    return labels, np.array(clips)


def test_scores_per_tag(evaluated, expected):
    (values, predictions), (labels, probabilities) = evaluated, expected
    assert predictions.tags == [row["tag"] for row in values["tags"]] == CHECKPOINT_TAGS
    assert values["undefined_tags"] == ["high"]
    assert [row["positives"] for row in values["tags"]] == [4, 0, 3]
    defined = [values["tags"][0], values["tags"][2]]
    for tag, row in zip((0, 2), defined, strict=True):
        assert row["auc"] == pytest.approx(roc_auc_score(labels[:, tag], probabilities[:, tag]))
        precision = average_precision_score(labels[:, tag], probabilities[:, tag])
        assert row["average_precision"] == pytest.approx(precision)
    for mean, name in (("mean_auc", "auc"), ("mean_average_precision", "average_precision")):
        assert values[mean] == pytest.approx(np.mean([row[name] for row in defined]))
    assert len({*(row["auc"] for row in defined), 1.0, 0.5}) == 4  # or a mistake in tags could not be seen


def test_clips_by_artists_not_in_train(values, expected):
    """Of their tags only the last one is defined."""
    labels, probabilities = (rows[3:, 2] for rows in expected)
    for prefix in ("artist", "artist_strings"):
        assert values[f"{prefix}_filtered_clips"] == len(UNHEARD)
        assert values[f"{prefix}_filtered_mean_auc"] == pytest.approx(roc_auc_score(labels, probabilities))


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


def test_the_last_averaged_parameters_are_those_of_the_state(saved, data, tmp_path):
    """Who was heard in training its checkpoint tells."""
    values = checkpoint.load(saved, checkpoint.CHECKPOINT)
    moved = {name: array + 1 for name, array in values["parameters"].items()}
    means = {f"{name}{MEAN}": array for name, array in values["parameters"].items()}
    common = {name: values[name] for name in values if name not in ("validation_auc", "artists")}
    state = common | {"update": 2000, "parameters": moved, "memory": means, "losses": {"sum": 0.0, "count": 0}}
    checkpoint.save(tmp_path / "state.pkl", checkpoint.STATE, state)
    save_checkpoint(tmp_path / "checkpoint.pkl", data, CHECKPOINT_TAGS)
    last, best = evaluate(tmp_path / "state.pkl", None, "test", "jax")[0], evaluate(saved, None, "test", "jax")[0]
    assert last == best | {"update": 2000}


def test_tables_of_the_file_under_test(saved, data, tmp_path):
    """Artists that nobody knows; a file of test clips only."""
    for table, of, clips in (("artist", "", (6, 0)), ("split", "test", (24, 24 - 15))):
        path = tmp_path / f"{table}.h5"
        path.write_bytes(data.read_bytes())
        with h5py.File(path, "a") as file:
            file[f"clips/{table}"][:] = [of] * 24
            file["labels"][:, TAGS.index("low")] = 1
        values, _ = evaluate(saved, path, "test", "jax")
        assert (values["clips"], values["artist_filtered_clips"]) == clips
        assert (values["artist_filtered_mean_auc"] is None) == (clips[1] == 0)
        assert "low" in values["undefined_tags"]  # as every clip has it


def test_names_of_tags_travel(saved, data, values, tmp_path):
    """The same clips with their tags stored in another order have the same scores."""
    shuffled = tmp_path / "shuffled.h5"
    shuffled.write_bytes(data.read_bytes())
    with h5py.File(shuffled, "a") as file:
        order = [2, 0, 3, 1]
        file["tags"][:] = [TAGS[i] for i in order]
        file["labels"][:] = file["labels"][:][:, order]
    again, _ = evaluate(saved, shuffled, "validation", "jax")
    assert again["tags"] == values["tags"]
    assert again["data"] == "shuffled.h5"


def test_json_and_csv(values, tmp_path):
    write_json(tmp_path / "e.json", values)
    assert json.loads((tmp_path / "e.json").read_text()) == values
    assert values["mean_auc_interval"] is None  # of six clips nothing can be said
    assert values["resampled"] == {"by": "clip", "units": 6}  # of two artists only
    assert (values["clips"], values["clips_kept"], values["update"]) == (6, "tagged", 1234)
    assert values["silent"].keys() == {"convolution1", "convolution2", "hidden"}
    assert values["tags"][1] == {"tag": "high", "auc": None, "average_precision": None, "positives": 0}
    write_csv(tmp_path / "e.csv", values["tags"])
    rows = list(csv.DictReader((tmp_path / "e.csv").open()))
    assert [row["tag"] for row in rows] == CHECKPOINT_TAGS
    assert rows[1]["auc"] == ""
    assert [float(rows[tag]["auc"]) for tag in (0, 2)] == [values["tags"][tag]["auc"] for tag in (0, 2)]


def test_predictions_that_are_not_finite(saved, tmp_path):
    values = checkpoint.load(saved, checkpoint.CHECKPOINT)
    values["parameters"]["output/bias"][1] = np.nan
    checkpoint.save(tmp_path / "nan.pkl", checkpoint.CHECKPOINT, values)
    with pytest.raises(InputError, match=r"nan\.pkl: predictions on .*small\.h5 are not finite"):
        evaluate(tmp_path / "nan.pkl", None, "test", "jax")


def test_data_of_other_tags(data, tmp_path, values):
    """Those in common are scored as if there were no others; the rest is named."""
    path = save_checkpoint(tmp_path / "c.pkl", data, ["zither", *CHECKPOINT_TAGS])
    other, predictions = evaluate(path, None, "validation", "jax")
    assert predictions.tags == CHECKPOINT_TAGS
    assert (other["missing_tags"], values["missing_tags"]) == (["zither"], [])
    columns = checkpoint.load(path, checkpoint.CHECKPOINT)["parameters"]["output/bias"].shape[0]
    assert (columns, predictions.probabilities.shape) == (4, (6, 3))
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


def test_few_clips_are_told(values):
    assert "few clips: 6, and 2 tags that fewer than 5 clips have or lack" in report(values)  # "high" is undefined
    many = values | {"clips": 100, "undefined_tags": []}
    for positives, told in (((5, 95, 50), False), ((4, 96, 50), True)):
        tags = [row | {"auc": 1.0, "positives": count} for row, count in zip(values["tags"], positives, strict=True)]
        assert ("few clips: 100, and 2 tags" in report(many | {"tags": tags})) == told


def test_predictions_come_back(evaluated, expected, tmp_path):
    predictions = evaluated[1]
    write_predictions(tmp_path / "p.npz", predictions)
    again = read_predictions(tmp_path / "p.npz")
    np.testing.assert_array_equal(again.labels, expected[0])
    np.testing.assert_allclose(again.probabilities, expected[1], rtol=1e-3)
    assert np.ptp(expected[1], axis=0).min() > 1e-3  # clips differ
    np.testing.assert_array_equal(again.probabilities, predictions.probabilities)
    assert again.ids.tolist() == [112, 113, 114, 115, 116, 117]
    assert again.artists == ["artist 2"] * 3 + ["artist 3"] * 3
    assert again.tags == CHECKPOINT_TAGS
    assert [again.probabilities.dtype, again.labels.dtype, again.ids.dtype] == [np.float32, np.uint8, np.int64]


@pytest.mark.parametrize(
    "change",
    [
        {"artists": np.array([{}] * 6)},  # a pickle
        {"labels": np.zeros((6, 2), np.uint8)},
        {"labels": np.zeros((6, 3))},
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


def test_data_that_moved(data, tmp_path):
    path = save_checkpoint(tmp_path / "c.pkl", tmp_path / "gone.h5", CHECKPOINT_TAGS)
    with pytest.raises(InputError, match=r"gone\.h5: no such file.*--data"):
        evaluate(path, None, "test", "jax")
    assert evaluate(path, data, "test", "jax")[0]["clips"] == 6
