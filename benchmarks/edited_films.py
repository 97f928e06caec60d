"""What an edited film is held to: time, memory, nothing changed that was not asked, steadiness.

A synthetic person speaks, nods and drifts through a film of 1280 x 720 px, with the noise of a
camera; `--film` takes a real one for the time and the changes from frame to frame instead. Told:

time: seconds a frame of `duchenne animate film.mp4`, from the start of the process to its end.
memory: its peak for a film as long as `--seconds` says and for one as long as `--long`; in both a
    still face, so that fewer frames are worked out.
same: with nothing asked, whether every frame reaches the encoder as it was decoded; with something
    asked, the samples that differ outside of the part that may.
steady: on a still picture with a camera's noise, by how many FACS steps what is added varies from
    frame to frame: the change of each frame, as a part of the mean change, times what was asked.
pace: on a film, how much more the parts that changed move from frame to frame than they did.
swap: two people walk past each other, one smiles and one frowns: whether each keeps their own.
target: how far `--target` gets, by the scores of the film before and after.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import SEED, arguments, report, summary
from numpy.typing import NDArray

import duchenne
from duchenne import facs, from_descriptor
from duchenne.faces.steady import steadied
from duchenne.faces.tracking import track
from duchenne.files import film_copy, films
from duchenne.files.film_source import open_film
from duchenne.footage.film import FilmSubject, Shown
from duchenne.footage.together import in_one
from duchenne.measuring.score import Scorer
from duchenne.types import Pixels

SIZE, RATE = (1280, 720), 25
PROGRAM = "from duchenne.cli import main; main()"
FACE = 512  # px of the crop that is put into the film
SPOKEN = 25  # pictures of a sentence, which is said again and again
NOISE = 2.0  # levels
STILL = 24  # frames
ASKED = 0.8
STEP, MORE = 0.15, 1.25  # aims: FACS steps between frames, and times the film's own change
OTHER = 21  # the second person's seed
PARTS = ("time", "memory", "same", "steady", "pace", "swap", "target")
Report = dict[str, Any]


# ---------------------------------------------------------------- films that are made


def pictures(seed: int, size: int = FACE) -> list[Pixels]:
    """A sentence of one person: jaw and lips open and shut, lids and brows move."""
    subject = duchenne.Studio().sample(seed)
    at = np.linspace(0, 2 * np.pi, SPOKEN, endpoint=False)
    courses = {
        "AU26": 0.35 * np.clip(np.sin(3 * at), 0, 1),
        "AU25": 0.5 * np.clip(np.sin(3 * at), 0, 1),
        "AU18": 0.4 * np.clip(np.sin(2 * at + 1), 0, 1),
        "AU1": 0.5 * np.clip(np.sin(at), 0, 1),
        "AU43": 1.0 * np.exp(-np.square((at - 4) / 0.25)),
    }
    return [
        subject.edit({code: float(course[i]) for code, course in courses.items()}, size=size)
        for i in range(SPOKEN)
    ]


def filmed(said: list[Pixels], frames: int, seed: int = 0) -> Iterator[Pixels]:
    """The sentence again and again, by a hand-held camera."""
    rng = np.random.default_rng(seed)
    width, height = SIZE
    for i in range(frames):
        turn, shift = 3 * np.sin(i / 17), (20 * np.sin(i / 29), 12 * np.sin(i / 11))
        place = cv2.getRotationMatrix2D((FACE / 2, FACE / 2), turn, 1.15)
        place[:, 2] += np.array([(width - FACE) / 2, (height - FACE) / 2]) + shift
        frame = cv2.warpAffine(
            said[i % len(said)], place, SIZE, flags=cv2.INTER_LINEAR, borderValue=(90, 90, 90)
        )
        yield noisy(frame, rng)


def noisy(frame: Pixels, rng: np.random.Generator) -> Pixels:
    noise = cv2.GaussianBlur(rng.normal(0, 2 * NOISE, frame.shape), (0, 0), 0.7)
    return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)


def passing(size: int = 230) -> Iterator[Pixels]:
    """Two people who change places, number 0 before number 1, in sixty frames."""
    both = [pictures(seed, 256)[SPOKEN // 2] for seed in (SEED, OTHER)]
    one, other = (cv2.resize(picture, (size, size)) for picture in both)
    rng = np.random.default_rng(0)
    for i in range(60):
        share = min(max((i - 12) / 36, 0), 1)
        frame = np.full((240, 640, 3), 90, np.uint8)
        for picture, left in ((other, 400 - 390 * share), (one, 10 + 390 * share)):
            frame[5 : 5 + size, round(left) : round(left) + size] = picture
        yield noisy(frame, rng)


# ---------------------------------------------------------------- what is measured


def animated(film: Path, output: Path) -> tuple[float, float, int]:
    """Seconds of the whole command, seconds of all cores in it, and its peak in bytes."""
    command = [
        *(sys.executable, "-c", PROGRAM, "animate", str(film)),
        *("--au", "AU12=0.5", "-o", str(output)),
    ]
    before = os.times()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    seconds = os.times().elapsed - before.elapsed
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def edited(film: Path, asked: dict[str, float], face: int = 0) -> Iterator[Shown]:
    timeline = from_descriptor(asked, frames=1, fps=Fraction(RATE))
    return FilmSubject(duchenne.Studio(), open_film(film), face).animate(timeline)


def same(film: Path) -> Report:
    """Samples of Y, U and V at the encoder against those that were decoded."""
    unasked = changed = outside = frames = 0
    for shown in edited(film, {}):
        given, now = (film_copy.patched(shown.frame, p) for p in (None, shown.pixels))
        unasked += sum(int((a != b).sum()) for a, b in zip(*map(planes, (given, now)), strict=True))
        decoded = planes(shown.frame.video)
        unasked += sum(int((a != b).sum()) for a, b in zip(decoded, planes(given), strict=True))
        frames += 1
    for shown in edited(film, {"AU12": ASKED}):
        if shown.pixels is None:
            continue
        may = np.zeros(shown.pixels.shape[:2], bool)
        may[shown.where] = True
        differs = (shown.pixels != shown.frame.pixels).any(axis=2)
        outside += int((differs & ~may).sum())
        now = planes(film_copy.patched(shown.frame, shown.pixels))
        coarse = differs.reshape(may.shape[0] // 2, 2, may.shape[1] // 2, 2).any(axis=(1, 3))
        for old, new, where in zip(
            planes(shown.frame.video), now, (differs, coarse, coarse), strict=True
        ):
            outside += int(((old != new) & ~where).sum())
        changed += int(differs.sum())
    return {
        "frames": frames, "samples changed unasked": unasked,
        "samples changed outside": outside, "pixels changed inside": changed,
    }  # fmt: skip


def planes(video: Any) -> list[NDArray[np.uint8]]:
    return [np.asarray(plane) for plane in film_copy._planes(video)]


def steady(folder: Path) -> Report:
    """For several expressions: FACS steps from frame to frame."""
    picture = pictures(SEED)[0]
    told = {}
    for asked in ({"AU12": ASKED}, {"AU1": ASKED, "AU2": ASKED, "AU4": ASKED}, {"AU26": ASKED}):
        film = folder / "still.mp4"
        films.write_frames(filmed_still(picture, STILL), film, fps=RATE)
        changes = [
            shown.pixels.astype(np.float32) - shown.frame.pixels
            for shown in edited(film, asked)
            if shown.pixels is not None
        ]
        mean = np.mean(changes, axis=0)
        there = np.array([float((one * mean).sum() / np.square(mean).sum()) for one in changes])
        steps = np.abs(np.diff(there)) * ASKED * facs.FULL
        told["+".join(asked)] = {"largest": round(float(steps.max()), 3), "frames": len(changes)}
    return {**told, "aim": STEP}


def filmed_still(picture: Pixels, frames: int) -> Iterator[Pixels]:
    rng = np.random.default_rng(1)
    width, height = SIZE
    frame = np.full((height, width, 3), 90, np.uint8)
    frame[100 : 100 + FACE, 300 : 300 + FACE] = picture
    return (noisy(frame, rng) for _ in range(frames))


def pace(film: Path, most: int) -> Report:
    """Frame-to-frame changes where the edit shows: of the new film over the old one's."""
    told = {}
    for asked in ({"AU12": 0.5}, {"AU1": ASKED, "AU2": ASKED, "AU4": ASKED}):
        new, old, last = [], [], None
        for shown in edited(film, asked):
            if shown.frame.index >= most:
                break
            before, last = last, shown
            if before is None or before.pixels is None or shown.pixels is None:
                continue
            where = (shown.pixels != shown.frame.pixels).any(axis=2)
            where &= (before.pixels != before.frame.pixels).any(axis=2)
            pairs = ((shown.pixels, before.pixels), (shown.frame.pixels, before.frame.pixels))
            for changes, (now, then) in zip((new, old), pairs, strict=True):
                changes.append(float(np.abs(now[where].astype(float) - then[where]).mean()))
        ratios = np.array(new) / np.maximum(old, 0.2)
        told["+".join(asked)] = {
            "whole": round(sum(new) / sum(old), 3),
            "median": round(float(np.median(ratios)), 3),
            "95 %": round(float(np.percentile(ratios, 95)), 3),
            "frames": len(new),
        }
    return {**told, "aim": MORE}


