"""Encoding: seconds of a step, compiled and by autograd; of each preset; loss against 512 steps.

Give photos as arguments; without any it takes generated faces, degraded like photos.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import SEED, arguments, interleaved, report, summary

LONG = 512
GENERATED = 3


def faces(photos: list[Path]) -> dict[str, Any]:
    """Name -> aligned face, uint8 [S, S, 3]."""
    import torch

    from duchenne.animate import Studio
    from duchenne.faces.align import align
    from duchenne.files import pictures
    from duchenne.fit.degrade import degrade

    studio = Studio()
    crops = {}
    for photo in photos:
        crops[photo.name] = align(pictures.load_photo(photo), size=studio.generator.size).pixels
    for seed in range(SEED, SEED + GENERATED if not photos else SEED):
        planes = torch.from_numpy(pictures.to_planes(studio.sample(seed).scene.base))[None]
        worse = degrade(planes, np.random.default_rng(seed))
        crops[f"generated {seed}"] = pictures.from_planes(worse[0].numpy())
    return crops


def steps(inversion: Any, face: Any, rounds: int) -> dict[str, Any]:
    """Seconds of a step and of a look at the true picture."""
    from functools import partial

    import torch

    from duchenne.encoding.descent import Descent
    from duchenne.encoding.problem import VARIABLES
    from duchenne.files import pictures
    from duchenne.programs import derivative

    made, problem = inversion.steps, inversion.steps.problem
    target = torch.from_numpy(pictures.to_planes(face))[None]
    descent = Descent(made, target, inversion.start(target)[0])
    code = descent.code().detach()[None]
    descent._check(0)
    runs = {
        "true picture, compiled": lambda: made.true_picture(code),
        "true picture, PyTorch": lambda: problem.draw(code, problem.true_side),
    }
    for side in {problem.side(0), problem.true_side}:
        inputs = descent.inputs(side, descent._correction(side))
        reference = derivative.by_autograd(partial(problem.objective, side), VARIABLES)
        name = "true" if side == problem.true_side else f"{side} px"
        runs[f"step on {name}, compiled"] = lambda s=side, i=inputs: made.step(s, i)
        runs[f"step on {name}, autograd"] = lambda r=reference, i=inputs: r(*i)
    with torch.no_grad():
        return {name: summary(times) for name, times in interleaved(runs, rounds).items()}


def judged(inversion: Any, face: Any, recogniser: Any) -> dict[str, float]:
    """One encoding: seconds, steps, loss of the true picture, identity distance."""
    import torch

    from duchenne.encoding import tuning
    from duchenne.files import pictures

    started = time.perf_counter()
    code = inversion.encode(face)
    seconds = time.perf_counter() - started
    network = inversion.generator
    if code.tuning is not None:
        network = tuning.tuned(network, code.tuning)
    with torch.no_grad():
        drawn = network.synthesize(torch.from_numpy(code.w)[None])
    distance = recogniser.distance(pictures.from_planes(drawn[0].numpy()), face)
    return {
        "seconds": round(seconds, 2),
        "steps": code.provenance["steps"],
        "loss": round(code.provenance["loss"], 4),
        "identity distance": round(distance, 3),
    }


def main(args: list[str]) -> None:
    parser = arguments(__doc__)
    parser.add_argument("photos", nargs="*", type=Path, help="photos of one face each")
    options = parser.parse_args(args)
    import torch

    from duchenne.animate import Studio
    from duchenne.encoding.inversion import Inversion
    from duchenne.encoding.settings import PRESETS, EncodeSettings
    from duchenne.measuring.dlib_identity import Recogniser

    torch.set_num_threads(options.threads)
    people, recogniser, generator = faces(options.photos), Recogniser(), Studio().generator
    judged_faces: dict[str, dict[str, Any]] = {name: {} for name in people}
    warm, step_times = {}, {}
    long = EncodeSettings(steps=LONG, tolerance=-1e9)  # never slows down, never stops early
    for name, settings in {**PRESETS, f"{LONG} steps": long}.items():
        inversion = Inversion(generator, settings)
        started = time.perf_counter()
        inversion.warm_up()
        warm[name] = round(time.perf_counter() - started, 1)
        if name in ("fast", "balanced"):
            step_times |= steps(inversion, next(iter(people.values())), options.rounds)
        for who, face in people.items():
            judged_faces[who][name] = judged(inversion, face, recogniser)
    for one in judged_faces.values():
        one["balanced, loss above that of 512 steps"] = round(
            one["balanced"]["loss"] / one[f"{LONG} steps"]["loss"] - 1, 4
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    results = {
        "threads": options.threads,
        "seconds of a warm start": warm,
        "seconds": step_times,
        "faces": judged_faces,
        "peak memory, GB": round(peak, 2),
    }
    report("encoding", results, options.output)


if __name__ == "__main__":
    main(sys.argv[1:])
