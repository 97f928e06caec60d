"""The boundaries of `fit.boundaries`, corrected by what their full edits really do.

Slopes say what a small step does. A full Action Unit is no small step: what leaks on the way, and
whether the person stays the same, only the edited picture shows. So every normal is improved by
stochastic descent on edits of many faces, drawn with gradients (`fit.probe`), one face a step:

    4 (r - e t)^2 + 10 leak + 12 person + 0.05 surroundings + 0.2 length

with e a random intensity; r the change of the AU's evidence, relative to what the SVM's normal does
at intensity 1, as much as which the result does too; leak the mean square change of the measures
that must not move, in standard deviations; person the square distance of dlib's descriptors (King
2017), relative to what `evaluate` allows; surroundings the square change of the picture around the
face, where earrings, collars and hair are; length the square of the latent distance, relative to
the start. t is raised while edits fall short of their intensities, so that the restraints do not
make the AU weaker.

Faces are more varied than those of the slopes: nearer to and farther from the average face, half of
them with rows that disagree, as the codes of photos do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from torch import Tensor
from torch.nn import functional as F

from .. import facs
from ..editing import boundaries
from ..errors import InputError
from ..faces import landmarks, regions
from ..files import codes, writing
from ..generators.base import Generator, draw_w, truncate, w_deviation
from ..measuring.dlib_identity import Recogniser
from ..measuring.identity import DLIB
from ..types import StepProgress
from . import boundaries as svm
from .boundaries import Normals
from .person import PersonNetwork
from .probe import Probe, UneditedFace

FORMAT = "duchenne-refined-1"
FIRST_SEED = 82_000  # of the faces; the slopes' start at 80,000, the calibration's at 85,000
TRUNCATIONS = (0.45, 1.05)
MOVED, LARGEST_MOVE = 0.5, 0.5  # share of faces with rows that disagree; in standard deviations
INTENSITIES = (0.5, 1.2)
SAME = 1e-3  # of the largest number: two starts that differ by less are one
AIMS = (0.7, 8.0)  # bounds of t
AIM_RATE = 0.06  # of t: what part of a shortfall is made up at once
MEASURED_ON = 24  # faces that the change at intensity 1 is the mean of
SHORT = (0.75, 1.33)  # of that change before: what is made up by a longer or shorter way at the end
VISIBLE = 0.05  # a change of a picture in [-1, 1] that an eye sees
MARGIN = 0.12  # eye distances around the oval of the face that still belong to it
JAW = 0.55  # eye distances on each side of the chin where the jaw may reach below the oval

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RefineSettings:
    """faces: people whose edits are looked at. steps: of the descent, for each Action Unit.

    rate: of Adam, relative to the size of a coefficient. The other numbers are the weights of the
    module's docstring.
    """

    faces: int = 224
    steps: int = 300
    rate: float = 0.2
    reached: float = 4.0
    leak: float = 10.0
    person: float = 12.0
    surroundings: float = 0.05
    length: float = 0.2


@dataclass(frozen=True)
class _Model:
    """A face that is edited. gain: how much farther than on a typical face its edits go.

    chip: [1, 150, 150, 2], where the recogniser looks; around: [1, 1, S, S], 1 around the face;
    area: of the square between the eyes, in pixels; picture, values, person: of the unedited face.
    """

    unedited: UneditedFace
    gain: float
    chip: Tensor
    around: Tensor
    area: float
    picture: Tensor
    values: Tensor
    person: Tensor


class _Studio:
    """Draws the models and reads them."""

    def __init__(self, generator: Generator, probe: Probe, stretch: boundaries.Stretch) -> None:
        self.generator, self.probe, self.stretch = generator, probe, stretch
        self.network = PersonNetwork(device=generator.w_mean.device)
        self.recogniser = Recogniser()
        self.deviation = w_deviation(generator)

    def code(self, number: int) -> Tensor:
        """[L, 512], the code in W+ of face `number`."""
        rng = np.random.default_rng(FIRST_SEED + number)
        psi = float(rng.uniform(*TRUNCATIONS))
        generator = self.generator
        w = truncate(draw_w(generator, FIRST_SEED + number), generator.w_mean, psi)
        w = w.repeat(generator.rows, 1)
        if rng.random() < MOVED:
            size = float(rng.uniform(0, LARGEST_MOVE))
            noise = torch.from_numpy(rng.standard_normal(w.shape).astype(np.float32)).to(w.device)
            w = w + size * self.deviation * noise
        return w

    def model(self, number: int) -> _Model | None:
        """None if the mesh network sees no face."""
        w = self.code(number)
        unedited = self.probe.sit(w)
        if unedited is None:
            return None
        side = self.probe.size
        places = self.recogniser.places(unedited.picture) / side * 2 - 1
        chip = torch.from_numpy(places).float()[None].to(w.device)
        right, left = (
            unedited.mesh[i, :2] for i in (landmarks.RIGHT_EYE_OUTER, landmarks.LEFT_EYE_OUTER)
        )
        eyes = float(np.linalg.norm(right - left))
        around = torch.from_numpy(_around(unedited.mesh, side, eyes))[None, None].to(w.device)
        gain = self.stretch.of(w.cpu().numpy()[self.probe.rows.start : self.probe.rows.stop])
        none = torch.zeros((len(regions.ZONES), *w.shape), device=w.device)
        with torch.no_grad():
            picture, values, person = self.look(unedited, chip, none)
        return _Model(unedited, gain, chip, around, eyes**2, picture, values, person)

    def look(
        self, unedited: UneditedFace, chip: Tensor, offsets: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(picture, measures, descriptor) of a face with offsets [Z, L, 512]."""
        picture = self.probe.draw(unedited, offsets)
        seen = F.grid_sample(picture, chip, mode="bicubic", align_corners=False)
        levels = ((seen + 1) * 127.5).clamp(0, 255)
        return picture, self.probe.measure(unedited, picture), self.network(levels)


