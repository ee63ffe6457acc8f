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
from theanoish.training import checkpoint
from theanoish.training import trainer as training
from theanoish.training.checkpoint import CHECKPOINT, STATE, load_network
from theanoish.training.prediction import ClipPredictions, Predictor
from theanoish.training.run import resume_run, start_run
from theanoish.training.unsupervised import LEARNED_WITH

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
    """By the trainer alone: the losses and parameters of 60 single updates, and the means of the first 40."""
    trainer = training.Trainer(SETTINGS, dataset, "jax")
    trainer.measure_start()
    losses, parameters, means, mean = [], {}, {}, {}
    for update in range(1, 61):
        ((_, loss),) = trainer.run(update - 1, update)
        losses.extend(loss)
        parameters[update] = trainer.network.values()
        weight = 1 / max(1, SETTINGS.average * update)
        for name, value in parameters[update].items() if update <= 40 else ():
            mean[name] = value if update == 1 else (1 - weight) * mean[name] + weight * np.float64(value)
        means[update] = dict(mean)
    return np.array(losses), parameters, means


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


@pytest.fixture
def copied(tmp_path, finished):
    """A folder like that of the finished run."""
    return Path(shutil.copytree(finished[0], tmp_path / "copied"))


def assert_equal_arrays(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(arrays[name], values, err_msg=name)


def state_of(folder):
    return checkpoint.load(folder / "state.pkl", STATE)


def set_to(network, parameter, value):
    variable = network.parameters[parameter]
    variable.set_value(np.full(variable.type.shape, value, np.float32))


def assert_same_state(folder, other):
    state, expected = state_of(folder), state_of(other)
    for arrays in ("parameters", "memory"):
        assert_equal_arrays(state[arrays], expected[arrays])
    assert state["update"] == expected["update"]
    assert without_time(state["history"]) == without_time(expected["history"]) == without_time(log_of(folder))


def without_time(history):
    return [{k: v for k, v in entry.items() if k != "time"} for entry in history]


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def settings_of(folder):
    return json.loads((folder / "settings.json").read_text())


def test_folder_of_a_finished_run(finished, dataset, trained):
    folder, means = finished[0], trained[2]
    names = ["checkpoint.pkl", "curve.png", "log.jsonl", "settings.json", "state.pkl"]
    assert sorted(file.name for file in folder.iterdir()) == names
    assert settings_of(folder)["settings"] == SETTINGS.as_dict()
    log = log_of(folder)
    assert [entry["update"] for entry in log] == [20, 40]
    assert all(entry["silent"].keys() == {"convolution1", "convolution2", "hidden"} for entry in log)
    saved, network = load_network(folder / "checkpoint.pkl")
    best = max(log, key=lambda entry: entry["validation_auc"])
    assert (saved["update"], saved["validation_auc"]) == (best["update"], best["validation_auc"])
    assert saved["tags"] == dataset.tags
    assert saved["artists"] == ["artist 0", "artist 1", "artist 2"]
    assert network.settings == SETTINGS
    last = checkpoint.load_last(folder / "state.pkl")[1].values()
    for found, expected in ((last, means[40]), (saved["parameters"], means[saved["update"]])):
        assert found.keys() == expected.keys()
        for name in found:  # XLA may compute a product and a sum as one
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-7, err_msg=name)
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_is_its_updates(finished, trained):
    folder, (losses, parameters, _) = finished[0], trained
    means = [entry["loss"] for entry in log_of(folder)]
    np.testing.assert_allclose(means, losses[:40].reshape(2, 20).mean(axis=1), rtol=1e-6)
    assert_equal_arrays(state_of(folder)["parameters"], parameters[40])


def test_stopped_runs_resume_exactly(tmp_path, dataset, finished):
    """Stopped inside an interval, at its end just after a validation, and inside the next one."""
    run = start_run(tmp_path, SETTINGS, dataset, "jax")
    for stop_at in (10, 20, 30):
        assert not train(run, stop_at)
        assert state_of(tmp_path)["update"] == stop_at
        run = resume_run(tmp_path)
    assert train(run)
    assert_same_state(tmp_path, finished[0])


