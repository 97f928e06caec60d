"""The page under slow, greedy and malformed clients, through its real HTTP server."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the web page's packages are not installed")
pytest.importorskip("httpx2", reason="the test client of Starlette needs httpx2")

import httpx2 as httpx
import tiny
from starlette.testclient import TestClient

from duchenne.encoding.settings import EncodeSettings
from duchenne.motion.timeline import Timeline
from duchenne.web import app as studio_app
from duchenne.web import guard
from duchenne.web.guard import HEADER
from duchenne.web.settings import Access, Limits

ASK = {HEADER: "1"}
LIMITS = Limits(
    head_seconds=1.5, pause_seconds=2.0, patience=1.5, stalled_seconds=1.0, visitors=8,
    visitors_per_address=8, film_frames=60,
)  # fmt: skip


@contextlib.contextmanager
def served(limits: Limits = LIMITS, access: Access = Access(port=0)) -> Iterator[int]:  # noqa: B008
    """The port of a real server around the tiny generator."""
    studio = tiny.TinyStudio(EncodeSettings(steps=3))
    application = studio_app.create_app(studio, access, limits, warm=False)
    server, listening = studio_app.listen(application, access)
    with listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served() as number:
        yield number


def ended(sock: socket.socket, seconds: float) -> bool:
    """Whether the server ends this connection in that time."""
    sock.settimeout(seconds)
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def said(port: int, request: bytes) -> bytes:
    """The whole answer to some bytes, whatever they are."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(request)
        answer = b""
        with contextlib.suppress(OSError):
            while part := sock.recv(65536):
                answer += part
        return answer


HALF_HEAD = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-half: "
SLOW_BODY = (
    b"POST /api/photo HTTP/1.1\r\nhost: 127.0.0.1\r\nx-duchenne-studio: 1\r\n"
    b"content-length: 200000\r\n\r\n"
)


def test_300_slow_clients_do_not_keep_others_out(port: int) -> None:
    """From the address of the others, which is the hardest."""
    slow = [b"", HALF_HEAD, SLOW_BODY] * 100
    stop = threading.Event()
    clients: list[socket.socket] = []

    def attack() -> None:
        for start in slow:
            sock = socket.create_connection(("127.0.0.1", port))
            clients.append(sock)
            with contextlib.suppress(OSError):
                sock.sendall(start)
        while not stop.wait(0.5):
            for sock, start in zip(clients, slow, strict=True):
                with contextlib.suppress(OSError):
                    sock.sendall(b"x" if start else b"")

    attacker = threading.Thread(target=attack)
    attacker.start()
    times = []
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=ASK) as client:
            while len(times) < 30:
                start = time.monotonic()
                assert client.get("/api/about").status_code == 200
                times.append(time.monotonic() - start)
                time.sleep(0.05)
            assert client.post("/api/sample", json={"seed": 1}).status_code == 202
            client.post("/api/leave", json={})
    finally:
        stop.set()
        attacker.join()
    assert max(times) < 2
    for sock in clients:
        assert ended(sock, LIMITS.patience + 3)
        sock.close()


