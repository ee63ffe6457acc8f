"""Sweeps with stand-ins for the scripts: at this machine's places, and what becomes of cells that do not just end."""

import os
import subprocess
import sys
from contextlib import ExitStack
from unittest.mock import Mock

import pytest

from stand_ins import UNTIL_STOPPED, alive, cells_with_scores, stand_in_scripts, wait_for, write_scores
from theanoish.experiments import sweep, workers
from theanoish.experiments.sweep import Event, run_cells
from theanoish.experiments.workers import Place, places_here, run_here
from theanoish.files import lock
from theanoish.interrupt import StopRequest


def events_of(cells, places=1, until=lambda events: False):
    """All events of a sweep that is stopped once `until` says so."""
    stop, events, left = StopRequest(), [], [run_here] * places
    for look in run_cells(cells, stop, lambda: [left.pop() for _ in range(len(left))]):
        events += look
        stop.requested = stop.requested or until(events)
    return events


def test_failed_cells_stop_no_others_and_give_their_reason(tmp_path, monkeypatch):
    stand_in_scripts(
        tmp_path,
        monkeypatch,
        "if seed == 1: print('train.py: error: no such thing'); sys.exit(2)\n"
        "if seed == 2: raise ValueError('a fault of the program')\n"
        "if seed == 3: os.kill(os.getpid(), signal.SIGSEGV)",
    )
    cells = cells_with_scores(tmp_path, 6)
    cells[3].folder.touch()  # where its folder cannot be made
    (tmp_path / "runs" / f"{cells[4].folder.name}.json").write_text("")  # evaluate.py leaves no scores
    events = events_of(cells, places=2)
    died = ("died", "exit status -11")
    assert [[(event.state, event.reason) for event in events if event.cell == cell] for cell in cells] == [
        [("failed", "no such thing")],
        [("failed", "ValueError: a fault of the program")],
        [died, died, ("failed", "its process died 3 times, the last time with exit status -11")],
        [("failed", f"[Errno 17] File exists: '{cells[3].folder}'")],
        [("failed", "left no test.json and test.npz that can be read")],
        [("finished", "")],
    ]
    assert cells[5].scores["auc"] == 0.5


def test_as_many_cells_run_at_once_as_there_are_places(tmp_path, monkeypatch):
    stand_in_scripts(
        tmp_path,
        monkeypatch,
        "(run / 'here').touch()\n"
        "while (count := len(list(run.parent.glob('*/here')))) < 2 and seed < 3: time.sleep(0.02)\n"
        "print(count); time.sleep(0.2); (run / 'here').unlink()",
    )
    cells = cells_with_scores(tmp_path, 4)
    assert {event.state for event in events_of(cells, places=2)} == {"finished"}
    assert max(int(cell.log.read_text()) for cell in cells) == 2


@pytest.mark.parametrize("status", [130, 0])
def test_a_stopped_sweep_lets_cells_save_and_begins_nothing_new(tmp_path, monkeypatch, status):
    """Not even the test of a cell whose training ends meanwhile."""
    stand_in_scripts(tmp_path, monkeypatch, UNTIL_STOPPED % status)
    running, waiting = cells_with_scores(tmp_path, 2)
    events = events_of([running, waiting], until=lambda events: (running.folder / "process").exists())
    assert events == [Event(running, "stopped")]
    assert (running.folder / "saved").exists()
    assert not (running.folder / "test.json").exists()
    assert not waiting.folder.exists()


def test_a_cell_of_another_sweep_is_waited_for(tmp_path, monkeypatch):
    stand_in_scripts(tmp_path, monkeypatch, "")
    monkeypatch.setattr(sweep, "_BUSY_SECONDS", 0.1)
    theirs, ours = cells_with_scores(tmp_path, 2)
    theirs.folder.mkdir(parents=True)
    held = ExitStack()
    held.enter_context(lock(theirs.folder / "sweep.lock", "busy"))

    def until(events):
        if Event(ours, "finished") in events and not theirs.finished:
            write_scores(theirs.folder / "test", theirs, 0.5)
            held.close()

    events = [(event.cell, event.state) for event in events_of([theirs, ours], until=until)]
    assert events == [(theirs, "busy"), (ours, "finished"), (theirs, "finished")]
    assert not theirs.log.exists()  # the other has done it all


