"""What one command did: its stages, its outputs, and the JSON record of both."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..engine.stages import Stages, peak_memory
from ..errors import OutputError
from . import streams

if TYPE_CHECKING:
    from ..encoding.cache import Progress

log = logging.getLogger(__name__)

T = TypeVar("T")
STANDARD_OUTPUT = "-"


@dataclass
class Run:
    """One call of a command.

    settings: the command's parameters as they were given or defaulted, JSON-ready.
    facts: what else the record says; the commands add to it. outputs: files and folders written.
    """

    command: str
    settings: dict[str, Any]
    json_file: str | None = None
    stages: Stages = field(default_factory=Stages)
    facts: dict[str, Any] = field(default_factory=dict)
    outputs: list[Path] = field(default_factory=list)
    _before: dict[Path, dict[Path, Stamp]] = field(default_factory=dict)

    def watch(self, *outputs: str | Path | None) -> None:
        """Remember what is at the places of outputs before the work begins."""
        for path in outputs:
            if path is not None:
                self._before[Path(path)] = _stamps(Path(path))

    def appeared(self) -> list[str]:
        """What came to the watched places since then, complete, for people to read."""
        found = []
        for place, before in self._before.items():
            now = _stamps(place)
            fresh = sorted(path for path, stamp in now.items() if before.get(path) != stamp)
            if place.is_dir() and fresh:
                found.append(f"{len(fresh)} file{'s' * (len(fresh) != 1)} in {place}")
            else:
                found += map(str, fresh)
        return list(dict.fromkeys(found))

    def say(self, text: str) -> None:
        """A result, on stdout, or on stderr if the JSON goes to stdout."""
        click.echo(text, err=self.json_file == STANDARD_OUTPUT)

    def note(self, text: str) -> None:
        """Something to know, on stderr."""
        click.echo(text, err=True)

    def wrote(self, path: str | Path, about: str = "") -> None:
        """Record and report an output that is complete."""
        self.outputs.append(Path(path))
        self.say(f"{path}  {about}".rstrip())

    def read(self, name: str, path: str | Path) -> None:
        """Record an input file under `name`."""
        self.facts[name] = {"path": str(path), "sha256": _sha256(Path(path))}

    def check_outputs(self, inputs: Iterable[str | Path | None], outputs: Iterable[Path]) -> None:
        """OutputError if an output would replace an input: the only copy of a photo, perhaps."""
        sources = {Path(path).resolve() for path in inputs if path is not None}
        for path in (*outputs, *self._json_paths()):
            if path.resolve() in sources:
                raise OutputError(f"{path}: is an input of this command; choose another name")

    def check_json(self) -> None:
        """OutputError unless the record can be written."""
        from ..files import pictures

        for path in self._json_paths():
            pictures.check_writable(path, (".json",))

    def finish(self) -> None:
        """Write the record, if it was asked for."""
        if self.json_file is None:
            return
        from .. import __version__

        record = {
            "command": self.command,
            "version": __version__,
            "settings": self.settings,
            **self.facts,
            "outputs": [_described(path) for path in self.outputs],
            "seconds": {name: round(value, 3) for name, value in self.stages.seconds.items()},
            "peak_memory_bytes": peak_memory(),
        }
        text = json.dumps(record, indent=1, ensure_ascii=False, default=str)
        if self.json_file == STANDARD_OUTPUT:
            if not streams.takes(text):
                text = json.dumps(record, indent=1, default=str)
            click.echo(text)
            return
        from ..files import codes

        codes.write_atomically(f"{text}\n".encode(errors="surrogateescape"), Path(self.json_file))

    def check_said(self) -> None:
        """OutputError if what was printed is the result and was not taken, else a warning.

        Who closes a pipe has read what they wanted; a command that only prints then ends with 1.
        """
        error = streams.take_failure()
        printed = self.json_file == STANDARD_OUTPUT or not self.outputs
        if error is None or (error.errno == errno.EPIPE and not printed):
            return
        if error.errno == errno.EPIPE:
            raise click.exceptions.Exit(1)
        reason = f"standard output: could not be written ({error.strerror or error})"
        if printed:
            raise OutputError(reason)
        log.warning("%s; complete are %s", reason, ", ".join(map(str, self.outputs)))

    def _json_paths(self) -> list[Path]:
        return [] if self.json_file in (None, STANDARD_OUTPUT) else [Path(str(self.json_file))]


def recorded(function: Callable[..., None]) -> Callable[..., None]:
    """Decorator for the function of a command: it gets a Run first, and the option --json.

    Stands below the other decorators, right above the function.
    """

    @click.option(
        "--json",
        "json_file",
        metavar="FILE",
        help="Write what was done to FILE (.json): settings, times, outputs. - is stdout.",
    )
    @functools.wraps(function)
    def command(*, json_file: str | None, **parameters: Any) -> None:
        context = click.get_current_context()
        name = context.command_path.removeprefix("duchenne ")
        settings = {
            k: asdict(v) if is_dataclass(v) and not isinstance(v, type) else v
            for k, v in parameters.items()
        }
        run = Run(name, settings, json_file)
        run.watch(parameters.get("output"), parameters.get("picture"))
        context.find_root().obj = run
        run.check_json()
        function(run, **parameters)
        run.finish()
        run.check_said()

    return command


@contextmanager
def encoding_bar() -> Iterator[Progress]:
    """A progress bar with time left, from the first step, on stderr where that is a terminal."""
    from tqdm import tqdm

    with ExitStack() as opened:

        @functools.cache
        def bar_of(total: int) -> Any:
            bar = tqdm(total=total, desc="encoding", unit="step", disable=None, leave=False)
            return opened.enter_context(bar)

        def progress(done: int, total: int, loss: float) -> None:
            bar = bar_of(total)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(done - bar.n)

        yield progress


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for each named stage of a long job, on stderr where that is a terminal.

    What a resumed job finds done does not count for its pace.
    """
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def tell(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = tqdm(desc=stage, unit="", initial=done, disable=None, leave=False)
        bars[stage].total = total
        bars[stage].update(done - bars[stage].n)

    try:
        yield tell
    finally:
        for bar in bars.values():
            bar.close()


def with_bar(items: Iterable[T], total: int | None, what: str) -> Iterable[T]:
    """The items, counted by a progress bar on stderr where that is a terminal."""
    from tqdm import tqdm

    counted: Iterable[T] = tqdm(
        items, total=total, desc=what, unit="frame", disable=None, leave=False
    )
    return counted


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


Stamp = tuple[int, int, int]


def _stamps(place: Path) -> dict[Path, Stamp]:
    """The files of a folder, or those of one name whatever their suffix (a film and its table).

    Hidden ones are not yet complete, or not for people.
    """
    try:
        if place.is_dir():
            files = [p for p in place.rglob("*") if p.is_file()]
            files = [p for p in files if not any(n[0] == "." for n in p.relative_to(place).parts)]
        else:
            near = place.parent.iterdir()
            files = [p for p in near if p.stem == place.stem and p.is_file()]
        stats = ((path, path.stat()) for path in files)
        return {path: (s.st_ino, s.st_mtime_ns, s.st_size) for path, s in stats}
    except OSError:  # what is wrong there is said when it is used
        return {}


def _described(path: Path) -> dict[str, Any]:
    """What the record says of an output: a file's size and hash, a folder's count and size."""
    if path.is_dir():
        inside = (p for p in path.rglob("*") if p.is_file())
        shown = (p for p in inside if not any(n[0] == "." for n in p.relative_to(path).parts))
        sizes = [p.stat().st_size for p in shown]
        return {"path": str(path), "files": len(sizes), "bytes": sum(sizes)}
    return {"path": str(path), "bytes": path.stat().st_size, "sha256": _sha256(path)}
