"""train.py and evaluate.py as a user runs them: from the command line, with signals, and with input that is wrong."""

import csv
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from contextlib import chdir, redirect_stdout
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest

from small_data import TAGS, small_settings, write_small_data
from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.evaluation import read_predictions
from theanoish.files import locked
from theanoish.training import checkpoint
from theanoish.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = small_settings(validation_interval=50)
OPTIONS = [
    word
    for name in ("frontend", "length", "stride", "minibatch", "dropout", "momentum", "learning_rate")
    for word in (f"--{name.replace('_', '-')}", str(getattr(SETTINGS, name)))
]
BAR = r"AUC \d\.\d{4} \(best[^)]*\)[^\r]* left"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small.h5"
    return write_small_data(path, representations=[(1024, 1024)])


def start(folder, *arguments, **streams):
    return subprocess.Popen([sys.executable, str(ROOT / "train.py"), *arguments], cwd=folder, **streams)


def main_of(script):
    return import_module(f"theanoish.commands.{script.removesuffix('.py')}").main


def refusal(capsys, script, *arguments):
    """What a script that is called in this process has against its arguments."""
    with pytest.raises((InputError, OSError, SystemExit)) as ended:
        main_of(script)([str(argument) for argument in arguments])
    return f"{ended.value} {capsys.readouterr().err}"


def bytes_of(run):
    return {file.name: file.read_bytes() for file in run.iterdir()}


def assert_same(parameters, others):
    assert parameters.keys() == others.keys()
    for name, values in parameters.items():
        np.testing.assert_array_equal(values, others[name], err_msg=name)


