"""The rooms of the library: which may import which, and what a library does not do."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

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
    "export": {"data", "model"},
}
KNOWS["commands"] = set(KNOWS)  # they parse and print
FRONT_DOORS = {"theanoish", "theanoish.__main__", "theanoish.api"}
SCRIPTS = {"train", "evaluate", "reproduce", "figures", "tag", "build_h5"}
TREES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text())
    for path in LIBRARY.rglob("*.py")
}


def imported(nodes):
    """Full names of modules, and of what is imported from them."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(name):
    parts = name.split(".")
    return parts[1] if parts[0] == "theanoish" and len(parts) > 1 and parts[1] in KNOWS else None


def test_no_arrow_goes_up():
    assert {folder.parent.name for folder in LIBRARY.glob("*/__init__.py")} == set(KNOWS)
    arrows = {
        (module, name)
        for module, tree in TREES.items()
        for name in imported(ast.walk(tree))
        if module not in FRONT_DOORS and (room := room_of(name)) and room != room_of(module)
        if room not in KNOWS.get(room_of(module), set())
    }
    assert not arrows


def test_no_circle_of_imports():
    """At the modules' tops: raises graphlib.CycleError, which names the circle."""
    graph = {module: imported(tree.body) & TREES.keys() - {"theanoish"} for module, tree in TREES.items()}
    assert sum(map(len, graph.values())) > 100
    TopologicalSorter(graph).prepare()


def test_the_library_neither_prints_nor_parses_nor_imports_a_script():
    done = {
        (module, name)
        for module, tree in TREES.items()
        if room_of(module) != "commands" and module not in ("theanoish.command", "theanoish.__main__")
        for name in {each.split(".")[0] for each in imported(ast.walk(tree))}
        | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if name in {"argparse", "print"} or (name in SCRIPTS and name in imported(ast.walk(tree)))
    }
    assert not done
