"""ARKit's blendshape coefficients as Action Units, and the other way.

Names and meanings: Apple, ARFaceAnchor.BlendShapeLocation; which Action Unit a meaning is follows
the FACS manual (Ekman, Friesen & Hager 2002). docs/recordings.md has the table with its reasons.
Left and right are the subject's own in both. Live Link Face and its readers write the names with a
capital first letter, and nine rotations of head and eyes behind them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .. import facs

Array = NDArray[np.float64]

PAIRS: Mapping[str, str] = MappingProxyType(
    {
        "browOuterUp": "AU2", "browDown": "AU4", "eyeWide": "AU5", "cheekSquint": "AU6",
        "eyeSquint": "AU7", "noseSneer": "AU9", "mouthUpperUp": "AU10", "mouthSmile": "AU12",
        "mouthDimple": "AU14", "mouthFrown": "AU15", "mouthLowerDown": "AU16",
        "mouthStretch": "AU20", "mouthPress": "AU24", "eyeBlink": "AU43",
    }
)  # fmt: skip
"""Coefficients of a left and a right side (`eyeBlinkLeft`), each one side of an Action Unit."""

MIDDLE: Mapping[str, str] = MappingProxyType(
    {
        "browInnerUp": "AU1", "mouthShrugLower": "AU17", "mouthPucker": "AU18",
        "mouthFunnel": "AU22", "jawOpen": "AU26",
    }
)  # fmt: skip
"""Coefficients without sides."""

ROLLS = ("mouthRollLower", "mouthRollUpper")  # both lips sucked in are AU28
CLOSE = "mouthClose"  # the lips stay together although the jaw is open: AU25 is what is left
LIPS, JAW, STRETCH, SUCK = "AU25", "AU26", "AU27", "AU28"

# In the order of Apple's page, which Live Link Face writes too.
ORDER: tuple[str, ...] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft",
    "eyeSquintLeft", "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight",
    "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft",
    "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft",
    "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight",
    "tongueOut",
)  # fmt: skip
ROTATIONS = tuple(
    part + axis for part in ("Head", "LeftEye", "RightEye") for axis in ("Yaw", "Pitch", "Roll")
)
GAZE = "eyeLook"  # eight coefficients, told as one
_SIDES = {"Left": "L", "Right": "R"}
_KNOWN = {name.lower(): name for name in ORDER}


def coefficient(column: str) -> str | None:
    """The coefficient that a column holds, as Apple writes it: EyeBlink_L is eyeBlinkLeft.

    >>> coefficient("EyeBlink_L"), coefficient("AU12")
    ('eyeBlinkLeft', None)
    """
    plain = re.sub(r"_l$", "left", re.sub(r"_r$", "right", column.lower()))
    return _KNOWN.get(plain.replace("_", ""))


def used(names: Collection[str]) -> set[str]:
    """The coefficients, of those that are there, that some Action Unit is made of."""
    sided = {pair + side for pair in PAIRS for side in _SIDES}
    return set(names) & (sided | set(MIDDLE) | {*ROLLS, CLOSE})


def to_units(values: Mapping[str, Array]) -> Array:
    """Coefficients [n] by their name -> [n, U, 2] in [0, 1]; NaN where an AU has none.

    AU25 is the jaw's opening that `mouthClose` leaves, AU28 the mean of both lips' rolls.
    """
    count = len(next(iter(values.values())))
    units = np.full((count, len(facs.CODES), len(facs.SIDES)), np.nan)
    for name, code in PAIRS.items():
        for word, side in _SIDES.items():
            if name + word in values:
                units[:, facs.INDEX[code], facs.SIDES.index(side)] = values[name + word]
    for name, code in MIDDLE.items():
        if name in values:
            units[:, facs.INDEX[code]] = values[name][:, None]
    if "jawOpen" in values:
        closed = values.get(CLOSE, np.zeros(count))
        parted = np.maximum(values["jawOpen"] - closed, 0.0)
        units[:, facs.INDEX[LIPS]] = parted[:, None]
    rolls = [values[name] for name in ROLLS if name in values]
    if rolls:
        units[:, facs.INDEX[SUCK]] = np.sum(rolls, axis=0)[:, None] / len(ROLLS)
    return units


def from_units(sides: Array) -> dict[str, Array]:
    """[n, U, 2] intensities -> the 52 coefficients [n] in [0, 1], in the order of `ORDER`.

    The stronger of AU26 and AU27 opens the jaw; `mouthClose` keeps the lips together as far as AU25
    is weaker; where it is stronger, both lips move apart by half of what is missing. Units that
    ARKit has no coefficient for are left out: `unmapped`. Negative intensities are 0.
    """
    level = np.clip(sides, 0.0, 1.0)

    def of(code: str) -> Array:
        """[n, 2]"""
        return np.asarray(level[:, facs.INDEX[code]])

    values = {name: np.zeros(len(level)) for name in ORDER}
    for name, code in PAIRS.items():
        for word, side in _SIDES.items():
            values[name + word] = of(code)[:, facs.SIDES.index(side)].copy()
    for name, code in MIDDLE.items():
        values[name] = of(code).mean(axis=1)
    values["jawOpen"] = np.maximum(values["jawOpen"], of(STRETCH).mean(axis=1))
    for name in ROLLS:
        values[name] = of(SUCK).mean(axis=1)
    lips = of(LIPS).mean(axis=1)
    values[CLOSE] = np.maximum(values["jawOpen"] - lips, 0.0)
    apart = np.maximum(lips - values["jawOpen"], 0.0) / 2
    for name in ("mouthLowerDown", "mouthUpperUp"):
        for word in _SIDES:
            values[name + word] = np.maximum(values[name + word], apart)
    return values


def unmapped(sides: Array) -> tuple[str, ...]:
    """The Action Units of a motion, [n, U, 2], that no coefficient stands for.

    >>> unmapped(np.array([facs.to_sides({"AU12": 1.0, "AU23": 1.0})]))
    ('AU23',)
    """
    known = {*PAIRS.values(), *MIDDLE.values(), LIPS, STRETCH, SUCK}
    moving = np.abs(sides).max(axis=(0, 2)) > 0
    pairs = zip(facs.CODES, moving, strict=True)
    return tuple(code for code, moves in pairs if moves and code not in known)
