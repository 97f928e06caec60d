"""The built-in generator as far as no PyTorch is needed: shape, weights, fingerprint.

MobileStyleGAN-FFHQ is published as an OpenVINO IR inside the wheel `random-face`, which serves as a
container of weights here. `mobile` is the network; its passes come with the package as programs
(`programs.shipped`).
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from ..files import codes
from ..types import WIDTH, LatentCode
from ..weights import store
from .spec import Spec

Array = NDArray[np.float32]

WIDTHS = (512, 512, 512, 512, 512, 256, 128, 64)  # channels at 4, 8, ..., 512 px
ROWS = 2 * len(WIDTHS)
SIZE = 8 << (len(WIDTHS) - 1)
LAYER_SIZES = (4, *(8 << k for k in range(7) for _ in (1, 2)))
ROW_SIZES = (*LAYER_SIZES, SIZE)
NOISES = ("finish.noise", *(f"blocks.{k}.conv{i}.finish.noise" for k in range(7) for i in (1, 2)))
MAPPING_LAYERS, MAPPING_GAIN = 8, 2**0.5  # dense layers from z to w; a factor after each
MEAN, MEAN_FORMAT = "data/mean.safetensors", "duchenne-mean-1"


class BuiltIn:
    """The built-in generator without its network (`mobile.load`)."""

    z_dim, rows, size, row_sizes, layer_sizes = WIDTH, ROWS, SIZE, ROW_SIZES, LAYER_SIZES

    @functools.cached_property
    def weights(self) -> Weights:
        return weights()

    @property
    def fingerprint(self) -> str:
        return self.weights.fingerprint


@dataclass(frozen=True)
class Weights:
    """arrays: float32, by the names of `mobile.MobileStyleGAN`, the mean of W among them."""

    arrays: Mapping[str, Array]
    fingerprint: str


def weights() -> Weights:
    """Read and checked."""
    parts = {kind: store.read(f"mobilestylegan-{kind}") for kind in _IR_FILES}
    core = ov.Core()
    mapping = core.read_model(parts["mapping-xml"], parts["mapping-bin"])
    synthesis = core.read_model(parts["synthesis-xml"], parts["synthesis-bin"])
    content = hashlib.sha256(parts["mapping-bin"])
    content.update(parts["synthesis-bin"])
    digest = content.hexdigest()
    arrays = {**_mapping_state(mapping), **_synthesis_state(synthesis), "w_mean": mean()}
    return Weights(arrays, f"mobilestylegan-ffhq-{digest[:12]}")


def mean() -> Array:
    """[512], the centre of W, as `mobile.estimated_mean` found it."""
    with resources.as_file(resources.files("duchenne") / MEAN) as path:
        tensors, _ = codes.read_tensors(path, MEAN_FORMAT, "the mean of W")
    return np.asarray(tensors["w_mean"], np.float32)


def average_face(spec: Spec) -> LatentCode:
    """The code of `mean`: a face for whoever needs any, without PyTorch.

    spec: of the built-in generator, or of one that stands in for it.
    """
    return LatentCode(np.repeat(mean()[None], spec.rows, axis=0), spec.fingerprint)


_IR_FILES = ("mapping-xml", "mapping-bin", "synthesis-xml", "synthesis-bin")


def _constants(node: Any) -> list[Array]:
    """The constant inputs of an IR node, as float32 arrays."""
    sources = (port.get_source_output().get_node() for port in node.inputs())
    return [np.array(s.get_data()) for s in sources if s.get_type_name() == "Constant"]


def _next(node: Any, kind: str) -> Any:
    """The consumer of a node's output that has the given type."""
    consumers = (port.get_node() for port in node.output(0).get_target_inputs())
    return next(c for c in consumers if c.get_type_name() == kind)


def _mapping_state(model: Any) -> dict[str, Array]:
    state: dict[str, Array] = {}
    layers = [op for op in model.get_ordered_ops() if op.get_type_name() == "MatMul"]
    for i, matmul in enumerate(layers):
        weight = _constants(matmul)[0]
        if not matmul.get_attributes()["transpose_b"]:
            weight = weight.T
        state[f"mapping.layers.{i}.weight"] = weight
        state[f"mapping.layers.{i}.bias"] = _constants(_next(matmul, "Add"))[0][0]
    return state


