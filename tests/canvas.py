"""Edits on the whole canvas in PyTorch, which what is compiled for a window must agree with."""

from __future__ import annotations

import numpy as np
import torch

from duchenne.editing.layout import WINDOW_FROM, Layout, editable_rows
from duchenne.editing.regional import RegionalView, record
from duchenne.faces.regions import SLOTS, Regions
from duchenne.files import pictures
from duchenne.generators.base import Generator
from duchenne.types import Pixels

WHOLE = (torch.arange(WINDOW_FROM), torch.arange(WINDOW_FROM))


def slots(*names: str) -> np.ndarray:
    """[8] those whose name begins with one of the names."""
    return np.array([slot.startswith(names) for slot in SLOTS])


def offsets_for(generator: Generator, *zones: str, size: float) -> np.ndarray:
    """[8, L, 512], another random change of the editable rows for every slot of the zones."""
    result = np.zeros((len(SLOTS), generator.rows, 512), np.float32)
    rows = editable_rows(generator)
    draws = np.random.default_rng(7).standard_normal((len(SLOTS), len(rows), 512))
    result[:, rows.start : rows.stop] = size * draws * slots(*zones)[:, None, None]
    return result


def regional_view(
    generator: Generator, w: np.ndarray, offsets: np.ndarray, masks: Regions
) -> RegionalView:
    active = offsets.any(axis=(1, 2))
    code = torch.from_numpy(w)[None]
    seen = record(generator, code)
    rows = editable_rows(generator)
    net = Layout.of(generator, rows, generator.size, seen)
    return RegionalView(
        code,
        torch.from_numpy(offsets),
        rows,
        masks={s: torch.from_numpy(masks.pyramid(s)) for s in net.mask_sizes},
        blends={s: torch.from_numpy(masks.blend(active, s))[None, None] for s in net.blend_sizes},
        features={k: torch.from_numpy(x) for k, x in seen.features.items()},
        noises={},
        window=WHOLE,
        moments={
            k: (torch.from_numpy(m), torch.from_numpy(s)) for k, (m, s) in seen.moments.items()
        },
        image=torch.from_numpy(seen.image) if seen.summed else None,
    )


def whole_canvas(
    generator: Generator, w: np.ndarray, offsets: np.ndarray, masks: Regions
) -> Pixels:
    with torch.no_grad():
        view = regional_view(generator, w, offsets, masks)
        return pictures.from_planes(generator.run(view)[0].numpy())


def difference(one: Pixels, other: Pixels) -> np.ndarray:
    return np.abs(one.astype(int) - other.astype(int))
