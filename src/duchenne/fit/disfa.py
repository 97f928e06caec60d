"""The paper's own examples: coded film frames of DISFA (section 4.1), encoded.

DISFA (Mavadati et al. 2013, doi:10.1109/T-AFFC.2013.4) has 27 people, filmed by two cameras while
they watched a film, and for every frame the intensities of twelve Action Units, 0 to 5, by a
certified coder. It is given out by its authors on request. A copy looks like this, with `Video` or
`Videos`, large or small letters, and folders packed twice differing between copies:

    ActionUnit_Labels/SN001/SN001_au1.txt     lines `frame,intensity`, frames counted from 1
    Videos_LeftCamera/LeftVideoSN001_comp.avi
    Video_RightCamera/RightVideoSN001_comp.avi

The work folder remembers every frame that was encoded: a fit that was stopped goes on.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..animate import Studio
from ..errors import DuchenneError, InputError, NoFaceFound
from ..files import codes, writing
from ..files.films import read_video
from ..files.names import for_ffmpeg
from ..types import LatentCode, Photo, Pixels, StageProgress
from .labels import AU_FACE, NEUTRAL, UNUSED, Labelled, by_intensity

log = logging.getLogger(__name__)

Roles = NDArray[np.int8]

LABELS = "ActionUnit_Labels"
FORMAT = "duchenne-disfa-1"
# The films have 4844 or 4845 frames, the tables 4845 lines; more than that is another film.
SLACK = 2
LAYOUT = (
    "expected the layout of DISFA: ActionUnit_Labels/SN001/SN001_au1.txt and "
    "Videos_LeftCamera/LeftVideoSN001_comp.avi"
)


@dataclass(frozen=True)
class DisfaSettings:
    """camera: left or right. strong: intensity from which a frame shows an Action Unit.

    per_person: frames of one person for each Action Unit, spread over the film; twice as many
        neutral ones.
    """

    camera: str = "left"
    strong: float = 4.0
    per_person: int = 4


@dataclass(frozen=True)
class Participant:
    """One of the people: name, film, and intensities [F, 12] of its frames 1 to F."""

    name: str
    film: Path
    intensities: NDArray[np.float64]


def collect(
    root: Path,
    studio: Studio,
    work: Path,
    settings: DisfaSettings | None = None,
    *,
    share: tuple[int, int] = (0, 1),
    progress: StageProgress | None = None,
) -> Labelled:
    """Choose, align and encode frames of a copy of DISFA.

    studio: its cache keeps the codes. work: remembers which frames they are of. share: (k, n), only
        every n-th person, from the k-th, so that processes can divide the work.

    Raises InputError for what is not DISFA (see `find_people`), for a film that is shorter than its
    labels, and if no chosen frame has a face.
    """
    settings, tell = settings or DisfaSettings(), progress or (lambda *_: None)
    people = find_people(root, settings.camera)[share[0] :: share[1]]
    for person in people:
        _check_length(person)  # all of them before the first is encoded
    with writing.reporting_disk_errors(work):
        work.mkdir(parents=True, exist_ok=True)
    chosen = [choose(person.intensities, settings) for person in people]
    frames = [(np.flatnonzero((roles != UNUSED).any(axis=1)) + 1).tolist() for roles in chosen]
    total = sum(map(len, frames))
    kept: list[tuple[str, int, NDArray[np.float32], Roles]] = []
    done = 0
    for person, roles, wanted in zip(people, chosen, frames, strict=True):
        code_of = {}
        for number, code in _encoded(person, wanted, studio, work, settings.camera):
            code_of[number] = code
            done += 1
            tell("encoding", done, total)
        faceless = sum(code is None for code in code_of.values())
        if faceless:
            log.warning("%s: no face in %d of %d frames", person.name, faceless, len(wanted))
        kept += [(person.name, n, c.w, roles[n - 1]) for n, c in sorted(code_of.items()) if c]
    if not kept:
        raise InputError(f"{root}: no face in any of {total} chosen frames; are the films whole?")
    return Labelled(
        w=np.stack([w for _, _, w, _ in kept]),
        roles=np.stack([roles for *_, roles in kept]),
        people=np.array([name for name, *_ in kept]),
        names=np.array([f"{name} frame {number}" for name, number, *_ in kept]),
    )


def described(settings: DisfaSettings, studio: Studio) -> dict[str, Any]:
    """What the provenance of boundaries says of these examples."""
    return {
        "examples": "DISFA, coded by a certified FACS coder (Mavadati et al. 2013)",
        "disfa": asdict(settings),
        "encoding": asdict(studio.settings),
    }


def choose(intensities: NDArray[np.float64], settings: DisfaSettings) -> Roles:
    """[F, 12] roles of one person's frames, no more than the settings allow for each.

    The chosen ones are spread evenly over those that qualify: neighbours look the same.
    """
    every = by_intensity(intensities, settings.strong)
    roles = np.full(every.shape, UNUSED, np.int8)
    for i, column in enumerate(every.T):
        for role, most in ((AU_FACE, settings.per_person), (NEUTRAL, 2 * settings.per_person)):
            good = np.flatnonzero(column == role)
            count = min(most, len(good))
            # The middles of `count` equal stretches.
            places = (np.arange(count) + 0.5) * len(good) / max(count, 1)
            roles[good[places.astype(int)], i] = role
    return roles


# ---------------------------------------------------------------- the layout


def find_people(root: Path, camera: str) -> list[Participant]:
    """Everybody in a copy of DISFA, with the films of one camera.

    Raises InputError for another folder, a missing film or table, and tables that are not of
    `frame,intensity` in order or differ in length.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; {LAYOUT}")
    tables = _inside(_folder(root, LABELS.lower()), LABELS.lower())
    films = _films(root, camera)
    folders = sorted(p for p in tables.iterdir() if re.fullmatch(r"(?i)sn\d+", p.name))
    if not folders:
        raise InputError(f"{tables}: holds no folder such as SN001; {LAYOUT}")
    people = []
    for folder in folders:
        name = folder.name.upper()
        if name not in films:
            raise InputError(
                f"{root}: no film of the {camera} camera for {name}; complete the copy, or take "
                f"{folder} away to fit without {name}"
            )
        people.append(Participant(name, films[name], _read_intensities(folder)))
    if extra := sorted(films.keys() - {person.name for person in people}):
        log.warning("%s: films without labels are left out: %s", root, ", ".join(extra))
    return people


