"""Songs tagged by the workers of a Dask cluster: as they would be here."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from small_song import write_song
from stand_ins import wait_for
from theanoish import scheduler
from theanoish.commands import tag
from theanoish.errors import InputError
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.tagging import cluster
from theanoish.tagging.songs import Failure
from theanoish.tagging.tagger import Tagger

distributed = pytest.importorskip("distributed", reason="dask.distributed (extra 'cluster') is not installed")
dask = pytest.importorskip("dask")
ROOT = Path(cluster.__file__).resolve().parents[2]
TAGS = ["low", "middle", "high"]


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Starts the programs of Dask as processes of their own."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    processes = []

    def start(program, *arguments):
        command = [sys.executable, "-m", f"distributed.cli.dask_{program}", "--no-dashboard", *map(str, arguments)]
        with (tmp_path / "log.txt").open("a") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path))
        return processes[-1]

    start.processes = processes
    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def address(started, tmp_path, monkeypatch):
    file = tmp_path / "scheduler.json"
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    # of what workers hold twice it lets one copy go at once, not after 2 s: what then dies with its worker shows
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__INTERVAL", "20ms")
    started("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file)
    wait_for(lambda: file.exists() and file.read_text())  # it is there before its content
    return json.loads(file.read_text())["address"]


@pytest.fixture
def songs(tmp_path):
    (tmp_path / "songs").mkdir()
    return [write_song(tmp_path / "songs" / f"{i}.wav", 3 + i) for i in range(5)]


@pytest.fixture
def tagger():
    network = Network(Settings(length=1024, stride=1024, pooling="l2", pool_size=2), len(TAGS))
    values = network.values()
    values["output/weights"] = np.random.default_rng(2).normal(0, 0.2, (100, len(TAGS))).astype(np.float32)
    network.set_values(values)
    return Tagger(network, TAGS, frozenset({"middle"}))


def test_two_workers_tag_as_this_process_does(started, address, tagger, songs, tmp_path, monkeypatch):
    """In their order, relative paths and files that cannot be read among them."""
    for _ in range(2):
        started("worker", address, "--nthreads", "1", "--no-nanny")
    monkeypatch.chdir(tmp_path)
    paths = [f"songs/{song.name}" for song in songs]
    paths.insert(2, "songs/none.wav")
    expected = tagger.windows(songs[0]).probabilities
    with distributed.Client(address) as client:
        client.wait_for_workers(2)
        tagged = list(tagger.tag_many(paths, hop=1, client=client))
        computed = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert [str(song.path) for song in tagged] == paths
    assert isinstance(tagged[2], Failure)
    assert "no such file" in tagged[2].reason.lower()
    assert all(computed.values())  # both had work
    assert sum(computed.values()) == 6
    assert tagged[0].tags == ["low", "high"]
    np.testing.assert_array_equal(tagged[0].probabilities[0], expected[0])
    np.testing.assert_array_equal(tagged[5].probabilities, tagger.windows(songs[4], hop=1).probabilities)


def test_a_tagger_is_sent_without_what_this_machine_decides(tagger):
    assert tagger._windows_a_call > 0
    assert "_windows_a_call" not in vars(pickle.loads(pickle.dumps(tagger)))


def test_a_song_that_kills_its_worker_is_a_failure(started, address, tagger, songs, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nfrom theanoish.tagging import cluster\nbefore = cluster.tag_here\n"
        "cluster.tag_here = lambda tagger, path, hop: os._exit(1) if '1.wav' in path else before(tagger, path, hop)\n"
    )
    for _ in range(3):  # one dies with it and what waits there, another when it is tried again
        started("worker", address, "--nthreads", "1", "--no-nanny")
    with distributed.Client(address) as client:
        client.wait_for_workers(3)
        tagged = list(tagger.tag_many(songs, client=client))
    assert [song.path for song in tagged] == songs
    assert [isinstance(song, Failure) for song in tagged] == [False, True, False, False, False]
    assert "dies" in tagged[1].reason


def test_the_command_prints_the_same(started, address, songs, capsys):
    started("worker", address, "--nthreads", "1", "--no-nanny")
    printed = []
    for more in (["--dask", address], []):
        assert tag.main([str(songs[0].parent), *more]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_workers_of_another_version_are_named(started, address, tagger, songs, monkeypatch):
    started("worker", address, "--nthreads", "1", "--no-nanny")
    monkeypatch.setattr("theanoish.__version__", "9.9")
    with pytest.raises(InputError, match=r"here is theanoish 9\.9; start .*\n  tcp://\S+: theanoish 0"):
        next(cluster.tag_at(address, tagger, songs, 3))


def test_a_scheduler_that_goes_or_never_was(started, address, tagger, songs, monkeypatch):
    started("worker", address, "--nthreads", "1", "--no-nanny")
    with dask.config.set({"distributed.comm.timeouts.connect": 2}):
        tagged = cluster.tag_at(address, tagger, songs * 5, 3)
        next(tagged)
        started.processes[0].kill()
        with pytest.raises(InputError, match="scheduler is gone"):
            list(tagged)
        monkeypatch.setattr(cluster, "_SECONDS", 1.0)
        monkeypatch.setattr(scheduler, "CONNECT_SECONDS", 1.0)
        with pytest.raises(InputError, match="no Dask scheduler answers"):
            next(cluster.tag_at(address, tagger, songs, 3))


def test_a_cluster_without_workers(address, tagger, songs, monkeypatch):
    monkeypatch.setattr(cluster, "_SECONDS", 1.0)
    monkeypatch.setattr(scheduler, "CONNECT_SECONDS", 1.0)
    with pytest.raises(InputError, match="no worker after 1 s"):
        next(cluster.tag_at(address, tagger, songs, 3))
