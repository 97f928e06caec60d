"""The usual holes of a web server, tried on `duchenne serve`: inputs, answers, what got through.

    python benchmarks/scan.py -o out/scan.json

The server runs as it is installed, with a password and a token, and gets requests byte by byte, as
no browser would send them: paths out of its folders, other sites' requests, wrong tokens, smuggled
and injected headers, bodies that are too large or no JSON, wrong methods, what others left. Each
kind says which answers are right; anything else, an answer later than five seconds, a file of this
machine or of the server in the answer, a header that the request made up, or one missing that
protects the page is a finding, and the script then ends with 1. Slow clients are counted apart.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measuring import arguments, report
from scan_kinds import BEARER, HOST, KINDS, MARK, PASSWORD, TOKEN, Try, request

LATE = 5.0  # seconds
LEAKS = (b"root:x:", b"Traceback", b"site-packages", b"duchenne-studio-", b"[project]", b"/etc/")
PROTECTING = (b"content-security-policy", b"x-content-type-options", b"x-frame-options",
              b"referrer-policy", b"cache-control")  # fmt: skip


@dataclass
class Found:
    """What came of one kind."""

    tried: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    findings: list[str] = field(default_factory=list)


# ---------------------------------------------------------------- trying them


def answer_to(port: int, content: bytes) -> tuple[bytes, float]:
    """All that comes back, and after how many seconds it was there."""
    start, parts = time.monotonic(), []
    with socket.create_connection((HOST, port), timeout=30) as sock, contextlib.suppress(OSError):
        with contextlib.suppress(OSError):  # it may answer before it has all
            sock.sendall(content)
        while part := sock.recv(65_536):
            parts.append(part)
    return b"".join(parts), time.monotonic() - start


def judged(tried: Try, answer: bytes, seconds: float) -> tuple[int, str]:
    """The status, and what is wrong with the answer ("" if nothing)."""
    known = re.match(rb"HTTP/1\.1 ([0-9]{3}) ", answer)
    status = int(known[1]) if known else 0
    head, _, body = answer.lower().partition(b"\r\n\r\n")
    if answer and not known:
        return status, "an answer that is no HTTP"
    if status not in tried.right:
        return status, f"answered {status or 'nothing'}"
    if seconds > LATE:
        return status, f"answered after {seconds:.0f} s"
    for leak in (*LEAKS, *tried.forbidden):
        if leak.lower() in (head if leak.startswith(b"\n") else answer.lower()):
            return status, f"the answer holds {leak!r}"
    if b"\r\nserver:" in head:
        return status, "the answer names its server"
    if len(re.findall(rb"http/1\.1 [0-9]{3}", answer.lower())) > 1:
        return status, "two answers"
    # What the page never sees (no HTTP, a crowd) is one line of JSON without them.
    lacking = [name for name in PROTECTING if name not in head]
    if status not in (0, 400, 408, 503) and lacking:
        return status, f"lacks {lacking[0].decode()}"
    if status >= 400 and (b"application/json" not in head or len(body) > 700):
        return status, "a refusal that is no one line of JSON"
    return status, ""


def scan(port: int, kinds: Iterable[str] = tuple(KINDS)) -> dict[str, Found]:
    """Every request of these kinds, one after the other."""
    found = {}
    for kind in kinds:
        result = found[kind] = Found()
        for tried in KINDS[kind]():
            answer, seconds = answer_to(port, tried.request)
            status, wrong = judged(tried, answer, seconds)
            result.tried += 1
            result.answers[str(status or "closed")] += 1
            result.slowest = max(result.slowest, seconds)
            if wrong:
                result.findings.append(f"{wrong}: {tried.request[:150]!r}")
            if status == 202:  # it has become a visitor, who leaves again
                cookie = re.search(rb"duchenne_visitor=[^;]+", answer)
                mine = f"cookie: {cookie[0].decode()}" if cookie else MARK
                answer_to(port, request("POST", "/api/leave", BEARER, mine))
    return found


SLOW = {
    "nothing": (b"", b""),
    "half a head": (b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-half: ", b"x"),
    "a body byte by byte": (
        request("POST", "/api/photo", BEARER, "content-length: 200000", length=False), b"x",
    ),
}  # fmt: skip


def slow(port: int, clients: int) -> dict[str, dict[str, float]]:
    """Seconds until slow clients are let go, all of them at once, a byte each half second."""
    names = list(SLOW)
    open_ones = []
    for i in range(clients):
        sock = socket.create_connection((HOST, port))
        sock.sendall(SLOW[names[i % len(names)]][0])
        sock.setblocking(False)
        open_ones.append((names[i % len(names)], sock))
    start = time.monotonic()
    ended: dict[str, list[float]] = {name: [] for name in names}
    while open_ones and time.monotonic() - start < 60:
        time.sleep(0.5)
        for one in list(open_ones):
            name, sock = one
            try:
                sock.send(SLOW[name][1])
                over = not sock.recv(65_536)
            except BlockingIOError:
                over = False
            except OSError:
                over = True
            if over:
                ended[name].append(time.monotonic() - start)
                open_ones.remove(one)
                sock.close()
    for _, sock in open_ones:
        sock.close()
    return {
        name: {"clients": len(range(i, clients, len(names))), "let go": len(times),
               "latest, seconds": round(max(times, default=0.0), 1)}
        for i, (name, times) in enumerate(ended.items())
    }  # fmt: skip


def warmed_up(port: int) -> None:
    """Wait until a job is done at once: those of the scan would fill the queue before."""
    begun, _ = answer_to(port, request("POST", "/api/photo", BEARER, body=b"no picture"))
    (cookie,) = re.findall(rb"duchenne_visitor=[^;]+", begun)
    state = request("GET", "/api/job", BEARER, f"cookie: {cookie.decode()}")
    while b'"failed"' not in answer_to(port, state)[0]:
        time.sleep(0.2)


@contextlib.contextmanager
def serving() -> Iterator[int]:
    """The port of `duchenne serve` in a process of its own, with a password and a token."""
    command = [
        sys.executable,
        "-c",
        "from duchenne.cli import main; main()",
        "serve",
        "--port",
        "0",
    ]
    known = {"DUCHENNE_STUDIO_PASSWORD": PASSWORD, "DUCHENNE_STUDIO_TOKEN": TOKEN}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | known
    ) as server:
        assert server.stdout is not None
        try:
            port = int(re.findall(r":([0-9]+)/", server.stdout.readline())[0])
            yield port
        finally:
            server.terminate()


def table(results: dict[str, Any]) -> str:
    """The results for people to read."""
    lines = ["", "| tried | requests | answers | slowest | got through |", "|---|---|---|---|---|"]
    for kind, row in results["kinds"].items():
        answers = ", ".join(f"{n} x {status}" for status, n in sorted(row["answers"].items()))
        through = len(row["findings"])
        lines.append(
            f"| {kind} | {row['tried']} | {answers} | {row['slowest']:.2f} s | {through} |"
        )
    for kind, row in results["slow"].items():
        ended = f"{row['let go']} let go"
        lines.append(
            f"| slow: {kind} | {row['clients']} | {ended} | {row['latest, seconds']:.1f} s | "
            f"{row['clients'] - row['let go']} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=60, help="slow ones, at the same time")
    asked = parser.parse_args()
    with serving() as port:
        warmed_up(port)
        found = scan(port)
        waiting = slow(port, asked.clients)
        alive = b" 200 " in answer_to(port, request("GET", "/api/about", BEARER))[0][:20]
    kinds = {kind: vars(one) | {"answers": dict(one.answers)} for kind, one in found.items()}
    results = {
        "requests": sum(one.tried for one in found.values()), "kinds": kinds, "slow": waiting,
        "serves afterwards": alive,
    }  # fmt: skip
    print(table(results), file=sys.stderr)
    report(Path(__file__).stem, results, asked.output)
    if not alive or any(one.findings for one in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
