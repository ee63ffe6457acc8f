import os
import subprocess
import sys
import time

from stand_ins import alive, stand_in_scripts, wait_for
from theanoish.experiments import workers
from theanoish.experiments.workers import Attempt, Place, places_here


def finish(attempt):
    while (status := attempt.poll()) is None:
        time.sleep(0.02)
    return status


def test_scripts_run_as_by_themselves_each_held_to_its_core(tmp_path, monkeypatch):
    stand_in_scripts(
        tmp_path,
        monkeypatch,
        "import statistics, sys; print(sys.argv, sys.path[0], os.sched_getaffinity(0), os.environ['GPU'], __name__)\n"
        "print(statistics.__file__)",
        "print('second')",
    )
    core = sorted(os.sched_getaffinity(0))[-1]
    log = tmp_path / "run_seed1_" / "output.txt"
    arguments = ["--run", str(log.parent)]
    attempt = Attempt([["train.py", *arguments], ["evaluate.py"]], log, Place(core, {"GPU": "3"}))
    assert finish(attempt) == 0
    scripts = tmp_path / "scripts"
    own, library, second = log.read_text().splitlines()
    assert own == f"{[str(scripts / 'train.py'), *arguments]} {scripts} {{{core}}} 3 __main__"
    assert "theanoish" not in library  # no module of ours hides one of Python's
    assert second == attempt.last_line() == "second"


def test_a_script_that_fails_is_the_last_one(tmp_path, monkeypatch):
    stand_in_scripts(tmp_path, monkeypatch, "print('one\\n\\ntwo\\rthree\\n\\n'); sys.exit(7)", "print('second')")
    log = tmp_path / "run_seed1_" / "output.txt"
    attempt = Attempt([["train.py", "--run", str(log.parent)], ["evaluate.py"]], log, Place())
    assert finish(attempt) == 7
    assert attempt.last_line() == "three"
    assert (
        Attempt([["train.py", "--run", str(log.parent)]], log, Place()).last_line() == ""
    )  # not of an earlier attempt


def test_no_script_outlives_its_starter_however_that_dies(tmp_path, monkeypatch):
    scripts = stand_in_scripts(
        tmp_path,
        monkeypatch,
        "signal.signal(signal.SIGTERM, lambda *_: ((run / 'saved').touch(), sys.exit(130)))\n"
        "(run / 'process').write_text(str(os.getpid())); (run / 'process').rename(run / 'started'); time.sleep(600)",
    )
    run = tmp_path / "run_seed1_"
    starter = (
        "import sys, time; from pathlib import Path; from theanoish.experiments import workers\n"
        "workers.SCRIPTS = Path(sys.argv[1])\n"
        "run = Path(sys.argv[2])\n"
        "kept = workers.Attempt([['train.py', '--run', str(run)]], run / 'output.txt', workers.Place())\n"
        "time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", starter, str(scripts), str(run)]) as process:
        wait_for((run / "started").exists)
        process.kill()
    wait_for(lambda: not alive(int((run / "started").read_text())))
    assert (run / "saved").exists()


def test_places_hold_each_cell_to_a_core(monkeypatch):
    cores = sorted(os.sched_getaffinity(0))
    assert [place.core for place in places_here("numba", None)] == cores
    assert len(places_here("numba", len(cores) + 3)) == len(cores) + 3
    monkeypatch.setattr(workers, "_count_gpus", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    places = places_here("jax", 3)
    assert [place.environment["CUDA_VISIBLE_DEVICES"] for place in places] == ["4", "6", "4"]
    assert {place.environment["XLA_PYTHON_CLIENT_MEM_FRACTION"] for place in places} == {"0.450"}
