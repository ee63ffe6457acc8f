import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import reproduce
from small_data import write_small_data
from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.cells import Job, Outcome, Sweep, check, multiplications, run_cell
from theanoish.experiments.paper import TABLES
from theanoish.experiments.tables import collect, markdown
from theanoish.experiments.workers import Place, places_here, run_here, run_on_cluster
from theanoish.interrupt import StopRequest
from theanoish.settings import Settings
from theanoish.training import checkpoint

SCRIPT = Path(reproduce.__file__)
SETTINGS = Settings(frontend="mel", length=1024, stride=1024, updates=2000, validation_interval=250)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_small_data(tmp_path_factory.mktemp("data") / "small.h5", representations=[(1024, 1024)])


def one_core_places(count: int) -> list[Place]:
    cores = sorted(os.sched_getaffinity(0))
    return [Place(cores[i % len(cores)], {}) for i in range(count)]


def same_training(first: Job, second: Job) -> bool:
    """Whether two runs went the same way to the last bit, and ended with the same parameters."""
    one, other = (checkpoint.load(job.folder / "state.pkl", checkpoint.STATE) for job in (first, second))
    curves = [[(e["update"], e["loss"], e["validation_auc"]) for e in state["history"]] for state in (one, other)]
    equal = [np.array_equal(one["parameters"][name], other["parameters"][name]) for name in one["parameters"]]
    return all(equal) and curves[0] == curves[1] and one["update"] == other["update"]


def process_of(job: Job) -> int:
    """The process that holds the lock of a job's folder."""
    inode = str((job.folder / "lock").stat().st_ino)
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[5].split(":")[2] == inode:
            return int(fields[4])
    raise AssertionError("no process holds the lock")


def test_plan_trains_cells_that_tables_share_once_and_expensive_ones_first(tmp_path):
    sweep = Sweep(tmp_path / "d.h5", tmp_path, "jax", {"updates": 7}, seeds=2)
    jobs = sweep.plan(TABLES, [])
    assert len(jobs) == len({job.folder for job in jobs}) == 2 * 18
    assert {job.settings.updates for job in jobs} == {7}
    costs = [multiplications(job.settings) for job in jobs if job.settings.seed == 1]
    assert costs == sorted(costs, reverse=True)
    assert [job.settings.seed for job in jobs] == [1] * 18 + [2] * 18


def test_plan_knows_its_networks(tmp_path):
    sweep = Sweep(tmp_path / "d.h5", tmp_path, "jax", {}, seeds=1)
    assert [job.settings.name for job in sweep.plan(["1", "2"], ["mel_256_256"])] == ["mel_256_256"]
    with pytest.raises(InputError, match=r"raw_3_3; these tables have .*raw_256_256"):
        sweep.plan(["1"], ["raw_3_3"])


