"""What a new user sees: a fresh environment, one wheel, the README's lines; with times.

    python benchmarks/first_minutes.py -o out/first_minutes.txt

Builds the wheel, makes an empty folder with an empty home (no checkout, no cache, no model files)
and runs the commands below one after the other, as they would be typed. What they print is the
transcript of docs/first-minutes.md; each is followed by its seconds and the time since the start.
Folders of this machine are shown as ~.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
FIRST = (3, 31, 227, 255)  # of docs/images/photo.jpg: the photo as it was taken
COMMANDS = (
    "python -m venv faces",
    "faces/bin/pip install -q {wheel}",
    "duchenne weights fetch",
    "duchenne doctor",
    "duchenne check photo.jpg",
    "duchenne animate photo.jpg --expression happiness -o happy.mp4",
    "duchenne edit photo.jpg --expresion surprise -o surprised.png",
    "duchenne edit photo.jpg --expression surprise -o surprised.png",
    "python lines.py",
    "duchenne sample --seed 7 -o anna.png",
)


def environment(home: Path) -> dict[str, str]:
    """Nothing of this checkout, and no model files; where packages come from stays."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "SSL_", "LANG")) or name.lower().endswith("_proxy")
    }
    kept.pop("PIP_FIND_LINKS", None)  # folders of this machine
    paths = [str(home / "faces" / "bin"), str(Path(sys.base_prefix) / "bin"), os.environ["PATH"]]
    return {**kept, "HOME": str(home), "PATH": os.pathsep.join(paths)}


def transcript(home: Path, wheel: str) -> str:
    """The commands and what they said, one after the other."""
    lines, begun = [], time.monotonic()
    for text in COMMANDS:
        command = text.format(wheel=wheel)
        start = time.monotonic()
        done = subprocess.run(
            command, shell=True, cwd=home, env=environment(home), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        now = time.monotonic()
        said = done.stdout.replace(str(home), "~").strip()
        said = re.sub(r" on Linux-\S+", " on Linux", said)
        lines += [f"$ {command}", *said.splitlines()]
        spent = f"{now - start:.0f} s; {(now - begun) // 60:.0f}:{(now - begun) % 60:02.0f}"
        lines += [
            f"[{spent} since the start{f', exit {code}' if (code := done.returncode) else ''}]",
            "",
        ]
    return "\n".join(lines)


def three_lines() -> str:
    """The README's first Python."""
    found = re.search(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.DOTALL)
    assert found is not None
    return found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="also write the transcript here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "anna"
        home.mkdir()
        build = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "-w",
            str(home),
            str(ROOT),
        ]
        subprocess.run(build, check=True, stderr=subprocess.DEVNULL)
        (wheel,) = home.glob("*.whl")
        with Image.open(ROOT / "docs" / "images" / "photo.jpg") as image:
            image.crop(FIRST).save(home / "photo.jpg", quality=95)
        (home / "lines.py").write_text(three_lines())
        text = transcript(home, wheel.name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text += (
        f"\n[Python {platform.python_version()}, {cores} cores, load {os.getloadavg()[0]:.1f}]\n"
    )
    print(text)
    if asked.output:
        asked.output.write_text(text)


if __name__ == "__main__":
    main()
