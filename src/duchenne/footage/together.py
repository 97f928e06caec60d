"""Several faces of one film, each followed and edited by itself, in one film."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..moving.together import together
from .film import Shown


def in_one(faces: Sequence[Iterator[Shown]]) -> Iterator[Shown]:
    """Frame by frame what all of them show; presence and table are the first one's."""
    for shown in zip(*faces, strict=True):
        drawn = [one for one in shown if one.pixels is not None]
        if len(drawn) < 2:
            one = drawn[0] if drawn else shown[0]
            yield replace(shown[0], pixels=one.pixels, where=one.where)
            continue
        frame = shown[0].frame.pixels
        pictures = [one.pixels for one in drawn if one.pixels is not None]
        where = [one.where for one in drawn]
        rows, columns = (
            slice(min(w[k].start for w in where), max(w[k].stop for w in where)) for k in (0, 1)
        )
        yield replace(shown[0], pixels=together(frame, pictures), where=(rows, columns))
