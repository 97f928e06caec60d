"""The boundaries of the default method: one linear SVM per Action Unit on matched pairs.

A plain data set of faces ties Action Units to gender, age, glasses and pose, and a boundary fitted
on it inherits the ties. Here every pair is one person: a code, and the nearest code inside the
AU's region of influence that shows the AU and changes nothing else, found from the face's own
responses (`fit.responses`). Identity cancels, and what all pairs share is the Action Unit.

For each Action Unit, in coordinates where W is white (so that length means improbability):

1. pairs: d_f = A_f^T (A_f A_f^T + lambda I)^-1 t, with A_f the slopes of the measures of face f
   and t the wanted change: the AU's evidence moves, unrelated measures stay;
2. a linear SVM between the neutral codes w_f - d_f / 2 and the AU codes w_f + d_f / 2 of section
   3.3, each pair centred on its own face; n is its normal;
3. subspace projection: n <- (I + mu C)^-1 n, with C the mean square slope of everything that must
   not move. This is projection onto the complement of those slopes, softened by how much they vary
   from face to face; mu to infinity gives InterFaceGAN's conditional projection (Shen et al. 2020).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import facs
from ..editing.layout import editable_rows
from ..errors import InputError
from ..faces import regions
from ..generators.base import Generator, draw_w
from ..measuring import patches
from ..types import WIDTH
from .probe import NAMES
from .responses import Responses

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FitSettings:
    """components: principal components of W that a row may move along.

    pair_ridge: lambda, relative to the mean square slope of the measures.
    purity: mu, relative to the mean square slope of what must not move; 0 leaves the SVM's normal.
    margin: C of the SVM.
    """

    components: int = 160
    pair_ridge: float = 0.2
    purity: float = 10.0
    margin: float = 0.1


@dataclass(frozen=True)
class Normals:
    """normals: float32 [U, L, 512], unit length. white: [U], length of one whitened unit.

    agreement: [U], the part of held-out faces whose evidence rises along the normal.
    leak: [U], mean size of the unrelated slopes on held-out faces, relative to the evidence's.
    """

    normals: NDArray[np.float32]
    white: Array
    agreement: Array
    leak: Array


def scikit_learn(module: str) -> Any:
    """A module of scikit-learn; InputError where it is not installed."""
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError:
        raise InputError(
            "fitting boundaries needs scikit-learn; install it with pip install 'duchenne[fit]'"
        ) from None


def whitening(generator: Generator, components: int) -> NDArray[np.float32]:
    """[P, 512]: principal axes of W, each as long as its standard deviation."""
    with torch.no_grad():
        w = draw_w(generator, 12_345, 20_000).double().cpu().numpy()
    variances, axes = np.linalg.eigh(np.cov(w.T))
    largest = slice(-1, -components - 1, -1)
    return np.asarray((axes[:, largest] * np.sqrt(variances[largest])).T, np.float32)


def fit_normals(
    generator: Generator, responses: Responses, settings: FitSettings | None = None
) -> Normals:
    """The normals; every fifth face is held out for `agreement` and `leak`, then used."""
    settings = settings or FitSettings()
    basis = whitening(generator, settings.components)
    slopes = responses.slopes @ basis.T  # [F, S, Z, R, P]
    slopes /= spread(responses.values)[None, :, None, None, None]
    held_out = np.arange(len(slopes)) % 5 == 4
    rows = editable_rows(generator)
    count = len(facs.CODES)
    normals = np.zeros((count, generator.rows, WIDTH), np.float32)
    white, agreement, leak = np.zeros(count), np.zeros(count), np.zeros(count)
    for i, unit in enumerate(facs.ACTION_UNITS):
        zone = regions.ZONES.index(unit.area)
        local = slopes[:, :, zone].reshape(len(slopes), len(NAMES), -1).astype(np.float64)
        wanted, kept = wishes(unit)
        trial = _normal(local[~held_out], wanted, kept, settings)
        evidence, unrelated = local[held_out] @ trial @ wanted, local[held_out][:, kept] @ trial
        agreement[i] = (evidence > 0).mean()
        leak[i] = np.abs(unrelated).mean() / (evidence.mean() / np.abs(wanted).sum())
        normal = _normal(local, wanted, kept, settings)
        normal = normal.reshape(len(rows), -1) @ basis
        white[i] = np.linalg.norm(normal)
        normals[i, rows.start : rows.stop] = normal / white[i]
    return Normals(normals, white, agreement, leak)


def spread(values: Array) -> Array:
    """[S] unit of each measure, from its values [F, S]: the standard deviation over faces.

    Of shades: after taking out how bright, red or rough each face is as a whole. People differ far
    more in that than a face may change without looking wrong.
    """
    values = values.copy()
    first = NAMES.index(patches.SHADES[0])
    for places in np.split(np.arange(first, first + len(patches.SHADES)), len(patches.KINDS)):
        values[:, places] -= values[:, places].mean(axis=1, keepdims=True)
    return np.asarray(values.std(axis=0))


def wishes(unit: facs.ActionUnit) -> tuple[Array, NDArray[np.bool_]]:
    """([S] wanted change in standard deviations, [S] what must not change)."""
    wanted = np.zeros(len(NAMES))
    for name, weight in unit.evidence.items():
        wanted[NAMES.index(name)] = weight
    tied = np.isin(NAMES, unit.tied)
    return wanted, (wanted == 0) & ~tied


def _normal(local: Array, wanted: Array, kept: NDArray[np.bool_], settings: FitSettings) -> Array:
    """[D] unit normal from slopes [F, S, D]; steps 1 to 3 of the module's docstring."""
    asked = kept | (wanted != 0)
    pairs = np.stack([_pair(a[asked], wanted[asked], settings.pair_ridge) for a in local])
    pairs /= np.linalg.norm(pairs, axis=1, keepdims=True)
    machine = scikit_learn("svm").LinearSVC(
        C=settings.margin, fit_intercept=False, max_iter=100_000
    )
    machine.fit(np.concatenate([-pairs / 2, pairs / 2]), np.repeat([0, 1], len(pairs)))
    normal = _project(machine.coef_[0], local[:, kept], settings.purity)
    return normal / np.linalg.norm(normal)


def _pair(slopes: Array, wanted: Array, ridge: float) -> Array:
    """[D]: the shortest change of one face that moves the measures [S] as wanted."""
    gram = slopes @ slopes.T
    gram += ridge * np.trace(gram) / 10 * np.eye(len(gram))
    return np.asarray(slopes.T @ np.linalg.solve(gram, wanted))


def _project(normal: Array, unrelated: Array, purity: float) -> Array:
    """(I + mu C)^-1 n with C the mean over faces of A^T A, unrelated: [F, S, D].

    Solved in the span of the slopes (Woodbury), which is smaller than D for few faces.
    """
    if purity == 0:
        return normal
    stacked = unrelated.reshape(-1, unrelated.shape[-1])
    covariance = stacked.T @ stacked / len(unrelated)
    mu = purity * 10 / np.trace(covariance)
    return np.asarray(np.linalg.solve(np.eye(len(normal)) + mu * covariance, normal))
