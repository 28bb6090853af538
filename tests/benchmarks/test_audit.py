from __future__ import annotations

import pytest

from benchmarks.audit import installed, main, told


def test_without_a_network_it_says_loudly_that_nothing_was_audited(capsys: pytest.CaptureFixture):
    assert main("http://127.0.0.1:9/pypi") == 0
    assert "NOTHING WAS AUDITED" in capsys.readouterr().err


def test_what_the_requirements_need_themselves_is_audited_too():
    """Only direct requirements were looked up; what listens to the network is none of them."""
    found = installed(["gradio[mcp]==6.31.0"])
    assert {"gradio", "starlette", "uvicorn", "mcp"} <= {name.lower() for name in found}
    assert "mcp" not in {name.lower() for name in installed(["httpx==0.28.1"])}


def test_a_known_fault_fails_and_a_service_that_knows_nothing_is_no_success(capsys):
    """With a registry that is a mirror it said that there were no vulnerabilities."""
    fault = {"id": "CVE-1", "fix_versions": ["2"]}
    good, bad = (
        {"name": name, "version": "1", "vulns": vulns}
        for name, vulns in (("a", []), ("b", [fault]))
    )
    assert told({"dependencies": [good, bad]}) == 1
    assert "b 1: CVE-1, mended in 2" in capsys.readouterr().out
    assert told({"dependencies": [good]}) == 0
    assert told({"dependencies": [{"name": "a", "skip_reason": "unknown"}]}) == 0
    assert "NOTHING WAS AUDITED" in capsys.readouterr().err
