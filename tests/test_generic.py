"""The whole pipeline on generators other than the built-in one: StyleGAN 1 and 2 from files."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import foreign
import numpy as np
import pytest
import tiny
import torch
from canvas import WHOLE, difference, offsets_for, whole_canvas
from command_line import done, run
from PIL import Image
from test_encode import SmallTrunk
from torch import Tensor

from duchenne import animate
from duchenne.editing import boundaries
from duchenne.editing.boundaries import Boundaries, built_in, save_boundaries
from duchenne.editing.face import DrawnFace
from duchenne.editing.layout import editable_rows
from duchenne.editing.regional import RegionalView, record, unedited
from duchenne.editing.render import Renderer
from duchenne.encoding import encoder, features
from duchenne.encoding.inversion import Inversion
from duchenne.encoding.losses import DefaultLoss
from duchenne.encoding.settings import EncodeSettings
from duchenne.errors import SpaceMismatch, WeightsError
from duchenne.faces import regions
from duchenne.faces.regions import SLOTS
from duchenne.files import films, pictures
from duchenne.generators import readout
from duchenne.generators.base import Generator, PlainView, as_rows, draw_w, truncate
from duchenne.generators.checkpoints import load_generator
from duchenne.generators.mobile import MobileStyleGAN
from duchenne.generators.readout import Readout
from duchenne.programs import tracing
from duchenne.types import LatentCode

GENERATORS = {
    # name: size, what writes the file. Few channels, but W as wide as everywhere.
    "two-256": (256, "nvidia"),
    "two-resnet-128": (128, "resnet"),
    "two-silent-64": (64, "silent"),
    "one-128": (128, "genforce"),
    "one-64": (64, "genforce"),
    "two-32": (32, "nvidia"),
}


def write_network(folder: Path, size: int, writer: str) -> Path:
    """A seeded random network of 512-dimensional W in a foreign file."""
    patch = pytest.MonkeyPatch()
    patch.setattr(foreign, "W_DIM", 512)
    try:
        if writer == "genforce":
            state = foreign.genforce_state(size=size, base=512, most=8)
            for name, value in state.items():
                if ".style." in name:  # trained ones are about this small; these blow up
                    state[name] = value * 0.2
            return foreign.save({"generator_smooth": state}, folder / f"{size}.pth")
        options: dict[str, Any] = {
            "resnet": {"architecture": "resnet"},
            "silent": {"use_noise": False, "conv_clamp": 256.0},
        }.get(writer, {})
        network = foreign.nvidia_generator(size=size, base=512, most=8, **options)
        path = folder / f"{writer}{size}.pkl"
        path.write_bytes(foreign.nvidia_bytes(network))
        return path
    finally:
        patch.undo()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module", params=list(GENERATORS))
def generator(request: pytest.FixtureRequest, folder: Path) -> Generator:
    return load_generator(write_network(folder, *GENERATORS[request.param]))


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Path:
    return write_network(folder, *GENERATORS["two-256"])


def code_of(generator: Generator, seed: int = 1) -> np.ndarray:
    return draw_w(generator, seed).expand(generator.rows, -1).numpy().copy()


# Rendering


@pytest.mark.parametrize("zones", [("mouth",), ("browsR",), ("eyes", "nose"), ("",)])
def test_a_frame_is_the_whole_pass_inside_and_the_base_outside(
    generator: Generator, zones: tuple[str, ...]
) -> None:
    renderer = shared_renderer(generator)
    scene = renderer.open(code_of(generator), tiny.golden_regions)
    assert scene.base.shape == (generator.size, generator.size, 3)
    assert scene.base.tobytes() == renderer.still(scene.w).tobytes()
    assert scene.base.std() > 10
    offsets = offsets_for(generator, *zones, size=0.3)
    frame = scene.frame(offsets)
    expected = whole_canvas(generator, scene.w, offsets, scene.regions)
    inside = scene.regions.blend(offsets.any(axis=(1, 2)), generator.size) > 0
    assert difference(frame, expected)[inside].max() <= 2
    assert frame[~inside].tobytes() == scene.base[~inside].tobytes()
    assert difference(frame, scene.base)[inside].mean() > 1


_RENDERERS: dict[str, Renderer] = {}


def shared_renderer(generator: Generator) -> Renderer:
    """Compiled once for each network."""
    return _RENDERERS.setdefault(generator.fingerprint, Renderer(generator, threads=1))


def test_the_edge_of_an_edit_is_soft(generator: Generator) -> None:
    """Where the blend ends, the whole pass has come back to the base: no seam."""
    w, offsets = code_of(generator), offsets_for(generator, "mouth", size=0.3)
    scene = shared_renderer(generator).open(w, tiny.golden_regions)
    edited = whole_canvas(generator, w, offsets, scene.regions)
    blend = scene.regions.blend(offsets.any(axis=(1, 2)), generator.size)
    assert difference(edited, scene.base)[blend == 0].max() <= 1


def test_the_compiled_picture_is_the_modules(generator: Generator) -> None:
    renderer, w = shared_renderer(generator), code_of(generator, 3)
    assert difference(renderer.plain(w), renderer.still(w)).max() <= 1


def test_nothing_asked_is_the_base(generator: Generator) -> None:
    scene = shared_renderer(generator).open(code_of(generator), tiny.golden_regions)
    assert scene.frame(0 * offsets_for(generator, "", size=0.3)).tobytes() == scene.base.tobytes()


def test_a_module_in_the_place_of_a_compiled_one(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU runs, on the CPU."""
    network, cpu = load_generator(checkpoint), torch.device("cpu")
    w, offsets = code_of(network), offsets_for(network, "mouth", size=0.3)
    compiled = shared_renderer(network).open(w, tiny.golden_regions)
    frame, ran = compiled.frame(offsets), []

    def as_it_is(_: object, module: Any, example: Any, known: Any = (), *how: object) -> Any:
        ran.append(module)
        return tracing.on_device(module, cpu, known)

    monkeypatch.setattr(tracing.Compiler, "compile", as_it_is)
    renderer = Renderer(network, threads=1)
    assert difference(renderer.open(w, tiny.golden_regions).frame(offsets), frame).max() <= 1
    assert difference(renderer.plain(w), compiled.base).max() <= 1
    assert ran


