"""Which motion was asked for: the options that say it, and what they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import facs
from . import scoring_films
from .values import Decimal, Whole

if TYPE_CHECKING:
    from ..motion.drive import Recording
    from ..motion.timeline import Timeline
    from .run import Run

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

EXPRESSION_OPTIONS: tuple[Decorator, ...] = (
    click.option(
        "--au",
        metavar="LIST",
        help="Action Units and intensities in [0, 1], AU12=1,AU6=0.8; AU12L is the subject's left "
        "side only.",
    ),
    click.option(
        "--descriptor",
        metavar="VECTOR",
        help="The paper's vector: twelve intensities, for " + ", ".join(facs.PAPER) + ".",
    ),
    click.option(
        "--expression", metavar="NAME", help="One of " + ", ".join(facs.EXPRESSIONS) + "."
    ),
)
PATH_OPTIONS: tuple[Decorator, ...] = (
    click.option(
        "--to",
        metavar="FACE",
        help="An expression or a list of Action Units, with --from: a continuum between two.",
    ),
    click.option(
        "--from",
        "start",
        metavar="FACE",
        help="Where --to, --expression or --au starts, instead of the face as it is.",
    ),
    click.option(
        "--sweep",
        metavar="LIST",
        help="AU12=0:1:0.1, first:last:step: one frame for each intensity.",
    ),
)
FILE_OPTIONS: tuple[Decorator, ...] = (
    click.option("--keyframes", metavar="FILE", help="Keys of each Action Unit, .toml or .csv."),
    click.option(
        "--drive",
        metavar="FILE",
        help="A recording: a film, which is measured, or the CSV of OpenFace, py-feat, LibreFace "
        "or Live Link Face (ARKit), or the table beside a film; docs/recordings.md has all.",
    ),
    click.option(
        "--gain", type=Decimal(), metavar="X", help="Make the motion of --drive X times as strong."
    ),
    click.option(
        "--smooth",
        type=Decimal(),
        metavar="S",
        help="Smooth the motion of --drive over S seconds (the sigma of a Gaussian).",
    ),
    click.option(
        "--baseline",
        type=Decimal(),
        metavar="P",
        help="Percentile of each Action Unit in --drive that is this person's neutral face and "
        "taken off; 5 by default.",
    ),
    click.option(
        "--source-fps",
        metavar="RATE",
        help="Frames a second of what --drive was recorded from, where its times do not say it: "
        "py-feat, folders of pictures. 30 by default.",
    ),
    click.option(
        "--follow",
        metavar="NAME",
        help="The face of --drive that is followed, by its face_id or Identity; the one seen most "
        "by default.",
    ),
    click.option(
        "--confidence",
        type=Decimal(),
        metavar="X",
        help="Frames of --drive whose face was found with less, 0 to 1, are bridged; 0.7 by "
        "default.",
    ),
)
TIME_OPTIONS: tuple[Decorator, ...] = (
    click.option(
        "--frames",
        type=Whole(),
        metavar="N",
        help="Frames from neutral to full, 24 by default; not with --keyframes or --drive.",
    ),
    click.option(
        "--fps",
        metavar="RATE",
        help="Frames a second: 25, 23.976, 30000/1001; 24 by default, or what the keyframes or the "
        "recording say.",
    ),
    click.option(
        "--easing",
        metavar="NAME",
        help="Course of the intensity: linear (the paper's and the default), smooth, ease-in, "
        "ease-out, natural, hold; not with --keyframes or --drive.",
    ),
    click.option(
        "--hold", type=Decimal(), metavar="S", help="Keep the last frame S seconds longer."
    ),
    click.option("--ping-pong", is_flag=True, help="There and back again."),
    click.option("--loop", type=Whole(), metavar="N", help="All of it N times in a row."),
    click.option(
        "--blink", is_flag=True, help="Natural blinks besides, about 17 a minute; for long films."
    ),
    click.option("--blink-seed", type=Whole(), metavar="N", help="Which blinks; 0 by default."),
)


def options(*groups: tuple[Decorator, ...]) -> Decorator:
    """All options of the groups, in their order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate


