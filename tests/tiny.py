"""A generator, boundaries and a studio small enough for unit tests: seeded, offline, fast.

The network is untrained, so its pictures are noise; what is real is everything around it. The
faces come from golden landmarks instead of the detector, whose weights may not be here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duchenne import animate, facs
from duchenne.editing import face as drawn_face
from duchenne.editing import layout
from duchenne.editing.boundaries import Boundaries
from duchenne.encoding.cache import Progress
from duchenne.encoding.settings import EncodeSettings
from duchenne.faces import align, hands, landmarks, regions
from duchenne.faces.eyes import Eye
from duchenne.faces.warp import apply, invert
from duchenne.generators.base import PlainView, View, as_rows
from duchenne.moving import eyes as moving_eyes
from duchenne.types import AlignedFace, Face, LatentCode, Photo, Pixels

GOLDEN = Path(__file__).parent / "data" / "landmarks_mediapipe_0.10.21.npz"
CHANNELS = 8
SIZES = (4, 8, 16, 32, 64)


class TinyGenerator(nn.Module):
    """Modulated convolutions from 4 px up and a picture of twice the last side; one row of W+ each.

    depth: convolutions of each size, as deep as the real ones' (2) where halos are the subject.
    """

    z_dim = 512
    size = 2 * SIZES[-1]

    def __init__(self, seed: int = 0, sizes: tuple[int, ...] = SIZES, depth: int = 1) -> None:
        super().__init__()
        self.fingerprint = f"tiny-{seed}"
        self.size = 2 * sizes[-1]
        self.layer_sizes = tuple(size for size in sizes for _ in range(depth))
        self.row_sizes = (*self.layer_sizes, self.size)
        self.rows = len(self.row_sizes)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.dense = nn.Linear(512, 512)
            self.affines = nn.ModuleList(nn.Linear(512, CHANNELS) for _ in range(self.rows))
            self.convolutions = nn.ModuleList(
                nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in self.layer_sizes
            )
            for convolution in self.convolutions:
                convolution.weight.data *= 6**0.5  # keeps the variance (He et al. 2015)
            self.rgb = nn.Conv2d(CHANNELS, 12, 1)
            self.register_buffer("constant", torch.randn(1, CHANNELS, 4, 4))
            for layer, size in enumerate(self.layer_sizes):
                self.register_buffer(f"noise{layer}", torch.randn(1, 1, size, size) * 0.1)
        self.register_buffer("w_mean", torch.zeros(512))
        self.requires_grad_(False).eval()

    def mapping(self, z: Tensor) -> Tensor:
        return F.leaky_relu(self.dense(z), 0.2)

    def synthesize(self, w: Tensor, size: int | None = None) -> Tensor:
        return self.run(PlainView(as_rows(w, self.rows)), size)

    def fine_weights(self) -> list[str]:
        first = self.layer_sizes.index(max(8, self.size // 16))
        layers = [f"convolutions.{i}.weight" for i in range(first, len(self.layer_sizes))]
        return [*layers, "rgb.weight", "rgb.bias"]

    def run(self, view: View, size: int | None = None) -> Tensor:
        x = self.constant
        for layer, side in enumerate(self.layer_sizes):
            if layer and side > self.layer_sizes[layer - 1]:
                x = view.enter(side, F.interpolate(x, scale_factor=2))
            x = x * (1 + view.style(self.affines[layer], layer, side))
            noise = view.noise(layer, getattr(self, f"noise{layer}"))
            x = view.visit(layer, side, F.leaky_relu(self.convolutions[layer](x) + noise, 0.2))
        x = self.rgb(x * (1 + view.style(self.affines[-1], self.rows - 1, self.size)))
        image = torch.tanh(F.pixel_shuffle(x, 2))
        return F.avg_pool2d(image, 2) if size == self.size // 2 else image


def boundaries(generator: TinyGenerator) -> Boundaries:
    """Random unit normals on the editable rows, of a length that shows."""
    rng = np.random.default_rng(0)
    normals = np.zeros((len(facs.CODES), generator.rows, 512), np.float32)
    edited = list(layout.editable_rows(generator))
    normals[:, edited] = rng.standard_normal((len(facs.CODES), len(edited), 512))
    normals /= np.linalg.norm(normals.reshape(len(normals), -1), axis=1)[:, None, None]
    return Boundaries(
        normals=normals,
        biases=np.zeros(len(normals), np.float32),
        lengths=np.full((len(normals), 1), 20.0, np.float32),
        generator=generator.fingerprint,
        provenance={"made_by": "tests"},
    )


class TinyInversion:
    """Answers with the mean code; takes the settings and reports progress like the real one."""

    encoder_version = ""

    def __init__(self, generator: TinyGenerator, settings: EncodeSettings) -> None:
        self.generator, self.settings = generator, settings

    def encode(self, face: Pixels, *, progress: Progress | None = None) -> LatentCode:
        assert face.shape == (self.generator.size, self.generator.size, 3)
        for step in range(self.settings.steps):
            if progress:
                progress(step + 1, self.settings.steps, 0.5)
        w = np.full((self.generator.rows, 512), face.mean() / 255, np.float32)
        provenance = {"made_by": "tiny", "settings": {"steps": self.settings.steps}}
        return LatentCode(w, self.generator.fingerprint, provenance)


GENERATOR = TinyGenerator()


class TinyStudio(animate.Studio):
    """The library's studio around the tiny generator, compiled once for all tests."""

    _shared: animate.Renderer | None = None

    def __init__(self, settings: EncodeSettings | None = None) -> None:
        super().__init__(
            generator=GENERATOR, boundaries=boundaries(GENERATOR), settings=settings, threads=1
        )
        self.inversion = TinyInversion(GENERATOR, self.settings)

    @property
    def renderer(self) -> animate.Renderer:
        if TinyStudio._shared is None:
            TinyStudio._shared = animate.Renderer(GENERATOR, threads=1)
        return TinyStudio._shared


