"""What "looks like" means: the paper's Eq. 1 on VGG-16, plain pixels, and the default."""

from __future__ import annotations

import hashlib
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from refusal import refusal
from torch import Tensor, nn
from torch.nn import functional as F

from duchenne.encoding import features, losses, vgg
from duchenne.encoding.losses import VGG16, DefaultLoss, PaperLoss, PixelLoss, shrink
from duchenne.encoding.settings import LOSSES
from duchenne.errors import WeightsError
from duchenne.weights import store

CPU = torch.device("cpu")
# Simonyan & Zisserman 2014, configuration D, as torchvision numbers the layers.
CONVOLUTIONS = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256}
CONVOLUTIONS |= {17: 512, 19: 512, 21: 512, 24: 512, 26: 512, 28: 512}
NARROW = (
    ((3, 4), (4, 4)),
    ((4, 6), (6, 6)),
    ((6, 8), (8, 8), (8, 8)),
    ((8, 8), (8, 8), (8, 8)),
    ((8, 8), (8, 8), (8, 8)),
)


def picture(seed: int, side: int = 48) -> Tensor:
    """Smooth random pictures [1, 3, side, side] in [-1, 1]."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=rng) * 2 - 1
    return F.interpolate(coarse, size=(side, side), mode="bilinear")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG-16 with all its layers, but a few channels in each: a file of kilobytes."""
    monkeypatch.setattr(vgg, "CONVOLUTIONS", NARROW)
    monkeypatch.setattr(losses, "HIDDEN", 10)
    monkeypatch.setattr(losses, "CLASSES", 7)


def seeded(network: nn.Module, seed: int = 0) -> nn.Module:
    """He's initialisation, which keeps the variance through the layers (He et al. 2015)."""
    rng = torch.Generator().manual_seed(seed)
    for tensor in network.parameters():
        scale = (2 / tensor[0].numel()) ** 0.5 if tensor.dim() > 1 else 0.1
        tensor.data = torch.randn(tensor.shape, generator=rng) * scale
    return network.requires_grad_(False).eval()


class _Storage:
    def __init__(self, key: str, tensor: Tensor) -> None:
        self.key, self.tensor = key, tensor


class _OldPickler(pickle.Pickler):
    """Tensors as PyTorch 0.1 pickled them: a storage by its address, shape and strides."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.storages: dict[str, Tensor] = {}

    def reducer_override(self, value: object) -> Any:
        if not isinstance(value, Tensor):
            return NotImplemented
        storage = _Storage(str(93_824_992_000_000 + value.data_ptr() % 10**9), value)
        arguments = (storage, 0, tuple(value.shape), tuple(value.stride()))
        return torch._utils._rebuild_tensor, arguments

    def persistent_id(self, value: object) -> Any:
        if not isinstance(value, _Storage):
            return None
        self.storages[value.key] = value.tensor
        kind = torch.FloatStorage
        return ("storage", kind, value.key, "cpu", value.tensor.numel(), None)


def write_as_torchvision(state: dict[str, Tensor], path: Path) -> None:
    """The layout of vgg16-397923af.pth: older than PyTorch's zip archives.

    Its 553,433,881 bytes are 3,705 more than its numbers: a zip archive of as many tensors has
    some 11,000 more.
    """
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    with path.open("wb") as file:
        for head in (0x1950A86A20F9469CFC6C, 1001, system):
            pickle.dump(head, file, protocol=2)
        pickler = _OldPickler(file, protocol=2)
        pickler.dump(OrderedDict(state))
        keys = sorted(pickler.storages)
        pickle.dump(keys, file, protocol=2)
        for key in keys:
            tensor = pickler.storages[key]
            file.write(struct.pack("<q", tensor.numel()))
            file.write(tensor.numpy().astype("<f4").tobytes())


def offer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this file the one that `weights.toml` wants, in a folder of DUCHENNE_WEIGHTS."""
    content = path.read_bytes()
    manifest = store.MANIFEST.read_text(encoding="utf-8")
    digest = hashlib.sha256(content).hexdigest()[:8]
    for old, new in (("553433881", f"{len(content)}"), ('"397923af"', f'"{digest}"')):
        assert manifest.count(old) == 1
        manifest = manifest.replace(old, new)
    (path.parent / "weights.toml").write_text(manifest, encoding="utf-8")
    monkeypatch.setattr(store, "MANIFEST", path.parent / "weights.toml")
    monkeypatch.setenv("DUCHENNE_WEIGHTS", str(path.parent))


@pytest.fixture
def vgg_file(tmp_path: Path) -> Path:
    return tmp_path / "vgg16-397923af.pth"


# VGG-16


