import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from theanoish.errors import InputError
from theanoish.processes import in_order, in_parallel

ROOT = Path(__file__).resolve().parents[1]


def run_program(folder, text, *arguments, **environment):
    """As a file, which workers import again. Returns what it prints, its errors, and its exit status."""
    (folder / "program.py").write_text("import sys; from theanoish.processes import in_parallel\n" + text)
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "program.py", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, start_new_session=True)
    return done.stdout, done.stderr, done.returncode


def die_at(place: Path) -> int:
    if place.name == "7":
        os.kill(os.getpid(), signal.SIGKILL)
    return int(place.name)


def test_every_result_comes_once_in_order():
    assert list(in_parallel(die_at, [Path(str(i)) for i in range(10, 30)], 3)) == list(range(10, 30))


def test_processes_of_others_are_left_alone():
    results = in_parallel(die_at, [Path("1"), Path("2")], 2)
    next(results)
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    other.start()
    results.close()
    assert other.exitcode is None
    other.kill()


def arrays_of(number: int) -> list[np.ndarray]:
    """Of one byte more for each number, beside one without any."""
    return [np.full(number, number, np.uint8), np.zeros(0), np.full((2, 4), number, np.uint64)]


@pytest.mark.parametrize("array_bytes", [0, 64, 79, 200])
def test_arrays_come_as_they_were_until_the_next_whether_they_are_shared_or_sent(array_bytes):
    for number, arrays in enumerate(in_order(arrays_of, range(30), 2, 5, array_bytes)):
        for array, expected in zip(arrays, arrays_of(number), strict=True):
            np.testing.assert_array_equal(array, expected, strict=True)
        assert arrays[2].flags.owndata == (64 + number > array_bytes)


def test_a_worker_computes_with_one_thread_whenever_its_libraries_are_loaded(tmp_path):
    """More would cost time, and may give spectrograms other last bits: here before a worker begins its first task."""
    program = (
        "from threadpoolctl import threadpool_info\n"
        "if 'early' in sys.argv: import numpy\n"
        "def threads(number):\n"
        "    import numpy\n"
        "    return max(library['num_threads'] for library in threadpool_info())\n"
        "if __name__ == '__main__': print(set(in_parallel(threads, range(4), 2)))\n"
    )
    for when in ("early", "late"):
        assert run_program(tmp_path, program, when, OPENBLAS_NUM_THREADS="2") == ("{1}\n", "", 0), when


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
    with suppress(BrokenProcessPool):  # or all results had come
        list(in_order(kill_others, [tmp_path / name for name in ("a", "b", "last")], 3, 3))


def large(number: int) -> bytes:
    return bytes(2**24)


def test_results_that_are_sent_by_half_do_not_hold_up_the_end():
    for _ in range(3):
        results = in_order(large, range(12), 2, 9)
        next(results)
        results.close()


class Slow(list):
    """Items that come so slowly that a worker dies while they are submitted."""

    def __iter__(self):
        for item in super().__iter__():
            time.sleep(0.1)
            yield item


def die_or_sleep(item: int) -> None:
    if item == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(30)
    os._exit(0)


def test_a_worker_that_dies_is_told_at_once_whatever_others_do():
    """The pool ends the others by SIGTERM, which they ignore, and would hold its lock until they have finished."""
    begun = time.monotonic()
    with pytest.raises(BrokenProcessPool):
        list(in_order(die_or_sleep, Slow(range(300)), 2, 300))
    assert time.monotonic() - begun < 25


def test_signals_do_not_reach_a_worker_that_begins(tmp_path):
    """All processes of a terminal get Ctrl-C; a worker that is still importing must not print about it."""
    program = (
        "import os, signal\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, lambda *_: None)\n"
        "    print(sorted(in_parallel(abs, [-1, -2, -3], 3)))\n"
        "else:\n"
        "    os.killpg(0, signal.SIGINT)\n"
    )
    assert run_program(tmp_path, program) == ("[1, 2, 3]\n", "", 0)
