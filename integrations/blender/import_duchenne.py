"""Into Blender: ARKit curves onto a head's shape keys, or rendered frames as a picture sequence.

    blender head.blend --python import_duchenne.py -- curves film_arkit.csv --object Head
    blender --python import_duchenne.py -- frames happiness/ --save happiness.blend

`duchenne curves` writes the table, `duchenne animate -o happiness/` the frames. Keys are found by
ARKit's names however they are spelt: jawOpen, JawOpen, jaw_open, mouthSmile_L, Mouth Smile Left.
Runs in Blender 4.2 and newer, and with the package bpy; nothing else is needed.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from pathlib import Path

NO_CURVES = ("Timecode", "BlendShapeCount")
SIDES = {"l": "left", "r": "right"}


def plain(name):
    """A coefficient's name without case, separators and short sides: mouthsmileleft."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]
    if words and words[-1] in SIDES:
        words[-1] = SIDES[words[-1]]
    return "".join(words)


def read_curves(path):
    """(names, rows): a coefficient's values in every frame. ValueError says what is wrong."""
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        header, *rows = [row for row in csv.reader(file) if row] or [[]]
    if not header or header[0] != NO_CURVES[0]:
        raise ValueError(f"{path}: no table of Live Link Face; `duchenne curves` writes one")
    names = header[len(NO_CURVES) :]
    values = []
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(
                f"{path} line {number}: {len(row)} cells where the header has {len(header)}"
            )
        values.append([float(cell) for cell in row[len(NO_CURVES) :]])
    return names, values


def keys_of(names, rows, shape_keys):
    """{shape key: [(frame, value), ...]}, frames from 0, for the keys that the head has.

    A value is a key where it changes, so that straight stretches have their ends only.
    """
    known = {plain(key): key for key in shape_keys}
    found = {}
    for column, name in enumerate(names):
        if plain(name) not in known:
            continue
        values = [row[column] for row in rows]
        last = len(values) - 1
        kept = [
            (frame, value) for frame, value in enumerate(values)
            if frame in (0, last) or values[frame - 1] != value or values[frame + 1] != value
        ]  # fmt: skip
        found[known[plain(name)]] = kept
    return found


def frames_in(folder):
    """The pictures of a sequence in order; ValueError where a number is missing."""
    found = sorted(p for p in Path(folder).iterdir() if re.fullmatch(r"frame_\d+\.png", p.name))
    numbers = [int(path.stem[6:]) for path in found]
    if not numbers or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise ValueError(
            f"{folder}: expected frame_00001.png and on, as `duchenne animate -o {folder}/`"
        )
    return found


def set_range(scene, count, fps, start):
    scene.render.fps, scene.render.fps_base = round(fps), round(fps) / fps
    scene.frame_start, scene.frame_end = start, start + count - 1


def import_curves(bpy, path, head, fps, start):
    """Keyframes on the object's shape keys; returns how many keys it has of the table's names."""
    names, rows = read_curves(path)
    keys = getattr(head.data, "shape_keys", None)
    if keys is None:
        raise ValueError(f"{head.name}: has no shape keys")
    found = keys_of(names, rows, [block.name for block in keys.key_blocks])
    if not found:
        raise ValueError(f"{head.name}: no shape key has an ARKit name, such as jawOpen")
    for name, changes in found.items():
        block = keys.key_blocks[name]
        for frame, value in changes:
            block.value = value
            block.keyframe_insert("value", frame=start + frame)
    set_range(bpy.context.scene, len(rows), fps, start)
    return len(found)


def import_frames(bpy, folder, fps, start):
    """A strip of the video sequencer; returns how many pictures it has."""
    pictures = frames_in(folder)
    scene = bpy.context.scene
    editor = scene.sequence_editor or scene.sequence_editor_create()
    before = not hasattr(editor, "strips")  # Blender 4.4
    strips = editor.sequences if before else editor.strips
    strip = strips.new_image(
        name=Path(folder).name, filepath=str(pictures[0]), channel=1, frame_start=start
    )
    for picture in pictures[1:]:
        strip.elements.append(picture.name)
    strip.frame_final_duration = len(pictures)
    image = bpy.data.images.load(str(pictures[0]))
    scene.render.resolution_x, scene.render.resolution_y = image.size
    bpy.data.images.remove(image)
    set_range(scene, len(pictures), fps, start)
    return len(pictures)


def main(arguments):
    import bpy

    parser = argparse.ArgumentParser(prog="import_duchenne", description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("curves", "frames"))
    parser.add_argument("source", help="the table, or the folder")
    parser.add_argument("--object", help="whose shape keys; the active one by default")
    parser.add_argument("--fps", type=float, default=24.0)
    parser.add_argument("--start", type=int, default=1, help="the first frame in Blender")
    parser.add_argument("--save", help="write the .blend here")
    asked = parser.parse_args(arguments)
    try:
        if asked.kind == "frames":
            done = f"{import_frames(bpy, asked.source, asked.fps, asked.start)} pictures"
        else:
            head = bpy.data.objects.get(asked.object) if asked.object else bpy.context.object
            if head is None:
                raise ValueError("no such object; name the head with --object")
            done = f"{import_curves(bpy, asked.source, head, asked.fps, asked.start)} shape keys"
    except (OSError, ValueError) as error:
        raise SystemExit(f"import_duchenne: {error}") from None
    if asked.save:
        bpy.ops.wm.save_as_mainfile(filepath=str(Path(asked.save).resolve()))
    print(f"import_duchenne: {done}")


if __name__ == "__main__":
    main(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])
