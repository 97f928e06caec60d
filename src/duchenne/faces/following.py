"""One face through the frames of a film."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Pixels
from . import landmarks
from .landmarks import Mesh
from .people import People

# A search costs as much as some thirty followed frames, so that a frame without a face is searched
# only every so often. A face that comes back is found so many frames later at most.
EVERY = 8
# Mean change of a coarse grey picture, of 255, from which on two frames are of two shots: within a
# shot, even where the camera swings, it stays below half of it.
CUT = 40.0
COARSE = 24  # samples along each side


@dataclass(frozen=True)
class Found:
    """mesh: [468, 3] in pixels of the frame. presence: 0 to 1, how sure the network is."""

    mesh: Mesh
    presence: float


class Follower:
    """Follows one face: call it with every frame in turn.

    index: which face of the first frame that has so many, and of the first one after a cut; the
    largest is 0. A face that was lost is found again where it was seen last, the nearest one.
    people: by whom a face keeps its number through cuts and when people change places; then
    `index` numbers them as they appear, the largest of a frame first.
    doubted: how many of the frames that were followed last turned out to show somebody else.
    """

    def __init__(self, index: int = 0, people: People | None = None) -> None:
        self._index, self._people = index, people
        self._unchecked = self.doubted = self._number = 0
        self._mesh: Mesh | None = None  # where the face was seen last in this shot
        self._lost = 0  # frames since then; 0 while it is seen
        self._coarse: NDArray[np.float32] | None = None
        self.cuts = 0
        self.several = False  # whether any frame that was searched had more than one face

    def __call__(self, pixels: Pixels) -> Found | None:
        """The face in the next frame; None if it is not there."""
        if self.pass_over(pixels):
            self.cuts += 1
            self._mesh, self._lost = None, 0
        self.doubted = 0
        found = self._follow(pixels)
        if found is not None and self._has_changed(pixels, found.mesh):
            self.doubted, found = self._unchecked - 1, None
            self._mesh, self._lost = None, 0
        if found is None and self._lost % EVERY == 0:
            found = self._search(pixels)
        if found is None:
            self._lost += 1
        else:
            self._mesh, self._lost = found.mesh, 0
        return found

    def _has_changed(self, pixels: Pixels, mesh: Mesh) -> bool:
        """Looked at every few frames of a film with several people."""
        self._unchecked += 1
        if not self.watchful or self._unchecked < EVERY:
            return False
        if self.is_another(pixels, mesh):
            return True
        self._unchecked = 0
        return False

    def is_another(self, pixels: Pixels, mesh: Mesh) -> bool:
        """Whether a mesh lies on the face of somebody else who was seen."""
        if self._people is None or not self.watchful:
            return False
        return self._people.is_another(pixels, mesh, self._index)

    @property
    def watchful(self) -> bool:
        """Whether frames may be doubted afterwards."""
        return self._people is not None and len(self._people) > max(1, self._index)

    def pass_over(self, pixels: Pixels, number: int | None = None) -> bool:
        """Take note of a frame without looking for the face; whether a new shot begins with it.

        number: of the frame; the next one if it is left out.
        """
        self._number = self._number + 1 if number is None else number
        if self._people is not None:
            self._people.pass_over(pixels, self._number)
        rows, columns = (
            np.linspace(0, n - 1, COARSE).astype(int) for n in (len(pixels), pixels.shape[1])
        )
        before, self._coarse = self._coarse, pixels[np.ix_(rows, columns)].mean(axis=2, dtype="f4")
        return before is not None and bool(np.abs(self._coarse - before).mean() > CUT)

    def _follow(self, pixels: Pixels) -> Found | None:
        if self._mesh is None:
            return None
        mesh, presence = landmarks.fit_mesh(pixels, landmarks.region_of(self._mesh), passes=1)
        return Found(mesh, presence) if presence >= landmarks.PRESENCE else None

    def _search(self, pixels: Pixels) -> Found | None:
        faces = landmarks.find_faces(pixels)
        self._unchecked = 0
        self.several |= len(faces) > 1
        if self._people is not None:
            numbers = self._people.number(pixels, [face.mesh for face in faces], self._number)
            known = zip(numbers, faces, strict=False)
            meshes = [face.mesh for number, face in known if number == self._index]
        elif self._mesh is None:
            meshes = [face.mesh for face in faces[self._index : self._index + 1]]
        else:
            old = self._mesh.mean(axis=0)
            meshes = sorted(
                (face.mesh for face in faces),
                key=lambda mesh: float(np.linalg.norm((mesh.mean(axis=0) - old)[:2])),
            )
        for mesh in meshes[:1]:
            sure, presence = landmarks.fit_mesh(pixels, landmarks.region_of(mesh), passes=1)
            if presence >= landmarks.PRESENCE:
                return Found(sure, presence)
        return None

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on after this frame, JSON-ready."""
        mesh = None if self._mesh is None else base64.b64encode(self._mesh.tobytes()).decode()
        state: dict[str, Any] = {"mesh": mesh, "lost": self._lost, "cuts": self.cuts}
        state["several"] = self.several
        if self._people is not None:
            state |= {"unchecked": self._unchecked, "people": self._people.state()}
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        The frame that it was taken after must be passed over, before it those that `awaits` names.
        """
        mesh = None if state["mesh"] is None else base64.b64decode(state["mesh"])
        self._mesh = None if mesh is None else np.frombuffer(mesh, np.float32).reshape(-1, 3)
        self._lost, self.cuts = int(state["lost"]), int(state["cuts"])
        self.several = bool(state.get("several"))
        self._unchecked = int(state.get("unchecked", 0))
        if self._people is not None:
            self._people.restore(state.get("people", []))

    def awaits(self, number: int) -> bool:
        """Whether what was restored needs that frame to be passed over."""
        return self._people is not None and self._people.awaits(number)
