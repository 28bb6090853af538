"""Product quantisation whose rotation and codewords are learned from a gallery without labels.

After Wu, Zhang and Liwicki, Self-Supervised Consistent Quantization for Fully Unsupervised Image
Retrieval (arXiv 2206.09806): two views of an image, soft product quantisation, and a loss of two
halves. *Part consistency*: in every part of the code, an image has the same neighbours before
quantisation in one view and after it in the other, and codewords are used alike. *Global
consistency*: embeddings and quantised embeddings of two views are contrasted with each other across
(Jang and Cho, ICCV 2021), and similarities to all other images are the same with both.

Deviations: the network is not trained, since embeddings are what the search compares; so views are
made of embeddings, one of them the image's own, and exact similarities are what quantised ones are
pulled to.
Rotation and codewords start as those of OPQ, and hard codes are used on the way forward, with the
gradient of soft ones, since hard codes are what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.scale.codecs import Codes, Quantiser
from core.search.index import neighbours

LEARNED = "learned, consistent"
"""What the codes are called in tables."""


@dataclass(frozen=True)
class LearningConfig:
    """How codes are learned; chosen by the recall of gallery images, before any query was seen."""

    steps: int = 60
    batch: int = 256
    """Images of a step, the negatives of each other."""
    rate: float = 1e-3
    """Of Adam, falling to nothing as a cosine."""
    soft: float = 0.1
    """Temperature of the choice of codewords, in mean squared distances to the nearest."""
    contrast: float = 0.1
    """Temperature of cosines that are contrasted."""
    near: int = 5
    """Neighbours of which a view may be drawn towards one."""
    mixed: float = 0.3
    """Largest share of the neighbour in a view."""
    noise: float = 0.3
    """Length of the noise of a view, next to the image's."""
    dropped: float = 0.1
    """Share of the numbers of a view that are none."""
    part: float = 1.0
    """Weight of part consistency."""
    diversity: float = 0.1
    """Weight of codewords being used alike."""
    contrasted: float = 0.1
    """Weight of the contrast of views."""
    consistent: float = 10.0
    """Weight of similarities being those of exact embeddings."""


_DEFAULT = LearningConfig()


def learned(vectors: np.ndarray, begin: Quantiser, *, config: LearningConfig = _DEFAULT) -> Codes:
    """The codes of a quantiser that is learned from the rows which it codes, from another one."""
    return fit(vectors, begin, config=config).codes(LEARNED, vectors)


