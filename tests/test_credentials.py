"""Content Credentials by certificates that are made here and trusted by nobody."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("c2pa", reason="duchenne[credentials] is not installed")

from command_line import done, run
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from duchenne.errors import InputError, OutputError
from duchenne.files import credentials, films, pictures
from duchenne.files.pictures import SourceType, read_synthetic_mark

PEM = serialization.Encoding.PEM
PLAIN = serialization.NoEncryption()
BITS = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip


def certificate(subject: str, public: object, root: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Of a signer, or with the root's own key of the root."""
    own = public == root.public_key()

    def named(name: str) -> x509.Name:
        pair = ((NameOID.ORGANIZATION_NAME, "Tests"), (NameOID.COMMON_NAME, name))
        return x509.Name([x509.NameAttribute(kind, text) for kind, text in pair])

    now = datetime.datetime.now(datetime.UTC)
    allowed = "key_cert_sign" if own else "digital_signature"
    usage = x509.KeyUsage(**{bit: bit == allowed for bit in BITS})
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())
    made = (
        x509.CertificateBuilder(named("root"), named(subject), public, x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(own, None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(above, critical=False)
    )
    if not own:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        made = made.add_extension(purpose, critical=False)
    return made.sign(root, hashes.SHA256())


def write_key(key: object, path: Path, encryption: object = PLAIN) -> Path:
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(PEM, form, encryption))  # type: ignore[attr-defined]
    return path


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """chain.pem and key.pem."""
    monkeypatch.chdir(tmp_path)
    return pair_of(ec.generate_private_key(ec.SECP256R1()), tmp_path)


def pair_of(key: object, folder: Path) -> tuple[Path, Path]:
    root = ec.generate_private_key(ec.SECP256R1())
    signer = certificate("A. Signer", key.public_key(), root)  # type: ignore[attr-defined]
    chain = signer, certificate("root", root.public_key(), root)
    path = folder / "chain.pem"
    path.write_bytes(b"".join(one.public_bytes(PEM) for one in chain))
    return path, write_key(key, folder / "key.pem")


def picture(path: Path, source: SourceType | None = SourceType.EDITED) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    pictures.save_image(pixels, path, source=source)
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".mp4"])
def test_what_is_marked_is_signed(suffix: str, mine: tuple[Path, Path]) -> None:
    source, output = Path(f"made{suffix}"), Path(f"signed{suffix}")
    if suffix in (".gif", ".mp4"):
        frames = (np.full((64, 64, 3), 40 * i, np.uint8) for i in range(3))
        films.write_frames(frames, source, fps=8, source=SourceType.GENERATED)
    else:
        picture(source)
    before = source.read_bytes()
    said = credentials.sign(source, output, *mine)
    assert said["state"] == "Valid"  # not trusted: nobody knows this root
    assert said["digital_source_type"] == read_synthetic_mark(source)
    assert said["signer"] == "A. Signer"
    assert source.read_bytes() == before
    assert credentials.read(output) == said
    assert credentials.read(source) is None
    assert read_synthetic_mark(output) == read_synthetic_mark(source)  # the mark stays beside it
    if suffix == ".png":
        assert np.array_equal(
            pictures.load_photo(source).pixels, pictures.load_photo(output).pixels
        )
    if suffix == ".mp4":
        pairs = zip(films.read_video(source), films.read_video(output), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs)


def test_a_changed_file_is_no_longer_valid(mine: tuple[Path, Path]) -> None:
    credentials.sign(picture(Path("a.png")), Path("b.png"), *mine)
    content = bytearray(Path("b.png").read_bytes())
    content[content.index(b"IDAT") + 2000] ^= 1
    Path("b.png").write_bytes(content)
    found = credentials.read(Path("b.png"))
    assert found is not None
    assert found["state"] == "Invalid"


@pytest.mark.parametrize("kind", ["P-384", "RSA", "Ed25519"])
def test_keys_of_every_kind(kind: str, mine: tuple[Path, Path], tmp_path: Path) -> None:
    key = {
        "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "RSA": lambda: rsa.generate_private_key(65537, 2048),
        "Ed25519": ed25519.Ed25519PrivateKey.generate,
    }[kind]()
    said = credentials.sign(picture(Path("a.png")), Path("b.png"), *pair_of(key, tmp_path))
    assert said["state"] == "Valid"


def test_what_cannot_be_signed_is_said_and_leaves_nothing(mine: tuple[Path, Path]) -> None:
    chain, key = mine
    marked = picture(Path("a.png"))
    other = write_key(ec.generate_private_key(ec.SECP256R1()), Path("other.pem"))
    locked = serialization.BestAvailableEncryption(b"x")
    write_key(ec.generate_private_key(ec.SECP256R1()), Path("locked.pem"), locked)
    koblitz = write_key(ec.generate_private_key(ec.SECP256K1()), Path("koblitz.pem"))
    cases = (
        ((picture(Path("plain.png"), None), chain, key), "has no synthetic mark"),
        ((marked, chain, other), "cannot be signed"),
        ((marked, key, key), "cannot be signed"),
        ((marked, chain, chain), "no private key in PEM"),
        ((marked, chain, Path("locked.pem")), "the key is encrypted"),
        ((marked, chain, koblitz), "no such key"),
        ((marked, chain, Path("none.pem")), "no such file; expected a private key"),
    )
    for (source, certificates, secret), message in cases:
        with pytest.raises(InputError, match=message) as refused:
            credentials.sign(source, Path("out.png"), certificates, secret)
        assert "\n" not in str(refused.value)
        assert not Path("out.png").exists()
    with pytest.raises(InputError, match=r"have a place in \.png"):
        credentials.sign(Path("film.webm"), Path("out.webm"), chain, key)
    with pytest.raises(OutputError, match="unknown kind of output"):
        credentials.sign(marked, Path("out.jpg"), chain, key)
    assert not [path for path in Path().iterdir() if "out" in path.name]


def test_the_command(mine: tuple[Path, Path]) -> None:
    picture(Path("a.png"))
    line = ("sign", "a.png", "--certificate", "chain.pem", "--key", "key.pem")
    said = done(*line, "-o", "b.png", "--json", "b.json")
    assert "compositeWithTrainedAlgorithmicMedia, signed by A. Signer: valid" in said.stdout
    record = json.loads(Path("b.json").read_text())
    assert record["credentials"]["state"] == "Valid"
    assert "PRIVATE" not in Path("b.json").read_text()
    assert run(*line, "-o", "a.png").exit_code != 0  # it would replace its input


def test_the_network_is_asked_only_where_it_may_be(
    mine: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (picture(Path("a.png")), Path("b.png"), *mine)
    with pytest.raises(InputError, match="expected an address"):
        credentials.sign(*given, timestamp="file:///etc/passwd")
    with pytest.raises(InputError, match="which DUCHENNE_OFFLINE forbids"):
        credentials.sign(*given, timestamp="http://127.0.0.1:9/")
    monkeypatch.delenv("DUCHENNE_OFFLINE")
    with pytest.raises(InputError, match="cannot be signed"):  # nobody answers there
        credentials.sign(*given, timestamp="http://127.0.0.1:9/")
    assert not Path("b.png").exists()


def test_without_the_packages_the_way_out_is_named(
    mine: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    with pytest.raises(InputError, match=r"pip install 'duchenne\[credentials\]'"):
        credentials.sign(Path("a.png"), Path("b.png"), *mine)
