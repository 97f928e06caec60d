"""Checkpoints that are traps, damaged, or something else altogether.

Each entry of `traps` would touch the file `canary` (or use up the memory) if it were loaded by
Python's own pickle; none of them may do anything here.
"""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import foreign
import torch


class Call:
    """Pickles as the call of a function that is only named."""

    def __init__(self, module: str, name: str, *args: Any) -> None:
        self.module, self.name, self.args = module, name, args


def dump(value: Any, protocol: int = 2) -> bytes:
    """Pickle plain values and `Call`s by hand: the module need not exist here."""
    return b"\x80" + bytes([protocol]) + _dump(value) + b"."


def _dump(value: Any) -> bytes:
    if isinstance(value, Call):
        name = f"c{value.module}\n{value.name}\n".encode()
        return name + _dump(value.args) + b"R"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_dump, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(_dump, value)) + b"e"
    if isinstance(value, dict):
        items = b"".join(_dump(key) + _dump(item) for key, item in value.items())
        return b"}(" + items + b"u"
    if isinstance(value, str):
        data = value.encode()
        return b"X" + struct.pack("<I", len(data)) + data
    if isinstance(value, bytes):
        return b"B" + struct.pack("<I", len(value)) + value
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        return b"\x8a\x08" + struct.pack("<q", value)
    raise TypeError(type(value))


def traps(canary: Path) -> dict[str, bytes]:
    """Pickles that run code, by any of the ways there are."""
    shell, code = f"touch {canary}", f"open({str(canary)!r}, 'w').close()"
    load = Call("torch.storage", "_load_from_bytes", dump(Call("os", "system", shell)))
    getter = Call("builtins", "getattr", Call("builtins", "__import__", "os"), "system")
    calls: dict[str, Any] = {
        "os.system": Call("os", "system", shell),
        "posix.system": Call("posix", "system", shell),
        "nt.system": Call("nt", "system", shell),
        "subprocess": Call("subprocess", "check_output", ["touch", str(canary)]),
        "subprocess.Popen": Call("subprocess", "Popen", ("touch", str(canary))),
        "exec": Call("builtins", "exec", code),
        "eval": Call("builtins", "eval", code),
        "exec, Python 2": Call("__builtin__", "exec", code),
        "eval in a network": {"G_ema": Call("builtins", "eval", code)},
        "eval beside a network": {
            "G_ema": None,
            "training_set_kwargs": [Call("builtins", "eval", code)],
        },
        "open": Call("builtins", "open", str(canary), "w"),
        "compile": Call("builtins", "compile", code, "x", "exec"),
        "import": Call("builtins", "__import__", "antigravity"),
        "importlib": Call("importlib", "import_module", "antigravity"),
        "getattr": getter,
        "nested reduce": {"a": [({"b": Call("os", "system", Call("builtins", "str", shell))},)]},
        "runpy": Call("runpy", "_run_code", code, {}),
        "timeit": Call("timeit", "timeit", code),
        "pty": Call("pty", "spawn", "touch"),
        "bdb": Call("bdb", "Bdb.run", code),
        "code": Call("code", "InteractiveInterpreter.runcode", code),
        "functools": Call("functools", "partial", getter, shell),
        "operator": Call("operator", "attrgetter", "system"),
        "apply map": Call("builtins", "map", getter, [shell]),
        "shutil": Call("shutil", "rmtree", str(canary.parent)),
        "os.remove": Call("os", "remove", str(canary.parent)),
        "ctypes": Call("ctypes", "CDLL", "libc.so.6"),
        "socket": Call("socket", "create_connection", ("127.0.0.1", 9)),
        "webbrowser": Call("webbrowser", "open", "http://127.0.0.1:9"),
        "pickle in pickle": Call("pickle", "loads", dump(Call("os", "system", shell))),
        "_pickle in pickle": Call("_pickle", "loads", dump(Call("os", "system", shell))),
        "torch.load": Call("torch", "load", "file.pt"),
        "torch.hub": Call("torch.hub", "load", "user/repo", "model"),
        "torch storage in bytes": load,
        "torch.storage": Call("torch.storage", "torch.load", "file.pt"),
        "numpy.load": Call("numpy", "load", "file.npy"),
        "copyreg": Call("copyreg", "_reconstructor", "os", "object", None),
        "copyreg.__newobj__": Call("copyreg", "__newobj__", "os"),
        "dotted name": Call("collections", "OrderedDict.__init__.__globals__", "x"),
        "types.FunctionType": Call("types", "FunctionType", "x", {}),
        "logging.config": Call("logging.config", "listen", 9),
        "persistence": Call("torch_utils.persistence", "_src_to_module", code),
        "dnnlib": Call("dnnlib.util", "call_func_by_name", shell),
        "latin1": Call("_codecs", "decode", b"x", "rot13"),
        "state of a network": Call(
            "torch_utils.persistence",
            "_reconstruct_persistent_obj",
            {"type": "module", "version": 6, "module_src": code, "class_name": "X", "state": {}},
        ),
    }
    pickles = {name: dump(value) for name, value in calls.items()}
    quoted = repr(shell).encode()
    pickles |= {
        "INST": b"\x80\x02(S" + quoted + b"\nios\nsystem\n.",
        "INST of text": b"\x80\x02(" + _dump(shell) + b"ios\nsystem\n.",
        "OBJ": b"\x80\x02(cos\nsystem\n" + _dump(shell) + b"o.",
        "EXT1": b"\x80\x02\x82\x01" + _dump((shell,)) + b"R.",
        "EXT4": b"\x80\x02\x84\x01\x00\x00\x00" + _dump((shell,)) + b"R.",
        "NEWOBJ": b"\x80\x02cos\nsystem\n" + _dump((shell,)) + b"\x81.",
        "NEWOBJ_EX": b"\x80\x04cos\nsystem\n" + _dump((shell,)) + b"}\x92.",
        "STACK_GLOBAL": b"\x80\x04"
        + _dump("os")
        + _dump("system")
        + b"\x93"
        + _dump((shell,))
        + b"R.",
        "STACK_GLOBAL of a number": b"\x80\x04K\x01" + _dump("system") + b"\x93.",
        "BUILD with __setstate__": b"\x80\x02cargparse\nNamespace\n)\x81}"
        + _dump("__setstate__")
        + b"cos\nsystem\nsb"
        + _dump(shell)
        + b"b.",
        "BUILD of a global": b"\x80\x02ccollections\nOrderedDict\n"
        + _dump({"__call__": 1})
        + b"b.",
        "BUILD of a list": b"\x80\x02]" + _dump({"append": 1}) + b"b.",
        "REDUCE of a list": b"\x80\x02]" + _dump((shell,)) + b"R.",
        "REDUCE without a tuple": b"\x80\x02ccollections\nOrderedDict\n]R.",
        "PERSID": b"\x80\x02Pshell\n.",
        "BINPERSID": b"\x80\x02" + _dump(("storage", "x")) + b"Q.",
        "name in the memo": b"\x80\x04"
        + _dump("os")
        + b"\x94"
        + _dump("system")
        + b"\x940h\x00h\x01\x93"
        + _dump((shell,))
        + b"R.",
        "protocol 0": b"cos\nsystem\n(S" + quoted + b"\ntR.",
        "protocol 1": b"cos\nsystem\n(" + _dump(shell) + b"tR.",
        "TensorFlow network": dump((Call("dnnlib.tflib.network", "Network", "x"),)),
    }
    return pickles


