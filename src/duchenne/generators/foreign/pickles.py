"""Reads a pickle without running it.

A pickle is a program for a small stack machine. Python's own `pickle` carries it out: it imports
what the program names and calls it. This module follows the same program on inert values only. It
imports nothing and calls nothing that the file names: a name is looked up in a table of builders
that the caller gives (a few plain functions that check their arguments and make plain data), and a
name that is not there ends the reading with an error that says which name it was.

Limits, so that a small file cannot ask for much: the number of instructions and of what they copy,
over all pickles of a file (`Budget`), the length of a string or number, the depth of nesting; and a
structure that contains itself is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partialmethod
from typing import IO, Any, cast

from ...errors import WeightsError
from .budget import Budget
from .keys import plain_key

MAX_TEXT = 16 << 20  # bytes of a string: networks carry their source code, tens of kilobytes
MAX_DIGITS = 64  # bytes of an integer
MAX_DEPTH = 200  # of containers in containers
MAX_MEMO = 1 << 32  # numbers under which values are stored
SLICE_FROM = 1 << 16  # longer byte strings are not copied out of the file

# Instructions of formats that no checkpoint tool writes. INST, OBJ and the extension registry call
# or import by other routes; the string ones are Python 2's.
UNSUPPORTED = {
    *("INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID"),
    *("NEXT_BUFFER", "READONLY_BUFFER"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING"),
}
_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}


@dataclass(frozen=True)
class Global:
    """A name that the file refers to: never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return ascii(f"{self.module}.{self.name}")[1:-1]


@dataclass(eq=False)
class Record:
    """An object of a class that is kept as data: what the file says about it, nothing more."""

    kind: str
    args: tuple[Any, ...] = ()
    state: Any = None


Builder = Callable[[tuple[Any, ...]], Any]


@dataclass(frozen=True)
class Builders:
    """What a pickle may name, and what it may ask for.

    calls: by (module, name), functions from the call's arguments to plain data. They raise
        WeightsError for arguments that do not fit.
    names: (module, name) of classes that may be mentioned but not called (storage types).
    persistent: what a persistent id stands for; None where the format has none.
    """

    calls: Mapping[tuple[str, str], Builder]
    budget: Budget
    names: frozenset[tuple[str, str]] = frozenset()
    persistent: Callable[[Any], Any] | None = None


class Reader:
    """A file in memory, read from front to back; long byte strings come as views, uncopied."""

    def __init__(self, view: memoryview, start: int = 0) -> None:
        self.view = view
        self.position = start
        self.limit = len(view)

    def read(self, count: int) -> Any:
        """At most `count` bytes."""
        at = self.position
        if count > self.limit:
            raise WeightsError(f"at byte {at} it claims a value of {count} bytes, too much")
        piece = self.view[at : at + count]
        self.position += len(piece)
        return piece if len(piece) > SLICE_FROM else bytes(piece)

    def readline(self) -> bytes:
        piece = bytes(self.view[self.position : self.position + 4096])
        end = piece.find(b"\n") + 1
        if end == 0:
            raise WeightsError(f"an unterminated line at byte {self.position}")
        self.position += end
        return piece[:end]


def interpret(source: Reader, builders: Builders) -> Any:
    """Follow one pickle to its STOP; the source is left behind it.

    Returns plain data: numbers, strings, bytes (or views of the file), lists, tuples, dicts, sets,
    and what the builders return. Raises WeightsError, with the reason, for everything else.
    """
    machine = _Machine(builders)
    while True:
        builders.budget.step()
        start = source.position
        name, argument = _next_opcode(source)
        if name == "STOP":
            return _acyclic(machine.finish())
        try:
            machine.step(name, argument)
        except WeightsError as error:
            raise WeightsError(f"{error} (byte {start})") from None


