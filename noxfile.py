"""The package as others get it: one wheel, alone in an empty environment, for every Python here.

    nox                 the wheel on each Python from 3.11 to 3.14 that this machine has
    nox -s wheel-3.12   on one

What it checks is what a new user does: install the wheel and nothing else, let it fetch its model
files, run the three lines of the README and `duchenne doctor`.
"""

from __future__ import annotations

import re
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PHOTO = ROOT / "docs" / "images" / "photo.jpg"  # whose first picture is the photo as it was taken
FIRST = (3, 31, 227, 255)

nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["wheel"]


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it alone, and use it from an empty folder with an empty cache."""
    work = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(work), str(ROOT))
    (built,) = work.glob("duchenne-*.whl")
    session.install(str(built))
    (work / "lines.py").write_text(three_lines())
    session.chdir(work)
    environment = {"DUCHENNE_CACHE": str(work / "cache"), "DUCHENNE_WEIGHTS": "", "PYTHONPATH": ""}
    session.run("python", "-c", CROP.format(photo=str(PHOTO), box=FIRST), env=environment)
    session.run("python", "lines.py", env=environment)
    assert (work / "happiness.mp4").stat().st_size > 10_000
    session.run("duchenne", "doctor", env=environment)
    session.run("pip", "check", env=environment)


CROP = "from PIL import Image; Image.open({photo!r}).crop({box}).save('photo.jpg', quality=95)"


def three_lines() -> str:
    """The README's first Python."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]