def bombs() -> dict[str, bytes]:
    """Pickles that ask for much or never end."""
    storage = _float_storage(4)
    claim = _tensor(storage, 0, (1 << 40,), (0,))
    wide = _tensor(storage, 0, (1 << 31, 1 << 31), (1, 1))
    deep = b"\x80\x02" + b"]" * 40_000 + b"a" * 39_999 + b"."
    laughs = b"\x80\x02]q\x00" + b"".join(
        b"](" + b"h%c" % k * 10 + b"eq%c" % (k + 1) for k in range(40)
    )
    rebuild = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\n"
    return {
        "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x.",
        "huge text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x.",
        "huge text, 32 bit": b"\x80\x02X" + struct.pack("<I", 0xFFFFFFFF) + b"x.",
        "huge number": b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b"x.",
        "long number": b"\x80\x02\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20) + b".",
        "negative number length": b"\x80\x02\x8b" + struct.pack("<i", -1) + b".",
        "many digits": b"\x80\x02I" + b"9" * 100_000 + b"\n.",
        "huge bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 50) + b"x.",
        "huge frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"}.",
        "huge memo index": b"\x80\x02}r\xff\xff\xff\xff.",
        "tensor of 2^40": b"\x80\x02" + claim + b".",
        "tensor of 2^62": b"\x80\x02" + wide + b".",
        "tensor before its storage": b"\x80\x02" + _tensor(storage, -1, (2,), (1,)) + b".",
        "tensor behind its storage": b"\x80\x02" + _tensor(storage, 3, (2,), (1,)) + b".",
        "tensor of negative stride": b"\x80\x02" + _tensor(storage, 3, (2,), (-1,)) + b".",
        "storage of 2^40": rebuild + _dump((_stream(1 << 40, b""),)) + b"R" + b"tR.",
        "storage without magic": rebuild + _dump((b"no stream",)) + b"RtR.",
        "contains itself": b"\x80\x02]q\x00h\x00a.",
        "dict contains itself": b"\x80\x02}q\x00" + _dump("G_ema") + b"h\x00s.",
        "object contains itself": b"\x80\x02cargparse\nNamespace\n)\x81q\x00}"
        + _dump("a")
        + b"h\x00sb.",
        "deep": deep,
        "deep tuples": b"\x80\x02)" + b"\x85" * 40_000 + b".",
        "laughs": laughs + b".",
        "many instructions": b"\x80\x02" + b"N0" * 210_000 + b"N.",
        "many marks": b"\x80\x02" + b"(" * 410_000 + b".",
        "list as key": b"\x80\x02}]Ns.",
        "tuple as key": b"\x80\x02})Ns.",
        "list in a set": b"\x80\x04\x8f(]\x90.",
        "key without value": b"\x80\x02}(Nu.",
        "append to None": b"\x80\x02NNa.",
        **_copies(),
    }


