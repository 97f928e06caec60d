"""StyleGAN2 checkpoints of NVIDIA, rosinality and GenForce; see `layouts`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, get_args

from torch import Tensor

from ...errors import WeightsError
from ..stylegan2 import Architecture, StyleGAN2Config
from .archives import StoredTensor
from .layouts import (
    MAX_MAPPING_LAYERS,
    SIZES,
    Part,
    State,
    affine_parts,
    block_channels,
    collect,
    common_filter,
    mapping_parts,
    mapping_widths,
    read,
    reshaped,
    scaled,
)
from .pickles import Record

Network = tuple[StyleGAN2Config, dict[str, Tensor]]
MAX_MODULES = 2_000  # of a network in a pickle; NVIDIA's have about 100


class Conv(NamedTuple):
    """One 3x3 convolution: our name, its number, block, widths, resolution."""

    ours: str
    layer: int
    block: int
    inputs: int
    outputs: int
    size: int
    up: bool


def convolutions(config: StyleGAN2Config) -> Iterator[Conv]:
    """All 3x3 convolutions in network order."""
    for k, outputs in enumerate(config.channels):
        size = 4 << k
        if k:
            inputs = config.channels[k - 1]
            yield Conv(f"blocks.{k}.conv0", 2 * k - 1, k, inputs, outputs, size, up=True)
        yield Conv(f"blocks.{k}.conv1", 2 * k, k, outputs, outputs, size, up=False)


def rgb_blocks(config: StyleGAN2Config) -> list[int]:
    """Numbers of the blocks that have an RGB layer."""
    count = len(config.channels)
    return list(range(count)) if config.architecture == "skip" else [count - 1]


# rosinality/stylegan2-pytorch: model.py, class Generator


def rosinality(state: State, w_mean: StoredTensor | None) -> Network:
    """The state dict of `g_ema`, and the file's `latent_avg` (which training does not save)."""

    def prefix(layer: int) -> str:
        return f"convs.{layer - 1}" if layer else "conv1"

    channels = block_channels(state, lambda k: f"{prefix(2 * k)}.activate.bias")
    mapping = mapping_widths(state, "style.{i}.weight", first=1)
    config = StyleGAN2Config(4 << (len(channels) - 1), channels, mapping)
    w_dim = mapping[-1]
    parts = mapping_parts(mapping, "style.{i}.weight", "style.{i}.bias", 1.0, first=1)
    parts.append(Part("constant", "input.input", (1, channels[0], 4, 4)))
    for conv in convolutions(config):
        ours, theirs, i, o = conv.ours, prefix(conv.layer), conv.inputs, conv.outputs
        modulation = f"{theirs}.conv.modulation"
        noise = (1, 1, conv.size, conv.size)
        gain = 1 / math.sqrt(9 * i)
        parts += [
            *affine_parts(f"{ours}.affine", f"{modulation}.weight", f"{modulation}.bias", i, w_dim),
            Part(
                f"{ours}.weight",
                f"{theirs}.conv.weight",
                (1, o, i, 3, 3),
                reshaped(o, i, 3, 3, gain=gain),
            ),
            Part(f"{ours}.bias", f"{theirs}.activate.bias", (o,)),
            Part(f"{ours}.noise", f"noises.noise_{conv.layer}", noise),
            Part(f"{ours}.noise_strength", f"{theirs}.noise.weight", (1,), reshaped()),
        ]
    for k in rgb_blocks(config):
        ours, theirs, width = f"blocks.{k}.rgb", f"to_rgbs.{k - 1}" if k else "to_rgb1", channels[k]
        modulation = f"{theirs}.conv.modulation"
        gain = 1 / math.sqrt(width)
        parts += [
            *affine_parts(
                f"{ours}.affine", f"{modulation}.weight", f"{modulation}.bias", width, w_dim
            ),
            Part(
                f"{ours}.weight",
                f"{theirs}.conv.weight",
                (1, 3, width, 1, 1),
                reshaped(3, width, 1, 1, gain=gain),
            ),
            Part(f"{ours}.bias", f"{theirs}.bias", (1, 3, 1, 1), reshaped(3)),
        ]
    kernels = r".*\.(blur|upsample)\.kernel"
    tensors = collect(parts, state, also=kernels)
    tensors["fir"] = common_filter(state, kernels, 0.25)  # theirs holds the upsampling gain of 4
    if w_mean is not None:
        one_row = len(w_mean.shape) == 2  # as `mean_latent` of the same code gives it
        shape = (1, w_dim) if one_row else (w_dim,)
        tensors["w_mean"] = read({"latent_avg": w_mean}, "latent_avg", shape).reshape(-1)
    return config, tensors


