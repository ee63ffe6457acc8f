"""Training runs: exact resuming from wherever they stopped, and folders that are whole at every moment."""

import json
import shutil
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
from theanoish.training.checkpoint import CHECKPOINT, STATE
from theanoish.training.run import load_network, resume_run, start_run

SETTINGS = small_settings(updates=40, validation_interval=20)


@pytest.fixture(scope="module", autouse=True)
def short_blocks_compiled_once(tmp_path_factory):
    """Blocks of 10 updates, two an interval, and JAX's own cache for all the runs that are alike."""
    import jax

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "UPDATES_A_CALL", 10)
        jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("jax")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        yield
        jax.config.update("jax_compilation_cache_dir", None)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.h5"
    return Dataset(write_small_data(path, representations=[(1024, 1024)]))


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
    for arrays in ("parameters", "velocities"):
        assert_equal_arrays(state[arrays], expected[arrays])
    assert state["update"] == expected["update"]
    assert without_time(state["history"]) == without_time(expected["history"])


def without_time(history):
    return [{k: v for k, v in entry.items() if k != "time"} for entry in history]


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_folder_of_a_finished_run(finished, dataset):
    folder, _ = finished
    names = ["checkpoint.pkl", "curve.png", "log.jsonl", "settings.json", "state.pkl"]
    assert sorted(file.name for file in folder.iterdir()) == names
    assert json.loads((folder / "settings.json").read_text())["settings"] == SETTINGS.as_dict()
    log = log_of(folder)
    assert [entry["update"] for entry in log] == [20, 40]
    saved, network = load_network(folder / "checkpoint.pkl")
    best = max(log, key=lambda entry: entry["validation_auc"])
    assert (saved["update"], saved["validation_auc"]) == (best["update"], best["validation_auc"])
    assert saved["tags"] == dataset.tags
    assert network.settings == SETTINGS
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
    assert len(copies) == 2 * (1 + 2 * 3 + len([e for e in log_of(folder) if e["best"]]))
    for copy in copies:
        for name, kind in (("checkpoint.pkl", CHECKPOINT), ("state.pkl", STATE)):
            if (copy / name).exists():
                checkpoint.load(copy / name, kind)
        if (copy / "log.jsonl").exists():
            log_of(copy)
        if (copy / "settings.json").exists():
            json.loads((copy / "settings.json").read_text())
        if (copy / "state.pkl").exists():  # which knows of a best validation, so its parameters must be there
            best = max(e["validation_auc"] for e in checkpoint.load(copy / "state.pkl", STATE)["history"])
            assert checkpoint.load(copy / "checkpoint.pkl", CHECKPOINT)["validation_auc"] >= best


def moments(copies):
    """After settings.json; after the first log.jsonl, so with a checkpoint but no state; before the last state."""
    first = {name: next(c for c in copies if (c / name).exists()) for name in ("settings.json", "log.jsonl")}
    return [*first.values(), copies[-2]]


@pytest.mark.parametrize("moment", range(3))
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
    assert train(resume_run(folder, updates=60))
    assert_equal_arrays(checkpoint.load(folder / "state.pkl", STATE)["parameters"], trained[2])
    assert json.loads((folder / "settings.json").read_text())["settings"]["updates"] == 60
    assert train(resume_run(folder))  # nothing left to do
    with pytest.raises(InputError, match="60 updates already"):
        resume_run(folder, updates=50)


def test_existing_run_is_not_overwritten(finished, dataset):
    with pytest.raises(InputError, match=r"holds a run already.*--resume"):
        start_run(finished[0], SETTINGS, dataset, "jax")


def test_no_run_to_resume(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="no run to resume"):
            resume_run(folder)
    (tmp_path / "settings.json").write_text('{"settings": []')
    with pytest.raises(InputError, match="no run to resume"):
        resume_run(tmp_path)


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


@pytest.mark.parametrize("damage", ["cut off", "velocities", "parameters", "settings"])
def test_damaged_states_are_refused(tmp_path, finished, damage):
    file = tmp_path / "state.pkl"
    state = checkpoint.load(finished[0] / "state.pkl", STATE)
    match damage:
        case "velocities" | "parameters":
            del state[damage][next(iter(state[damage]))]
        case "settings":
            state["settings"]["length"] = 0
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
    damaged = run._trainer.network.parameters[parameter]
    damaged.set_value(np.full(damaged.type.shape, np.nan, np.float32))
    with pytest.raises(InputError, match=rf"{what} not finite at update .*learning-rate"):
        train(run)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_parameters_that_are_not_finite_after_a_finite_loss(tmp_path, dataset):
    """The loss of an update is that of the parameters before it."""
    settings = small_settings(updates=3, validation_interval=1, learning_rate=1e38)
    with pytest.raises(InputError, match=r"(the loss is|parameters are|predictions are) not finite at update [12];"):
        train(start_run(tmp_path, settings, dataset, "jax"))
    assert not (tmp_path / "state.pkl").exists()


def test_validation_without_a_defined_tag(tmp_path):
    labels = np.zeros((24, 4), np.uint8)
    path = write_small_data(tmp_path / "d.h5", representations=[(1024, 1024)], labels=labels)
    with pytest.raises(InputError, match=r"d\.h5: no tag has both positive and negative clips"):
        start_run(tmp_path / "run", SETTINGS, Dataset(path), "jax")


def test_runs_do_not_depend_on_the_working_folder(tmp_path, dataset, monkeypatch):
    """A run that was killed before its first state finds its data from anywhere."""
    monkeypatch.chdir(dataset.path.parent)
    start_run(tmp_path, SETTINGS, Dataset(Path(dataset.path.name)), "jax")
    monkeypatch.chdir(tmp_path)
    assert resume_run(tmp_path).dataset.path == dataset.path


def test_a_run_that_is_to_end_where_it_was_stopped_is_validated(dataset, tmp_path):
    folder = tmp_path / "run"
    assert not train(start_run(folder, SETTINGS, dataset, "jax"), stop_at=10)
    run = resume_run(folder, updates=10)
    assert train(run)
    assert [entry["update"] for entry in run.progress.history] == [10]
    assert checkpoint.load(folder / "checkpoint.pkl", checkpoint.CHECKPOINT)["update"] == 10
