"""`faces`: which face of a photo has which number."""

from __future__ import annotations

from pathlib import Path

import click

from .run import Run, recorded


@click.command()
@click.argument("photo")
@click.option("-o", "--output", required=True, metavar="FILE", help="The picture, .png or .jpg.")
@recorded
def faces(run: Run, photo: str, output: str) -> None:
    """Show which face of PHOTO is number 0 (the largest), 1, 2: what --face takes.

    \b
    Examples:
      duchenne faces photo.jpg -o numbered.png
    """
    from ..errors import NoFaceFound
    from ..faces import landmarks
    from ..files import pictures

    pictures.check_writable(output)
    run.check_outputs([photo], [Path(output)])
    picture = pictures.load_photo(photo)
    run.read("input", photo)
    with run.stages("find"):
        found = landmarks.find_faces(picture.pixels)
    if not found:
        raise NoFaceFound(
            f"{photo}: no face at least {landmarks.MIN_SIZE} px wide; try a closer crop"
        )
    # Only marks are drawn on the photo: it is not synthetic.
    pictures.save_image(landmarks.numbered(picture.pixels, found), output, source=None)
    run.facts["faces"] = [
        {"number": i, "width": round(landmarks.face_size(face.mesh)[0])}
        for i, face in enumerate(found)
    ]
    run.wrote(output, f"{len(found)} faces" if len(found) > 1 else "1 face")