def _synthesis_state(model: Any) -> dict[str, Array]:
    """Walk the IR in execution order and give every constant its name in the module."""
    ops = model.get_ordered_ops()
    affines = sorted(
        (op for op in ops if op.get_type_name() == "MatMul"),
        key=lambda op: int(
            re.findall(r"\d+", op.get_friendly_name())[0]
        ),  # "Gemm_N": network order
    )
    convolutions = [op for op in ops if op.get_type_name() == "Convolution"]
    depthwise = [op for op in ops if op.get_type_name() == "GroupConvolution"]
    constant = next(op for op in ops if op.get_friendly_name() == "m.input.input")

    separable = [f"blocks.{k}.conv{i}" for k in range(7) for i in (1, 2)]
    affine_names = ["affine"]
    for k in range(7):
        affine_names += [f"blocks.{k}.up", f"blocks.{k}.conv1.affine", f"blocks.{k}.conv2.affine"]
    affine_names.append("rgb_affine")

    state: dict[str, Array] = {"constant": np.array(constant.get_data())}
    for name, matmul in zip(affine_names, affines, strict=True):
        state |= _affine(name, matmul)
    for name, op in zip(separable, depthwise, strict=True):
        weight = _constants(op)[0]
        state[f"{name}.depthwise.weight"] = weight.reshape(weight.shape[0], 1, 3, 3)
    dense = ["conv", *(f"{name}.pointwise" for name in separable), "rgb"]
    finishes = ["finish", *(f"{name}.finish" for name in separable)]
    for name, op in zip(dense, convolutions, strict=True):
        state[f"{name}.weight"] = _constants(op)[0]
    for name, op in zip(finishes, convolutions[:-1], strict=True):
        noise = _next(op, "Add")
        state[f"{name}.noise"] = _constants(noise)[0]
        state[f"{name}.bias"] = _constants(_next(noise, "Add"))[0]
    state["rgb.bias"] = _constants(_next(convolutions[-1], "Add"))[0].reshape(-1)
    _interleave_bands(state)
    return state


def _interleave_bands(state: dict[str, Array]) -> None:
    """Reorder the channels that a wavelet reads from the IR's order to that of `inverse_haar`.

    The IR has the low bands of all channels first, then every channel's three details.
    """
    producers = [("conv", "finish"), *(_names_of_conv2(k) for k in range(6)), ("rgb", "rgb")]
    readers = [*(f"blocks.{k}.up" for k in range(7)), None]
    for (conv, bias), up in zip(producers, readers, strict=True):
        channels = len(state[f"{conv}.weight"])
        low, details = np.split(np.arange(channels), [channels // 4])
        order = np.column_stack([low, details.reshape(-1, 3)]).ravel()
        state[f"{conv}.weight"] = state[f"{conv}.weight"][order]
        values = state[f"{bias}.bias"]
        state[f"{bias}.bias"] = values.reshape(-1)[order].reshape(values.shape)
        if up is not None:
            state[f"{up}.weight"] = state[f"{up}.weight"][order]
            state[f"{up}.bias"] = state[f"{up}.bias"][order]


def _names_of_conv2(k: int) -> tuple[str, str]:
    return f"blocks.{k}.conv2.pointwise", f"blocks.{k}.conv2.finish"


def _affine(name: str, matmul: Any) -> Mapping[str, Array]:
    """Weight and bias of a style affine, with the scalar gain that follows it folded in."""
    add = _next(matmul, "Add")
    scale = _next(_next(add, "Reshape"), "Multiply")
    gains = _constants(scale)
    gain = float(gains[0].reshape(-1)[0]) if gains else 1.0
    return {
        f"{name}.weight": _constants(matmul)[0] * gain,
        f"{name}.bias": _constants(add)[0].reshape(-1) * gain,
    }
