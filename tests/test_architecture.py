"""The rooms of the house: imports go down only, only the command line prints, and what is never used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gantool

ROOT = Path(gantool.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LONGEST = 400  # lines of a file

# From the street to the cellar. Code imports its own room and those below it.
LEVELS = [
    {"cli", "__main__"},
    {"tasks"},
    {"families"},
    {"game"},
    {"engine"},
    {"metrics", "losses"},
    {"weights"},
    {"data"},
    {"nn"},
    {"registry", "family", "settings"},
    {"shape"},
    {"options"},
    {"files"},
    {"errors", "_version", "wording"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
TORCH_FREE = [
    "family",
    "shape",
    "registry",
    "options",
    "settings",
    "errors",
    "files",
    "wording",
    "tasks.runs",
    "cli.main",
]

# Known exceptions, to become none: (file, module imported).


def room_of(path):
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def modules_imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def type_checking_lines(tree):
    """Lines inside `if TYPE_CHECKING:`."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for line in range(node.lineno, node.end_lineno + 1)
    }


def ids(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_imports_go_down_only(path):
    room = room_of(path)
    if room == "__init__":  # the Python API names tasks
        return
    tree = tree_of(path)
    hints = type_checking_lines(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        for module in modules_imported(node):
            parts = module.split(".")
            if parts[0] != "gantool" or len(parts) == 1 or parts[1] not in LEVEL:
                continue
            # A type may be named upwards: it is the shape of what is handed down, and costs no import.
            if node.lineno in hints:
                continue
            assert LEVEL[parts[1]] >= LEVEL[room], f"{room} imports {module}"
            if room == "families" and parts[1] == "families" and len(parts) > 2:
                assert parts[2] == path.relative_to(ROOT).parts[1], "families never import each other"


def test_every_room_has_its_level():
    assert {room_of(path) for path in FILES} - {"__init__"} <= set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_what_is_never_used(path):
    tree, room = tree_of(path), room_of(path)
    forbidden = {"pickle", "cPickle", "dill", "yaml", "click", "marshal", "shelve"}
    inner = {f"typer.{name}" for name in ("core", "main", "models", "rich_utils", "_click", "utils", "params")}
    for module in modules_imported(tree):
        assert module.split(".")[0] not in forbidden, module
        assert not any(module == name or module.startswith(name + ".") for name in inner), module
        assert room == "cli" or module.split(".")[0] not in ("typer", "rich"), f"{module} outside cli"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        assert name not in ("eval", "exec", "compile", "__import__"), f"line {node.lineno}"
        if name == "torch.load":
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert keywords.get("weights_only") == "True", f"line {node.lineno}"
        if room != "cli":
            assert name not in ("print", "sys.stdout.write", "sys.stderr.write"), f"line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_files_are_a_page_or_three(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_what_is_free_of_torch():
    code = "import importlib, sys\n"
    code += f"for name in {TORCH_FREE!r}:\n"
    code += "    importlib.import_module(f'gantool.{name}')\n"
    code += "    assert 'torch' not in sys.modules, name\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
