"""Where each known checkpoint format keeps each weight of a generator.

Every format stores the same numbers under its own names, partly scaled or turned differently. A
layout is a list of `Part`s: our name, their name, the shape in the file, and how to turn the one
into the other. Gains that the original code applies at run time ("equalised learning rate") are
multiplied into the weights here. Each layout names the code that it was read from.

A state dict must contain every part and nothing that the layout does not know.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import WeightsError
from ..stylegan import resolutions
from .archives import StoredTensor

State = Mapping[str, StoredTensor]
SIZES = tuple(8 << k for k in range(9))  # 8 to 2048 px
MAX_WIDTH = 1 << 14
MAX_MAPPING_LAYERS = 64
MAX_NUMBERS = 100_000_000  # of a network; the official ones of 1024 px have 30 million
LR_MULTIPLIER = 0.01  # of the mapping network, where the format does not store it


@dataclass(frozen=True)
class Part:
    """One tensor: our name, the file's name, its shape in the file, how it becomes ours."""

    ours: str
    theirs: str
    shape: tuple[int, ...]
    convert: Callable[[Tensor], Tensor] = lambda tensor: tensor


def scaled(gain: float) -> Callable[[Tensor], Tensor]:
    """Multiply by a gain."""
    return lambda tensor: tensor * gain


def reshaped(*shape: int, gain: float = 1.0) -> Callable[[Tensor], Tensor]:
    """Another shape of the same numbers, times a gain."""
    return lambda tensor: tensor.reshape(shape) * gain


def collect(parts: Iterable[Part], state: State, also: str) -> dict[str, Tensor]:
    """Read every part. also: pattern of names that the format has and the network does not need.

    Raises WeightsError naming the first tensor that is missing, misshapen, broken or unknown.
    """
    parts = list(parts)
    for part in parts:  # all claims are checked before any number is read
        _require_shape(part.theirs, shape_of(state, part.theirs), part.shape)
    for name in sorted(set(state) - {part.theirs for part in parts}):
        if not re.fullmatch(also, name):
            raise WeightsError(f"an unknown tensor {name!a}: another architecture?")
    _require_own_numbers(parts, state)
    result = {}
    for part in parts:
        tensor = part.convert(read(state, part.theirs, part.shape)).contiguous()
        # By way of one dimension: otherwise sides of length 1 may keep strides that make PyTorch
        # take another kernel, and the image differs in its last bit from one file to the next.
        result[part.ours] = tensor.view(-1).view(tensor.shape)
    return result


def _require_own_numbers(parts: Iterable[Part], state: State) -> None:
    """WeightsError for a network that is too large, or larger than the storages it lies in.

    Tensors may share a storage, and a file of a few megabytes could so describe a huge network.
    """
    wanted = sum(math.prod(part.shape) for part in parts)
    storages = [state[part.theirs].storage for part in parts]
    there = sum({storage.place: storage.count for storage in storages}.values())
    if wanted > min(MAX_NUMBERS, there):
        raise WeightsError(
            f"a network of {wanted} numbers; the file has {there}, at most {MAX_NUMBERS} are read"
        )


def read(state: State, name: str, shape: tuple[int, ...] | None = None) -> Tensor:
    """One tensor as float32; missing, misshapen and non-finite ones raise WeightsError."""
    stored = shape_of(state, name)
    if shape is not None:
        _require_shape(name, stored, shape)
    try:
        tensor = state[name].read()
    except WeightsError as error:
        raise WeightsError(f"{name}: {error}") from None
    if not bool(torch.isfinite(tensor).all()):
        raise WeightsError(f"{name} contains values that are not finite: the file is damaged")
    return tensor


