"""Cells at the workers of real Dask clusters, with stand-ins for the scripts."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from stand_ins import UNTIL_STOPPED, alive, cells_with_scores, stand_in_scripts, wait_for
from theanoish import scheduler
from theanoish.errors import InputError
from theanoish.experiments import cells as cells_module
from theanoish.experiments import cluster, workers
from theanoish.experiments.cluster import Cluster, connect
from theanoish.experiments.sweep import Event, run_cells
from theanoish.interrupt import StopRequest

STAYING = UNTIL_STOPPED % 130
distributed = pytest.importorskip("distributed", reason="dask.distributed (extra 'cluster') is not installed")
dask = pytest.importorskip("dask")


@pytest.fixture
def here():
    """A scheduler, and a worker with two threads, in this process."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp://", dashboard_address=None
    ) as found:
        yield found.scheduler_address


def process_of(cell):
    file = cell.folder / "process"
    return int(file.read_text()) if file.exists() else None


def run_on(address, cells, say=print):
    """Looks at a sweep, and its stop request."""
    stop = StopRequest()
    with connect(address) as client:
        for events in run_cells(cells, stop, Cluster(client, say).new_places):
            yield events, stop


def test_cells_die_fail_and_stop_as_at_home(here, tmp_path, monkeypatch):
    """One is killed and taken up again, one fails, and one stops when asked to."""
    stand_in_scripts(
        tmp_path, monkeypatch, "if seed == 2: print('train.py: error: no such thing'); sys.exit(2)\n" + STAYING
    )
    killed, _, stopped = cells = cells_with_scores(tmp_path, 3)
    events = []
    for look, stop in run_on(here, cells):
        events += look
        if process_of(killed) and alive(process_of(killed)) and not any(event.cell == killed for event in events):
            os.kill(process_of(killed), signal.SIGKILL)
        stop.requested = Event(killed, "finished") in events and process_of(stopped) is not None
    assert [[(event.state, event.reason) for event in events if event.cell == cell] for cell in cells] == [
        [("died", "exit status -9"), ("finished", "")],
        [("failed", "no such thing")],
        [("stopped", "")],
    ]
    assert (stopped.folder / "saved").exists()


