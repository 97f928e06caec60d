"""Does a change of structure change a result? Runs commands on fixed seeds and compares the files.

    python benchmarks/same_results.py make before/ --source path/to/the/old/checkout/src
    python benchmarks/same_results.py make after/
    python benchmarks/same_results.py compare before/ after/

`make` runs each command with an empty cache of codes; model files are taken from the usual places.
`compare` says of every file: the same bytes, or how far apart (levels of a picture, numbers of a
code, cells of a table), and ends with 1 where a file is missing or differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

PHOTO = Path(__file__).parents[1] / "tests" / "data" / "generated_face_03.jpg"
UNSTABLE = {"seconds", "peak_memory_bytes"}  # these tell of the run, not of its results
INPUTS: Mapping[str, str] = {
    "keys.toml": "fps = 12\nAU12 = [[0, 0], [0.5, 1, 'smooth']]\nAU1 = [[0.1, 0.2], [0.4, 0]]\n",
    "keys.csv": "au,time,value,easing\nAU4,0,0,\nAU4,0.3,0.8,natural\n",
    "openface.csv": "frame, timestamp, confidence, success, AU06_r, AU12_r, AU45_r\n"
    + "".join(
        f"{i + 1}, {i / 10}, {0.1 if i == 4 else 0.98}, {int(i != 4)}, {i / 4}, {i / 3}, 0\n"
        for i in range(10)
    ),
    "set.toml": """title = "A small set"
intensities = [0.5, 1.0]
sides = ["both", "left"]
[people]
seeds = [7, 8]
[conditions]
smile = "AU12=1"
[output]
size = 256
[match]
framing = true
luminance = 60
""",
    "films.toml": """intensities = [1.0]
