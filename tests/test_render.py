"""Frames: exact inside the regions, untouched outside, the same every time.

The reference is the whole-canvas pass in PyTorch, without a window.
"""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from canvas import difference, offsets_for, regional_view, slots, whole_canvas

from duchenne import cores
from duchenne.editing.layout import editable_rows
from duchenne.editing.render import STAGES, Renderer, Scene, shrunk
from duchenne.errors import InputError, SpaceMismatch
from duchenne.faces.regions import CANVAS, SLOTS, Regions
from duchenne.files import pictures
from duchenne.generators.base import Generator, PlainView, draw_z, truncate
from duchenne.generators.readout import Readout
from duchenne.types import LatentCode

# Two convolutions a size, as the real generators have, and two sizes above WINDOW_FROM.
SMALL = tiny.TinyGenerator(seed=3, sizes=(4, 8, 16, 32, 64, 128), depth=2)
W = draw_z(1, SMALL.rows).numpy()


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(SMALL, threads=1)


@pytest.fixture(scope="module")
def scene(renderer: Renderer) -> Scene:
    return renderer.open(W, tiny.golden_regions)


def may_change(generator: Generator, found: Regions, active: np.ndarray) -> np.ndarray:
    """[H, W] where the widest mask of the finest layer is not zero."""
    last = generator.layer_sizes[-1]
    factor = generator.size // last
    return (found.blend(active, last) > 0).repeat(factor, axis=0).repeat(factor, axis=1)


def check_frame(scene: Scene, generator: Generator, offsets: np.ndarray) -> None:
    """The frame is the whole-canvas pass inside, the unedited picture outside, and not dull."""
    frame = scene.frame(offsets)
    expected = whole_canvas(generator, scene.w, offsets, scene.regions)
    inside = may_change(generator, scene.regions, offsets.any(axis=(1, 2)))
    assert frame.shape == scene.base.shape
    assert frame.dtype == np.uint8
    assert difference(frame, expected)[inside].max() <= 2
    assert frame[~inside].tobytes() == scene.base[~inside].tobytes()
    assert difference(frame, scene.base)[inside].mean() > 1


# Smoke and errors


def test_editable_rows_are_those_from_8_to_32_px() -> None:
    assert editable_rows(SMALL) == range(2, 8)  # 4 px: rows 0 and 1
    assert editable_rows(tiny.GENERATOR) == range(1, 4)


def test_a_code_of_another_generator_is_refused(renderer: Renderer) -> None:
    assert renderer.require_space(LatentCode(W, "tiny-3")) is W
    with pytest.raises(SpaceMismatch, match="belongs to other-1, the generator is tiny-3"):
        renderer.require_space(LatentCode(W, "other-1"))


def test_the_regions_are_asked_about_the_rendered_face(renderer: Renderer) -> None:
    seen = []
    scene = renderer.open(W, lambda face: (seen.append(face), tiny.golden_regions(face))[1])
    assert len(seen) == 1
    assert seen[0] is scene.base


# Values


def test_a_still_is_the_modules_picture(renderer: Renderer) -> None:
    with torch.no_grad():
        expected = pictures.from_planes(SMALL.synthesize(torch.from_numpy(W)[None])[0].numpy())
    found = renderer.still(W)
    assert found.shape == (256, 256, 3)
    assert difference(found, expected).max() <= 1
    assert found.std() > 10


def test_the_base_is_the_still(renderer: Renderer, scene: Scene) -> None:
    """Two engines draw them: PyTorch once for each face, OpenVINO every still."""
    assert difference(scene.base, renderer.still(scene.w)).max() <= 1


def test_nothing_asked_is_the_base(scene: Scene) -> None:
    nothing = np.zeros((len(SLOTS), SMALL.rows, 512), np.float32)
    assert scene.frame(nothing).tobytes() == scene.base.tobytes()


@pytest.mark.parametrize(
    "names",
    [
        *(("brows",), ("eyes",), ("nose",), ("mouth",), ("mouthL",), ("eyesR",)),
        *(("browsR", "mouthL"), ("brows", "mouth"), ("eyes", "nose"), ("",)),
    ],
)
def test_a_frame_is_the_whole_pass_inside_and_the_base_outside(
    scene: Scene, names: tuple[str, ...]
) -> None:
    check_frame(scene, SMALL, offsets_for(SMALL, *names, size=1.0))


@pytest.mark.parametrize("size", [0.05, 4.0])
def test_small_and_large_changes(scene: Scene, size: float) -> None:
    offsets = offsets_for(SMALL, "mouth", size=size)
    expected = whole_canvas(SMALL, scene.w, offsets, scene.regions)
    inside = may_change(SMALL, scene.regions, slots("mouth"))
    assert difference(scene.frame(offsets), expected)[inside].max() <= 2


