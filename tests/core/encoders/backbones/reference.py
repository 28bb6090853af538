"""The published networks, literally: formulas on named tensors, no module of any library.

Written from the authors' descriptions (DINO ``vision_transformer.py``, MoCo v3 ``vits.py``,
torchvision's ResNet-50 as MoCo v2 and SSCD use it), to compare the outputs of our loaders with.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


def vit_state(
    *, width: int, patch: int, tokens: int, seed: int, scale: bool = False, depth: int = 12
) -> State:
    """Random weights under the names of DINO's files; large enough that attention matters."""
    made = torch.Generator().manual_seed(seed)

    def rand(*shape: int, std: float) -> Tensor:
        return torch.randn(shape, generator=made) * std

    state = {
        "cls_token": rand(1, 1, width, std=0.5),
        "pos_embed": rand(1, tokens, width, std=0.5),
        "patch_embed.proj.weight": rand(width, 3, patch, patch, std=1 / patch),
        "patch_embed.proj.bias": rand(width, std=0.1),
        "norm.weight": 1 + rand(width, std=0.2),
        "norm.bias": rand(width, std=0.2),
    }
    spread = 1 / math.sqrt(width)
    for block in range(depth):
        at = f"blocks.{block}."
        for norm in ("norm1", "norm2"):
            state[f"{at}{norm}.weight"] = 1 + rand(width, std=0.2)
            state[f"{at}{norm}.bias"] = rand(width, std=0.2)
        for name, rows, columns in (
            ("attn.qkv", 3 * width, width),
            ("attn.proj", width, width),
            ("mlp.fc1", 4 * width, width),
            ("mlp.fc2", width, 4 * width),
        ):
            sharp = 2 if name == "attn.qkv" else 1  # so that each head looks at few tokens
            state[f"{at}{name}.weight"] = rand(rows, columns, std=sharp * spread)
            state[f"{at}{name}.bias"] = rand(rows, std=0.1)
        if scale:
            state[f"{at}ls1.gamma"] = rand(width, std=0.5)
            state[f"{at}ls2.gamma"] = rand(width, std=0.5)
    return state


@functools.cache
def sincos(width: int, side: int) -> Tensor:
    """MoCo v3's fixed position embedding (1, 1 + side * side, width); zero for the class token."""
    embedding = torch.zeros(1 + side * side, width)
    quarter = width // 4
    for first in range(side):
        for second in range(side):
            for i in range(quarter):
                omega = 10000.0 ** (-i / quarter)
                row = 1 + first * side + second
                embedding[row, i] = math.sin(first * omega)
                embedding[row, quarter + i] = math.cos(first * omega)
                embedding[row, 2 * quarter + i] = math.sin(second * omega)
                embedding[row, 3 * quarter + i] = math.cos(second * omega)
    return embedding[None]


def vit(
    state: State, images: Tensor, *, heads: int, blocks: tuple[int, ...], clip: bool = False
) -> list[Tensor]:
    """Tokens (b, 1 + p, width) of the chosen blocks, after the final norm, of normalised images.

    CLIP's differs: a norm before the blocks, the quick GELU y sigmoid(1.702 y), epsilon 1e-5.
    """
    kernel, eps = state["patch_embed.proj.weight"], 1e-5 if clip else 1e-6
    x = F.conv2d(images, kernel, state.get("patch_embed.proj.bias"), stride=kernel.shape[-1])
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x], 1) + state["pos_embed"]
    x = _norm(state, "norm_pre", x, eps) if clip else x
    seen = []
    for block in range(max(blocks) + 1):
        at = f"blocks.{block}."
        y = _attention(state, f"{at}attn.", _norm(state, f"{at}norm1", x, eps), heads=heads)
        x = x + state.get(f"{at}ls1.gamma", torch.ones(())) * y
        y = _linear(state, f"{at}mlp.fc1", _norm(state, f"{at}norm2", x, eps))
        y = y * torch.sigmoid(1.702 * y) if clip else 0.5 * y * (1 + torch.erf(y / math.sqrt(2)))
        y = _linear(state, f"{at}mlp.fc2", y)
        x = x + state.get(f"{at}ls2.gamma", torch.ones(())) * y
        if block in blocks:
            seen.append(_norm(state, "norm", x, eps))
    return seen


