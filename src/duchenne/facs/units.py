"""The Action Units: everything that is known of each one, in one record.

Scores, fits, evaluation, screening, the page and the tables of the docs derive from it. One more
unit is one more record here, a fit of the boundaries and the scale, and its rows in the docs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field


@dataclass(frozen=True)
class ActionUnit:
    """One FACS Action Unit: its number, FACS name, the muscle behind it, its part of the face.

    area: the region of influence that it edits, one of `faces.regions.ZONES`.
    evidence: which measures (`measuring.measures`) show it, and how: a negative weight means that
    the measure falls.
    tied: measures that it moves by anatomy, or that read the same skin another way: a fit neither
    asks for them nor holds them still. FACS (Ekman, Friesen & Hager 2002) describes these side
    effects; skin that folds or bulges also changes its shade.
    kin: Action Units that share a muscle's pull or a piece of skin, so that one moves the other's
    measure whatever the method: raising the cheeks narrows the eye, the jaw parts the lips.
    reach: how far along its boundary it may go, in standard deviations of W, before the picture
    stops being a natural face, judged by eye on many faces.
    drawing: what it does, as SVG in a box of 48 x 48: "face" stays, "move" moves.
    opposes: Action Units that pull the same place the other way; a pair is written once.
    moved: drawn by moving lids, irises or lips in the picture (`moving.eyes`, `moving.lips`), a
    photo's or the generator's, not along a boundary: a generator hardly looks aside, does not shut
    its eyes, and parts the lips that it presses.
    read_at_rest: whether it must not act in a neutral face. Brows, lids, nose and the shape of
    closed lips are left out: their scores hold more anatomy than action in a face at rest
    (docs/scores.md).
    """

    number: int
    name: str
    muscle: str
    area: str
    _: KW_ONLY
    evidence: Mapping[str, float] = field(hash=False)
    tied: tuple[str, ...]
    kin: tuple[str, ...]
    reach: float
    drawing: str
    opposes: tuple[str, ...] = ()
    read_at_rest: bool = False
    moved: bool = False

    @property
    def code(self) -> str:
        return f"AU{self.number}"


def _path(kind: str, d: str) -> str:
    return f'<path class="{kind}" d="{d}"/>'


def _ahead(x1: float, y1: float, x2: float, y2: float) -> str:
    """An arrow from (x1, y1) to (x2, y2)."""
    angle = math.atan2(y2 - y1, x2 - x1)
    a, b = (
        f"{x2 + 4.2 * math.cos(t):.1f} {y2 + 4.2 * math.sin(t):.1f}"
        for t in (angle + 2.6, angle - 2.6)
    )
    return _path("arrow", f"M{x1:g} {y1:g}L{x2:g} {y2:g}M{a}L{x2:g} {y2:g}L{b}")


def _arrows(x1: float, y1: float, x2: float, y2: float) -> str:
    """An arrow from (x1, y1) to (x2, y2), and its mirror image unless it lies on the midline."""
    drawn = _ahead(x1, y1, x2, y2)
    return drawn if x1 >= 24 else drawn + _arrows(48 - x1, y1, 48 - x2, y2)


def _ellipse(kind: str, cx: float, cy: float, rx: float, ry: float) -> str:
    return f'<ellipse class="{kind}" cx="{cx:g}" cy="{cy:g}" rx="{rx:g}" ry="{ry:g}"/>'


_EYES = _ellipse("face", 13, 32, 7, 3.4) + _ellipse("face", 35, 32, 7, 3.4)
_EYES_AND_BROWS = _EYES + _path("move", "M5 25Q12 18 21 23M27 23Q36 18 43 25")
_PUPILS = _ellipse("dot", 12.5, 26, 3, 3) + _ellipse("dot", 35.5, 26, 3, 3)
_OPEN_EYES = _ellipse("face", 12, 25, 9, 6) + _ellipse("face", 36, 25, 9, 6)


def _looking(right: float, down: float) -> str:
    """Pupils in `_OPEN_EYES`, so far from the middle, as the viewer sees it."""
    return "".join(_ellipse("dot", x + right, 25 + down, 3, 3) for x in (12, 36))


ACTION_UNITS: tuple[ActionUnit, ...] = (
    ActionUnit(
        1, "Inner Brow Raiser", "frontalis, pars medialis", "brows",
        evidence={"browInnerUp": 1.0, "inner_brow": 1.0},
        tied=("brow", "browDown", "brow_gap", "light_forehead", "rough_forehead"),
        kin=("AU2", "AU4"), reach=7.0,
        drawing=_EYES_AND_BROWS + _arrows(20, 17, 20, 6),
    ),
    ActionUnit(
        2, "Outer Brow Raiser", "frontalis, pars lateralis", "brows",
        evidence={"browOuterUp": 1.0, "outer_brow": 1.0},
        tied=("brow", "browDown", "light_forehead", "rough_forehead"),
        kin=("AU1", "AU4"), reach=7.0,
        drawing=_EYES_AND_BROWS + _arrows(8, 17, 6, 6),
    ),
    ActionUnit(
        4, "Brow Lowerer", "corrugator supercilii, depressor supercilii", "brows",
        evidence={"browDown": 1.0, "inner_brow": -1.0, "brow_gap": -1.0},
        tied=("browInnerUp", "browOuterUp", "brow", "eyeWide", "eyeSquint",
              "nose_furrow", "light_glabella", "rough_glabella"),
        kin=("AU1", "AU2", "AU9"), reach=8.0,
        drawing=_EYES_AND_BROWS + _arrows(13, 8, 19, 17) + _path("face", "M23 12v7M25.5 12v7"),
    ),
    ActionUnit(
        5, "Upper Lid Raiser", "levator palpebrae superioris", "eyes",
        evidence={"eyeWide": 1.0, "eye_opening": 1.0},
        tied=("eyeBlink", "eyeSquint", "eye_furrow"),
        kin=("AU6", "AU7", "AU43"), reach=6.0, opposes=("AU6",),
        drawing=_path("face", "M4 27Q13 36 21 27M27 27Q35 36 44 27") + _PUPILS
        + _path("move", "M4 27Q12 16 21 27M27 27Q36 16 44 27") + _arrows(12.5, 17, 12.5, 6),
    ),
    ActionUnit(
        6, "Cheek Raiser", "orbicularis oculi, pars orbitalis", "eyes",
        evidence={"eyeSquint": 0.5, "lower_lid": 1.0, "cheek": 1.0, "eye_furrow": 1.0},
        tied=("light_under_eye", "light_cheek", "rough_under_eye", "rough_cheek"),
        kin=("AU5", "AU7", "AU9", "AU43"), reach=5.5, read_at_rest=True,
        drawing=_path("face", "M4 18Q12 11 21 18Q12 23 4 18M27 18Q36 11 44 18Q36 23 27 18")
        + _path("move", "M4 28Q13 20 21 27M27 27Q35 20 44 28") + _arrows(12, 41, 12, 30),
    ),
    ActionUnit(
        7, "Lid Tightener", "orbicularis oculi, pars palpebralis", "eyes",
        evidence={"eyeSquint": 1.0, "lower_lid": 1.0, "eye_opening": -0.5},
        tied=("eyeBlink", "eyeWide", "light_under_eye", "rough_under_eye"),
        kin=("AU5", "AU6", "AU43"), reach=6.0, opposes=("AU5",),
        drawing=_path("face", "M4 24Q12 15 21 24M27 24Q36 15 44 24") + _PUPILS
        + _path("move", "M4 26Q13 27 21 26M27 26Q35 27 44 26") + _arrows(12.5, 40, 12.5, 30),
    ),
    ActionUnit(
        9, "Nose Wrinkler", "levator labii superioris alaeque nasi", "nose",
        evidence={"nostril_wing": 1.0, "upper_lip": 0.5, "cheek": 0.3, "nose_furrow": 0.7},
        tied=("eyeSquint", "browDown", "mouthUpperUp", "lower_lid", "eye_opening",
              "mouthShrugLower", "eye_furrow",
              "light_glabella", "light_nose", "rough_glabella", "rough_nose"),
        kin=("AU4", "AU6", "AU7", "AU10", "AU1"), reach=7.5,
        drawing=_path("face", "M21 8L18 30Q24 36 30 30L27 8")
        + _path("move", "M19 16h10M18.5 20h11") + _arrows(12, 32, 15, 18),
    ),
    ActionUnit(
        10, "Upper Lip Raiser", "levator labii superioris", "mouth",
        evidence={"mouthUpperUp": 1.0, "upper_lip": 1.0, "nostril_wing": 0.3},
        tied=("lip_gap", "mouthClose", "mouthRollUpper", "mouthSmile", "upper_red", "cheek",
              "light_upper_lip", "rough_upper_lip"),
        kin=("AU9", "AU12", "AU25"), reach=6.5,
        drawing=_path("face", "M19 6L16 14Q24 19 32 14L29 6M9 30Q24 40 39 30")
        + _path("move", "M9 29Q15 22 24 24Q33 22 39 29") + _arrows(15, 22, 12, 12),
    ),
    ActionUnit(
        12, "Lip Corner Puller", "zygomaticus major", "mouth",
        evidence={"mouthSmile": 1.0, "lip_corner": 1.0, "mouth_width": 0.7},
        tied=("cheek", "mouthPress", "mouthFrown", "mouthPucker", "mouthShrugLower",
              "mouthStretch", "nostril_wing", "upper_lip", "mouthRollLower", "mouthUpperUp",
              "eye_furrow", "light_cheek", "rough_cheek", "mouthDimple", "dimple",
              "upper_red", "lower_red"),
        kin=("AU6", "AU10", "AU14", "AU15", "AU20"), reach=7.0, opposes=("AU15",),
        read_at_rest=True,
        drawing=_path("move", "M10 24Q24 40 38 24") + _arrows(9, 20, 4, 10),
    ),
    ActionUnit(
        14, "Dimpler", "buccinator", "mouth",
        evidence={"mouthDimple": 1.0, "dimple": 1.0},
        tied=("mouthPress", "mouthStretch", "mouthPucker", "upper_red", "lower_red",
              "mouthRollLower", "mouthRollUpper", "rough_cheek"),
        kin=("AU12", "AU15", "AU20"), reach=7.0, moved=True,
        drawing=_path("face", "M12 24Q24 27 36 24")
        + _path("move", "M8 20Q5 24 8 28M40 20Q43 24 40 28")
        + _arrows(3, 14, 8, 18),
    ),
    ActionUnit(
        15, "Lip Corner Depressor", "depressor anguli oris", "mouth",
        evidence={"mouthFrown": 1.0, "lip_corner": -1.0},
        tied=("mouthSmile", "mouthPress", "mouthPucker", "mouthStretch", "mouthDimple", "dimple"),
        kin=("AU12", "AU14", "AU17"), reach=7.0, read_at_rest=True,
        drawing=_path("move", "M10 28Q24 16 38 28") + _arrows(9, 31, 5, 41),
    ),
    ActionUnit(
        16, "Lower Lip Depressor", "depressor labii inferioris", "mouth",
        evidence={"mouthLowerDown": 1.0, "lower_lip": 1.0, "lip_gap": 0.5},
        tied=("mouthClose", "mouthPress", "mouthRollLower", "mouthShrugLower", "lower_red",
              "mouthPucker", "mouthFunnel", "light_chin", "rough_chin"),
        kin=("AU17", "AU25", "AU26", "AU22"), reach=6.5, opposes=("AU17",),
        drawing=_path("face", "M9 20Q24 15 39 20") + _path("move", "M9 21Q24 36 39 21")
        + _arrows(16, 33, 14, 42),
    ),
    ActionUnit(
        17, "Chin Raiser", "mentalis", "mouth",
        evidence={"mouthShrugLower": 1.0, "lower_lip": -1.0, "chin": -0.5},
        tied=("mouthClose", "mouthRollLower", "mouthPucker", "mouthPress", "mouthFrown",
              "mouthRollUpper", "upper_red", "lower_red", "light_chin", "rough_chin"),
        kin=("AU15", "AU16", "AU23", "AU24", "AU25", "AU26", "AU28"), reach=7.0,
        opposes=("AU26", "AU25"), read_at_rest=True,
        drawing=_path("face", "M9 24Q24 20 39 24") + _path("move", "M15 31Q24 25 33 31")
        + _path("face", "M12 34Q24 48 36 34") + _arrows(24, 42, 24, 32),
    ),
    ActionUnit(
        18, "Lip Pucker", "incisivi labii superioris et inferioris", "mouth",
        evidence={"mouthPucker": 1.0, "mouth_width": -1.0, "lip_gap": -0.8},
        tied=("mouthFunnel", "mouthSmile", "mouthStretch", "mouthDimple", "upper_red", "lower_red",
              "upper_lip", "lower_lip", "mouthShrugLower", "dimple"),
        kin=("AU20", "AU22", "AU12"), reach=6.5, moved=True, opposes=("AU20",),
        drawing=_ellipse("move", 24, 24, 7, 6) + _path("face", "M20 24h8") + _arrows(5, 24, 13, 24),
    ),
    ActionUnit(
        20, "Lip Stretcher", "risorius", "mouth",
        evidence={"mouthStretch": 1.0, "mouth_width": 1.0},
        tied=("mouthLowerDown", "mouthPucker", "mouthPress", "mouthFrown", "mouthDimple", "dimple",
              "upper_red", "lower_red"),
        kin=("AU12", "AU14", "AU18", "AU22"), reach=7.0, read_at_rest=True,
        drawing=_path("move", "M13 24Q24 22 35 24Q24 27 13 24") + _arrows(10, 24, 2, 25),
    ),
    ActionUnit(
        22, "Lip Funneler", "orbicularis oris", "mouth",
        evidence={"mouthFunnel": 1.0, "upper_red": 0.7, "lower_red": 0.7, "mouth_width": -0.7},
        tied=("mouthPucker", "mouthClose", "mouthUpperUp", "mouthLowerDown", "upper_lip",
              "lower_lip", "lip_gap", "mouthSmile", "mouthStretch", "mouthShrugLower", "dimple"),
        kin=("AU18", "AU20", "AU25", "AU16"), reach=6.5, moved=True,
        drawing=_ellipse("move", 24, 24, 11, 10) + _ellipse("face", 24, 24, 5, 4)
        + _arrows(24, 12, 24, 5) + _arrows(24, 36, 24, 43),
    ),
    ActionUnit(
        23, "Lip Tightener", "orbicularis oris", "mouth",
        evidence={"upper_red": -1.0, "lower_red": -1.0, "mouth_width": -0.6},
        tied=("mouthPress", "mouthRollLower", "mouthRollUpper", "mouthClose", "mouthPucker",
              "upper_lip", "lower_lip"),
        kin=("AU17", "AU24", "AU28", "AU18"), reach=6.5, moved=True,
        drawing=_path("face", "M11 20Q24 14 37 20M11 28Q24 34 37 28")
        + _path("move", "M13 24Q24 21 35 24Q24 27 13 24") + _arrows(4, 24, 11, 24),
    ),
    ActionUnit(
        24, "Lip Presser", "orbicularis oris", "mouth",
        evidence={"mouthPress": 1.0, "upper_red": -0.5, "lower_red": -0.5, "lip_gap": -0.5},
        tied=("mouthRollLower", "mouthRollUpper", "mouthClose", "mouthShrugLower", "mouthDimple",
              "upper_lip", "lower_lip", "mouthLowerDown", "mouthUpperUp", "light_chin"),
        kin=("AU17", "AU23", "AU25", "AU28", "AU14"), reach=6.5, moved=True, opposes=("AU25",),
        drawing=_path("move", "M11 23Q24 21 37 23M11 26Q24 27 37 26")
        + _arrows(24, 8, 24, 18) + _arrows(24, 40, 24, 31),
    ),
    ActionUnit(
        25, "Lips Part", "depressor labii inferioris", "mouth",
        evidence={"lip_gap": 1.0, "mouthLowerDown": 0.7, "mouthUpperUp": 0.5},
        tied=("mouthClose", "mouthRollLower", "mouthPress", "lower_lip", "upper_lip",
              "mouthPucker", "mouthShrugLower", "mouthFunnel", "mouthRollUpper", "upper_red",
              "lower_red"),
        kin=("AU10", "AU16", "AU17", "AU22", "AU24", "AU26", "AU27", "AU28"), reach=6.0,
        read_at_rest=True,
        drawing=_path("move", "M9 22Q24 14 39 22M9 25Q24 35 39 25")
        + _arrows(24, 15, 24, 7) + _arrows(24, 33, 24, 42),
    ),
    ActionUnit(
        26, "Jaw Drop", "masseter, relaxed", "mouth",
        evidence={"jawOpen": 1.0, "chin": 1.0, "lower_lip": 1.0, "lip_gap": 0.7},
        tied=("mouthClose", "mouthLowerDown", "mouthPress", "mouthRollLower",
              "mouthShrugLower", "mouthPucker", "mouthStretch", "mouthFunnel", "mouthRollUpper",
              "upper_red", "lower_red"),
        kin=("AU16", "AU17", "AU25", "AU27"), reach=8.0, read_at_rest=True,
        drawing=_ellipse("move", 24, 19, 11, 10)
        + _path("face", "M8 22Q12 44 24 44Q36 44 40 22") + _arrows(24, 31, 24, 41),
    ),
    ActionUnit(
        27, "Mouth Stretch", "pterygoids, digastric", "mouth",
        evidence={"jawOpen": 1.0, "chin": 1.0, "lip_gap": 1.0, "mouth_width": -0.4},
        tied=("mouthClose", "mouthLowerDown", "mouthUpperUp", "mouthPress", "mouthRollLower",
              "mouthFunnel", "mouthShrugLower", "mouthPucker", "mouthStretch", "lower_lip",
              "mouthSmile", "upper_red", "lower_red", "dimple"),
        kin=("AU25", "AU26", "AU16", "AU22", "AU17"), reach=9.0,
        drawing=_ellipse("move", 24, 24, 9, 15)
        + _path("face", "M6 18Q9 46 24 46Q39 46 42 18") + _arrows(24, 30, 24, 43),
    ),
    ActionUnit(
        28, "Lip Suck", "orbicularis oris", "mouth",
        evidence={"mouthRollLower": 1.0, "mouthRollUpper": 1.0, "upper_red": -0.5,
                  "lower_red": -0.5},
        tied=("mouthPress", "mouthClose", "lip_gap", "mouthShrugLower", "mouthLowerDown",
              "mouthUpperUp", "upper_lip", "lower_lip", "mouthPucker", "chin",
              "light_chin", "light_upper_lip"),
        kin=("AU23", "AU24", "AU25", "AU17"), reach=6.5, moved=True, opposes=("AU25",),
        drawing=_path("face", "M10 18Q24 12 38 18M10 30Q24 37 38 30")
        + _path("move", "M12 24h24") + _arrows(18, 13, 18, 21) + _arrows(18, 36, 18, 27),
    ),
    ActionUnit(
        43, "Eyes Closed", "levator palpebrae superioris, relaxed", "eyes",
        evidence={"eyeBlink": 1.0, "eye_opening": -1.0},
        tied=("eyeSquint", "eyeWide", "lower_lid", "gaze", "eyeLookUp", "eyeLookDown", "eye_furrow",
              "light_under_eye"),
        kin=("AU5", "AU6", "AU7", "AU64"), reach=8.0, opposes=("AU5",), moved=True,
        drawing=_path("face", "M4 24Q12 13 21 24M27 24Q36 13 44 24")
        + _path("move", "M4 25Q12 33 21 25M27 25Q36 33 44 25")
        + _path("face", "M8 29l-2 4M13 30v4M17 29l2 4M31 29l-2 4M36 30v4M40 29l2 4"),
    ),
    ActionUnit(
        61, "Eyes Turn Left", "lateral and medial recti", "eyes",
        evidence={"gaze_side": 1.0}, tied=(), kin=(), reach=8.0, opposes=("AU62",), moved=True,
        drawing=_OPEN_EYES + _looking(3.5, 0) + _ahead(21, 39, 30, 39),
    ),
    ActionUnit(
        62, "Eyes Turn Right", "lateral and medial recti", "eyes",
        evidence={"gaze_side": -1.0}, tied=(), kin=(), reach=8.0, moved=True,
        drawing=_OPEN_EYES + _looking(-3.5, 0) + _ahead(27, 39, 18, 39),
    ),
    ActionUnit(
        63, "Eyes Up", "superior rectus, inferior oblique", "eyes",
        evidence={"eyeLookUp": 1.0, "gaze": -1.0},
        tied=("eyeLookDown", "eyeBlink", "eyeSquint", "eyeWide", "eye_opening", "lower_lid",
              "light_under_eye"),
        kin=("AU5",), reach=8.0, opposes=("AU64",), moved=True,
        drawing=_OPEN_EYES + _looking(0, -3.5) + _ahead(24, 14, 24, 5),
    ),
    ActionUnit(
        64, "Eyes Down", "inferior rectus, superior oblique", "eyes",
        evidence={"eyeLookDown": 1.0, "gaze": 1.0},
        tied=("eyeLookUp", "eyeBlink", "eyeSquint", "eyeWide", "eye_opening", "lower_lid",
              "light_under_eye"),
        kin=("AU43", "AU5", "AU7"), reach=8.0, moved=True,
        drawing=_OPEN_EYES + _looking(0, 3.5) + _ahead(24, 36, 24, 44),
    ),
)  # fmt: skip
