from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import app
import core.service
from core.service import Library, Preparations, SelfTest, Session, Workspace

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


def test_long_work_is_known_by_its_signature():
    assert {"session.attribute", "session.layout", "session.explain", "selftest"} <= LONG
    assert "session.shares" not in LONG
    source = "self.page.session.layout(choice)\nsession.layout(choice, progress=report)\n"
    assert list(unstoppable(source)) == [("session.layout", 1)]