def test_folder_is_whole_at_every_moment(finished):
    """`kill -9` before or after any file is put in place leaves the file before or the new one, never a broken one."""
    folder, copies = finished
    assert len(copies) == 2 * (2 + 2 * 3 + len([e for e in log_of(folder) if e["best"]]))
    for copy in copies:
        names = {file.name for file in copy.iterdir()}
        best = (
            checkpoint.load(copy / "checkpoint.pkl", CHECKPOINT)["validation_auc"] if "checkpoint.pkl" in names else 0
        )
        if "state.pkl" in names:  # the parameters of its best validation must be there
            assert best >= max([e["validation_auc"] for e in state_of(copy)["history"]], default=0)
        if "log.jsonl" in names:
            log_of(copy)
        if "settings.json" in names:
            settings_of(copy)
    first = next(copy for copy in copies if (copy / "state.pkl").exists()) / "state.pkl"
    mean = checkpoint.load_last(first)[1].values()
    assert_equal_arrays(mean, checkpoint.load(first, STATE)["parameters"])  # it begins where the network does


def moments(copies):
    """After the first state and each file that follows it; before the last state."""
    names = ("state.pkl", "settings.json", "checkpoint.pkl", "log.jsonl")
    return [*(next(c for c in copies if (c / name).exists()) for name in names), copies[-2]]


@pytest.mark.parametrize("moment", range(5))
def test_killed_runs_resume_exactly(tmp_path, finished, moment):
    folder = Path(shutil.copytree(moments(finished[1])[moment], tmp_path / "run"))
    (folder / "state.pkl.12345.partial").write_bytes(b"\x80\x04 cut off")  # by a kill in the middle of writing
    assert train(resume_run(folder))
    assert_same_state(folder, finished[0])
    best = [checkpoint.load(f / "checkpoint.pkl", CHECKPOINT) for f in (folder, finished[0])]
    assert best[0]["update"] == best[1]["update"]
    assert_equal_arrays(best[0]["parameters"], best[1]["parameters"])


def test_more_updates_continue_exactly(copied, trained):
    run = resume_run(copied, updates=60)
    assert train(run)
    validated = run._predictor.predict_clips(run._validation_windows).probabilities
    _, averaged = checkpoint.load_last(copied / "state.pkl")
    expected = Predictor(averaged, "jax").predict_clips(run._validation_windows).probabilities
    np.testing.assert_array_equal(validated, expected)  # not with the parameters as they are
    assert_equal_arrays(state_of(copied)["parameters"], trained[1][60])
    assert settings_of(copied)["settings"]["updates"] == 60
    assert train(resume_run(copied))  # nothing left to do
    with pytest.raises(InputError, match="60 updates already"):
        resume_run(copied, updates=50)


def test_folders_that_hold_a_run_and_that_hold_none(tmp_path, finished, dataset):
    with pytest.raises(InputError, match=r"holds a run already.*--resume"):
        start_run(finished[0], SETTINGS, dataset, "jax")
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(InputError, match="no run to resume"):
        resume_run(tmp_path)


def test_other_data_are_refused_and_moved_data_accepted(tmp_path, dataset, copied):
    moved = Path(shutil.copy(dataset.path, tmp_path / "moved.h5"))
    assert resume_run(copied, moved).progress.update == 40
    with h5py.File(moved, "a") as file:
        file["labels"][0, 0] = 1 - file["labels"][0, 0]
    with pytest.raises(InputError, match=r"moved\.h5: clips or labels are not those"):
        resume_run(copied, moved)
    moved.unlink()
    with pytest.raises(InputError, match=r"moved\.h5: no such file"):
        resume_run(copied, moved)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state["memory"].popitem(),
        lambda state: state["parameters"].popitem(),
        lambda state: state["settings"].update(length=0),
        lambda state: state.update(backend="cuda"),
        lambda state: state.update(update=-1),
        lambda state: state["losses"].update(count=-20),
    ],
    ids=range(6),
)
def test_damaged_states_are_refused(copied, damage):
    state = state_of(copied)
    damage(state)
    checkpoint.save(copied / "state.pkl", STATE, state)
    with pytest.raises(InputError, match=r"state\.pkl"):
        resume_run(copied)


@pytest.mark.parametrize(
    ("parameter", "what"),
    # XLA's maximum of NaN and 0 is 0 on the CPU, so that a dead filter need not show in the loss
    [("output/bias", "the loss is"), ("convolution1/filters", "(the loss is|parameters are)")],
)
def test_loss_that_is_not_finite_keeps_the_state_before(copied, parameter, what):
    run = resume_run(copied, updates=60)
    before = {file.name: file.read_bytes() for file in copied.iterdir()}
    set_to(run.network, parameter, np.nan)
    with pytest.raises(InputError, match=rf"{what} not finite at update .*learning-rate"):
        train(run)
    assert {file.name: file.read_bytes() for file in copied.iterdir()} == before