def fit(
    vectors: np.ndarray, begin: Quantiser, *, config: LearningConfig, seed: int = 0
) -> Quantiser:
    """Learn a quantiser of unit rows (n, d) from another one."""
    near = neighbours(vectors, k=config.near).rows
    generator = torch.Generator().manual_seed(seed)
    rows = torch.from_numpy(np.ascontiguousarray(vectors, np.float32))
    rotation = torch.from_numpy(begin.rotation.copy()).requires_grad_()
    words = torch.from_numpy(begin.words.copy()).requires_grad_()
    scale = _nearest_distance(rows @ rotation.detach(), words.detach()) * config.soft
    optimiser = torch.optim.Adam([rotation, words], lr=config.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    beside = torch.from_numpy(near)
    for _ in range(config.steps):
        some = torch.randperm(len(rows), generator=generator)[: config.batch]
        views = rows[some], _view(rows, beside, some, config, generator)
        loss = _loss(views, (rotation, words), scale=scale, config=config)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            rotation.copy_(_orthonormal(rotation))
    return Quantiser(rotation.detach().numpy(), words.detach().numpy())


def _view(
    rows: Tensor,
    beside: Tensor,
    some: Tensor,
    config: LearningConfig,
    generator: torch.Generator,
) -> Tensor:
    """Unit rows between images and a neighbour of each, with noise, some numbers left out."""
    own = rows[some]
    place = torch.randint(beside.shape[1], (len(some),), generator=generator)
    share = torch.rand((len(some), 1), generator=generator) * config.mixed
    spread = rows.std(dim=0)
    noise = torch.randn(own.shape, generator=generator) * spread / spread.norm() * config.noise
    seen = torch.rand(own.shape, generator=generator) >= config.dropped
    mixed = (1 - share) * own + share * rows[beside[some, place]] + noise
    return functional.normalize(mixed * seen, dim=1)


def _loss(
    views: tuple[Tensor, Tensor],
    state: tuple[Tensor, Tensor],
    *,
    scale: float,
    config: LearningConfig,
) -> Tensor:
    """Part and global consistency of two views of a batch."""
    rotation, words = state
    parts = [_in_parts(each @ rotation, words) for each in views]
    coded, used = zip(*(_quantised(each, words, scale) for each in parts), strict=True)
    exact, whole = ([each.flatten(1) for each in both] for both in (parts, coded))
    loss = config.diversity * (unevenness(used[0]) + unevenness(used[1]))
    for one, two in ((0, 1), (1, 0)):
        same = _same_neighbours(exact[one], exact[two], whole[two], config.contrast)
        loss = loss + config.consistent * same
        loss = loss + config.contrasted * contrast(exact[one], whole[two], config.contrast)
        loss = loss + config.part * part_consistency(parts[one], coded[two], config.contrast)
    return loss


def contrast(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """InfoNCE of the rows of two views of a batch, (b, d) each: row i belongs to row i."""
    logits = functional.normalize(one, dim=1) @ functional.normalize(other, dim=1).T / temperature
    return functional.cross_entropy(logits, torch.arange(len(one)))


def part_consistency(exact: Tensor, coded: Tensor, temperature: float) -> Tensor:
    """How far the neighbours of images differ in every part, before codes and by them; (b, m, s).

    The divergence of the distributions over the other images of a batch that softmax of the
    cosines gives, a mean over images and parts.
    """
    own, found = (functional.normalize(each, dim=2).transpose(0, 1) for each in (exact, coded))
    meant = own.detach()
    wanted = torch.log_softmax(meant @ meant.transpose(1, 2) / temperature, dim=2)
    given = torch.log_softmax(meant @ found.transpose(1, 2) / temperature, dim=2)
    return (wanted.exp() * (wanted - given)).sum(dim=2).mean()


def unevenness(used: Tensor) -> Tensor:
    """By how much codewords are not used alike: log of their number less entropy, 0 at best.

    Args:
        used: what every image takes of every codeword of a part, (b, m, words).
    """
    mean = used.mean(dim=0)
    entropy = -(mean * mean.clamp_min(1e-9).log()).sum(dim=1)
    return float(np.log(used.shape[2])) - entropy.mean()


def _same_neighbours(queries: Tensor, exact: Tensor, coded: Tensor, temperature: float) -> Tensor:
    """Divergence of similarities to coded rows from those to exact rows, as a search compares."""
    wanted = torch.log_softmax(queries @ exact.T / temperature, dim=1).detach()
    given = torch.log_softmax(queries @ coded.T / temperature, dim=1)
    return (wanted.exp() * (wanted - given)).sum(dim=1).mean()


def _quantised(parts: Tensor, words: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Nearest codewords of parts, with the gradient of a soft choice; what each takes of each."""
    distances = _distances(parts, words)
    used = torch.softmax(-distances / scale, dim=2)
    soft = (used.transpose(0, 1) @ words).transpose(0, 1)
    nearest = distances.argmin(dim=2)
    hard = words[torch.arange(len(words)), nearest]
    return hard + soft - soft.detach(), used


def _distances(parts: Tensor, words: Tensor) -> Tensor:
    """Squared distances of parts (b, m, s) to codewords (m, k, s); (b, m, k)."""
    products = (parts.transpose(0, 1) @ words.transpose(1, 2)).transpose(0, 1)
    return (parts**2).sum(2, keepdim=True) - 2 * products + (words**2).sum(2)


def _in_parts(turned: Tensor, words: Tensor) -> Tensor:
    return turned.reshape(len(turned), words.shape[0], words.shape[2])


def _nearest_distance(turned: Tensor, words: Tensor) -> float:
    """Mean squared distance of a part to its codeword, of some rows."""
    some = turned[:: max(len(turned) // 512, 1)]
    return float(_distances(_in_parts(some, words), words).amin(dim=2).mean())


def _orthonormal(rotation: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows, by Newton's iteration from one close to it."""
    for _ in range(2):
        rotation = 1.5 * rotation - 0.5 * (rotation @ rotation.T) @ rotation
    return rotation
