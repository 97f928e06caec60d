"""Peak memory of a short and of a long batch or stimulus set, of the whole tree of processes.

    python benchmarks/batch_memory.py --short 60 --long 600 -o batch_memory.json
    python benchmarks/batch_memory.py --stimuli --short 64 --long 640

`duchenne batch` works on saved codes of synthetic people, one file each; `--stimuli` makes a set of
the same people instead, four intensities each. Reported are the peaks of the process that writes
and of its worker, as the system counts them (VmHWM).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import arguments, report

PROGRAM = (sys.executable, "-c", "from duchenne.cli import main; main()")
INTENSITIES = (0.25, 0.5, 0.75, 1.0)
BAR = 1.1  # long over short: what an allocator keeps varies by some percent from run to run
DESIGN = """
intensities = {intensities}
neutral = false
[people]
seeds = {seeds}
[conditions]
smile = "AU12=1"
[output]
size = 256
still = ".jpg"
"""


def peaks(command: list[str]) -> dict[str, int]:
    """Run a command; the greatest peak, in bytes, of its process and of any child of it."""
    peak = {"writer": 0, "worker": 0}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak["writer"] = max(peak["writer"], peak_of(process.pid))
            children = map(peak_of, children_of(process.pid))
            peak["worker"] = max(peak["worker"], *children, 0)
            time.sleep(0.2)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: ended with exit code {process.returncode}")
    return peak


def peak_of(pid: int) -> int:
    """Peak resident memory of a process in bytes; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def children_of(pid: int) -> list[int]:
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


def batch(folder: Path, count: int, name: str) -> list[str]:
    """A batch over so many saved codes."""
    from duchenne.animate import Studio
    from duchenne.files import codes

    people = folder / f"people_{name}"
    people.mkdir()
    studio = Studio(threads=1)
    for seed in range(count):
        codes.write_code(studio.sample(seed).code, people / f"person{seed:05d}{codes.SUFFIX}")
    asked = ("--au", "AU12=1", "--size", "256", "--format", ".jpg")
    return [*PROGRAM, "batch", str(people), *asked, "--workers", "1", "-o", str(folder / name)]


def stimuli(folder: Path, count: int, name: str) -> list[str]:
    """A set of so many files."""
    design = folder / f"{name}.toml"
    seeds = list(range(count // len(INTENSITIES)))
    design.write_text(DESIGN.format(intensities=list(INTENSITIES), seeds=seeds))
    return [*PROGRAM, "stimuli", str(design), "--workers", "1", "-o", str(folder / name)]


def main(args: list[str]) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--short", type=int, default=60, help="files of the short run")
    parser.add_argument("--long", type=int, default=600, help="files of the long run")
    parser.add_argument("--stimuli", action="store_true", help="a set instead of a batch")
    options = parser.parse_args(args)
    if not Path("/proc/self/status").exists():
        sys.exit("peaks are read from /proc: run this on Linux")
    memory: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, count in (("short", options.short), ("long", options.long)):
            make = stimuli if options.stimuli else batch
            memory[name] = {"files": count, **peaks(make(Path(temporary), count, name))}
    ratios = {who: memory["long"][who] / memory["short"][who] for who in ("writer", "worker")}
    memory["long over short"] = {who: round(ratio, 4) for who, ratio in ratios.items()}
    report("batch_memory", memory, options.output)
    if max(ratios.values()) > BAR:
        sys.exit(f"memory grows with the number of items: {memory['long over short']}")


if __name__ == "__main__":
    main(sys.argv[1:])
