"""Reads what `pickle.dump` and `torch.save` write, without running it.

Four containers: a plain pickle (NVIDIA's networks), PyTorch's zip archive, PyTorch's older stream
of pickles, and that stream once more inside a plain pickle, where each tensor's storage is a byte
string of its own. All pickles go through `pickles.interpret`. Tensors stay claims about bytes of
the file (`StoredTensor`), checked against the bytes that are there, until they are asked for: what
nobody asks for is never copied, and no claim can allocate more than the file holds.

`torch.load(weights_only=True)` is not used: it does not read NVIDIA's pickles or training
checkpoints that carry their command line, and up to PyTorch 2.5 it could be made to run code
(CVE-2025-32434).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import WeightsError
from . import zips
from .budget import Budget
from .keys import plain_key
from .pickles import Builder, Builders, Global, Reader, Record, interpret

MAGIC = 0x1950A86A20F9469CFC6C  # first value of PyTorch's stream format (torch.serialization)
STREAM_VERSION = 1001
MAX_RANK = 8

Calls = Mapping[tuple[str, str], Builder]

DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_NUMPY_FORMATS = {"f8": "d", "f4": "f", "i8": "q", "i4": "i", "u8": "Q", "u4": "I", "b1": "?"}


@dataclass(eq=False)
class Storage:
    """A run of numbers in the file. data: None until the stream has reached it."""

    dtype: torch.dtype
    count: int
    data: memoryview | None = None

    @property
    def place(self) -> int:
        """Where its numbers lie: the same for two claims about the same bytes."""
        if self.data is None or not len(self.data):
            return 0
        return np.frombuffer(self.data, np.uint8).ctypes.data


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor that the file describes, checked to lie inside its storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def read(self) -> Tensor:
        """Its values, as float32, contiguous. Raises WeightsError for whole numbers."""
        dtype, data = self.storage.dtype, self.storage.data
        if not dtype.is_floating_point:
            raise WeightsError(f"expected floating-point numbers, found {dtype}")
        if math.prod(self.shape) == 0:
            return torch.empty(self.shape)
        assert data is not None  # every reader fills its storages before it returns
        last = self.offset + _reach(self.shape, self.stride)
        used = data[self.offset * dtype.itemsize : (last + 1) * dtype.itemsize]
        flat = torch.frombuffer(bytearray(used), dtype=dtype)
        return flat.as_strided(self.shape, self.stride).to(torch.float32).contiguous()


def read_archive(view: memoryview) -> Any:
    """The contents of a pickle, a PyTorch zip archive or a PyTorch stream, told by content.

    view: the whole file; tensors keep pointing into it. Returns plain data with `StoredTensor`
    and `Record` in it; raises WeightsError with the reason.
    """
    budget = Budget(len(view))
    inner: Calls = {("torch.storage", "_load_from_bytes"): partial(_storage_in_bytes, budget)}
    calls = {**_CALLS, **inner}
    if bytes(view[:4]) == b"PK\x03\x04":
        return _read_zip(view, calls, budget)
    if _is_stream(view):
        return _read_stream(view, calls, budget)
    return interpret(Reader(view), Builders(calls, budget))


# Containers


def _is_stream(view: memoryview) -> bool:
    """Whether the file begins with PyTorch's magic number, pickled with protocol 2."""
    return bytes(view[:14]) == b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little")


def _read_stream(view: memoryview, calls: Calls, budget: Budget) -> Any:
    """PyTorch's format before 1.6: five pickles, then every storage: its length, its numbers.

    calls: what the pickle of the contents may call.
    """
    source = Reader(view)
    plain = Builders({}, budget)
    storages: dict[Any, Storage] = {}
    if interpret(source, plain) != MAGIC or interpret(source, plain) != STREAM_VERSION:
        raise WeightsError(f"expected a PyTorch stream of version {STREAM_VERSION}")
    system = interpret(source, plain)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise WeightsError("expected a PyTorch stream of little-endian numbers")

    def storage(key: str, dtype: torch.dtype, count: int) -> Storage:
        known = storages.setdefault(key, Storage(dtype, count))
        if (known.dtype, known.count) != (dtype, count):
            raise WeightsError(f"two different claims about storage {key!a}")
        return known

    contents = interpret(source, Builders(calls, budget, _STORAGE_NAMES, _persistent(storage)))
    keys = interpret(source, plain)
    if not isinstance(keys, list) or len(set(map(plain_key, keys))) != len(keys):
        raise WeightsError("expected a list of storage names")
    if set(keys) != set(storages):
        raise WeightsError("the storages that are named are not those that are there")
    for key in keys:
        _fill(storages[key], source)
    return contents


