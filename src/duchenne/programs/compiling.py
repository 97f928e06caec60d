"""OpenVINO models -> fast functions of numpy arrays."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from .. import cores

Array = NDArray[np.float32]
Known = Callable[[], Sequence[NDArray[Any]]]
Program = Callable[[Array], Array]
"""The one input that varies -> the output."""

_OPTIONS = {**cores.FLOAT32, "PERFORMANCE_HINT": "LATENCY"}


def exact(threads: int | None = None) -> dict[str, Any]:
    """Options of OpenVINO for float32 throughout, on so many cores; None is all of them."""
    return {**_OPTIONS, **({} if threads is None else {"INFERENCE_NUM_THREADS": threads})}


def compiled_with(
    model: ov.Model,
    example: Array,
    known: Known,
    threads: int,
    at_once: int = 1,
    *,
    few: bool = False,
) -> Program:
    """A program of `array`, shaped as `example`, where the other inputs of the model are `known`.

    known: gives them as arrays of the program's own; called again if that shows a fault, since it
    takes less room than holding them.

    What is known becomes constant, so OpenVINO lays it out once as its convolutions want it, and
    works out once what depends on nothing else. at_once: how many calls run side by side, each on
    its share of the threads; more threads may call it, and wait. few: whether it is called a few
    times only: nothing becomes constant then, which compiles in half the time, and each call takes
    a fifth longer.
    """
    # A second core makes a window no faster (0.98 to 1.05 times), but costs a quarter more.
    used = at_once if threads < 2 * (at_once + 1) else threads
    options = {**exact(used), "NUM_STREAMS": at_once}

    def version(variable: int) -> Program:
        given = known()
        fixed = _with_constants(model, [example, *given], variable)
        program = PerThread(ov.Core().compile_model(fixed, "CPU", options))
        return _runner(program, given[: variable - 1])

    inputs = len(model.inputs)
    if few or inputs == 1:
        return version(inputs)
    return _Checked(version(_VARIABLE), lambda: version(inputs))


class _Checked:
    """A program that is called twice with its first input, and exchanged if that shows a fault.

    OpenVINO 2026.4 sometimes adds to a constant in place, which the next call reads: seen where a
    network's code was a constant too.
    """

    def __init__(self, program: Program, without_constants: Callable[[], Program]) -> None:
        self._program, self._turn = program, threading.Lock()
        self._other: Callable[[], Program] | None = without_constants  # None: it was checked

    def __call__(self, array: Array) -> Array:
        if self._other is not None:
            with self._turn:
                if self._other is not None:
                    return self._first(array, self._other)
        return self._program(array)

    def _first(self, array: Array, other: Callable[[], Program]) -> Array:
        result = self._program(array)
        if not np.array_equal(result, self._program(array)):
            self._program = other()
            result = self._program(array)
        self._other = None
        return result


class PerThread:
    """A compiled model that several threads may run at once: each has a request of its own."""

    def __init__(self, program: ov.CompiledModel) -> None:
        self._program, self._own = program, threading.local()

    def __call__(self, inputs: Any) -> Any:
        """The outputs, as `ov.CompiledModel` gives them; they are the caller's."""
        if not hasattr(self._own, "request"):
            self._own.request = self._program.create_infer_request()
        return self._own.request.infer(inputs, share_inputs=True)


def into_arrays(program: ov.CompiledModel, inputs: Sequence[Array]) -> list[Array]:
    """The outputs of one call, whose shapes are known, without a copy of them in between."""
    request = program.create_infer_request()
    outputs = [np.empty(tuple(port.shape), np.float32) for port in program.outputs]
    for port, array in zip(program.outputs, outputs, strict=True):
        request.set_tensor(port, ov.Tensor(array, shared_memory=True))
    request.infer(list(inputs), share_inputs=True, share_outputs=True)
    return outputs


def open_program(program: ov.CompiledModel) -> Callable[..., Array]:
    """A compiled model as a function of all its inputs."""

    def run(*arrays: Array) -> Array:
        return np.asarray(program(list(arrays))[0])

    return run


# The network's code is the second input. Kept one, although it stays the same; see above.
_VARIABLE = 2


def compiled(model: ov.Model, threads: int, *, precise: bool) -> ov.CompiledModel:
    """A model on the CPU. precise: float32 throughout; else bfloat16 where the processor has it."""
    core = ov.Core()
    options = exact(threads)
    if not precise and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
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


def _runner(compiled: PerThread, known: Sequence[NDArray[Any]]) -> Program:
    def run(array: Array) -> Array:
        return np.asarray(compiled([array, *known])[0])

    return run


def _with_constants(model: ov.Model, inputs: Sequence[NDArray[Any]], variable: int) -> ov.Model:
    """A copy of a converted module with the shapes of these inputs, constant from `variable` on."""
    model = model.clone()
    parameters = model.get_parameters()
    assert len(parameters) == len(inputs), "every input is used, so none was dropped"
    model.reshape(
        {node.output(0): list(x.shape) for node, x in zip(parameters, inputs, strict=True)}
    )
    for parameter, array in zip(parameters[variable:], inputs[variable:], strict=True):
        constant = ov.op.Constant(np.ascontiguousarray(array), shared_memory=True)
        for reader in parameter.output(0).get_target_inputs():
            reader.replace_source_output(constant.output(0))
        model.remove_parameter(parameter)
    model.validate_nodes_and_infer_types()
    return model