# genforce/genforce: models/stylegan2_generator.py


def genforce2(state: State) -> Network:
    """The state dict of `generator_smooth`; its flipped up-convolutions are turned back."""
    if "mapping.label_weight" in state:
        raise WeightsError(
            "a conditional network (mapping.label_weight): not supported, faces only"
        )
    channels = block_channels(state, lambda k: f"synthesis.layer{2 * k}.bias")
    mapping = mapping_widths(state, "mapping.dense{i}.weight")
    architecture: Architecture = "skip" if "synthesis.output0.weight" in state else "orig"
    config = StyleGAN2Config(4 << (len(channels) - 1), channels, mapping, architecture)
    w_dim = mapping[-1]
    parts = mapping_parts(mapping, "mapping.dense{i}.weight", "mapping.dense{i}.bias", 1.0)
    parts.append(Part("constant", "synthesis.early_layer.const", (1, channels[0], 4, 4)))
    parts.append(Part("w_mean", "truncation.w_avg", (w_dim,)))
    for conv in convolutions(config):
        ours, theirs, i, o = conv.ours, f"synthesis.layer{conv.layer}", conv.inputs, conv.outputs
        gain = 1 / math.sqrt(9 * i)
        turn = _flipped(gain) if conv.up else scaled(gain)
        style = (f"{theirs}.style.weight", f"{theirs}.style.bias")
        parts += [
            *affine_parts(f"{ours}.affine", *style, i, w_dim, plus=1.0),
            Part(f"{ours}.weight", f"{theirs}.weight", (o, i, 3, 3), turn),
            Part(f"{ours}.bias", f"{theirs}.bias", (o,)),
            Part(f"{ours}.noise", f"{theirs}.noise", (1, 1, conv.size, conv.size)),
            Part(f"{ours}.noise_strength", f"{theirs}.noise_strength", ()),
        ]
    for k in rgb_blocks(config):
        ours, theirs, width = f"blocks.{k}.rgb", f"synthesis.output{k}", channels[k]
        style = (f"{theirs}.style.weight", f"{theirs}.style.bias")
        gain = 1 / math.sqrt(width)
        parts += [
            *affine_parts(f"{ours}.affine", *style, width, w_dim, plus=1.0),
            Part(f"{ours}.weight", f"{theirs}.weight", (3, width, 1, 1), scaled(gain)),
            Part(f"{ours}.bias", f"{theirs}.bias", (3,)),
        ]
    kernels = r"synthesis\.(layer\d+\.filter|upsample)\.kernel"
    tensors = collect(parts, state, also=kernels)
    tensors["fir"] = common_filter(state, kernels, 0.25)
    return config, tensors


def _flipped(gain: float) -> Callable[[Tensor], Tensor]:
    return lambda weight: weight.flip(2, 3) * gain


# NVlabs/stylegan2-ada-pytorch: training/networks.py; NVlabs/stylegan3: networks_stylegan2.py


