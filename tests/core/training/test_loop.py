"""Runs on a little world: logs, checkpoints, kills and resumes, several processes."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from core.encoders.backbones import (
    BackboneConfig,
    build,
    load_backbone,
    weights_hash,
)
from core.encoders.load import load_encoder
from core.training import loop
from core.training.config import TrainConfig, ViewConfig
from core.training.loop import train
from core.values import Cancelled

ROOT = Path(__file__).parents[3]
CONFIG = TrainConfig("moco", steps=4, batch=4, learning_rate=0.05, view=ViewConfig(size=32))

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")  # lightly's choice

SCRIPT = """
import json, os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from core.encoders.backbones import BackboneConfig, build
from core.training.config import TrainConfig, ViewConfig
from core.training import loop
from core.values import Cancelled

runs = []

class Watched(loop.Run):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        runs.append(self)

def run(out, method, steps, mode):
    config = TrainConfig(method, steps=steps, batch=4, learning_rate=0.05, view=ViewConfig(size=32),
                         checkpoint_minutes=0.0 if mode == "kill" else 5.0)

    def progress(done, total, what):
        if mode == "kill" and done > 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "cancel" and runs[-1].rank == 1:
            raise Cancelled

    images = torch.load(sys.argv[1], weights_only=True)
    loop.train(build(BackboneConfig(input_size=32), seed=0), images,
               config=config, out=Path(out), progress=progress)
    torch.save(runs[-1].model.state_dict(), Path(out) / f"rank{runs[-1].rank}.pt")

def forked(*job):
    if pid := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return code, Path(job[0], "log.csv").read_text()
    run(*job)
    os._exit(0)

loop.Run = Watched
print(json.dumps([(forked if sys.argv[2] == "apart" else run)(*job)
                  for job in json.loads(sys.argv[3])]))
