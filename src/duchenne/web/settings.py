"""Limits of the web page, and who may come in. Every default of `duchenne serve` lives here."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from ..errors import InputError

LOOPBACK = "127.0.0.1"
PORT = 8460
PASSWORD_VARIABLE = "DUCHENNE_STUDIO_PASSWORD"
TOKEN_VARIABLE = "DUCHENNE_STUDIO_TOKEN"
TOKEN_LENGTH = range(20, 1001)  # characters; 20 random letters cannot be guessed


@dataclass(frozen=True)
class Limits:
    """What one visitor, and all of them together, may use.

    photo_bytes, photo_pixels: of an uploaded picture. json_bytes: of every other request but a
        table's (`table_bytes`).
    camera_bytes, camera_pixels: of one picture of the camera that drives a face.
    head_seconds: for a request to begin and for its head to arrive. upload_seconds: for a body.
        patience: seconds, after which a body must have come at `slowest_body` bytes a second.
    pause_seconds: that an idle connection is kept. stalled_seconds: that an answer waits for a
        client to take some of it.
    connections, connections_per_address: at one time.
    film_frames: of an exported film (a minute at 25 frames a second).
    visitors, visitors_per_address: at one time. idle_seconds: after which a visitor's files are
        deleted.
    waiting, waiting_per_address: jobs in the queue. open_faces: faces kept ready to be edited,
        about half a gigabyte each; the others are opened again when they are needed.
    files: results kept for a visitor; older ones are deleted.
    """

    photo_bytes: int = 20_000_000
    photo_pixels: int = 50_000_000
    json_bytes: int = 100_000
    camera_bytes: int = 1_000_000
    camera_pixels: int = 1_000_000
    head_seconds: float = 10.0
    upload_seconds: float = 240.0
    patience: float = 5.0
    slowest_body: float = 10_000.0
    pause_seconds: float = 15.0
    stalled_seconds: float = 30.0
    connections: int = 400
    connections_per_address: int = 64
    film_frames: int = 1500
    visitors: int = 32
    visitors_per_address: int = 16
    idle_seconds: float = 1800.0
    waiting: int = 16
    waiting_per_address: int = 8
    open_faces: int = 3
    files: int = 24

    @property
    def table_bytes(self) -> int:
        """Of an uploaded CSV: the longest film's, coded at 60 frames a second.

        A row of OpenFace's largest table (714 columns) has up to 6 kB.
        """
        return self.film_frames * 60 // 24 * 6_000

    @property
    def shown_frames(self) -> int:
        """Of a motion that the page shows so that it can be made shorter."""
        return 20 * self.film_frames


@dataclass(frozen=True)
class Access:
    """Where the server listens and what it asks of those who come.

    host: the address it is bound to. names: further host names under which it may be reached.
    password: of people, who log in with it. token: of programs, which send it with each request.
        Where there is either, nobody comes in without one of them.
    """

    host: str = LOOPBACK
    port: int = PORT
    names: tuple[str, ...] = ()
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

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
    """InputError if others could connect and nothing stops them, or if the token is none.

    waived: the user said that no password is wanted.
    """
    if access.token is not None:
        _require_token(access.token)
    if access.password is not None and not access.password:
        raise InputError(f"the password is empty; set {PASSWORD_VARIABLE} to one, or leave it away")
    if access.local or waived or access.password is not None or access.token is not None:
        return
    raise InputError(
        f"--host {access.host} lets other machines connect; set a password with "
        f"{PASSWORD_VARIABLE} or --password-file, for programs a token with {TOKEN_VARIABLE} or "
        "--token-file, or say --no-password"
    )


def _require_token(token: str) -> None:
    """InputError unless a header can carry it, and nobody can guess it; it is not quoted."""
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise InputError("the token has other characters than printable ASCII without spaces")
    if len(token) not in TOKEN_LENGTH:
        raise InputError(
            f"the token has {len(token)} characters; expected {TOKEN_LENGTH.start} to "
            f"{TOKEN_LENGTH.stop - 1}; one is made by "
            "python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