def test_check_names_all_missing_representations_and_the_command(data, tmp_path):
    jobs = Sweep(data, tmp_path, "jax", {}, seeds=1).plan(TABLES, [])
    with pytest.raises(InputError, match=r"mel_1024_512, .*mel_512_512, raw; .* --overwrite --representations all"):
        check(jobs, Dataset(data))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda stored: stored["settings"].update(learning_rate=0.5),
            f"learning_rate 0.5, not {SETTINGS.learning_rate}",
        ),
        (lambda stored: stored.update(data="other.h5"), "trained on other.h5, not small.h5"),
        (lambda stored: stored.pop("settings"), "damaged"),
    ],
)
def test_check_refuses_run_folders_of_other_runs(data, tmp_path, change, words):
    job = Job(SETTINGS, data, tmp_path, "jax")
    job.folder.mkdir()
    stored = {"settings": SETTINGS.as_dict(), "data": str(data)}
    (job.folder / "settings.json").write_text(json.dumps(stored))
    check([job], Dataset(data))
    change(stored)
    (job.folder / "settings.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match=words):
        check([job], Dataset(data))


def test_a_cell_in_training_elsewhere_is_left_alone(data, tmp_path):
    job = Job(SETTINGS, data, tmp_path, "jax")
    job.folder.mkdir()
    hold = f"import fcntl, time; f = open({str(job.folder / 'lock')!r}, 'w'); fcntl.flock(f, 2); print(1, flush=True)"
    with subprocess.Popen([sys.executable, "-c", f"{hold}; time.sleep(60)"], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        outcome = run_cell(job, StopRequest(), lambda update: None)
        other.kill()
    assert outcome.state == "failed"
    assert "another process" in outcome.reason
    assert [file.name for file in job.folder.iterdir()] == ["lock"]


def test_momentum_changes_the_default_rate(tmp_path):
    sweep = Sweep(tmp_path / "d.h5", tmp_path, "jax", {"momentum": 0.9}, seeds=1)
    assert sweep.settings(Settings(frontend="mel")) == Settings(frontend="mel", momentum=0.9)
    sweep = Sweep(tmp_path / "d.h5", tmp_path, "jax", {"momentum": 0.9, "learning_rate": 0.3}, seeds=1)
    assert sweep.settings(Settings()).learning_rate == 0.3


def test_a_killed_process_is_replaced_and_goes_on_from_its_last_state(data, tmp_path):
    killed, undisturbed = (Job(SETTINGS, data, tmp_path / name, "jax") for name in ("killed", "undisturbed"))
    updates_after, outcomes, deaths = [], {}, []
    for event in run_here([killed, undisturbed], one_core_places(2), StopRequest()):
        if event.died:
            deaths.append(event.job)
        elif event.outcome:
            outcomes[event.job] = event.outcome
        elif event.job == killed:
            if deaths:
                updates_after.append(event.update)
            elif event.update >= 300:
                os.kill(process_of(killed), signal.SIGKILL)
    assert deaths == [killed]
    assert outcomes == {killed: Outcome("finished"), undisturbed: Outcome("finished")}
    assert updates_after[0] >= 250  # where a validation had saved its state, not the beginning
    assert updates_after[0] % SETTINGS.validation_interval == 0
    assert same_training(killed, undisturbed)
    assert killed.scores["mean_auc"] == undisturbed.scores["mean_auc"]


def test_failed_cells_do_not_stop_the_others(data, tmp_path):
    fatal = Job(replace(SETTINGS, seed=2), data, tmp_path, "no such backend")
    missing = Job(Settings(updates=50), data, tmp_path, "jax")
    fine = Job(replace(SETTINGS, updates=50), data, tmp_path, "jax")
    events = list(run_here([fatal, missing, fine], one_core_places(2), StopRequest()))
    outcomes = {event.job: event.outcome for event in events if event.outcome}
    assert outcomes[fine].state == "finished"
    assert outcomes[missing].state == "failed"
    assert "has no 'raw'" in outcomes[missing].reason
    assert outcomes[fatal].state == "failed"
    assert "Traceback" in outcomes[fatal].reason


def test_a_stopped_sweep_keeps_its_state_and_begins_nothing_new(data, tmp_path):
    running = Job(replace(SETTINGS, updates=100_000), data, tmp_path, "jax")
    waiting = Job(replace(SETTINGS, updates=100_000, seed=2), data, tmp_path, "jax")
    stop = StopRequest()
    outcomes = {}
    for event in run_here([running, waiting], one_core_places(1), stop):
        stop.requested = stop.requested or event.update is not None
        if event.outcome:
            outcomes[event.job] = event.outcome
    assert outcomes == {running: Outcome("stopped")}
    assert not waiting.folder.exists()
    assert checkpoint.load(running.folder / "state.pkl", checkpoint.STATE)["update"] > 0


def test_places_hold_each_process_to_a_core(monkeypatch):
    cores = sorted(os.sched_getaffinity(0))
    assert [place.core for place in places_here("numba", None)] == cores
    assert len(places_here("numba", len(cores) + 3)) == len(cores) + 3
    monkeypatch.setattr("theanoish.experiments.workers._count_gpus", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    places = places_here("jax", 3)
    assert [place.environment["CUDA_VISIBLE_DEVICES"] for place in places] == ["4", "6", "4"]
    assert {place.environment["XLA_PYTHON_CLIENT_MEM_FRACTION"] for place in places} == {"0.450"}


def test_reproduce_stops_at_ctrl_c_continues_and_then_has_nothing_to_do(data, tmp_path):
    command = [sys.executable, str(SCRIPT), "--data", str(data), "--runs", str(tmp_path), "--workers", "1"]
    command += ["--updates", "2000", "--validation-interval", "500", "--only", "mel_1024_1024"]
    folder = tmp_path / "mel_1024_1024_seed1_2000updates"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (folder / "state.pkl").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=180)
    assert process.returncode == 130
    assert "the same command continues" in messages
    assert not (folder / "test.json").exists()

    assert subprocess.run(command, check=False, timeout=300, capture_output=True).returncode == 0
    stored = json.loads((folder / "test.json").read_text())
    table = (tmp_path / "tables.md").read_text()
    assert f"{stored['mean_auc']:.4f}" in table
    assert "small.h5" in table
    assert "2,000 updates" in table
    assert (tmp_path / "figures" / "figure1.pdf").exists()

    before = (folder / "checkpoint.pkl").stat().st_mtime_ns
    again = subprocess.run(command, check=False, timeout=180, capture_output=True, text=True)
    assert again.returncode == 0
    assert "1 cells, 1 of them finished earlier" in again.stdout
    assert (folder / "checkpoint.pkl").stat().st_mtime_ns == before


def test_reproduce_names_failed_cells_in_the_end(data, tmp_path, capsys):
    arguments = ["--data", str(data), "--runs", str(tmp_path), "--only", "mel_1024_1024", "--updates", "50"]
    assert reproduce.main([*arguments, "--learning-rate", "1e30"]) == 1
    assert "failed: mel_1024_1024, seed 1" in capsys.readouterr().err


def test_reproduce_refuses_what_it_cannot_use(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        reproduce.main(["--data", str(tmp_path / "none.h5")])
    assert stopped.value.code == 2
    assert "none.h5: no such file" in capsys.readouterr().err


def test_tables_give_mean_and_deviation_beside_the_papers_number(tmp_path):
    sweep = Sweep(tmp_path / "d.h5", tmp_path, "jax", {"updates": 7}, seeds=3)
    for aucs, name in (((0.5, 0.6, 0.8), "raw_256_256"), ((0.7,), "mel_256_256")):
        for job, auc in zip(sweep.plan(["1"], [name]), aucs, strict=False):
            job.folder.mkdir(parents=True)
            scores = {"mean_auc": auc, "artist_filtered_mean_auc": None, "mean_average_precision": 0.1, "update": 7}
            (job.folder / "test.json").write_text(json.dumps({**scores, "clips": 5, "clips_kept": "all"}))
    results = collect(sweep, ["1", "dropout"])
    lines = [[entry.strip() for entry in line.split("|")[1:-1]] for line in markdown(results).splitlines()]
    deviation = np.std([0.5, 0.6, 0.8], ddof=1)
    assert ["256", "256", "0.7000 (1 of 3)", "0.8815", f"0.6333 ± {deviation:.4f}", "0.8487"] in lines
    assert ["raw", f"0.6333 ± {deviation:.4f}", "0.8487", "-", "-"] in lines
    assert ["512", "512", "-", "0.8793", "-", "0.8386"] in lines


def test_dask_worker_killed_in_the_middle(data, tmp_path):
    distributed = pytest.importorskip("distributed", reason="dask.distributed (extra 'cluster') is not installed")
    killed, undisturbed = (Job(SETTINGS, data, tmp_path / name, "jax") for name in ("killed", "undisturbed"))
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        outcomes, updates, killed_at = {}, [], None
        for event in run_on_cluster([killed, undisturbed], cluster.scheduler_address, StopRequest()):
            if event.outcome:
                outcomes[event.job] = event.outcome
            elif event.job == killed and event.update is not None:
                updates.append(event.update)
                if event.update >= 300 and killed_at is None:
                    killed_at = len(updates)
                    os.kill(process_of(killed), signal.SIGKILL)
    assert outcomes == {killed: Outcome("finished"), undisturbed: Outcome("finished")}
    assert updates[killed_at] % SETTINGS.validation_interval == 0
    assert updates[killed_at] >= 250
    assert same_training(killed, undisturbed)


def test_dask_cells_stop_when_asked_to(data, tmp_path):
    distributed = pytest.importorskip("distributed", reason="dask.distributed (extra 'cluster') is not installed")
    jobs = [Job(replace(SETTINGS, updates=100_000, seed=seed), data, tmp_path, "jax") for seed in (1, 2)]
    stop, outcomes = StopRequest(), {}
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        for event in run_on_cluster(jobs, cluster.scheduler_address, stop):
            stop.requested = stop.requested or event.update is not None
            if event.outcome:
                outcomes[event.job] = event.outcome
    assert outcomes == {jobs[0]: Outcome("stopped")}
    assert checkpoint.load(jobs[0].folder / "state.pkl", checkpoint.STATE)["update"] > 0
    assert not jobs[1].folder.exists()


def test_scheduler_that_does_not_answer(data, tmp_path):
    pytest.importorskip("distributed", reason="dask.distributed (extra 'cluster') is not installed")
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        list(run_on_cluster([Job(SETTINGS, data, tmp_path, "jax")], "tcp://127.0.0.1:9", StopRequest()))


def test_scheduler_without_dask(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'theanoish\[cluster\]'"):
        list(run_on_cluster([Job(SETTINGS, data, tmp_path, "jax")], "tcp://127.0.0.1:9", StopRequest()))