def _copies() -> dict[str, bytes]:
    """One value of a few kilobytes to megabytes, named again and again, copied every time."""
    pairs = b"](" + b"".join(b"M" + struct.pack("<H", i) + b"N\x86" for i in range(30_000)) + b"e"
    numbers = b"](" + b"".join(b"M" + struct.pack("<H", i) for i in range(30_000)) + b"e"
    text = _dump("a" * 1_000_000)
    whole = _stream(1, b"\0" * 4)
    start = whole.index(b"(" + _dump("storage"))
    slow = whole[:start] + b"N0" * 20_000 + whole[start:]
    load = b"ctorch.storage\n_load_from_bytes\nh\x00\x85R"

    def again(value: bytes, call: bytes) -> bytes:
        return b"\x80\x04" + value + b"q\x000(" + call * 3_000 + b"l."

    return {
        "copies of a dictionary": again(pairs, b"ccollections\nOrderedDict\nh\x00\x85R"),
        "copies of a set": again(numbers, b"cbuiltins\nset\nh\x00\x85R"),
        "copies of a text": again(text, b"c_codecs\nencode\n(h\x00" + _dump("latin1") + b"tR"),
        "a slow storage, again and again": again(_dump(slow), load),
        "wide texts": b"\x80\x04(" + 20 * _dump("a" * 300_000 + "\U0001f600") + b"l.",
    }


def _stream(count: int, data: bytes) -> bytes:
    """PyTorch's stream with one float storage that claims `count` numbers."""
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    storage = b"\x80\x02(" + _dump("storage") + b"ctorch\nFloatStorage\n"
    storage += b"".join(map(_dump, ("0", "cpu", count, None))) + b"tQ."
    return (
        magic + dump(1001) + dump(system) + storage + dump(["0"]) + struct.pack("<q", count) + data
    )


def _float_storage(count: int) -> bytes:
    call = (_stream(count, b"\0" * 4 * count),)
    return b"ctorch.storage\n_load_from_bytes\n" + _dump(call) + b"R"