def swap(folder: Path) -> Report:
    """Where each picture lies is known: who changes, and in which part of the face."""
    film = folder / "swap.mp4"
    films.write_frames(passing(), film, fps=RATE)
    both = [edited(film, {"AU12": ASKED}, 0), edited(film, {"AU4": ASKED}, 1)]
    kept = lost = wrong = 0
    for shown in in_one(both):
        share = min(max((shown.frame.index - 12) / 36, 0), 1)
        if abs(share - 0.5) < 0.3:
            continue  # one is before the other
        for left, smiles in ((10 + 390 * share, True), (400 - 390 * share, False)):
            upper, lower = (_change(shown, round(left), rows) for rows in ((60, 115), (130, 200)))
            if max(upper, lower) < 0.2:
                lost += 1
            elif (lower > upper) == smiles:
                kept += 1
            else:
                wrong += 1
    return {"faces with their own expression": kept, "as they were": lost, "with another's": wrong}


def _change(shown: Shown, left: int, rows: tuple[int, int]) -> float:
    if shown.pixels is None:
        return 0.0
    part = (slice(*rows), slice(left + 40, left + 190))
    return float(np.abs(shown.pixels[part].astype(float) - shown.frame.pixels[part]).mean())


def target(film: Path, folder: Path) -> Report:
    """Median scores over the film, as intensities, before and after."""
    told, scorer = {}, Scorer()
    for code, value in (("AU12", 0.0), ("AU25", 0.1), ("AU25", 0.5), ("AU1", 0.6)):
        subject = FilmSubject(duchenne.Studio(), open_film(film))
        output = folder / "reached.mp4"
        films.write_frames(
            (one.frame.pixels if one.pixels is None else one.pixels
             for one in subject.reach({code: value})),
            output, fps=RATE,
        )  # fmt: skip
        before, after = (_measured(scorer, path)[:, facs.INDEX[code]] for path in (film, output))
        told[f"{code}={value}"] = {
            "before": round(float(np.median(before)), 3),
            "after": round(float(np.median(after)), 3),
            "away, median": round(float(np.median(np.abs(after - value))), 3),
        }
    return told


