"""`serve`: the web page, on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..errors import InputError
from ..reading import texts
from .faces import steps_option
from .run import Run, recorded
from .values import Whole


@click.command()
@click.option("--host", metavar="ADDRESS", help="Where to listen; 127.0.0.1 by default.")
@click.option("--port", type=Whole(0, 65535), metavar="N", help="8460 by default.")
@click.option(
    "--password-file",
    metavar="FILE",
    help="Ask visitors for the password in FILE; so does the variable DUCHENNE_STUDIO_PASSWORD.",
)
@click.option(
    "--token-file",
    metavar="FILE",
    help="Let programs in by the token in FILE; so does the variable DUCHENNE_STUDIO_TOKEN.",
)
@click.option("--no-password", is_flag=True, help="Let other machines in without either.")
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="A further name of this server; repeatable."
)
@steps_option
@recorded
def serve(
    run: Run,
    host: str | None,
    port: int | None,
    password_file: str | None,
    token_file: str | None,
    no_password: bool,
    allow_host: tuple[str, ...],
    steps: int | None,
) -> None:
    """Open the web page: a face and a slider for each Action Unit.

    Only this machine can reach it unless --host says otherwise; then a password, or for programs a
    token, is required. What visitors upload is deleted when they leave, after half an hour without
    them, and at the end.

    \b
    Examples:
      duchenne serve
      duchenne serve --port 9000 --steps 80
      duchenne serve --host 0.0.0.0 --password-file secret.txt
      duchenne serve --token-file token.txt
    """
    from ..web import settings

    given = {"host": host, "port": port}
    password = _secret(password_file, settings.PASSWORD_VARIABLE, "a text file with the password")
    token = _secret(token_file, settings.TOKEN_VARIABLE, "a text file with the token")
    access = settings.Access(
        names=allow_host,
        password=None if no_password else password,
        token=None if no_password else token,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    settings.require_safe(access, waived=no_password)
    try:
        from ..web.app import create_app
        from ..web.app import serve as run_server
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "anyio"):
            raise
        raise InputError(
            f"the web page needs the package {error.name}; pip install 'duchenne[studio]' gets it"
        ) from None
    from ..encoding.settings import EncodeSettings

    encoding = None if steps is None else EncodeSettings(steps=steps)
    app = create_app(access=access, settings=encoding)

    def ready(listening: int) -> None:
        name = f"[{access.host}]" if ":" in access.host else access.host
        run.say(f"http://{name}:{listening}/  (Ctrl-C stops it)")

    try:
        run_server(app, access, ready)
    except KeyboardInterrupt:
        run.note("stopped; what the visitors left is deleted")


def _secret(file: str | None, variable: str, expected: str) -> str | None:
    """What the file holds or, without one, the environment; None if neither is there."""
    if file is None:
        return os.environ.get(variable)
    return texts.read_text(Path(file), expected, 10_000).rstrip("\r\n")
