"""Checkpoints: damaged ones of every format, other headers, and pickles of any instructions."""

from __future__ import annotations

import functools
import json
import math
import struct
import tempfile
from pathlib import Path

import foreign
import pytest
from fuzzed import cases, changed, odd, taken, wrong
from hypothesis import given
from hypothesis import strategies as st

from duchenne.generators.checkpoints import convert, load_generator

FORMATS = ("nvidia.pkl", "rosinality.pt", "old-rosinality.pt", "genforce.pth", "own.safetensors")
# Instructions, with arguments that fit and others.
CODES = (
    b"N", b"(", b")", b"]", b"}", b"\x8f", b"0", b"1", b"2", b"t", b"l", b"d", b"a", b"e", b"s",
    b"u", b"\x85", b"\x86", b"\x87", b"\x90", b"\x91", b"\x94", b"R", b"\x81", b"b", b"Q", b"\x93",
    b"q\0", b"q\1", b"h\0", b"h\1", b"r\xff\xff\xff\xff", b"p99999999999999999999\n", b"K\1",
    b"J\xff\xff\xff\xff", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8a\x40" + b"\x7f" * 64,
    b"G\x7f\xf8\0\0\0\0\0\0", b"I" + b"9" * 4000 + b"\n", b"F1e999\n", b"L1L\n", b"X\5\0\0\0G_ema",
    b"X\5\0\0\0g_ema", b"X\6\0\0\0models", b"\x8c\1a", b"C\1a", b"B\xff\xff\xff\xff",
    b"X\xff\xff\xff\xff", b"\x96\1\0\0\0\0\0\0\0a", b"ctorch\nFloatStorage\n", b"cos\nsystem\n",
    b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"cbuiltins\nset\n",
    b"ctorch._utils\n_rebuild_parameter\n", b"c_codecs\nencode\n", b"cnumpy\ndtype\n",
    b"X\7\0\0\0storage",
    b"cnumpy.core.multiarray\nscalar\n", b"ctorch\nSize\n", b"cargparse\nNamespace\n",
    b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n",
    b"ctorch.storage\n_load_from_bytes\n",
    b"\x95\0\0\0\0\0\0\0\x10", b"\x80\4", b"\x80\x09", b".", b"\xff",
)  # fmt: skip


@functools.cache
def whole(name: str) -> bytes:
    """A small network in one of the formats."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        if name == "own.safetensors":
            (Path(folder) / "network.pkl").write_bytes(whole("nvidia.pkl"))
            convert(Path(folder) / "network.pkl", path)
        elif name == "nvidia.pkl":
            path.write_bytes(foreign.nvidia_bytes(foreign.nvidia_generator()))
        elif name == "genforce.pth":
            foreign.save(foreign.genforce_state(), path)
        else:
            contents = foreign.rosinality_contents(foreign.rosinality_state())
            foreign.save(contents, path, zipped=not name.startswith("old"))
        return path.read_bytes()


def check(content: bytes, folder: Path) -> None:
    path = folder / "checkpoint"
    path.write_bytes(content)
    network = taken(load_generator, path)
    if network is not None:
        assert network.size == 32
        assert all(math.isfinite(float(weight.sum())) for weight in network.parameters())


@pytest.mark.parametrize("name", FORMATS)
@cases(24)
@given(data=st.data())
def test_damaged(name: str, data: st.DataObject, tmp_path: Path) -> None:
    content = whole(name)
    at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 3000))
    piece = data.draw(changed(content[at : at + 500]))
    check(content[:at] + piece + content[at + 500 :], tmp_path)


@cases(160)
@given(parts=st.lists(st.integers(0, len(CODES) - 1), max_size=40))
def test_instructions(parts: list[int], tmp_path: Path) -> None:
    check(b"\x80\2" + b"".join(CODES[i] for i in parts) + b".", tmp_path)


@cases(100)
@given(data=st.data())
def test_headers(data: st.DataObject, tmp_path: Path) -> None:
    """Of the project's own format: the configuration inside of the metadata too."""
    content = whole("own.safetensors")
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    if data.draw(st.booleans()):
        own = header["__metadata__"]
        config = data.draw(wrong(json.loads(own["config"]), odd | st.just(8.0)))
        own["config"] = json.dumps(config).encode(errors="replace").decode()
    else:
        header = data.draw(wrong(header))
    text = json.dumps(header).encode(errors="replace")
    check(struct.pack("<Q", len(text)) + text + content[end:], tmp_path)
