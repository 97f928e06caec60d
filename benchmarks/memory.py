"""Peak memory of a short and of a long film, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import EXPRESSIONS, SEED, arguments, report

ONE_FILM = "--one-film"


def one_film(frames: int, size: int | None, threads: int) -> None:
    """Write a film of so many frames; print the peak of this process in bytes."""
    from duchenne import from_descriptor, write_frames
    from duchenne.animate import Studio
    from duchenne.engine.stages import peak_memory

    subject = Studio(threads=threads).sample(SEED)
    there = from_descriptor(EXPRESSIONS["mouth"], frames=13).ping_pong()  # 24 frames
    timeline = there.loop(frames // len(there))
    with tempfile.TemporaryDirectory() as folder:
        clip = subject.animate(timeline, size=size)
        write_frames(clip, Path(folder) / "film.mp4", fps=24)
    print(peak_memory())


def main(args: list[str]) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--long", type=int, default=2400, help="frames of the long film")
    parser.add_argument(
        "--size", type=int, help="side of the frames; the generator's own if left out"
    )
    parser.add_argument(ONE_FILM, type=int, help="(used by this script itself)")
    options = parser.parse_args(args)
    if options.one_film:
        one_film(options.one_film, options.size, options.threads)
        return
    peaks = {}
    for frames in (24, options.long):
        command = [
            sys.executable,
            __file__,
            ONE_FILM,
            str(frames),
            "--threads",
            str(options.threads),
        ]
        if options.size:
            command += ["--size", str(options.size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        peaks[frames] = int(done.stdout.split()[-1])
    short, long = peaks.values()
    results = {
        "size": options.size or "full",
        "peak_bytes": {f"{frames} frames": peak for frames, peak in peaks.items()},
        "long over short": round(long / short, 4),
    }
    report("memory", results, options.output)


if __name__ == "__main__":
    main(sys.argv[1:])
