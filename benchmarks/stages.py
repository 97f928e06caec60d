"""Stage by stage: what one film is made of, from the weights on the disk to the finished mp4.

Encoding a photo is left out: it takes as long as its number of steps (`duchenne demo` shows it).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import EXPRESSIONS, SEED, arguments, interleaved, report, summary


def main(args: list[str]) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--frames", type=int, default=24)
    options = parser.parse_args(args)
    once: dict[str, float] = {}

    def timed(name: str, run: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = run()
        once[name] = round(time.perf_counter() - start, 3)
        return result

    def load() -> Any:
        from duchenne.animate import Studio

        studio = Studio(threads=options.threads)
        _ = studio.spec, studio.boundaries
        return studio

    studio = timed("import, load the generator and the boundaries", load)
    subject = timed("sample a code", lambda: studio.sample(SEED))
    scene = timed("render the face, find its regions", lambda: subject.scene)
    happy = EXPRESSIONS["happiness"]
    timed("first edit: convert the network, compile its window", lambda: subject.edit(happy))
    scene.forget()
    timed("first edit of another set of regions: compile its window", lambda: subject.edit(happy))

    from duchenne import write_frames
    from duchenne.editing import edit
    from duchenne.editing.boundaries import slot_intensities

    boundaries = studio.boundaries
    table = slot_intensities(happy)
    offsets = edit.local_transfer(boundaries.distances(table), boundaries.normals)
    frame = subject.edit(happy)
    with tempfile.TemporaryDirectory() as folder:

        def film(suffix: str) -> Callable[[], Any]:
            path = Path(folder) / f"film{suffix}"
            return lambda: write_frames([frame] * options.frames, path, fps=24)

        repeated = {
            "Eq. 3 for one frame": lambda: edit.local_transfer(
                boundaries.distances(table), boundaries.normals
            ),
            "one frame, happiness": lambda: scene.frame(offsets),
            "one frame, whole canvas": lambda: studio.renderer.plain(subject.code.w),
            **{f"{options.frames} frames to {s}": film(s) for s in (".mp4", ".webm", ".gif")},
        }
        times = interleaved(repeated, options.rounds)
    results = {
        "threads": options.threads,
        "once": once,
        "repeated": {name: summary(seconds) for name, seconds in times.items()},
    }
    report("stages", results, options.output)


if __name__ == "__main__":
    main(sys.argv[1:])
