"""The training loop: budget, schedules, checkpoints, logs; CPU, one GPU, or several by torchrun."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from lightly.models.utils import update_momentum
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter

from core.encoders.backbones import Backbone, save_backbone
from core.training.checkpoint import held_settings, read_checkpoint, restore, write_checkpoint
from core.training.config import TrainConfig
from core.training.dino import DINO
from core.training.moco import MoCo
from core.training.schedule import batch_rows, rate_factor
from core.training.tune import Start, freeze_early
from core.values import (
    Cancelled,
    Progress,
    TrainingError,
    no_progress,
)

logger = logging.getLogger(__name__)

Monitor = Callable[[Backbone], Mapping[str, float]]
"""Measures the backbone during training, such as recall on pairs; seen by the logs only."""


def train(
    backbone: Backbone,
    images: UInt8[Tensor, "n 3 h w"],
    *,
    config: TrainConfig,
    out: Path,
    monitor: Monitor | None = None,
    progress: Progress = no_progress,
) -> bool:
    """Train a backbone on uint8 images (n, 3, h, w); continues from ``out`` where a run stopped.

    Writes ``checkpoint.pt``, ``log.csv``, TensorBoard events and, at every checkpoint, the current
    teacher backbone in the layout that ``load_network`` reads. Every random choice
    is derived from the seed and the step, so a resumed run repeats the losses of an unbroken one.

    Returns:
        Whether the run is complete; false when the budget or a cancel stopped it.

    Raises:
        TrainingError: when there are too few images, ``out`` holds a damaged run or one that was
            begun with other settings or images, or the loss is not finite.
    """
    if len(images) < 2 * _world():
        raise TrainingError(
            f"{len(images)} images are too few: each process needs two to tell apart"
        )
    torch.manual_seed(config.seed)
    run = Run(backbone, images, config=config, out=out)
    bare = run.bare_speed()
    started = saved = time.monotonic()
    stopped = False
    while run.step < config.steps and not run.anywhere(stopped):
        loss, speed = run.advance()
        now = time.monotonic()
        stopped = now - started > config.minutes * 60
        try:
            said = f"loss {loss:.3f}, {speed:.0f} images/s ({speed / bare:.0%} of bare passes)"
            progress(run.step, config.steps, said)
        except Cancelled:
            logger.info("cancelled at step %d", run.step)
            stopped = True
        if now - saved > config.checkpoint_minutes * 60:
            run.save(monitor)
            saved = now
    run.save(monitor)
    run.close()
    return run.step >= config.steps


class Run:
    """State of a run: what a checkpoint holds."""

    def __init__(
        self, backbone: Backbone, images: Tensor, *, config: TrainConfig, out: Path
    ) -> None:
        self.config, self.out, self.step = config, out, 0
        self.rank = int(os.environ.get("RANK", "0"))
        self.world = _world()
        if self.world > 1 and not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if "cuda" in config.device else "gloo")
        device = _own_device(config.device)
        self.settings = held_settings(config, images, processes=self.world)
        self.images = images.to(device)
        self.model = _model(backbone, config).train().to(device)
        self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch
        self.parallel: nn.Module = self.model
        if self.world > 1:
            self.parallel = DistributedDataParallel(self.model, broadcast_buffers=False)
        self.optimiser = torch.optim.AdamW(_parameter_groups(self.model, config.weight_decay))
        self.losses: list[tuple[int, float, float, float]] = []
        out.mkdir(parents=True, exist_ok=True)
        if (out / "checkpoint.pt").exists():
            self._restore()
        self.writer: SummaryWriter | None = None
        if self.rank == 0:
            self.writer = SummaryWriter(str(out / "events"), purge_step=self.step)

    def close(self) -> None:
        """Finish the logs."""
        if self.writer is not None:
            self.writer.close()

    def advance(self) -> tuple[float, float]:
        """One optimiser step: the loss, and images per second."""
        config, began = self.config, time.perf_counter()
        share = self.step / config.steps
        rate = config.learning_rate * self.images_per_step / 256
        rate *= rate_factor(share, warm_up=config.warm_up, steps=config.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        generator = torch.Generator(self.images.device)
        generator.manual_seed((config.seed * 1_000_003 + self.step) * 1_009 + self.rank)
        with self._half():
            loss = self.parallel(self._batch(), generator=generator, progress=share)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.model.before_step(share)
        norm = nn.utils.clip_grad_norm_(self.model.student.parameters(), config.clip)
        if norm.isfinite():
            self.optimiser.step()
        else:  # as gradient scalers do: one such update would spoil every weight for good
            logger.warning("step %d changes nothing: its gradient is not finite", self.step + 1)
        update_momentum(self.model.student, self.model.teacher, self.model.momentum(share))
        self.step += 1
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(f"the loss is {value} at step {self.step}; lower the learning rate")
        speed = self.images_per_step / (time.perf_counter() - began)
        self.losses.append((self.step, value, rate, speed))
        return value, speed

    @property
    def images_per_step(self) -> int:
        """Images of one step in all processes."""
        return self.config.batch * self.world

    def bare_speed(self) -> float:
        """Images per second when the student only passes its views forward and backward.

        Views, teacher, loss, optimiser and logs are what a run adds; a copy of the student is
        timed, so nothing changes.
        """
        generator = torch.Generator(self.images.device).manual_seed(0)
        views = self.model.views(self._batch(), generator=generator)
        with torch.random.fork_rng():
            student = self.model.student.follower().to(self.images.device).requires_grad_(True)
        seconds: list[float] = []
        for _ in range(2):  # the first one warms up
            began = time.perf_counter()
            with self._half():
                outputs = [output for view in views for output in student(view)]
                total = torch.stack([output.float().square().mean() for output in outputs])
            total.sum().backward()
            if self.images.is_cuda:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
        return self.images_per_step / seconds[-1]

    def anywhere(self, flag: bool) -> bool:
        """Whether the flag is set in any process: all must stop after the same step."""
        if self.world == 1:
            return flag
        votes = torch.tensor(float(flag), device=self.images.device)
        torch.distributed.all_reduce(votes)
        return bool(votes)

    def save(self, monitor: Monitor | None) -> None:
        """Checkpoint, current encoder and logs; the first process writes."""
        if self.rank:
            return
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        write_checkpoint(self.out / "checkpoint.pt", state, settings=self.settings)
        backbone = self.model.teacher.backbone
        save_backbone(backbone, self.out / "encoder")
        measured = {}
        if monitor is not None:
            measured = monitor(backbone.eval())
            self.model.train()
        self._log(measured)

    def _log(self, measured: Mapping[str, float]) -> None:
        """Append to TensorBoard and to ``log.csv``, whose monitor column is JSON."""
        assert self.writer is not None
        for step, loss, rate, speed in self.losses:
            self.writer.add_scalar("loss", loss, step)
            self.writer.add_scalar("learning_rate", rate, step)
            self.writer.add_scalar("images_per_second", speed, step)
        for name, value in measured.items():
            self.writer.add_scalar(name, value, self.step)
            logger.info("step %d: %s %.4f", self.step, name, value)
        self.writer.flush()
        log = self.out / "log.csv"
        new = not log.exists()
        with log.open("a", newline="") as file:
            rows = csv.writer(file)
            if new:
                rows.writerow(["step", "loss", "learning_rate", "images_per_second", "monitor"])
            for row in self.losses:
                rows.writerow([*row, ""])
            if measured:
                rows.writerow([self.step, "", "", "", json.dumps(dict(measured))])
        self.losses.clear()

    def _restore(self) -> None:
        path = self.out / "checkpoint.pt"
        state = read_checkpoint(path, settings=self.settings, device=self.images.device)
        restore(path, state, model=self.model, optimiser=self.optimiser)
        self.step = int(state["step"])
        logger.info("resumed at step %d", self.step)

    def _half(self) -> torch.autocast:
        """Half precision, but not for grouped convolutions on a CPU, whose gradients it slows."""
        modules = self.model.student.backbone.modules()
        grouped = any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in modules)
        device = self.images.device.type
        return torch.autocast(device, torch.bfloat16, enabled=device != "cpu" or not grouped)

    def _batch(self) -> Tensor:
        """This process's images of the current step."""
        rows = batch_rows(
            len(self.images),
            batch=self.config.batch,
            step=self.step,
            seed=self.config.seed,
            rank=self.rank,
            world=self.world,
        )
        return self.images[rows.to(self.images.device)]


def _model(backbone: Backbone, config: TrainConfig) -> MoCo | DINO:
    given: dict[str, Any] = {"view": config.view, "weights": config.regularise}
    if config.start is not None:
        given["start"] = Start(backbone, config.tune)
        freeze_early(backbone, stages=config.tune.frozen_stages)
    if config.method == "moco":
        return MoCo(backbone, config=config.moco, **given)
    return DINO(backbone, config=config.dino, **given)


def _world() -> int:
    """Processes of the run: as many as torchrun started."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _own_device(name: str) -> torch.device:
    """The device of a name; ``cuda`` is this process's own GPU when torchrun started it."""
    device = torch.device(name)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    return device


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Trained parameters, those of one dimension (norms, biases) without decay."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
