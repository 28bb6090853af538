"""Known vulnerabilities of what the app needs, by pip-audit: ``python -m benchmarks.audit``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import httpx
from packaging.requirements import Requirement

PINNED = "pip-audit==2.10.1"
SERVICE = "https://pypi.org/pypi/pip/json"
"""What pip-audit asks about every package, for one."""

REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"


def main(service: str = SERVICE) -> int:
    """Print what is known; 1 where something is, 0 where nothing is or nobody could be asked."""
    if why := unreachable(service):
        return _skipped(f"{service} cannot be reached ({why})")
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    needed = installed(line for line in lines if line and not line.startswith("#"))
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = _audited(Path(folder), needed)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            return _skipped(f"{PINNED} cannot be installed or run ({error})")
    return told(found)


def unreachable(service: str) -> str:
    """Why a service cannot be asked; the empty text when it can."""
    try:
        httpx.get(service, timeout=10, follow_redirects=True).raise_for_status()
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def installed(requirements: Iterable[str]) -> dict[str, str]:
    """Versions of all packages here that some requirements need, those of their own among them."""
    wanted, found = [Requirement(line) for line in requirements], dict[str, str]()
    seen: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        each = wanted.pop()
        key = (each.name.lower(), frozenset(each.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            package = distribution(each.name)
        except PackageNotFoundError:  # an extra of an extra
            continue
        found[package.name] = package.version
        extras = [{"extra": extra} for extra in ("", *each.extras)]
        for line in package.requires or ():
            need = Requirement(line)
            if need.marker is None or any(need.marker.evaluate(extra) for extra in extras):
                wanted.append(need)
    return found


def told(found: Mapping[str, Any]) -> int:
    """Print what pip-audit found; the status to end with."""
    packages = found["dependencies"]
    known = [each for each in packages if "vulns" in each]
    for each in packages:
        if "skip_reason" in each:
            sys.stderr.write(f"not audited: {each['name']}: {each['skip_reason']}\n")
    if not known:
        return _skipped("the service knows none of the packages")
    bad = [(each, vulnerability) for each in known for vulnerability in each["vulns"]]
    for each, vulnerability in bad:
        mended = ", ".join(vulnerability["fix_versions"]) or "nothing yet"
        words = f"{each['name']} {each['version']}: {vulnerability['id']}, mended in {mended}"
        sys.stdout.write(words + "\n")
    sys.stdout.write(f"{len(known)} of {len(packages)} packages audited, {len(bad)} faults known\n")
    return int(bool(bad))


def _audited(folder: Path, needed: Mapping[str, str]) -> Mapping[str, Any]:
    """What pip-audit, in an environment of its own, says of packages."""
    listed = folder / "requirements.txt"
    lines = [f"{name}=={version}" for name, version in sorted(needed.items())]
    listed.write_text("\n".join(lines), encoding="utf-8")
    venv.create(folder / "venv", with_pip=True)
    run = [folder / "venv" / "bin" / "python", "-m"]
    install = ["pip", "install", "--quiet", "--disable-pip-version-check", PINNED]
    subprocess.run([*run, *install], check=True)
    options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    ran = subprocess.run(
        [*run, "pip_audit", "-r", listed, *options], capture_output=True, text=True, check=False
    )
    if not ran.stdout.startswith("{"):
        raise ValueError(ran.stderr.strip()[-300:])
    return json.loads(ran.stdout)


def _skipped(why: str) -> int:
    sys.stderr.write(f"SKIPPED: NOTHING WAS AUDITED: {why}; try again with a network.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
