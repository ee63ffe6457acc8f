import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from theanoish.data.parallel import alone, in_parallel
from theanoish.errors import InputError


def die_at(place: Path) -> int:
    if place.name == "7":
        os.kill(os.getpid(), signal.SIGKILL)
    return int(place.name)


def test_every_result_comes_once():
    assert sorted(in_parallel(die_at, [Path(str(i)) for i in range(10, 30)], 3)) == list(range(10, 30))


def test_a_worker_that_dies_is_told():
    with pytest.raises(InputError, match=r"a worker process died.*fewer --workers"):
        list(in_parallel(die_at, [Path(str(i)) for i in range(200)], 3))


def kill_others(place: Path) -> None:
    """The last task kills the workers of all others, one of which holds the lock of the queue of tasks meanwhile."""
    (place.parent / str(os.getpid())).touch()
    while len(list(place.parent.iterdir())) < 3:  # each worker has a task
        time.sleep(0.01)
    if place.name != "last":
        return
    time.sleep(1)
    for other in {int(path.name) for path in place.parent.iterdir()} - {os.getpid()}:
        os.kill(other, signal.SIGKILL)


def test_workers_that_are_killed_while_they_wait_do_not_hold_up_the_end(tmp_path):
    with suppress(InputError):  # or all results had come
        list(in_parallel(kill_others, [tmp_path / name for name in ("a", "b", "last")], 3))


def test_one_at_a_time(tmp_path):
    with alone(tmp_path / "lock", "x: is made"):
        with pytest.raises(InputError, match="x: is made by another process"), alone(tmp_path / "lock", "x: is made"):
            pass
        (tmp_path / "lock").unlink()
        with alone(tmp_path / "lock", "x: is made"):  # of the next to come
            pass
