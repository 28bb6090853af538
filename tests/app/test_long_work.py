from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import app
import core
import core.service
from core.gallery.build import update
from core.gallery.datasets import materialise
from core.gallery.verify import verify
from core.images.archives import unpack_images
from core.service import Library, Preparations, SelfTest, Session, Workspace, pictures_of

ROOT = Path(app.__file__).parent
OWNERS = {
    "session": Session,
    "library": Library,
    "preparations": Preparations,
    "test": SelfTest,
    "workspace": Workspace,
}
"""What the objects that do long work are called in the app."""

EXCEPTIONS = {
    ("page/warm.py", "session.workspace"),  # what the server opens for everybody, as it starts
    ("page/warm.py", "session.attribute"),
}


def takes_progress(function: object) -> bool:
    return callable(function) and "progress" in inspect.signature(function).parameters


LONG = {
    f"{name}.{method}"
    for name, owner in OWNERS.items()
    for method, function in inspect.getmembers(owner, inspect.isfunction)
    if takes_progress(function)
} | {
    name
    for name in core.service.__all__
    if inspect.isfunction(function := getattr(core.service, name)) and takes_progress(function)
}


def called(node: ast.Call) -> str:
    """Owner and name of what is called: ``session.layout`` of ``self.page.session.layout(...)``."""
    match node.func:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name, value=ast.Name(id=owner) | ast.Attribute(attr=owner)):
            return f"{owner}.{name}"
    return ""


def unstoppable(source: str) -> Iterator[tuple[str, int]]:
    """Calls of long work that are given no progress, and their lines."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or called(node) not in LONG:
            continue
        if all(keyword.arg != "progress" for keyword in node.keywords):
            yield called(node), node.lineno


def test_all_long_work_of_the_app_can_be_stopped_and_is_charged():
    """A map fitted its null to the end, since one of five calls was given no progress."""
    found = {
        (path.relative_to(ROOT).as_posix(), name): line
        for path in ROOT.rglob("*.py")
        for name, line in unstoppable(path.read_text(encoding="utf-8"))
    }
    assert set(found) == EXCEPTIONS, found


def passed_on_by(module: ModuleType) -> Iterator[tuple[str, int]]:
    """Long work that functions of a module could stop, and do not: its name and line."""
    for outer in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(outer, ast.FunctionDef) or "progress" not in _parameters(outer):
            continue
        for node in ast.walk(outer):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            function = getattr(module, node.func.id, None)
            handed = any(isinstance(arg, ast.Name) and arg.id == "progress" for arg in node.args)
            named = any(keyword.arg == "progress" for keyword in node.keywords)
            if inspect.isfunction(function) and takes_progress(function) and not (handed or named):
                yield node.func.id, node.lineno


def _parameters(function: ast.FunctionDef) -> set[str]:
    return {each.arg for each in (*function.args.args, *function.args.kwonlyargs)}


def test_what_can_be_stopped_stops_whatever_long_it_does():
    """Nothing looked at what the core does below the calls of the app."""
    found = [
        (module.__name__, name, line)
        for path in Path(core.__file__).parent.rglob("*.py")
        for module in [importlib.import_module(_name_of(path))]
        for name, line in passed_on_by(module)
    ]
    assert not found


def _name_of(path: Path) -> str:
    inside = path.relative_to(Path(core.__file__).parents[1]).with_suffix("")
    return ".".join(part for part in inside.parts if part != "__init__")


WITH_MANY_FILES = (unpack_images, pictures_of, materialise, update, verify)
"""Work of the core that grows with files that somebody gives, whatever calls it."""


@pytest.mark.parametrize("function", WITH_MANY_FILES)
def test_work_on_many_files_takes_progress(function: Callable[..., object]):
    """Up to a gigabyte was unpacked, and nothing could stop it."""
    assert takes_progress(function)


def test_long_work_is_known_by_its_signature():
    assert {"session.attribute", "session.layout", "session.explain", "selftest"} <= LONG
    assert "session.shares" not in LONG
    source = "self.page.session.layout(choice)\nsession.layout(choice, progress=report)\n"
    assert list(unstoppable(source)) == [("session.layout", 1)]
