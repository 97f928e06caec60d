"""Equations 2 to 5 of the paper: arithmetic in the latent space, and nothing else.

Boundaries, codes and offsets are numpy arrays; a latent code is `w` [L, 512], a boundary normal `b`
[L, 512] of unit length (Frobenius norm over all rows).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def signed_distance(w: Array, b: Array, bias: float = 0.0) -> float:
    """e = d(b, z), section 3.3: positive on the side where the face shows the Action Unit.

    bias: the boundary is the hyperplane <b, z> + bias = 0.
    """
    return float(np.vdot(b, w) + bias)


def move(w: Array, b: Array, d: float) -> Array:
    """Eq. 2: f(z) = z + d b; raises the signed distance by d and changes nothing else in W+."""
    return (w + np.float32(d) * b).astype(np.float32)


def transfer(w: Array, distances: Array, normals: Array) -> Array:
    """Eq. 3: z_y = z_x + E^T B.

    w: [L, 512]; distances: [m], E in units of the latent space; normals: [m, L, 512], B.
    """
    return w + np.tensordot(distances.astype(np.float32), normals, axes=1)


def interpolate(w_from: Array, w_to: Array, coefficients: Array) -> Array:
    """Eq. 5: Z = [z_1 ... z_k] with z_j = z_x + lambda_j (z_y - z_x).

    coefficients: [k], D; 0 is the face as it is, 1 the full expression. Returns [k, L, 512].
    """
    steps = coefficients.astype(np.float32)[:, None, None]
    return w_from + steps * (w_to - w_from)


def local_transfer(distances: Array, normals: Array) -> Array:
    """Eq. 3 region by region: what every mask of `duchenne.faces.regions` adds to the code.

    distances: [m, K], E of each Action Unit in each of the K masks, in units of the latent space;
    normals: [m, L, 512]. Returns [K, L, 512]; with equal columns of K masks that sum to 1 this is
    `transfer`.
    """
    return np.asarray(np.tensordot(distances.astype(np.float32).T, normals, axes=1), np.float32)