def _tensor(storage: bytes, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    rest = b"".join(map(_dump, (offset, shape, stride, False, None)))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"


def others(canary: Path, folder: Path) -> dict[str, bytes]:
    """Files of other kinds, archives that cheat, and networks of other kinds."""
    state = foreign.genforce_state()
    good = _saved(state, folder)
    members = _members(good)
    name = next(iter(members)).split("/")[0]
    evil = {**members, f"{name}/data.pkl": dump(Call("os", "system", f"touch {canary}"))}
    legacy = _saved(state, folder, zipped=False)
    trap = dump(Call("os", "system", f"touch {canary}"))
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    crc = good.replace(_first_numbers(state), b"\x01" * 16, 1)
    assert crc != good
    contents = {
        "one tensor": {"weight": torch.ones(2)},
        "a list": [1, 2, 3],
        "a number": 5,
        "a classifier": {"state_dict": {"fc.weight": torch.ones(2)}, "epoch": 3},
        "no tensors": {"g_ema": {"a": "b"}},
        "nothing": {},
    }
    return {
        "empty": b"",
        "one byte": b"\x80",
        "text": b"this is no checkpoint\n",
        "web page": b"<!DOCTYPE html><html>Quota exceeded</html>",
        "zeros": bytes(1000),
        "gzip": gzip.compress(good[:1000]),
        "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "tar": tar.getvalue(),
        "protocol 9": b"\x80\x09}.",
        "STOP alone": b"\x80\x02.",
        "no STOP": b"\x80\x02}",
        "unknown instruction": b"\x80\x02\xff.",
        "two values": b"\x80\x02NN.",
        "safetensors of another program": _foreign_safetensors(),
        "safetensors header too long": struct.pack("<Q", 1 << 31) + b"{" + bytes(100),
        "zip of text": _zip({"readme.txt": b"hello"}),
        "zip, trap inside": _zip(evil),
        "zip, compressed": _zip(members, zipfile.ZIP_DEFLATED),
        "zip bomb": _zip({**members, f"{name}/data/0": bytes(50_000_000)}, zipfile.ZIP_DEFLATED),
        "zip, member lies about its size": _lying_zip(),
        "zip, wrong checksum": crc,
        "zip, storage missing": _zip(
            {k: v for k, v in members.items() if not k.endswith("/data/3")}
        ),
        "zip, storage too short": _zip({**members, f"{name}/data/3": b"\0" * 4}),
        "zip, very many members": _zip_directory(120_000),
        "zip, one member under many names": _zip_directory(3_000, bytes(100_000)),
        "zip, TorchScript": _zip({f"{name}/data.pkl": b"\x80\x02c__torch__\nM\n)\x81}b."}),
        "one storage for all tensors": _saved(_shared(state), folder),
        "zip, big-endian": _zip({**members, f"{name}/byteorder": b"big"}),
        "stream, trap inside": legacy[: len(_stream_head())] + trap,
        "stream, trap in place of the tensors": _stream_head() + trap,
        "stream, wrong version": _stream_head().replace(b"\xe9\x03", b"\xe8\x03"),
        "stream, view of a storage": _stream(0, b"").replace(b"NtQ", b"KtQ", 1),
        **{key: _saved(value, folder) for key, value in contents.items()},
        **{f"legacy {key}": _saved(value, folder, zipped=False) for key, value in contents.items()},
    }


def _stream_head() -> bytes:
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    return magic + pickle.dumps(1001, 2) + pickle.dumps(system, 2)


def _first_numbers(state: dict[str, torch.Tensor]) -> bytes:
    return bytes(state["mapping.dense0.weight"].numpy().tobytes()[:16])


def _saved(contents: Any, folder: Path, zipped: bool = True) -> bytes:
    return foreign.save(contents, folder / "contents.pt", zipped).read_bytes()


def _members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _lying_zip() -> bytes:
    """A stored member that claims 2^31 bytes, in both headers."""
    data = b"x" * 64
    content = bytearray(_zip({"archive/data.pkl": data}))
    sizes = struct.pack("<III", zlib.crc32(data), 64, 64)
    lie = struct.pack("<III", zlib.crc32(data), 1 << 31, 1 << 31)
    assert content.count(sizes) == 2
    return bytes(content.replace(sizes, lie))


def _zip_directory(count: int, data: bytes = b"") -> bytes:
    """One member, which the directory lists `count` times under different names."""
    sizes = struct.pack("<III", zlib.crc32(data), len(data), len(data))
    start = b"PK\x03\x04" + struct.pack("<5H", 20, 0, 0, 0, 0) + sizes
    member = start + struct.pack("<2H", 1, 0) + b"x" + data
    head = b"PK\x01\x02" + struct.pack("<6H", 20, 20, 0, 0, 0, 0) + sizes
    tail = struct.pack("<5H2I", 6, 0, 0, 0, 0, 0, 0)
    directory = b"".join(head + tail + f"{i:06d}".encode() for i in range(count))
    shown = min(count, 0xFFFF)
    ends = struct.pack("<4H2IH", 0, 0, shown, shown, len(directory), len(member), 0)
    return member + directory + b"PK\x05\x06" + ends


def _shared(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A network whose tensors are all views of the same numbers, as many as the largest has."""
    numbers = torch.zeros(max(value.numel() for value in state.values()))
    return {
        name: value if "kernel" in name else numbers[: value.numel()].view(value.shape)
        for name, value in state.items()
    }


def _foreign_safetensors() -> bytes:
    from safetensors.torch import save

    return save({"weight": torch.ones(2)}, {"format": "pt"})
