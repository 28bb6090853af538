"""Every module and file of the program that the documentation names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]
NAME = r"(?:core|app|benchmarks|demo|tests)(?:[./]\w+)+"
CODE = re.compile(rf"`(?:python -m )?({NAME})[^`]*`(\s+at commit)?")


def named(text: str) -> list[str]:
    """Names in code; those of an earlier commit are not meant to be there."""
    return [name for name, earlier in CODE.findall(text) if not earlier]


def is_there(name: str) -> bool:
    """Whether a name is a file, a package or a module, or something that a module holds."""
    if (ROOT / name).exists():
        return True
    parts = re.split(r"[./]", name)
    for end in range(len(parts), 1, -1):
        path = ROOT.joinpath(*parts[:end])
        module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if module.is_file():
            text = module.read_text(encoding="utf-8")
            return all(re.search(rf"\b{word}\b", text) for word in parts[end:])
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    missing = [name for name in named(page.read_text(encoding="utf-8")) if not is_there(name)]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_links_to_are_there(page: Path) -> None:
    """A decision that got another number left a link behind."""
    links = re.findall(r"\]\(([^)#:\s]+)[^):]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_names_are_found_and_missing_ones_noticed() -> None:
    """Negative control."""
    text = (
        "`core/encoders/pooling.spread`, `python -m demo.check --x`, `core/gone`, `core.cli.gone`"
    )
    names = named(f"{text}, `benchmarks.gone` at commit fd5f72d")
    assert names == ["core/encoders/pooling.spread", "demo.check", "core/gone", "core.cli.gone"]
    assert [is_there(name) for name in names] == [True, True, False, False]
