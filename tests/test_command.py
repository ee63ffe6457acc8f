"""How scripts begin, end and print, whatever happens to them."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from theanoish.command import user_path

ROOT = Path(__file__).resolve().parents[1]
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


@pytest.mark.parametrize(("script", "number"), list(zip(SCRIPTS, 3 * [signal.SIGINT, signal.SIGTERM], strict=True)))
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_jax_is_imported_waits_for_it(start, number, tmp_path):
    """Its native code crashes on an exception in its midst."""
    (tmp_path / "jax.py").write_text(
        f"import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(0.01); print('imported', flush=True)"
    )
    process = start("device_name('jax'); print('used')", imports="from theanoish.model.compile import device_name")
    assert ended(process) == (130, "imported\n", "script.py: stopped\n")


def test_a_failure_at_import_and_a_fault_of_ours(start):
    status, _, errors = ended(start(imports="raise OSError(30, 'Read-only file system', '/home')"))
    assert (status, errors) == (2, "script.py: error: /home: Read-only file system\n")
    status, _, errors = ended(start(imports="import no_such_module"))
    assert status == 2
    assert "no_such_module" in errors
    assert "pip install" in errors
    for where in ({"imports": "1 / 0"}, {"main": "1 / 0"}):  # a fault of ours
        status, _, errors = ended(start(**where))
        assert status == 1 and "Traceback" in errors and errors.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_main_clean_up(start, number):
    process = start("""
        try:
            print("begun", flush=True)
            time.sleep(600)
        finally:
            print("cleaned up")
    """)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    assert ended(process) == (130, "cleaned up\n", "script.py: stopped\n")


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


@pytest.mark.parametrize(
    "caught",
    [
        "class Hidden:\n    def __del__(self):\n        signal.raise_signal(signal.SIGINT)\nHidden()",
        "try:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    raise RuntimeError from None",
    ],
)
def test_an_interrupt_that_a_library_hides(start, caught):
    """In a destructor, where Python drops it, and as another exception."""
    assert ended(start(f"{caught}\nprint('went on')")) == (130, "", "script.py: stopped\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_all_is_done(start, number):
    """While Python clears away its modules, when it has taken its own handlers back."""
    last = f"""
        class Last:
            def __del__(self, kill=os.kill, process=os.getpid()):
                kill(process, {int(number)})
        last = Last()
    """
    assert ended(start("print('done')", imports=textwrap.dedent(last))) == (0, "done\n", "")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("InputError('a.h5: is damaged\\n\\x1b[31m')", "a.h5: is damaged\n\\x1b[31m"),
        ("OSError(28, 'No space left on device', 'a.pkl')", "a.pkl: No space left on device"),
        ("OSError('Unable to open file')", "Unable to open file"),
        ("MemoryError()", "not enough memory"),
    ],
)
def test_failures_that_the_user_can_mend(start, error, message):
    assert ended(start(f"raise {error}")) == (2, "", f"script.py: error: {message}\n")


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


def test_settings_of_packages_that_cannot_be(start, tmp_path):
    """Of a variable a message; a user's settings of Matplotlib, which may need LaTeX, mean nothing."""
    process = start(imports="import pytensor", env={"PYTENSOR_FLAGS": "floatX=foo"})
    status, _, errors = ended(process)
    assert status == 2
    assert errors.splitlines()[-1].startswith("script.py: error: pytensor cannot be imported (")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "matplotlibrc").write_text("text.usetex: True")
    process = start("import matplotlib; print(matplotlib.rcParams['text.usetex'])", env={"MATPLOTLIBRC": "mine"})
    assert ended(process) == (0, "False\n", "")


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


def test_text_from_files_does_not_act_on_the_terminal(start):
    process = start(r"print('a\x1b[31m\rb\x9b\u00e1\udcff'); return 0", env={"PYTHONIOENCODING": "ascii"})
    assert ended(process) == (0, "a\\x1b[31m\\rb\\x9b\\xe1\\udcff\n", "")
    process = start(r"print('\u00e1\t\u30d4'); return 0", env={"PYTHONIOENCODING": "utf-8"})
    assert ended(process) == (0, "\u00e1\t\u30d4\n", "")


def test_paths_of_users(monkeypatch, tmp_path, start):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/runs") == tmp_path / "runs"
    assert user_path("a~/b") == Path("a~/b")
    process = start("""
        import argparse
        from theanoish.command import user_path
        parser = argparse.ArgumentParser()
        parser.add_argument("path", type=user_path)
        parser.parse_args(["~no_such_user/runs"])
    """)
    assert ended(process)[0] == 2


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
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("True\n", "")


def started(cache, **environment):
    """Where JAX would keep what it compiles, in a script whose user's caches lie in `cache`; empty for nowhere."""
    code = "import os; from theanoish.command import begin_script as b; b(); print(os.environ.get(VARIABLE, ''))"
    code = code.replace("VARIABLE", "'JAX_COMPILATION_CACHE_DIR'")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    places = {"XDG_CACHE_HOME": str(cache), "HOME": str(cache), "LOCALAPPDATA": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | places | environment, cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_compiled_networks_are_kept_in_the_users_cache(tmp_path):
    folder = Path(started(tmp_path))
    assert folder.is_dir()
    assert tmp_path in folder.parents
    assert folder.parent.parts[-2:] == ("theanoish", "jax")
    assert started(tmp_path, JAX_COMPILATION_CACHE_DIR="elsewhere") == "elsewhere"
    (tmp_path / "file").write_text("")
    assert started(tmp_path / "file") == "", "a cache that cannot be written is no error"


@pytest.mark.parametrize("script", ["train", "evaluate", "tag"])
def test_help_waits_for_no_backend(script):
    code = f"import sys; sys.argv[1:] = ['--help']; from theanoish.commands.{script} import main as m; m()"
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {code}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert not {"jax", "pytensor", "scipy", "sklearn", "matplotlib"} & set(done.stderr.split())