@pytest.mark.parametrize("start", [b"", HALF_HEAD, SLOW_BODY], ids=["nothing", "head", "body"])
def test_who_is_too_slow_is_let_go(start: bytes, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(start)
        begun = time.monotonic()
        while time.monotonic() - begun < 8:
            with contextlib.suppress(OSError):
                sock.sendall(start and b"x")
            if ended(sock, 0.3):
                break
        assert time.monotonic() - begun < LIMITS.patience + 3.5


def test_a_pause_has_an_end(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET /page/icon.svg HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
        assert ended(sock, LIMITS.pause_seconds + 2)


def test_an_answer_nobody_takes_has_an_end(port: int) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", port))
        one = b"GET /page/main.js HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
        with contextlib.suppress(OSError):
            sock.sendall(one * 600)
        time.sleep(LIMITS.stalled_seconds + 2.5)
        assert ended(sock, 1)


def test_slow_uploads_make_no_visitors() -> None:
    with served(replace(LIMITS, visitors=2, patience=30.0)) as port:
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        for sock in clients:
            sock.sendall(SLOW_BODY + b"xx")
        base = f"http://127.0.0.1:{port}"
        assert httpx.post(f"{base}/api/sample", json={"seed": 1}, headers=ASK).status_code == 202
        for sock in clients:
            sock.close()


def test_an_address_has_its_share_of_visitors() -> None:
    limits = replace(LIMITS, visitors=4, visitors_per_address=2)
    studio = tiny.TinyStudio(EncodeSettings(steps=3))
    app = studio_app.create_app(studio, Access(), limits, warm=False)

    def enter(address: str) -> int:
        base = "http://127.0.0.1:8460"
        client = TestClient(app, base_url=base, headers=ASK, client=(address, 1))
        return client.post("/api/sample", json={"seed": 1}).status_code

    with TestClient(app):
        assert [enter("192.0.2.1") for _ in range(3)] == [202, 202, 429]
        assert enter("192.0.2.2") == 202
        assert [enter(f"2001:db8::{i}") for i in range(2)] == [202, 429]  # four are here


def test_addresses_of_one_network_are_one_client() -> None:
    assert guard.client_of("2001:db8::1") == guard.client_of("2001:db8::2")
    assert guard.client_of("2001:db8::1") != guard.client_of("2001:db8:0:1::1")
    assert guard.client_of("::ffff:192.0.2.1") == guard.client_of("192.0.2.1") == "192.0.2.1"


# ---------------------------------------------------------------- malformed requests

H = b" HTTP/1.1\r\nhost: 127.0.0.1\r\n"
MALFORMED = {
    "a long number": b"GET /api/file/" + b"9" * 5000 + H + b"\r\n",
    "an open bracket in the host": b"GET / HTTP/1.1\r\nhost: [\r\n\r\n",
    "an open bracket as target": b"GET [" + H + b"\r\n",
    "another target": b"OPTIONS *" + H + b"\r\n",
    "a whole address": b"GET http://[::1/" + H + b"\r\n",
    "a length and chunks": b"POST /api/sample" + H + b"x-duchenne-studio: 1\r\n"
    b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /api/about" + H + b"\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two lengths": b"POST /login" + H + b"content-length: 1\r\ncontent-length: 2\r\n\r\nx",
    "a length of 5,000 digits": b"POST /login" + H + b"content-length: %b\r\n\r\n" % (b"9" * 5000),
    "a broken chunk": b"POST /api/sample" + H + b"x-duchenne-studio: 1\r\n"
    b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a second request that is none": b"GET /api/about" + H + b"\r\n\x00\x01\r\n\r\n",
    "a head without end": b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20_000,
    "a websocket": b"GET /api/about" + H + b"connection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n\r\n",
    "half a pair in a file's name": b"POST /api/photo?name=%ED%A0%80&quality=%ED%A0%80" + H
    + b"x-duchenne-studio: 1\r\ncontent-length: 0\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests_are_no_bugs(
    name: str, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    start = time.monotonic()
    with caplog.at_level(logging.ERROR):
        answer = said(port, MALFORMED[name])
    assert time.monotonic() - start < LIMITS.pause_seconds + 3
    assert b" 500 " not in answer
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert not [record for record in caplog.records if record.exc_info]
    assert b"HTTP/1.1 200" in said(port, b"GET /login" + H + b"connection: close\r\n\r\n")


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    tiny.see_golden(monkeypatch.setattr)
    studio = tiny.TinyStudio(EncodeSettings(steps=3))
    app = studio_app.create_app(studio, Access(names=("faces.lab",)), LIMITS, warm=False)
    with TestClient(app, base_url="http://127.0.0.1:8460", headers=ASK) as client:
        yield client


def sit(browser: TestClient) -> None:
    """A person is drawn, so that there is a face."""
    assert browser.post("/api/sample", json={"seed": 1}).status_code == 202
    while (state := browser.get("/api/job").json()["state"]) in ("waiting", "running"):
        time.sleep(0.01)
    assert state == "done"


@pytest.mark.parametrize(
    "content",
    [
        '{"seed": 1e400}', '{"seed": NaN}', '{"seed": ' + "9" * 5000 + "}",
        '{"seed": ' + "9" * 4000 + "}", '{"seed": "\\ud800"}', '{"\\ud800": {}}',
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "path", ["sample", "random", "preview", "picture", "film", "timeline/keys", "recipe", "face"]
)
def test_odd_json_is_refused(path: str, content: str, browser: TestClient) -> None:
    sit(browser)
    number = content.partition(": ")[2].rstrip("}")
    odd = f'{{"au": {{"AU12": {number}, "\\udc00": 1}}, "size": {number}, "fps": {number}, '
    odd += f'"keys": [["AU12", 0, 0], ["\\udc00", {number}, {number}]], "format": {number}, '
    odd += f'"index": {number}, {content[1:]}'
    for text in (content, odd):
        answer = browser.post(f"/api/{path}", content=text)
        assert answer.status_code < 500, answer.text
        assert path == "random" or answer.status_code >= 400 or path == "recipe", answer.text
        assert len(answer.text) < 700


# ---------------------------------------------------------------- who may ask


@pytest.mark.parametrize(
    "host",
    ["[::1].evil.com", "[::1]evil.com:80", "[::1", "::1]", "127.0.0.1:x", "127.0.0.1 ", "[v1.x]",
     "localhost@evil.com", "localhost/evil.com", "evil.com#localhost", "[localhost]", "a" * 300],
)  # fmt: skip
def test_odd_hosts_are_refused(host: str, browser: TestClient) -> None:
    assert browser.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:8460", "http://127.0.0.1:8460", 202),
        ("127.0.0.1:8460", "https://127.0.0.1:8460", 403),
        ("127.0.0.1:8460", "ftp://127.0.0.1:8460", 403),
        ("127.0.0.1:8460", "127.0.0.1:8460", 403),
        ("127.0.0.1:8460", "http://127.0.0.1:8461", 403),
        ("faces.lab", "https://faces.lab", 202),  # behind a proxy that adds TLS
        ("faces.lab", "http://faces.lab", 202),
        ("faces.lab", "https://faces.lab.evil.com", 403),
    ],
)
def test_an_origin_has_a_scheme(host: str, origin: str, status: int, browser: TestClient) -> None:
    headers = {"host": host, "origin": origin}
    answer = browser.post("/api/sample", json={"seed": 1}, headers=headers)
    assert answer.status_code == status


# ---------------------------------------------------------------- motions


def test_requests_of_one_visitor_do_not_mix(port: int) -> None:
    """200 with keys of their own, four at a time: each gets its own curve."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=ASK) as client:
        assert client.post("/api/sample", json={"seed": 1}).status_code == 202

        def ask(number: int) -> tuple[int, Any]:
            value = number / 200
            keys = [["AU12", 0, value, "linear"], ["AU12", 1 + number / 100, value, "linear"]]
            answer = client.post("/api/timeline/keys", json={"keys": keys, "fps": "10"})
            assert answer.status_code == 200, answer.text
            return number, answer.json()

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, range(1, 201)))
        client.post("/api/leave", json={})
    for number, course in answers:
        assert set(course["curves"]["AU12"]) == {round(number / 200, 3)}
        assert course["frames"] == 11 + -(-number // 10)


LONG = "frame, timestamp, confidence, success, AU12_r\n1, 0, 1, 1, 1\n2, 20000, 1, 1, 2\n"


@pytest.mark.parametrize("fps", ["240", "24", "1e999999999", "9" * 20])
def test_a_recording_too_long_is_refused_before_it_is_made(
    fps: str, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Timeline, "__post_init__", lambda self: pytest.fail("it was made"))
    browser.post("/api/sample", json={"seed": 1})
    start = time.monotonic()
    answer = browser.post("/api/timeline/file", params={"fps": fps}, content=LONG)
    assert answer.status_code == 422, answer.text
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "asked",
    [
        {"fps": "240", "keys": [["AU12", 0, 0], ["AU12", 86400, 1]]},
        {"fps": "24", "keys": [["AU12", 0, 0], ["AU12", 40, 1]], "loop": 20, "ping_pong": True},
        {"fps": "240", "recording": True},
        {"fps": "1e999999999", "keys": [["AU12", 0, 0], ["AU12", 1, 1]]},
    ],
)
def test_a_motion_too_long_is_refused_before_it_is_made(asked: Any, browser: TestClient) -> None:
    sit(browser)
    short = LONG.replace("20000", "40")
    loaded = browser.post("/api/timeline/file", params={"fps": "4"}, content=short)
    assert loaded.status_code == 200, loaded.text
    for path in ("timeline/keys", "film"):
        start = time.monotonic()
        answer = browser.post(f"/api/{path}", json={"format": "mp4", **asked})
        assert answer.status_code == 422, answer.text
        assert time.monotonic() - start < 2


def test_a_film_of_the_longest_has_a_table_that_may_come() -> None:
    """714 columns of OpenFace, coded at 60 frames a second, for all frames of a film."""
    limits = Limits()
    row = ", ".join(["123.456"] * 600 + ["1"] * 114)
    assert 15_000_000 < limits.film_frames * 60 / 24 * len(row) < limits.table_bytes


def test_the_table_of_a_whole_minute_is_read(browser: TestClient) -> None:
    names = [f"x_{i}" for i in range(677)]
    header = ", ".join(["frame", "timestamp", "confidence", "success", "AU12_r", *names])
    rest = ", ".join(["123.456"] * len(names))
    rows = (f"{i + 1}, {i / 30:.3f}, 0.98, 1, {i % 5}, {rest}" for i in range(140))
    browser.post("/api/sample", json={"seed": 1})
    content = "\n".join([header, *rows]) + "\n"
    assert 0.9 < len(content) / LIMITS.table_bytes < 1  # of what a film of 60 frames may have
    answer = browser.post("/api/timeline/file", params={"fps": "12"}, content=content)
    assert answer.status_code == 200, answer.text
    assert answer.json()["frames"] == 56
    assert json.loads(answer.text)["kind"] == "recording"


def test_no_file_is_left_of_what_was_refused(browser: TestClient) -> None:
    for content in (b"", b"no picture", b"x" * (LIMITS.photo_bytes + 1)):
        browser.post("/api/photo", content=content)
        while (job := browser.get("/api/job")).status_code == 200 and job.json()["state"] in (
            "waiting", "running",
        ):  # fmt: skip
            time.sleep(0.01)
    root: Path = browser.app.state.visitors.root  # type: ignore[attr-defined]
    assert not [path for path in root.rglob("*") if path.is_file()]
