"""`generator`: what a checkpoint holds, and its conversion to a file without code."""

from __future__ import annotations

from pathlib import Path

import click

from .run import Run, recorded


@click.group()
def generator() -> None:
    """Other StyleGAN networks: what a file holds, and safe copies of it.

    No code in a file is ever run; docs/generators.md says which kinds are read.

    \b
    Examples:
      duchenne generator info ffhq.pkl
      duchenne generator convert ffhq.pkl -o ffhq.safetensors
    """


@generator.command()
@click.argument("file")
@recorded
def info(run: Run, file: str) -> None:
    """Say what network FILE holds, or why it cannot be used.

    \b
    Examples:
      duchenne generator info ffhq.pkl
      duchenne generator info ffhq.pkl --json -
    """
    from ..generators.checkpoints import load_generator

    with run.stages("load"):
        network = load_generator(file)
    run.read("input", file)
    facts = {
        "fingerprint": network.fingerprint,
        "kind": network.kind,
        "size": network.size,
        "rows": network.rows,
        "z_dim": network.z_dim,
        "w_dim": network.w_dim,
        "parameters": sum(tensor.numel() for tensor in network.parameters()),
    }
    run.facts["generator"] = facts
    for name, value in facts.items():
        run.say(f"{name}  {value}")


@generator.command()
@click.argument("file")
@click.option("-o", "--output", required=True, metavar="FILE", help="The copy, .safetensors.")
@recorded
def convert(run: Run, file: str, output: str) -> None:
    """Write the network of FILE as safetensors: the same numbers, no code, a fingerprint.

    \b
    Examples:
      duchenne generator convert ffhq.pkl -o ffhq.safetensors
    """
    from ..files import codes, pictures
    from ..generators import checkpoints

    pictures.check_writable(output, (codes.SUFFIX,))
    run.check_outputs([file], [Path(output)])
    with run.stages("convert"):
        checkpoints.convert(file, output)
    run.read("input", file)
    run.wrote(output)