def test_the_layers_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = VGG16()
    assert sum(p.numel() for p in network.parameters()) == 138_357_544
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    expected: dict[str, tuple[int, ...]] = {}
    inputs = 3
    for number, outputs in CONVOLUTIONS.items():
        expected[f"features.{number}.weight"] = (outputs, inputs, 3, 3)
        expected[f"features.{number}.bias"] = (outputs,)
        inputs = outputs
    for number, (outputs, inputs) in {0: (4096, 25_088), 3: (4096, 4096), 6: (1000, 4096)}.items():
        expected[f"classifier.{number}.weight"] = (outputs, inputs)
        expected[f"classifier.{number}.bias"] = (outputs,)
    assert shapes == expected
    assert list(shapes) == list(expected)


def test_the_size_of_the_file_is_that_of_the_numbers_and_a_small_head() -> None:
    assert 0 < store.entry("vgg16-imagenet").size - 4 * 138_357_544 < 4096


def test_known_shapes_on_the_way() -> None:
    """224 px, then halves: 112, 56, 28, 14, 7."""
    with torch.device("meta"):
        network = VGG16()
        x = torch.zeros(2, 3, 224, 224)
        seen = []
        for layer in network.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                seen.append(tuple(x.shape[1:]))
        assert network.classifier(x.flatten(1)).shape == (2, 1000)
    assert seen == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]