def _next_opcode(source: Reader) -> tuple[str, Any]:
    start = source.position
    source.limit = len(source.view)
    code = source.read(1)
    opcode = _OPCODES.get(code.decode("latin-1"))
    if opcode is None:
        instead = f"the byte {code.hex()}" if code else "the end of the file"
        raise WeightsError(f"expected a pickle instruction at byte {start}, found {instead}")
    if opcode.name in UNSUPPORTED:
        raise WeightsError(f"the pickle instruction {opcode.name} at byte {start} is not allowed")
    if opcode.arg is None:
        return opcode.name, None
    if "UNICODE" in opcode.name:
        source.limit = MAX_TEXT
    elif "LONG" in opcode.name or opcode.name == "INT":
        source.limit = MAX_DIGITS
    try:
        if opcode.name == "GLOBAL":  # read here: pickletools would interpret escapes in the names
            return opcode.name, [source.readline()[:-1].decode() for _ in ("module", "name")]
        if opcode.name == "BYTEARRAY8":  # read as bytes: pickletools would copy them
            return opcode.name, pickletools.read_bytes8(cast(IO[bytes], source))
        return opcode.name, opcode.arg.reader(cast(IO[bytes], source))
    except (ValueError, EOFError, OverflowError) as error:
        raise WeightsError(f"damaged at byte {start}: {opcode.name}: {error}") from None


_MARK = object()


