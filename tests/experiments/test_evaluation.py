"""Evaluations against scikit-learn on predictions of the NumPy network, with labels chosen by hand."""

import csv
import json

import h5py
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

import reference
from small_data import TAGS, clip_of, small_settings, write_small_data
from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.evaluation import evaluate, write_csv, write_json
from theanoish.model.network import Network
from theanoish.training import checkpoint

SETTINGS = small_settings(dropout=0.0)
CHECKPOINT_TAGS = ["loud", "high", "low"]  # neither in the order of the data, nor all of its tags
VALIDATION = range(12, 18)
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


def save_checkpoint(path, data, tags):
    values = {
        "settings": SETTINGS.as_dict(),
        "tags": tags,
        "parameters": Network(SETTINGS, len(tags)).values(),
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
def evaluation(saved):
    return evaluate(saved, None, "validation", "jax")


@pytest.fixture(scope="module")
def expected(data):
    """Labels and probabilities of the validation clips, in the checkpoint's order of tags."""
    labels = Dataset(data).labels[12:18][:, [TAGS.index(tag) for tag in CHECKPOINT_TAGS]]
    parameters = Network(SETTINGS, 3).values()
    clips = []
    for row in VALIDATION:
        frames = clip_of(data, "mel_1024_1024", row)
        begins = [k * 48_000 // 1024 for k in range(len(clip_of(data, "raw", row)) // 48_000)]
        windows = np.stack([frames[b : b + SETTINGS.frames] for b in begins])
        clips.append(reference.probabilities(SETTINGS, parameters, windows).mean(axis=0))
    return labels, np.array(clips)


def test_scores_a_tag(evaluation, expected):
    labels, probabilities = expected
    assert evaluation.tags == CHECKPOINT_TAGS
    assert evaluation.undefined_tags == ["high"]
    assert evaluation.scores.positives.tolist() == [4, 0, 3]
    for tag in (0, 2):
        auc = roc_auc_score(labels[:, tag], probabilities[:, tag])
        precision = average_precision_score(labels[:, tag], probabilities[:, tag])
        assert evaluation.scores.auc[tag] == pytest.approx(auc)
        assert evaluation.scores.average_precision[tag] == pytest.approx(precision)
    assert evaluation.scores.mean_auc == pytest.approx(np.nanmean(evaluation.scores.auc))


def test_clips_by_artists_not_in_train(evaluation, expected):
    labels, probabilities = (values[3:] for values in expected)
    filtered = evaluation.artist_filtered
    assert filtered.clips == len(UNHEARD)
    assert np.isnan(filtered.auc).tolist() == [True, True, False]
    assert filtered.mean_auc == pytest.approx(roc_auc_score(labels[:, 2], probabilities[:, 2]))


def test_no_clip_is_left_by_unheard_artists(saved):
    evaluation = evaluate(saved, None, "train", "jax")
    assert evaluation.artist_filtered is None
    assert evaluation.as_dict()["artist_filtered_clips"] == 0


def test_names_of_tags_travel(saved, data, evaluation, tmp_path):
    """The same clips with their tags stored in another order have the same scores."""
    shuffled = tmp_path / "shuffled.h5"
    shuffled.write_bytes(data.read_bytes())
    with h5py.File(shuffled, "a") as file:
        order = [2, 0, 3, 1]
        file["tags"][:] = [TAGS[i] for i in order]
        file["labels"][:] = file["labels"][:][:, order]
    again = evaluate(saved, shuffled, "validation", "jax")
    np.testing.assert_array_equal(again.scores.auc, evaluation.scores.auc)
    assert again.data == "shuffled.h5"


def test_json_and_csv(evaluation, tmp_path):
    write_json(tmp_path / "e.json", evaluation)
    values = json.loads((tmp_path / "e.json").read_text())
    assert values == evaluation.as_dict()
    assert values["paper_auc"] == PAPER_AUC
    assert (values["clips"], values["clips_kept"], values["update"]) == (6, "tagged", 1234)
    assert values["tags"][1] == {"tag": "high", "auc": None, "average_precision": None, "positives": 0}
    write_csv(tmp_path / "e.csv", evaluation)
    rows = list(csv.DictReader((tmp_path / "e.csv").open()))
    assert [row["tag"] for row in rows] == CHECKPOINT_TAGS
    assert rows[1]["auc"] == ""
    assert [float(row["auc"]) for row in (rows[0], rows[2])] == evaluation.scores.auc[[0, 2]].tolist()


def test_predictions_that_are_not_finite(saved, tmp_path):
    values = checkpoint.load(saved, checkpoint.CHECKPOINT)
    values["parameters"]["output/bias"][1] = np.nan
    checkpoint.save(tmp_path / "nan.pkl", checkpoint.CHECKPOINT, values)
    with pytest.raises(InputError, match=r"nan\.pkl: predictions on .*small\.h5 are not finite"):
        evaluate(tmp_path / "nan.pkl", None, "test", "jax")


def test_data_that_lack_a_tag(data, tmp_path):
    path = save_checkpoint(tmp_path / "c.pkl", data, ["loud", "zither"])
    with pytest.raises(InputError, match=r"lacks tags of the checkpoint: zither; .*--data"):
        evaluate(path, None, "test", "jax")


def test_data_that_moved(data, tmp_path):
    path = save_checkpoint(tmp_path / "c.pkl", tmp_path / "gone.h5", CHECKPOINT_TAGS)
    with pytest.raises(InputError, match=r"gone\.h5: no such file.*--data"):
        evaluate(path, None, "test", "jax")
    assert evaluate(path, data, "test", "jax").scores.clips == 6