def test_parameters_that_are_not_finite_after_a_finite_loss(tmp_path, dataset):
    """The loss of an update is that of the parameters before it."""
    settings = small_settings(updates=3, validation_interval=1, learning_rate=1e38)
    with pytest.raises(InputError, match=r"(are not finite|predicts the same for all .*) at update 1;"):
        train(start_run(tmp_path, settings, dataset, "jax"))
    assert state_of(tmp_path)["update"] == 0


@pytest.mark.parametrize(
    ("parameter", "value", "what"),
    [("hidden/bias", -1e6, "every unit of hidden is silent"), ("output/weights", 0, "predicts the same for all")],
)
def test_a_network_that_has_died_ends_the_run(tmp_path, dataset, parameter, value, what):
    """A silent layer passes no gradient on, and with weights of 0 and no learning to speak of nothing is heard."""
    settings = small_settings(updates=60, validation_interval=20, learning_rate=1e-30)
    run = start_run(tmp_path, settings, dataset, "jax")
    set_to(run.network, parameter, value)
    with pytest.raises(InputError, match=rf"{what}.* at update 20; .*--learning-rate \(this one is 1e-30\)"):
        train(run)
    assert state_of(tmp_path)["update"] == 0


def test_clips_that_are_all_alike_are_no_sign_of_death(tmp_path, dataset):
    path = Path(shutil.copy(dataset.path, tmp_path / "silence.h5"))
    with h5py.File(path, "a") as file:
        file["mel_1024_1024/values"][:] = 0
    run = start_run(tmp_path / "run", SETTINGS, Dataset(path), "jax")
    assert train(run)
    assert [entry["validation_auc"] for entry in run.progress.history] == [0.5, 0.5]
    assert [entry["best"] for entry in run.progress.history] == [True, False]  # of equals the first is kept
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pkl", CHECKPOINT)["update"] == 20


def test_signs_of_death_are_no_smaller(tmp_path, dataset):
    """One unit that is awake, or a clip that is heard at all by one tag, is a network that lives."""
    run = start_run(tmp_path, SETTINGS, dataset, "jax")
    for silent, apart, dead in ((0.9999, 2e-7, False), (1, 2e-7, True), (0.9999, 5e-8, True)):
        predicted = ClipPredictions(np.array([[0, 0], [0, apart]], np.float32), {"hidden": silent}, all_alike=False)
        with pytest.raises(InputError) if dead else nullcontext():
            run._check_alive(predicted)


def test_runs_that_start_from_a_checkpoint(tmp_path, dataset, finished):
    file = finished[0] / "checkpoint.pkl"
    initial = checkpoint.load(file, CHECKPOINT)["parameters"]
    run = start_run(tmp_path / "run", SETTINGS, dataset, "jax", file)
    assert_equal_arrays(run.network.values(), initial)
    assert_equal_arrays(checkpoint.load_last(run.folder / "state.pkl")[1].values(), initial)  # the mean, too
    assert settings_of(run.folder)["initial"].startswith(f"{file}, update ")
    moved = Path(shutil.copy(dataset.path, tmp_path / "other.h5"))
    with h5py.File(moved, "a") as other:
        del other["tags"], other["labels"]
        other["tags"], other["labels"] = ["new", "loud"], dataset.labels[:, 1:3]
    start_run(tmp_path / "other", SETTINGS, Dataset(moved), "jax", file)
    resumed = resume_run(tmp_path / "other")  # without the checkpoint
    assert resumed.initial.startswith(str(file))
    values = resumed.network.values()
    assert values.pop("output/weights").shape == (100, 2) and values.pop("output/bias").shape == (2,)
    assert_equal_arrays(values, {name: initial[name] for name in initial if not name.startswith("output/")})
    misfit = r"checkpoint\.pkl: .*hidden/weights.* do not fit .* mel_512_256_dropout is asked for"
    with pytest.raises(InputError, match=misfit):
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
    data, initial = (tmp_path / os.fsdecode(b"caf\xe9" + suffix) for suffix in (b".h5", b".pkl"))
    shutil.copy(dataset.path, data)
    shutil.copy(finished[0] / "checkpoint.pkl", initial)
    for arguments in ((Dataset(data), "jax"), (dataset, "jax", initial)):
        with pytest.raises(InputError, match="its name is not UTF-8"):
            start_run(tmp_path / "run", SETTINGS, *arguments)
    assert not list((tmp_path / "run").glob("*"))


