"""Limits of the web page, and who may come in. Every default of `duchenne serve` lives here."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from ..errors import InputError

LOOPBACK = "127.0.0.1"
PORT = 8460
PASSWORD_VARIABLE = "DUCHENNE_STUDIO_PASSWORD"


@dataclass(frozen=True)
class Limits:
    """What one visitor, and all of them together, may use.

    photo_bytes, photo_pixels: of an uploaded picture. table_bytes: of an uploaded CSV. json_bytes:
        of every other request. upload_seconds: for a request's body to arrive.
    film_frames: of an exported film (a minute at 25 frames a second).
    visitors: at one time. idle_seconds: after which a visitor's files are deleted.
    waiting: jobs in the queue. open_faces: faces kept ready to be edited, about half a gigabyte
        each; the others are opened again when they are needed.
    files: results kept for a visitor; older ones are deleted.
    """

    photo_bytes: int = 20_000_000
    photo_pixels: int = 50_000_000
    table_bytes: int = 5_000_000
    json_bytes: int = 100_000
    upload_seconds: float = 60.0
    film_frames: int = 1500
    visitors: int = 32
    idle_seconds: float = 1800.0
    waiting: int = 16
    open_faces: int = 3
    files: int = 24


@dataclass(frozen=True)
class Access:
    """Where the server listens and what it asks of those who come.

    host: the address it is bound to. names: further host names under which it may be reached.
    password: None asks for none.
    """

    host: str = LOOPBACK
    port: int = PORT
    names: tuple[str, ...] = ()
    password: str | None = field(default=None, repr=False)

    @property
    def local(self) -> bool:
        """Whether only programs of this machine can connect."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_safe(access: Access, *, waived: bool) -> None:
    """InputError if others could connect and no password stops them.

    waived: the user said that no password is wanted.
    """
    if access.password is not None and not access.password:
        raise InputError(f"the password is empty; set {PASSWORD_VARIABLE} to one, or leave it away")
    if not access.local and access.password is None and not waived:
        raise InputError(
            f"--host {access.host} lets other machines connect; set a password with "
            f"{PASSWORD_VARIABLE} or --password-file, or say --no-password"
        )