def nvidia(generator: Record) -> Network:
    """The persistent object `G_ema`: modules as data, with their attributes."""
    modules: dict[str, Mapping[str, Any]] = {}
    state: dict[str, StoredTensor] = {}
    _flatten(generator, "", modules, state)
    config = _nvidia_config(modules, state)
    channels, w_dim = config.channels, config.mapping[-1]

    def affine(ours: str, module: str, outputs: int) -> list[Part]:
        gain = _number(modules, f"{module}.affine", "weight_gain")
        bias_gain = _number(modules, f"{module}.affine", "bias_gain")
        return [
            Part(f"{ours}.weight", f"{module}.affine.weight", (outputs, w_dim), scaled(gain)),
            Part(f"{ours}.bias", f"{module}.affine.bias", (outputs,), scaled(bias_gain)),
        ]

    parts = _nvidia_mapping(config, modules)
    constant = (channels[0], 4, 4)
    parts.append(Part("constant", "synthesis.b4.const", constant, reshaped(1, *constant)))
    for conv in convolutions(config):
        theirs = f"synthesis.b{conv.size}.conv{0 if conv.up else 1}"
        ours, i, o, size = conv.ours, conv.inputs, conv.outputs, conv.size
        parts += [
            *affine(f"{ours}.affine", theirs, i),
            Part(f"{ours}.weight", f"{theirs}.weight", (o, i, 3, 3)),
            Part(f"{ours}.bias", f"{theirs}.bias", (o,)),
        ]
        if config.noise:
            noise = reshaped(1, 1, size, size)
            parts += [
                Part(f"{ours}.noise", f"{theirs}.noise_const", (size, size), noise),
                Part(f"{ours}.noise_strength", f"{theirs}.noise_strength", ()),
            ]
        if conv.up and config.architecture == "resnet":
            skip = f"synthesis.b{size}.skip"
            gain = scaled(_number(modules, skip, "weight_gain"))
            parts.append(Part(f"blocks.{conv.block}.skip", f"{skip}.weight", (o, i, 1, 1), gain))
    for k in rgb_blocks(config):
        ours, theirs, width = f"blocks.{k}.rgb", f"synthesis.b{4 << k}.torgb", channels[k]
        gain = scaled(_number(modules, theirs, "weight_gain"))
        parts += [
            *affine(f"{ours}.affine", theirs, width),
            Part(f"{ours}.weight", f"{theirs}.weight", (3, width, 1, 1), gain),
            Part(f"{ours}.bias", f"{theirs}.bias", (3,)),
        ]
    # conv1 has a filter too, always the default one, and never uses it.
    used = r"synthesis\.b\d+\.((conv0|skip)\.)?resample_filter"
    tensors = collect(parts, state, also=rf"{used}|synthesis\.b\d+\.conv1\.resample_filter")
    tensors["fir"] = common_filter(state, used, 1.0)
    return config, tensors


def _flatten(
    module: Any, path: str, modules: dict[str, Mapping[str, Any]], state: dict[str, StoredTensor]
) -> None:
    """Attributes of every module and all its tensors, by their dotted names."""
    if not isinstance(module, Record) or not isinstance(module.state, dict):
        raise WeightsError(f"expected a module at {path or 'G_ema'}")
    if len(modules) >= MAX_MODULES:
        raise WeightsError(f"a network of more than {MAX_MODULES} modules")
    modules[path] = module.state
    for group in ("_parameters", "_buffers"):
        for name, value in _children(module, group):
            if isinstance(value, StoredTensor):
                state[f"{path}.{name}".lstrip(".")] = value
            elif value is not None:
                raise WeightsError(f"{path}.{name}: expected a tensor")
    for name, child in _children(module, "_modules"):
        if child is not None:
            _flatten(child, f"{path}.{name}".lstrip("."), modules, state)


def _children(module: Record, group: str) -> list[tuple[str, Any]]:
    entries = module.state.get(group)
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise WeightsError(f"a {module.kind!a} without its {group}")
    return list(entries.items())


def _attribute(modules: Mapping[str, Mapping[str, Any]], path: str, name: str) -> Any:
    if path not in modules:
        raise WeightsError(f"the module {path} is missing")
    if name not in modules[path]:
        raise WeightsError(f"{path or 'G_ema'} lacks {name}: another network than StyleGAN2?")
    return modules[path][name]


