"""What the sliders show, as a command line and as Python."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from .. import facs


@dataclass(frozen=True)
class Origin:
    """Where a face came from, as far as a recipe needs it.

    name: the photo's file name. index: which of its faces. seed: of a sampled person, else None.
    steps, quality: of the encoding, None for the library's default.
    """

    name: str = "photo.jpg"
    index: int = 0
    seed: int | None = None
    steps: int | None = None
    quality: str | None = None


def command_line(origin: Origin, descriptor: facs.Descriptor, *, paste: bool) -> str:
    """One or two lines for a shell that make the picture the page shows."""
    lines = []
    if origin.seed is None:
        source = shlex.quote(origin.name if not origin.name.startswith("-") else f"./{origin.name}")
    else:
        person = f"person_{origin.seed}"
        lines.append(f"duchenne sample --seed {origin.seed} -o {person}.png")
        source = f"{person}.safetensors"
    if not descriptor:
        if origin.seed is None:
            quality = "" if origin.quality is None else f" --quality {origin.quality}"
            lines.append(
                f"duchenne encode {source}{quality} -o face.safetensors --picture face.png"
            )
        return "\n".join(lines)
    asked = ",".join(f"{code}={value:g}" for code, value in descriptor.items())
    words = ["duchenne", "edit", source, "--au", asked, "-o", "edited.png"]
    if origin.seed is None:
        words += ["--face", str(origin.index)] if origin.index else []
        words += ["--steps", str(origin.steps)] if origin.steps is not None else []
        words += ["--quality", origin.quality] if origin.quality is not None else []
        words += [] if paste else ["--crop"]
    lines.append(" ".join(words))
    return "\n".join(lines)


def python_code(origin: Origin, descriptor: facs.Descriptor, *, paste: bool) -> str:
    """A program that makes the picture the page shows."""
    paste = paste and origin.seed is None
    made = f"settings=duchenne.EncodeSettings(steps={origin.steps})" if origin.steps else ""
    if origin.quality is not None:
        made = f'settings=duchenne.preset("{origin.quality}")'
    if origin.seed is None:
        index = f", index={origin.index}" if origin.index else ""
        face = f"duchenne.Studio({made}).face({origin.name!r}{index})"
    else:
        face = f"duchenne.Studio().sample({origin.seed})"
    asked = ", ".join(f'"{code}": {value:g}' for code, value in descriptor.items())
    edit = f"face.edit({{{asked}}}{', paste=True' if paste else ''})"
    mark = ", source=duchenne.SourceType.EDITED" if origin.seed is None else ""
    lines = ["import duchenne", "", f"face = {face}"]
    lines += [f'duchenne.save_image({edit}, "edited.png"{mark})']
    return "\n".join(lines) + "\n"