def test_an_edit_does_not_move_the_statistics(folder: Path) -> None:
    """StyleGAN1: the pass is divided by the unedited canvas's deviations."""
    network = load_generator(write_network(folder, *GENERATORS["one-64"]))
    seen = record(network, torch.from_numpy(code_of(network))[None])
    assert sorted(seen.moments) == list(range(network.rows))
    view = RegionalView(
        torch.zeros(1, network.rows, 512), torch.zeros(8, network.rows, 512), range(0),
        {}, {}, {}, {}, WHOLE, moments=seen.moments,
    )  # fmt: skip
    mean, deviation = view.moments(3, torch.full((1, 8, 4, 4), 7.0))
    assert mean is seen.moments[3][0]
    assert deviation is seen.moments[3][1]


# Encoding


def small_inversion(generator: Generator, trunk: SmallTrunk, **settings: Any) -> Inversion:
    return Inversion(generator, EncodeSettings(**settings), loss=DefaultLoss(trunk))


def test_encoding_comes_closer(generator: Generator) -> None:
    """At the default loss size, which is larger than these pictures."""
    with torch.no_grad():
        face = pictures.from_planes(generator.synthesize(draw_w(generator, 11))[0].numpy())
    inversion = small_inversion(generator, SmallTrunk(), steps=12, prior_weight=0.0)
    code = inversion.encode(face)
    assert code.w.shape == (generator.rows, 512)
    assert np.isfinite(code.w).all()
    assert code.generator == generator.fingerprint
    trace = code.provenance["trace"]
    assert code.provenance["loss"] < 0.98 * trace[0][1]


