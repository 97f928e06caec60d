"""Small seeded checkpoints in exactly the layouts that other tools write.

NVIDIA's network pickles are made by Python's own pickler from stand-ins that reduce themselves as
`torch_utils.persistence` does; PyTorch's files by `torch.save`. The numbers are random; widths are
small unless a test asks for the official ones.
"""

from __future__ import annotations

import argparse
import math
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

W_DIM = 32
SOURCE = "raise SystemExit('the source code inside a checkpoint was run')\n"
TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0])
FIR = torch.outer(TAPS, TAPS) / 64
BINOMIAL = torch.outer(torch.tensor([1.0, 2.0, 1.0]), torch.tensor([1.0, 2.0, 1.0])) / 16


class Draw:
    """Random tensors of one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=self.rng) * scale


def widths(size: int, base: int, most: int) -> dict[int, int]:
    """Channels at every resolution: min(base / resolution, most), as in all official code."""
    return {4 << k: min(base // (4 << k), most) for k in range(int(math.log2(size)) - 1)}


# NVIDIA


class EasyDict(dict):  # type: ignore[type-arg]
    """Pickles as dnnlib.util.EasyDict."""


class Persistent:
    """Pickles as an object of a `persistent_class`."""

    def __init__(self, class_name: str, state: dict[str, Any]) -> None:
        self.class_name, self.state = class_name, state

    def __reduce__(self) -> Any:
        reconstruct = sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj
        meta = {
            "type": "class",
            "version": 6,
            "module_src": SOURCE,
            "class_name": self.class_name,
            "state": self.state,
        }
        return reconstruct, (meta,), None


@contextmanager
def nvidia_modules() -> Iterator[None]:
    """While it lasts, the pickler finds NVIDIA's module names."""
    package, persistence = types.ModuleType("torch_utils"), types.ModuleType("p")
    dnnlib, util = types.ModuleType("dnnlib"), types.ModuleType("u")

    def _reconstruct_persistent_obj(meta: dict[str, Any]) -> None:
        raise AssertionError("a checkpoint's object was reconstructed")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    EasyDict.__module__ = "dnnlib.util"
    util.EasyDict = EasyDict  # type: ignore[attr-defined]
    package.persistence, dnnlib.util = persistence, util  # type: ignore[attr-defined]
    added = {
        "torch_utils": package,
        "torch_utils.persistence": persistence,
        "dnnlib": dnnlib,
        "dnnlib.util": util,
    }
    sys.modules.update(added)
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


def module(
    class_name: str,
    attributes: dict[str, Any],
    parameters: dict[str, Tensor | None] | None = None,
    buffers: dict[str, Tensor] | None = None,
    modules: dict[str, Any] | None = None,
) -> Persistent:
    """A module's `__dict__` as PyTorch makes it."""
    state = dict(torch.nn.Module().eval().__dict__)
    state["_parameters"] = OrderedDict(
        (name, None if value is None else torch.nn.Parameter(value, requires_grad=False))
        for name, value in (parameters or {}).items()
    )
    state["_buffers"] = OrderedDict(buffers or {})
    state["_modules"] = OrderedDict(modules or {})
    init = {"_init_args": (), "_init_kwargs": EasyDict(attributes)}
    return Persistent(class_name, {**state, **attributes, **init})


def _dense(draw: Draw, inputs: int, outputs: int, activation: str, lr: float) -> Persistent:
    shift = 1.0 if activation == "linear" else 0.0
    attributes = {
        "activation": activation,
        "weight_gain": lr / np.sqrt(inputs),  # a numpy float, as in the original
        "bias_gain": lr,
    }
    weights = {
        "weight": draw(outputs, inputs, scale=1 / lr),
        "bias": draw(outputs, scale=0.2 / lr) + shift,
    }
    return module("FullyConnectedLayer", attributes, dict(weights))


