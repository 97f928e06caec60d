"""One eye, drawn anew: its iris where it looks, its lids as far open as they are to be.

An eye is drawn in two layers. The eyeball: iris and pupil go where they look, and the white is
carried on where they were. The skin: the upper lid comes down with its lashes out of the fold above
it, and the lower lid comes up a little. The lids' new edges say which layer is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from ..faces.eyes import Eye
from ..types import Pixels
from .change import LUMA, ramp
from .correspondence import Array, blur, sample

Points = NDArray[np.float64]

TURN = 20.0  # degrees by which gaze goes at intensity 1
# Of the radius of the iris, 5.9 mm: how far the iris lies from the eyeball's centre of rotation.
LEVER = 1.8
FARTHEST = 34.0  # degrees from the middle of the eye: there the iris reaches the corner
# The upper lid goes with the eye (Becker & Fuchs 1988), the lower one by a part of it.
UPPER_FOLLOWS, LOWER_FOLLOWS = 0.75, 0.3
UPPER_SHARE = 0.88  # of the opening, which the upper lid closes; the lower lid does the rest
RIM = 0.12  # of the iris's radius: how soft its edge is
HAIR = 0.4  # of the light below the eye: brows are darker, shadows are not
DRAGGED = 0.2  # of a falling lid's way, by which the skin above its fold comes along
# A folded lid's colour by that of the skin below the eye: all of it, and what its channels differ.
DARKNESS, HUES = (0.8, 1.05), (0.85, 1.2)
TELLING = (0.4, 0.75)  # how light the skin at the fold is, beside that, for its hue to count
LID_SHADE = 0.12  # how much darker a lid is at its lashes
# The rest in widths of an eye, from corner to corner.
LASHES, LINE = 0.03, 0.01  # the dark line at the lid's edge: its height, where it is sampled
LASH_LENGTH = 0.06  # above the lid's edge: it comes along undistorted
WATERLINE = 0.012  # below the eye's lower edge, which the iris touches
OVERLAP = 0.02  # by which shut lids pass one another, so that no line is left between
ABOVE, BELOW = 0.6, 0.35  # how far the skin above and below comes along
BEHIND_GLASSES = 0.07  # as ABOVE: no rim is moved
AT_FOLD, BELOW_EYE = (-0.08, -0.01), (0.12, 0.3)  # where the colours of the skin are taken
UNFOLDED = 0.12  # above it, as far as the skin of a shut lid is smooth
JOINT, FADE = 0.02, 0.1  # over which a folded lid begins, and takes on its colour
GRAIN, SMOOTH = 0.03, 0.15  # of a lid's texture, and of its colour along the eye
LEAST_LID = 0.1  # height of an upper lid without glasses
CORNER = 0.42  # from the middle: there the white of the eye ends
SOFT = 0.05  # over which the corners of the eye take part
SHADOW, DARK = 0.1, 0.22  # of a moved lid on the eyeball: how far it reaches, how dark it is
EDGE = 0.3  # how much darker the white is made that is carried on to the upper lid's edge
AROUND = 0.3  # beside the eye, what may change at all
SMALLEST = 4.0  # px of width: below it there is nothing to move


@dataclass(frozen=True)
class Look:
    """What one eye does: left (the subject's) and up, in TURN; shut: 0 as it is, 1 closed."""

    left: float = 0.0
    up: float = 0.0
    shut: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.left or self.up or self.shut)


