"""Equations 2 and 3 of the paper: arithmetic in the latent space, and nothing else.

Boundaries, codes and offsets are numpy arrays; a latent code is `w` [L, 512], a boundary normal `b`
[L, 512] of unit length (Frobenius norm over all rows).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def signed_distances(w: Array, normals: Array, biases: NDArray[Any]) -> NDArray[np.float64]:
    """e = d(b, z), section 3.3: positive on the side where the face shows the Action Unit.

    w: [N, L, 512], or [N, 512] of W; normals: [m, L, 512]; biases: [m], each boundary is the
    hyperplane <b, z> + bias = 0. Returns [N, m].
    """
    if w.ndim == 2:  # the rows of W+ are equal
        w, normals = w[:, None], normals.sum(axis=1, keepdims=True)
    along = np.tensordot(w, normals, axes=([1, 2], [1, 2]))
    return np.asarray(along + biases.astype(np.float64), np.float64)


def transfer(w: Array, distances: Array, normals: Array) -> Array:
    """Eq. 3: z_y = z_x + E^T B. Eq. 2, z + d b, is the case of one Action Unit.

    w: [L, 512]; distances: [m], E in units of the latent space; normals: [m, L, 512], B.
    """
    return w + np.tensordot(distances.astype(np.float32), normals, axes=1)


def local_transfer(distances: Array, normals: Array) -> Array:
    """Eq. 3 region by region: what every mask of `duchenne.faces.regions` adds to the code.

    distances: [m, K], E of each Action Unit in each of the K masks, in units of the latent space;
    normals: [m, L, 512]. Returns [K, L, 512]; with equal columns of K masks that sum to 1 this is
    `transfer`.
    """
    return np.asarray(np.tensordot(distances.astype(np.float32).T, normals, axes=1), np.float32)