def _measured(scorer: Scorer, film: Path) -> NDArray[np.float64]:
    """[frames, U] intensities."""
    return np.array([
        np.clip(scorer.scale.scores(scorer.measure(one.sighting.frame.pixels, one.mesh)), 0, 5) / 5
        for one in steadied(track(open_film(film).frames()))
        if one.mesh is not None
    ])  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--film", type=Path, help="a real film, for time, pace and target")
    parser.add_argument("--seconds", type=float, default=10, help="of the film that is made")
    parser.add_argument("--long", type=float, default=100, help="seconds of the long film")
    parser.add_argument("--most", type=int, default=200, help="frames that pace looks at")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    results: Report = {"seconds": options.seconds, "film": options.film and options.film.name}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = pictures(SEED)
        made = folder / "film.mp4"
        films.write_frames(filmed(said, round(options.seconds * RATE)), made, fps=RATE)
        film = options.film or made
        count = open_film(film).frame_count
        if "time" in options.only:
            runs = [animated(film, folder / "out.mp4") for _ in range(options.rounds)]
            results["time"] = {
                "frames": count, "seconds a frame": summary([s / count for s, _, _ in runs]),
                "of all cores": summary([s / count for _, s, _ in runs]),
                "peak_bytes": max(peak for *_, peak in runs),
            }  # fmt: skip
        if "memory" in options.only:
            results["memory"] = {}
            for seconds in (options.seconds, options.long):
                path = folder / "still.mp4"
                films.write_frames(filmed_still(said[0], round(seconds * RATE)), path, fps=RATE)
                peak = animated(path, folder / "out.mp4")[2]
                results["memory"][f"{seconds:g} s"] = peak
        short = folder / "short.mp4"
        films.write_frames(filmed(said, SPOKEN), short, fps=RATE)
        if "same" in options.only:
            results["same"] = same(short)
        if "steady" in options.only:
            results["steady"] = steady(folder)
        if "pace" in options.only:
            results["pace"] = pace(film, options.most)
        if "swap" in options.only:
            results["swap"] = swap(folder)
        if "target" in options.only:
            results["target"] = target(options.film or short, folder)
    report("edited_films", results, options.output)


if __name__ == "__main__":
    main()
