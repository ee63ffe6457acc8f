"""The rooms of the library: which may import which, and what a library does not do."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "theanoish"
# Each room, and the rooms that it may know; the modules beside them are for all, and know no room.
KNOWS = {
    "data": set(),
    "model": set(),
    "training": {"data", "model"},
    "experiments": {"data", "model", "training"},
    "tagging": {"data", "model", "training"},
    "demo": {"data"},
    "commands": {"data", "model", "training", "experiments", "tagging", "demo"},  # scripts: they parse and print
}
STARTS = ("command.py", "__main__.py")
FRONT_DOORS = {LIBRARY / name for name in ("__init__.py", "__main__.py", "api.py")}
MODULES = sorted(LIBRARY.rglob("*.py"))
SCRIPTS = {"train", "evaluate", "reproduce", "figures", "tag", "build_h5"}


def imported(module: Path) -> set[str]:
    """Full names of the modules that a module imports, whether at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_room_is_known():
    assert {folder.parent.name for folder in LIBRARY.glob("*/__init__.py")} == set(KNOWS)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(LIBRARY)))
def test_rooms_keep_apart(module):
    room = module.parent.name if module.parent != LIBRARY else None
    rooms = {name.split(".")[1] for name in imported(module) if name.startswith("theanoish.")} & set(KNOWS)
    if module in FRONT_DOORS:
        return
    assert rooms <= (KNOWS[room] | {room} if room else set())


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(LIBRARY)))
def test_the_library_parses_no_arguments_and_imports_no_script(module):
    if (
        module.name in ("command.py", "__main__.py") or module.parent.name == "commands"
    ):  # scripts, and what they have in common
        return
    first_names = {name.split(".")[0] for name in imported(module)}
    assert not first_names & SCRIPTS
    assert "argparse" not in first_names


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(LIBRARY)))
def test_the_library_does_not_print(module):
    if module.name in STARTS or module.parent.name == "commands":  # scripts, and how they end
        return
    calls = [node for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert not any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)