def _number(modules: Mapping[str, Mapping[str, Any]], path: str, name: str) -> float:
    value = _attribute(modules, path, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise WeightsError(f"{path}.{name}: expected a positive number")
    return float(value)


def _whole(modules: Mapping[str, Mapping[str, Any]], path: str, name: str) -> int:
    value = _attribute(modules, path, name)
    if type(value) is not int or not 0 <= value < 1 << 20:
        raise WeightsError(f"{path or 'G_ema'}.{name}: expected a whole number")
    return value


def _nvidia_config(modules: Mapping[str, Mapping[str, Any]], state: State) -> StyleGAN2Config:
    """Architecture and options from the modules' attributes; what cannot be had is refused."""
    if _whole(modules, "", "c_dim"):
        raise WeightsError(
            "a conditional network (c_dim > 0): not supported, "
            "its latent space is a different one for every class; give an unconditional one"
        )
    if "synthesis" in modules and "synthesis.b4" not in modules and "synthesis.input" in modules:
        raise WeightsError("a StyleGAN3 network: only StyleGAN 1 and 2 are supported")
    size, colors = _whole(modules, "", "img_resolution"), _whole(modules, "", "img_channels")
    if size not in SIZES or colors != 3:
        raise WeightsError(f"an image of {size} px and {colors} channels; expected 8 to 2048 px, 3")
    channels = block_channels(state, lambda k: f"synthesis.b{4 << k}.conv1.bias", size)
    architecture = _attribute(modules, "synthesis.b4", "architecture")
    if architecture not in get_args(Architecture):
        raise WeightsError(f"unknown architecture {architecture!a}")
    layers = [f"synthesis.b{4 << k}.conv1" for k in range(len(channels))]
    layers += [f"synthesis.b{4 << k}.conv0" for k in range(1, len(channels))]
    for path in layers:
        if _attribute(modules, path, "activation") != "lrelu":
            raise WeightsError(f"{path}: only the activation lrelu is supported")
    clamps = [_attribute(modules, path, "conv_clamp") for path in layers]
    noises = [_attribute(modules, path, "use_noise") for path in layers]
    clamp, noise = clamps[0], noises[0]
    positive = isinstance(clamp, int | float) and not isinstance(clamp, bool) and clamp > 0
    if any(other != clamp for other in clamps) or not (clamp is None or positive):
        raise WeightsError("conv_clamp: expected one positive number, or None, for all layers")
    if any(other is not noise for other in noises) or not isinstance(noise, bool):
        raise WeightsError("use_noise: expected the same for all layers")
    mapping = mapping_widths(state, "mapping.fc{i}.weight")
    if len(mapping) - 1 != _whole(modules, "mapping", "num_layers"):
        raise WeightsError(f"a mapping network with {len(mapping) - 1} layers, not as announced")
    clamp = None if clamp is None else float(clamp)
    return StyleGAN2Config(size, channels, mapping, architecture, clamp, noise)


def _nvidia_mapping(
    config: StyleGAN2Config, modules: Mapping[str, Mapping[str, Any]]
) -> list[Part]:
    tracked = _attribute(modules, "mapping", "w_avg_beta") is not None
    parts = [Part("w_mean", "mapping.w_avg", (config.mapping[-1],))] if tracked else []
    assert len(config.mapping) <= MAX_MAPPING_LAYERS + 1
    for i in range(len(config.mapping) - 1):
        path, ours = f"mapping.fc{i}", f"mapping.layers.{i}"
        if _attribute(modules, path, "activation") != "lrelu":
            raise WeightsError(f"{path}: only the activation lrelu is supported")
        shape = (config.mapping[i + 1], config.mapping[i])
        gain, bias_gain = (_number(modules, path, f"{name}_gain") for name in ("weight", "bias"))
        parts += [
            Part(f"{ours}.weight", f"{path}.weight", shape, scaled(gain)),
            Part(f"{ours}.bias", f"{path}.bias", shape[:1], scaled(bias_gain)),
        ]
    return parts