def test_a_cell_that_someone_trains_by_hand_is_waited_for(tmp_path, monkeypatch):
    end = "print('train.py: error: runs/x: another process trains this run at the moment'); sys.exit(2)"
    stand_in_scripts(tmp_path, monkeypatch, f"if not (run / 'once').exists(): (run / 'once').touch(); {end}")
    monkeypatch.setattr(sweep, "_BUSY_SECONDS", 0.1)
    (cell,) = cells_with_scores(tmp_path, 1)
    assert [event.state for event in events_of([cell])] == ["busy", "finished"]


def test_places_that_are_lost_and_come(tmp_path, monkeypatch):
    """A cell goes on elsewhere; that no place is left is said once, and a fault of a place ends its cell."""
    stand_in_scripts(tmp_path, monkeypatch, "")
    cell, other = cells_with_scores(tmp_path, 2)
    lost = Mock(side_effect=ConnectionError("the worker is gone"))
    faulty = Mock(side_effect=KeyError("a fault"))
    events, coming = [], [[lost], [], [], [faulty]]
    for look in run_cells([cell, other], StopRequest(), lambda: coming.pop(0) if coming else []):
        events += look
    assert events == [
        Event(cell, "lost", "the worker is gone"),
        Event(None, "waiting", "no worker is left; one is waited for"),
        Event(cell, "failed", "KeyError('a fault')"),
        Event(other, "failed", "KeyError('a fault')"),
    ]


def test_scripts_run_as_by_themselves_each_held_to_its_core(tmp_path, monkeypatch):
    scripts = stand_in_scripts(
        tmp_path,
        monkeypatch,
        "import statistics, sys; print(sys.argv, sys.path[0], os.sched_getaffinity(0), os.environ['GPU'], __name__)\n"
        "print(statistics.__file__, os.getsid(0) == os.getpid())",
        "import sys; print('second\\n\\ntwo\\rthree\\n\\n'); sys.exit(7)",
    )
    core = sorted(os.sched_getaffinity(0))[-1]
    log = tmp_path / "run_seed1_" / "output.txt"
    commands = [["train.py", "--run", str(log.parent)], ["evaluate.py", "x"], ["train.py"]]
    assert run_here(commands, log, lambda: False, Place(core, {"GPU": "3"})) == (7, "three")
    own, library, second, *_ = log.read_text().splitlines()
    assert own == f"{[str(scripts / 'train.py'), *commands[0][1:]]} {scripts} {{{core}}} 3 __main__"
    assert "theanoish" not in library  # no module of ours hides one of Python's
    assert library.endswith("True")  # Ctrl-C reaches only who stops it
    assert second == "second"
    assert run_here(commands[:0], log, lambda: False) == (0, "")  # no line of an earlier attempt
    assert run_here(commands, log, lambda: True) == (130, "")  # none is started once all is to stop


def test_no_script_outlives_its_starter_however_that_dies(tmp_path, monkeypatch):
    scripts = stand_in_scripts(tmp_path, monkeypatch, UNTIL_STOPPED % 130)
    run = tmp_path / "run_seed1_"
    starter = (
        "import sys; from pathlib import Path; from theanoish.experiments import workers\n"
        "workers.SCRIPTS, run = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "workers.run_here([['train.py', '--run', str(run)]], run / 'output.txt', lambda: False)"
    )
    with subprocess.Popen([sys.executable, "-c", starter, str(scripts), str(run)]) as process:
        wait_for((run / "process").exists)
        process.kill()
    wait_for(lambda: not alive(int((run / "process").read_text())))
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
