"""How every measure of a face answers to every local change of its code, by back-propagation.

For one face, `Probe.response` gives the measures of `measuring.score` and their derivatives with
respect to what each region of influence adds to each editable row of W+. The picture is taken at a
quarter of the generator's side, through a linear read-out of its features (`generators.readout`):
geometry is the same there, and a pass costs less than half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..editing.layout import WINDOW_FROM, editable_rows
from ..editing.regional import Recorder, RegionalView
from ..errors import NoFaceFound
from ..faces import landmarks, regions
from ..faces.warp import Affine, apply, scale_of
from ..files import pictures
from ..generators.base import Generator, PlainView
from ..generators.readout import Readout
from ..measuring import measures, patches, score, skin
from ..types import WIDTH, Pixels
from .graph import TorchGraph

Array = NDArray[np.float64]

NAMES: tuple[str, ...] = (*measures.MEASURES, *patches.SHADES)
"""The measures, and beside them nuisances: light, colour and texture of the skin by place."""


@dataclass(frozen=True)
class Response:
    """The measures of one face and their slopes.

    values: [S] in the order of NAMES; blendshapes as log odds.
    slopes: float32 [S, Z, R, 512], d value / d offset of region z (whole, both sides) in row r.
    presence: 0 to 1, how sure the mesh network is that this is a face.
    """

    values: Array
    slopes: NDArray[np.float32]
    presence: float


@dataclass(frozen=True)
class UneditedFace:
    """A face before the probe: everything that its edits share.

    w: [1, L, 512]. picture: uint8 [S, S, 3] at the probe's size, and mesh [468, 3], its face.
    masks: size -> [Z, size, size], the regions of influence. moments: of networks that normalise.
    """

    w: Tensor
    picture: Pixels
    mesh: landmarks.Mesh
    masks: Mapping[int, Tensor]
    moments: Mapping[int, tuple[Tensor, Tensor]]


class Probe:
    """Differentiates the measures through the generator.

    Everything runs where the generator lives, on a GPU too.
    """

    def __init__(self, generator: Generator, template: Array) -> None:
        self.generator = generator
        self.rows = editable_rows(generator)
        self._readout = Readout(generator)
        self.size = self._readout.size
        device = generator.w_mean.device
        self._landmarks, self._blendshapes = (
            TorchGraph(network).to(device) for network in score.read_networks()
        )
        self._template, self._geometry, self._shapes = (
            torch.from_numpy(array).float().to(device)
            for array in (template, measures.geometry_matrix(), measures.shape_matrix())
        )

    def sit(self, w: Tensor) -> UneditedFace | None:
        """w: [L, 512], a face; None if the mesh network sees no face in it."""
        device = self.generator.w_mean.device
        unedited = Recorder(w[None].to(device))
        with torch.no_grad():
            plain = self._readout.picture(unedited)
        picture = pictures.from_planes(plain[0].cpu().numpy())
        mesh = landmarks.mesh_of_aligned(picture)
        if mesh is None:
            return None
        masks = regions.find(mesh, self.size).masks
        whole = masks.reshape(len(regions.ZONES), 2, *masks.shape[1:]).sum(axis=1)  # [Z, C, C]
        masks_of = {size: mask.to(device) for size, mask in _pyramid(whole).items()}
        return UneditedFace(unedited.w, picture, mesh, masks_of, unedited.known_moments)

    def draw(self, unedited: UneditedFace, offsets: Tensor) -> Tensor:
        """[1, 3, S, S] in about [-1, 1]: the face with `offsets` [Z, L, 512] in its regions."""
        device = self.generator.w_mean.device
        rows_and_columns = (_WHOLE[0].to(device), _WHOLE[1].to(device))
        view = RegionalView(
            unedited.w, offsets, self.rows, unedited.masks, {}, {}, {}, rows_and_columns,
            moments=unedited.moments,
        )  # fmt: skip
        return self._readout.picture(view)

    def measure(self, unedited: UneditedFace, picture: Tensor) -> Tensor:
        """[S] in the order of NAMES, of a picture by `draw`."""
        return self._measures(picture, score.look_at(unedited.mesh))

    def response(self, w: Tensor) -> Response | None:
        """w: [L, 512], a face; None if the mesh network sees no face in it."""
        unedited = self.sit(w)
        if unedited is None:
            return None
        shape = (len(regions.ZONES), self.generator.rows, WIDTH)
        offsets = torch.zeros(shape, device=self.generator.w_mean.device, requires_grad=True)
        values = self.measure(unedited, self.draw(unedited, offsets))
        used = slice(self.rows.start, self.rows.stop)
        slopes = [
            torch.autograd.grad(value, offsets, retain_graph=True)[0][:, used].cpu().numpy()
            for value in values
        ]
        return Response(values.detach().double().cpu().numpy(), np.stack(slopes), 1.0)

    def points(self, w: Tensor) -> Array:
        """[478, 3] mesh points of a face, in pixels of the quarter-size picture."""
        with torch.no_grad():
            picture = self._readout.picture(PlainView(w[None]))
            mesh = landmarks.mesh_of_aligned(pictures.from_planes(picture[0].cpu().numpy()))
            if mesh is None:
                raise NoFaceFound(
                    f"{self.generator.fingerprint}: no face in its mean picture; boundaries need a "
                    "generator of aligned (FFHQ-like) faces"
                )
            to_picture = score.look_at(mesh)
            look = _look(picture, to_picture)
            return _in_picture(self._raw(look), to_picture).double().cpu().numpy()

    def _measures(self, picture: Tensor, to_picture: Affine) -> Tensor:
        """[S] in the order of NAMES, as `score.Scorer.read` but differentiable."""
        look = _look(picture, to_picture)
        raw = self._raw(look)
        front = _frontalise(_in_picture(raw, to_picture), self._template)
        shapes = self._blendshapes(front[list(measures.BLENDSHAPE_POINTS), :2][None])[0].reshape(-1)
        odds = torch.logit(shapes.clamp(1e-7, 1 - 1e-6))
        geometry = (self._geometry * front).sum(dim=(1, 2))
        return torch.cat(
            [self._shapes @ odds, geometry, skin.furrows(look, raw), skin.shades(look, raw)]
        )

    def _raw(self, look: Tensor) -> Tensor:
        """[478, 3] points in the picture that the landmark network sees."""
        points: Tensor = self._landmarks(look.permute(0, 2, 3, 1))[0].reshape(-1, 3)
        return points


def _look(picture: Tensor, to_picture: Affine) -> Tensor:
    """[1, 3, 256, 256] in [0, 1], what the landmark network sees of a picture in [-1, 1]."""
    side = score.INPUT_SIZE
    y, x = np.mgrid[:side, :side] + 0.5
    places = apply(to_picture, np.stack([x, y], axis=2)) / picture.shape[-1] * 2 - 1
    grid = torch.from_numpy(places).to(picture)[None]
    look = F.grid_sample(picture, grid, mode="bicubic", align_corners=False)
    return ((look + 1) / 2).clamp(0, 1)


def _in_picture(raw: Tensor, to_picture: Affine) -> Tensor:
    """Points of the look, in pixels of the picture."""
    linear, shift = (torch.from_numpy(part).to(raw) for part in np.split(to_picture, [2], axis=1))
    return torch.cat([raw[:, :2] @ linear.T + shift.T, raw[:, 2:] * scale_of(to_picture)], dim=1)


_WHOLE = (torch.arange(WINDOW_FROM), torch.arange(WINDOW_FROM))


def _pyramid(whole: NDArray[np.float32]) -> dict[int, Tensor]:
    """Whole-region masks at every resolution an edit may need: size -> [Z, size, size]."""
    field = regions.Regions(whole)
    return {size: torch.from_numpy(field.pyramid(size)) for size in (4, 8, 16, 32, 64)}


def _frontalise(points: Tensor, template: Tensor) -> Tensor:
    """`measures.frontalise` for tensors, with gradients."""
    source, target = points[list(measures.RIGID)], template[list(measures.RIGID)]
    a, b = source - source.mean(dim=0), target - target.mean(dim=0)
    u, s, vt = torch.linalg.svd(a.T @ b)
    signs = torch.cat([torch.ones(2).to(u), torch.sign(torch.linalg.det(u @ vt))[None]])
    rotation = (u * signs) @ vt
    scale = (s * signs).sum() / a.square().sum()
    front: Tensor = scale * (points - source.mean(dim=0)) @ rotation + target.mean(dim=0)
    return front