def test_cells_stop_when_nobody_waits_for_them_any_more(here, tmp_path, monkeypatch):
    stand_in_scripts(tmp_path, monkeypatch, STAYING)
    (cell,) = cells_with_scores(tmp_path, 1)
    client = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from stand_ins import cells_of\n"
        "from theanoish.experiments.cluster import Cluster, connect\n"
        "cell, cluster = cells_of(Path(sys.argv[2]), 1)[0], Cluster(connect(sys.argv[3]), print)\n"
        "cluster.new_places()[0](cell.commands(), cell.log, lambda: False)"
    )
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen([sys.executable, "-c", client, tests, str(tmp_path), here]) as process:
        wait_for(lambda: process_of(cell))
        process.kill()
    wait_for((cell.folder / "saved").exists)


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Starts Dask workers as processes of their own, each with a package and scripts of its own."""
    started = []
    monkeypatch.setattr(cells_module, "SCRIPTS", stand_in_scripts(tmp_path, monkeypatch, STAYING))
    shutil.copytree(Path(workers.__file__).parents[1], tmp_path / "scripts" / "theanoish")

    def start(address, package="scripts", change=""):
        folder = tmp_path / package
        if package != "scripts":
            shutil.copytree(tmp_path / "scripts", folder)
            with (folder / "theanoish" / "__init__.py").open("a") as file:
                file.write(change)
        command = f"-m distributed.cli.dask_worker {address} --no-nanny --no-dashboard --nthreads 1".split()
        environment = os.environ | {"PYTHONPATH": str(folder)}
        started.append(
            subprocess.Popen([sys.executable, *command], env=environment, stderr=subprocess.DEVNULL, cwd=tmp_path)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_workers_that_do_not_fit_and_one_that_goes(tmp_path, worker):
    """A sweep that finds none that fits says why; one that has begun takes those that come."""
    (cell,) = cells_with_scores(tmp_path, 1)
    said, events, fit = [], [], []
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as found:
        address = found.scheduler_address
        worker(address, "lacking", "raise ModuleNotFoundError(\"No module named 'theanoish'\")\n")
        missing = r"looking for a worker failed: theanoish cannot be imported there \(No module named 'theanoish'\)"
        with pytest.raises(InputError, match=missing):
            list(run_on(address, [cell]))
        fit.append(worker(address))
        with connect(address) as client:
            client.wait_for_workers(2)
        for look, _ in run_on(address, [cell], said.append):
            events += look
            if process_of(cell) and len(fit) == 1:
                fit[0].kill()
                worker(address, "older", "# an older version\n")
                fit.append(None)
            if any("another version" in line for line in said) and len(fit) == 2:
                fit.append(worker(address))
    assert [event.state for event in events] == ["lost", "waiting", "finished"]
    assert len(said) == 2  # of each that does not fit, once
    assert said[1].endswith("gets no cells: it has another version of theanoish")
    assert (cell.folder / "saved").exists()
    assert not alive(process_of(cell))


def test_nothing_is_sent_to_workers_of_another_python(monkeypatch):
    """Nor to one that tells no version; one that does not answer yet is asked again at the next look."""
    monkeypatch.setattr(distributed, "Event", lambda name, client: None)
    here = {"host": {"python": "{}.{}.{}.final.0".format(*sys.version_info)}}
    other = {"host": {"python": "3.99.0.final.0"}}
    answering = {"tcp://other": other, "tcp://odd": {"host": ["python"]}, "tcp://same": here}
    asked, said = [], []

    def run(function, workers, on_error):
        asked.append(workers)
        return dict.fromkeys(workers, "")

    client = SimpleNamespace(nthreads=lambda: dict.fromkeys([*answering, "tcp://late"], 1), run=run)
    client.get_versions = lambda: {"client": here, "workers": answering}
    found = Cluster(client, said.append)
    assert len(found.new_places()) == 1
    version = "{}.{}".format(*sys.version_info)
    others = {"tcp://other": "3.99", "tcp://odd": "of no known version"}
    assert said == [f"{name} gets no cells: it has Python {its}, not {version}" for name, its in others.items()]
    answering["tcp://late"] = here
    assert len(found.new_places()) == 1
    assert asked == [["tcp://same"], ["tcp://late"]]


def test_a_scheduler_that_goes_ends_the_sweep(tmp_path, monkeypatch, worker):
    monkeypatch.setattr(scheduler, "CONNECT_SECONDS", 2.0)
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "2s")  # of the worker
    (cell,) = cells_with_scores(tmp_path, 1)
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        [*command, "--no-dashboard", "--scheduler-file", str(file)], stderr=subprocess.DEVNULL
    ) as process:
        wait_for(lambda: file.exists() and file.read_text())
        address = json.loads(file.read_text())["address"]
        worker(address)
        events = []
        with dask.config.set({"distributed.comm.timeouts.connect": 2}):
            for look, _ in run_on(address, [cell]):
                events += look
                if process_of(cell):
                    process.kill()
    assert events[-1] == Event(cell, "failed", "the cluster's scheduler is gone")
    wait_for((cell.folder / "saved").exists)


def test_no_scheduler_no_worker_and_no_dask(monkeypatch):
    monkeypatch.setattr(scheduler, "CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        connect("tcp://127.0.0.1:9")
    monkeypatch.setattr(cluster, "_FIRST_SECONDS", 0.0)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty,
        connect(empty.scheduler_address) as client,
        pytest.raises(InputError, match="the cluster has none"),
    ):
        Cluster(client, print).new_places()
    monkeypatch.setitem(sys.modules, "distributed", None)
    for clone, what in ((Path("/a/clone"), r"--editable '/a/clone\[cluster\]'"), (None, r"'theanoish\[cluster\]'")):
        monkeypatch.setattr(cluster, "CLONE", clone)
        with pytest.raises(InputError, match=f"{sys.executable} -m pip install {what}"):
            connect("tcp://127.0.0.1:9")


def test_what_tells_versions_apart_is_the_same_in_a_clone_and_installed(tmp_path):
    """A wheel holds the scripts as well, in the package."""
    package = shutil.copytree(Path(cluster.__file__).parents[1], tmp_path / "theanoish")
    (package / "scripts").mkdir()
    (package / "scripts" / "train.py").touch()
    code = "from theanoish.experiments.cluster import sources; print(sources())"
    command = [sys.executable, "-P", "-c", code]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert answer.strip() == cluster.sources()