@pytest.fixture(scope="module")
def stopped(data):
    """A run that was stopped at a moment not known before, and the exit status and last words."""
    folder, arguments = data.parent, ["--data", data.name, *OPTIONS, "--run", "run", "--validation-interval", "50"]
    process = start(folder, *arguments, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    log = folder / "run" / "log.jsonl"
    while not log.exists() or log.read_text().count("\n") < 2:
        assert process.poll() is None, f"training ended by itself: {process.communicate()}"
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    printed, errors = process.communicate()
    return folder / "run", process.returncode, printed, errors


@pytest.fixture(scope="module")
def killed(stopped):
    """The same run, killed on a terminal of 80 columns once its bar has the score and the time left; its status."""
    folder, *_ = stopped
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = start(folder.parent, "--resume", folder.name, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = ""
    while not re.search(BAR, shown):
        shown = (shown + os.read(ours, 1000).decode())[-2000:]  # fails if the process has ended
    process.kill()
    status = process.wait()
    os.close(ours)
    return folder, status


def test_a_signal_ends_training_cleanly(stopped):
    _, status, printed, errors = stopped
    assert status == 130
    for said in ("mel_1024_1024_dropout, 44,728 parameters", "12 train, 6 validation, 6 test", "4: low, middle"):
        assert said in printed
    assert printed.splitlines()[-1].startswith("stopped at update ")
    assert printed.endswith(f"continue with: {sys.executable} {ROOT / 'train.py'} --resume run\n")
    form = r"update \d+ of 5000000, loss [\d.]+, validation AUC [\d.]+ \(best[^)]*\)"
    form += r"(, [\d.e+]+ updates/s, \d+ min left)?(, \d+% of \w+ silent)*\n"
    assert re.fullmatch(f"({form}){{2,}}", errors)


def test_a_killed_run_leaves_whole_files(killed):
    folder, status = killed
    assert status == -signal.SIGKILL
    for name, kind in (("checkpoint.pkl", checkpoint.CHECKPOINT), ("state.pkl", checkpoint.STATE)):
        checkpoint.load(folder / name, kind)


@pytest.fixture(scope="module")
def finished(killed):
    """The same run, continued to its end."""
    folder, *_ = killed
    update = checkpoint.load(folder / "state.pkl", checkpoint.STATE)["update"]
    updates = update + 50
    with redirect_stdout(io.StringIO()) as printed, chdir(folder.parent):
        status = main_of("train.py")(["--resume", folder.name, "--updates", str(updates)])
    return folder, updates, status, printed.getvalue()


def test_stopped_and_killed_training_is_that_which_never_stopped(finished, data):
    folder, updates, status, printed = finished
    assert status == 0
    assert printed.endswith(" run/checkpoint.pkl\n")
    state = checkpoint.load(folder / "state.pkl", checkpoint.STATE)
    assert state["update"] == updates
    trainer = Trainer(SETTINGS, Dataset(data), "jax")
    trainer.measure_start()
    for _ in trainer.run(0, updates):
        pass
    assert_same(state["parameters"], trainer.network.values())
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [entry["update"] for entry in log] == list(range(50, updates + 1, 50))


def test_continue_starts_a_run_and_continues_it(data, tmp_path, capsys):
    """As often as it is called, to the same parameters as a run that was never stopped."""
    arguments = ["--data", str(data), *OPTIONS, "--validation-interval", "50"]
    again = [*arguments, "--run", str(tmp_path / "again"), "--continue"]
    for updates in ("50", "100", "100"):
        assert main_of("train.py")([*again, "--updates", updates]) == 0
    assert main_of("train.py")([*arguments, "--run", str(tmp_path / "once"), "--updates", "100"]) == 0
    states = [checkpoint.load(tmp_path / name / "state.pkl", checkpoint.STATE) for name in ("again", "once")]
    assert [state["update"] for state in states] == [100, 100]
    assert_same(states[0]["parameters"], states[1]["parameters"])
    before = bytes_of(tmp_path / "again")
    assert "its run has seed 1, not 9" in refusal(capsys, "train.py", *again, "--seed", "9")
    assert bytes_of(tmp_path / "again") == before


def test_evaluate_subtracts_a_second_checkpoint(finished, tmp_path, capsys):
    """From which nothing is left if it is the first; predictions are of one only."""
    path = str(finished[0] / "checkpoint.pkl")
    files = ["--json", str(tmp_path / "d.json"), "--csv", str(tmp_path / "d.csv")]
    assert main_of("evaluate.py")([path, path, *files]) == 0
    printed = capsys.readouterr().out
    (mean,) = [line.split() for line in printed.splitlines() if line.startswith("mean")]
    values = json.loads((tmp_path / "d.json").read_text())
    assert mean[1] == mean[2] == f"{values['mean']['auc'][0]:.4f}"
    assert float(mean[3]) == values["mean"]["difference"] == 0
    assert {row["difference"] for row in values["tags"]} == {0}
    assert len((tmp_path / "d.csv").read_text().splitlines()) == 1 + len(values["tags"])
    assert "leave it out" in refusal(capsys, "evaluate.py", path, path, "--predictions", str(tmp_path / "p.npz"))


def test_evaluate(finished, tmp_path, monkeypatch, capsys):
    folder, *_ = finished
    monkeypatch.chdir(tmp_path)
    arguments = ["--json", "scores.json", "--csv", "scores.csv", "--split", "validation"]
    assert main_of("evaluate.py")([str(folder / "checkpoint.pkl"), *arguments]) == 0
    printed = capsys.readouterr().out
    values = json.loads((tmp_path / "scores.json").read_text())
    saved = checkpoint.load(folder / "checkpoint.pkl", checkpoint.CHECKPOINT)
    assert values["mean_auc"] == pytest.approx(saved["validation_auc"], abs=1e-12)
    assert [row["tag"] for row in values["tags"]] == TAGS
    assert [row["tag"] for row in csv.DictReader((tmp_path / "scores.csv").open())] == TAGS
    for shown in (*TAGS, f"{values['mean_auc']:.4f}", "6 clips of split validation", "all clips kept"):
        assert shown in printed


@pytest.mark.parametrize(("script", "arguments"), [("train.py", "--data missing.h5"), ("evaluate.py", "missing.pkl")])
def test_bad_input_ends_with_one_line(script, arguments, tmp_path):
    command = [sys.executable, str(ROOT / script), *arguments.split()]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(f"{script}: error: missing.")
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "arguments", "words"),
    [
        ("train.py", "--length abc", "invalid int value"),
        ("train.py", "--length 300", "length is 300; it must be a multiple of the stride"),
        ("train.py", f"--initial missing.pkl --data small.h5 {' '.join(OPTIONS)}", "missing.pkl: no such file"),
        ("train.py", "--backend c", "invalid choice"),
        ("train.py", "--resume .", "no run to resume"),
        ("train.py", "--resume . --seed 3", "leave out --seed"),
        ("train.py", "--resume . --continue", "leave out --continue"),
        ("train.py", "--continue", "--continue names its run by --run"),
        ("train.py", "", "data/magnatagatune.h5: no such file"),
        ("train.py", "--data cut.h5", "cut.h5: is no data set"),
        ("train.py", "--data small.h5 --frontend raw", "has no 'raw', only mel_1024_1024; build it"),
        ("train.py", "--data small.h5 --frontend mel --run cut.h5/run", "cut.h5"),
        ("evaluate.py", "", "one of the arguments checkpoint --baselines is required"),
        ("evaluate.py", "{run}/checkpoint.pkl --split other", "invalid choice"),
        ("evaluate.py", "{run}/state.pkl --data missing.h5", "missing.h5: no such file"),
        ("evaluate.py", "{run}/log.jsonl", "log.jsonl: not a theanoish checkpoint"),
        ("evaluate.py", "{run}/checkpoint.pkl --json missing/scores.json", "missing/scores.json"),
        ("evaluate.py", "{run}/missing.pkl --csv .", ".: cannot be written: it is a folder"),  # before anything is read
    ],
)
def test_refused(capsys, monkeypatch, tmp_path, data, finished, script, arguments, words):
    monkeypatch.chdir(tmp_path)
    Path("small.h5").write_bytes(data.read_bytes())
    Path("cut.h5").write_bytes(data.read_bytes()[:-1000])
    assert words in refusal(capsys, script, *arguments.format(run=finished[0]).split())


