"""The package as it is delivered: a wheel and a source distribution, away from the clone."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from small_song import write_song
from theanoish import __main__, __version__

ROOT = Path(__file__).resolve().parents[1]
USE = """import theanoish

model = theanoish.load()
reveal_type(model.tag("song.wav"))
"""


def run(*command, folder, **environment):
    """What a command prints, in a folder that is not the clone's."""
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    ended = subprocess.run(list(map(str, command)), cwd=folder, env=given, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return ended.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel and a source distribution, made without an index: the folder, and the wheel in it."""
    for name in ("build", "hatchling"):
        pytest.importorskip(name, reason="needs build and hatchling: the extra 'test'")
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    [wheel] = folder.glob("*.whl")
    return folder, wheel


@pytest.fixture(scope="module")
def python(built, tmp_path_factory):
    """Python of a new environment with the wheel, which sees this one's other packages, but no clone."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps"]
    run(*pip, built[1], folder=folder)
    [packages] = folder.glob("lib/python3*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))  # after pip, which would see this one installed
    return python


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    return write_song(tmp_path_factory.mktemp("songs") / "song.wav", 4)


def test_what_the_wheel_holds(built):
    _, wheel = built
    assert wheel.name == f"theanoish-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    inside = {str(path.relative_to(ROOT)) for path in (ROOT / "theanoish").rglob("*") if "__pycache__" not in str(path)}
    files = {name for name in inside if (ROOT / name).is_file()}
    assert {f"theanoish/models/{name}" for name in ("mel_256_256.pkl", "mel_256_256.json", "LICENSE.md")} <= files
    scripts = {"theanoish/scripts/train.py", "theanoish/scripts/evaluate.py"}
    assert {name for name in names if ".dist-info/" not in name} == files | scripts


def test_what_the_source_distribution_holds(built):
    [source] = built[0].glob("*.tar.gz")
    with tarfile.open(source) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    wanted = {"tests/test_package.py", "tests/reference.py", "theanoish/models/raw_256_256.pkl", "train.py", "LICENSE"}
    assert wanted <= names


def test_the_installed_command_and_library_tag_a_song(python, song):
    by_command = run(python.with_name("theanoish"), "tag", song.name, folder=song.parent)
    assert by_command.startswith("song.wav")
    code = "import theanoish; print(theanoish.__file__); print(*list(theanoish.load().tag('song.wav'))[:5], sep='\\n')"
    file, *tags = run(python, "-c", code, folder=song.parent).splitlines()
    assert Path(file).is_relative_to(python.parents[1])
    assert [tag for tag in tags if tag in by_command] == tags
    assert run(python, "-m", "theanoish", "tag", song.name, folder=song.parent) == by_command


def test_a_folder_of_the_same_name_does_not_hide_it(python, song):
    """As a clone does where Python starts in the folder above it."""
    (song.parent / "theanoish" / "docs").mkdir(parents=True)
    assert run(python, "-c", "import theanoish; print(theanoish.load)", folder=song.parent).startswith("<function load")


def test_an_editable_installation_is_a_plain_path(tmp_path):
    """Unlike a finder of modules, which Python asks only once it has taken the folder for a package."""
    from hatchling.build import build_editable

    wheel = build_editable(str(tmp_path))
    with zipfile.ZipFile(tmp_path / wheel) as file:
        apart = (".dist-info/", "theanoish/scripts/")
        [name] = [name for name in file.namelist() if not any(part in name for part in apart)]
        assert name.endswith(".pth")
        assert Path(file.read(name).decode().strip()) == ROOT


def test_types_are_known_to_those_who_use_it(python, song):
    (song.parent / "use.py").write_text(USE)
    printed = run(python, "-m", "mypy", "--cache-dir", os.devnull, "use.py", folder=song.parent)
    assert "dict[str, float]" in printed


def test_a_sweep_finds_its_scripts(python, song):
    """They train and test a cell where there is no clone."""
    code = "from theanoish.experiments.cells import SCRIPTS; print(SCRIPTS)"
    scripts = Path(run(python, "-c", code, folder=song.parent).strip())
    for name in ("train.py", "evaluate.py"):
        assert f"usage: {name}" in run(python, "-P", scripts / name, "--help", folder=song.parent)


@pytest.mark.parametrize("installed", [True, False])
def test_messages_name_the_command_that_was_typed(python, song, installed):
    """And remedies the one to type next, by the Python that runs."""
    if installed:
        command, typed, next_one = [python.with_name("theanoish"), "train"], "theanoish train", "-m theanoish build"
    else:
        command, typed, next_one = [python, ROOT / "train.py"], "train.py", ROOT / "preprocess" / "build_h5.py"
    arguments = [*command, "--data", "missing.h5"]
    ended = subprocess.run(arguments, cwd=song.parent, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{typed}: error: missing.h5: no such file; build it with {python} {next_one} or")


def test_every_command_is_listed(capsys, monkeypatch):
    modules = {path.stem for path in (ROOT / "theanoish" / "commands").glob("*.py")} - {"__init__"}
    assert modules <= set(__main__.COMMANDS)
    monkeypatch.setattr(sys, "argv", ["theanoish", "--help"])
    assert __main__.main() == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {name} " in printed for name in modules)
    monkeypatch.setattr(sys, "argv", ["theanoish", "no\nsuch"])
    assert __main__.main() == 2
    assert "no\\nsuch" in capsys.readouterr().err
