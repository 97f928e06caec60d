"""The ComfyUI nodes by ComfyUI's rules: loaded, described, validated and run as it does it.

ComfyUI itself is no package that could be installed here. Its rules are those of its node typing
(comfy_types/node_typing.py) and of its execution: what `Host` does with a workflow in API format.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

import duchenne
from duchenne.files import films
from duchenne.files.pictures import SourceType, load_photo, read_synthetic_mark

PACK = Path(__file__).parents[1] / "integrations" / "comfyui"
WIDGETS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
OWN = {"DUCHENNE_FACE", "DUCHENNE_UNITS", "DUCHENNE_CLIP"}


class LoadImage:
    """What ComfyUI has itself, as far as the workflows of the pack need it."""

    RETURN_TYPES, FUNCTION = ("IMAGE", "MASK"), "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"image": ("STRING", {})}}

    def load(self, image: str) -> tuple[Any, Any]:
        pixels = torch.from_numpy(load_photo(image).pixels).float() / 255
        return pixels[None], torch.zeros(1, *pixels.shape[:2])


class PreviewImage:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = (), "show", True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"images": ("IMAGE",)}}

    def show(self, images: Any) -> dict[str, Any]:
        return {"ui": {"images": list(images.shape)}}


class Host:
    """Runs a workflow: inputs checked against INPUT_TYPES, links by type, each node once."""

    def __init__(self, nodes: dict[str, type]) -> None:
        self.nodes = {**nodes, "LoadImage": LoadImage, "PreviewImage": PreviewImage}

    def run(self, workflow: dict[str, Any]) -> dict[str, Any]:
        self.workflow, self.done = workflow, {}
        ends = [i for i, n in workflow.items() if getattr(self.node(n), "OUTPUT_NODE", False)]
        assert ends, "nothing is asked of this workflow"
        return {i: self.outcome(i) for i in ends}

    def node(self, entry: dict[str, Any]) -> type:
        return self.nodes[entry["class_type"]]

    def outcome(self, number: str) -> Any:
        if number not in self.done:
            entry = self.workflow[number]
            node: Any = self.node(entry)
            told = node.INPUT_TYPES()
            known = told["required"] | told.get("optional", {})
            assert set(told["required"]) <= set(entry["inputs"]) <= set(known)
            given = {k: self.value(v, known[k]) for k, v in entry["inputs"].items()}
            self.done[number] = getattr(node(), node.FUNCTION)(**given)
        return self.done[number]

    def value(self, value: Any, declared: tuple[Any, ...]) -> Any:
        kind, options = declared[0], declared[1] if len(declared) > 1 else {}
        if isinstance(value, list):
            source, slot = value
            assert self.node(self.workflow[source]).RETURN_TYPES[slot] == kind
            return self.outcome(source)[slot]
        if isinstance(kind, list):
            assert value in kind
            return value
        value = WIDGETS[kind](value)
        assert options.get("min", value) <= value <= options.get("max", value)
        return value


@pytest.fixture
def pack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The folder, loaded as ComfyUI loads one of its `custom_nodes`; on the tiny generator."""
    name = str(PACK).replace(".", "_x_")
    where = importlib.util.spec_from_file_location(name, PACK / "__init__.py")
    assert where is not None
    module = importlib.util.module_from_spec(where)
    monkeypatch.setitem(sys.modules, name, module)
    assert where.loader is not None
    where.loader.exec_module(module)
    monkeypatch.setattr(sys.modules[f"{name}.nodes"], "studio", tiny.TinyStudio)
    tiny.see_golden(monkeypatch.setattr)
    monkeypatch.setattr("duchenne.faces.align.align", tiny.golden_align)
    output = tmp_path / "output"
    output.mkdir()
    paths: Any = types.ModuleType("folder_paths")
    paths.get_output_directory = lambda: str(output)
    paths.get_save_image_path = lambda prefix, folder, width, height: (
        folder,
        prefix,
        1,
        "",
        prefix,
    )
    monkeypatch.setitem(sys.modules, "folder_paths", paths)
    return module