def test_the_readout_of_any_size(generator: Generator) -> None:
    """On the faces that it is fitted to, it is no worse than the mean colour."""
    w = truncate(draw_w(generator, readout.SEED, readout.FACES), generator.w_mean, 0.7)
    side = generator.size // 4
    with torch.no_grad():
        small = generator.synthesize(w, side)
        picture = Readout(generator).picture(PlainView(as_rows(w, generator.rows)))
    assert picture.shape == (len(w), 3, side, side)
    spread = (small - small.mean(dim=(0, 2, 3), keepdim=True)).square().mean()
    assert (picture - small).square().mean() < spread


class Sides(SmallTrunk):
    """Notes the sides of the pictures that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def forward(self, images: Tensor) -> list[Tensor]:
        self.seen.add(images.shape[-1])
        return super().forward(images)


@pytest.mark.parametrize(
    ("name", "sides"),
    [("two-256", {64}), ("two-silent-64", {32}), ("two-32", {32})],
)
def test_pictures_are_compared_at_their_own_side(name: str, sides: set[int], folder: Path) -> None:
    """Whole at half their side, the inner face as it is; below 32 px, pixels are repeated."""
    network = load_generator(write_network(folder, *GENERATORS[name]))
    trunk = Sides()
    inversion = small_inversion(network, trunk, steps=6)
    inversion.encode(np.zeros((network.size, network.size, 3), np.uint8))
    assert trunk.seen == sides


# Boundaries


STYLEGAN2_ROWS = (4, *(8 << k for k in range(8) for _ in "ab"), 1024)


def a_generator(row_sizes: tuple[int, ...]) -> Any:
    return SimpleNamespace(row_sizes=row_sizes, rows=len(row_sizes), fingerprint="other-1024")


def test_boundaries_move_to_the_rows_of_the_same_resolution(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, sizes = built_in(), MobileStyleGAN.row_sizes
    with caplog.at_level(logging.WARNING):
        found = boundaries.offered(a_generator(STYLEGAN2_ROWS))
    assert "transferred, not verified" in caplog.text
    assert found.normals.shape == (len(source.normals), 18, 512)
    assert found.generator == "other-1024"
    assert found.provenance["status"] == "transferred, not verified"
    assert found.provenance["from"] == source.generator
    ours, theirs = (np.linalg.norm(limits.normals, axis=(1, 2)) for limits in (found, source))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    for size in {8, 16, 32}:
        ours = [row for row, s in enumerate(STYLEGAN2_ROWS) if s == size]
        theirs = [row for row, s in enumerate(sizes) if s == size]
        np.testing.assert_allclose(found.normals[:, ours], source.normals[:, theirs], atol=1e-7)
    np.testing.assert_array_equal(found.lengths, source.lengths)


@pytest.mark.parametrize(
    "row_sizes",
    [
        STYLEGAN2_ROWS[:-4],  # 256 px
        tuple(4 << k for k in range(9) for _ in "ab"),  # StyleGAN at 1024 px: 18 rows, another W
    ],
)
def test_other_networks_need_their_own(row_sizes: tuple[int, ...]) -> None:
    with pytest.raises(SpaceMismatch, match="duchenne fit boundaries --generator"):
        boundaries.offered(a_generator(row_sizes))


def test_rank_and_resolution_decide_by_hand() -> None:
    source = Boundaries(
        normals=np.zeros((12, 3, 512), np.float32),
        biases=np.zeros(12, np.float32),
        lengths=np.ones((12, 1), np.float32),
        generator="a",
    )
    source.normals[:, 0, 0], source.normals[:, 1, 0], source.normals[:, 2, 0] = 0.48, 0.6, 0.64
    found = boundaries.transferred(source, (4, 8, 8), a_generator((8, 8, 8, 16)))
    norm = np.hypot(0.6, 0.64)  # the row of 4 px has no counterpart
    np.testing.assert_allclose(found.normals[0, :, 0], [0.6 / norm, 0.64 / norm, 0, 0], rtol=1e-6)


def test_a_narrow_w_is_refused_by_the_pipeline(folder: Path) -> None:
    path = folder / "narrow.pkl"
    path.write_bytes(foreign.nvidia_bytes(foreign.nvidia_generator()))
    with pytest.raises(WeightsError, match="its W has 32 dimensions, expected 512"):
        _ = animate.Studio(generator=load_generator(path)).generator


# Regions where the generator draws no face


def no_face(drawn: np.ndarray, near: object = None) -> None:
    """What the mesh's network says of a picture without a face."""