@dataclass
class _Machine:
    """The stack machine of a pickle, on inert values."""

    builders: Builders
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def finish(self) -> Any:
        value = self._pop()
        if self.stack:
            raise WeightsError("values left over at the end of the pickle")
        return value

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name in _LITERALS:
            if isinstance(argument, str):
                self.builders.budget.text(argument)
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name == "PROTO" and argument > 5:
            raise WeightsError(f"pickle protocol {argument}; protocols up to 5 are known")
        elif name not in ("PROTO", "FRAME"):
            handler = getattr(self, f"_do_{name.lower()}", None)
            if handler is None:
                raise WeightsError(f"the pickle instruction {name} is not allowed")
            handler(argument)

    # Stack

    def _pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise WeightsError("the pickle takes a value that it never made")
        return self.stack.pop()

    def _peek(self) -> Any:
        value = self._pop()
        self.stack.append(value)
        return value

    def _pop_to_mark(self, _: Any = None) -> list[Any]:
        items: list[Any] = []
        while self.stack:
            value = self.stack.pop()
            if value is _MARK:
                return items[::-1]
            items.append(value)
        raise WeightsError("the pickle closes a group that it never opened")

    def _do_mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def _do_pop(self, _: Any) -> None:
        if not self.stack:
            raise WeightsError("the pickle takes a value that it never made")
        self.stack.pop()

    _do_pop_mark = _pop_to_mark

    def _do_dup(self, _: Any) -> None:
        self.stack.append(self._peek())

    # Memo

    def _do_memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self._peek()

    def _put(self, index: int) -> None:
        if not 0 <= index < MAX_MEMO:
            raise WeightsError("the pickle stores a value under an impossible number")
        self.memo[index] = self._peek()

    def _get(self, index: int) -> None:
        if index not in self.memo:
            raise WeightsError(f"the pickle refers to value {index}, which it never stored")
        self.stack.append(self.memo[index])

    _do_put = _do_binput = _do_long_binput = _put
    _do_get = _do_binget = _do_long_binget = _get

    # Containers

    def _do_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._pop_to_mark()))

    def _tuple_of(self, count: int, _: Any) -> None:
        items = [self._pop() for _ in range(count)]
        self.stack.append(tuple(items[::-1]))

    _do_tuple1 = partialmethod(_tuple_of, 1)
    _do_tuple2 = partialmethod(_tuple_of, 2)
    _do_tuple3 = partialmethod(_tuple_of, 3)

    def _do_list(self, _: Any) -> None:
        self.stack.append(self._pop_to_mark())

    def _do_append(self, _: Any) -> None:
        item = self._pop()
        _expect(self._peek(), list, "APPEND").append(item)

    def _do_appends(self, _: Any) -> None:
        items = self._pop_to_mark()
        _expect(self._peek(), list, "APPENDS").extend(items)

    def _do_dict(self, _: Any) -> None:
        items = self._pop_to_mark()
        self.stack.append({})
        self._set_items(items)

    def _do_setitem(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _do_setitems(self, _: Any) -> None:
        self._set_items(self._pop_to_mark())

    def _set_items(self, items: list[Any]) -> None:
        target = _expect(self._peek(), dict, "SETITEMS")
        if len(items) % 2:
            raise WeightsError("a dictionary key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[plain_key(key)] = value

    def _do_additems(self, _: Any) -> None:
        items = self._pop_to_mark()
        _expect(self._peek(), set, "ADDITEMS").update(plain_key(item) for item in items)

    def _do_frozenset(self, _: Any) -> None:
        self.stack.append(frozenset(plain_key(item) for item in self._pop_to_mark()))

    # Names, and what becomes of them

    def _do_global(self, names: list[str]) -> None:
        self._name(*names)

    def _do_stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise WeightsError("a global whose name is not a string")
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        key = (module, name)
        if key not in self.builders.calls and key not in self.builders.names:
            raise WeightsError(_forbidden(Global(module, name)))
        self.stack.append(Global(module, name))

    def _do_reduce(self, _: Any) -> None:
        arguments, callee = self._pop(), self._pop()
        if not isinstance(callee, Global):
            raise WeightsError(f"it calls a {type(callee).__name__}")
        builder = self.builders.calls.get((callee.module, callee.name))
        if builder is None:
            raise WeightsError(_forbidden(callee))
        for argument in _expect(arguments, tuple, f"the call of {callee}"):
            if isinstance(argument, list | tuple | dict | set):
                self.builders.budget.step(len(argument))
            elif isinstance(argument, str):
                self.builders.budget.copy(len(argument))
        self.stack.append(builder(arguments))

    _do_newobj = _do_reduce  # a class and its arguments

    def _do_build(self, _: Any) -> None:
        state, target = self._pop(), self._peek()
        if isinstance(target, dict):
            return  # attributes of a state dict (`_metadata`): layer versions, not needed
        record = _expect(target, Record, "BUILD")
        if record.state is not None:
            raise WeightsError(f"two states for one {record.kind}")
        record.state = state

    def _do_binpersid(self, _: Any) -> None:
        if self.builders.persistent is None:
            raise WeightsError("a persistent id, which this format does not have")
        self.stack.append(self.builders.persistent(self._pop()))


_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}


def _forbidden(name: Global) -> str:
    if name.module.startswith("dnnlib.tflib"):
        return (
            f"it names {name}: this is a TensorFlow network; convert it to PyTorch first "
            "with NVIDIA's legacy.py (StyleGAN2) or GenForce's converter (StyleGAN)"
        )
    return f"it names {name}, which no generator checkpoint needs; the file may be harmful"


def _expect(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        instead = "a Record" if isinstance(value, Record) else f"a {type(value).__name__}"
        raise WeightsError(f"{where}: expected a {kind.__name__}, found {instead}")
    return value


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, Record):
        return [value.args, value.state]
    return list(value) if isinstance(value, list | tuple) else []


def _acyclic(root: Any) -> Any:
    """Raise for a structure that contains itself, or is nested too deeply. Linear in its size."""
    done: set[int] = set()
    path: dict[int, Any] = {id(root): root}  # also keeps temporary tuples alive, so ids stay valid
    stack = [(id(root), iter(_children(root)))]
    while stack:
        key, children = stack[-1]
        child = next(children, _MARK)
        if child is _MARK:
            stack.pop()
            del path[key]
            done.add(key)
        elif isinstance(child, dict | list | tuple | Record) and id(child) not in done:
            if id(child) in path:
                raise WeightsError(f"a {type(child).__name__} that contains itself")
            if len(stack) >= MAX_DEPTH:
                raise WeightsError(f"containers nested more than {MAX_DEPTH} deep")
            path[id(child)] = child
            stack.append((id(child), iter(_children(child))))
    return root