"""
"""Runs one after the other, in processes of their own or not; what is loaded is loaded once."""


def _backbone():
    return build(BackboneConfig(input_size=32), seed=0)


def _stop_after(steps):
    def progress(done, _total, _what):
        if done == steps:
            raise Cancelled

    return progress


def _losses_of(log):
    rows = csv.DictReader(log.splitlines())
    return {int(row["step"]): float(row["loss"]) for row in rows if row["loss"]}


def _losses(out):
    return _losses_of((out / "log.csv").read_text())


@pytest.fixture(scope="module", params=["moco", "dino"])
def whole(request, images, tmp_path_factory):
    """An uninterrupted run: its config, its folder and its final state."""
    config = replace(CONFIG, method=request.param)
    out = tmp_path_factory.mktemp(request.param)
    assert train(_backbone(), images, config=config, out=out)
    return config, out


def test_a_gradient_that_is_not_finite_changes_no_weight(images, tmp_path, caplog):
    """In half precision one is met now and then, whatever the loss; it made every weight NaN."""
    run = loop.Run(_backbone(), images, config=CONFIG, out=tmp_path)
    before = [parameter.detach().clone() for parameter in run.model.student.parameters()]
    next(run.model.student.parameters()).register_hook(lambda grad: grad * float("nan"))
    run.advance()
    run.close()
    after = list(run.model.student.parameters())
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert "step 1 changes nothing" in caplog.text


@pytest.mark.slow
def test_losses_are_finite_and_logged(whole):
    config, out = whole
    losses = _losses(out)
    assert list(losses) == [1, 2, 3, 4]
    assert all(map(math.isfinite, losses.values()))
    with (out / "log.csv").open() as file:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    peak = config.learning_rate * config.batch / 256
    assert max(rates) <= peak
    assert rates[-1] < rates[1]
    events = EventAccumulator(str(out / "events")).Reload()
    logged = {event.step: event.value for event in events.Scalars("loss")}
    assert logged == pytest.approx(losses)
    assert set(events.Tags()["scalars"]) == {"loss", "learning_rate", "images_per_second"}


@pytest.mark.slow
def test_the_weights_load_and_are_the_teachers(whole):
    _, out = whole
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    backbone = load_backbone(out / "encoder")
    for name, tensor in backbone.network.state_dict().items():
        kept = state["model"][f"teacher.backbone.network.{name}"]
        wanted = kept.half().float() if kept.is_floating_point() else kept
        assert torch.equal(tensor, wanted)
    assert load_encoder(str(out / "encoder")).dim > 1000
    assert weights_hash(backbone) != weights_hash(_backbone())
    assert not list(out.glob("*.part"))


@pytest.mark.slow
def test_a_resumed_run_repeats_the_losses_of_an_uninterrupted_one(whole, images, tmp_path):
    """MoCo's queue was not kept, so that the losses after a resume were others."""
    config, out = whole
    done = train(_backbone(), images, config=config, out=tmp_path, progress=_stop_after(2))
    assert not done
    assert list(_losses(tmp_path)) == [1, 2]
    other = build(BackboneConfig(input_size=32), seed=9)  # its weights come from the checkpoint
    assert train(other, images, config=config, out=tmp_path)
    assert _losses(tmp_path) == pytest.approx(_losses(out), abs=1e-4)
    one, two = (torch.load(o / "checkpoint.pt", weights_only=True) for o in (out, tmp_path))
    for name, tensor in one["model"].items():
        torch.testing.assert_close(two["model"][name], tensor, atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_another_seed_gives_other_losses(images, tmp_path):
    for seed in (0, 1):
        config = replace(CONFIG, steps=1, seed=seed)
        train(_backbone(), images, config=config, out=tmp_path / str(seed))
    assert abs(_losses(tmp_path / "0")[1] - _losses(tmp_path / "1")[1]) > 1e-3


@pytest.mark.slow
def test_a_complete_run_does_nothing_more(images, tmp_path):
    config = replace(CONFIG, steps=1)
    for _ in range(2):
        assert train(_backbone(), images, config=config, out=tmp_path)
    assert list(_losses(tmp_path)) == [1]


@pytest.mark.slow
def test_the_budget_stops_a_run_that_can_go_on(images, tmp_path):
    assert not train(_backbone(), images, config=replace(CONFIG, minutes=1e-9), out=tmp_path)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 1


@pytest.mark.slow
def test_the_monitor_sees_the_teacher_in_evaluation_mode(images, tmp_path):
    seen = []

    def monitor(backbone):
        seen.append(backbone.training)
        return {"recall": 0.25}

    config = replace(CONFIG, steps=2, checkpoint_minutes=0.0)
    train(_backbone(), images, config=config, out=tmp_path, monitor=monitor)
    assert seen == [False] * 3
    assert "recall" in (tmp_path / "log.csv").read_text()
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    assert events.Scalars("recall")[-1].value == pytest.approx(0.25)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_checkpoint(
    images, tmp_path, monkeypatch
):
    config = replace(CONFIG, checkpoint_minutes=0.0)
    train(_backbone(), images, config=config, out=tmp_path, progress=_stop_after(1))
    before = (tmp_path / "checkpoint.pt").read_bytes()
    broken = torch.full((), torch.nan, requires_grad=True)
    monkeypatch.setattr(loop.MoCo, "forward", lambda *_, **__: broken * 1)
    with pytest.raises(ValueError, match="lower the learning rate"):
        train(_backbone(), images, config=config, out=tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.slow
def test_the_first_process_alone_writes_events(images, tmp_path, monkeypatch):
    """Each of several processes wrote TensorBoard events into the same folder."""
    monkeypatch.setenv("RANK", "1")
    train(_backbone(), images, config=replace(CONFIG, steps=1), out=tmp_path)
    assert not list(tmp_path.iterdir())


def _started(folder, images, jobs, *, how, launcher=()):
    """What the script prints: how each process of its own ended, and the log then."""
    torch.save(images, folder / "images.pt")
    (folder / "run.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, folder / "run.py", folder / "images.pt", how]
    return subprocess.run(
        [*command, json.dumps(jobs)],
        env=environment,
        check=True,
        timeout=110,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


@pytest.mark.slow
def test_a_killed_process_is_resumed(images, tmp_path):
    """Killed while it works, after two checkpoints; it goes on as if nothing had been.

    All three runs are processes alike: steps on four tiny images amplify a last bit that differs.
    """
    out, whole = tmp_path / "run", tmp_path / "whole"
    jobs = [(out, "kill"), (out, ""), (whole, "")]
    jobs = [[str(folder), "moco", 4, mode] for folder, mode in jobs]
    (killed, before), *others = json.loads(_started(tmp_path, images, jobs, how="apart"))
    assert (killed, *(code for code, _ in others)) == (-signal.SIGKILL, 0, 0)
    assert list(_losses_of(before)) == [1, 2]
    assert _losses(out) == pytest.approx(_losses(whole), abs=1e-4)


JOBS = {"moco": ("", [1, 2]), "dino": ("cancel", [1])}
"""By method: what happens, and the steps that are done."""


@pytest.fixture(scope="module")
def by_two_processes(images, tmp_path_factory):
    """Folder of runs that torchrun's two processes have made, one method after the other.

    A cancel in one process alone left the other waiting for it for ever.
    """
    folder = tmp_path_factory.mktemp("two")
    jobs = [[str(folder / method), method, 2, mode] for method, (mode, _) in JOBS.items()]
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")
    _started(folder, images, jobs, how="together", launcher=launcher)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("method", JOBS)
def test_two_processes_hold_equal_networks(method, by_two_processes):
    """Equal students, teachers, queues and centres, and one step at which all stop."""
    out = by_two_processes / method
    one, two = (torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    shared = [name for name in one if not name.endswith(("running_mean", "running_var"))]
    for name in shared:
        torch.testing.assert_close(one[name], two[name], atol=1e-6, rtol=1e-5)
    assert any("student" in name for name in shared)
    if method == "moco":  # two steps of two directions of four images in two processes
        assert one["criteria.0.memory_bank.bank_ptr"].tolist() == [2 * 2 * 4 * 2]
    local = [name for name in one if name.endswith("running_var")]
    assert any(not torch.equal(one[name], two[name]) for name in local)  # each saw its own images
    assert list(_losses(out)) == JOBS[method][1]