def _layer(
    draw: Draw, inputs: int, outputs: int, size: int, up: int, options: dict[str, Any]
) -> Persistent:
    attributes = {
        "resolution": size,
        "up": up,
        "use_noise": options["use_noise"],
        "activation": "lrelu",
        "conv_clamp": options["conv_clamp"],
        "padding": 1,
        "act_gain": np.sqrt(2),
    }
    weight = draw(outputs, inputs, 3, 3)
    if options["channels_last"]:
        weight = weight.to(memory_format=torch.channels_last)
    parameters: dict[str, Tensor | None] = {"weight": weight}
    buffers = {"resample_filter": FIR.clone()}
    if options["use_noise"]:
        parameters["noise_strength"] = draw(scale=0.3)
        buffers["noise_const"] = draw(size, size)
    parameters["bias"] = draw(outputs, scale=0.2)
    affine = _dense(draw, W_DIM, inputs, "linear", 1)
    return module("SynthesisLayer", attributes, parameters, buffers, {"affine": affine})


def _rgb(draw: Draw, inputs: int, options: dict[str, Any]) -> Persistent:
    attributes = {"conv_clamp": options["conv_clamp"], "weight_gain": 1 / np.sqrt(inputs)}
    parameters: dict[str, Tensor | None] = {
        "weight": draw(3, inputs, 1, 1),
        "bias": draw(3, scale=0.2),
    }
    affine = _dense(draw, W_DIM, inputs, "linear", 1)
    return module("ToRGBLayer", attributes, parameters, {}, {"affine": affine})