def test_only_a_window_is_computed(scene: Scene) -> None:
    scene.frame(offsets_for(SMALL, "mouth", size=1.0))
    stage = scene._stages[SMALL.size, tuple(slots("mouth").tolist())]
    height, width = (side.stop - side.start for side in stage.window)
    assert height * width < 0.7 * scene.base.shape[0] * scene.base.shape[1]


def blob(x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:CANVAS, :CANVAS] + 0.5
    distance = np.hypot(columns - x, rows - y)
    return np.clip(2 - 2 * distance / radius, 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    "centre",
    [(0, 128), (256, 128), (128, 0), (128, 256), (0, 0), (256, 256), (20, 240), (128, 128)],
)
def test_a_region_at_the_border(renderer: Renderer, centre: tuple[int, int]) -> None:
    masks = np.zeros((len(SLOTS), CANVAS, CANVAS), np.float32)
    masks[6] = blob(*centre, radius=40)
    scene = renderer.open(W, lambda face: Regions(masks))
    check_frame(scene, SMALL, offsets_for(SMALL, "mouthR", size=1.0))


def test_a_region_outside_the_picture_changes_nothing(renderer: Renderer) -> None:
    """A face that is cut off: its mouth lies below the picture."""
    masks = np.zeros((len(SLOTS), CANVAS, CANVAS), np.float32)
    scene = renderer.open(W, lambda face: Regions(masks))
    frame = scene.frame(offsets_for(SMALL, "mouth", size=1.0))
    assert frame.tobytes() == scene.base.tobytes()


def test_the_same_bytes_twice(renderer: Renderer, scene: Scene) -> None:
    offsets = offsets_for(SMALL, "brows", "mouth", size=1.0)
    first = scene.frame(offsets)
    scene.frame(offsets_for(SMALL, "eyes", size=1.0))
    assert scene.frame(offsets).tobytes() == first.tobytes()
    assert renderer.open(scene.w, tiny.golden_regions).frame(offsets).tobytes() == first.tobytes()
    assert Renderer(SMALL, threads=1).open(scene.w, tiny.golden_regions).frame(
        offsets
    ).tobytes() == (first.tobytes())


def test_frames_side_by_side_are_those_one_by_one(scene: Scene) -> None:
    asked = [offsets_for(SMALL, "brows", "mouth", size=0.1 * step) for step in range(12)]
    active = asked[-1].any(axis=(1, 2))
    alone = [scene.frame(offsets, active=active) for offsets in asked]
    beside = Renderer(SMALL, threads=2).open(scene.w, tiny.golden_regions, at_once=2)
    frames = cores.in_order(lambda offsets: beside.frame(offsets, active=active), asked, 3)
    for expected, frame in zip(alone, frames, strict=True):
        assert frame.tobytes() == expected.tobytes()


def test_the_base_is_not_drawn_over(scene: Scene) -> None:
    before = scene.base.copy()
    frame = scene.frame(offsets_for(SMALL, "mouth", size=1.0))
    frame[:] = 0
    assert scene.base.tobytes() == before.tobytes()


def test_rows_that_expressions_do_not_live_in_are_left_alone(scene: Scene) -> None:
    offsets = offsets_for(SMALL, "mouth", size=1.0)
    expected = scene.frame(offsets)
    rows = editable_rows(SMALL)
    others = [row for row in range(SMALL.rows) if row not in rows]
    offsets[6:, others] = 50.0
    assert scene.frame(offsets).tobytes() == expected.tobytes()


# Sizes


@pytest.fixture(scope="module")
def previewed() -> Scene:
    """A scene of its own: its read-outs are fitted once for these tests."""
    return Renderer(SMALL, threads=1).open(W, tiny.golden_regions)


def test_the_sizes_are_the_whole_the_half_and_the_quarter(renderer: Renderer) -> None:
    assert renderer.sizes == (256, 128, 64)
    assert Renderer(tiny.GENERATOR, threads=1).sizes == (128, 64, 32)
    assert renderer.require_size(None) == 256
    for size in (0, 32, 100, 512):
        with pytest.raises(InputError, match=f"size {size}: this generator draws 256, 128, 64 px"):
            renderer.require_size(size)


def test_tile_means_by_hand() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2, :2] = [[[10], [20]], [[30], [40]]]
    assert (shrunk(picture, 2)[0, 0] == 25).all()
    assert shrunk(picture, 2).sum() == 75
    assert shrunk(picture, 4) is picture


@pytest.mark.parametrize("size", [128, 64])
def test_a_preview_of_nothing_is_the_small_base(previewed: Scene, size: int) -> None:
    nothing = np.zeros((len(SLOTS), SMALL.rows, 512), np.float32)
    found = previewed.frame(nothing, size=size)
    assert found.tobytes() == shrunk(previewed.base, size).tobytes()
    assert found.tobytes() == previewed.renderer.still(previewed.w, size).tobytes()