[people]
seeds = [7]
[conditions]
smile = "AU12R=0.8"
[output]
still = ""
film = ".webp"
frames = 3
ping_pong = true
size = 256
""",
}
COMMANDS: Mapping[str, Sequence[str]] = {
    "sample": ("sample", "--seed", "7", "-o", "out/sample.png"),
    "samples": ("sample", "--seed", "20", "--count", "3", "--size", "256", "-o", "out/people"),
    "edit": ("edit", "out/sample.safetensors", "--au", "AU12=0.8,AU6=0.5", "-o", "out/edit.png"),
    "one side": ("edit", "out/sample.safetensors", "--au", "AU12L=0.7", "-o", "out/side.png"),
    "vector": ("edit", "out/sample.safetensors", "--descriptor", "0,0,.5,0,0,.6,0,0,0,0,0,0",
               "-o", "out/vector.png"),
    "target": ("edit", "out/sample.safetensors", "--target", "AU12=0,AU25=0", "-o",
               "out/target.png"),
    "film": ("animate", "out/sample.safetensors", "--expression", "surprise", "--frames", "4",
             "--ping-pong", "--hold", "0.1", "-o", "out/film.webp"),
    "mp4": ("animate", "out/sample.safetensors", "--au", "AU9=1", "--frames", "3", "--size", "512",
            "-o", "out/film.mp4"),
    "folder": ("animate", "out/sample.safetensors", "--au", "AU5R=0.9,AU1=0.3", "--frames", "4",
               "--easing", "natural", "--size", "256", "-o", "out/frames/"),
    "keys": ("animate", "out/sample.safetensors", "--keyframes", "inputs/keys.toml", "--size",
             "256", "-o", "out/keys/"),
    "key table": ("animate", "out/sample.safetensors", "--keyframes", "inputs/keys.csv", "--fps",
                  "10", "--loop", "2", "--size", "256", "-o", "out/key_table/"),
    "recording": ("animate", "out/sample.safetensors", "--drive", "inputs/openface.csv", "--fps",
                  "8", "--smooth", "0.1", "--gain", "1.2", "--size", "256", "-o", "out/driven/"),
    "photo": ("encode", "inputs/photo.jpg", "--quality", "fast", "--steps", "16", "-o",
              "out/photo.safetensors", "--picture", "out/photo.png"),
    "pasted": ("edit", "inputs/photo.jpg", "--quality", "fast", "--steps", "16", "--au",
               "AU4=1,AU25=0.5", "-o", "out/pasted.png"),
    "score": ("score", "inputs/photo.jpg", "--json", "out/score.json"),
    "batch": ("batch", "out/people/*.safetensors", "--au", "AU12=0.6", "--size", "256",
              "--workers", "1", "-o", "out/batch/"),
    "set": ("stimuli", "inputs/set.toml", "--workers", "1", "-o", "out/set/"),
    "films": ("stimuli", "inputs/films.toml", "--workers", "1", "-o", "out/films/"),
}  # fmt: skip
PICTURES = {".png", ".jpg", ".webp", ".gif"}


def make(folder: Path, source: Path | None) -> int:
    """Run the commands; returns how many failed."""
    (folder / "inputs").mkdir(parents=True, exist_ok=True)
    (folder / "out").mkdir(exist_ok=True)
    for name, text in INPUTS.items():
        (folder / "inputs" / name).write_text(text, encoding="utf-8")
    (folder / "inputs" / "photo.jpg").write_bytes(PHOTO.read_bytes())
    environment = _environment(folder, source)
    failed = 0
    for name, command in COMMANDS.items():
        program = [sys.executable, "-c", "from duchenne.cli import main; main()", *command]
        done = subprocess.run(
            program, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        print(f"{name}: {'done' if done.returncode == 0 else done.stderr.strip()[-500:]}")
        failed += done.returncode != 0
    return failed


def _environment(folder: Path, source: Path | None) -> dict[str, str]:
    """A cache of its own for codes; the usual cache is still searched for model files."""
    from platformdirs import user_cache_dir

    usual = Path(os.environ.get("DUCHENNE_CACHE") or user_cache_dir("duchenne", appauthor=False))
    places = [os.environ.get("DUCHENNE_WEIGHTS", ""), str(usual / "weights")]
    changed = {
        "DUCHENNE_CACHE": str(folder.resolve() / "cache"),
        "DUCHENNE_WEIGHTS": os.pathsep.join(filter(None, places)),
    }
    if source is not None:
        changed["PYTHONPATH"] = str(source.resolve())
    return {**os.environ, **changed}


def compare(before: Path, after: Path) -> int:
    """Print what became of each file; returns how many differ."""
    names = [{str(p.relative_to(f)) for p in (f / "out").rglob("*") if _counts(p)}
             for f in (before, after)]  # fmt: skip
    same = differ = 0
    for name in sorted(names[0] | names[1]):
        if any(name not in seen for seen in names):
            verdict = "is missing " + ("before" if name not in names[0] else "after")
        elif (before / name).read_bytes() == (after / name).read_bytes():
            same += 1
            continue
        else:
            verdict = _difference(before / name, after / name)
            if not verdict:
                same += 1
                continue
        differ += 1
        print(f"{name}: {verdict}")
    print(f"{same} files are the same, {differ} differ")
    return differ


def _counts(path: Path) -> bool:
    """Records of the run itself (its times) are left out."""
    return path.is_file() and not any(part[0] == "." for part in path.parts[1:])


def _difference(before: Path, after: Path) -> str:
    """How two files of one name differ; "" if only in what tells of the run."""
    if before.suffix in PICTURES:
        return _levels(before, after)
    if before.suffix == ".safetensors":
        from safetensors.numpy import load_file

        a, b = load_file(before), load_file(after)
        if a.keys() != b.keys():
            return f"tensors {sorted(a)} became {sorted(b)}"
        far = max(float(np.abs(a[k].astype(float) - b[k]).max(initial=0)) for k in a)
        return f"numbers differ by at most {far:.3g}"
    if before.suffix == ".csv":
        return _cells(before, after)
    if before.suffix == ".json":
        a, b = (json.loads(path.read_text(encoding="utf-8")) for path in (before, after))
        other = {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)} - UNSTABLE
        return f"entries differ in {sorted(other)}" if other else ""
    return f"{before.stat().st_size} bytes became {after.stat().st_size}, or others"


def _levels(before: Path, after: Path) -> str:
    from PIL import Image, ImageSequence

    with Image.open(before) as a, Image.open(after) as b:
        frames = [[np.asarray(f.convert("RGB")).astype(int) for f in ImageSequence.Iterator(i)]
                  for i in (a, b)]  # fmt: skip
    if [f.shape for f in frames[0]] != [f.shape for f in frames[1]]:
        return "other frames or another size"
    far = max(int(np.abs(x - y).max()) for x, y in zip(*frames, strict=True))
    return f"pixels differ by at most {far} levels" if far else "same pixels, other metadata"


def _cells(before: Path, after: Path) -> str:
    tables = []
    for path in (before, after):
        with path.open(encoding="utf-8", newline="") as file:
            tables.append(list(csv.DictReader(file)))
    if len(tables[0]) != len(tables[1]):
        return f"{len(tables[0])} rows became {len(tables[1])}"
    columns = [list(t[0]) if t else [] for t in tables]
    if columns[0] != columns[1]:
        gone, new = set(columns[0]) - set(columns[1]), set(columns[1]) - set(columns[0])
        return f"columns gone {sorted(gone)}, new {sorted(new)}"
    other = {k for a, b in zip(*tables, strict=True) for k in a if a[k] != b[k]} - UNSTABLE
    return f"cells differ in {sorted(other)}" if other else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    making = actions.add_parser("make", help="run the commands into a folder")
    making.add_argument("folder", type=Path)
    making.add_argument("--source", type=Path, help="src/ of another checkout; this one's if not")
    comparing = actions.add_parser("compare", help="compare two such folders")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    options = parser.parse_args()
    if options.action == "make":
        return int(make(options.folder, options.source) > 0)
    return int(compare(options.before, options.after) > 0)


if __name__ == "__main__":
    sys.exit(main())