def _folder(root: Path, pattern: str) -> Path:
    """The folder in `root` whose name, in small letters, matches."""
    for path in sorted(root.iterdir()):
        if path.is_dir() and re.fullmatch(pattern, path.name.lower()):
            return path
    raise InputError(f"{root}: the folder is missing; {LAYOUT}")


def _inside(folder: Path, pattern: str) -> Path:
    """Unpacking into a folder of the archive's own name puts one into another."""
    nested = [p for p in folder.iterdir() if p.is_dir() and re.fullmatch(pattern, p.name.lower())]
    return nested[0] if nested else folder


def _films(root: Path, camera: str) -> dict[str, Path]:
    """Person -> film of one camera."""
    pattern = rf"videos?_{camera}camera"
    folder = _inside(_folder(root, pattern), pattern)
    films = {}
    for path in sorted(folder.iterdir()):
        match = re.fullmatch(rf"{camera}video(sn\d+)(_comp)?\.(avi|mp4|mkv|mov)", path.name.lower())
        if match:
            films[match[1].upper()] = path
    if not films:
        raise InputError(
            f"{folder}: holds no film such as {camera.title()}VideoSN001_comp.avi; {LAYOUT}"
        )
    return films


def _read_intensities(folder: Path) -> NDArray[np.float64]:
    """[F, 12] of one person's folder of tables; NaN for what DISFA does not code."""
    files = {path.name.lower(): path for path in folder.iterdir()}
    columns = []
    for code in facs.PAPER:
        name = f"{folder.name}_{code.lower()}.txt"
        if name.lower() not in files:
            raise InputError(f"{folder}: {name} is missing; complete the copy")
        columns.append(_read_table(files[name.lower()]))
    lengths = [len(column) for column in columns]
    if max(lengths) - min(lengths) > SLACK:
        code = facs.PAPER[int(np.argmin(lengths))]
        raise InputError(
            f"{folder}: the table of {code} ends at frame {min(lengths)}, others at frame "
            f"{max(lengths)}; a file is cut"
        )
    table = np.full((min(lengths), len(facs.CODES)), np.nan)
    for code, column in zip(facs.PAPER, columns, strict=True):
        table[:, facs.INDEX[code]] = column[: min(lengths)]
    return table


