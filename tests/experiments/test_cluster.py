import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stand_ins import alive, jobs_with_scores, stand_in_scripts, wait_for
from theanoish.errors import InputError
from theanoish.experiments import cells, cluster, sweep, workers
from theanoish.experiments.cluster import Cluster, connect
from theanoish.experiments.sweep import Event, run_cells
from theanoish.interrupt import StopRequest

# runs until it is stopped, and then saves; at the second start it ends at once
UNTIL_STOPPED = """
def save(number, frame):
    (run / "saved").touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, save)
if not (run / "process").exists():
    (run / "writing").write_text(str(os.getpid()))
    (run / "writing").rename(run / "process")
    time.sleep(600)
"""
distributed = pytest.importorskip("distributed", reason="dask.distributed (extra 'cluster') is not installed")
dask = pytest.importorskip("dask")


@pytest.fixture
def here():
    """A scheduler, and a worker with two threads, in this process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp://", dashboard_address=None
    ) as found:
        yield found.scheduler_address


def process_of(job):
    file = job.folder / "process"
    return int(file.read_text()) if file.exists() else None


def test_a_killed_cell_is_taken_up_again_and_failures_stop_nothing_else(here, tmp_path, monkeypatch):
    stand_in_scripts(
        tmp_path, monkeypatch, "if seed == 2: print('train.py: error: no such thing'); sys.exit(2)\n" + UNTIL_STOPPED
    )
    killed, failing, third = jobs_with_scores(tmp_path, 3)
    events = []
    for look in run_cells([killed, failing, third], Cluster(connect(here)), StopRequest()):
        events += look
        for job in (killed, third):
            if process_of(job) and Event(job, "died", "exit status -9") not in events:
                os.kill(process_of(job), signal.SIGKILL)
    assert [event for event in events if event.job == killed] == [
        Event(killed, "died", "exit status -9"),
        Event(killed, "finished"),
    ]
    assert Event(failing, "failed", "no such thing") in events
    assert events[-1].state == "finished"


def test_cells_stop_when_asked_to(here, tmp_path, monkeypatch):
    stand_in_scripts(tmp_path, monkeypatch, UNTIL_STOPPED)
    jobs = jobs_with_scores(tmp_path, 3)
    stop, events = StopRequest(), []
    for look in run_cells(jobs, Cluster(connect(here)), stop):
        stop.requested = all(process_of(job) for job in jobs[:2])
        events += look
    assert sorted(event.state for event in events) == ["stopped", "stopped"]
    assert all((job.folder / "saved").exists() for job in jobs[:2])
    assert not jobs[2].folder.exists()


def test_cells_stop_when_nobody_waits_for_them_any_more(here, tmp_path, monkeypatch):
    stand_in_scripts(tmp_path, monkeypatch, UNTIL_STOPPED)
    (job,) = jobs_with_scores(tmp_path, 1)
    client = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from stand_ins import jobs_of; from theanoish.experiments.cluster import Cluster, connect\n"
        "cluster = Cluster(connect(sys.argv[3])); cluster.look(); cluster.start(jobs_of(Path(sys.argv[2]), 1)[0])\n"
        "time.sleep(600)"
    )
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen([sys.executable, "-c", client, tests, str(tmp_path), here]) as process:
        wait_for(lambda: process_of(job))
        process.kill()
    wait_for((job.folder / "saved").exists)


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Starts Dask workers as processes of their own, each with a package and scripts of its own."""
    started = []
    monkeypatch.setattr(cells, "SCRIPTS", stand_in_scripts(tmp_path, monkeypatch, UNTIL_STOPPED))
    shutil.copytree(Path(workers.__file__).parents[1], tmp_path / "scripts" / "theanoish")

    def start(address, package="scripts", change=""):
        folder = tmp_path / package
        if package != "scripts":
            shutil.copytree(tmp_path / "scripts", folder)
            with (folder / "theanoish" / "__init__.py").open("a") as file:
                file.write(change)
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard"]
        with (tmp_path / "workers.txt").open("a") as log:
            process = subprocess.Popen(
                [*command, "--nthreads", "1"],
                env=os.environ | {"PYTHONPATH": str(folder)},
                stdout=log,
                stderr=log,
                cwd=tmp_path,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_it_says_which_workers_it_waits_for(tmp_path, monkeypatch, worker):
    monkeypatch.setattr(sweep, "_BUSY_SECONDS", 0.1)
    (job,) = jobs_with_scores(tmp_path, 1)
    said, fit = [], []
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as found:
        address = found.scheduler_address
        for events in run_cells([job], Cluster(connect(address)), StopRequest()):
            for event in events:
                said.append(event.reason or event.state)
                match len(said):  # each answer to what has been said
                    case 1:
                        worker(address, "lacking", "raise ModuleNotFoundError(\"No module named 'theanoish'\")\n")
                    case 3:
                        worker(address, "older", "# an older version\n")
                    case 4:
                        fit.append(worker(address))
            if process_of(job) and len(fit) == 1:
                fit[0].kill()
                fit.append(worker(address))
    assert said[0] == "waiting for a worker: the cluster has none"
    assert "gets no cells: theanoish cannot be imported there (No module named 'theanoish')" in said[1]
    assert said[2] == "waiting for a worker: none of the cluster's 1 can take a cell"
    assert "gets no cells: it has another version of theanoish" in said[3]
    assert "exit status -1" in said[4:]  # of the cell at the worker that was killed
    assert said[-1] == "finished"
    assert (job.folder / "saved").exists()
    assert not alive(process_of(job))


def test_nothing_is_sent_to_workers_of_another_python(monkeypatch):
    """Nor to one that does not answer yet, which is asked again at the next look."""
    monkeypatch.setattr(distributed, "Event", lambda name, client: None)
    here = {"host": {"python": "{}.{}.{}.final.0".format(*sys.version_info)}}
    answering = {"tcp://other": {"host": {"python": "3.99.0.final.0"}}, "tcp://same": here}
    asked = []

    class Client:
        def nthreads(self):
            return {"tcp://other": 1, "tcp://same": 1, "tcp://late": 1}

        def get_versions(self):
            return {"client": here, "workers": answering}

        def run(self, function, workers, on_error):
            asked.append(workers)
            return dict.fromkeys(workers, "")

    found = Cluster(Client())
    version = "{}.{}".format(*sys.version_info)
    assert found.look() == [f"tcp://other gets no cells: it has Python 3.99, not {version}"]
    answering["tcp://late"] = here
    assert found.look() == []
    assert asked == [["tcp://same"], ["tcp://late"]]
    assert found.room()


def test_a_scheduler_that_goes_ends_the_sweep(tmp_path, monkeypatch, worker):
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 2.0)
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "2s")  # of the worker
    (job,) = jobs_with_scores(tmp_path, 1)
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        [*command, "--no-dashboard", "--scheduler-file", str(file)], stderr=subprocess.DEVNULL
    ) as process:
        wait_for(file.exists)
        address = json.loads(file.read_text())["address"]
        worker(address)
        events = []
        with dask.config.set({"distributed.comm.timeouts.connect": 2}):
            for look in run_cells([job], Cluster(connect(address)), StopRequest()):
                events += look
                if process_of(job):
                    process.kill()
    assert events[-1] == Event(job, "failed", "the cluster's scheduler is gone")
    wait_for((job.folder / "saved").exists)


def test_scheduler_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        connect("tcp://127.0.0.1:9")


def test_scheduler_without_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install -e '\.\[cluster\]'"):
        connect("tcp://127.0.0.1:9")
