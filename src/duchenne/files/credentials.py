"""Content Credentials: a file's synthetic mark, signed by whoever made it (C2PA).

The certificate and its key are the user's own; the package has none. c2pa-python does the work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import InputError, quoted
from ..reading import texts
from ..weights import store
from .pictures import check_writable, read_synthetic_mark
from .writing import replacing, reporting_disk_errors

TYPES: Mapping[str, str] = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
}
"""What can carry Content Credentials, of what the library writes."""
VALID = ("Valid", "Trusted")
SMALL = {"builder": {"thumbnail": {"enabled": False}}}  # the file is its own picture
MISSING = (
    "signing needs the packages c2pa-python and cryptography; pip install 'duchenne[credentials]' "
    "gets them"
)
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


def sign(
    source: Path, output: Path, certificate: Path, key: Path, timestamp: str | None = None
) -> dict[str, Any]:
    """Write a copy of a marked picture or film with signed Content Credentials.

    certificate: PEM, the signer's own first and then the chain. key: PEM, PKCS#8, not encrypted.
    timestamp: address of a time-stamping authority, which is asked; None signs without one.

    The copy is read again and checked before it is there. Returns what it says: `state` ("Valid",
    or "Trusted" where the chain ends at a root that c2pa knows), `digital_source_type`, `signer`.
    Raises InputError for files without the synthetic mark, and for what cannot sign.
    """
    c2pa = _library()
    kind = TYPES.get(source.suffix.lower())
    if kind is None:
        raise InputError(
            f"{source}: Content Credentials have a place in {', '.join(TYPES)}; make one of them"
        )
    check_writable(output, (source.suffix.lower(),))
    mark = read_synthetic_mark(source)
    if mark is None:
        raise InputError(f"{source}: has no synthetic mark; only what duchenne made is signed")
    if timestamp is not None:
        _check_timestamp(timestamp)
    chain = texts.read_text(certificate, "a certificate chain, PEM").encode()
    secret = texts.read_text(key, "a private key, PEM").encode()
    try:
        info = c2pa.C2paSignerInfo(_algorithm(key, secret), chain, secret, timestamp)
        told = _manifest(source.name, kind, str(mark))
        with (
            c2pa.Signer.from_info(info) as signer,
            c2pa.Context(c2pa.Settings.from_dict(SMALL)) as context,
            c2pa.Builder(told, context=context) as builder,
            replacing(output) as fresh,
        ):
            with source.open("rb") as given, fresh.open("w+b") as signed:
                builder.sign(signer, kind, given, signed)
            return _checked(c2pa, fresh, output)
    except c2pa.C2paError as error:
        reason = quoted(" ".join(str(error).split()), bare=True, most=200)
        raise InputError(
            f"{source}: cannot be signed ({reason}); the certificate must be one for C2PA, its own "
            "first and then the chain, and the key its own"
        ) from None


def read(path: Path) -> dict[str, Any] | None:
    """What the Content Credentials of a file say, as `sign` returns it; None if it has none."""
    c2pa = _library()
    with reporting_disk_errors(path):
        reader = c2pa.Reader.try_create(str(path))
    if reader is None:
        return None
    with reader:
        manifest = reader.get_active_manifest() or {}
        state = reader.get_validation_state() or "Invalid"
    actions = [
        action
        for assertion in manifest.get("assertions", [])
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]
    kinds = [action["digitalSourceType"] for action in actions if "digitalSourceType" in action]
    signer = manifest.get("signature_info", {})
    return {
        "state": state,
        "digital_source_type": kinds[0] if kinds else None,
        "signer": signer.get("common_name") or signer.get("issuer"),
        "time": signer.get("time"),
    }


def _check_timestamp(address: str) -> None:
    if not re.fullmatch(r"https?://[!-~]{1,500}", address):
        raise InputError(f"--timestamp {quoted(address)}: expected an address, http://...")
    if store.stays_offline():
        raise InputError(
            "--timestamp asks the network, which DUCHENNE_OFFLINE forbids; leave it away"
        )


def _library() -> Any:
    try:
        import c2pa
    except ModuleNotFoundError:
        raise InputError(MISSING) from None
    return c2pa


def _algorithm(path: Path, key: bytes) -> str:
    """C2PA's name of what this key signs by."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    except ModuleNotFoundError:
        raise InputError(MISSING) from None
    try:
        known = serialization.load_pem_private_key(key, None)
    except TypeError:
        raise InputError(
            f"{path}: the key is encrypted; give it decrypted (openssl pkcs8)"
        ) from None
    except ValueError:
        raise InputError(f"{path}: no private key in PEM; expected PKCS#8") from None
    if isinstance(known, ec.EllipticCurvePrivateKey) and known.curve.name in CURVES:
        return CURVES[known.curve.name]
    if isinstance(known, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(known, rsa.RSAPrivateKey):
        return "ps256"
    raise InputError(f"{path}: C2PA has no such key; use an elliptic curve P-256, or RSA")


def _manifest(title: str, kind: str, mark: str) -> str:
    """The claim: made by this program, and of which digital source type."""
    action = {"action": "c2pa.created", "digitalSourceType": mark}
    return json.dumps({
        "claim_generator_info": [{"name": "duchenne", "version": metadata.version("duchenne")}],
        "title": title,
        "format": kind,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    })  # fmt: skip


def _checked(c2pa: Any, fresh: Path, output: Path) -> dict[str, Any]:
    found = read(fresh)
    if found is None or found["state"] not in VALID:
        raise InputError(
            f"{output}: the signature does not hold; look at the certificate's purpose"
        )
    return found