def _read_table(path: Path) -> NDArray[np.float64]:
    """[F] intensities of one Action Unit."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); get a whole copy") from None
    values = []
    for number, line in enumerate(filter(str.strip, lines), 1):
        match = re.fullmatch(r"\s*(\d+)\s*,\s*([0-5])\s*", line)
        if match is None or int(match[1]) != number:
            raise InputError(
                f"{path} line {number}: {line.strip()[:40]!r}; expected `{number},` and an "
                "intensity of 0 to 5"
            )
        values.append(float(match[2]))
    if not values:
        raise InputError(f"{path}: is empty; get a whole copy")
    return np.array(values)


# ---------------------------------------------------------------- frames and codes


def _check_length(person: Participant) -> None:
    """InputError if the labels go on after the end of the film."""
    try:
        with av.open(for_ffmpeg(person.film)) as container:
            stream = container.streams.video[0]
            count = stream.frames or sum(p.size > 0 for p in container.demux(stream))
    except (av.FFmpegError, OSError, IndexError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{person.film}: is no whole film ({reason}); get it again") from None
    if len(person.intensities) > count + SLACK:
        raise InputError(
            f"{person.film}: has {count} frames, but the labels of {person.name} go on to frame "
            f"{len(person.intensities)}; the film is cut or another one"
        )


def _encoded(
    person: Participant, wanted: list[int], studio: Studio, work: Path, camera: str
) -> Iterator[tuple[int, LatentCode | None]]:
    """(frame number, code) of the wanted frames; None where no face was found."""
    memory = _Memory.open(work / f"{person.name}_{camera}.json", person, studio)
    left = set(wanted)
    for number in wanted:
        known, code = memory.recall(number)
        if known:
            left.discard(number)
            yield number, code
    if not left:
        return
    for number, frame in enumerate(read_video(person.film), 1):
        if number in left:
            left.discard(number)
            yield number, memory.encode(number, frame)
        if not left:
            return
    # One or two labels more than frames are the rule (SLACK); more are a film that breaks off.
    if min(left) <= len(person.intensities) - SLACK:
        raise InputError(f"{person.film}: breaks off before frame {min(left)}; get a whole copy")


@dataclass(frozen=True)
class _Memory:
    """Which frames of a film were encoded: a small JSON file beside the codes.

    frames: frame number -> file in the studio's cache of codes, None where no face was found.
    """

    path: Path
    head: dict[str, Any]
    frames: dict[str, str | None]
    studio: Studio

    @staticmethod
    def open(path: Path, person: Participant, studio: Studio) -> _Memory:
        """What is remembered; nothing if it was another film, generator or setting."""
        head = {
            "format": FORMAT,
            "film": person.film.name,
            "bytes": person.film.stat().st_size,
            "generator": studio.generator.fingerprint,
            "encoding": asdict(studio.settings),
        }
        try:
            known = json.loads(path.read_text())
        except (OSError, ValueError):  # none yet, or damaged: encode again
            known = {}
        same = isinstance(known, dict) and known.get("head") == head
        return _Memory(path, head, known["frames"] if same else {}, studio)

    def recall(self, number: int) -> tuple[bool, LatentCode | None]:
        """(whether the frame was seen to, its code)."""
        name = self.frames.get(str(number), "")
        if not name:
            return name is None, None
        try:
            return True, codes.read_code(self.studio.cache.folder / name)
        except DuchenneError:
            return False, None

    def encode(self, number: int, frame: Pixels) -> LatentCode | None:
        """Align and encode a frame, and remember it; None if it shows no face."""
        photo, code, name = Photo(frame, f"{self.path.stem} frame {number}"), None, None
        try:
            subject = self.studio.face(photo)
        except NoFaceFound as error:
            log.info("%s", error)
        else:
            assert subject.aligned is not None
            code = subject.code
            name = self.studio.cache.path(subject.aligned.pixels, self.studio.inversion).name
        self.frames[str(number)] = name
        text = json.dumps({"head": self.head, "frames": self.frames}, indent=1)
        codes.write_atomically(text.encode(), self.path)
        return code