def golden_face(name: str) -> Face:
    """The face that MediaPipe finds in one of the photos of the golden landmarks."""
    with np.load(GOLDEN) as golden:
        mesh = golden[name]
    low, high = mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)
    return Face((*low.tolist(), *high.tolist()), 1.0, mesh)


def golden_align(photo: Photo, *, size: int = 1024, face: int | None = None) -> AlignedFace:
    """`align.align` for the astronaut, without a detector; claims that there were three faces."""
    index = face or 0
    return align.cut(photo, golden_face("astronaut"), size=size, index=index, count=3)


def golden_mesh(face: Pixels, near: object = None) -> np.ndarray:
    """`editing.face.find_mesh`, as if the picture showed the aligned astronaut."""
    mesh = golden_face("astronaut").mesh
    points = apply(invert(align.canonical(mesh, len(face))), mesh[:, :2].astype(float))
    return points.astype(np.float32)


def golden_eyes(face: Pixels, mesh: np.ndarray) -> tuple[Eye, Eye]:
    """`faces.eyes.find` without its network: from the points of the face mesh."""

    def eye(outline: tuple[int, ...], brow: tuple[int, ...]) -> Eye:
        ring = mesh[list(outline), :2].astype(float)
        upper = np.concatenate([ring[:1], ring[:8:-1], ring[8:9]])
        radius = 0.2 * float(np.linalg.norm(ring[0] - ring[8]))
        return Eye(ring[:9], upper, mesh[list(brow), :2].astype(float), ring.mean(axis=0), radius)

    return eye(landmarks.LEFT_EYE, landmarks.LEFT_BROW[:5]), eye(
        landmarks.RIGHT_EYE, landmarks.RIGHT_BROW[:5]
    )


def see_golden(replace: Callable[[object, str, object], object] = setattr) -> None:
    """Meshes and eyes of drawn faces are the astronaut's, without hands; no network is asked.

    replace: the `setattr` of pytest's monkeypatch, or in a process of its own the usual one.
    """
    replace(drawn_face, "find_mesh", golden_mesh)
    replace(moving_eyes, "find", golden_eyes)
    replace(hands, "find", lambda *_: [])


def golden_regions(face: Pixels) -> regions.Regions:
    """`editing.face.find_regions` of that."""
    return regions.find(golden_mesh(face), len(face))
