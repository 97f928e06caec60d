"""dlib's face recognition network (King 2017) with gradients.

Refining a boundary (`fit.refine`) has to know which change of a code makes another person of a
face. dlib runs its network but does not differentiate it; this module reads the weights out of
dlib's file and rebuilds the layers: a residual network of 29 convolutions, as dlib's example
`dnn_face_recognition_ex.cpp` declares it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import WeightsError
from ..measuring import dlib_identity

_MEAN = (122.782, 117.001, 104.298)  # of the colours that it was trained on
_STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))  # (channels, residual blocks)
_LAYER = re.compile(rb"\x01[\x05\x07\x04](con_4|affine_|fc_2)")  # a length, then a layer's name


class PersonNetwork(nn.Module):
    """forward: [1, 3, 150, 150] in 0 to 255, a chip at `Recogniser.places` -> [128].

    file: dlib's file; None is the installed one. WeightsError if it holds another network.
    device: where it runs.
    """

    def __init__(self, file: Path | None = None, device: torch.device | str = "cpu") -> None:
        super().__init__()
        file = file or dlib_identity.network_file()
        layers = list(_layers(file))
        kinds = "".join(kind[0] for kind, _ in layers)
        blocks = sum(count for _, count in _STAGES)
        if kinds != "ca" * (1 + 2 * blocks) + "f":
            raise WeightsError(f"{file}: expected dlib's face recognition network, version 1")
        self._layers = [tensor.to(device) for _, tensor in layers]

    def forward(self, chip: Tensor) -> Tensor:
        left = iter(self._layers)
        x = (chip - torch.tensor(_MEAN).to(chip).view(1, 3, 1, 1)) / 256
        x = F.max_pool2d(F.relu(_scaled(_convolved(x, left, 7, 2), left)), 3, 2)
        for stage, (_, count) in enumerate(_STAGES):
            for block in range(count):
                x = _residual(x, left, halve=stage > 0 and block == 0)
        description: Tensor = x.mean(dim=(2, 3))[0] @ next(left).view(x.shape[1], -1)
        return description


def _residual(x: Tensor, left: Iterator[Tensor], halve: bool) -> Tensor:
    y = F.relu(_scaled(_convolved(x, left, 3, 2 if halve else 1), left))
    y = _scaled(_convolved(y, left, 3, 1), left)
    if halve:
        x = F.avg_pool2d(x, 2, 2)
    # What is missing of the smaller one, in channels or pixels, counts as zero.
    shape = [max(pair) for pair in zip(x.shape, y.shape, strict=True)]
    return F.relu(_padded(x, shape) + _padded(y, shape))


def _padded(x: Tensor, shape: list[int]) -> Tensor:
    return F.pad(x, (0, shape[3] - x.shape[3], 0, shape[2] - x.shape[2], 0, shape[1] - x.shape[1]))


def _convolved(x: Tensor, left: Iterator[Tensor], kernel: int, stride: int) -> Tensor:
    tensor = next(left)
    outputs = len(tensor) // (x.shape[1] * kernel**2 + 1)
    weight, bias = tensor[:-outputs], tensor[-outputs:]
    padding = kernel // 2 if stride == 1 else 0
    return F.conv2d(x, weight.view(outputs, -1, kernel, kernel), bias, stride, padding)


def _scaled(x: Tensor, left: Iterator[Tensor]) -> Tensor:
    gain, bias = next(left).view(2, 1, -1, 1, 1)
    result: Tensor = x * gain + bias
    return result


def _layers(file: Path) -> Iterator[tuple[str, Tensor]]:
    """(name, parameters) of every layer that has some, from the picture on.

    An integer is stored as its number of bytes, then those; a tensor as its version (2), four
    sizes and float32 values, all little-endian.
    """
    content = file.read_bytes()
    layer = _LAYER.search(content)
    while layer:
        at = layer.end()
        name = layer.group(1).decode()
        for _ in range(3 if name == "fc_2" else 1):  # outputs and inputs come first; the version
            _, at = _integer(content, at)
        count = 1
        for _ in range(4):
            size, at = _integer(content, at)
            count *= size
        if at + 4 * count > len(content):
            raise WeightsError(f"{file}: the file is cut short; install it again")
        yield name, torch.from_numpy(np.frombuffer(content, "<f4", count, at).copy())
        layer = _LAYER.search(content, at + 4 * count)


def _integer(content: bytes, at: int) -> tuple[int, int]:
    size = content[at] & 0x0F
    return int.from_bytes(content[at + 1 : at + 1 + size], "little"), at + 1 + size
