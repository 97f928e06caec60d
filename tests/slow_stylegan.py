"""The published generators again, written for the tests: slow, one image and one step at a time.

Weights are modulated image by image and upsampling puts zeros between pixels, as the papers say;
each function reads a checkpoint under its own tool's names and applies that tool's gains.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from foreign import FIR
from torch import Tensor
from torch.nn import functional as F


def spread(x: Tensor) -> Tensor:
    """Zeros after every pixel: [B, C, h, w] -> [B, C, 2 h, 2 w]."""
    b, c, h, w = x.shape
    out = torch.zeros(b, c, 2 * h, 2 * w)
    out[:, :, ::2, ::2] = x
    return out


def smooth(x: Tensor, before: int, after: int) -> Tensor:
    """FIR filter with the upsampling gain of 4, after zero padding."""
    x = F.pad(x, (before, after, before, after))
    kernel = (FIR.flip(0, 1) * 4).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, groups=x.shape[1])


def modulated(
    x: Tensor, weight: Tensor, styles: Tensor, up: bool = False, demodulate: bool = True
) -> Tensor:
    """Per-image weights. weight: [O, I, k, k] with its gain; styles: [B, I]."""
    images = []
    for image, style in zip(x, styles, strict=True):
        w = weight * style[None, :, None, None]
        if demodulate:
            w = w / torch.sqrt(w.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
        if up:  # a transposed convolution: correlate the spread input with the turned kernel
            turned = F.conv2d(F.pad(spread(image[None]), (2, 1, 2, 1)), w.flip(2, 3))
            images.append(smooth(turned, 1, 1)[:, :, : 2 * x.shape[2], : 2 * x.shape[3]])
        else:
            images.append(F.conv2d(image[None], w, padding=weight.shape[-1] // 2))
    return torch.cat(images)


def lrelu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def dense_mapping(z: Tensor, layers: list[tuple[Tensor, Tensor]], gain: float) -> Tensor:
    """Normalise, then lrelu(W x + b) * gain. layers: weights and biases with their gains."""
    x = z / torch.sqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
    for weight, bias in layers:
        x = lrelu(x @ weight.T + bias) * gain
    return x


def nvidia(s: dict[str, Any], ws: Tensor) -> Tensor:
    """Synthesis of a `foreign.nvidia_state`; ws: [B, L, W]."""
    root2, half = math.sqrt(2), math.sqrt(0.5)
    row, size = 0, s["img_resolution"]

    def style(name: str, i: int) -> Tensor:
        gain = float(s[f"{name}.affine.weight_gain"])
        return ws[:, i] @ (s[f"{name}.affine.weight"] * gain).T + s[f"{name}.affine.bias"]

    def clamp(x: Tensor, gain: float) -> Tensor:
        bound = s["synthesis.b4.conv1.conv_clamp"]
        return x if bound is None else x.clamp(-bound * gain, bound * gain)

    def layer(x: Tensor, name: str, i: int, up: bool, gain: float = 1.0) -> Tensor:
        x = modulated(x, s[f"{name}.weight"], style(name, i), up)
        if s[f"{name}.use_noise"]:
            x = x + s[f"{name}.noise_const"] * s[f"{name}.noise_strength"]
        return clamp(lrelu(x + s[f"{name}.bias"].view(1, -1, 1, 1)) * root2 * gain, gain)

    x = s["synthesis.b4.const"][None].repeat(len(ws), 1, 1, 1)
    image: Tensor | None = None
    for side in [4 << k for k in range(int(math.log2(size)) - 1)]:
        block = f"synthesis.b{side}"
        residual = f"{block}.skip.weight" in s
        gain = half if residual else 1.0
        y = x
        if side > 4:
            x = layer(x, f"{block}.conv0", row, up=True)
            row += 1
        x = layer(x, f"{block}.conv1", row, up=False, gain=gain)
        row += 1
        if residual:
            weight = s[f"{block}.skip.weight"] * float(s[f"{block}.skip.weight_gain"])
            x = x + smooth(spread(F.conv2d(y, weight)), 2, 1) * half
        if image is not None:
            image = smooth(spread(image), 2, 1)
        name = f"{block}.torgb"
        if f"{name}.weight" in s:
            styles = style(name, row) * float(s[f"{name}.weight_gain"])
            rgb = modulated(x, s[f"{name}.weight"], styles, demodulate=False)
            rgb = clamp(rgb + s[f"{name}.bias"].view(1, -1, 1, 1), 1.0)
            image = rgb if image is None else image + rgb
    assert image is not None
    return image


def rosinality(s: dict[str, Tensor], ws: Tensor) -> Tensor:
    """Synthesis of a `foreign.rosinality_state`."""

    def conv(x: Tensor, name: str, i: int, up: bool = False, rgb: bool = False) -> Tensor:
        weight = s[f"{name}.conv.weight"][0]
        scale = 1 / math.sqrt(weight[0].numel())
        m = f"{name}.conv.modulation"
        style = ws[:, i] @ s[f"{m}.weight"].T / math.sqrt(ws.shape[2]) + s[f"{m}.bias"]
        return modulated(x, weight * scale, style, up, demodulate=not rgb)

    def styled(x: Tensor, name: str, i: int, up: bool) -> Tensor:
        x = conv(x, name, i, up) + s[f"{name}.noise.weight"] * s[f"noises.noise_{i}"]
        return lrelu(x + s[f"{name}.activate.bias"].view(1, -1, 1, 1)) * math.sqrt(2)

    x = s["input.input"].repeat(len(ws), 1, 1, 1)
    x = styled(x, "conv1", 0, up=False)
    image = conv(x, "to_rgb1", 1, rgb=True) + s["to_rgb1.bias"]
    for k in range(1, ws.shape[1] // 2):
        x = styled(x, f"convs.{2 * k - 2}", 2 * k - 1, up=True)
        x = styled(x, f"convs.{2 * k - 1}", 2 * k, up=False)
        name = f"to_rgbs.{k - 1}"
        rgb = conv(x, name, 2 * k + 1, rgb=True) + s[f"{name}.bias"]
        image = rgb + smooth(spread(image), 2, 1)
    return image


def genforce2(s: dict[str, Tensor], ws: Tensor) -> Tensor:
    """Synthesis of a `foreign.genforce2_state`: up-convolutions use the turned kernel."""

    def conv(x: Tensor, name: str, i: int, up: bool = False, rgb: bool = False) -> Tensor:
        weight = s[f"{name}.weight"] / math.sqrt(s[f"{name}.weight"][0].numel())
        style = ws[:, i] @ s[f"{name}.style.weight"].T / math.sqrt(ws.shape[2])
        style = style + s[f"{name}.style.bias"] + 1
        x = modulated(x, weight.flip(2, 3) if up else weight, style, up, demodulate=not rgb)
        if not rgb:
            x = x + s[f"{name}.noise"] * s[f"{name}.noise_strength"]
        x = x + s[f"{name}.bias"].view(1, -1, 1, 1)
        return x if rgb else lrelu(x) * math.sqrt(2)

    x = s["synthesis.early_layer.const"].repeat(len(ws), 1, 1, 1)
    image: Tensor | None = None
    for i in range(ws.shape[1] - 1):
        x = conv(x, f"synthesis.layer{i}", i, up=i % 2 == 1)
        if i % 2 == 0:
            rgb = conv(x, f"synthesis.output{i // 2}", i + 1, rgb=True)
            image = rgb if image is None else rgb + smooth(spread(image), 2, 1)
    assert image is not None
    return image


def genforce(s: dict[str, Tensor], ws: Tensor) -> Tensor:
    """Synthesis of a `foreign.genforce_state` (StyleGAN), upsampling fused from 128 px."""
    binomial = torch.tensor([1.0, 2.0, 1.0])
    x = s["synthesis.layer0.const"].repeat(len(ws), 1, 1, 1)
    for i in range(ws.shape[1]):
        name = f"synthesis.layer{i}"
        if i:
            weight = s[f"{name}.weight"]
            weight = weight * math.sqrt(2 / weight[0].numel())
            if i % 2 == 0 and 4 << (i // 2) >= 128:
                x = fused_up(x, weight)
            else:
                x = x.repeat_interleave(2, 2).repeat_interleave(2, 3) if i % 2 == 0 else x
                x = F.conv2d(x, weight, padding=1)
        if i and i % 2 == 0:
            kernel = (torch.outer(binomial, binomial) / 16).expand(x.shape[1], 1, 3, 3)
            x = F.conv2d(x, kernel, padding=1, groups=x.shape[1])
        strength = s[f"{name}.apply_noise.weight"].view(1, -1, 1, 1)
        x = x + s[f"{name}.apply_noise.noise"] * strength
        x = lrelu(x + s[f"{name}.bias"].view(1, -1, 1, 1))
        x = x - x.mean(dim=(2, 3), keepdim=True)
        x = x / torch.sqrt(x.square().mean(dim=(2, 3), keepdim=True) + 1e-8)
        style = ws[:, i] @ s[f"{name}.style.weight"].T / math.sqrt(ws.shape[2])
        style = (style + s[f"{name}.style.bias"]).view(len(ws), 2, -1, 1, 1)
        x = x * (style[:, 0] + 1) + style[:, 1]
    last = f"synthesis.output{ws.shape[1] // 2 - 1}"
    weight = s[f"{last}.weight"] / math.sqrt(x.shape[1])
    return F.conv2d(x, weight) + s[f"{last}.bias"].view(1, -1, 1, 1)


def fused_up(x: Tensor, weight: Tensor) -> Tensor:
    """Scatter every input pixel, times the 4x4 kernel of summed 3x3 weights, onto a 2x canvas."""
    kernel = torch.zeros(*weight.shape[:2], 4, 4)
    for dy in (0, 1):
        for dx in (0, 1):
            kernel[:, :, dy : dy + 3, dx : dx + 3] += weight
    b, _, h, w = x.shape
    canvas = torch.zeros(b, weight.shape[0], 2 * h + 2, 2 * w + 2)
    for y in range(h):
        for u in range(w):
            stamp = torch.einsum("bi,oikl->bokl", x[:, :, y, u], kernel)
            canvas[:, :, 2 * y : 2 * y + 4, 2 * u : 2 * u + 4] += stamp
    return canvas[:, :, 1:-1, 1:-1]