class FormatOption(click.Option):
    """Its help names the film formats, which are imported only when it is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from ..files import film_formats

        suffixes = {"films": film_formats.FORMATS, "in_sets": film_formats.set_suffixes()}
        template = str(self.help)
        self.help = template.format(**{k: ", ".join(v) for k, v in suffixes.items()})
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = template


def require_one(sources: Mapping[str, str | None]) -> None:
    """Usage error unless exactly one source of motion is given. sources: option -> value."""
    given = [option for option, value in sources.items() if value is not None]
    if len(given) != 1:
        *most, last = sources
        came = f"; given: {', '.join(given)}" if given else ""
        raise click.UsageError(f"give one of {', '.join(most)} or {last}{came}")


def descriptor_of(
    au: str | None, descriptor: str | None, expression: str | None, to: str | None = None
) -> Any:
    """The descriptor of whichever is given, checked; None if none is."""
    if to is not None:
        return facs.named(to)
    if au is not None:
        return facs.parse(au)
    if descriptor is not None:
        return facs.parse_vector(descriptor)
    return None if expression is None else facs.expression(expression)


def read(
    descriptor: facs.Descriptor | None,
    keyframes: str | None,
    drive: Recording | None,
    *,
    frames: int | None,
    fps: str | None,
    easing: str | None,
    hold: float | None,
    ping_pong: bool,
    loop: int | None,
    blink: bool = False,
    blink_seed: int | None = None,
    start: str | None = None,
    sweep: str | None = None,
    **driving: Any,
) -> Timeline:
    """The motion that the options describe. Defaults are the library's.

    descriptor: may hold negative intensities, which lessen what the face shows. drive: what
    `recording` read. start: where it starts, `facs.named`. sweep: `facs.sweep`, in place of a
    descriptor. driving: the options of a recording.
    """
    given = [option for name, option in DRIVING.items() if driving.get(name) is not None]
    if drive is None and given:
        raise click.UsageError(f"{', '.join(given)}: only with --drive")
    if start is not None and descriptor is None:
        raise click.UsageError("--from is for --to, --au, --descriptor and --expression")
    before = None if start is None else facs.named(start)
    if sweep is not None:
        if frames is not None:
            raise click.UsageError("--sweep says how many frames there are; leave --frames out")
        before, descriptor, frames = facs.sweep(sweep)
    if descriptor is None and (frames is not None or easing is not None):
        raise click.UsageError(
            "--frames and --easing are for --au, --descriptor, --expression and --to"
        )
    if descriptor is not None:
        from ..motion.timeline import from_descriptor

        ramp: dict[str, Any] = {"frames": frames, "fps": fps, "easing": easing, "start": before}
        timeline = from_descriptor(
            descriptor, **{name: value for name, value in ramp.items() if value is not None}
        )
    else:
        timeline = _from_file(keyframes, drive, fps)
    if hold is not None:
        timeline = timeline.hold(hold)
    if ping_pong:
        timeline = timeline.ping_pong()
    if loop is not None:
        timeline = timeline.loop(loop)
    if blink_seed is not None and not blink:
        raise click.UsageError("--blink-seed is for --blink")
    if not blink:
        return timeline
    from ..motion.blinks import blinking

    return blinking(timeline, blink_seed or 0)


def read_for_film(
    descriptor: facs.Descriptor | None,
    keyframes: str | None,
    drive: Recording | None,
    rate: str,
    *,
    frames: int | None,
    fps: str | None,
    easing: str | None,
    **times: Any,
) -> Timeline:
    """The same for a film of `rate` frames a second: without --frames or --easing an expression is
    there from the first frame on."""
    from ..motion.timeline import MAX_FPS

    if descriptor is not None and frames is None and easing is None:
        frames = 1
    if drive is None:
        fps = fps or (rate if Fraction(rate) <= MAX_FPS else None)
    return read(descriptor, keyframes, drive, frames=frames, fps=fps, easing=easing, **times)


def _from_file(keyframes: str | None, drive: Recording | None, fps: str | None) -> Timeline:
    if keyframes is not None:
        from ..motion.keyframes import from_keyframes

        return from_keyframes(keyframes, fps)
    assert drive is not None
    return drive.timeline


DRIVING = {
    "gain": "--gain", "smooth": "--smooth", "baseline": "--baseline",
    "source_fps": "--source-fps", "follow": "--follow", "confidence": "--confidence",
}  # fmt: skip
_SETTINGS = {"follow": "face", "confidence": "min_confidence"}  # options under another name


def recording(
    run: Run, drive: str | None, times: Mapping[str, Any], boundaries_file: str | None
) -> Recording | None:
    """The recording of --drive, as its options say; None without one.

    Without what the boundaries cannot draw. What there is to know is told and recorded.
    """
    if drive is None:
        return None
    from ..motion.drive import Drive, open_recording

    given = {name: times[name] for name in ("fps", *DRIVING) if times.get(name) is not None}
    settings: dict[str, Any] = {_SETTINGS.get(name, name): v for name, v in given.items()}
    table = scoring_films.table_of(run, drive, _rest_of(times.get("baseline")))
    known = open_recording(table, Drive(**settings)).drawn_with(_units(boundaries_file))
    known.tell(drive)
    run.facts["drive"] = {
        "tool": known.tool, "faces": list(known.faces), "fps": str(known.timeline.fps),
        "notes": list(known.notes), "undrawn": dict(known.undrawn),
    }  # fmt: skip
    return known


def _rest_of(baseline: float | None) -> float:
    """The percentile that counts as rest in a driving film: --baseline, or the default of `score`.

    --baseline finds it at 0 then, and takes nothing more off.
    """
    from ..measuring.film_table import REST

    return REST if baseline is None else min(max(baseline, 0.0), 100.0)


def _units(boundaries_file: str | None) -> Sequence[str]:
    """The Action Units that can be drawn."""
    from ..editing.boundaries import built_in, load_boundaries

    known = built_in() if boundaries_file is None else load_boundaries(Path(boundaries_file))
    return [code for code in facs.CODES if code not in known.missing]
