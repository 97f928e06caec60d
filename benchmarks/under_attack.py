"""How long an honest visitor of the web page waits while others attack it.

    python benchmarks/under_attack.py -o out/under_attack.json

`duchenne serve` runs as it is installed. One visitor draws a person and moves a slider every half
second: alone; beside two visitors who move theirs without a pause; and for two minutes beside those
and 300 slow clients (a third each say nothing, half a head, or two bytes a second of an upload; who
is let go comes back at once), giant uploads and malformed requests. The attackers have other
addresses (127.0.0.2 to .7), or with --same-address the visitor's own. Linux only: there all of
127.0.0.0/8 is this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from measuring import SEED, arguments, report

from duchenne import facs

HEADERS = {"x-duchenne-studio": "1", "content-type": "application/json"}
HOST = "127.0.0.1"
SLOW_CLIENTS = 300
PHASES = ("alone", "beside two others", "attacked too")
PAUSE = 0.5  # seconds between the honest visitor's questions
LOOK = b"host: 127.0.0.1\r\nx-duchenne-studio: 1\r\n"
UPLOAD = b"POST /api/photo HTTP/1.1\r\n" + LOOK
SLOW = {
    "silent": (b"", b""),
    "half a head": (b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-half: ", b"x"),
    "two bytes a second": (UPLOAD + b"content-length: 200000\r\n\r\n", b"xx"),
}
MALFORMED = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET [ HTTP/1.1\r\nhost: [\r\n\r\n",
    b"POST /login HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n",
    b"POST /api/sample HTTP/1.1\r\n" + LOOK + b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000,
    b"GET /api/file/" + b"9" * 5000 + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
)
GIANT = (
    (UPLOAD + b"content-length: 10000000000\r\n\r\n", b"x" * 65_536),
    (UPLOAD + b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
)


class Visitor:
    """One browser, on a connection that stays open."""

    def __init__(self, port: int, address: str = HOST) -> None:
        self.connection = http.client.HTTPConnection(
            HOST, port, timeout=120, source_address=(address, 0)
        )
        self.cookie = ""

    def ask(self, method: str, path: str, content: Any = None) -> tuple[int, bytes]:
        body = None if content is None else json.dumps(content)
        self.connection.request(method, path, body, {**HEADERS, "cookie": self.cookie})
        answer = self.connection.getresponse()
        data = answer.read()
        if given := answer.getheader("set-cookie"):
            self.cookie = given.partition(";")[0]
        return answer.status, data

    def sit(self, seed: int) -> None:
        """Become the visitor of a synthetic person."""
        status, said = self.ask("POST", "/api/sample", {"seed": seed})
        if status != 202:
            raise RuntimeError(f"{status} {said!r}")
        while json.loads(self.ask("GET", "/api/job")[1])["state"] in ("waiting", "running"):
            time.sleep(0.2)

    def preview(self, turn: int) -> int:
        """The status of a question for a small picture."""
        code = facs.PAPER[turn % len(facs.PAPER)]
        au = {code: 0.2 + 0.01 * (turn % 70)}
        return self.ask("POST", "/api/preview", {"size": 256, "au": au})[0]


def honest(visitor: Visitor, port: int, seconds: float) -> dict[str, Any]:
    """What one visitor waits for a preview, and for the page itself on a new connection."""
    waits: list[float] = []
    pages: list[float] = []
    statuses: Counter[str] = Counter()
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        turn += 1
        waits.append(timed(lambda: visitor.preview(turn), statuses))  # noqa: B023
        pages.append(timed(lambda: Visitor(port).ask("GET", "/")[0], statuses))
        time.sleep(PAUSE)
    return {"preview": summary(waits), "new connection": summary(pages), "answers": dict(statuses)}


def timed(ask: Callable[[], int], statuses: Counter[str]) -> float:
    """Seconds of a question; its answer is counted, also none at all."""
    start = time.monotonic()
    try:
        statuses[str(ask())] += 1
    except (OSError, http.client.HTTPException) as error:
        statuses[type(error).__name__] += 1
    return time.monotonic() - start


def summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "count": len(ordered),
        "median": round(statistics.median(ordered), 3),
        "p90": round(ordered[round(0.9 * (len(ordered) - 1))], 3),
        "worst": round(ordered[-1], 3),
    }


class Attack:
    """All attackers, on an event loop of their own. seen: what became of each kind."""

    def __init__(self, port: int, addresses: list[str]) -> None:
        self.port, self.addresses = port, addresses
        self.seen: dict[str, Counter[str]] = {}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        self._stop = threading.Event()

    def __enter__(self) -> Attack:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(30)

    async def _all(self) -> None:
        kinds = list(SLOW)
        tasks = [
            self._forever(kinds[i % 3], self._slow, i, kinds[i % 3]) for i in range(SLOW_CLIENTS)
        ]
        tasks += [self._forever("giant upload", self._giant, i, i % 2) for i in range(6)]
        tasks += [self._forever("malformed", self._malformed, i, i) for i in range(6)]
        attackers = [asyncio.create_task(task) for task in tasks]
        while not self._stop.is_set():
            await asyncio.sleep(0.1)
        for attacker in attackers:
            attacker.cancel()
        await asyncio.gather(*attackers, return_exceptions=True)

    async def _forever(
        self, name: str, attack: Callable[..., Awaitable[str]], number: int, what: Any
    ) -> None:
        seen = self.seen.setdefault(name, Counter())
        address = self.addresses[number % len(self.addresses)]
        while True:
            seen["connections"] += 1
            try:
                reader, writer = await asyncio.open_connection(
                    HOST, self.port, local_addr=(address, 0)
                )
            except OSError:
                seen["not connected"] += 1
                await asyncio.sleep(1)
                continue
            try:
                seen[await attack(reader, writer, what)] += 1
            except OSError:
                seen["let go"] += 1
            finally:
                writer.close()
            await asyncio.sleep(0.2)

    async def _slow(self, reader: Any, writer: Any, kind: str) -> str:
        start, more = SLOW[kind]
        writer.write(start)
        end = asyncio.ensure_future(reader.read(65_536))
        while not end.done():
            writer.write(more)
            await asyncio.wait([end], timeout=1)
        return status_of(end.result())

    async def _giant(self, reader: Any, writer: Any, which: int) -> str:
        start, piece = GIANT[which]
        writer.write(start)
        end = asyncio.ensure_future(reader.read(65_536))
        while not end.done():
            writer.write(piece)
            await asyncio.wait_for(writer.drain(), 30)
            await asyncio.wait([end], timeout=0.01)
        return status_of(end.result())

    async def _malformed(self, reader: Any, writer: Any, which: int) -> str:
        writer.write(MALFORMED[which % len(MALFORMED)])
        return status_of(await asyncio.wait_for(reader.read(65_536), 30))


def status_of(answer: bytes) -> str:
    return answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/1.1 ") else "let go"


def crowd(port: int, address: str, seed: int, stop: threading.Event, seen: Counter[str]) -> None:
    """One more visitor, who asks without a pause."""
    turn = 0
    with contextlib.suppress(RuntimeError, OSError, http.client.HTTPException):
        visitor = Visitor(port, address)
        visitor.sit(seed)
        while not stop.is_set():
            turn += 1
            seen[str(visitor.preview(turn))] += 1


@contextlib.contextmanager
def serving(port: int) -> Iterator[Any]:
    """`duchenne serve` in a process of its own."""
    command = [sys.executable, "-c", "from duchenne.cli import main; main()", "serve"]
    process = subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                Visitor(port).ask("GET", "/api/about")
                break
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def table(results: dict[str, Any]) -> str:
    """The results for people to read."""
    lines = [
        "",
        "| honest visitor | questions | median | p90 | worst | answers |",
        "|---|---|---|---|---|---|",
    ]
    for when in PHASES:
        for what in ("preview", "new connection"):
            row = results[when][what]
            numbers = " | ".join(f"{row[k]:.3f} s" for k in ("median", "p90", "worst"))
            answers = ", ".join(f"{n} x {k}" for k, n in results[when]["answers"].items())
            lines.append(f"| {when}, {what} | {row['count']} | {numbers} | {answers} |")
    lines += ["", "| attackers | what became of them |", "|---|---|"]
    for name, seen in results["attackers"].items():
        lines.append(f"| {name} | {', '.join(f'{n} x {k}' for k, n in seen.items())} |")
    return "\n".join(lines)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of the attack")
    parser.add_argument("--quiet", type=float, default=30.0, help="seconds of each phase before it")
    parser.add_argument("--port", type=int, default=8461)
    parser.add_argument("--same-address", action="store_true", help="all of them have one address")
    asked = parser.parse_args()
    import psutil

    addresses = [HOST] if asked.same_address else [f"127.0.0.{i}" for i in range(2, 8)]
    with serving(asked.port) as process:
        visitor = Visitor(asked.port)
        visitor.sit(SEED)
        honest(visitor, asked.port, 5)  # compiles
        alone, busy, attacked = PHASES
        results: dict[str, Any] = {alone: honest(visitor, asked.port, asked.quiet)}
        stop, others = threading.Event(), Counter[str]()
        crowds = [
            threading.Thread(target=crowd, args=(asked.port, addresses[0], 100 + i, stop, others))
            for i in range(2)
        ]
        for one in crowds:
            one.start()
        time.sleep(20)  # they draw their persons, and what they move is compiled
        results[busy] = honest(visitor, asked.port, asked.quiet)
        with Attack(asked.port, addresses) as attack:
            results[attacked] = honest(visitor, asked.port, asked.seconds)
        stop.set()
        for one in crowds:
            one.join(30)
        results["attackers"] = {name: dict(seen) for name, seen in attack.seen.items()}
        results["attackers"]["two more visitors, previews"] = dict(others)
        results["server_memory_bytes"] = psutil.Process(process.pid).memory_info().rss
    results |= {"seconds": asked.seconds, "same_address": asked.same_address}
    print(table(results), file=sys.stderr)
    report(Path(__file__).stem, results, asked.output)


if __name__ == "__main__":
    main()
