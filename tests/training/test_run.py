"""Training runs: exact resuming from wherever they stopped, and folders that are whole at every moment."""

import json
import os
import shutil
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from small_data import small_settings, write_small_data
from theanoish import files
from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.interrupt import StopRequest
from theanoish.training import checkpoint, plain_pickle
from theanoish.training import trainer as training
from theanoish.training.checkpoint import CHECKPOINT, STATE, load_network
from theanoish.training.prediction import ClipPredictions, Predictor
from theanoish.training.run import resume_run, start_run

SETTINGS = small_settings(updates=40, validation_interval=20)


@pytest.fixture(scope="module", autouse=True)
def short_blocks():
    """Blocks of 10 updates, two an interval."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "UPDATES_A_CALL", 10)
        yield


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.h5"
    return Dataset(write_small_data(path, representations=[(1024, 1024), (512, 256)]))


@pytest.fixture(scope="module")
def trained(dataset):
    """By the trainer alone: 60 losses, and the parameters after 40 and after 60 updates."""
    trainer = training.Trainer(SETTINGS, dataset, "jax")
    trainer.measure_start()
    losses, parameters = [], {}
    for update, block in trainer.run(0, 60):
        losses.extend(block)
        parameters[update] = trainer.network.values()
    return np.array(losses), parameters[40], parameters[60]


@pytest.fixture(scope="module")
def trained_means(dataset):
    """After each of 40 updates, computed from the parameters after every single one."""
    trainer = training.Trainer(SETTINGS, dataset, "jax")
    trainer.measure_start()
    means, mean = {}, {}
    for update in range(1, 41):
        list(trainer.run(update - 1, update))
        weight = 1 / max(1, SETTINGS.average * update)
        for name, value in trainer.network.values().items():
            mean[name] = value if update == 1 else (1 - weight) * mean[name] + weight * np.float64(value)
        means[update] = dict(mean)
    return means


def train(run, stop_at=None):
    """Train as the script does; with `stop_at`, the signal comes after that update."""
    stop = StopRequest()

    def report(progress):
        stop.requested = stop_at is not None and progress.update >= stop_at

    return run.train(stop, report)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, dataset):
    """The folder of a run that was never stopped, and copies of it from before and after each file was put in place."""
    folder, copies = tmp_path_factory.mktemp("runs") / "run", []
    replace = files.os.replace

    def copy():
        copies.append(folder.with_name(f"copy{len(copies)}"))
        shutil.copytree(folder, copies[-1])

    def copying_replace(source, target):
        copy()
        replace(source, target)
        copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.os, "replace", copying_replace)
        assert train(start_run(folder, SETTINGS, dataset, "jax"))
    return folder, copies


def assert_equal_arrays(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(arrays[name], values, err_msg=name)


def assert_same_state(folder, other):
    state, expected = (checkpoint.load(f / "state.pkl", STATE) for f in (folder, other))
    for arrays in ("parameters", "memory"):
        assert_equal_arrays(state[arrays], expected[arrays])
    assert state["update"] == expected["update"]
    assert without_time(state["history"]) == without_time(expected["history"])


def without_time(history):
    return [{k: v for k, v in entry.items() if k != "time"} for entry in history]


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_folder_of_a_finished_run(finished, dataset, trained_means):
    folder, _ = finished
    names = ["checkpoint.pkl", "curve.png", "log.jsonl", "settings.json", "state.pkl"]
    assert sorted(file.name for file in folder.iterdir()) == names
    assert json.loads((folder / "settings.json").read_text())["settings"] == SETTINGS.as_dict()
    log = log_of(folder)
    assert [entry["update"] for entry in log] == [20, 40]
    assert all(entry["silent"].keys() == {"convolution1", "convolution2", "hidden"} for entry in log)
    saved, network = load_network(folder / "checkpoint.pkl")
    best = max(log, key=lambda entry: entry["validation_auc"])
    assert (saved["update"], saved["validation_auc"]) == (best["update"], best["validation_auc"])
    assert saved["tags"] == dataset.tags
    assert saved["artists"] == ["artist 0", "artist 1", "artist 2"]
    assert network.settings == SETTINGS
    assert saved["parameters"].keys() == trained_means[40].keys()
    last = checkpoint.load_last(folder / "state.pkl")[1].values()
    for name in last:  # XLA may compute a product and a sum as one
        np.testing.assert_allclose(last[name], trained_means[40][name], rtol=1e-5, atol=1e-7, err_msg=name)
        expected = trained_means[saved["update"]][name]
        np.testing.assert_allclose(saved["parameters"][name], expected, rtol=1e-5, atol=1e-7, err_msg=name)
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_is_its_updates(finished, trained):
    folder, _ = finished
    losses, parameters, _ = trained
    means = [entry["loss"] for entry in log_of(folder)]
    np.testing.assert_allclose(means, losses[:40].reshape(2, 20).mean(axis=1), rtol=1e-6)
    assert_equal_arrays(checkpoint.load(folder / "state.pkl", STATE)["parameters"], parameters)


def test_stopped_runs_resume_exactly(tmp_path, dataset, finished):
    """Stopped inside an interval, at its end just after a validation, and inside the next one."""
    run = start_run(tmp_path, SETTINGS, dataset, "jax")
    for stop_at in (10, 20, 30):
        assert not train(run, stop_at)
        assert checkpoint.load(tmp_path / "state.pkl", STATE)["update"] == stop_at
        run = resume_run(tmp_path)
    assert train(run)
    assert_same_state(tmp_path, finished[0])
    losses = [[entry["loss"] for entry in log_of(folder)] for folder in (tmp_path, finished[0])]
    np.testing.assert_allclose(*losses, rtol=1e-12)


def test_folder_is_whole_at_every_moment(finished):
    """`kill -9` before or after any file is put in place leaves the file before or the new one, never a broken one."""
    folder, copies = finished
    assert len(copies) == 2 * (2 + 2 * 3 + len([e for e in log_of(folder) if e["best"]]))
    for copy in copies:
        for name, kind in (("checkpoint.pkl", CHECKPOINT), ("state.pkl", STATE)):
            if (copy / name).exists():
                checkpoint.load(copy / name, kind)
        if (copy / "log.jsonl").exists():
            log_of(copy)
        if (copy / "settings.json").exists():
            json.loads((copy / "settings.json").read_text())
        history = checkpoint.load(copy / "state.pkl", STATE)["history"] if (copy / "state.pkl").exists() else []
        if history:  # with a best validation, whose parameters must be there
            best = max(e["validation_auc"] for e in history)
            assert checkpoint.load(copy / "checkpoint.pkl", CHECKPOINT)["validation_auc"] >= best


def moments(copies):
    """After the first state and each file that follows it; before the last state."""
    names = ("state.pkl", "settings.json", "checkpoint.pkl", "log.jsonl")
    return [*(next(c for c in copies if (c / name).exists()) for name in names), copies[-2]]


@pytest.mark.parametrize("moment", range(5))
def test_killed_runs_resume_exactly(tmp_path, finished, moment):
    folder = tmp_path / "run"
    shutil.copytree(moments(finished[1])[moment], folder)
    (folder / "state.pkl.12345.partial").write_bytes(b"\x80\x04 cut off")  # by a kill in the middle of writing
    assert train(resume_run(folder))
    assert_same_state(folder, finished[0])
    assert without_time(log_of(folder)) == without_time(log_of(finished[0]))
    best = [checkpoint.load(f / "checkpoint.pkl", CHECKPOINT) for f in (folder, finished[0])]
    assert best[0]["update"] == best[1]["update"]
    assert_equal_arrays(best[0]["parameters"], best[1]["parameters"])


def test_more_updates_continue_exactly(tmp_path, finished, trained):
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    run = resume_run(folder, updates=60)
    assert train(run)
    validated = run._predictor.predict_clips(run._validation_windows).probabilities
    _, averaged = checkpoint.load_last(folder / "state.pkl")
    expected = Predictor(averaged, "jax").predict_clips(run._validation_windows).probabilities
    np.testing.assert_array_equal(validated, expected)  # not with the parameters as they are
    assert_equal_arrays(checkpoint.load(folder / "state.pkl", STATE)["parameters"], trained[2])
    assert json.loads((folder / "settings.json").read_text())["settings"]["updates"] == 60
    assert train(resume_run(folder))  # nothing left to do
    with pytest.raises(InputError, match="60 updates already"):
        resume_run(folder, updates=50)


def test_folders_that_hold_a_run_and_that_hold_none(tmp_path, finished, dataset):
    with pytest.raises(InputError, match=r"holds a run already.*--resume"):
        start_run(finished[0], SETTINGS, dataset, "jax")
    (tmp_path / "settings.json").write_text("{}")
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="no run to resume"):
            resume_run(folder)


def test_other_data_are_refused_and_moved_data_accepted(tmp_path, dataset, finished):
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    moved = tmp_path / "moved.h5"
    shutil.copy(dataset.path, moved)
    assert resume_run(folder, moved).progress.update == 40
    with h5py.File(moved, "a") as file:
        file["labels"][0, 0] = 1 - file["labels"][0, 0]
    with pytest.raises(InputError, match=r"moved\.h5: clips or labels are not those"):
        resume_run(folder, moved)
    moved.unlink()
    with pytest.raises(InputError, match=r"moved\.h5: no such file"):
        resume_run(folder, moved)


@pytest.mark.parametrize("damage", ["cut off", "memory", "parameters", "settings", "backend", "update", "losses"])
def test_damaged_states_are_refused(tmp_path, finished, damage):
    file = tmp_path / "state.pkl"
    state = checkpoint.load(finished[0] / "state.pkl", STATE)
    match damage:
        case "memory" | "parameters":
            state[damage].popitem()
        case "settings":
            state["settings"]["length"] = 0
        case "backend":
            state["backend"] = "cuda"
        case "update":
            state["update"] = -1
        case "losses":
            state["losses"]["count"] = -20
    checkpoint.save(file, STATE, state)
    if damage == "cut off":
        file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"state\.pkl"):
        resume_run(tmp_path)


@pytest.mark.parametrize(
    ("parameter", "what"),
    # XLA's maximum of NaN and 0 is 0 on the CPU, so that a dead filter need not show in the loss
    [("output/bias", "the loss is"), ("convolution1/filters", "(the loss is|parameters are)")],
)
def test_loss_that_is_not_finite_keeps_the_state_before(tmp_path, finished, parameter, what):
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    run = resume_run(folder, updates=60)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    damaged = run.network.parameters[parameter]
    damaged.set_value(np.full(damaged.type.shape, np.nan, np.float32))
    with pytest.raises(InputError, match=rf"{what} not finite at update .*learning-rate"):
        train(run)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_parameters_that_are_not_finite_after_a_finite_loss(tmp_path, dataset):
    """The loss of an update is that of the parameters before it."""
    settings = small_settings(updates=3, validation_interval=1, learning_rate=1e38)
    with pytest.raises(InputError, match=r"(are not finite|predicts the same for all .*) at update 1;"):
        train(start_run(tmp_path, settings, dataset, "jax"))
    assert checkpoint.load(tmp_path / "state.pkl", STATE)["update"] == 0


@pytest.mark.parametrize(
    ("parameter", "value", "what"),
    [("hidden/bias", -1e6, "every unit of hidden is silent"), ("output/weights", 0, "predicts the same for all")],
)
def test_a_network_that_has_died_ends_the_run(tmp_path, dataset, finished, parameter, value, what):
    """A silent layer passes no gradient on, and with weights of 0 and no learning to speak of nothing is heard."""
    settings = small_settings(updates=60, validation_interval=20, learning_rate=1e-30)
    run = start_run(tmp_path, settings, dataset, "jax")
    variable = run.network.parameters[parameter]
    variable.set_value(np.full(variable.type.shape, value, np.float32))
    with pytest.raises(InputError, match=rf"{what}.* at update 20; .*--learning-rate \(this one is 1e-30\)"):
        train(run)
    assert checkpoint.load(tmp_path / "state.pkl", STATE)["update"] == 0


def test_clips_that_are_all_alike_are_no_sign_of_death(tmp_path, dataset):
    path = tmp_path / "silence.h5"
    shutil.copy(dataset.path, path)
    with h5py.File(path, "a") as file:
        file["mel_1024_1024/values"][:] = 0
    run = start_run(tmp_path / "run", SETTINGS, Dataset(path), "jax")
    assert train(run)
    assert [entry["validation_auc"] for entry in run.progress.history] == [0.5, 0.5]
    assert [entry["best"] for entry in run.progress.history] == [True, False]  # of equals the first is kept
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pkl", CHECKPOINT)["update"] == 20


def test_signs_of_death_are_no_smaller(tmp_path, dataset):
    """One unit that is awake, or a clip that is heard at all, is a network that lives."""
    run = start_run(tmp_path, SETTINGS, dataset, "jax")
    for silent, apart, dead in ((0.9999, 2e-7, False), (1, 2e-7, True), (0.9999, 5e-8, True)):
        predicted = ClipPredictions(np.array([[0], [apart]], np.float32), {"hidden": silent}, all_alike=False)
        with pytest.raises(InputError) if dead else nullcontext():
            run._check_alive(predicted)


def test_runs_that_start_from_a_checkpoint(tmp_path, dataset, finished):
    file = finished[0] / "checkpoint.pkl"
    initial = checkpoint.load(file, CHECKPOINT)["parameters"]
    run = start_run(tmp_path / "run", SETTINGS, dataset, "jax", file)
    assert_equal_arrays(run.network.values(), initial)
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["initial"].startswith(f"{file}, update ")
    moved = tmp_path / "other.h5"
    shutil.copy(dataset.path, moved)
    with h5py.File(moved, "a") as file_:
        del file_["tags"], file_["labels"]
        file_["tags"], file_["labels"] = ["new", "loud"], dataset.labels[:, 1:3]
    start_run(tmp_path / "other", SETTINGS, Dataset(moved), "jax", file)
    resumed = resume_run(tmp_path / "other")  # without the checkpoint
    assert resumed.initial.startswith(str(file))
    values = resumed.network.values()
    for name, array in initial.items():
        if not name.startswith("output/"):
            np.testing.assert_array_equal(values[name], array)
    assert values["output/weights"].shape == (100, 2)
    with pytest.raises(
        InputError, match=r"checkpoint\.pkl: .*hidden/weights.* do not fit .* mel_512_256_dropout is asked for"
    ):
        start_run(tmp_path / "third", small_settings(length=512, stride=256), dataset, "jax", file)


def test_validation_without_a_defined_tag(tmp_path):
    labels = np.zeros((24, 4), np.uint8)
    path = write_small_data(tmp_path / "d.h5", representations=[(1024, 1024)], labels=labels)
    with pytest.raises(InputError, match=r"d\.h5: no tag has both positive and negative clips"):
        start_run(tmp_path / "run", SETTINGS, Dataset(path), "jax")


def test_runs_do_not_depend_on_the_working_folder(tmp_path, dataset, monkeypatch):
    """A run finds its data from anywhere."""
    monkeypatch.chdir(dataset.path.parent)
    start_run(tmp_path, SETTINGS, Dataset(Path(dataset.path.name)), "jax")
    monkeypatch.chdir(tmp_path)
    assert resume_run(tmp_path).dataset.path == dataset.path


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS takes no other names than UTF-8")
def test_paths_that_no_file_can_note_are_an_error_at_once(tmp_path, dataset, finished):
    """Linux takes any bytes as a name; settings and state are UTF-8."""
    latin = tmp_path / os.fsdecode(b"caf\xe9.h5")
    shutil.copy(dataset.path, latin)
    with pytest.raises(InputError, match="its name is not UTF-8"):
        start_run(tmp_path / "run", SETTINGS, Dataset(latin), "jax")
    initial = tmp_path / os.fsdecode(b"caf\xe9.pkl")
    shutil.copy(finished[0] / "checkpoint.pkl", initial)
    with pytest.raises(InputError, match="its name is not UTF-8"):
        start_run(tmp_path / "run", SETTINGS, dataset, "jax", initial)
    assert not list((tmp_path / "run").glob("*"))


def test_a_run_that_is_to_end_where_it_was_stopped_is_validated(dataset, tmp_path):
    folder = tmp_path / "run"
    assert not train(start_run(folder, SETTINGS, dataset, "jax"), stop_at=10)
    run = resume_run(folder, updates=10)
    assert train(run)
    assert [entry["update"] for entry in run.progress.history] == [10]
    assert checkpoint.load(folder / "checkpoint.pkl", checkpoint.CHECKPOINT)["update"] == 10


def settings_with(initial_filters):
    changes = {"pooling": "l2", "pool_size": 2, "nonlinearity": "log-square", "strided_filters": 16, "length": 256}
    return small_settings(
        frontend="raw", stride=256, updates=10, validation_interval=5, initial_filters=initial_filters, **changes
    )


@pytest.mark.parametrize("method", ["mel", "k-means"])  # computed, and learned
def test_initial_filters_are_stored_and_never_made_again(tmp_path, method, monkeypatch):
    monkeypatch.setattr("theanoish.model.initial_filters._GRID", 1024)
    settings = settings_with(method)
    dataset = Dataset(write_small_data(tmp_path / "small.h5", representations=["raw"]))
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run = start_run(whole, settings, dataset, "jax")
    started, stored = run.network.values(), np.load(whole / "initial_filters.npy")
    np.testing.assert_array_equal(started["strided/filters"], stored * started["start/loudness"])
    made_with = json.loads((whole / "initial_filters.json").read_text())
    assert made_with["initial_filters"] == method and made_with["seed"] == settings.seed
    assert train(run)
    assert not np.array_equal(run.network.values()["strided/filters"], started["strided/filters"])

    start_run(stopped, settings, dataset, "jax")
    np.testing.assert_array_equal(np.load(stopped / "initial_filters.npy"), stored)
    monkeypatch.setattr(training.Trainer, "initial_filters", None)  # cannot be called
    assert train(resume_run(stopped))
    assert_same_state(stopped, whole)


def test_filters_of_a_checkpoint_that_a_run_starts_from_are_stored(tmp_path):
    settings = small_settings(frontend="raw", length=512, stride=512, updates=10)
    dataset = Dataset(write_small_data(tmp_path / "small.h5", representations=["raw"]))
    run = start_run(tmp_path / "first", settings, dataset, "jax")
    assert train(run)
    assert not (run.folder / "initial_filters.npy").exists()
    learned = run.network.values()
    checkpoint_file = run.folder / "checkpoint.pkl"
    start_run(tmp_path / "second", replace(settings, seed=9), dataset, "jax", checkpoint_file)
    stored = np.load(tmp_path / "second" / "initial_filters.npy")
    np.testing.assert_array_equal(stored, learned["strided/filters"] / learned["start/loudness"])
    assert str(checkpoint_file) in (tmp_path / "second" / "initial_filters.json").read_text()


def test_fixed_filters_stay_and_the_rest_learns(tmp_path):
    settings = small_settings(frontend="raw", updates=10, validation_interval=5, fixed_filters=True, momentum=0.5)
    dataset = Dataset(write_small_data(tmp_path / "small.h5", representations=["raw"]))
    run = start_run(tmp_path / "run", settings, dataset, "jax")
    before = run.network.values()
    assert train(run)
    after = run.network.values()
    unchanged = {name for name in before if np.array_equal(before[name], after[name])}
    constants = {name for name in before if name.startswith("start/")}
    assert unchanged == constants | {"strided/filters", "strided/bias"}
    memory = checkpoint.load(tmp_path / "run" / "state.pkl", STATE)["memory"]
    assert "hidden/bias/velocity" in memory and "hidden/bias/mean" in memory
    assert not any(name.startswith("strided/") for name in memory)


def test_averaging_leaves_the_descent_as_it_is(tmp_path, dataset, trained):
    run = start_run(tmp_path, replace(SETTINGS, average=0.0), dataset, "jax")
    assert train(run)
    assert_equal_arrays(run.network.values(), trained[1])
    state = checkpoint.load(tmp_path / "state.pkl", STATE)
    assert state["memory"] and all(name.endswith("/velocity") for name in state["memory"])
    assert_equal_arrays(checkpoint.load_last(tmp_path / "state.pkl")[1].values(), trained[1])


def test_the_mean_begins_where_the_network_begins(tmp_path, dataset, finished):
    """With the measured start, and with the parameters of a checkpoint."""
    for name, initial in (("own", None), ("other", finished[0] / "checkpoint.pkl")):
        run = start_run(tmp_path / name, SETTINGS, dataset, "jax", initial)
        assert_equal_arrays(checkpoint.load_last(run.folder / "state.pkl")[1].values(), run.network.values())


def test_states_of_version_3_are_resumed_without_an_average(tmp_path, dataset, trained):
    """Their memory was called velocities, and their settings knew neither an average nor a rate of strided filters."""
    run = start_run(tmp_path, replace(SETTINGS, average=0.0), dataset, "jax")
    assert not train(run, stop_at=10)
    state = checkpoint.load(tmp_path / "state.pkl", STATE)
    state["velocities"] = state.pop("memory")
    del state["settings"]["average"], state["settings"]["strided_rate"]
    (tmp_path / "state.pkl").write_bytes(plain_pickle.dump({"format": STATE, "version": 3, **state}))
    resumed = resume_run(tmp_path)
    assert (resumed.settings.average, resumed.settings.strided_rate) == (0, 1)
    assert train(resumed)
    assert_equal_arrays(resumed.network.values(), trained[1])
