"""How a film's face answers to what is added, tried on a few frames before a target is aimed at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..editing.boundaries import in_slots
from ..faces import landmarks
from ..faces.steady import Steadied
from ..faces.tracking import Sighting
from ..files.film_source import FilmSource, Frame
from ..measuring.score import Scorer
from ..measuring.target import FLATTEST, STEEPEST
from ..types import Pixels
from .targets import needed, wanted_of

Show = Callable[[Steadied, NDArray[np.float64]], Pixels]
"""A frame's face with [U, 8] added."""

FRAMES, LOOKED_AT = 4, 1500  # on which it is tried, and the beginning of a film that has them
TIMES = 2  # on each; what the first one taught is used in the second
DOUBT = 0.005  # squared intensity: so much that was added counts as much as the guess of 1


def rehearsed(
    source: FilmSource, targets: Mapping[str, float], scorer: Scorer, index: int, show: Show
) -> NDArray[np.float64]:
    """[2, U]: how this face answers, see `targets.needed`. index: of the face, by size."""
    wanted, asked = wanted_of(targets)
    response = Response()
    for frame in _spread(source):
        for face in landmarks.find_faces(frame.pixels)[index : index + 1]:
            here = Steadied(Sighting(frame, face.mesh, 1.0, 0, 0), face.mesh, 1.0)
            before = scorer.intensities(frame.pixels, face.mesh)
            for _ in range(TIMES):
                missing = np.where(asked, wanted - np.maximum(before, 0), 0)
                added = np.clip(needed(missing, response.slopes), facs.LOWEST, 1)
                if not added.any():
                    break
                table = in_slots(np.repeat(added[:, None], len(facs.SIDES), axis=1))
                drawn = show(here, table)
                mesh = landmarks.follow(drawn, face.mesh)
                if mesh is not None:
                    response.learn(added, scorer.intensities(drawn, mesh) - before)
    return response.slopes


def _spread(source: FilmSource) -> Iterator[Frame]:
    """A few frames over the film, or over the beginning of a long one."""
    length = min(source.count or LOOKED_AT, LOOKED_AT)
    chosen = np.linspace(0, length - 1, 2 * FRAMES + 1).astype(int)[1::2].tolist()
    for frame in source.frames():
        if frame.index in chosen:
            yield frame
        if frame.index >= chosen[-1]:
            return


class Response:
    """How a face answers: the least squares of what was measured on what was added, per unit.

    What is added and what is taken off are learnt apart: closed lips part less than open ones
    close. So far as little was tried a face is taken to answer as it should, with 1.
    """

    def __init__(self) -> None:
        self._both = np.full((2, len(facs.CODES)), DOUBT)
        self._added = np.full((2, len(facs.CODES)), DOUBT)

    def learn(self, added: NDArray[np.floating], more: NDArray[np.floating]) -> None:
        """[U] twice, of one frame: what was added, and how much more was measured then."""
        for side, tried in enumerate((added > 0, added < 0)):
            self._both[side] += np.where(tried, added * more, 0)
            self._added[side] += np.where(tried, np.square(added), 0)

    @property
    def slopes(self) -> NDArray[np.float64]:
        """[2, U], see `targets.needed`."""
        return np.asarray(np.clip(self._both / self._added, FLATTEST, STEEPEST), np.float64)
