"""48 frames to an mp4, beside 48 calls of the wheel's own generator in a plain loop.

Both start with the code; ours includes preparing the regions' programs, rendering, colour
conversion and the mp4. The loop calls the network and drops its output.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import EXPRESSIONS, SEED, arguments, interleaved, report, summary, wheels_own


def main(args: list[str]) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--frames", type=int, default=48)
    options = parser.parse_args(args)
    from duchenne import from_descriptor, write_frames
    from duchenne.animate import Studio
    from duchenne.editing.render import Scene

    studio = Studio(threads=options.threads)
    subject = studio.sample(SEED)
    scene: Scene = subject.scene
    subject.edit(EXPRESSIONS["mouth"])  # the network is converted once in a process
    network = wheels_own(options.threads)
    codes = np.repeat(subject.code.w[:1], options.frames, axis=0)[:, None]

    def loop() -> None:
        for w in codes:
            network(w)

    def film(name: str, folder: Path) -> Callable[[], None]:
        timeline = from_descriptor(EXPRESSIONS[name], frames=options.frames)

        def make() -> None:
            scene.forget()  # every film pays for its own window
            write_frames(subject.animate(timeline), folder / "film.mp4", fps=24)

        return make

    with tempfile.TemporaryDirectory() as folder:
        films = {name: film(name, Path(folder)) for name in EXPRESSIONS}
        times = interleaved({"wheel's own, in a loop": loop, **films}, options.rounds)
    base, *ours = times
    median = summary(times[base])["median"]
    results = {name: {"seconds": summary(seconds)} for name, seconds in times.items()}
    for name in ours:
        results[name]["part of the loop"] = round(summary(times[name])["median"] / median, 3)  # type: ignore[assignment]
    report(
        "films", {"frames": options.frames, "threads": options.threads, **results}, options.output
    )


if __name__ == "__main__":
    main(sys.argv[1:])
