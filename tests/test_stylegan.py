"""StyleGAN 1 and 2: layer by layer against values worked out another way, then end to end."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign
import pytest
import slow_stylegan as slow
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duchenne.generators import stylegan1, stylegan2
from duchenne.generators.base import PlainView, View, canvas_moments, truncate
from duchenne.generators.checkpoints import load_generator
from duchenne.generators.stylegan import MappingNetwork, NoiseSource, at_size, fingerprint
from duchenne.generators.stylegan1 import StyleGAN1, StyleGAN1Config
from duchenne.generators.stylegan2 import StyleGAN2, StyleGAN2Config

FLOAT = {"atol": 2e-5, "rtol": 1e-4}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


def load_nvidia(folder: Path, **options: Any) -> tuple[StyleGAN2, dict[str, Any]]:
    generator = foreign.nvidia_generator(**options)
    path = folder / f"{sorted(options.items())}.pkl".replace("/", "")
    path.write_bytes(foreign.nvidia_bytes(generator))
    network = load_generator(path)
    assert isinstance(network, StyleGAN2)
    return network, foreign.nvidia_state(generator)


@pytest.fixture(scope="module")
def skip_network(folder: Path) -> StyleGAN2:
    return load_nvidia(folder)[0]


@pytest.fixture(scope="module")
def first_network(folder: Path) -> StyleGAN1:
    path = foreign.save({"generator_smooth": foreign.genforce_state()}, folder / "one.pth")
    network = load_generator(path)
    assert isinstance(network, StyleGAN1)
    return network


# Layers


@pytest.mark.parametrize("gain", [1.0, math.sqrt(2)])
def test_mapping_by_hand(gain: float) -> None:
    mapping = MappingNetwork((2, 2), gain)
    mapping.load_state_dict(
        {
            "layers.0.weight": torch.tensor([[1.0, 0.0], [0.0, -1.0]]),
            "layers.0.bias": torch.tensor([0.5, 0.0]),
        }
    )
    # z = (3, 4) has mean square 12.5: normalised (0.8485, 1.1314); the second output is negative.
    expected = torch.tensor([[3 / 12.5**0.5 + 0.5, -0.2 * 4 / 12.5**0.5]]) * gain
    assert torch.allclose(mapping(torch.tensor([[3.0, 4.0]])), expected, atol=1e-6)


def test_modulated_convolution_is_the_one_with_per_image_weights() -> None:
    x, weight, style = draw(3, 5, 6, 6), draw(4, 5, 3, 3, seed=1), draw(3, 5, seed=2)
    fast = stylegan2.modulated_conv(x, weight, style[:, :, None, None])
    assert torch.allclose(fast, slow.modulated(x, weight, style), **FLOAT)


def test_up_convolution_is_the_one_with_per_image_weights() -> None:
    x, weight, style = draw(3, 5, 6, 6), draw(4, 5, 3, 3, seed=1), draw(3, 5, seed=2)
    fast = stylegan2.modulated_up_conv(x, weight, style[:, :, None, None], foreign.FIR)
    assert fast.shape == (3, 4, 12, 12)
    assert torch.allclose(fast, slow.modulated(x, weight, style, up=True), **FLOAT)


def test_demodulation_by_hand() -> None:
    weight = torch.tensor([[[[3.0]], [[2.0]]]])  # one output, two inputs
    style = torch.tensor([1.0, 2.0])[None, :, None, None]
    assert stylegan2.demodulation(weight, style).item() == pytest.approx(1 / 5)  # sqrt(9 + 16)


@pytest.mark.parametrize("up", [False, True])
def test_constant_style_map_is_the_plain_style(up: bool) -> None:
    x, weight, style = draw(2, 5, 6, 6), draw(4, 5, 3, 3, seed=1), draw(2, 5, 1, 1, seed=2)
    spatial = style.expand(-1, -1, 6, 6).contiguous()
    results = []
    for s in (style, spatial):
        if up:
            results.append(stylegan2.modulated_up_conv(x, weight, s, foreign.FIR))
        else:
            results.append(stylegan2.modulated_conv(x, weight, s))
    assert torch.allclose(*results, **FLOAT)


def test_style_map_acts_where_it_is() -> None:
    x, weight = draw(1, 5, 12, 12), draw(4, 5, 3, 3, seed=1)
    left, right = draw(1, 5, 1, 1, seed=2), draw(1, 5, 1, 1, seed=3)
    halves = torch.cat([left.expand(-1, -1, 12, 6), right.expand(-1, -1, 12, 6)], dim=3)
    both = stylegan2.modulated_conv(x, weight, halves)
    assert torch.allclose(both[..., :5], stylegan2.modulated_conv(x, weight, left)[..., :5])
    assert torch.allclose(both[..., 7:], stylegan2.modulated_conv(x, weight, right)[..., 7:])
    double = stylegan2.modulated_up_conv(x, weight, halves, foreign.FIR)
    alone = stylegan2.modulated_up_conv(x, weight, left, foreign.FIR)
    assert torch.allclose(double[..., :10], alone[..., :10], **FLOAT)
    assert not torch.allclose(double[..., 14:], alone[..., 14:], atol=1e-2)


def test_upsampling_by_explicit_loops() -> None:
    x, fir = draw(1, 2, 3, 3), draw(4, 4, seed=1)  # any filter, so that its direction shows
    expected = torch.zeros(1, 2, 6, 6)
    for y in range(6):
        for u in range(6):
            for i in range(4):
                for j in range(4):
                    # out[y] = sum_i fir[3 - i] spread[y + i - 2]: a convolution
                    row, column = y + i - 2, u + j - 2
                    inside = 0 <= row < 6 and 0 <= column < 6
                    if inside and row % 2 == 0 and column % 2 == 0:
                        tap = 4 * fir[3 - i, 3 - j]
                        expected[:, :, y, u] += tap * x[:, :, row // 2, column // 2]
    assert torch.allclose(stylegan2.upsample(x, fir), expected, **FLOAT)


def test_upsampling_keeps_a_constant() -> None:
    doubled = stylegan2.upsample(torch.ones(1, 1, 4, 4), foreign.FIR)
    assert torch.allclose(doubled[..., 1:-1, 1:-1], torch.ones(6, 6))


def test_blur_by_hand() -> None:
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 1, 1] = 16.0
    expected = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])
    assert torch.allclose(stylegan1.blur(x)[0, 0], expected)


@pytest.mark.parametrize("fused", [False, True])
def test_stylegan1_up_convolution(fused: bool) -> None:
    x, weight = draw(2, 3, 4, 4), draw(5, 3, 3, 3, seed=1)
    if fused:
        plain = slow.fused_up(x, weight)
    else:
        plain = F.conv2d(x.repeat_interleave(2, 2).repeat_interleave(2, 3), weight, padding=1)
    assert torch.allclose(stylegan1.up_conv(x, weight, fused), stylegan1.blur(plain), **FLOAT)


def test_adain_by_hand(first_network: StyleGAN1) -> None:
    layer = first_network.layers[3]
    x, w = draw(1, 16, 8, 8), draw(1, foreign.W_DIM, seed=1)
    view = PlainView(w[:, None].expand(-1, first_network.rows, -1))
    got = first_network._finish(layer, 3, x, view, NoiseSource("none"))
    style = layer.affine(w)[0]
    for channel in (0, 7):
        y = x[0, channel] + layer.bias[channel]
        y = torch.maximum(y, 0.2 * y)
        y = (y - y.mean()) / torch.sqrt(((y - y.mean()) ** 2).mean() + 1e-8)
        y = y * (style[channel] + 1) + style[16 + channel]
        assert torch.allclose(got[0, channel], y, **FLOAT)


def test_a_smaller_size_is_the_mean_of_tiles() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert at_size(image, 4, 2)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert at_size(image, 4, None) is image
    for size in (3, 0, 8):
        with pytest.raises(ValueError, match="divisor"):
            at_size(image, 4, size)
    with pytest.raises(ValueError, match="tiles"):
        at_size(image[..., :3], 4, 2)


# Whole networks


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": 64, "mapping_layers": 8},
        {"architecture": "resnet"},
        {"architecture": "resnet", "conv_clamp": 1.0},
        {"architecture": "orig", "conv_clamp": 2.0},
        {"conv_clamp": 256.0, "channels_last": True},
        {"use_noise": False},
    ],
    ids=str,
)
def test_nvidia_end_to_end(folder: Path, options: dict[str, Any]) -> None:
    network, state = load_nvidia(folder, **options)
    ws = draw(2, network.rows, foreign.W_DIM)
    expected = slow.nvidia(state, ws)
    assert torch.allclose(network.synthesize(ws), expected, **FLOAT)
    assert expected.std() > 0.1  # a picture, not a constant
    layers = [
        (
            state[f"mapping.fc{i}.weight"] * float(state[f"mapping.fc{i}.weight_gain"]),
            state[f"mapping.fc{i}.bias"] * 0.01,
        )
        for i in range(state["mapping.num_layers"])
    ]
    z = draw(2, foreign.W_DIM, seed=5)
    w = slow.dense_mapping(z, layers, math.sqrt(2))
    assert torch.allclose(network.mapping(z), w, **FLOAT)
    assert torch.equal(network.w_mean, state["mapping.w_avg"])
    middle = truncate(network.mapping(z), network.w_mean, 0.5)
    assert torch.allclose(middle, state["mapping.w_avg"].lerp(w, 0.5), **FLOAT)


@pytest.mark.parametrize(
    ("make", "reference", "gain", "size"),
    [
        (foreign.rosinality_state, slow.rosinality, math.sqrt(2), 32),
        (foreign.genforce2_state, slow.genforce2, math.sqrt(2), 32),
        (foreign.genforce_state, slow.genforce, 1.0, 32),
        (foreign.genforce_state, slow.genforce, 1.0, 128),
    ],
)
def test_state_dicts_end_to_end(
    folder: Path,
    make: Callable[..., dict[str, Tensor]],
    reference: Callable[[dict[str, Tensor], Tensor], Tensor],
    gain: float,
    size: int,
) -> None:
    state = make(size=size)
    network = load_generator(foreign.save(state, folder / "state.pth"))
    ws = draw(2, network.rows, foreign.W_DIM)
    expected = reference(state, ws)
    assert expected.shape == (2, 3, size, size)
    assert torch.allclose(network.synthesize(ws), expected, **FLOAT)
    # Dense layers: weights times 0.01 / sqrt(inputs), StyleGAN's times sqrt(2) as well.
    names = ("style.{}", 1) if "style.1.weight" in state else ("mapping.dense{}", 0)
    inner = (math.sqrt(2) / gain) * 0.01 / math.sqrt(foreign.W_DIM)
    layers = [
        (state[f"{name}.weight"] * inner, state[f"{name}.bias"] * 0.01)
        for name in (names[0].format(i + names[1]) for i in range(2))
    ]
    z = draw(2, foreign.W_DIM, seed=5)
    assert torch.allclose(network.mapping(z), slow.dense_mapping(z, layers, gain), **FLOAT)


@pytest.mark.parametrize("kind", ["skip_network", "first_network"])
class TestProtocol:
    @pytest.fixture
    def network(self, kind: str, request: pytest.FixtureRequest) -> Any:
        return request.getfixturevalue(kind)

    def test_equal_rows_are_w(self, network: Any) -> None:
        w = draw(2, foreign.W_DIM)
        rows = w[:, None].repeat(1, network.rows, 1)
        assert torch.equal(network.synthesize(w), network.synthesize(rows))

    def test_wrong_rows_are_refused(self, network: Any) -> None:
        with pytest.raises(ValueError, match="expected w of shape"):
            network.synthesize(draw(1, network.rows + 1, foreign.W_DIM))

    def test_noise(self, network: Any) -> None:
        w = draw(2, foreign.W_DIM)
        const, none = network.synthesize(w), network.synthesize(w, noise="none")
        assert not torch.allclose(const, none, atol=1e-3)
        seeds = (1, 1, 2)
        rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
        first, again, other = (network.synthesize(w, noise="random", rng=rng) for rng in rngs)
        assert torch.equal(first, again)
        assert not torch.allclose(first, other, atol=1e-3)
        same = w[:1].expand(2, -1)  # one code twice: each image draws its own noise
        pair = network.synthesize(same, noise="random", rng=torch.Generator().manual_seed(3))
        assert not torch.allclose(pair[0], pair[1], atol=1e-3)
        with pytest.raises(ValueError, match="const, none, random"):
            network.synthesize(w, noise="loud")

    def test_noise_strength_zero_is_none(self, network: Any) -> None:
        w = draw(1, foreign.W_DIM)
        names = [name for name in network.state_dict() if name.endswith("noise_strength")]
        kept = {name: network.state_dict()[name].clone() for name in names}
        for name in names:
            network.state_dict()[name].zero_()
        silent = network.synthesize(w)
        for name in names:
            network.state_dict()[name].copy_(kept[name])
        assert torch.equal(silent, network.synthesize(w, noise="none"))

    def test_smaller_sizes(self, network: Any) -> None:
        w = draw(1, foreign.W_DIM)
        full = network.synthesize(w)
        assert torch.allclose(network.synthesize(w, size=8), F.avg_pool2d(full, 4))

    def test_every_layer_is_visited_in_order(self, network: Any) -> None:
        seen: list[tuple[int, int, int]] = []

        class Watch(PlainView):
            def visit(self, layer: int, size: int, x: Tensor) -> Tensor:
                seen.append((layer, size, x.shape[-1]))
                return x

        network.run(Watch(draw(1, network.rows, foreign.W_DIM)))
        sizes = network.layer_sizes
        assert seen == [(i, size, size) for i, size in enumerate(sizes)]

    def test_a_row_steers_its_own_layers(self, network: Any) -> None:
        """Changing row i leaves every layer before the first one that reads it as it was."""

        class Keep(PlainView):
            def __init__(self, w: Tensor) -> None:
                super().__init__(w)
                self.kept: list[Tensor] = []

            def visit(self, layer: int, size: int, x: Tensor) -> Tensor:
                self.kept.append(x)
                return x

        ws = draw(1, network.rows, foreign.W_DIM)
        before = Keep(ws)
        network.run(before)
        for row in range(network.rows):
            changed = ws.clone()
            changed[:, row] += 1
            after = Keep(changed)
            network.run(after)
            pairs = zip(before.kept, after.kept, strict=True)
            first = next((i for i, (a, b) in enumerate(pairs) if not torch.equal(a, b)), None)
            last_rgb = isinstance(network, StyleGAN2) and row == network.rows - 1
            assert first == (None if last_rgb else row)

    def test_gradients_reach_the_code(self, network: Any) -> None:
        w = draw(1, network.rows, foreign.W_DIM).requires_grad_()
        network.synthesize(w).square().sum().backward()
        assert w.grad is not None
        assert bool((w.grad.abs().amax(dim=(0, 2)) > 0).all())

    def test_a_window_is_the_image_there(self, network: Any) -> None:
        """Cut at 16 px: inside the halo that the docstrings promise, nothing changes."""
        ws = draw(1, network.rows, foreign.W_DIM)
        whole = Statistics(ws)
        full = network.run(whole)
        view = Window(ws, network, slice(4, 16), whole.seen)
        part = network.run(view)
        assert part.shape == (1, 3, 24, 24)
        # Wrong at the cut edge: 1 at 16 px (conv1), doubled, + 2 and + 1 at 32 px; an RGB image
        # upsampled from 16 px is wrong for 2 px, less than that. The other edge is the canvas's.
        assert torch.allclose(part[..., 5:, 5:], full[..., 13:, 13:], **FLOAT)
        assert not torch.allclose(part[..., :2, :2], full[..., 8:10, 8:10], atol=1e-3)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_cuda_agrees(self, network: Any) -> None:
        w = draw(1, foreign.W_DIM)
        expected = network.synthesize(w)
        try:
            got = network.to("cuda").synthesize(w.to("cuda")).cpu()
        finally:
            network.to("cpu")
        assert torch.allclose(got, expected, atol=1e-3)


class Statistics(PlainView):
    """The whole canvas, keeping AdaIN's statistics."""

    def __init__(self, w: Tensor) -> None:
        super().__init__(w)
        self.seen: dict[int, tuple[Tensor, Tensor]] = {}

    def moments(self, layer: int, x: Tensor) -> tuple[Tensor, Tensor]:
        self.seen[layer] = canvas_moments(x)
        return self.seen[layer]


