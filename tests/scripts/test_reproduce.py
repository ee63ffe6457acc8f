import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from small_data import write_small_data
from stand_ins import stand_in_scripts, wait_for, write_scores
from theanoish.commands import reproduce
from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments import cells, workers
from theanoish.experiments.cells import Cell
from theanoish.settings import Settings
from theanoish.training import checkpoint

CHOSEN = ["--only", "mel_1024_1024", "--updates", "150", "--validation-interval", "50"]
SETTINGS = Settings(frontend="mel", length=1024, stride=1024, updates=150, validation_interval=50)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_small_data(tmp_path_factory.mktemp("data") / "small.h5", representations=[(1024, 1024)])


def test_a_cell_is_trained_evaluated_and_tabled(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(workers, "_count_gpus", lambda: 0)  # which a process of its own does
    runs = tmp_path / "runs"
    arguments = ["--data", str(data), "--runs", str(runs), "--workers", "1", *CHOSEN]
    cell = Cell(SETTINGS, data, runs, "jax")
    assert reproduce.main(arguments) == 0
    output, messages = capsys.readouterr()
    assert "1 cells, 0 of them finished earlier" in output
    assert "log-mel statistics" in output
    assert messages.count("measuring what the data set gives away") == 1
    assert f"mel_1024_1024, seed 1: test AUC {cell.scores['auc']:.4f}; " in messages
    assert (runs / "figures" / "figure1.pdf").exists()
    auc = cell.scores["auc"]
    for text in (output, (runs / "tables.md").read_text()):
        assert f"| 1024   | 1024   | {auc:.4f}" in text
        assert "small.h5, 6 test clips (all clips kept), 150 updates" in text
    (row,) = [row for row in json.loads((runs / "tables.json").read_text())["tables"]["1"] if row["runs"]]
    assert (row["mean_auc"], row["network"], row["paper_auc"]) == (auc, "mel_1024_1024", 0.8690)
    assert 0 <= row["last_mean_auc"] <= 1
    state = checkpoint.load(cell.folder / "state.pkl", checkpoint.STATE)
    assert (state["settings"], state["update"]) == (SETTINGS.as_dict(), 150)
    assert [entry["update"] for entry in state["history"]] == [50, 100, 150]

    before = (cell.folder / "checkpoint.pkl").stat().st_mtime_ns
    assert reproduce.main([*arguments, "--compare", str(runs / "tables.json")]) == 0
    output, messages = capsys.readouterr()
    assert "1 cells, 1 of them finished earlier" in output
    assert next(line for line in output.splitlines() if line.startswith("| 1 ")).split()[-2] == "+0.0000"
    assert "measuring" not in messages  # what was measured is kept
    assert (cell.folder / "checkpoint.pkl").stat().st_mtime_ns == before


def test_cells_that_die_go_on_and_failed_ones_are_named_in_the_end(data, tmp_path, monkeypatch, capsys):
    stand_in_scripts(
        tmp_path,
        monkeypatch,
        "if seed == 2: print('train.py: error: no such thing'); sys.exit(2)\n"
        "if not (run / 'once').exists(): (run / 'once').touch(); os.kill(os.getpid(), signal.SIGKILL)",
    )
    runs = tmp_path / "runs"
    runs.mkdir()
    cell, failing = (Cell(replace(SETTINGS, seed=seed), data, runs, "numba") for seed in (1, 2))
    write_scores(runs / cell.folder.name, cell, 0.5, dataset=Dataset(data))
    arguments = ["--data", str(data), "--runs", str(runs), "--backend", "numba", "--seeds", "2", *CHOSEN]
    assert reproduce.main(arguments) == 1
    messages = capsys.readouterr().err.splitlines()
    assert any("mel_1024_1024, seed 1: its process died (exit status -9); the cell is taken" in m for m in messages)
    assert messages[-1] == f"failed: mel_1024_1024, seed 2: no such thing ({failing.log})"
    assert failing.log.read_text() == "train.py: error: no such thing\n"


def test_printed_commands_are_those_of_the_sweep(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cells, "SCRIPTS", stand_in_scripts(tmp_path, monkeypatch, ""))
    runs = tmp_path / "it's $HOME"  # which a shell must not take apart
    arguments = ["--data", str(data), "--runs", str(runs), *CHOSEN, "--seeds", "2", "--print"]
    assert reproduce.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.count(" && ") for line in lines] == [2, 2]
    cell = Cell(replace(SETTINGS, seed=2), data, runs, "jax")
    cell.folder.mkdir(parents=True)
    write_scores(runs / cell.folder.name, cell, 0.5, dataset=Dataset(data))
    subprocess.run(["sh", "-c", lines[1]], check=True, cwd="/")
    assert reproduce.main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == lines[:1]
    (cell.folder / "test.npz").write_bytes(b"damaged")
    assert reproduce.main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == lines  # each may be run any number of times


@pytest.mark.parametrize("hangs", [False, True])
def test_a_signal_lets_cells_save_and_a_second_one_ends_at_once(data, tmp_path, hangs):
    """A trainer that hangs is left behind; it knows that its starter is gone, and stops once it can."""
    scripts, runs = tmp_path / "scripts", tmp_path / "runs"
    scripts.mkdir()
    (scripts / "train.py").write_text(
        "import pathlib, signal, sys, time; folder = pathlib.Path(__file__).parent\n"
        "signal.signal(signal.SIGTERM, lambda *_: (folder / 'asked').touch())\n"
        "(folder / 'started').touch()\n"
        "while not ((folder / 'free').exists() and (folder / 'asked').exists()): time.sleep(0.02)\n"
        "(folder / 'saved').touch(); sys.exit(130)"
    )
    script = (
        "import sys, pathlib; from theanoish.command import run_script; from theanoish.experiments import workers\n"
        f"from theanoish.commands import reproduce; workers.SCRIPTS = pathlib.Path({str(scripts)!r})\n"
        "sys.exit(run_script(lambda: reproduce.main(sys.argv[1:])))"
    )
    arguments = ["--data", str(data), "--runs", str(runs), *CHOSEN, "--backend", "numba", "--workers", "1"]
    command = [sys.executable, "-c", script, *arguments, "--seeds", "3"]
    how = {"stdout": subprocess.DEVNULL, "text": True, "cwd": Path(__file__).parents[2]}
    with subprocess.Popen(command, stderr=subprocess.PIPE, **how) as process:
        wait_for((scripts / "started").exists)
        process.send_signal(signal.SIGTERM if hangs else signal.SIGINT)
        wait_for((scripts / "asked").exists)
        assert process.poll() is None  # it waits for the cell
        if hangs:
            process.send_signal(signal.SIGINT)
        else:
            (scripts / "free").touch()
        _, messages = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in messages
    if hangs:
        (scripts / "free").touch()
        wait_for((scripts / "saved").exists)
        return
    assert (scripts / "saved").exists()
    assert messages.splitlines()[-1] == "stopped; the same command continues where each cell was"
    assert (runs / "tables.md").exists()
    assert len([path for path in runs.iterdir() if path.is_dir()]) == 1  # no other cell was begun


def test_it_refuses_what_it_cannot_use(data, tmp_path):
    with pytest.raises(InputError, match=r"none\.h5: no such file"):
        reproduce.main(["--data", str(tmp_path / "none.h5")])
    (tmp_path / "other.json").write_text('{"tables": []}')
    with pytest.raises(InputError, match=r"other\.json"):
        reproduce.main(["--data", str(data), "--compare", str(tmp_path / "other.json")])
