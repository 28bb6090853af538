from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

import pytest

import app
import core
import core.service
from core.gallery.build import update
from core.gallery.datasets import materialise
from core.gallery.verify import verify, without_digest
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


ALL_LONG = ("core.service", "core.gallery", "core.search")
"""Where whatever calls long work can be stopped; elsewhere, what takes progress alone."""

UNHEARD = {
    ("core.service.selftest", "load_network"),
    ("core.gallery.artefacts", "write_listing"),
}
"""Networks that come with the program are loaded: nothing is fetched. One value is a few files."""


def passed_on_by(module: ModuleType) -> Iterator[tuple[str, int]]:
    """Long work that functions of a module do not stop, and could or should: its name and line."""
    every = module.__name__.startswith(ALL_LONG)
    for outer in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(outer, ast.FunctionDef):
            continue
        if not every and "progress" not in _parameters(outer):
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
    found = {
        (module.__name__, name): line
        for path in Path(core.__file__).parent.rglob("*.py")
        for module in [importlib.import_module(_name_of(path))]
        for name, line in passed_on_by(module)
    }
    assert set(found) == UNHEARD, found


def test_no_long_work_is_given_no_progress():
    """The removal of images was, where its caller had one."""
    found = [
        (path, node.lineno)
        for path in (*ROOT.rglob("*.py"), *Path(core.__file__).parent.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for given in (*node.args, *(keyword.value for keyword in node.keywords))
        if _is_named(given, "no_progress")
    ]
    assert not found


READERS = {"load_image", "open_image", "read_image", "file_digest", "copyfile", "states_numbers"}
"""What reads one file of somebody's."""

OF_FEW = {"core.gallery.checksums", "core.gallery.gallery", "core.gallery.parts"}
"""What reads the files that a gallery is made of, which are few however many its images are."""

READ_AHEAD = {"core.gallery.shards._loads"}
"""What is taken from it is reported."""


def reading_modules() -> dict[str, ast.Module]:
    folder = Path(core.__file__).parent
    paths = [*folder.glob("gallery/*.py"), *folder.glob("service/*.py")]
    trees = {_name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    return {name: tree for name, tree in trees.items() if name not in OF_FEW}


def unheard_reading(trees: dict[str, ast.Module]) -> Iterator[tuple[str, int]]:
    """Loops that read a file in each round, and what reads files ahead, that name no progress.

    A loop may read by a function of its own, one that calls a reader.
    """
    functions = [node for tree in trees.values() for node in tree.body if _is_function(node)]
    readers = READERS.union(node.name for node in functions if READERS & _names_called(node))
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if _is_function(node) and "decode_ahead" in _names_called(node):
                unheard = f"{module}.{node.name}" not in READ_AHEAD
            else:
                unheard = isinstance(node, LOOPS) and bool(readers & _names_called(node))
            if unheard and not any(_is_named(each, "progress") for each in ast.walk(node)):
                yield module, node.lineno


LOOPS = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _is_function(node: ast.AST) -> TypeGuard[ast.FunctionDef]:
    return isinstance(node, ast.FunctionDef)


def _is_named(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _names_called(node: ast.AST) -> set[str]:
    calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    names = {each.id for each in calls if isinstance(each, ast.Name)}
    return names | {each.attr for each in calls if isinstance(each, ast.Attribute)}


def test_reading_many_files_is_told_of_file_by_file():
    """Uploads were looked at and copied, and new files compared with blocked ones, unheard."""
    assert not list(unheard_reading(reading_modules()))


@pytest.mark.parametrize(
    "source",
    [
        "def one(file): load_image(file)\ndef many(files, progress): [one(f) for f in files]",
        "def many(files, progress):\n    progress(0, 1, '')\n    [file_digest(f) for f in files]",
        "def many(files):\n    for file in files:\n        shutil.copyfile(file, there)",
        "def many(files):\n    return dict(decode_ahead(files))",
    ],
)
def test_reading_that_is_not_told_of_is_seen(source: str):
    assert [*unheard_reading({"made": ast.parse(source)})]


def _name_of(path: Path) -> str:
    inside = path.relative_to(Path(core.__file__).parents[1]).with_suffix("")
    return ".".join(part for part in inside.parts if part != "__init__")


WITH_MANY_FILES = (unpack_images, pictures_of, materialise, update, verify, without_digest)
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