def _attention(state: State, at: str, x: Tensor, *, heads: int) -> Tensor:
    query, key, value = _linear(state, f"{at}qkv", x).split(x.shape[2], 2)
    size = x.shape[2] // heads
    out = torch.empty_like(x)
    for head in range(heads):
        mine = slice(head * size, (head + 1) * size)
        scores = query[..., mine] @ key[..., mine].transpose(1, 2) / math.sqrt(size)
        out[..., mine] = torch.softmax(scores, 2) @ value[..., mine]
    return _linear(state, f"{at}proj", out)


def _linear(state: State, at: str, x: Tensor) -> Tensor:
    return x @ state[f"{at}.weight"].T + state[f"{at}.bias"]


def _norm(state: State, at: str, x: Tensor, eps: float) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps) * state[f"{at}.weight"] + state[f"{at}.bias"]


LAYERS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""Width, blocks and first stride of the four layers of ResNet-50."""


def resnet50_state(seed: int) -> State:
    """Random weights under torchvision's names, without the classifier."""
    made = torch.Generator().manual_seed(seed)
    state: State = {}

    def convolution(name: str, norm: str, out: int, inside: int, size: int) -> None:
        std = math.sqrt(2 / (inside * size * size))
        state[f"{name}.weight"] = torch.randn((out, inside, size, size), generator=made) * std
        state[f"{norm}.weight"] = 0.5 + torch.rand(out, generator=made)
        state[f"{norm}.bias"] = torch.randn(out, generator=made) * 0.1
        state[f"{norm}.running_mean"] = torch.randn(out, generator=made) * 0.1
        state[f"{norm}.running_var"] = 0.5 + torch.rand(out, generator=made)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    convolution("conv1", "bn1", 64, 3, 7)
    inside = 64
    for layer, (width, blocks, _) in enumerate(LAYERS, 1):
        for block in range(blocks):
            at = f"layer{layer}.{block}."
            convolution(f"{at}conv1", f"{at}bn1", width, inside, 1)
            convolution(f"{at}conv2", f"{at}bn2", width, width, 3)
            convolution(f"{at}conv3", f"{at}bn3", 4 * width, width, 1)
            if block == 0:
                convolution(f"{at}downsample.0", f"{at}downsample.1", 4 * width, inside, 1)
            inside = 4 * width
    return state


def resnet50(state: State, images: Tensor) -> list[Tensor]:
    """Maps of the four layers of normalised images; the stride sits in the 3 x 3 convolution."""
    x = F.conv2d(images, state["conv1.weight"], stride=2, padding=3)
    x = F.max_pool2d(torch.relu(_batch_norm(state, "bn1", x)), 3, stride=2, padding=1)
    maps = []
    for layer, (_, blocks, first) in enumerate(LAYERS, 1):
        for block in range(blocks):
            at, stride = f"layer{layer}.{block}.", first if block == 0 else 1
            y = torch.relu(_batch_norm(state, f"{at}bn1", _conv(state, f"{at}conv1", x)))
            y = F.conv2d(y, state[f"{at}conv2.weight"], stride=stride, padding=1)
            y = torch.relu(_batch_norm(state, f"{at}bn2", y))
            y = _batch_norm(state, f"{at}bn3", _conv(state, f"{at}conv3", y))
            if block == 0:
                x = _conv(state, f"{at}downsample.0", x[:, :, ::stride, ::stride])
                x = _batch_norm(state, f"{at}downsample.1", x)
            x = torch.relu(x + y)
        maps.append(x)
    return maps


def _conv(state: State, at: str, x: Tensor) -> Tensor:
    """A 1 x 1 convolution."""
    return torch.einsum("oi,bihw->bohw", state[f"{at}.weight"][:, :, 0, 0], x)


def _batch_norm(state: State, at: str, x: Tensor) -> Tensor:
    mean, variance, gain, shift = (
        state[f"{at}.{name}"][:, None, None]
        for name in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(variance + 1e-5) * gain + shift
