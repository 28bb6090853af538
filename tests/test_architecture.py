"""What the documents and the contracts say of the packages is what the packages are."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SEEN_BY_THE_APP = {"core.config", "core.report", "core.service", "core.values"}


def contracts() -> dict[str, dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {each["name"]: each for each in settings["tool"]["importlinter"]["contracts"]}


def parts_of(package: str) -> set[str]:
    """Packages and modules that lie in a package."""
    folder = ROOT / package
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    modules = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")}
    return {f"{package}.{name}" for name in packages | modules}


def test_the_app_is_forbidden_every_other_package_of_the_core():
    """The contract lists what is forbidden, so that a new package would have been allowed."""
    (contract,) = (each for name, each in contracts().items() if name.startswith("the app sees"))
    assert contract["source_modules"] == ["app"]
    assert set(contract["forbidden_modules"]) == parts_of("core") - SEEN_BY_THE_APP


@pytest.mark.parametrize(
    ("library", "home", "modules"),
    [("faiss", "search", {"index", "walk"}), ("umap", "explain", {"projection"})],
)
def test_a_library_has_one_home(library: str, home: str, modules: set[str]):
    """The contract names packages, and misses new ones; which modules of its home it cannot say."""
    (contract,) = (e for e in contracts().values() if e.get("forbidden_modules") == [library])
    packages = parts_of("core") - {"core.config", "core.values", f"core.{home}"}
    assert set(contract["source_modules"]) == {"app", *packages}
    wanted = re.compile(rf"^\s*(?:import|from) {library}\b", re.MULTILINE)
    files = [path for top in ("app", "core") for path in (ROOT / top).rglob("*.py")]
    using = {path for path in files if wanted.search(path.read_text(encoding="utf-8"))}
    assert using == {ROOT / "core" / home / f"{name}.py" for name in modules}


def test_the_drawing_shows_the_arrows_that_there_are():
    """Arrows went missing from it for as long as nobody drew it anew: `make architecture` does."""
    code = runpy.run_path(str(ROOT / "docs" / "architecture.py"))
    boxes = {name for floor in code["FLOORS"] for name in floor}
    there = {
        f"{one} to {other}"
        for one, other in code["arrows_of"](code["imports_of_all"](code["modules"]()))
        if {one, other} <= boxes
    }
    drawn = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    assert set(re.findall(r'<g id="([\w.]+ to [\w.]+)">', drawn)) == there
    assert boxes == (parts_of("core") - {"core.config", "core.values"}) | {"app"}


def test_the_top_of_the_core_can_be_looked_over():
    """Fifty-five modules lay there, flat, and a stranger found none of them."""
    assert len(parts_of("core")) <= 14