def test_train_leaves_other_runs_alone(capsys, finished, tmp_path, data):
    """One that another process trains, and one that is there already."""
    run = shutil.copytree(finished[0], tmp_path / "run")
    anew = ["--data", data, *OPTIONS, "--run", run]
    before = bytes_of(run)
    assert "holds a run already" in refusal(capsys, "train.py", *anew)
    assert bytes_of(run) == before | {"lock": b""}
    with locked(run):
        for arguments in (["--resume", run, "--updates", "60"], anew):
            assert "another process trains this run" in refusal(capsys, "train.py", *arguments)
    assert bytes_of(run) == before | {"lock": b""}


def test_evaluate_writes_before_it_prints_and_printing_never_fails(finished, tmp_path, monkeypatch):
    """A terminal for ASCII only; and what a file holds cannot act on a terminal."""
    data = tmp_path / "data.h5"
    data.write_bytes((finished[0].parent / "small.h5").read_bytes())
    saved = checkpoint.load(finished[0] / "checkpoint.pkl", checkpoint.CHECKPOINT)
    names = ["ピアノ", "\x1b[2J", "high", "loud"]
    with h5py.File(data, "a") as file:
        file["tags"][:] = names
    checkpoint.save(tmp_path / "c.pkl", checkpoint.CHECKPOINT, saved | {"tags": names})
    arguments = ["c.pkl", "--data", data, "--json", "s.json", "--csv", "s.csv", "--predictions", "p.npz"]
    command, environment = (
        [sys.executable, ROOT / "evaluate.py", *arguments],
        os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "\\u30d4\\u30a2\\u30ce" in ended.stdout
    assert "\\x1b[2J" in ended.stdout and "\x1b" not in ended.stdout
    assert [row["tag"] for row in json.loads((tmp_path / "s.json").read_text())["tags"]] == names
    assert read_predictions(tmp_path / "p.npz").tags == names
    outputs = [tmp_path / name for name in ("s.json", "s.csv", "p.npz")]
    for output in outputs:
        output.unlink()
    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.print", lambda text: seen.append([output.exists() for output in outputs]))
    assert main_of("evaluate.py")([str(argument) for argument in arguments]) == 0
    assert seen == [[True] * 3]


def test_baselines(capsys, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--baselines", str(data), "--json", "b.json", "--predictions", "b.npz"]
    assert main_of("evaluate.py")(arguments) == 0
    assert read_predictions(tmp_path / "b.npz").tags
    values = json.loads((tmp_path / "b.json").read_text())
    assert f"{values['baselines'][1]['mean_auc']:.4f}" in capsys.readouterr().out
    for option, value in (("--csv", "b.csv"), ("--split", "validation")):
        assert f"leave out {option}" in refusal(capsys, "evaluate.py", "--baselines", data, option, value)
