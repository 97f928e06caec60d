"""One edit at 1024, 512 and 256 px: how long it takes, and how near the small ones come."""

from __future__ import annotations

import sys

import numpy as np
from measuring import EXPRESSIONS, SEED, arguments, interleaved, report, summary, wheels_own


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """dB between uint8 pictures; 99 stands for equal ones."""
    error = np.square(one.astype(float) - other).mean()
    return round(float(10 * np.log10(255**2 / error)), 1) if error else 99.0


def main(args: list[str]) -> None:
    options = arguments(__doc__).parse_args(args)
    from duchenne.animate import Studio
    from duchenne.editing.render import shrunk

    studio = Studio(threads=options.threads)
    subject = studio.sample(SEED)
    sizes = studio.renderer.sizes
    network, w = wheels_own(options.threads), subject.code.w[:1]
    results = {}
    for name, descriptor in EXPRESSIONS.items():
        draw = {
            f"{size} px": (lambda s=size, d=descriptor: subject.edit(d, size=s)) for size in sizes
        }
        whole = {
            "whole canvas": lambda: studio.renderer.plain(subject.code.w),
            "wheel's own": lambda: network(w),
        }
        times = {n: summary(t) for n, t in interleaved({**draw, **whole}, options.rounds).items()}
        full = subject.edit(descriptor)
        quality = {}
        for size in sizes[1:]:
            true, base = shrunk(full, size), shrunk(subject.scene.base, size)
            preview = subject.edit(descriptor, size=size)
            moved = np.abs(true.astype(int) - base).max(axis=2) > 3
            quality[f"{size} px"] = {
                "psnr": psnr(true, preview),
                "psnr where the edit shows": psnr(true[moved], preview[moved]),
                "psnr of no edit there": psnr(true[moved], base[moved]),
            }
        small = times[f"{sizes[-1]} px"]["median"]
        results[name] = {
            "seconds": times,
            "quality": quality,
            "smallest, part of the same edit at full size": round(
                small / times[f"{sizes[0]} px"]["median"], 3
            ),
            "smallest, part of the whole canvas": round(small / times["whole canvas"]["median"], 3),
            "smallest, part of the wheel's own": round(small / times["wheel's own"]["median"], 3),
        }
    report("previews", {"threads": options.threads, **results}, options.output)


if __name__ == "__main__":
    main(sys.argv[1:])