@pytest.mark.usefixtures("narrow")
def test_a_pass_is_the_same_as_functions_in_a_row() -> None:
    network = seeded(VGG16())
    state = network.state_dict()
    image = picture(1, 224)
    x = (image + 1) / 2
    x = (x - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(1, 3, 1, 1)
    pooled_before = {5, 10, 17, 24}
    for number in CONVOLUTIONS:
        if number in pooled_before:
            x = F.max_pool2d(x, 2)
        x = F.relu(
            F.conv2d(
                x, state[f"features.{number}.weight"], state[f"features.{number}.bias"], padding=1
            )
        )
    x = F.max_pool2d(x, 2).flatten(1)
    for number in (0, 3, 6):
        x = F.linear(x, state[f"classifier.{number}.weight"], state[f"classifier.{number}.bias"])
        x = F.relu(x) if number < 6 else x
    assert x.shape == (1, 7)
    torch.testing.assert_close(network(image), x)


# Its file


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("archive", [False, True], ids=["torchvision's", "zip archive"])
def test_a_checkpoint_is_read_to_the_bit(
    vgg_file: Path, archive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = seeded(VGG16(), seed=3)
    if archive:
        torch.save(written.state_dict(), vgg_file)
    else:
        write_as_torchvision(written.state_dict(), vgg_file)
    offer(vgg_file, monkeypatch)
    read = losses.load_vgg16()
    assert list(read.state_dict()) == list(written.state_dict())
    for name, tensor in written.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor)
    assert not any(p.requires_grad or p.is_meta for p in read.parameters())
    assert not read.training
    torch.testing.assert_close(read(picture(0)), written(picture(0)), rtol=0, atol=0)
    loss = losses.make("paper", CPU).against(picture(0))
    by_hand = (written(picture(1)) - written(picture(0))).abs().mean()
    assert float(loss(picture(1))) == pytest.approx(float(by_hand), rel=1e-6)


@pytest.mark.usefixtures("narrow")
def test_a_truncated_file_is_refused_by_its_size(
    vgg_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_as_torchvision(seeded(VGG16()).state_dict(), vgg_file)
    offer(vgg_file, monkeypatch)
    vgg_file.write_bytes(vgg_file.read_bytes()[:-100])
    message = refusal(WeightsError, losses.make, "paper", CPU)
    assert "vgg16-397923af.pth is damaged" in message


def other_names() -> dict[str, Tensor]:
    state = VGG16().state_dict()
    return {name.replace("classifier", "head"): tensor for name, tensor in state.items()}


def other_shapes() -> dict[str, Tensor]:
    return {name: tensor[:1] for name, tensor in VGG16().state_dict().items()}


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    "content",
    [
        other_names,
        other_shapes,
        lambda: [torch.zeros(3)],
        lambda: VGG16().state_dict() | {"classifier.9.bias": torch.zeros(1)},
        b"not a checkpoint " * 20,
        b"",
        b"PK\x03\x04" + b"\0" * 60,
        -100,
    ],
    ids=["names", "shapes", "list", "more", "text", "empty", "zip", "truncated"],
)
def test_another_file_under_the_name_is_refused_in_one_line(
    vgg_file: Path, content: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hash of 32 bits cannot be all that is asked: here the hash is right, the content is not."""
    if isinstance(content, bytes):
        vgg_file.write_bytes(content)
    elif isinstance(content, int):
        write_as_torchvision(seeded(VGG16()).state_dict(), vgg_file)
        vgg_file.write_bytes(vgg_file.read_bytes()[:content])
    else:
        torch.save(content(), vgg_file)
    offer(vgg_file, monkeypatch)
    message = refusal(WeightsError, losses.load_vgg16)
    assert "expected torchvision's VGG-16 weights" in message
    assert str(vgg_file) in message


def test_a_missing_file_says_how_to_get_it() -> None:
    message = refusal(WeightsError, losses.make, "paper", CPU)
    assert "duchenne weights fetch vgg16-imagenet" in message


class _Evil:
    def __reduce__(self) -> Any:
        return print, ("the code inside a checkpoint was run",)


@pytest.mark.usefixtures("narrow")
def test_code_in_the_file_is_not_run(
    vgg_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"features.0.weight": _Evil()}, vgg_file)
    offer(vgg_file, monkeypatch)
    with pytest.raises(WeightsError):
        losses.load_vgg16()
    assert "was run" not in capsys.readouterr().out


# Distances


def small_trunk() -> features.VGG16Trunk:
    """All thirteen convolutions; call it where CONVOLUTIONS are narrow."""
    return seeded(features.VGG16Trunk())  # type: ignore[return-value]


@pytest.fixture(params=LOSSES)
def loss(request: pytest.FixtureRequest, narrow: None) -> losses.Loss:
    made = {
        "default": lambda: DefaultLoss(small_trunk()),
        "paper": lambda: PaperLoss(seeded(VGG16())),  # type: ignore[arg-type]
        "pixel": PixelLoss,
    }
    return made[request.param]()


def test_equal_pictures_have_no_distance_and_others_more_the_more_they_differ(
    loss: losses.Loss,
) -> None:
    wanted, other = picture(0), picture(1)
    against = loss.against(wanted)
    assert float(against(wanted.clone())) == 0
    found = [float(against(wanted.lerp(other, part))) for part in (0.05, 0.2, 0.5, 1.0)]
    assert 0 < found[0] < found[1] < found[2] < found[3]


def test_the_gradient_leads_towards_the_picture(loss: losses.Loss) -> None:
    against = loss.against(picture(0))
    drawn = picture(1).requires_grad_()
    value = against(drawn)
    assert value.shape == ()
    value.backward()
    assert drawn.grad is not None
    assert drawn.grad.isfinite().all()
    with torch.no_grad():
        nearer = drawn - 0.05 * drawn.grad / drawn.grad.norm()
    assert against(nearer).item() < value.item()


def test_pixel_is_the_mean_square() -> None:
    against = losses.make("pixel", CPU).against(torch.zeros(1, 3, 2, 2))
    drawn = torch.zeros(1, 3, 2, 2)
    drawn[0, 0, 0, 0], drawn[0, 2, 1, 1] = 3.0, -1.0
    assert float(against(drawn)) == pytest.approx((9 + 1) / 12)


@pytest.mark.usefixtures("narrow")
def test_the_default_is_features_and_pixels_by_hand() -> None:
    trunk, wanted, drawn = small_trunk(), picture(0), picture(1)
    side = wanted.shape[-1]
    top, left = round(0.34 * side), round(0.25 * side)
    by_hand = losses.PIXEL_WEIGHT * (drawn - wanted).square().mean()
    coarse = F.avg_pool2d(drawn, 4) - F.avg_pool2d(wanted, 4)
    by_hand = by_hand + losses.COARSE_WEIGHT * coarse.square().mean()
    y, height, width = (round(part * side) for part in (0.44, 0.064, 0.11))
    eyes = torch.cat(
        [(drawn - wanted)[..., y : y + height, x : x + width]
         for x in (round(0.323 * side), round(0.567 * side))], dim=-1
    )  # fmt: skip
    by_hand = by_hand + losses.EYES_WEIGHT * eyes.square().mean()
    for part in (
        lambda x: F.avg_pool2d(x, 2),
        lambda x: x[..., top : top + side // 2, left : left + side // 2],
    ):
        pictures = (
            x if x.shape[-1] >= 32 else x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            for x in (part(drawn), part(wanted))
        )
        seen, expected = (
            [f / f.norm(dim=1, keepdim=True).clamp(min=1e-6) for f in trunk(x)] for x in pictures
        )
        for a, b in zip(seen, expected, strict=True):
            by_hand = by_hand + (a - b).square().sum(dim=1).mean() / 2
    found = DefaultLoss(trunk).against(wanted)(drawn)
    assert float(found) == pytest.approx(float(by_hand), rel=1e-4)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("side", [4, 8, 31])
def test_pictures_too_small_for_the_trunk_are_compared_too(side: int) -> None:
    against = DefaultLoss(small_trunk()).against(picture(0, side))
    assert float(against(picture(0, side))) == 0
    assert float(against(picture(1, side))) > 0


def test_shrinking_is_the_mean_over_cells() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert shrink(image, 2).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert shrink(image, 4) is image


@pytest.mark.weights
def test_the_default_on_real_weights() -> None:
    wanted = picture(0, 64)
    against = losses.make("default", CPU).against(wanted)
    assert float(against(wanted.clone())) == 0
    darker, noisy = wanted * 0.9 - 0.05, wanted + 0.2 * (picture(1, 64) - picture(2, 64))
    assert 0 < float(against(darker)) < float(against(noisy)) < float(against(picture(1, 64)))
