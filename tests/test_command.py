"""How scripts begin, end and print, whatever happens to them."""

import os
import signal
import subprocess
import sys
import textwrap
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from theanoish.command import user_path

ROOT = Path(__file__).resolve().parents[1]
BOTH = [signal.SIGINT, signal.SIGTERM]
ALL = [*BOTH, signal.SIGHUP]
SCRIPTS = ["train.py", "evaluate.py", "tag.py", "reproduce.py", "figures.py", "preprocess/build_h5.py"]


@pytest.fixture
def start(tmp_path):
    """Start a script of a body of `main` (or of what stands before it); ended at the end of the test."""
    started = []

    def start(main="return 0", *, imports="", **how):
        path = tmp_path / "script.py"
        path.write_text(
            "from theanoish.command import begin_script, run_script\nbegin_script()\n"
            "import os, signal, sys, time\nfrom pathlib import Path\nfrom theanoish.errors import InputError\n"
            f"{imports}\ndef main():\n{textwrap.indent(textwrap.dedent(main), '    ')}\nsys.exit(run_script(main))\n"
        )
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | streams.pop("env", {})
        started.append(
            subprocess.Popen([sys.executable, str(path)], cwd=tmp_path, env=environment, text=True, **streams)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def ended(process):
    printed, errors = process.communicate()
    return process.returncode, printed, errors


def run_python(code, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "MPLBACKEND"))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=kept | environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    return done.stdout, done.stderr


@pytest.mark.parametrize(("script", "number"), list(zip(SCRIPTS, 3 * BOTH, strict=True)))
def test_each_script_is_interrupted_at_import(script, number, tmp_path):
    """With a NumPy that is never done."""
    (tmp_path / "numpy.py").write_text("import time; print('importing', flush=True); time.sleep(600)")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(ROOT / script)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stdout.readline() == "importing\n"
    process.send_signal(number)
    assert ended(process) == (130, "", f"{Path(script).name}: stopped\n")


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_while_jax_is_imported_waits_for_it(start, number, tmp_path):
    """Its native code crashes on an exception in its midst."""
    (tmp_path / "jax.py").write_text(
        f"import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(0.01); print('imported', flush=True)"
    )
    process = start("device_name('jax'); print('used')", imports="from theanoish.model.compile import device_name")
    assert ended(process) == (130, "imported\n", "script.py: stopped\n")


LAST = """
class Last:
    def __del__(self, kill=os.kill, process=os.getpid()):
        kill(process, {})
last = Last()
"""
HIDDEN = "class Hidden:\n    def __del__(self):\n        signal.raise_signal(signal.SIGINT)\nHidden()\nprint('went on')"
OTHER = "try:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    raise RuntimeError from None"


@pytest.mark.parametrize(
    ("main", "how", "status", "printed", "errors"),
    [
        ("", {"imports": "raise OSError(30, 'Read-only', '/home')"}, 2, "", "error: /home: Read-only"),
        # Failures that the user can mend
        ("raise InputError('a.h5: is bad\\n\\x1b[31m')", {}, 2, "", "error: a.h5: is bad\n\\x1b[31m"),
        ("raise OSError(28, 'No space', 'a.pkl')", {}, 2, "", "error: a.pkl: No space"),
        ("raise OSError('Unable to open file')", {}, 2, "", "error: Unable to open file"),
        ("raise MemoryError()", {}, 2, "", "error: not enough memory"),
        # An interrupt that a library hides: in a destructor, where Python drops it, and as another exception
        (HIDDEN, {}, 130, "", "stopped"),
        (OTHER, {}, 130, "", "stopped"),
        # A signal after all is done, while Python clears away its modules, when it has taken its own handlers back
        *(("print('done')", {"imports": LAST.format(int(number))}, 0, "done\n", "") for number in BOTH),
        # A user's settings of Matplotlib, which may need LaTeX, mean nothing
        (
            "import matplotlib; print(matplotlib.rcParams['text.usetex'])",
            {"env": {"MATPLOTLIBRC": "mine"}, "imports": "Path('mine').write_text('text.usetex: True')"},
            *(0, "False\n", ""),
        ),
        # Text from files does not act on the terminal, nor is it more than the terminal can show
        (
            r"print('a\x1b[31m\rb\x9b\u00e1\udcff'); return 0",
            {"env": {"PYTHONIOENCODING": "ascii"}},
            *(0, "a\\x1b[31m\\rb\\x9b\\xe1\\udcff\n", ""),
        ),
        (r"print('\u00e1\t\u30d4')", {"env": {"PYTHONIOENCODING": "utf-8"}}, 0, "\u00e1\t\u30d4\n", ""),
    ],
)
def test_what_a_script_ends_with(start, main, how, status, printed, errors):
    assert ended(start(main or "pass", **how)) == (status, printed, errors and f"script.py: {errors}\n")


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ({"imports": "import no_such_module"}, 2, ("no_such_module", "pip install")),
        ({"main": "import no_such_module"}, 2, ("no_such_module", "pip install")),  # only where it is used
        ({"imports": "1 / 0"}, 1, ("Traceback", "\nZeroDivisionError: division by zero\n")),  # a fault of ours
        ({"main": "1 / 0"}, 1, ("Traceback", "\nZeroDivisionError: division by zero\n")),
        (
            {"imports": "import pytensor", "env": {"PYTENSOR_FLAGS": "floatX=foo"}},
            *(2, ("\nscript.py: error: pytensor cannot be imported (",)),
        ),
    ],
)
def test_failures_that_tell_more(start, how, status, words):
    ended_with, _, errors = ended(start(**how))
    assert ended_with == status and all(each in f"\n{errors}" for each in words)


