"""A differentiable copy of a small OpenVINO graph.

Fitting boundaries needs to know how a score changes with the picture. The networks that score faces
come as TFLite files, which OpenVINO runs but cannot differentiate; this module rebuilds their
graphs from PyTorch operations, node by node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Values = list[Tensor]


class TorchGraph:
    """Runs an OpenVINO model (one input) with PyTorch operations.

    model: as `openvino.Core.read_model` returns it. Raises NotImplementedError for an operation
    that the face networks do not use.
    """

    def __init__(self, model: Any) -> None:
        self._constants: dict[str, Tensor] = {}
        self._nodes: list[tuple[str, str, dict[str, Any], list[tuple[str, int]]]] = []
        self._results = [result.get_friendly_name() for result in model.get_results()]
        for op in model.get_ordered_ops():
            name, kind = op.get_friendly_name(), op.get_type_name()
            if kind == "Constant":
                self._constants[name] = _constant(op.get_data())
                continue
            inputs = [
                (port.get_source_output().get_node().get_friendly_name(),
                 port.get_source_output().get_index())
                for port in op.inputs()
            ]  # fmt: skip
            if kind != "Parameter" and kind != "Result" and kind not in _OPERATIONS:
                raise NotImplementedError(f"operation {kind} ({name})")
            self._nodes.append((name, kind, dict(op.get_attributes()), inputs))

    def to(self, device: torch.device) -> TorchGraph:
        """Itself, with its weights there. Shapes and axes stay: they are read as numbers."""
        self._constants = {
            name: value.to(device) if value.is_floating_point() else value
            for name, value in self._constants.items()
        }
        return self

    def __call__(self, x: Tensor) -> Values:
        """The model's outputs for its one input, in order."""
        values: dict[str, Tensor] = dict(self._constants)
        for name, kind, attributes, sources in self._nodes:
            inputs = [values[source] for source, _ in sources]
            if kind == "Parameter":
                values[name] = x
            elif kind == "Result":
                values[name] = inputs[0]
            else:
                values[name] = _OPERATIONS[kind](attributes, *inputs)
        return [values[name] for name in self._results]


def _constant(data: Any) -> Tensor:
    array = np.array(data)
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    return torch.from_numpy(array)


def _convolution(attributes: dict[str, Any], x: Tensor, weight: Tensor) -> Tensor:
    groups = 1
    if weight.dim() == 5:  # GroupConvolution: [G, O, I, kh, kw]
        groups = weight.shape[0]
        weight = weight.flatten(0, 1)
    strides, dilations = list(attributes["strides"]), list(attributes["dilations"])
    begin, end = list(attributes["pads_begin"]), list(attributes["pads_end"])
    auto = str(attributes.get("auto_pad", "explicit")).lower()
    if auto in ("same_upper", "same_lower"):
        begin, end = _same_padding(x, weight, strides, dilations)
        if auto == "same_lower":
            begin, end = end, begin
    x = F.pad(x, (begin[1], end[1], begin[0], end[0]))
    return F.conv2d(x, weight, stride=strides, dilation=dilations, groups=groups)


def _same_padding(
    x: Tensor, weight: Tensor, strides: list[int], dilations: list[int]
) -> tuple[list[int], list[int]]:
    begin, end = [], []
    for axis in (0, 1):
        size, kernel = x.shape[2 + axis], (weight.shape[2 + axis] - 1) * dilations[axis] + 1
        total = max((-(-size // strides[axis]) - 1) * strides[axis] + kernel - size, 0)
        begin.append(total // 2)
        end.append(total - total // 2)
    return begin, end


def _max_pool(attributes: dict[str, Any], x: Tensor) -> Tensor:
    strides, kernel = list(attributes["strides"]), list(attributes["kernel"])
    begin, end = list(attributes["pads_begin"]), list(attributes["pads_end"])
    if any(begin) or any(end):
        x = F.pad(x, (begin[1], end[1], begin[0], end[0]), value=-torch.inf)
    return F.max_pool2d(x, kernel, strides)


def _prelu(attributes: dict[str, Any], x: Tensor, slope: Tensor) -> Tensor:
    if slope.dim() == 1:
        slope = slope.view(1, -1, *[1] * (x.dim() - 2))
    return torch.where(x >= 0, x, x * slope)


def _pad(
    attributes: dict[str, Any], x: Tensor, begin: Tensor, end: Tensor, *rest: Tensor
) -> Tensor:
    pads = [int(n) for pair in zip(begin.flip(0), end.flip(0), strict=True) for n in pair]
    return F.pad(x, pads, value=float(rest[0]) if rest else 0.0)


def _strided_slice(
    attributes: dict[str, Any], x: Tensor, begin: Tensor, end: Tensor, *strides: Tensor
) -> Tensor:
    masks = {
        name: list(attributes.get(name, [])) + [0] * x.dim()
        for name in ("begin_mask", "end_mask", "shrink_axis_mask", "new_axis_mask")
    }
    index: list[slice | int] = []
    for axis in range(len(begin)):
        if masks["shrink_axis_mask"][axis]:
            index.append(int(begin[axis]))
            continue
        low = None if masks["begin_mask"][axis] else int(begin[axis])
        high = None if masks["end_mask"][axis] else int(end[axis])
        index.append(slice(low, high, int(strides[0][axis]) if strides else 1))
    return x[tuple(index)]


def _reshape(attributes: dict[str, Any], x: Tensor, shape: Tensor) -> Tensor:
    wanted = [int(n) for n in shape]
    if attributes.get("special_zero"):
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    return x.reshape(wanted)


def _unsqueeze(attributes: dict[str, Any], x: Tensor, axes: Tensor) -> Tensor:
    for axis in sorted(int(a) for a in axes.reshape(-1)):
        x = x.unsqueeze(axis)
    return x


def _reduce(
    reduction: Callable[..., Tensor],
) -> Callable[[dict[str, Any], Tensor, Tensor], Tensor]:
    def run(attributes: dict[str, Any], x: Tensor, axes: Tensor) -> Tensor:
        dims = [int(a) for a in axes.reshape(-1)]
        return reduction(x, dim=dims, keepdim=bool(attributes["keep_dims"]))

    return run


_OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda a, x, y: x + y,
    "Subtract": lambda a, x, y: x - y,
    "Multiply": lambda a, x, y: x * y,
    "Divide": lambda a, x, y: x / y,
    "Negative": lambda a, x: -x,
    "Power": lambda a, x, y: x**y,
    "SquaredDifference": lambda a, x, y: (x - y) ** 2,
    "Relu": lambda a, x: F.relu(x),
    "Sigmoid": lambda a, x: torch.sigmoid(x),
    "PRelu": _prelu,
    "Convert": lambda a, x: x.float() if x.dtype == torch.float16 else x,
    "Convolution": _convolution,
    "GroupConvolution": _convolution,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "Transpose": lambda a, x, order: x.permute([int(n) for n in order]),
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Concat": lambda a, *xs: torch.cat(xs, dim=int(a["axis"])),
    "StridedSlice": _strided_slice,
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
}
