"""v(I): the encoder, its file, and what the built-in one knows about faces."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tiny
import torch
from refusal import refusal
from torch import Tensor
from torch.nn import functional as F

from duchenne.encoding import encoder, features, losses, vgg
from duchenne.encoding.encoder import Cells, Encoder, Head
from duchenne.encoding.inversion import Inversion
from duchenne.encoding.settings import EncodeSettings
from duchenne.errors import InputError, SpaceMismatch
from duchenne.files import codes
from duchenne.fit import pairs
from duchenne.generators.base import draw_w, truncate

if TYPE_CHECKING:
    from duchenne.generators.mobile import MobileStyleGAN

MOST_BYTES = 25_000_000
NARROW = (
    ((3, 4), (4, 4)),
    ((4, 4), (4, 4)),
    ((4, 4), (4, 4), (4, 4)),
    ((4, 6), (6, 6), (6, 6)),
    ((6, 6), (6, 6), (6, 6)),
)
COMPONENTS = (5, 6, 6)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded trunk with all layers of VGG-16 and a few channels in each."""
    monkeypatch.setattr(vgg, "CONVOLUTIONS", NARROW)
    monkeypatch.setattr(encoder, "COMPONENTS", COMPONENTS)
    monkeypatch.setattr(features, "load", lambda: seeded(features.VGG16Trunk()))


def seeded(module: Any) -> Any:
    rng = torch.Generator().manual_seed(1)
    for tensor in module.parameters():
        scale = (2 / tensor[0].numel()) ** 0.5 if tensor.dim() > 1 else 0.1
        tensor.data = (torch.randn(tensor.shape, generator=rng) * scale).half().float()
    return module.requires_grad_(False).eval()


@pytest.fixture
def network(narrow: None) -> Encoder:
    cells = seeded(Cells(features.load()))
    head = seeded(Head(cells.length, 8, tiny.GENERATOR.rows))
    return Encoder(cells, head, torch.full((512,), 0.5), tiny.GENERATOR.fingerprint)


def faces(count: int, side: int = 128) -> Tensor:
    rng = torch.Generator().manual_seed(9)
    coarse = torch.rand(count, 3, 16, 16, generator=rng) * 2 - 1
    return F.interpolate(coarse, size=(side, side), mode="bilinear")


# The network


@pytest.mark.usefixtures("narrow")
def test_cells_are_components_of_three_blocks_and_a_small_picture() -> None:
    cells = seeded(Cells(features.load()))
    assert Cells.shapes() == [(4, 4), (6, 2), (6, 1)]  # 32, 16 and 8 px in 8 x 8 places
    x = faces(2)
    assert [tuple(f.shape) for f in cells.seen(x)] == [(2, 4, 32, 32), (2, 6, 16, 16), (2, 6, 8, 8)]
    found = cells(x)
    assert found.shape == (2, cells.length) == (2, 64 * (5 + 6 + 6) + 3 * 256)
    small = F.avg_pool2d(x, 8).flatten(1)
    torch.testing.assert_close(found[:, -3 * 256 :], small)
    # The place in the middle of block 3, by hand.
    conv, seen = cells.components[1], cells.seen(x)[1][:, :, 8:10, 6:8]
    place = torch.einsum("bihw,oihw->bo", seen, conv.weight) + conv.bias
    start = 64 * 5
    torch.testing.assert_close(found[:, start : start + 64 * 6].view(2, 6, 8, 8)[:, :, 4, 3], place)


def test_the_published_shapes_of_the_cells() -> None:
    assert Cells.shapes() == [(256, 4), (512, 2), (512, 1)]


def test_light_is_left_to_the_small_picture(network: Encoder) -> None:
    for seen in network.cells.seen(faces(1)):
        lengths = seen.norm(dim=1)
        torch.testing.assert_close(lengths[lengths > 0], torch.ones_like(lengths[lengths > 0]))


def test_rows_are_a_common_part_and_their_own() -> None:
    head = seeded(Head(20, 8, 3))
    x = torch.randn(4, 20, generator=torch.Generator().manual_seed(0))
    whole = head(x)
    assert whole.shape == (4, 3, 512)
    head.row.weight.zero_()
    head.row.bias.zero_()
    alike = head(x)
    assert torch.equal(alike[:, 0], alike[:, 1])
    assert not torch.allclose(whole[:, 0], whole[:, 1])


