"""The value and the slopes of a PyTorch function: as one OpenVINO program, or by autograd.

PyTorch runs a backward pass operation by operation, in float32. Here the passes forward and back
are traced together, once, into a graph of plain operations; what OpenVINO has no name for, the
backward half of most of them, is written with operations that it has (`_table`). OpenVINO then lays
out, joins and orders the whole, and multiplies in bfloat16 where the processor can. Weights become
constants; all that changes from face to face is an input.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino as ov
import torch
from openvino.frontend import OpConversionFailure
from torch import Tensor, fx
from torch._decomp import get_decompositions
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F

from . import compiling
from .conversion import convert_model

Function = Callable[..., Tensor]
"""Tensors -> scalar."""
Derivative = Callable[..., tuple[float, list[Tensor]]]
"""The same tensors -> the scalar and its gradients with respect to the first few of them."""

SMALL = 4096  # numbers: what is computed from constants may grow to this many
# A program whose gradients differ from autograd's by more than this part is refused. bfloat16 alone
# makes about 0.05 of the noise that a step can bear; a wrong rule makes 1.
REFUSED = 0.25

_aten = torch.ops.aten


class Untraceable(Exception):
    """The function cannot become one program; `by_autograd` can still do it."""


def by_autograd(function: Function, count: int) -> Derivative:
    """count: how many of the tensors, from the first, have a gradient."""

    def run(*inputs: Tensor) -> tuple[float, list[Tensor]]:
        variables = [x.detach().requires_grad_() for x in inputs[:count]]
        with torch.enable_grad():
            value = function(*variables, *inputs[count:])
            return value.item(), list(torch.autograd.grad(value, variables))

    return run


def as_program(
    function: Function, count: int, examples: Sequence[Tensor], *, threads: int, exact: bool = False
) -> Derivative:
    """Like `by_autograd`, for inputs with the shapes of these float32 tensors on the CPU.

    exact: float32 throughout, also where the processor has bfloat16.
    Raises Untraceable where an operation cannot be expressed, or where the program's gradients at
    the examples are not those of autograd.
    """
    distinct = tuple(x.detach().clone() for x in examples)  # inputs that share memory become one
    # Before anything else takes room: autograd keeps the results of all layers for a while.
    _, slopes = by_autograd(function, count)(*distinct)
    compiling.give_back_memory()
    try:
        model = _converted(traced(function, count, distinct), distinct)
    except (OpConversionFailure, RuntimeError, TypeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise Untraceable(f"{type(error).__name__}: {reason}") from error
    compiling.give_back_memory()
    compiled = compiling.compiled(model, threads, precise=exact)
    del model
    compiling.give_back_memory()
    program = _runner(compiled, count)
    _verify(program, slopes, distinct)
    return program


def traced(function: Function, count: int, examples: Sequence[Tensor]) -> fx.GraphModule:
    """A graph of plain operations: the examples -> value, gradients."""

    def both(*inputs: Tensor) -> tuple[Tensor, ...]:
        gradients, value = torch.func.grad_and_value(function, argnums=tuple(range(count)))(*inputs)
        return value, *gradients

    # In-place operations become ordinary ones: a graph may be reordered.
    pure = torch.func.functionalize(both, remove="mutations")
    # Fake inputs: nothing is computed, so no intermediate result needs room.
    trace = make_fx(
        pure, decomposition_table=_table(), tracing_mode="fake", _allow_non_fake_inputs=True
    )
    return _fold(trace(*examples))


def _fold(graph: fx.GraphModule) -> fx.GraphModule:
    """Compute what depends on constants only, unless it takes more room than they do."""
    known: dict[fx.Node, Tensor] = {}
    for node in list(graph.graph.nodes):
        if node.op == "get_attr":
            known[node] = getattr(graph, node.target)
        elif node.op == "call_function" and all(n in known for n in node.all_input_nodes):
            arguments, options = fx.node.map_arg((node.args, node.kwargs), lambda n: known[n])
            with torch.no_grad():
                value = node.target(*arguments, **options)
            room = max([SMALL, *(known[n].numel() for n in node.all_input_nodes)])
            if not isinstance(value, Tensor) or value.numel() > room:
                continue
            name = f"folded_{node.name}"
            graph.register_buffer(name, value.contiguous().clone())
            with graph.graph.inserting_before(node):
                constant = graph.graph.get_attr(name)
            node.replace_all_uses_with(constant)
            known[constant] = value
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    for name in set(dict(graph.named_buffers())) - {n.target for n in graph.graph.nodes}:
        delattr(graph, name)
    graph.recompile()
    return graph


def _converted(graph: fx.GraphModule, examples: tuple[Tensor, ...]) -> ov.Model:
    with torch.no_grad(), warnings.catch_warnings():
        # Deprecated in torch for its exporter, which OpenVINO does not read as well yet.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        script = torch.jit.trace(graph, examples, check_trace=False)  # type: ignore[no-untyped-call]
    shapes = [list(x.shape) for x in examples]
    model: ov.Model = convert_model(script, example_input=examples, input=shapes)
    if len(model.inputs) != len(examples):
        raise ValueError("an input has no influence")
    return model


def _runner(program: ov.CompiledModel, count: int) -> Derivative:
    def run(*inputs: Tensor) -> tuple[float, list[Tensor]]:
        results = program([np.ascontiguousarray(x.detach().numpy()) for x in inputs])
        return float(results[0]), [torch.from_numpy(np.array(results[1 + k])) for k in range(count)]

    return run


def _verify(program: Derivative, wanted: Sequence[Tensor], examples: Sequence[Tensor]) -> None:
    """Untraceable unless it repeats itself exactly and finds the gradients that are wanted."""
    # OpenVINO 2026.4 sometimes adds to a constant in place, which the next call reads.
    value, slopes = program(*examples)
    again, slopes_again = program(*examples)
    if value != again or any(
        not torch.equal(a, b) for a, b in zip(slopes, slopes_again, strict=True)
    ):
        raise Untraceable("the program gives another result the second time")
    for slope, right in zip(slopes, wanted, strict=True):
        if not (slope - right).norm() <= REFUSED * right.norm():
            raise Untraceable("the program's gradients are not those of autograd")


# Rules: operations that OpenVINO's front end does not know, by ones that it does. torch has some.


def _convolution_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, bias_sizes: Any, stride: list[int],
    padding: list[int], dilation: list[int], transposed: bool, output_padding: list[int],
    groups: int, wanted: list[bool],
) -> tuple[Tensor | None, None, None]:  # fmt: skip
    """With respect to the input: the convolution the other way round."""
    if wanted[1] or wanted[2]:
        raise NotImplementedError("gradients of weights")
    if transposed:
        back = _aten.convolution(
            gradient, weight, None, stride, padding, dilation, False, [0, 0], groups
        )
        return back, None, None
    if stride == [1, 1] and dilation == [1, 1]:
        # An ordinary convolution with the kernels turned round: OpenVINO 2026.4 computes transposed
        # ones wrongly where it joins them with what follows, and slowly where there are groups.
        outputs, inputs, height, width = weight.shape
        turned = weight.reshape(groups, outputs // groups, inputs, height, width).transpose(1, 2)
        turned = turned.reshape(groups * inputs, outputs // groups, height, width).flip(2, 3)
        margin = [height - 1 - padding[0], width - 1 - padding[1]]
        back = _aten.convolution(
            gradient, turned, None, stride, margin, dilation, False, [0, 0], groups
        )
        return back, None, None
    rest = [
        x.shape[2 + k]
        - ((gradient.shape[2 + k] - 1) * stride[k] - 2 * padding[k]
           + dilation[k] * (weight.shape[2 + k] - 1) + 1)
        for k in (0, 1)
    ]  # fmt: skip
    back = _aten.convolution(gradient, weight, None, stride, padding, dilation, True, rest, groups)
    return back, None, None


def _repeat(x: Tensor, times: int) -> Tensor:
    """Every pixel a square of itself."""
    b, c, h, w = x.shape
    repeated = x[:, :, :, None, :, None].expand(b, c, h, times, w, times)
    return repeated.reshape(b, c, h * times, w * times)


def _max_pool_backward(
    gradient: Tensor, x: Tensor, kernel: list[int], stride: list[int], padding: list[int],
    dilation: list[int], ceil: bool, indices: Tensor,
) -> Tensor:  # fmt: skip
    """Where several pixels are the greatest, all get the gradient: behind a ReLU those are 0."""
    if kernel[0] != kernel[1] or kernel != (stride or kernel) or any(padding) or max(dilation) > 1:
        raise NotImplementedError("poolings whose windows overlap")
    greatest, _ = _aten.max_pool2d_with_indices(x, kernel, stride, padding, dilation, ceil)
    height, width = x.shape[2:]
    if greatest.shape[2] * kernel[0] < height or greatest.shape[3] * kernel[0] < width:
        raise NotImplementedError("poolings that leave pixels out")
    greatest, gradient = (
        _repeat(y, kernel[0])[:, :, :height, :width] for y in (greatest, gradient)
    )
    return torch.where(x == greatest, gradient, torch.tensor(0.0))


def _cell(size: int, cells: int) -> int:
    if size % cells:
        raise NotImplementedError("means over cells of different sizes")
    return size // cells


def _mean_pool_backward(gradient: Tensor, x: Tensor) -> Tensor:
    times = _cell(x.shape[2], gradient.shape[2])
    if times != _cell(x.shape[3], gradient.shape[3]):
        raise NotImplementedError("cells that are not square")
    return _repeat(gradient / times**2, times)


def _nearest_backward(
    gradient: Tensor, size: list[int], shape: list[int], *scales: float | None
) -> Tensor:
    """Of an enlargement that repeats pixels: sums over cells."""
    cells = [_cell(size[k], shape[2 + k]) for k in (0, 1)]
    return F.avg_pool2d(gradient, cells) * math.prod(cells)


def _select_backward(gradient: Tensor, sizes: list[int], dim: int, index: int) -> Tensor:
    dim %= len(sizes)
    index %= sizes[dim]
    return _between(gradient.unsqueeze(dim), dim, index, sizes[dim] - index - 1)


def _slice_backward(
    gradient: Tensor, sizes: list[int], dim: int, start: int, end: int, step: int
) -> Tensor:
    dim %= len(sizes)
    size = sizes[dim]
    start = min(start + size if start < 0 else start, size)
    if step > 1:
        count = gradient.shape[dim]
        gradient = _between(gradient.unsqueeze(dim + 1), dim + 1, 0, step - 1).flatten(dim, dim + 1)
        gradient = gradient.narrow(dim, 0, min(count * step, size - start))
    return _between(gradient, dim, start, size - start - gradient.shape[dim])


def _between(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    """Zeros in front of x and behind it, along one dimension."""
    margins = [0, 0] * (x.dim() - dim)
    margins[-2:] = [before, after]
    return _aten.constant_pad_nd(x, margins, 0.0) if before or after else x


_RULES: dict[Any, Callable[..., Any]] = {
    _aten.convolution_backward.default: _convolution_backward,
    _aten.max_pool2d_with_indices_backward.default: _max_pool_backward,
    _aten._adaptive_avg_pool2d_backward.default: _mean_pool_backward,
    _aten.upsample_nearest2d_backward.default: _nearest_backward,
    _aten.select_backward.default: _select_backward,
    _aten.slice_backward.default: _slice_backward,
    _aten.lift_fresh_copy.default: lambda x: x.clone(),
}


# torch's own rules, where OpenVINO can convert what they make. Its select and slice write into a
# slice of zeros, which it cannot; its pooling backward scatters by index, seven times as slow.
_FROM_TORCH = (
    _aten._adaptive_avg_pool2d,
    _aten._unsafe_view,
    _aten.leaky_relu_backward,
    _aten.linalg_vector_norm,
    _aten.mse_loss,
    _aten.mse_loss_backward,
    _aten.sigmoid_backward,
    _aten.tanh_backward,
    _aten.threshold_backward,
)


def _table() -> dict[Any, Callable[..., Any]]:
    return {**get_decompositions(_FROM_TORCH), **_RULES}