def _require_shape(name: str, stored: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if stored != expected:
        raise WeightsError(f"{name} has shape {list(stored)}, expected {list(expected)}")


def shape_of(state: State, name: str, rank: int | None = None) -> tuple[int, ...]:
    """Shape of a tensor; WeightsError where it is missing or of another rank."""
    if name not in state:
        raise WeightsError(f"the tensor {name} is missing")
    shape = state[name].shape
    if rank is not None and len(shape) != rank:
        raise WeightsError(f"{name} has shape {list(shape)}, expected {rank} dimensions")
    if any(not 0 < side <= MAX_WIDTH for side in shape):
        raise WeightsError(f"{name} has the impossible shape {list(shape)}")
    return shape


def mapping_widths(state: State, name: str, first: int = 0) -> tuple[int, ...]:
    """Widths of the mapping network from z to w. name: of layer i's weight, with {i}."""
    widths: list[int] = []
    for i in range(first, first + MAX_MAPPING_LAYERS):
        if name.format(i=i) not in state:
            break
        outputs, inputs = shape_of(state, name.format(i=i), 2)
        if not widths:
            widths.append(inputs)
        elif widths[-1] != inputs:
            raise WeightsError(f"{name.format(i=i)} reads {inputs} units, not {widths[-1]}")
        widths.append(outputs)
    if not widths:
        raise WeightsError(f"the tensor {name.format(i=first)} is missing")
    return tuple(widths)


def mapping_parts(
    widths: tuple[int, ...], weight: str, bias: str, gain: float, first: int = 0
) -> list[Part]:
    """Layers of a mapping network; gain: of the weights, before 1 / sqrt(inputs) and learning rate.

    weight, bias: names with {i}, which counts from `first`.
    """
    parts = []
    for k in range(len(widths) - 1):
        inputs, outputs = widths[k], widths[k + 1]
        total = gain * LR_MULTIPLIER / math.sqrt(inputs)
        ours, i = f"mapping.layers.{k}", first + k
        parts += [
            Part(f"{ours}.weight", weight.format(i=i), (outputs, inputs), scaled(total)),
            Part(f"{ours}.bias", bias.format(i=i), (outputs,), scaled(LR_MULTIPLIER)),
        ]
    return parts


def affine_parts(
    ours: str, weight: str, bias: str, outputs: int, w_dim: int, plus: float = 0.0
) -> list[Part]:
    """A style's affine map. plus: what the format adds to the bias at run time."""
    return [
        Part(f"{ours}.weight", weight, (outputs, w_dim), scaled(1 / math.sqrt(w_dim))),
        Part(f"{ours}.bias", bias, (outputs,), lambda tensor: tensor + plus),
    ]


def block_channels(
    state: State, name: Callable[[int], str], size: int | None = None
) -> tuple[int, ...]:
    """Width of every resolution from 4 px up, from the bias of each block's last convolution.

    name: from the block's number to that bias's name. size: the side of the image where the file
    states it; None counts the blocks that are there.
    """
    channels: list[int] = []
    for k in range(len(resolutions(size or SIZES[-1]))):
        if size is None and k and name(k) not in state:
            break
        channels.append(shape_of(state, name(k), 1)[0])
    if len(channels) < len(resolutions(SIZES[0])):
        raise WeightsError(f"the tensor {name(len(channels))} is missing")
    return tuple(channels)


def common_filter(state: State, pattern: str, gain: float) -> Tensor:
    """The 4x4 FIR filter that all tensors of the given names agree on, times a gain."""
    names = sorted(name for name in state if re.fullmatch(pattern, name))
    if not names:
        raise WeightsError("the resampling filter is missing")
    filters = []
    for name in names:
        values = read(state, name)
        if values.numel() != 16 or values.shape[-2:] != (4, 4):
            raise WeightsError(f"{name} has shape {list(values.shape)}, expected a 4 x 4 filter")
        filters.append(values.reshape(4, 4) * gain)
        if not torch.allclose(filters[-1], filters[0], atol=1e-6):
            raise WeightsError(f"{name} differs from {names[0]}: one filter expected")
    return filters[0]