def test_a_run_that_is_to_end_where_it_was_stopped_is_validated(dataset, tmp_path):
    assert not train(start_run(tmp_path, SETTINGS, dataset, "jax"), stop_at=10)
    run = resume_run(tmp_path, updates=10)
    assert train(run)
    assert [entry["update"] for entry in run.progress.history] == [10]
    assert checkpoint.load(tmp_path / "checkpoint.pkl", CHECKPOINT)["update"] == 10


@pytest.fixture(scope="module")
def raw_dataset(tmp_path_factory):
    return Dataset(write_small_data(tmp_path_factory.mktemp("data") / "raw.h5", representations=["raw"]))


IN_POOLS = {"frontend": "raw", "length": 256, "stride": 256, "strided_filters": 16}
IN_POOLS |= {"nonlinearity": "log-square", "pooling": "l2", "pool_size": 2}


@pytest.mark.parametrize("method", ["mel", "k-means"])  # computed, and learned
def test_initial_filters_are_stored_and_never_made_again(tmp_path, raw_dataset, method, monkeypatch):
    monkeypatch.setattr("theanoish.model.initial_filters._GRID", 1024)
    settings = small_settings(**IN_POOLS, initial_filters=method, updates=10, validation_interval=5)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run = start_run(whole, settings, raw_dataset, "jax")
    started, stored = run.network.values(), np.load(whole / "initial_filters.npy")
    np.testing.assert_array_equal(started["strided/filters"], stored * started["start/loudness"])
    made_with = json.loads((whole / "initial_filters.json").read_text())
    assert made_with["initial_filters"] == method and made_with["seed"] == settings.seed
    assert made_with.items() >= LEARNED_WITH.get(method, {}).items()
    assert train(run)
    assert not np.array_equal(run.network.values()["strided/filters"], started["strided/filters"])

    start_run(stopped, settings, raw_dataset, "jax")
    np.testing.assert_array_equal(np.load(stopped / "initial_filters.npy"), stored)
    monkeypatch.setattr(training.Trainer, "initial_filters", None)  # cannot be called
    assert train(resume_run(stopped))
    assert_same_state(stopped, whole)


def test_filters_are_learned_as_the_settings_say(raw_dataset, monkeypatch):
    monkeypatch.setattr(training, "learn_filters", lambda *given: given)
    settings = small_settings(**IN_POOLS, initial_filters="k-means", seed=7)
    trainer = training.Trainer(settings, raw_dataset, "jax")
    method, frames, *others = trainer.initial_filters()
    assert (method, *others) == ("k-means", 16, 2, 7, "jax")
    assert frames.shape[1] == 256 and len(frames) >= LEARNED_WITH[method]["frames"]


def test_filters_of_a_checkpoint_that_a_run_starts_from_are_stored(tmp_path, raw_dataset):
    settings = small_settings(frontend="raw", length=512, stride=512, updates=10)
    run = start_run(tmp_path / "first", settings, raw_dataset, "jax")
    assert train(run)
    assert not (run.folder / "initial_filters.npy").exists()
    learned, file = run.network.values(), run.folder / "checkpoint.pkl"
    start_run(tmp_path / "second", replace(settings, seed=9), raw_dataset, "jax", file)
    stored = np.load(tmp_path / "second" / "initial_filters.npy")
    np.testing.assert_array_equal(stored, learned["strided/filters"] / learned["start/loudness"])
    assert str(file) in (tmp_path / "second" / "initial_filters.json").read_text()


def test_fixed_filters_stay_and_the_rest_learns(tmp_path, raw_dataset):
    settings = small_settings(frontend="raw", updates=10, validation_interval=5, fixed_filters=True, momentum=0.5)
    run = start_run(tmp_path, settings, raw_dataset, "jax")
    before = run.network.values()
    assert train(run)
    after = run.network.values()
    unchanged = {name for name in before if np.array_equal(before[name], after[name])}
    constants = {name for name in before if name.startswith("start/")}
    assert unchanged == constants | {"strided/filters", "strided/bias"}
    memory = state_of(tmp_path)["memory"]
    assert "hidden/bias/velocity" in memory and "hidden/bias/mean" in memory
    assert not any(name.startswith("strided/") for name in memory)


def test_averaging_leaves_the_descent_as_it_is(tmp_path, dataset, trained):
    run = start_run(tmp_path, replace(SETTINGS, average=0.0), dataset, "jax")
    assert train(run)
    memory = state_of(tmp_path)["memory"]
    assert memory and all(name.endswith("/velocity") for name in memory)
    for network in (run.network, checkpoint.load_last(tmp_path / "state.pkl")[1]):
        assert_equal_arrays(network.values(), trained[1][40])
