"""8 synthetic people x 6 expressions x 5 intensities at 512 px: how long, and is all of it there?

    python benchmarks/stimuli_240.py -o stimuli_240.json
    python benchmarks/stimuli_240.py --ray      # the same by Ray, compared byte for byte

Runs `duchenne stimuli` as a user would, from the screening of seeds to the contact sheets. Exits
with an error if a file is missing, or stands in the manifest without what was measured. The bar of
the project is 240 stills in 240 s on two cores, with identity distance and Action Units.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DESIGN = Path(__file__).parents[1] / "docs" / "examples" / "stimuli.toml"
PROGRAM = [sys.executable, "-c", "from duchenne.cli import main; main()"]
BAR = 240.0


def make(folder: Path, *options: str) -> dict[str, Any]:
    """One set of the design without faces at rest; what the command reports, and its seconds."""
    design = folder.parent / "design.toml"
    design.write_text(DESIGN.read_text().replace("neutral = true", "neutral = false"))
    record = folder.parent / f"{folder.name}.json"
    start = time.perf_counter()
    command = [*PROGRAM, "stimuli", str(design), "-o", str(folder), "--json", str(record), *options]
    subprocess.run(command, check=True)
    return {**json.loads(record.read_text()), "wall_seconds": round(time.perf_counter() - start, 1)}


def check(folder: Path) -> dict[str, Any]:
    """Every row has a file with its hash, and its measures."""
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        content = (folder / row["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"], row["file"]
        assert (row["width"], row["height"]) == ("512", "512"), row["file"]
    assert len({row["file"] for row in rows}) == len(rows) == 240
    return {
        "files": len(rows),
        "with_action_units": sum(bool(row["measured_AU12"]) for row in rows),
        "with_identity": sum(bool(row["identity_distance"]) for row in rows),
        "outliers": sum(bool(row["outlier"]) for row in rows),
    }


def same(one: Path, other: Path) -> bool:
    """Whether two sets are equal, hidden files included."""
    left, right = (
        {p.relative_to(f): p.read_bytes() for f in [folder] for p in f.rglob("*") if p.is_file()}
        for folder in (one, other)
    )
    return left == right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="also write the JSON to this file")
    parser.add_argument("--workers", type=int, help="as many as fit by default")
    parser.add_argument("--ray", action="store_true", help="once more by Ray, and compare")
    options = parser.parse_args()
    workers = [] if options.workers is None else ["--workers", str(options.workers)]
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary) / "local"
        local = make(here, *workers)
        result = {
            "bar_seconds": BAR,
            "seconds": local["wall_seconds"],
            "within_bar": local["wall_seconds"] <= BAR,
            **check(here),
            "throughput": local["throughput"],
            "generator": local["generator"],
            "machine": platform.processor() or platform.machine(),
        }
        if options.ray:
            there = Path(temporary) / "ray"
            count = str(local["throughput"]["workers"])
            ray = make(there, "--ray", "auto", "--workers", count)
            check(there)
            result |= {
                "ray_seconds": ray["wall_seconds"],
                "ray_over_local": round(ray["wall_seconds"] / local["wall_seconds"], 3),
                "same_bytes": same(here, there),
            }
    text = json.dumps(result, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")
    if result["with_action_units"] < 240 or result["with_identity"] < 240:
        sys.exit("not everything was measured: face_landmarker.task and duchenne[evaluate] needed")


if __name__ == "__main__":
    main()