def _fill(storage: Storage, source: Reader) -> None:
    """Find one storage's numbers in a stream."""
    here, size = source.position, storage.count * storage.dtype.itemsize
    head = bytes(source.view[here : here + 8])
    if len(head) < 8:
        raise WeightsError(f"truncated: the file ends at byte {len(source.view)}, inside a tensor")
    (count,) = struct.unpack("<q", head)
    if count != storage.count:
        raise WeightsError(f"a storage of {count} numbers where {storage.count} were announced")
    storage.data = source.view[here + 8 : here + 8 + size]
    if len(storage.data) < size:
        raise WeightsError(f"truncated: the file ends at byte {len(source.view)}, inside a tensor")
    source.position = here + 8 + size


def _read_zip(view: memoryview, calls: Calls, budget: Budget) -> Any:
    """PyTorch's zip archive: `data.pkl`, and one stored (never compressed) member per storage."""
    members = zips.members(view)
    pickles = [name for name in members if name.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise WeightsError("a zip archive without PyTorch's data.pkl")
    folder = pickles[0].split("/")[0]
    order = members.get(f"{folder}/byteorder")
    if order is not None and bytes(order[:16]) != b"little":
        raise WeightsError("expected little-endian numbers")

    def storage(key: str, dtype: torch.dtype, count: int) -> Storage:
        data = members.get(f"{folder}/data/{key}")
        if data is None:
            raise WeightsError(f"the archive lacks the numbers of storage {key!a}")
        if len(data) != count * dtype.itemsize:
            raise WeightsError(f"storage {key!a}: {count} {dtype} announced, {len(data)} bytes")
        return Storage(dtype, count, data)

    builders = Builders(calls, budget, _STORAGE_NAMES, _persistent(storage))
    return interpret(Reader(members[pickles[0]]), builders)


# What a pickle may say, and what it becomes

StorageFinder = Callable[[str, torch.dtype, int], Storage]


def _persistent(find: StorageFinder) -> Callable[[Any], Storage]:
    """Read ('storage', type, key, device, count[, None]): a storage that lies elsewhere."""

    def build(claim: Any) -> Storage:
        if not isinstance(claim, tuple) or len(claim) not in (5, 6) or claim[0] != "storage":
            raise WeightsError("expected a reference to a storage")
        kind, key, count = claim[1], claim[2], claim[4]
        if not isinstance(kind, Global) or kind.name not in DTYPES:
            raise WeightsError("a storage of unknown type")
        if not isinstance(key, str) or not _is_count(count):
            raise WeightsError("a storage without a proper name or length")
        if len(claim) == 6 and claim[5] is not None:
            raise WeightsError("a view of a storage (PyTorch before 0.4): not supported")
        return find(key, DTYPES[kind.name], count)

    return build


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 48


def _reach(shape: tuple[int, ...], stride: tuple[int, ...]) -> int:
    """Distance from a tensor's first number to its last in the storage."""
    return sum((size - 1) * step for size, step in zip(shape, stride, strict=True))


def _tensor(args: tuple[Any, ...]) -> StoredTensor:
    """torch._utils._rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, hooks)."""
    if len(args) < 4 or not isinstance(args[0], Storage):
        raise WeightsError("a tensor without a storage")
    storage, offset, shape, stride = args[:4]
    lists = isinstance(shape, tuple) and isinstance(stride, tuple) and len(shape) == len(stride)
    if not lists or not all(map(_is_count, (offset, *shape, *stride))) or len(shape) > MAX_RANK:
        raise WeightsError("a tensor of impossible shape")
    count = math.prod(shape)
    if count > storage.count or (count and offset + _reach(shape, stride) >= storage.count):
        raise WeightsError(f"a tensor of shape {list(shape)} in a storage of {storage.count}")
    return StoredTensor(storage, offset, shape, stride)


def _parameter(args: tuple[Any, ...]) -> StoredTensor:
    """torch._utils._rebuild_parameter(tensor, requires_grad, hooks)."""
    if not args or not isinstance(args[0], StoredTensor):
        raise WeightsError("a parameter without a tensor")
    return args[0]


def _storage_in_bytes(budget: Budget, args: tuple[Any, ...]) -> Storage:
    """torch.storage._load_from_bytes(bytes): a whole PyTorch stream that holds one storage."""
    if len(args) != 1 or not isinstance(args[0], bytes | memoryview):
        raise WeightsError("a storage without its bytes")
    view = memoryview(args[0])
    if not _is_stream(view):
        raise WeightsError("a storage that is not a PyTorch stream")
    contents = _read_stream(view, {}, budget)  # no calls: a stream inside a stream has no end
    if not isinstance(contents, Storage):
        raise WeightsError("expected a storage in a storage's bytes")
    return contents


def _ordered_dict(args: tuple[Any, ...]) -> dict[Any, Any]:
    """collections.OrderedDict() or OrderedDict([[key, value], ...])."""
    if not args:
        return {}
    pairs = args[0]
    if len(args) != 1 or not isinstance(pairs, list):
        raise WeightsError("an ordered dictionary of something else than pairs")
    result = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise WeightsError("an ordered dictionary of something else than pairs")
        result[plain_key(pair[0])] = pair[1]
    return result


def _set(args: tuple[Any, ...]) -> set[Any]:
    if not args:
        return set()
    if len(args) != 1 or not isinstance(args[0], list):
        raise WeightsError("a set of something else than a list")
    return {plain_key(item) for item in args[0]}


def _persistent_object(args: tuple[Any, ...]) -> Record:
    """torch_utils.persistence._reconstruct_persistent_obj(meta): kept as data, never run.

    meta: {type: 'class', version, module_src, class_name, state}. The original runs `module_src`.
    """
    meta = args[0] if len(args) == 1 else None
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise WeightsError("a persistent object without its description")
    name, state = meta.get("class_name"), meta.get("state")
    if not isinstance(name, str) or not isinstance(state, dict):
        raise WeightsError("a persistent object without a class name or state")
    return Record(name, state=state)


def _keep(kind: str) -> Builder:
    return lambda args: Record(kind, args)


def _bytes_of_text(args: tuple[Any, ...]) -> bytes:
    """_codecs.encode(text, 'latin1'): how protocols below 3 write bytes."""
    if len(args) != 2 or not isinstance(args[0], str) or args[1] != "latin1":
        raise WeightsError("bytes in an unknown encoding")
    try:
        return args[0].encode("latin1")
    except UnicodeEncodeError:
        raise WeightsError("bytes in an unknown encoding") from None


def _numpy_scalar(args: tuple[Any, ...]) -> float | int | bool:
    """numpy's scalar(dtype, bytes): the gains in NVIDIA's networks are numpy's floats."""
    dtype = args[0] if len(args) == 2 else None
    name = dtype.args[0] if isinstance(dtype, Record) and dtype.args else None
    code = _NUMPY_FORMATS.get(name) if isinstance(name, str) else None
    if code is None or not isinstance(args[1], bytes):
        raise WeightsError("a numpy scalar of unknown type")
    if len(args[1]) != struct.calcsize(code):
        raise WeightsError(f"a numpy {name} of {len(args[1])} bytes")
    value: float | int | bool = struct.unpack(f"<{code}", args[1])[0]
    return value


def _array(args: tuple[Any, ...]) -> Record:
    """numpy's _reconstruct or _frombuffer: kept as data; no network's weights are arrays."""
    return Record("numpy array", args)


_NUMPY = ("numpy.core", "numpy._core")  # before and from numpy 2
_CALLS: Calls = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("dnnlib.util", "EasyDict"): _ordered_dict,
    ("builtins", "set"): _set,
    ("__builtin__", "set"): _set,
    ("builtins", "frozenset"): _set,
    ("__builtin__", "frozenset"): _set,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch", "Size"): lambda args: tuple(args[0]) if args and isinstance(args[0], tuple) else (),
    ("torch", "device"): _keep("torch.device"),
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent_object,
    ("argparse", "Namespace"): _keep("argparse.Namespace"),
    ("_codecs", "encode"): _bytes_of_text,
    ("numpy", "dtype"): _keep("numpy.dtype"),
    ("numpy", "ndarray"): _keep("numpy.ndarray"),
    **{(f"{package}.multiarray", "scalar"): _numpy_scalar for package in _NUMPY},
    **{(f"{package}.multiarray", "_reconstruct"): _array for package in _NUMPY},
    **{(f"{package}.numeric", "_frombuffer"): _array for package in _NUMPY},
}
_STORAGE_NAMES = frozenset(("torch", name) for name in DTYPES)
