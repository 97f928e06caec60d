"""StyleGAN checkpoints of GenForce and of its older relatives; see `layouts`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import WeightsError
from ..stylegan1 import BLUR, StyleGAN1Config
from .layouts import (
    Part,
    State,
    affine_parts,
    block_channels,
    collect,
    mapping_parts,
    mapping_widths,
    read,
    scaled,
)

GAIN = math.sqrt(2.0)  # He initialisation, part of every weight's run-time gain but RGB and style
OFFICIAL_FUSED_FROM = 128


@dataclass(frozen=True)
class Names:
    """How a format names the parts of a layer; {i} is its number.

    marker: a tensor that only this format has. fused_weight: where a fused up-convolution has a
    name of its own, and is stored [k, k, in, out]; None where it is stored like all others.
    """

    marker: str
    dense: str
    dense_bias: str
    constant: str
    weight: str
    epilogue: str
    style: str
    style_bias: str
    rgb: str
    fused_weight: str | None


# genforce/genforce: models/stylegan_generator.py
GENFORCE = Names(
    marker="mapping.dense0.weight",
    dense="mapping.dense{i}.weight",
    dense_bias="mapping.dense{i}.bias",
    constant="synthesis.layer0.const",
    weight="synthesis.layer{i}.weight",
    epilogue="synthesis.layer{i}",
    style="style.weight",
    style_bias="style.bias",
    rgb="synthesis.output{i}.weight",
    fused_weight=None,
)


def _older(linear: str, constant: str) -> Names:
    style = "style_mod.dense"
    return Names(
        marker=f"mapping.dense0.{linear}.weight",
        dense=f"mapping.dense{{i}}.{linear}.weight",
        dense_bias="mapping.dense{i}.wscale.bias",
        constant=f"synthesis.layer0.{constant}",
        weight="synthesis.layer{i}.conv.weight",
        epilogue="synthesis.layer{i}.epilogue",
        style=f"{style}.{linear}.weight",
        style_bias=f"{style}.wscale.bias",
        rgb="synthesis.output{i}.conv.weight",
        fused_weight="synthesis.layer{i}.weight",
    )


# genforce/interfacegan: models/stylegan_generator_model.py
INTERFACEGAN = _older("linear", "first_layer")
# genforce/idinvert_pytorch: models/stylegan_generator_network.py
IDINVERT = _older("fc", "const")
FORMATS = (GENFORCE, INTERFACEGAN, IDINVERT)


def stylegan1(state: State, names: Names) -> tuple[StyleGAN1Config, dict[str, Tensor]]:
    """The state dict of a generator in one of the `FORMATS`."""
    _refuse_variants(state, names)
    channels = block_channels(state, lambda k: f"{names.epilogue.format(i=2 * k + 1)}.bias")
    mapping = mapping_widths(state, names.dense)
    fused_from = _fused_from(state, names, len(channels))
    config = StyleGAN1Config(4 << (len(channels) - 1), channels, mapping, fused_from)
    w_dim, last = mapping[-1], len(channels) - 1
    parts = mapping_parts(mapping, names.dense, names.dense_bias, GAIN)
    parts.append(Part("w_mean", "truncation.w_avg", (w_dim,)))
    parts.append(Part("constant", names.constant, (1, channels[0], 4, 4)))
    for i in range(2 * len(channels)):
        ours, width, size = f"layers.{i}", channels[i // 2], 4 << (i // 2)
        inputs = channels[(i - 1) // 2]
        epilogue = names.epilogue.format(i=i)
        style = (f"{epilogue}.{names.style}", f"{epilogue}.{names.style_bias}")
        noise = f"{epilogue}.apply_noise"
        if i:
            parts.append(_weight(names, i, inputs, width, fused=i % 2 == 0 and size >= fused_from))
        parts += [
            Part(f"{ours}.bias", f"{epilogue}.bias", (width,)),
            Part(f"{ours}.noise_strength", f"{noise}.weight", (width,)),
            Part(f"{ours}.noise", f"{noise}.noise", (1, 1, size, size)),
            *affine_parts(f"{ours}.affine", *style, 2 * width, w_dim),
        ]
        if i and i % 2 == 0:
            _check_blur(state, f"synthesis.layer{i}.blur.kernel", width)
    rgb_shape, rgb_gain = (3, channels[-1], 1, 1), 1 / math.sqrt(channels[-1])
    parts += [
        Part("rgb.weight", names.rgb.format(i=last), rgb_shape, scaled(rgb_gain)),
        Part("rgb.bias", f"synthesis.output{last}.bias", (3,)),
    ]
    unused = r"synthesis\.(lod|layer\d+\.blur\.kernel|output\d+\.(conv\.)?(weight|bias))"
    tensors = collect(parts, state, also=rf"{unused}|truncation\.truncation")
    return config, tensors


def _weight(names: Names, i: int, inputs: int, outputs: int, fused: bool) -> Part:
    gain = GAIN / math.sqrt(9 * inputs)
    if fused and names.fused_weight is not None:
        shape = (3, 3, inputs, outputs)
        return Part(
            f"layers.{i}.weight",
            names.fused_weight.format(i=i),
            shape,
            lambda weight: weight.permute(3, 2, 0, 1) * gain,
        )
    shape = (outputs, inputs, 3, 3)
    return Part(f"layers.{i}.weight", names.weight.format(i=i), shape, scaled(gain))


def _fused_from(state: State, names: Names, blocks: int) -> int:
    """First resolution with a fused up-convolution.

    GenForce's state dict does not tell; the official networks and its own default switch at 128 px.
    The older formats store the two kinds under different names.
    """
    if names.fused_weight is None:
        return OFFICIAL_FUSED_FROM
    for k in range(1, blocks):
        if names.fused_weight.format(i=2 * k) in state:
            return 4 << k
    return max(4 << blocks, OFFICIAL_FUSED_FROM)


def _refuse_variants(state: State, names: Names) -> None:
    """Options of the original code that this network does not have."""
    if "mapping.label_weight" in state:
        raise WeightsError(
            "a conditional network (mapping.label_weight): not supported, faces only"
        )
    if "synthesis.lod" in state:
        lod = read(state, "synthesis.lod", ()).item()
        if lod != 0:
            raise WeightsError(
                f"a network still growing (level of detail {lod:g}): expected a finished one, 0"
            )
    if names.constant not in state:
        raise WeightsError(f"the tensor {names.constant} is missing")


def _check_blur(state: State, name: str, channels: int) -> None:
    """The blur kernel is a buffer; it must be the filter that `stylegan1.blur` applies."""
    kernel = read(state, name, (channels, 1, 3, 3))
    taps = torch.tensor(BLUR)
    if not torch.allclose(kernel, torch.outer(taps, taps).expand_as(kernel), atol=1e-5):
        raise WeightsError(f"{name} is not the binomial filter 1 2 1")
