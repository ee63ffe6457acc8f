"""The scripts in results/ on data small enough to check by hand."""

import csv

import matplotlib.image
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from sklearn.metrics import roc_auc_score

from conftest import write_tables
from results import falling_rate
from results.by_font import compare
from results.merge import merge
from results.rate_curve import curves, draw_all, place
from results.runs import describe
from results.shown import PAIRS
from small_data import small_settings, write_small_data
from theanoish import api
from theanoish.experiments import evaluation
from theanoish.experiments.evaluation import Predictions, write_predictions
from theanoish.files import write_json
from theanoish.settings import Settings
from theanoish.training import checkpoint


def rows_of(file):
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.reader(opened, delimiter="\t"))


def test_a_falling_rate_shortens_the_steps_and_keeps_the_last_parameters():
    np.testing.assert_allclose(falling_rate.shares(range(4, 10), 10), [1, 1, 0.8, 0.6, 0.4, 0.2], rtol=1e-6)
    weights, last = (pytensor.shared(np.zeros(1, np.float32)) for _ in range(2))
    filters, last_filters = (pytensor.shared(np.zeros(1, np.float32)) for _ in range(2))
    parameters = {"output/weights": weights, "strided/filters": filters}
    memory = {"output/weights/mean": last, "strided/filters/mean": last_filters}
    loss, share = ((weights - 3) ** 2 + (filters - 3) ** 2).sum(), pt.scalar("share", dtype="float32")
    settings = Settings(learning_rate=0.1, strided_rate=0.5)
    step = pytensor.function(
        [share], updates=falling_rate.descend(settings, loss, parameters, memory, share), mode="FAST_COMPILE"
    )
    step(0.25)  # of a step of 0.1 · 6, and of half of it
    np.testing.assert_allclose([weights.get_value()[0], filters.get_value()[0]], [0.15, 0.075], rtol=1e-6)
    assert last.get_value() == weights.get_value() and last_filters.get_value() == filters.get_value()


def test_merged_sets_keep_folders_and_count_on(tmp_path):
    for name in ("one", "two"):
        for path in ("0/a.mp3", "c/b.mp3"):
            (tmp_path / name / path).parent.mkdir(parents=True)
            (tmp_path / name / path).write_text(name + path)
        write_tables(tmp_path / name, ["0/a.mp3", "c/b.mp3"], [[1, 0], [0, 1]], ["x", "y"])
    merge([tmp_path / "one", tmp_path / "two"], tmp_path / "both")
    assert rows_of(tmp_path / "both" / "annotations_final.csv") == [
        ["clip_id", "x", "y", "mp3_path"],
        ["1", "1", "0", "0/one-a.mp3"],
        ["2", "0", "1", "c/one-b.mp3"],
        ["10001", "1", "0", "0/two-a.mp3"],
        ["10002", "0", "1", "c/two-b.mp3"],
    ]
    assert (tmp_path / "both" / "c" / "two-b.mp3").read_text() == "twoc/b.mp3"
    assert len(rows_of(tmp_path / "both" / "clip_info_final.csv")) == 5  # without those that have no sound


def test_scores_of_a_font_are_of_its_clips_alone(tmp_path):
    generator = np.random.default_rng(0)
    ids, labels = np.arange(40) * 1000, generator.integers(0, 2, (40, 2), dtype=np.uint8)
    aucs = {}
    for name in ("mel_9_9", "raw_9_9"):
        for seed in (1, 2):
            probabilities = generator.random((40, 2), dtype=np.float32)
            (tmp_path / f"{name}_seed{seed}_5updates").mkdir()
            predictions = Predictions(probabilities, labels, ids, [""] * 40, [f"t{i}" for i in range(40)], ["a", "b"])
            write_predictions(tmp_path / f"{name}_seed{seed}_5updates" / "test.npz", predictions)
            aucs[name, seed] = roc_auc_score(labels[:20], probabilities[:20])
    found = compare(tmp_path, range(20_000), ["9_9"])
    means = [(aucs[name, 1] + aucs[name, 2]) / 2 for name in ("mel_9_9", "raw_9_9")]
    assert found["mel_9_9"][0] == pytest.approx(means[0])
    value, (low, high) = found["mel_9_9 - raw_9_9"]
    assert value == pytest.approx(means[0] - means[1])
    assert low < value < high