@pytest.mark.parametrize(("size", "part"), [(128, 2), (64, 4)])
@pytest.mark.parametrize("names", [("mouth",), ("browsL", "eyes")])
def test_a_preview_is_the_base_and_what_the_readout_says_of_the_edit(
    previewed: Scene, names: tuple[str, ...], size: int, part: int
) -> None:
    active = slots(*names)
    offsets = offsets_for(SMALL, *names, size=0.3)
    preview = previewed.frame(offsets, size=size)
    base = shrunk(previewed.base, size)
    readout = Readout(SMALL, part=part, tile=2)
    assert readout.size == size
    with torch.no_grad():
        code = torch.from_numpy(previewed.w)[None]
        edited = readout.features(regional_view(SMALL, previewed.w, offsets, previewed.regions))
        change = readout.change(edited - readout.features(PlainView(code)))[0].numpy()
    expected = pictures.from_planes(pictures.to_planes(base) + change)
    inside = previewed.regions.blend(active, size // 2) > 0
    inside = inside.repeat(2, axis=0).repeat(2, axis=1)
    assert preview.shape == (size, size, 3)
    assert difference(preview, expected)[inside].max() <= 2
    assert preview[~inside].tobytes() == base[~inside].tobytes()
    assert difference(preview, base)[inside].mean() > 0.5
    assert previewed.frame(offsets, size=size).tobytes() == preview.tobytes()


def test_regions_named_as_active_are_drawn_with_the_others(scene: Scene) -> None:
    """The frames of one film share a window, whatever each of them edits."""
    offsets = offsets_for(SMALL, "mouth", size=1.0)
    both = slots("mouth", "brows")
    frame = scene.frame(offsets, active=both)
    inside = may_change(SMALL, scene.regions, both)
    assert frame[~inside].tobytes() == scene.base[~inside].tobytes()
    own = may_change(SMALL, scene.regions, slots("mouth"))
    assert difference(frame, scene.base)[own].mean() > 1
    nothing = np.zeros_like(offsets)
    assert scene.frame(nothing, active=both).tobytes() == scene.base.tobytes()
    # a region with offsets is drawn even if it is not named
    named = scene.frame(offsets, active=slots("brows"))
    assert named.tobytes() == frame.tobytes()


def test_few_windows_are_kept(scene: Scene) -> None:
    frames = {}
    for zone in ("brows", "eyes", "nose", "mouth"):
        frames[zone] = scene.frame(offsets_for(SMALL, zone, size=1.0))
        assert len(scene._stages) <= STAGES
    for zone, frame in frames.items():
        assert scene.frame(offsets_for(SMALL, zone, size=1.0)).tobytes() == frame.tobytes()
    scene.forget()
    assert not scene._stages


# The real generator


@pytest.mark.weights
def test_regions_of_a_sampled_face(mobile_renderer: Renderer, mobile_sample: np.ndarray) -> None:
    generator = mobile_renderer.generator
    scene = mobile_renderer.open(mobile_sample, tiny.golden_regions)
    for zone in ("browsL", "mouth"):  # the smallest and the largest; small networks have all
        check_frame(scene, generator, offsets_for(generator, zone, size=0.3))


@pytest.mark.weights
def test_a_sampled_face_is_the_modules_picture(
    mobile_renderer: Renderer, mobile_sample: np.ndarray
) -> None:
    generator = mobile_renderer.generator
    with torch.no_grad():
        expected = generator.synthesize(torch.from_numpy(mobile_sample)[None])[0].numpy()
    assert (
        difference(mobile_renderer.still(mobile_sample), pictures.from_planes(expected)).max() <= 1
    )


def test_truncation_pulls_towards_the_centre() -> None:
    w, mean = torch.full((1, 512), 3.0), torch.ones(512)
    assert torch.equal(truncate(w, mean, 0.0)[0], mean)
    assert torch.equal(truncate(w, mean, 1.0), w)
    assert torch.equal(truncate(w, mean, 0.5), torch.full((1, 512), 2.0))


@pytest.mark.weights
def test_previews_of_a_sampled_face(mobile_renderer: Renderer, mobile_sample: np.ndarray) -> None:
    """Nearer to the shrunk frame than 25 dB where the edit shows."""
    scene = mobile_renderer.open(mobile_sample, tiny.golden_regions)
    offsets = offsets_for(mobile_renderer.generator, "mouth", size=0.1)
    full = scene.frame(offsets)
    for size in (512, 256):
        true, base = shrunk(full, size), shrunk(scene.base, size)
        preview = scene.frame(offsets, size=size)
        moved = difference(true, base).max(axis=2) > 3
        assert moved.mean() > 0.02
        error = np.square(true[moved].astype(float) - preview[moved]).mean()
        assert 10 * np.log10(255**2 / error) > 25
        above = size // 6  # the forehead and above
        assert preview[:above].tobytes() == base[:above].tobytes()
