"""The command line as a process of its own, and as several that load their libraries once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
FORKS = """
import gc, json, os, runpy, subprocess, sys
import core.cli.commands
gc.freeze()
for words, target in json.load(sys.stdin):
    said = os.memfd_create("said"), os.memfd_create("told")
    reader = subprocess.Popen(target, shell=True, stdin=subprocess.PIPE) if target else None
    pid = os.fork()
    if not pid:
        os.dup2(reader.stdin.fileno() if reader else said[0], 1)
        os.dup2(said[1], 2)
        sys.argv = ["core", *(os.fsdecode(bytes.fromhex(word)) for word in words)]
        runpy.run_module("core", run_name="__main__", alter_sys=True)
        sys.exit()
    if reader:
        reader.stdin.close()
        reader.wait()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps([code, *(os.pread(each, 1 << 20, 0).hex() for each in said)]), flush=True)
"""
"""Each command ends as its interpreter does: nothing that it wrote is left for this one."""


def process(*arguments: object, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command with these variables of the environment beside the usual ones."""
    return _run(["-m", "core", *map(os.fsencode, map(str, arguments))], environ)


def forked(
    *commands: Sequence[object], readers: Sequence[str] = ("",), **environ: str
) -> list[subprocess.CompletedProcess[bytes]]:
    """Run commands as processes of one interpreter, started with these variables.

    What an interpreter does with its streams when it starts it does once, what it loads it loads
    once; a command has its own output, status and end.

    Args:
        commands: their arguments.
        readers: the shell's commands that read each one's output, one after the other, if any.
        environ: variables beside the usual ones.
    """
    each = [(command, reader) for reader in readers for command in commands]
    asked = [([os.fsencode(str(word)).hex() for word in words], reader) for words, reader in each]
    done = _run(["-u", "-c", FORKS], environ, json.dumps(asked).encode())
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        subprocess.CompletedProcess(command, code, bytes.fromhex(out), bytes.fromhex(error))
        for (command, _), (code, out, error) in zip(each, told, strict=True)
    ]


def _run(
    words: Sequence[str | bytes], environ: dict[str, str], given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *words],
        input=given,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
        timeout=100,
        check=False,
    )