def test_inputs_are_standardised() -> None:
    head = seeded(Head(20, 8, 3))
    x = torch.randn(4, 20, generator=torch.Generator().manual_seed(0))
    plain = head(x)
    head.mean.fill_(7.0)
    head.scale.fill_(0.25)
    torch.testing.assert_close(head(x * 4 + 7), plain, atol=1e-5, rtol=1e-5)


def test_a_prediction_is_in_the_units_of_w(network: Encoder) -> None:
    generator = tiny.TinyGenerator()
    generator.w_mean += 3.0
    x = faces(2)
    found = network.predict(x, generator)
    assert found.shape == (2, generator.rows, 512)
    assert not found.requires_grad
    by_hand = 3.0 + 0.5 * network.head(network.cells(x))
    torch.testing.assert_close(found, by_hand)


def test_larger_pictures_are_reduced(network: Encoder) -> None:
    x = faces(1, 256)
    expected = network.predict(F.avg_pool2d(x, 2), tiny.GENERATOR)
    torch.testing.assert_close(network.predict(x, tiny.GENERATOR), expected)


def test_another_generator_is_refused(network: Encoder) -> None:
    other = tiny.TinyGenerator(seed=8)
    message = refusal(SpaceMismatch, network.predict, faces(1), other)
    assert "belongs to tiny-0, the generator is tiny-8" in message
    assert "start from the mean" in message


# Its file


def test_a_network_comes_back(network: Encoder, tmp_path: Path) -> None:
    """The numbers here are float16 already, so to the bit."""
    path = tmp_path / "net.safetensors"
    encoder.save(network, path, {"seed": 4})
    read = encoder.load_encoder(path)
    assert read.generator == network.generator
    x = faces(2)
    assert torch.equal(read.predict(x, tiny.GENERATOR), network.predict(x, tiny.GENERATOR))
    assert not any(p.requires_grad for m in (read.cells, read.head) for p in m.parameters())
    tensors, metadata = codes.read_tensors(path, encoder.FORMAT, "a network")
    assert {array.dtype for array in tensors.values()} == {np.dtype(np.float16)}
    assert metadata["provenance"] == {"seed": 4}
    assert not any("trunk" in name for name in tensors)


def change(path: Path, edit: Callable[[dict[str, np.ndarray], dict[str, object]], object]) -> None:
    tensors, metadata = codes.read_tensors(path, encoder.FORMAT, "a network")
    header = dict(metadata)
    edit(tensors, header)
    provenance = header.pop("provenance")
    assert isinstance(provenance, dict)
    codes.write_tensors(tensors, header, provenance, path)


