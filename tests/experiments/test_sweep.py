from contextlib import ExitStack

from stand_ins import jobs_with_scores, stand_in_scripts, write_scores
from theanoish.experiments import sweep
from theanoish.experiments.sweep import Event, run_cells
from theanoish.experiments.workers import Machine, Place
from theanoish.files import lock
from theanoish.interrupt import StopRequest


def ends(jobs, machine, stop=None):
    """State and reason that each job ended with, and all events."""
    events = [event for look in run_cells(jobs, machine, stop or StopRequest()) for event in look]
    return {e.job: (e.state, e.reason) for e in events if e.state in ("finished", "failed", "stopped")}, events


def test_failed_cells_stop_no_others_and_give_their_reason(tmp_path, monkeypatch):
    stand_in_scripts(
        tmp_path,
        monkeypatch,
        "if seed == 1: print('train.py: error: no such thing'); sys.exit(2)\n"
        "if seed == 2: raise ValueError('a fault of the program')\n"
        "if seed == 3: os.kill(os.getpid(), signal.SIGSEGV)",
    )
    jobs = jobs_with_scores(tmp_path, 6)
    jobs[4].folder.parent.mkdir(exist_ok=True)
    jobs[4].folder.touch()  # where its folder cannot be made
    outcomes, events = ends(jobs, Machine([Place(), Place()]))
    assert outcomes[jobs[0]] == ("failed", "no such thing")
    assert outcomes[jobs[1]] == ("failed", "ValueError: a fault of the program")
    assert outcomes[jobs[2]] == ("failed", "its process died 3 times, the last time with exit status -11")
    assert [event.state for event in events if event.job == jobs[2]] == ["died", "died", "failed"]
    assert outcomes[jobs[3]] == outcomes[jobs[5]] == ("finished", "")
    assert outcomes[jobs[4]][0] == "failed"
    assert "File exists" in outcomes[jobs[4]][1]
    assert jobs[3].scores["mean_auc"] == 0.5


def test_a_cell_that_leaves_no_scores_has_failed(tmp_path, monkeypatch):
    stand_in_scripts(tmp_path, monkeypatch, "", "")
    (job,) = jobs_with_scores(tmp_path, 1)
    assert ends([job], Machine([Place()]))[0] == {job: ("failed", "left no test.json and test.npz that can be read")}


def test_as_many_cells_run_at_once_as_there_are_places(tmp_path, monkeypatch):
    stand_in_scripts(
        tmp_path,
        monkeypatch,
        "(run / 'here').touch()\n"
        "while (count := len(list(run.parent.glob('*/here')))) < 2 and seed < 3: time.sleep(0.02)\n"
        "print(count); time.sleep(0.2); (run / 'here').unlink()",
    )
    jobs = jobs_with_scores(tmp_path, 4)
    outcomes, _ = ends(jobs, Machine([Place(), Place()]))
    assert {state for state, _ in outcomes.values()} == {"finished"}
    assert max(int(job.log.read_text()) for job in jobs) == 2


def test_a_stopped_sweep_lets_cells_save_and_begins_nothing_new(tmp_path, monkeypatch):
    stand_in_scripts(
        tmp_path,
        monkeypatch,
        "signal.signal(signal.SIGTERM, lambda *_: ((run / 'saved').touch(), sys.exit(130)))\n"
        "(run / 'ready').touch(); time.sleep(600)",
    )
    running, waiting = jobs_with_scores(tmp_path, 2)
    stop, events = StopRequest(), []
    for look in run_cells([running, waiting], Machine([Place()]), stop):
        stop.requested = (running.folder / "ready").exists()
        events += look
    assert events == [Event(running, "stopped")]
    assert (running.folder / "saved").exists()
    assert not waiting.folder.exists()


def test_a_cell_that_ends_while_all_stop_is_not_evaluated(tmp_path, monkeypatch):
    stand_in_scripts(
        tmp_path,
        monkeypatch,
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); (run / 'ready').touch(); time.sleep(600)",
    )
    (job,) = jobs_with_scores(tmp_path, 1)
    stop, events = StopRequest(), []
    for look in run_cells([job], Machine([Place()]), stop):
        stop.requested = (job.folder / "ready").exists()
        events += look
    assert events == [Event(job, "stopped")]


def test_a_cell_of_another_sweep_is_waited_for(tmp_path, monkeypatch):
    stand_in_scripts(tmp_path, monkeypatch, "")
    monkeypatch.setattr(sweep, "_BUSY_SECONDS", 0.1)
    theirs, ours = jobs_with_scores(tmp_path, 2)
    theirs.folder.mkdir(parents=True)
    events = []
    held = ExitStack()
    held.enter_context(lock(theirs.folder / "sweep.lock", "busy"))
    for look in run_cells([theirs, ours], Machine([Place()]), StopRequest()):
        events += look
        if ours.finished and not any(event.job == ours for event in events[:-1]):
            write_scores(theirs.folder / "test", theirs, 0.5)
            held.close()
    assert [(event.job, event.state) for event in events] == [
        (theirs, "busy"),
        (ours, "finished"),
        (theirs, "finished"),
    ]
    assert not theirs.log.exists()  # the other has done it all


def test_a_run_in_training_by_hand_is_waited_for(tmp_path, monkeypatch):
    words = "train.py: error: runs/x: another process trains this run at the moment"
    stand_in_scripts(
        tmp_path, monkeypatch, f"if not (run / 'free').exists(): print({words!r}); (run / 'free').touch(); sys.exit(2)"
    )
    monkeypatch.setattr(sweep, "_BUSY_SECONDS", 0.1)
    (job,) = jobs_with_scores(tmp_path, 1)
    _, events = ends([job], Machine([Place()]))
    assert [event.state for event in events] == ["busy", "finished"]


def test_a_cell_stopped_alone_is_taken_up_again(tmp_path, monkeypatch):
    stand_in_scripts(
        tmp_path, monkeypatch, "if not (run / 'once').exists(): (run / 'once').touch(); os.kill(os.getpid(), 15)"
    )
    (job,) = jobs_with_scores(tmp_path, 1)
    _, events = ends([job], Machine([Place()]))
    assert events == [Event(job, "died", "exit status -15"), Event(job, "finished")]