def _around(mesh: landmarks.Mesh, side: int, eyes: float) -> NDArray[np.float32]:
    """[S, S]: 1 where an expression changes nothing, 0 on the face and where the jaw may come."""
    oval = landmarks.face_oval(mesh, side).astype(np.uint8)
    around: NDArray[np.float32] = 1 - maximum_filter(oval, int(MARGIN * eyes) | 1).astype(
        np.float32
    )
    y, x = np.mgrid[:side, :side]
    corners = mesh[[landmarks.MOUTH_RIGHT, landmarks.MOUTH_LEFT], 1].mean()
    jaw = (y > corners) & (np.abs(x - mesh[landmarks.CHIN, 0]) < JAW * eyes)
    around[jaw] = 0
    return around


@dataclass(frozen=True)
class Given:
    """What the descent starts from: the same in every process that shares the work.

    generator: its fingerprint. template: [478, 3], which the measures hang on. normals: of
    `fit.boundaries`. unit: [S] of each measure (`fit.boundaries.spread`). stretch: of the edits.
    units: those that are refined; the other normals stay.
    """

    generator: str
    template: Array
    normals: Normals
    unit: Array
    stretch: boundaries.Stretch
    settings: RefineSettings = field(default_factory=RefineSettings)
    units: Sequence[str] = facs.CODES

    def start(self, code: str) -> NDArray[np.float32]:
        """[L, 512], the offset of intensity 1 before."""
        i = facs.INDEX[code]
        full = np.float32(self.normals.white[i] * facs.UNITS[code].reach)
        return np.asarray(self.normals.normals[i] * full)


class Refiner:
    """Refines normals on the faces of the settings, which are drawn when they are first needed."""

    def __init__(self, generator: Generator, given: Given) -> None:
        self.generator, self.given = generator, given

    def run(
        self, folder: Path, *, share: tuple[int, int] = (0, 1), progress: StepProgress | None = None
    ) -> None:
        """Write one file an Action Unit into `folder`; those that are there are kept.

        share: (k, n): only every n-th Action Unit, from the k-th, so that processes can divide the
        work.
        """
        with writing.reporting_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        steps = self.given.settings.steps
        for i, code in enumerate(facs.CODES):
            mine = code in self.given.units and i % share[1] == share[0]
            if mine and read(self.given, code, folder) is None:
                descent = _Descent(self._studio, self._models, code, self._basis, self.given)
                offset = descent.run(partial(_told, progress, i * steps, len(facs.CODES) * steps))
                codes.write_tensors(
                    {"offset": offset, "start": self.given.start(code)},
                    {"format": FORMAT, "generator": self.given.generator},
                    asdict(self.given.settings),
                    _path(folder, code),
                )
            _told(progress, i * steps, len(facs.CODES) * steps, steps)

    @cached_property
    def _studio(self) -> _Studio:
        probe = Probe(self.generator, self.given.template)
        return _Studio(self.generator, probe, self.given.stretch)

    @cached_property
    def _models(self) -> list[_Model]:
        tried = map(self._studio.model, range(self.given.settings.faces))
        models = [model for model in tried if model is not None]
        if not models:
            raise InputError(f"{self.generator.fingerprint}: expected faces, found none to edit")
        return models

    @cached_property
    def _basis(self) -> Tensor:
        basis = svm.whitening(self.generator, svm.FitSettings().components)
        return torch.from_numpy(basis).to(self.generator.w_mean.device)


def refined(given: Given, folder: Path) -> Normals:
    """The normals with what lies in `folder`; InputError if an Action Unit is missing."""
    lacking = missing(given, folder)
    if lacking:
        raise InputError(f"{folder}: expected refined normals of {', '.join(lacking)}; run the fit")
    normals, white = given.normals.normals.copy(), given.normals.white.copy()
    for code in given.units:
        i, offset = facs.INDEX[code], read(given, code, folder)
        assert offset is not None, "nothing is missing"
        length = float(np.linalg.norm(offset))
        normals[i] = offset / length
        white[i] = length / facs.UNITS[code].reach
    return replace(given.normals, normals=normals, white=white)