class Window(PlainView):
    """A square of the canvas from 16 px on, with the whole canvas's statistics."""

    def __init__(
        self, w: Tensor, network: Any, at: slice, seen: dict[int, tuple[Tensor, Tensor]]
    ) -> None:
        super().__init__(w)
        self.sizes, self.at, self.seen = network.layer_sizes, at, seen

    def enter(self, size: int, x: Tensor) -> Tensor:
        return x[:, :, self.at, self.at] if size == 16 else x

    def noise(self, layer: int, noise: Tensor) -> Tensor:
        size = self.sizes[layer]
        if size < 16:
            return noise
        at = slice(self.at.start * size // 16, self.at.stop * size // 16)
        return noise[:, :, at, at]

    def moments(self, layer: int, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.seen[layer]


def test_resnet_window(folder: Path) -> None:
    network, _ = load_nvidia(folder, architecture="resnet")
    ws = draw(1, network.rows, foreign.W_DIM)
    part = network.run(Window(ws, network, slice(4, 16), {}))
    assert torch.allclose(part[..., 5:, 5:], network.synthesize(ws)[..., 13:, 13:], **FLOAT)


def test_regional_style_reaches_the_layer(skip_network: StyleGAN2) -> None:
    """A view with a constant style map gives the plain image."""

    class Spatial(PlainView):
        def style(self, affine: nn.Linear, row: int, size: int) -> Tensor:
            return super().style(affine, row, size).expand(-1, -1, size, size)

    ws = draw(2, skip_network.rows, foreign.W_DIM)
    view: View = Spatial(ws)
    assert torch.allclose(skip_network.run(view), skip_network.synthesize(ws), **FLOAT)


@pytest.mark.parametrize(("size", "rows"), [(32, 8), (64, 10), (256, 14), (1024, 18)])
def test_row_counts(size: int, rows: int) -> None:
    channels = tuple(foreign.widths(size, 32768, 512).values())
    with torch.device("meta"):
        two = StyleGAN2(StyleGAN2Config(size, channels))
        one = StyleGAN1(StyleGAN1Config(size, channels))
    assert two.rows == one.rows == len(two.row_sizes) == len(one.row_sizes) == rows
    assert two.row_sizes[:3] == (4, 8, 8)
    assert two.row_sizes[-3:] == (size, size, size)
    assert one.row_sizes[:4] == (4, 4, 8, 8)
    assert len(two.layer_sizes) == rows - 1
    assert len(one.layer_sizes) == rows


@pytest.mark.parametrize(("size", "first"), [(32, 8), (64, 8), (256, 16), (1024, 64)])
def test_fine_weights_are_the_convolutions_that_draw_texture(size: int, first: int) -> None:
    """From a sixteenth of the side, 8 px at least; every name is a parameter."""
    channels = tuple(foreign.widths(size, 32768, 512).values())
    resolutions = [4 << k for k in range(len(channels)) if 4 << k >= first]
    with torch.device("meta"):
        one = StyleGAN1(StyleGAN1Config(size, channels))
        skip = StyleGAN2(StyleGAN2Config(size, channels))
        resnet = StyleGAN2(StyleGAN2Config(size, channels, architecture="resnet"))
    last = len(channels) - 1
    for network in (one, skip, resnet):
        names = network.fine_weights()
        convolutions = [name for name in names if "conv" in name or name.startswith("layers.")]
        assert len(convolutions) == 2 * len(resolutions)
        assert all(network.get_parameter(name).dim() == 4 for name in convolutions)
        rgb = [name for name in names if name not in convolutions]
        owners = len(resolutions) if network is skip else 1
        assert len(rgb) == 2 * owners
        assert all(network.get_parameter(name).shape[0] == 3 for name in rgb)
        assert len(set(names)) == len(names)
    assert f"blocks.{last - len(resolutions) + 1}.conv0.weight" in skip.fine_weights()
    assert f"blocks.{last - len(resolutions)}.conv0.weight" not in skip.fine_weights()
    assert resnet.fine_weights()[-2:] == [f"blocks.{last}.rgb.weight", f"blocks.{last}.rgb.bias"]


@pytest.mark.parametrize("kind", [1, 2])
def test_fine_weights_have_gradients_and_leave_the_coarse_ones_alone(
    kind: int, skip_network: StyleGAN2, first_network: StyleGAN1
) -> None:
    network = copy.deepcopy((first_network, skip_network)[kind - 1])
    names = network.fine_weights()
    for name in names:
        network.get_parameter(name).requires_grad_(True)
    network.synthesize(draw(1, network.rows, foreign.W_DIM)).square().mean().backward()
    for name, parameter in network.named_parameters():
        if name in names:
            assert parameter.grad is not None
            assert parameter.grad.abs().max() > 0
        else:
            assert parameter.grad is None


def test_fingerprint_sees_names_values_and_configuration() -> None:
    state = {"a": torch.zeros(2), "b": torch.ones(1)}
    base = fingerprint("kind", 8, state, "{}")
    assert base.startswith("kind-8-")
    assert len(base) == len("kind-8-") + 12
    assert base == fingerprint("kind", 8, dict(reversed(state.items())), "{}")
    others = [
        fingerprint("kind", 8, {"a": torch.zeros(2), "c": torch.ones(1)}, "{}"),
        fingerprint("kind", 8, {"a": torch.zeros(2), "b": torch.zeros(1)}, "{}"),
        fingerprint("kind", 8, {"a": torch.zeros(1, 2), "b": torch.ones(1)}, "{}"),
        fingerprint("kind", 8, state, '{"clamp": 1}'),
    ]
    assert len({base, *others}) == 5
