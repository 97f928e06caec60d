"""PyTorch modules -> fast functions of numpy arrays: OpenVINO on the CPU, PyTorch on a GPU.

A module is traced and converted once, for windows of any size. Compiling it for one window then
takes a fraction of a second (`compiling.compiled_with`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from torch import nn

from .compiling import Array, Program, compiled, compiled_with, open_program
from .conversion import convert_model


class Compiler:
    """Compiles modules for one device. threads: cores of the CPU to use."""

    def __init__(self, device: torch.device, threads: int) -> None:
        self._device, self._threads = device, threads
        self._converted: dict[nn.Module, ov.Model] = {}

    def compile(
        self,
        module: nn.Module,
        example: Array,
        known: Sequence[NDArray[Any]] = (),
        sizes: Sequence[int | None] = (),
        at_once: int = 1,
        few: bool = False,
    ) -> Program:
        """module(array, *known) as a function of `array`, which has the shape of `example`.

        sizes: resolution of each input; those that have one may have another height and width the
            next time the same module is compiled. at_once, few: see `compiling.compiled_with`.
        """
        if self._device.type != "cpu":
            return on_device(module, self._device, known)
        if module not in self._converted:
            self._converted[module] = converted(module, [example, *known], sizes)
        copies = lambda: [np.array(x) for x in known]  # noqa: E731
        model = self._converted[module]
        return compiled_with(model, example, copies, self._threads, at_once, few=few)

    def open(self, module: nn.Module, inputs: Sequence[Array]) -> Callable[..., Array]:
        """module(*arrays) as a function of all its inputs, which have the shapes of these.

        For what changes with every call; a program of `compile` is faster where most stays.
        """
        if self._device.type != "cpu":
            return on_device(module, self._device)
        return open_program(compiled(converted(module, inputs), self._threads, precise=True))


def converted(
    module: nn.Module, inputs: Sequence[NDArray[Any]], sizes: Sequence[int | None] = ()
) -> ov.Model:
    """Trace a module with these inputs; those that have a size may have any height and width."""
    free = [size is not None for size in sizes] or [False] * len(inputs)
    example = tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in inputs)
    shapes = []
    for array, any_size in zip(inputs, free, strict=True):
        dims: list[Any] = list(array.shape)
        if any_size:
            dims[-2:] = [-1] * len(dims[-2:])
        shapes.append(ov.PartialShape(dims))
    with torch.no_grad(), warnings.catch_warnings():
        # Deprecated in torch for its exporter, which OpenVINO does not read as well yet.
        warnings.simplefilter("ignore", DeprecationWarning)
        # What the generators decide by a shape is the same in every window.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # Tracing here and not in convert_model: that one runs the network three times to check.
        traced = torch.jit.trace(module.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
        model: ov.Model = convert_model(traced, example_input=example, input=shapes)
        return model


def on_device(
    module: nn.Module, device: torch.device, known: Sequence[NDArray[Any]] = ()
) -> Callable[..., Array]:
    """The module where it is, with the known inputs beside those it is called with."""
    kept = [torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in known]

    def run(*arrays: Array) -> Array:
        given = (torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays)
        with torch.no_grad():
            image: torch.Tensor = module(*given, *kept)
        return image.cpu().numpy()

    return run