def missing(given: Given, folder: Path) -> list[str]:
    """The Action Units whose files are not in `folder`, or are of another fit."""
    return [code for code in given.units if read(given, code, folder) is None]


def read(given: Given, code: str, folder: Path) -> NDArray[np.float32] | None:
    """The offset [L, 512] kept for an Action Unit, if it was made from what is given."""
    kept = codes.read_kept(_path(folder, code), FORMAT, "a refined boundary", given.generator)
    if kept is None:
        return None
    tensors, metadata = kept
    start = given.start(code)
    same = (
        metadata["provenance"] == asdict(given.settings)
        and tensors["start"].shape == start.shape
        # Threads round the last digits of the fit otherwise.
        and np.abs(tensors["start"] - start).max() < SAME * np.abs(start).max()
    )
    return tensors["offset"] if same else None


def _path(folder: Path, code: str) -> Path:
    return folder / f"refined_{code}{codes.SUFFIX}"


def _told(progress: StepProgress | None, before: int, total: int, steps: int) -> None:
    if progress:
        progress(before + steps, total)


class _Descent:
    """The descent of one Action Unit."""

    def __init__(
        self, studio: _Studio, models: list[_Model], code: str, basis: Tensor, given: Given
    ) -> None:
        self.studio, self.models, self.basis = studio, models, basis
        self.settings, self.number = given.settings, facs.INDEX[code]
        rows, device = studio.probe.rows, basis.device
        self.start = torch.from_numpy(given.start(code)[rows.start : rows.stop]).to(device)
        self.zone = regions.ZONES.index(facs.UNITS[code].area)
        wanted, kept = svm.wishes(facs.UNITS[code])
        self.kept = torch.from_numpy(kept).to(device)
        self.unit = torch.from_numpy(given.unit).float().to(device)
        self.evidence = torch.from_numpy(wanted).float().to(device) / self.unit

    def run(self, progress: Callable[[int], None]) -> NDArray[np.float32]:
        """[L, 512], the offset of intensity 1."""
        steps = self.settings.steps
        c = (self.start @ torch.linalg.pinv(self.basis)).clone().requires_grad_(True)
        size = float(c.detach().norm())
        largest = self.settings.rate * size / c.numel() ** 0.5
        adam = torch.optim.Adam([c], lr=largest, betas=(0.9, 0.98))
        full = self._mean_evidence(c)
        rng = np.random.default_rng(self.number)
        aim, average, order = 1.0, torch.zeros_like(c), list[int]()
        for step in range(steps):
            for group in adam.param_groups:
                group["lr"] = largest * (0.5 + 0.5 * np.cos(np.pi * step / steps))
            order = order or rng.permutation(len(self.models)).tolist()
            model = self.models[order.pop()]
            intensity = float(rng.uniform(*INTENSITIES))
            evidence, restraints = self._answer(model, c, intensity)
            answer = evidence / full
            loss = self.settings.reached * (answer - intensity * aim) ** 2 + restraints
            loss = loss + self.settings.length * (c.norm() / size) ** 2
            adam.zero_grad()
            loss.backward()
            adam.step()
            short = 1 - float(answer.detach()) / intensity
            aim = float(np.clip(aim + AIM_RATE * short, *AIMS))
            if step >= steps // 2:  # the mean of the last half: single faces pull to and fro
                average += (c.detach() - average) / (step - steps // 2 + 1)
            progress(step + 1)
        short = self._mean_evidence(average) / full
        return self._whole(average / float(np.clip(short, *SHORT))).cpu().numpy()

    def _whole(self, c: Tensor) -> Tensor:
        """[L, 512], the offset of coefficients [R, P]; zero in rows that are not edited."""
        rows = self.studio.probe.rows
        offset = c @ self.basis
        before = offset.new_zeros(rows.start, offset.shape[1])
        after = offset.new_zeros(self.studio.generator.rows - rows.stop, offset.shape[1])
        return torch.cat([before, offset, after])

    def _mean_evidence(self, c: Tensor) -> float:
        """Change of the evidence at intensity 1, on the first faces."""
        with torch.no_grad():
            answers = [float(self._answer(m, c, 1.0)[0]) for m in self.models[:MEASURED_ON]]
        return float(np.mean(answers))

    def _answer(self, model: _Model, c: Tensor, intensity: float) -> tuple[Tensor, Tensor]:
        """(change of the evidence, weighted sum of what should not have happened)."""
        whole = self._whole(c) * intensity * model.gain
        zones = range(len(regions.ZONES))
        offsets = torch.stack([whole if z == self.zone else torch.zeros_like(whole) for z in zones])
        picture, values, person = self.studio.look(model.unedited, model.chip, offsets)
        change = values - model.values
        leak = (change / self.unit)[self.kept].square().mean()
        other = (person - model.person).square().sum() / DLIB.limit**2
        seen = (picture - model.picture).square() * model.around
        surroundings = seen.sum() / model.area / VISIBLE**2
        restraints = (
            self.settings.leak * leak
            + self.settings.person * other
            + self.settings.surroundings * surroundings
        )
        return (self.evidence * change).sum(), restraints