def test_regions_hang_on_the_photo_or_on_the_average_face(
    checkpoint: Path, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr("duchenne.editing.face.find_mesh", no_face)
    studio = animate.Studio(generator=load_generator(checkpoint), threads=1)
    code = LatentCode(code_of(studio.generator), studio.generator.fingerprint)
    aligned = tiny.golden_align(pictures.Photo(astronaut), size=256)
    drawn = np.zeros((256, 256, 3), np.uint8)
    with caplog.at_level(logging.WARNING):
        of_photo = DrawnFace(studio.renderer, code, aligned).find_regions(drawn)
        assert "the photo's" in caplog.text
        average = DrawnFace(studio.renderer, code).find_regions(drawn)
        assert "the average face's" in caplog.text
    golden = tiny.golden_regions(drawn)
    np.testing.assert_allclose(of_photo.masks, golden.masks, atol=1e-5)
    mouth, brows = (average.masks[i : i + 2].sum(axis=0) for i in (6, 0))
    y, x = np.mgrid[: regions.CANVAS, : regions.CANVAS] / regions.CANVAS
    assert (mouth * x).sum() / mouth.sum() == pytest.approx(0.5, abs=0.03)  # in the middle
    assert 0.65 < (mouth * y).sum() / mouth.sum() < 0.85
    assert (brows * y).sum() / brows.sum() < 0.45


# From end to end


@pytest.fixture
def here(folder: Path, astronaut: np.ndarray, tmp_path: Path, monkeypatch: Any) -> Path:
    """The working folder of a command: a photo; no detector of faces or hands, no VGG-16."""
    Image.fromarray(astronaut).save(tmp_path / "photo.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("duchenne.faces.align.align", tiny.golden_align)
    monkeypatch.setattr("duchenne.faces.hands.find", lambda *_: [])
    monkeypatch.setattr("duchenne.encoding.features.load", SmallTrunk)
    monkeypatch.setattr("duchenne.editing.face.find_mesh", no_face)
    return tmp_path


def boundaries_for(path: Path) -> str:
    network = load_generator(path)
    save_boundaries(tiny.boundaries(network), Path("mine.safetensors"))
    return "mine.safetensors"


@pytest.mark.parametrize("name", ["one-128", "two-32"])
def test_every_command_takes_a_generator(name: str, folder: Path, here: Path) -> None:
    path, size = write_network(folder, *GENERATORS[name]), GENERATORS[name][0]
    chosen = ["--generator", path]
    limits = ["--boundaries", boundaries_for(path)]
    done("sample", "--seed", 7, "-o", "face.png", *chosen)
    with Image.open("face.png") as face:
        assert face.size == (size, size)
    done("encode", "photo.jpg", "--steps", 2, "-o", "anna.safetensors", *chosen)
    done("edit", "anna.safetensors", "--au", "AU12", "-o", "smile.png", *chosen, *limits)
    with Image.open("smile.png") as smile:
        assert smile.size == (size, size)
    result = done(
        "animate", "photo.jpg", "--au", "AU12=1,AU4=0.5", "--frames", 3, "--steps", 2,
        "-o", "a.gif", *chosen, *limits, "--json", "a.json",
    )  # fmt: skip
    assert "regions of influence are the photo's" in result.stderr
    frames = list(films.read_video("a.gif"))
    assert [frame.shape for frame in frames] == [(512, 512, 3)] * 3
    assert (frames[0] != frames[2]).any()
    record_of = json.loads(Path("a.json").read_text())
    assert record_of["generator"] == load_generator(path).fingerprint
    assert record_of["generator_file"]["sha256"]
    assert record_of["boundaries_file"]["path"] == "mine.safetensors"


def encoder_for(path: Path, seed: int, file: str) -> str:
    """A seeded v(I) for a generator, over the small trunk."""
    network = load_generator(path)
    torch.manual_seed(seed)
    cells = encoder.Cells(features.load())
    head = encoder.Head(cells.length, 8, network.rows)
    deviation = torch.full((512,), 0.5)
    encoder.save(encoder.Encoder(cells, head, deviation, network.fingerprint), Path(file), {})
    return file


def test_the_encoding_starts_from_a_fitted_encoder(
    checkpoint: Path, folder: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder.Cells, "shapes", staticmethod(lambda: [(6, 4), (8, 4), (8, 4)]))
    seen = [torch.zeros(1, width, 32, 32) for width in (6, 8, 8)]
    monkeypatch.setattr(encoder.Cells, "seen", lambda self, pictures: seen)
    command = ["encode", "photo.jpg", "--steps", 1, "-o", "anna.safetensors", "--json", "a.json"]
    command += ["--generator", checkpoint]

    def start_of(*arguments: Any) -> tuple[str, Any]:
        done(*command, *arguments)
        facts = json.loads(Path("a.json").read_text())
        return facts["code"]["start"], facts["encoder"]

    first = encoder_for(checkpoint, 1, "one.safetensors")
    second = encoder_for(checkpoint, 2, "two.safetensors")
    versions = [start_of("--encoder", file) for file in (first, second)]
    assert [start for start, _ in versions] == ["encoder", "encoder"]
    assert versions[0][1] != versions[1][1]
    assert start_of() == ("mean", None)  # not the codes of the others, out of the cache
    assert start_of("--encoder", first) == versions[0]
    record_of = json.loads(Path("a.json").read_text())
    assert record_of["encoder_file"]["path"] == "one.safetensors"
    other = encoder_for(write_network(folder, *GENERATORS["one-128"]), 1, "three.safetensors")
    mixed = run(*command, "--encoder", other)
    assert mixed.exit_code == 8
    assert "duchenne fit encoder" in mixed.stderr
    assert run(*command, "--encoder", first, "--init", "mean").exit_code == 2
    assert run(*command, "--encoder", "photo.jpg").exit_code == 3


def test_a_converted_generator_is_the_same_one(checkpoint: Path, here: Path) -> None:
    done("generator", "convert", checkpoint, "-o", "mine.safetensors")
    before, after = (
        json.loads(done("generator", "info", path, "--json", "-").stdout)["generator"]
        for path in (checkpoint, "mine.safetensors")
    )
    assert before == after
    assert (before["kind"], before["size"], before["rows"]) == ("stylegan2", 256, 14)
    done("sample", "--seed", 7, "-o", "one.png", "--generator", checkpoint)
    done("sample", "--seed", 7, "-o", "two.png", "--generator", "mine.safetensors")
    assert Path("one.safetensors").read_bytes() == Path("two.safetensors").read_bytes()


def test_mixing_and_wrong_files_have_their_exit_codes(
    checkpoint: Path, folder: Path, here: Path
) -> None:
    other = write_network(folder, *GENERATORS["one-128"])
    limits = boundaries_for(checkpoint)
    done("sample", "--seed", 7, "-o", "face.png", "--generator", checkpoint)
    edit = ["edit", "face.safetensors", "--au", "AU12", "-o", "out.png"]
    without = run(*edit, "--generator", checkpoint)
    assert without.exit_code == 8
    assert "duchenne fit boundaries --generator" in without.stderr
    assert run(*edit, "--generator", other, "--boundaries", limits).exit_code == 8
    own = boundaries_for(other)
    mixed = run(*edit, "--generator", other, "--boundaries", own)
    assert mixed.exit_code == 8
    assert "the code belongs to" in mixed.stderr
    assert run("generator", "info", "photo.jpg").exit_code == 7
    assert run(*edit, "--generator", "absent.pkl").exit_code == 7
    replaced = run("generator", "convert", "face.safetensors", "-o", "face.safetensors")
    assert replaced.exit_code == 6
    assert not Path("out.png").exists()


@pytest.mark.weights
@pytest.mark.usefixtures("landmarker_task")
@pytest.mark.parametrize("method", ["pairs", "paper"])
def test_no_boundaries_without_faces(method: str, checkpoint: Path, here: Path) -> None:
    plain = ["--no-refine"] if method == "pairs" else []  # refining needs dlib
    result = run(
        "fit", "boundaries", "--generator", checkpoint, "--method", method, "--faces", 10,
        "-o", "b.safetensors", *plain,
    )  # fmt: skip
    assert result.exit_code == 4
    assert "no face" in result.stderr


@pytest.mark.parametrize("other", [["--method", "paper"], ["--disfa", "DISFA"]])
def test_only_matched_pairs_are_refined(other: list[str], here: Path) -> None:
    result = run("fit", "boundaries", *other, "--no-refine", "-o", "b.safetensors")
    assert result.exit_code == 2
    assert "--refine goes with --method pairs" in result.stderr


def test_what_refining_lacks_is_said_at_once(
    checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    result = run("fit", "boundaries", "--generator", checkpoint, "-o", "b.safetensors")
    assert result.exit_code == 7
    assert "duchenne[evaluate]" in result.stderr


@pytest.mark.parametrize("name", GENERATORS)
def test_a_pass_stays_on_its_device(name: str, folder: Path, tmp_path: Path) -> None:
    """On "meta", a device of shapes without numbers, a tensor that is left on the CPU is an error.

    It stands for a GPU, which test machines lack: plain passes, read-outs, regional passes and
    their gradients.
    """
    network = load_generator(write_network(folder, *GENERATORS[name]))
    small = Readout(network, cache=tmp_path)
    network, small.matrix = network.to("meta"), small.matrix.to("meta")
    w = torch.empty(1, network.rows, 512, device="meta")
    _, seen = unedited(network, w)
    offsets = torch.zeros(len(SLOTS), network.rows, 512, device="meta", requires_grad=True)
    view = RegionalView(
        w,
        offsets,
        editable_rows(network),
        masks={s: torch.empty(len(SLOTS), s, s, device="meta") for s in (4, 8, 16, 32, 64)},
        blends={},
        features={},
        noises={},
        window=(WHOLE[0].to("meta"), WHOLE[1].to("meta")),
        moments=seen.known_moments,
    )
    passes = [network.synthesize(w), network.synthesize(w, noise="none"), network.run(view)]
    passes += [small.picture(PlainView(w)), truncate(draw_w(network, 1), network.w_mean, 0.5)]
    passes += [torch.autograd.grad(passes[2].sum(), offsets)[0]]
    assert {tensor.device.type for tensor in passes} == {"meta"}


@pytest.mark.weights
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.usefixtures("landmarker_task")
def test_cuda_responses_agree() -> None:
    from duchenne.fit.probe import Probe
    from duchenne.fit.responses import identity
    from duchenne.generators import mobile
    from duchenne.measuring.score import built_in_scale

    found = []
    for device in ("cpu", "cuda"):
        network = mobile.load().to(device)
        w = torch.from_numpy(identity(network, 0)).expand(network.rows, -1)
        response = Probe(network, built_in_scale().template).response(w)
        assert response is not None
        found.append(response)
    np.testing.assert_allclose(found[0].values, found[1].values, atol=1e-2, rtol=1e-2)
    one, other = (response.slopes.ravel() for response in found)
    assert np.corrcoef(one, other)[0, 1] > 0.99


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["two-256", "one-128"])
def test_cuda_agrees(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duchenne.encoding.features.load", SmallTrunk)
    path = write_network(folder, *GENERATORS[name])
    frames = []
    for device in ("cpu", "cuda"):
        network = load_generator(path, device)
        w = draw_w(network, 1).expand(network.rows, -1).cpu().numpy().copy()
        scene = Renderer(network, threads=1).open(w, tiny.golden_regions)
        frames.append(scene.frame(offsets_for(network, "mouth", size=0.3)))
        inversion = Inversion(network, EncodeSettings(steps=3))
        assert np.isfinite(inversion.encode(scene.base).w).all()
    assert difference(*frames).max() <= 2
