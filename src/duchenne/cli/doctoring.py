"""`doctor`: what this machine has and lacks, and whether a face really moves here."""

from __future__ import annotations

import importlib.util
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from .. import cores
from ..errors import DuchenneError, OutputError, WeightsError
from ..weights import store
from .run import Run, recorded

PACKAGES = ("openvino", "av", "pillow", "numpy", "opencv-python-headless", "torch")
# Extra -> the module that it brings, which nothing else needs.
EXTRAS = {
    "credentials": "c2pa",
    "demo": "skimage",
    "evaluate": "dlib",
    "fit": "sklearn",
    "heic": "pillow_heif",
    "ray": "ray",
    "studio": "starlette",
    "torch": "torch",
}


FEW = 4  # files that are named one by one


@click.command()
@click.option("--no-self-test", "quick", is_flag=True, help="Only look; draw nothing.")
@recorded
def doctor(run: Run, quick: bool) -> None:
    """Say what this machine has and lacks, and draw a face as a test.

    Versions, cores and their quota, memory, GPU, model files, cache; then a face is drawn, found,
    made to smile and written as a film, in about ten seconds. Nothing is downloaded.
    Put its output into a report of a problem. Fails if a plain animation would.

    \b
    Examples:
      duchenne doctor
      duchenne doctor --json -
    """
    run.facts["doctor"] = facts = dict(_found())
    for name, fact in facts.items():
        run.say(f"{name:<9} {_shown(fact)}")
    needed = [entry.name for entry in store.entries() if not entry.optional]
    lacking = [name for name in needed if name in facts["weights"]["missing"]]
    if lacking:
        run.finish()
        what = ", ".join(lacking) if len(lacking) <= FEW else f"{len(lacking)} model files"
        raise WeightsError(
            f"{what} missing: `duchenne weights fetch` gets them, and so does the first command "
            "that needs them; then ask again for the self-test"
        )
    if facts["cache"]["unwritable"]:
        run.finish()
        raise OutputError(
            f"{facts['cache']['folder']}: cannot be written ({facts['cache']['unwritable']}); free "
            "it, or name another folder with DUCHENNE_CACHE"
        )
    if not quick:
        start = time.perf_counter()
        with run.stages("self-test"):
            steps = facts["self_test"] = _self_test()
        run.say(f"self-test {', '.join(steps)}: all well, {time.perf_counter() - start:.1f} s")


def _found() -> Iterator[tuple[str, Any]]:
    """What there is, by subject, JSON-ready."""
    from importlib import metadata

    from .. import __version__
    from ..engine import capacity

    yield "duchenne", __version__
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    versions = {name: metadata.version(name) for name in PACKAGES if _has_version(name)}
    yield "packages", versions
    yield "extras", {name: bool(importlib.util.find_spec(m)) for name, m in EXTRAS.items()}
    yield "cores", {"usable": cores.usable(), "affinity": cores.affinity(), "quota": cores.quota()}
    yield "memory", {"free_bytes": capacity.free_memory(), "workers": capacity.crew().workers}
    yield "gpu", _gpu()
    missing = {e.name: e.used_by for e in store.entries() if store.find(e.name) is None}
    yield "weights", {"files": len(store.entries()), "missing": missing}
    yield "cache", _cache()


def _gpu() -> str:
    """What PyTorch would use beside the processor."""
    if importlib.util.find_spec("torch") is None:
        return "none is looked for without PyTorch"
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def _has_version(name: str) -> bool:
    from importlib import metadata

    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


def _cache() -> dict[str, Any]:
    """Where the cache is, how large, and why it cannot be written, if so."""
    folder = store.cache_root()
    sizes, trial = 0, folder
    while not trial.exists() and trial != trial.parent:
        trial = trial.parent  # it is made when it is first needed
    try:
        sizes = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        with tempfile.TemporaryFile(dir=trial):
            reason = ""
    except OSError as error:
        reason = error.strerror or str(error)
    return {"folder": str(folder), "bytes": sizes, "unwritable": reason}


def _shown(value: Any) -> str:
    """One line of a fact."""
    match value:
        case {"usable": usable, "affinity": affinity, "quota": quota}:
            share = "no quota" if quota is None else f"a quota of {quota:g}"
            return f"{usable} used of {affinity} that may be, {share}"
        case {"free_bytes": free, "workers": workers}:
            return f"{free / 1e9:.1f} GB free: {workers} workers of a batch at once"
        case {"files": files, "missing": missing}:
            count = f"{files - len(missing)} of {files} files are here"
            if len(missing) <= FEW:
                return "; ".join([count, *(f"{n} is missing, for {u}" for n, u in missing.items())])
            uses = Counter(missing.values())
            counted = ", ".join(f"{use} ({number})" for use, number in uses.items())
            return f"{count}; missing are those for {counted}"
        case {"folder": folder, "bytes": size}:
            return f"{folder}, {size / 1e6:.0f} MB"
        case dict() if all(isinstance(v, bool) for v in value.values()):
            here = [name for name, there in value.items() if there]
            absent = ", ".join(name for name, there in value.items() if not there)
            return (", ".join(here) or "none") + (f"; not installed: {absent}" if absent else "")
        case dict():
            return ", ".join(f"{name} {version}" for name, version in value.items())
    return str(value)


def _self_test() -> list[str]:
    """Draw, find, move and write a generated face. DuchenneError where a step does not work."""
    import numpy as np

    from .. import animate, facs
    from ..editing import face
    from ..files import films, pictures
    from ..generators import built_in
    from ..motion import timeline

    studio = animate.Studio()
    subject = animate.Subject(studio, built_in.average_face(studio.spec))
    smile = facs.expression("happiness")
    rest = subject.edit({})
    steps = ["a face is drawn"]
    if face.find_mesh(rest) is None:
        raise DuchenneError("self-test: the average face is no face; report it with this output")
    steps.append("found")
    if np.array_equal(rest, subject.edit(smile)):
        raise DuchenneError("self-test: a smile changed nothing; report it with this output")
    steps.append("smiles")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "smile.mp4"
        line = timeline.from_descriptor(smile, frames=3)
        films.write_frames(subject.animate(line), path, fps=line.fps)
        count = sum(1 for _ in films.read_video(path))
        if count != 3 or not pictures.read_synthetic_mark(path):
            raise DuchenneError(f"self-test: a film of 3 marked frames came back as {count}")
    steps.append("and is a film")
    return steps