def test_runs_say_what_the_last_parameters_score_and_how_far_filters_went(tmp_path):
    data = write_small_data(tmp_path / "small.h5")
    pairs = {"frontend": "raw", "nonlinearity": "log-square", "pooling": "l2", "pool_size": 2, "initial_filters": "mel"}
    run = tmp_path / "run"
    api.train(data, small_settings(updates=40, validation_interval=20, dropout=0.0, strided_rate=1.0, **pairs), run)
    scores, predictions = evaluation.evaluate(run / "checkpoint.pkl", None, "test", "jax")
    write_json(run / "test.json", scores)
    evaluation.write_predictions(run / "test.npz", predictions)
    ((name, network),) = describe(tmp_path).items()
    assert name == "raw_1024_1024_log-square_l2_2_mel-filters_rate_1"
    (found,) = network["runs"]
    assert list(found["validation"]) == ["20", "40"]
    assert network["best"]["aucs"] == [scores["mean_auc"]] == [network["best"]["mean_auc"]]
    assert network["best"]["interval"] is None  # of one seed
    state, last = checkpoint.load_last(run / "state.pkl")
    best = checkpoint.load(run / "checkpoint.pkl", checkpoint.CHECKPOINT)
    checkpoint.save(tmp_path / "last.pkl", checkpoint.CHECKPOINT, best | {"parameters": last.values()})
    assert network["last"]["mean_auc"] == pytest.approx(api.evaluate(tmp_path / "last.pkl")["mean_auc"])
    checkpoint.save(tmp_path / "plain.pkl", checkpoint.CHECKPOINT, best | {"parameters": state["parameters"]})
    assert network["plain"]["mean_auc"] == pytest.approx(api.evaluate(tmp_path / "plain.pkl")["mean_auc"])
    gain = network["last"]["mean_auc"] - network["plain"]["mean_auc"]
    assert network["last"]["less_plain"][0] == pytest.approx(gain) and gain != 0
    assert not np.array_equal(state["parameters"]["strided/filters"], last.values()["strided/filters"])
    start = np.load(run / "initial_filters.npy") * best["parameters"]["start/loudness"]
    distance = np.linalg.norm(best["parameters"]["strided/filters"] - start, axis=1) / np.linalg.norm(start, axis=1)
    assert found["moved"]["largest"] == pytest.approx(distance.max(), rel=1e-5)
    assert 0 < found["moved"]["median"] < 1


def test_measured_curve_takes_the_place_of_the_prototypes(tmp_path, monkeypatch):
    rates = ("rate_1", "rate_0.1", "rate_0.01", "rate_0.0001", "fixed")
    names = ["mel_256_256", "raw_256_256", PAIRS, *(f"{PAIRS}_{rate}" for rate in rates)]
    networks = {name: {"last": {"aucs": [0.5 + number / 10]}} for number, name in enumerate(names[:6])}
    monkeypatch.setattr("results.rate_curve.runs", lambda: {"real notes": networks})
    assert "real notes, averaged, prototype" in curves()
    networks[names[6]] = {"last": {"aucs": [0.6]}}
    curve = curves()["real notes, averaged"]
    assert [curve["rates"]["0.001"], curve["rates"]["0.0001"], curve["spectrograms"]] == [[0.7], [0.6], [0.5]]
    assert "real notes, averaged, prototype" not in curves()
    assert [place(rate) for rate in ("1", "0.01", "0")] == [0, -2, -5]
    draw_all(tmp_path / "curve.png")
    assert matplotlib.image.imread(tmp_path / "curve.png").std() > 0