@pytest.mark.parametrize("number", ALL)
def test_the_first_signal_lets_main_clean_up(start, number):
    main = """
        try:
            print("begun", flush=True)
            time.sleep(600)
        finally:
            print("cleaned up")
    """
    process = start(main, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))  # these tests may run under `nohup`
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    assert ended(process) == (130, "cleaned up\n", "script.py: stopped\n")


def test_under_nohup_a_terminal_that_closes_stops_nothing(start):
    main = "print('begun', flush=True); sys.stdin.readline(); print('went on')"
    process = start(main, stdin=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGHUP)
    printed, errors = process.communicate("\n")
    assert (process.returncode, printed, errors) == (0, "went on\n", "")


@pytest.mark.parametrize(
    "main",
    [
        """
        try:
            print("begun", flush=True)
            time.sleep(600)
        finally:
            print("asked", flush=True)
            time.sleep(600)
        """,
        """
        from theanoish.interrupt import StopRequest
        with StopRequest() as stop:
            print("begun", flush=True)
            while not stop.requested:
                time.sleep(0.01)
            print("asked", flush=True)
            time.sleep(600)
        """,
    ],
    ids=["cleaning up", "a loop that was asked to stop"],
)
def test_the_second_signal_ends_at_once(start, main):
    process = start(main)
    for line in ("begun\n", "asked\n"):
        assert process.stdout.readline() == line
        process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "", "script.py: stopped\n")


@pytest.mark.parametrize("closed", [(2,), (0, 1), (0, 1, 2)])
def test_streams_that_are_closed_stop_nothing(start, tmp_path, closed):
    """The next file that is opened would have a closed one's number, and whatever is printed would land in it."""
    main = """
        with open('made', 'w') as file:
            print('x', file=sys.stderr)
            print('y')
            file.write('whole')
        return 0
    """
    process = start(main, preexec_fn=lambda: [os.close(number) for number in closed])
    process.communicate()
    assert process.returncode == 0
    assert (tmp_path / "made").read_text() == "whole"


def test_a_reader_that_goes_away_stops_nothing(start, tmp_path):
    process = start("""
        for number in range(100_000):
            print(number)
            print(number, file=sys.stderr)
        Path("result").write_text("there")
        return 0
    """)
    process.stdout.readline()
    process.stdout.close()
    process.stderr.close()
    assert process.wait() == 0
    assert (tmp_path / "result").read_text() == "there"


def test_a_full_disk_under_what_is_printed(start):
    with open("/dev/full", "w") as full:
        status, _, errors = ended(start("print('words')\nreturn 0", stdout=full))
    assert (status, errors) == (2, "script.py: error: standard output: No space left on device\n")


def test_paths_of_users(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/runs") == tmp_path / "runs"
    assert user_path("a~/b") == Path("a~/b")
    with pytest.raises(ArgumentTypeError):
        user_path("~no_such_user/runs")


def test_a_session_is_as_before_once_its_script_has_ended():
    code = (
        "import os, signal, sys\n"
        "def state(): return [signal.getsignal(n) for n in (2, 15)], os.environ.get('MPLBACKEND'), sys.excepthook, "
        "sys.stdout\n"
        "before = state()\n"
        "from theanoish.command import begin_script, run_script\n"
        "begin_script()\n"
        "assert state() != before and run_script(lambda: 0) == 0\n"
        "print(state() == before)\n"
    )
    assert run_python(code) == ("True\n", "")


def test_compiled_networks_are_kept_in_the_users_cache(tmp_path):
    def place(cache, **environment):
        code = "import os; from theanoish.command import begin_script as b; b(); print(os.environ.get('PLACE', ''))"
        environment = {"XDG_CACHE_HOME": str(cache), "HOME": str(cache)} | environment
        printed, errors = run_python(code.replace("PLACE", "JAX_COMPILATION_CACHE_DIR"), **environment)
        assert errors == ""
        return printed.strip()

    folder = Path(place(tmp_path))
    assert folder.is_dir() and tmp_path in folder.parents
    assert folder.parent.parts[-2:] == ("theanoish", "jax")
    assert place(tmp_path, JAX_COMPILATION_CACHE_DIR="elsewhere") == "elsewhere"
    assert tmp_path in Path(place(tmp_path, XDG_CACHE_HOME="~/.cache")).parents  # to be ignored: it is not absolute
    (tmp_path / "file").write_text("")
    assert place(tmp_path / "file") == "", "a cache that cannot be written is no error"


@pytest.mark.parametrize("script", ["train", "evaluate", "tag"])
def test_help_waits_for_no_backend(script):
    code = f"import sys; sys.argv[1:] = ['--help']; from theanoish.commands.{script} import main as m; m()"
    _, errors = run_python(f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {code}")
    assert not {"jax", "pytensor", "scipy", "sklearn", "matplotlib"} & set(errors.split())