@pytest.mark.parametrize(
    "edit",
    [
        lambda tensors, header: tensors.pop("head.enter.weight"),
        lambda tensors, header: tensors.pop("cells.1.weight"),
        lambda tensors, header: tensors.pop("deviation"),
        lambda tensors, header: header.pop("generator"),
        lambda tensors, header: tensors.update({"head.extra": np.zeros(3, np.float16)}),
        lambda tensors, header: tensors.update({"head.enter.weight": np.zeros(8, np.float16)}),
        lambda tensors, header: tensors.update({"cells.0.bias": np.zeros(9, np.float16)}),
        lambda tensors, header: tensors.update({"deviation": np.ones(256, np.float16)}),
        lambda tensors, header: tensors["head.row.bias"].__setitem__(5, np.nan),
        lambda tensors, header: tensors["head.row.bias"].__setitem__(5, 1000),
        lambda tensors, header: tensors["head.scale"].__setitem__(5, -1),
        lambda tensors, header: tensors["deviation"].__setitem__(5, -1),
        lambda tensors, header: tensors.update(
            {"head.mean": np.zeros(64 * (5 + 6 + 6) + 3 * 256, np.int64)}
        ),
        lambda tensors, header: tensors.update(
            {
                "head.enter.weight": np.zeros((8, 30), np.float16),
                "head.mean": np.zeros(30, np.float16),
                "head.scale": np.ones(30, np.float16),
            }
        ),
    ],
    ids=[
        *("no head", "no cells", "no deviation", "no generator", "more", "flat", "bias"),
        *("deviation", "nan", "far", "negative scale", "negative deviation", "whole numbers"),
        "inputs",
    ],
)
def test_a_file_that_is_not_whole_is_refused(
    network: Encoder, tmp_path: Path, edit: Callable[..., object]
) -> None:
    path = tmp_path / "net.safetensors"
    encoder.save(network, path, {})
    change(path, edit)
    message = refusal(InputError, encoder.load_encoder, path)
    assert "a whole encoder" in message
    assert str(path) in message


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_truncated_file_is_refused(network: Encoder, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "net.safetensors"
    encoder.save(network, path, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="expected an encoder"):
        encoder.load_encoder(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    code = tmp_path / "code.safetensors"
    codes.write_tensors({"w": np.zeros((2, 512))}, {"format": codes.FORMAT}, {}, code)
    with pytest.raises(InputError, match=f"its format is '{codes.FORMAT}'"):
        encoder.load_encoder(code)
    with pytest.raises(InputError, match="no such file"):
        encoder.load_encoder(tmp_path / "none.safetensors")


# The built-in one


def test_the_built_in_file_is_small_and_says_how_it_was_made() -> None:
    """Without the trunk's weights: only its header."""
    path = Path(str(encoder.BUILT_IN))
    assert path.stat().st_size <= MOST_BYTES
    _, metadata = codes.read_tensors(path, encoder.FORMAT, "a network")
    assert str(metadata["generator"]).startswith("mobilestylegan-ffhq-")
    made = metadata["provenance"]
    held_out = [entry["held_out"] for entry in made["curve"]]
    assert held_out[-1] < held_out[0] < 1.0  # 1 is what the mean code gets
    assert json.loads(json.dumps(made)) == made


def test_no_other_generator_is_offered_the_built_in_network() -> None:
    assert encoder.offered(tiny.GENERATOR) is None


@pytest.fixture(scope="module")
def built_in(generator: MobileStyleGAN) -> Encoder:
    found = encoder.offered(generator)
    assert found is not None
    return found


HELD_OUT = (31, 32, 33)


@pytest.fixture(scope="module")
def people(generator: MobileStyleGAN) -> Tensor:
    """Pictures [N, 3, 512, 512] of people that the fit has not seen."""
    assert all(seed < pairs.FIRST_SEED for seed in HELD_OUT)
    w = torch.cat([draw_w(generator, seed) for seed in HELD_OUT])
    with torch.no_grad():
        return generator.synthesize(truncate(w, generator.w_mean, 0.8), 512)


@pytest.mark.weights
def test_held_out_faces_are_guessed_better_than_by_the_mean(
    generator: MobileStyleGAN, built_in: Encoder, people: Tensor
) -> None:
    assert built_in.generator == generator.fingerprint
    loss = losses.make("default", torch.device("cpu"))
    with torch.no_grad():
        mean = losses.shrink(generator.synthesize(generator.w_mean[None], 512), 192)
        for picture in people:
            w = built_in.predict(picture[None], generator)
            assert w.shape == (1, 16, 512)
            assert w.isfinite().all()
            against = loss.against(losses.shrink(picture[None], 192))
            guessed = float(against(losses.shrink(generator.synthesize(w, 512), 192)))
            average = float(against(mean))
            print(f"default loss at 192 px: guess {guessed:.3f}, mean face {average:.3f}")
            assert guessed < average


@pytest.mark.weights
def test_the_rows_of_a_guess_lean_to_their_owners(
    generator: MobileStyleGAN, built_in: Encoder
) -> None:
    """Of two people mixed, coarse rows are nearer to the first one's than fine rows are.

    A network that had collapsed to W would give the same for all rows.
    """
    leanings = []
    for one, two in ((31, 37), (32, 38), (33, 39)):
        owners = [draw_w(generator, seed)[0] for seed in (one, two)]
        mixed = torch.stack([owners[0]] * 5 + [owners[1]] * 11)[None]
        with torch.no_grad():
            w = built_in.predict(generator.synthesize(mixed, 512), generator)[0]
        first, second = (
            F.cosine_similarity(w - generator.w_mean, owner - generator.w_mean) for owner in owners
        )
        leanings.append(first - second)
    leaning = torch.stack(leanings).mean(dim=0)
    print(f"cosine with the first less that with the second, by row: {leaning.tolist()}")
    assert leaning[:5].mean() > leaning[8:].mean() + 0.02


@pytest.mark.weights
def test_the_inversion_starts_from_the_encoder(
    generator: MobileStyleGAN, built_in: Encoder, people: Tensor
) -> None:
    start, name = Inversion(generator, EncodeSettings()).start(people[:1])
    assert name == "encoder"
    torch.testing.assert_close(start, built_in.predict(people[:1], generator)[0])


@pytest.mark.weights
def test_the_built_in_network_refuses_another_generator(built_in: Encoder) -> None:
    with pytest.raises(SpaceMismatch):
        built_in.predict(faces(1), tiny.GENERATOR)