def test_the_nodes_are_described_as_comfyui_expects(pack: Any) -> None:
    assert set(pack.NODE_CLASS_MAPPINGS) == set(pack.NODE_DISPLAY_NAME_MAPPINGS)
    for name, node in pack.NODE_CLASS_MAPPINGS.items():
        assert name.startswith("Duchenne")
        assert node.CATEGORY == "duchenne"
        assert node.DESCRIPTION
        assert "\n   " not in node.DESCRIPTION  # ComfyUI shows it as it is
        told = node.INPUT_TYPES()
        assert "required" in told
        assert set(told) <= {"required", "optional", "hidden"}
        inputs = told["required"] | told.get("optional", {})
        for declared in inputs.values():
            kind, options = declared[0], declared[1] if len(declared) > 1 else {}
            assert isinstance(kind, list) or kind in {*WIDGETS, *OWN, "IMAGE", "MASK"}
            if "default" in options:
                default = options["default"]
                assert default in kind if isinstance(kind, list) else type(default) is WIDGETS[kind]
                assert options.get("min", default) <= default <= options.get("max", default)
        called = inspect.signature(getattr(node, node.FUNCTION)).parameters
        open_ended = any(p.kind is p.VAR_KEYWORD for p in called.values())
        assert open_ended or set(inputs) == set(called) - {"self"}
        needed = {
            n for n, p in called.items() if p.default is p.empty and p.kind is not p.VAR_KEYWORD
        }
        assert needed - {"self"} <= set(told["required"])
        assert isinstance(node.RETURN_TYPES, tuple)
        assert len(getattr(node, "RETURN_NAMES", node.RETURN_TYPES)) == len(node.RETURN_TYPES)
        assert set(node.RETURN_TYPES) <= OWN | {"IMAGE", "FLOAT"}


def test_every_action_unit_has_a_slider(pack: Any) -> None:
    inputs = pack.NODE_CLASS_MAPPINGS["DuchenneUnits"].INPUT_TYPES()["optional"]
    sliders = {name for name in inputs if name.startswith("AU")}
    assert sliders == {f"AU{unit.number}" for unit in duchenne.ACTION_UNITS}


def test_a_person_smiles_in_a_marked_film(pack: Any, tmp_path: Path) -> None:
    host = Host(pack.NODE_CLASS_MAPPINGS)
    host.run(json.loads((PACK / "happy_person.json").read_text()))
    film = tmp_path / "output" / "happy_00001_.mp4"
    assert len(list(films.read_video(film))) == 12
    assert read_synthetic_mark(film) == SourceType.GENERATED
    images, _, fps = host.done["3"]
    assert (images.dtype, images.shape[0], images.shape[3], fps) == (torch.float32, 12, 3, 24.0)
    assert 0 <= images.min() < images.max() <= 1
    face, crop = host.done["1"]
    assert torch.equal(images[0], crop[0])  # the first frame is the face at rest
    expected = face.edit({code: 0.8 * v for code, v in duchenne.expression("happiness").items()})
    assert torch.equal(images[-1], torch.from_numpy(expected).float() / 255)


def test_a_photo_is_edited_in_place(pack: Any, folder: Path, tmp_path: Path) -> None:
    host = Host(pack.NODE_CLASS_MAPPINGS)
    host.run(json.loads((PACK / "edit_photo.json").read_text()))
    (units,) = host.done["4"]
    full = duchenne.expression("surprise")
    assert units == {**{code: 0.6 * v for code, v in full.items()}, "AU12": 0.4, "AU43R": 1.0}
    assert read_synthetic_mark(tmp_path / "output" / "surprised_00001_.png") == SourceType.EDITED
    image, _ = host.done["5"]
    photo = torch.from_numpy(load_photo("photo.jpg").pixels).float() / 255
    assert image.shape == (1, *photo.shape)
    assert not torch.equal(image[0], photo)
    nodes = sys.modules[pack.__name__ + ".nodes"]
    face = nodes.Face().open(photo[None], 0)[0]
    rest, _ = nodes.Edit().edit(face, {}, True)
    assert torch.equal(rest[0], photo)  # there and back to the bit
    kept = nodes.Face().open(photo[None], 0, torch.ones(1, *photo.shape[:2]))[0]
    assert torch.equal(nodes.Edit().edit(kept, {"AU12": 1.0}, True)[0][0], photo)


def test_what_cannot_be_is_said(pack: Any, folder: Path) -> None:
    nodes = sys.modules[pack.__name__ + ".nodes"]
    with pytest.raises(ValueError, match=r"expected one picture, .* came 2x8x8x3"):
        nodes.Face().open(torch.zeros(2, 8, 8, 3), 0)
    with pytest.raises(duchenne.DescriptorError, match="AU99"):
        nodes.Units().collect(more="AU99=1")
    face, _ = nodes.Sample().sample(1)
    _, clip, _ = nodes.Animate().animate(face, {"AU12": 1.0}, 2, 24.0, True, True)
    with pytest.raises(ValueError, match="png is no format of a film"):
        nodes.Save().save(clip, "x", "png")


def test_the_pack_says_what_it_needs() -> None:
    pack = tomllib.loads((PACK / "pyproject.toml").read_text())
    own = tomllib.loads((PACK.parents[1] / "pyproject.toml").read_text())
    assert pack["project"]["dependencies"] == ["duchenne"]
    assert pack["project"]["requires-python"] == own["project"]["requires-python"]
    assert (PACK / "requirements.txt").read_text().startswith("duchenne")