def nvidia_generator(
    size: int = 32,
    base: int = 256,
    most: int = 16,
    architecture: str = "skip",
    conv_clamp: float | None = None,
    use_noise: bool = True,
    c_dim: int = 0,
    mapping_layers: int = 2,
    channels_last: bool = False,
    seed: int = 0,
) -> Persistent:
    """G_ema of stylegan2-ada-pytorch."""
    draw = Draw(seed)
    options = {"use_noise": use_noise, "conv_clamp": conv_clamp, "channels_last": channels_last}
    channels = widths(size, base, most)
    blocks: dict[str, Any] = {}
    for k, (resolution, width) in enumerate(channels.items()):
        before = channels[resolution // 2] if k else 0
        modules: dict[str, Any] = {}
        parameters: dict[str, Tensor | None] = {}
        if k:
            modules["conv0"] = _layer(draw, before, width, resolution, 2, options)
        else:
            parameters["const"] = draw(width, 4, 4)
        modules["conv1"] = _layer(draw, width, width, resolution, 1, options)
        last = resolution == size
        if last or architecture == "skip":
            modules["torgb"] = _rgb(draw, width, options)
        if k and architecture == "resnet":
            modules["skip"] = module(
                "Conv2dLayer",
                {"activation": "linear", "up": 2, "weight_gain": 1 / np.sqrt(before)},
                {"weight": draw(width, before, 1, 1), "bias": None},
                {"resample_filter": FIR.clone()},
            )
        attributes = {
            "in_channels": before,
            "resolution": resolution,
            "architecture": architecture,
            "is_last": last,
            "use_fp16": False,
        }
        filters = {"resample_filter": FIR.clone()}
        blocks[f"b{resolution}"] = module(
            "SynthesisBlock", attributes, parameters, filters, modules
        )
    dense = {f"fc{i}": _dense(draw, W_DIM, W_DIM, "lrelu", 0.01) for i in range(mapping_layers)}
    rows = 2 * len(channels)
    mapping = module(
        "MappingNetwork",
        {"z_dim": W_DIM, "c_dim": c_dim, "w_dim": W_DIM, "num_ws": rows}
        | {"num_layers": mapping_layers, "w_avg_beta": 0.995},
        {},
        {"w_avg": draw(W_DIM, scale=0.1)},
        dense,
    )
    synthesis = module(
        "SynthesisNetwork",
        {"w_dim": W_DIM, "img_resolution": size, "img_channels": 3, "num_ws": rows},
        modules=blocks,
    )
    return module(
        "Generator",
        {"z_dim": W_DIM, "c_dim": c_dim, "w_dim": W_DIM, "num_ws": rows}
        | {"img_resolution": size, "img_channels": 3},
        modules={"synthesis": synthesis, "mapping": mapping},
    )


def nvidia_bytes(generator: Any, protocol: int = 4, **more: Any) -> bytes:
    """A network pickle as training writes it."""
    contents = {
        "training_set_kwargs": {"class_name": "training.dataset.ImageFolderDataset", "path": "d"},
        "G": generator,
        "D": module("Discriminator", {"c_dim": 0}, {"weight": torch.ones(3)}),
        "augment_pipe": None,
        "G_ema": generator,
        **more,
    }
    with nvidia_modules():
        return pickle.dumps(contents, protocol)


def nvidia_state(generator: Persistent, path: str = "") -> dict[str, Any]:
    """Dotted names to tensors and attributes, for the slow reference."""
    found: dict[str, Any] = {}
    for group in ("_parameters", "_buffers"):
        for name, value in generator.state[group].items():
            found[f"{path}{name}"] = value
    for name, value in generator.state.items():
        if not name.startswith("_"):
            found[f"{path}{name}"] = value
    for name, child in generator.state["_modules"].items():
        found |= nvidia_state(child, f"{path}{name}.")
    return found


# PyTorch files


def rosinality_state(size: int = 32, base: int = 256, most: int = 16, seed: int = 0) -> Any:
    """`g_ema` of rosinality/stylegan2-pytorch."""
    draw = Draw(seed)
    channels = widths(size, base, most)
    state: dict[str, Tensor] = OrderedDict()

    def styled(name: str, inputs: int, outputs: int, up: bool) -> None:
        state[f"{name}.conv.weight"] = draw(1, outputs, inputs, 3, 3)
        if up:
            state[f"{name}.conv.blur.kernel"] = FIR * 4
        state[f"{name}.conv.modulation.weight"] = draw(inputs, W_DIM)
        state[f"{name}.conv.modulation.bias"] = draw(inputs, scale=0.2) + 1
        state[f"{name}.noise.weight"] = draw(1, scale=0.3)
        state[f"{name}.activate.bias"] = draw(outputs, scale=0.2)

    def rgb(name: str, inputs: int, up: bool) -> None:
        state[f"{name}.bias"] = draw(1, 3, 1, 1, scale=0.2)
        if up:
            state[f"{name}.upsample.kernel"] = FIR * 4
        state[f"{name}.conv.weight"] = draw(1, 3, inputs, 1, 1)
        state[f"{name}.conv.modulation.weight"] = draw(inputs, W_DIM)
        state[f"{name}.conv.modulation.bias"] = draw(inputs, scale=0.2) + 1

    for i in (1, 2):
        state[f"style.{i}.weight"] = draw(W_DIM, W_DIM, scale=100.0)
        state[f"style.{i}.bias"] = draw(W_DIM, scale=20.0)
    state["input.input"] = draw(1, channels[4], 4, 4)
    styled("conv1", channels[4], channels[4], up=False)
    rgb("to_rgb1", channels[4], up=False)
    sizes = list(channels)
    for k in range(1, len(sizes)):
        before, width = channels[sizes[k - 1]], channels[sizes[k]]
        styled(f"convs.{2 * k - 2}", before, width, up=True)
        styled(f"convs.{2 * k - 1}", width, width, up=False)
        rgb(f"to_rgbs.{k - 1}", width, up=True)
    for i in range(2 * len(sizes) - 1):
        side = sizes[(i + 1) // 2]
        state[f"noises.noise_{i}"] = draw(1, 1, side, side)
    return state


def rosinality_contents(state: Any, seed: int = 7) -> dict[str, Any]:
    """A checkpoint that `convert_weight.py` would write."""
    return {"g_ema": state, "latent_avg": Draw(seed)(W_DIM, scale=0.1)}


def rosinality_training(state: Any) -> dict[str, Any]:
    """One that `train.py` would write: optimisers, the command line, no average w."""
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([weight], lr=0.002)
    weight.sum().backward()
    optimizer.step()
    return {
        "g": state,
        "d": {"weight": torch.ones(2)},
        "g_ema": state,
        "g_optim": optimizer.state_dict(),
        "args": argparse.Namespace(path="lmdb", size=32, r1=10.0, wandb=False),
        "ada_aug_p": 0.0,
    }


def genforce_state(size: int = 32, base: int = 256, most: int = 16, seed: int = 0) -> Any:
    """`generator_smooth` of GenForce's StyleGAN."""
    draw = Draw(seed)
    channels = widths(size, base, most)
    state: dict[str, Tensor] = OrderedDict()
    for i in range(2):
        state[f"mapping.dense{i}.weight"] = draw(W_DIM, W_DIM, scale=100.0)
        state[f"mapping.dense{i}.bias"] = draw(W_DIM, scale=20.0)
    state["truncation.w_avg"] = draw(W_DIM, scale=0.1)
    state["synthesis.lod"] = torch.zeros(())
    for k, (side, width) in enumerate(channels.items()):
        before = channels[side // 2] if k else width
        for i, inputs in ((2 * k, before), (2 * k + 1, width)):
            name = f"synthesis.layer{i}"
            state[f"{name}.bias"] = draw(width, scale=0.2)
            if i:
                state[f"{name}.weight"] = draw(width, inputs, 3, 3)
            else:
                state[f"{name}.const"] = draw(1, width, 4, 4)
            state[f"{name}.apply_noise.weight"] = draw(width, scale=0.3)
            state[f"{name}.apply_noise.noise"] = draw(1, 1, side, side)
            state[f"{name}.style.weight"] = draw(2 * width, W_DIM)
            state[f"{name}.style.bias"] = draw(2 * width, scale=0.2)
            if i and i % 2 == 0:
                state[f"{name}.blur.kernel"] = BINOMIAL.expand(width, 1, 3, 3).clone()
        state[f"synthesis.output{k}.weight"] = draw(3, width, 1, 1)
        state[f"synthesis.output{k}.bias"] = draw(3, scale=0.2)
    return state


def older_genforce_state(state: Any, linear: str, constant: str) -> Any:
    """The same network under InterFaceGAN's names ("linear", "first_layer") or idinvert's."""
    renamed: dict[str, Tensor] = OrderedDict()
    for name, value in state.items():
        parts = name.split(".")
        side = 4 << (int(parts[1][5:]) // 2) if parts[1].startswith("layer") else 0
        if parts[0] == "mapping":
            parts[2] = {"weight": f"{linear}.weight", "bias": "wscale.bias"}[parts[2]]
        elif parts[1].startswith("output") and parts[2] == "weight":
            parts[2] = "conv.weight"
        elif side and parts[2] == "const":
            parts[2] = constant
        elif side and parts[2] == "weight":
            fused = side >= 128 and int(parts[1][5:]) % 2 == 0
            parts[2] = "weight" if fused else "conv.weight"
            value = value.permute(2, 3, 1, 0).contiguous() if fused else value
        elif side and parts[2] == "style":
            tail = {"weight": f"{linear}.weight", "bias": "wscale.bias"}[parts[3]]
            parts[2:] = ["epilogue", "style_mod", "dense", tail]
        elif side and parts[2] != "blur":
            parts.insert(2, "epilogue")
        renamed[".".join(parts)] = value
    return renamed


def genforce2_state(size: int = 32, base: int = 256, most: int = 16, seed: int = 0) -> Any:
    """`generator_smooth` of GenForce's StyleGAN2."""
    draw = Draw(seed)
    channels = widths(size, base, most)
    state: dict[str, Tensor] = OrderedDict()
    for i in range(2):
        state[f"mapping.dense{i}.weight"] = draw(W_DIM, W_DIM, scale=100.0)
        state[f"mapping.dense{i}.bias"] = draw(W_DIM, scale=20.0)
    state["truncation.w_avg"] = draw(W_DIM, scale=0.1)
    state["synthesis.early_layer.const"] = draw(1, channels[4], 4, 4)

    def modulated(name: str, inputs: int, outputs: int, k: int) -> None:
        state[f"{name}.weight"] = draw(outputs, inputs, k, k)
        state[f"{name}.bias"] = draw(outputs, scale=0.2)
        state[f"{name}.style.weight"] = draw(inputs, W_DIM)
        state[f"{name}.style.bias"] = draw(inputs, scale=0.2)

    for k, (side, width) in enumerate(channels.items()):
        for i in (2 * k - 1, 2 * k):
            if i < 0:
                continue
            name = f"synthesis.layer{i}"
            modulated(name, channels[side // 2] if i % 2 else width, width, 3)
            state[f"{name}.noise_strength"] = draw(scale=0.3)
            state[f"{name}.noise"] = draw(1, 1, side, side)
            if i % 2:
                state[f"{name}.filter.kernel"] = (FIR * 4)[None, None]
        modulated(f"synthesis.output{k}", width, 3, 1)
    state["synthesis.upsample.kernel"] = (FIR * 4)[None, None]
    return state


def save(contents: Any, path: Path, zipped: bool = True) -> Path:
    """torch.save, in the current zip format or the one before PyTorch 1.6."""
    torch.save(contents, path, _use_new_zipfile_serialization=zipped)
    return path
