"""PyTorch modules -> fast functions of numpy arrays: OpenVINO on the CPU, PyTorch on a GPU.

A module is traced and converted once, for windows of any size. Compiling it for one window then
takes a fraction of a second: all inputs that stay the same become constants, so OpenVINO lays them
out once as its convolutions want them, and works out once what depends on nothing else.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from torch import nn

Array = NDArray[np.float32]
Program = Callable[[Array], Array]
"""The one input that varies -> the output."""

# float32 throughout: on processors with bfloat16 OpenVINO would otherwise round to it, which is
# visible (0.03 in w) and, measured here, not even faster.
_OPTIONS = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


class Compiler:
    """Compiles modules for one device. threads: cores of the CPU to use."""

    def __init__(self, device: torch.device, threads: int) -> None:
        self._device = device
        self._options = {**_OPTIONS, "INFERENCE_NUM_THREADS": threads}
        self._core = ov.Core()
        self._converted: dict[nn.Module, ov.Model] = {}

    def compile(
        self,
        module: nn.Module,
        example: Array,
        known: Sequence[NDArray[Any]] = (),
        sizes: Sequence[int | None] = (),
    ) -> Program:
        """module(array, *known) as a function of `array`, which has the shape of `example`.

        sizes: resolution of each input; those that have one may have another height and width the
            next time the same module is compiled.
        """
        if self._device.type != "cpu":
            return on_device(module, self._device, known)
        inputs = [example, *known]
        if module not in self._converted:
            free = [size is not None for size in sizes] or [False] * len(inputs)
            self._converted[module] = _convert(module, inputs, free)
        for variable in (_VARIABLE, len(inputs)):
            model = _with_constants(self._converted[module], inputs, variable)
            compiled = self._core.compile_model(model, "CPU", self._options)
            program = _runner(compiled, known[: variable - 1])
            # OpenVINO 2026.4 sometimes adds to a constant in place, which the next call reads: seen
            # where a network's code was a constant too.
            if not known or np.array_equal(program(example), program(example)):
                break
        return program

    def open(self, module: nn.Module, inputs: Sequence[Array]) -> Callable[..., Array]:
        """module(*arrays) as a function of all its inputs, which have the shapes of these.

        For what changes with every call; a program of `compile` is faster where most stays.
        """
        if self._device.type != "cpu":
            return on_device(module, self._device)
        model = _convert(module, inputs, [False] * len(inputs))
        compiled = self._core.compile_model(model, "CPU", self._options)

        def run(*arrays: Array) -> Array:
            return np.asarray(compiled(list(arrays))[0])

        return run


# The network's code is the second input. Kept one, although it stays the same; see above.
_VARIABLE = 2


def compiled(model: ov.Model, threads: int, *, exact: bool) -> ov.CompiledModel:
    """A model on the CPU. exact: float32 throughout; else bfloat16 where the processor has it."""
    core = ov.Core()
    options = {**_OPTIONS, "INFERENCE_NUM_THREADS": threads}
    if not exact and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        options["INFERENCE_PRECISION_HINT"] = "bf16"
    return core.compile_model(model, "CPU", options)


def give_back_memory() -> None:
    """Hand what was freed back to the system, before a step that takes much.

    glibc keeps freed memory for later: after a large backward pass half a gigabyte.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)


def _runner(compiled: ov.CompiledModel, known: Sequence[NDArray[Any]]) -> Program:
    def run(array: Array) -> Array:
        return np.asarray(compiled([array, *known])[0])

    return run


def _convert(module: nn.Module, inputs: Sequence[NDArray[Any]], free: Sequence[bool]) -> ov.Model:
    """Trace a module with these inputs; where `free`, any height and width will do."""
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
        return ov.convert_model(traced, example_input=example, input=shapes)


def _with_constants(model: ov.Model, inputs: Sequence[NDArray[Any]], variable: int) -> ov.Model:
    """A copy of a converted module with the shapes of these inputs, constant from `variable` on."""
    model = model.clone()
    parameters = model.get_parameters()
    assert len(parameters) == len(inputs), "every input is used, so none was dropped"
    model.reshape(
        {node.output(0): list(x.shape) for node, x in zip(parameters, inputs, strict=True)}
    )
    for parameter, array in zip(parameters[variable:], inputs[variable:], strict=True):
        constant = ov.op.Constant(np.ascontiguousarray(array))
        for reader in parameter.output(0).get_target_inputs():
            reader.replace_source_output(constant.output(0))
        model.remove_parameter(parameter)
    model.validate_nodes_and_infer_types()
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
