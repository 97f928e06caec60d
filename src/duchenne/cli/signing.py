"""`sign`: Content Credentials beside the synthetic mark."""

from __future__ import annotations

from pathlib import Path

import click

from .run import Run, recorded


@click.command()
@click.argument("file")
@click.option("--certificate", required=True, metavar="FILE", help="Yours, then its chain: PEM.")
@click.option("--key", required=True, metavar="FILE", help="The certificate's private key: PEM.")
@click.option("--timestamp", metavar="URL", help="Ask this time-stamping authority (RFC 3161).")
@click.option("-o", "--output", required=True, metavar="FILE", help="The signed copy.")
@recorded
def sign(
    run: Run, file: str, certificate: str, key: str, timestamp: str | None, output: str
) -> None:
    """Write a copy of FILE with signed Content Credentials (C2PA).

    They say what the synthetic mark says, and who says so: you, by your certificate. FILE is a
    picture or film that duchenne made (png, jpg, webp, gif, mp4). The key stays where it is. Needs
    pip install 'duchenne[credentials]'.

    \b
    Examples:
      duchenne sign happy.mp4 --certificate chain.pem --key key.pem -o signed.mp4
    """
    from ..files import credentials

    run.check_outputs([file, certificate, key], [Path(output)])
    with run.stages("sign"):
        said = credentials.sign(Path(file), Path(output), Path(certificate), Path(key), timestamp)
    run.facts["credentials"] = said
    kind = str(said["digital_source_type"]).rpartition("/")[2]
    run.wrote(output, f"{kind}, signed by {said['signer']}: {said['state'].lower()}")