def surroundings(eye: Eye, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """The part of a picture that may change; None where there is none."""
    width = float(np.linalg.norm(eye.lower[0] - eye.lower[-1]))
    lids = np.concatenate([eye.lower, eye.upper])
    low = np.floor(lids.min(axis=0) - width * np.array([AROUND, ABOVE])).astype(int)
    high = np.ceil(lids.max(axis=0) + width * np.array([AROUND, BELOW])).astype(int)
    rows, columns = (slice(max(int(low[i]), 0), min(int(high[i]), shape[1 - i])) for i in (1, 0))
    if width < SMALLEST or min(rows.stop - rows.start, columns.stop - columns.start) < SMALLEST:
        return None
    return rows, columns


class Drawing:
    """One eye in its surroundings, uint8 [h, w, 3]. Fields are [h, w] or [h, w, 3].

    Places are told in widths of the eye: s along it, from corner to corner as they lie in the
    picture, -0.5 to 0.5, and t down.
    """

    def __init__(self, picture: Pixels, eye: Eye, glasses: bool) -> None:
        self._pixels, self._picture = picture, picture.astype(np.float32)
        self._glasses, self._brow = glasses, eye.brow
        ends = eye.lower[[0, -1]]
        ends = ends[np.argsort(ends[:, 0])]
        self._width = float(np.linalg.norm(ends[1] - ends[0]))
        along = (ends[1] - ends[0]) / self._width
        self._axes = np.stack([along, [-along[1], along[0]]])
        self._middle = ends.mean(axis=0)
        y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
        self._here: Array = np.stack([x, y], axis=-1)
        s, t = np.moveaxis(self._in_widths(self._here + 0.5), -1, 0)
        self._s, self._t = s.astype(np.float32), t.astype(np.float32)
        self._edges = [self._edge(points) for points in (eye.upper, eye.lower)]
        self._upper, self._lower = (_on(edge, self._s) for edge in self._edges)
        self._lower = np.maximum(self._lower, self._upper)
        self._iris, self._radius = self._in_widths(eye.iris), eye.radius / self._width

    def _in_widths(self, points: NDArray[np.floating]) -> Points:
        return np.asarray((points - self._middle) @ self._axes.T / self._width)

    def _edge(self, points: Points) -> Points:
        """[4], for `_on`: a smooth curve along a lid's points, [9, 2], through the corners."""
        s, t = self._in_widths(points[1:-1]).T
        bow = (0.25 - s**2)[:, None] * np.vander(s, 4)
        return np.asarray(np.linalg.lstsq(bow, t, rcond=None)[0])

    def draw(self, look: Look) -> Pixels:
        turn = self._turn(look)
        gap = self._lower - self._upper
        level = gap / max(float(gap.max()), 1e-3)
        # How far the edge of each lid comes down. Shut lids no longer follow the eye.
        followed = turn[1] * level * np.clip(1 - look.shut, 0, 1)
        upper = look.shut * (UPPER_SHARE * gap + OVERLAP * level) + UPPER_FOLLOWS * followed
        lower = look.shut * (UPPER_SHARE - 1) * gap + LOWER_FOLLOWS * followed
        upper, lower = (blur(np.asarray(x, np.float32), SOFT * self._width) for x in (upper, lower))
        edge = self._upper + upper
        skin = self._skin(upper, lower, max(look.shut, 0))
        bare = np.maximum(-upper, lower)
        ball = self._eyeball(turn, bare) if turn.any() or (bare > 0).any() else self._picture
        below = np.maximum(self._t - edge, 0)
        lid = np.clip(upper / SHADOW, -1, 1)
        ball = ball * (1 - DARK * lid * np.exp(-below / SHADOW))[..., None]
        inside = np.minimum(below - LASHES, self._lower + lower + WATERLINE - self._t)
        seen = self._within(inside) * (np.abs(self._s) < 0.5)
        result = skin + seen[..., None] * (ball - skin)
        changed = np.abs(result - self._picture).max(axis=2, keepdims=True) > 0.5
        return np.where(changed, np.clip(np.rint(result), 0, 255).astype(np.uint8), self._pixels)

    def _turn(self, look: Look) -> Points:
        """(s, t) by which the iris goes."""
        lever = LEVER * self._radius
        now = np.degrees(np.arcsin(np.clip(self._iris / lever, -1, 1)))
        asked = TURN * np.array([look.left, -look.up])
        # Where it is already, it may stay.
        most = np.maximum(FARTHEST, np.abs(now))
        to = np.clip(now + asked, -most, most)
        return np.asarray(lever * (np.sin(np.radians(to)) - np.sin(np.radians(now))))

    def _within(self, distance: Array) -> Array:
        """0 to 1 over a pixel, around a distance of 0."""
        return np.asarray(np.clip(distance * self._width + 0.5, 0, 1), np.float32)

    def _sampled(self, down: Array) -> Array:
        """The picture, everything moved down by so much."""
        at = self._here - down[..., None] * (self._axes[1] * self._width).astype(np.float32)
        return sample(self._pixels, np.asarray(at, np.float32), cv2.INTER_LANCZOS4)

    # ------------------------------------------------------------ the skin

    def _skin(self, upper: Array, lower: Array, shut: float) -> Array:
        """The skin where the lids' edges have come down by so much."""
        edge, height = self._upper + upper, self._height(self._s)
        lashes = _lashes(height)
        fold, top = self._upper - lashes, self._upper - height
        # A lid that falls comes out from under the fold, which hardly moves; one that rises
        # takes the skin up to the brow along.
        along = np.where(upper > 0, 0.0 if self._glasses else DRAGGED, 1.0)
        come = along * ramp((self._t - top) / np.maximum(fold - top, 1e-3), 0, 1)
        free = np.maximum(edge - lashes - fold, 1e-3)
        come += (1 - along) * ramp((self._t - fold) / free, 0, 1)
        # Below the lid's edge there is the dark line of the lashes, not what was below it.
        beyond = np.maximum(self._t - edge + LINE, 0)
        above = self._sampled(upper * come + beyond)
        painted = ramp(self._t - fold - along * upper, -JOINT - UNFOLDED * shut, JOINT)
        painted *= ramp(edge - lashes - self._t, -JOINT, JOINT) * ramp(upper, 0, 2 * JOINT)
        if painted.any():
            above = above + painted[..., None] * (self._lid(fold, edge - lashes) - above)
        bottom, low_edge = self._lower + BELOW, self._lower + lower
        begun = ramp((bottom - self._t) / np.maximum(bottom - low_edge, 1e-3), 0, 1)
        below = self._sampled(lower * begun - np.maximum(low_edge - self._t, 0))
        over = np.maximum(
            self._within(edge + LASHES - self._t), self._within((edge + low_edge) / 2 - self._t)
        )
        return np.asarray(below + over[..., None] * (above - below), np.float32)

    def _lid(self, fold: Array, end: Array) -> Array:
        """The skin of an upper lid that was folded away: between t of the fold and of its lashes.

        Its colour is that of the skin below the eye, toned a little as the skin at the fold is; so
        is its grain.
        """
        s = np.linspace(-0.5, 0.5, 41)
        at_fold = _on(self._edges[0], s) - _lashes(self._height(s))
        skin = self._colours(s, _on(self._edges[1], s), *BELOW_EYE)
        near = self._colours(s, at_fold, *AT_FOLD)
        tone = near / skin
        dark = tone.mean(axis=1, keepdims=True)
        hue = np.clip(tone / dark, *HUES) ** ramp(dark, *TELLING)  # a shadow has none of its own
        lid = skin * np.clip(dark, *DARKNESS) * hue
        lid, near = (
            np.stack([np.interp(self._s, s, column) for column in colours.T], axis=-1)
            for colours in (lid, near)
        )
        joined = np.exp(-np.maximum(self._t - fold, 0) / FADE)[..., None]
        shade = 1 - LID_SHADE * np.exp(-np.maximum(end - self._t, 0) / FADE)
        mirrored = self._sampled(self._t - self._lower - 0.08 - 0.6 * (end - self._t))
        grain = mirrored - blur(mirrored, GRAIN * self._width)
        return np.asarray((lid + joined * (near - lid)) * shade[..., None] + grain, np.float32)

    def _colours(self, s: Points, start: Array | Points, low: float, high: float) -> Points:
        """[len(s), 3], the median colour between start + low and start + high, smooth along s."""
        down = np.linspace(low, high, 9)
        at = s[:, None, None] * self._axes[0] + (start[:, None] + down)[..., None] * self._axes[1]
        at = np.asarray(self._middle - 0.5 + self._width * at, np.float32)
        colours = np.median(sample(self._picture, at), axis=1).astype(np.float32)
        smooth = cv2.GaussianBlur(colours, (1, 0), sigmaX=0.1, sigmaY=SMOOTH * len(s))
        return np.asarray(np.maximum(smooth.reshape(-1, 3), 1), np.float64)

    def _height(self, s: NDArray[np.floating]) -> Array:
        """Of the upper lid at s, from the brow or what else ends it to the edge."""
        low = BEHIND_GLASSES if self._glasses else LEAST_LID
        return np.asarray(np.maximum(np.polyval(self._heights, np.clip(s, -0.5, 0.5)), low), "f4")

    @cached_property
    def _heights(self) -> Points:
        """[3], of a parabola."""
        s = np.linspace(-0.5, 0.5, 41)
        edge = _on(self._edges[0], s)
        along, down = self._in_widths(self._brow).T
        brow = np.polyfit(along, down, 1)
        end = np.maximum(np.polyval(brow, s), edge - self._hair(s, edge))
        low, high = (BEHIND_GLASSES,) * 2 if self._glasses else (LEAST_LID, ABOVE)
        return np.asarray(np.polyfit(s, np.clip(edge - end, low, high), 2))

    def _hair(self, s: Points, edge: Array) -> Points:
        """[len(s)]: how far above the lid's edge there is hair; the brow's mesh may lie higher."""
        up = np.arange(LEAST_LID, ABOVE, 0.01)
        at = s[:, None, None] * self._axes[0] + (edge[:, None] - up)[..., None] * self._axes[1]
        at = np.asarray(self._middle - 0.5 + self._width * at, np.float32)
        light = blur(np.asarray(self._picture @ LUMA, np.float32), 0.03 * self._width)
        below = np.abs(self._t - self._lower - 0.2) < 0.08
        skin = float(np.median(light[below])) if below.any() else 0.0
        hair = sample(light, at) < HAIR * skin
        return np.where(hair.any(axis=1), up[hair.argmax(axis=1)], ABOVE)

    # ------------------------------------------------------------ the eyeball

    def _eyeball(self, turn: Points, bare: Array) -> Array:
        """What lies behind the lids' edges, the iris moved by (s, t).

        bare: how far the edges of the lids have gone apart.
        """
        s, t = self._s - self._iris[0], self._t - self._iris[1]
        was = np.hypot(s, t) / self._radius
        now = np.hypot(s - turn[0], t - turn[1]) / self._radius
        clear = np.minimum(self._t - self._upper - LASHES, self._lower - self._t - LASHES / 2)
        visible = self._within(clear) * (np.abs(self._s) < 0.5)
        white = self._white(visible * (was > 1 + 1.5 * RIM) * (np.abs(self._s) < CORNER))
        shade = EDGE * np.exp(-np.maximum(self._t - self._upper - LASHES, 0) / LASHES)
        white *= 1 - shade[..., None]
        hidden = (1 - visible) * ramp(bare, 0, LASHES)
        unknown = np.maximum(1 - ramp(was, 1 + RIM, 1 + 2 * RIM), hidden)
        ball = self._picture + unknown[..., None] * (white - self._picture)
        # The iris itself; what the lid hides of it is like the rest at the same radius.
        at = np.asarray(self._here - turn @ self._axes * self._width, np.float32)
        iris, known = sample(self._pixels, at, cv2.INTER_LANCZOS4), sample(visible, at)
        like = self._like(was, visible, now)
        iris = like + known[..., None] * (iris - like)
        there = 1 - ramp(now, 1 - RIM, 1 + RIM)
        return np.asarray(ball + there[..., None] * (iris - ball), np.float32)

    def _white(self, seen: Array) -> Array:
        """The white of the eye carried on from where it is seen, 0 to 1: from near by first."""
        total, weight = np.zeros_like(self._picture), np.zeros_like(seen)
        for far, trust in ((0.06, 1.0), (0.15, 0.03), (0.4, 0.001)):
            weight += trust * blur(np.asarray(seen, np.float32), far * self._width)
            total += trust * blur(self._picture * seen[..., None], far * self._width)
        return np.asarray(total / np.maximum(weight, 1e-7)[..., None], np.float32)

    def _like(self, was: Array, visible: Array, now: Array) -> Array:
        """The median colour of the visible iris at each distance from its centre, in radii."""
        rings = [(was > r - 0.12) & (was < r + 0.12) & (visible > 0.5) for r in RINGS]
        known = [i for i, ring in enumerate(rings) if ring.sum() >= 3]
        if not known:
            return self._picture
        colours = np.array([np.median(self._picture[rings[i]], axis=0) for i in known])
        like = [np.interp(now, RINGS[known], column) for column in colours.T]
        return np.asarray(np.stack(like, axis=-1), np.float32)


RINGS = np.linspace(0, 1.1, 9)


def _lashes(height: Array) -> Array:
    """How far the lashes of a lid reach up from its edge."""
    return np.asarray(np.minimum(LASH_LENGTH, height / 3), np.float32)


def _on(edge: Points, s: NDArray[np.floating]) -> Array:
    """t of a lid's edge at s; 0 at the corners and beyond."""
    s = np.clip(s, -0.5, 0.5)
    return np.asarray((0.25 - s**2) * np.polyval(edge, s), np.float32)
