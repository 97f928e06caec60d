"""Requests that look for the usual holes,
by kind; benchmarks/scan.py sends them and judges the answers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

HOST = "127.0.0.1"
TOKEN = "the-token-of-the-scan-0123456789"
PASSWORD = "the password of the scan"
GETS = ("/api/about", "/api/state", "/api/photo", "/api/job", "/api/region/mouth", "/api/file/1")
POSTS = (
    "/login", "/api/photo", "/api/face", "/api/sample", "/api/job/cancel", "/api/preview",
    "/api/profile", "/api/random", "/api/recipe", "/api/picture", "/api/timeline/file",
    "/api/timeline/keys", "/api/film", "/api/leave",
)  # fmt: skip
MARK = "x-duchenne-studio: 1"
BEARER = f"authorization: Bearer {TOKEN}"


@dataclass(frozen=True)
class Try:
    """One request. right: the statuses that are, 0 for a connection that is closed unanswered.

    forbidden: what the answer must not hold, beside what none may.
    """

    request: bytes
    right: frozenset[int]
    forbidden: tuple[bytes, ...] = ()


def request(
    method: str, path: str, *headers: str, body: bytes = b"", host: str = HOST, length: bool = True
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", "connection: close", *headers]
    if length and (body or method == "POST"):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def right(*statuses: int) -> frozenset[int]:
    return frozenset(statuses)


def traversal() -> Iterator[Try]:
    """Out of the folders of the page, the results and the server."""
    up = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..\\", "%252e%252e%252f", "....//",
          "..;/", "%c0%ae%c0%ae/", "..%c0%af", "%uff0e%uff0e/", ".%00./",
          "..%ef%bc%8f")  # fmt: skip
    ends = ("etc/passwd", "pyproject.toml", "app.py", "proc/self/environ", "index.html%00.css")
    starts = ("/page/", "/api/file/", "/api/region/", "/")
    for start, step, end in itertools.product(starts, up, ends):
        for times in (1, 3, 8):
            yield Try(
                request("GET", start + step * times + end, BEARER), right(400, 404, 410), (b"def ",)
            )
    whole = ("//etc/passwd", "/page//etc/passwd", "/page/%2fetc%2fpasswd", "/page/C:%5cboot.ini",
             "/page/\\\\host\\share", "file:///etc/passwd", "/page/~root/.profile", "/page/.",
             "/page/..", "/page/%00", "/page/con", "/page/main.js/", "/page/main.js%20",
             "//evil.example/", "//evil.example/%2f..",
             "/.git/config", "/.env", "/docs", "/openapi.json", "/metrics")  # fmt: skip
    for path in whole:
        yield Try(request("GET", path, BEARER), right(400, 404, 410))


def names() -> Iterator[Try]:
    """Names of uploads, which come back in messages and in the name of a download."""
    for name in ("%0d%0ax-injected:%201", "%0ax-injected:%201", "../../../tmp/x", "%00", "a" * 5000,
                 "%22;%20filename=x.html", "%E2%80%AE.exe", "%ff%fe", "<script>",
                 "C:%5cx"):  # fmt: skip
        line = request("POST", f"/api/photo?name={name}", BEARER, body=b"no picture")
        yield Try(line, right(202), (b"x-injected", b"<script>"))


def cross_site() -> Iterator[Try]:
    """What pages of other sites can make a browser send, with the cookies of a visitor."""
    others = ("http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1",
              "http://127.0.0.1.evil.example", "http://localhost", "file://", "")  # fmt: skip
    kinds = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")
    for path in POSTS:
        for origin in others:
            yield Try(request("POST", path, f"origin: {origin}", MARK, BEARER), right(403))
        for site in ("cross-site", "same-site", "none"):
            yield Try(request("POST", path, f"sec-fetch-site: {site}", MARK, BEARER), right(403))
        for kind in kinds:  # forms of pages from before browsers said whose they are
            yield Try(request("POST", path, f"content-type: {kind}"), right(403))
    for path in GETS:
        for site in ("cross-site", "same-site"):
            yield Try(request("GET", path, f"sec-fetch-site: {site}", BEARER), right(403))
    for path in (*GETS, *POSTS):
        asks = ("access-control-request-method: POST",
                "access-control-request-headers: x-duchenne-studio, authorization")  # fmt: skip
        line = request("OPTIONS", path, "origin: http://evil.example", *asks)
        yield Try(line, right(401, 403, 405), (b"access-control-allow",))


def hosts() -> Iterator[Try]:
    """Names that others' DNS can point here."""
    for name in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[::1", "",
                 "127.0.0.1@evil.example", "evil.example:8460", "127.0.0.1 evil", "localhost:x",
                 "127.0.0.1/evil", "0x7f.1", "a" * 300):  # fmt: skip
        yield Try(request("GET", "/", host=name), right(400, 421), (b"<html",))
        yield Try(request("POST", "/api/sample", MARK, BEARER, host=name), right(400, 421))
    twice = request("GET", "/api/about", "host: evil.example", BEARER)
    yield Try(twice, right(400, 421))
    yield Try(request("GET", "/api/about", "x-forwarded-host: evil.example"), right(401))


def tokens() -> Iterator[Try]:
    """Everything but the token and the password's cookie."""
    wrong = ("", "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}0",
             f"Bearer {TOKEN},",
             f"Bearer {TOKEN.upper()}", f"Bearer {PASSWORD}", f"Basic {TOKEN}", f"Token {TOKEN}",
             TOKEN,
             f"Bearer {TOKEN} {TOKEN}", "Bearer \xe9\xff", f"Bearer \xa0{TOKEN}", "Bearer null",
             "Bearer undefined", "Bearer *", "Bearer ' or 1=1", "Bearer " + "t" * 10_000,
             f"Bearer \x00{TOKEN}", f"Bearer {TOKEN}\x00")  # fmt: skip
    for path in GETS:
        for token in wrong:
            yield Try(request("GET", path, f"authorization: {token}"), right(401, 400))
        yield Try(request("GET", path), right(401))
        for query in ("token", "access_token", "bearer", "authorization"):
            yield Try(request("GET", f"{path}?{query}={TOKEN}"), right(401))
        for cookie in ("duchenne_pass", "authorization", "token"):
            yield Try(request("GET", path, f"cookie: {cookie}={TOKEN}"), right(401))
        both = ("authorization: Bearer wrong", BEARER)
        yield Try(request("GET", path, *both), right(401))
        yield Try(request("GET", path, *reversed(both)), right(401))
        yield Try(
            request("GET", path, f"x-original-url: {path}", "x-forwarded-for: ::1"), right(401)
        )
    for path in POSTS[1:]:
        for token in wrong:
            yield Try(request("POST", path, f"authorization: {token}", MARK), right(401, 400))
        yield Try(request("POST", path, MARK), right(401))
    for odd in ("/API/about", "//api/about", "/api//about", "/api/about/", "/api/about;x",
                "/api/./about",
                "/login/../api/about", "/page/studio.css/../../api/about", "/api/about%00",
                "/login%2f..%2fapi%2fabout"):  # fmt: skip
        yield Try(request("GET", odd), right(400, 401, 404))


def passwords() -> Iterator[Try]:
    """Wrong passwords, one after the other: each costs a second."""
    for wrong in ("", TOKEN, PASSWORD.upper(), PASSWORD + "\x00"):
        body = json.dumps({"password": wrong}).encode()
        yield Try(request("POST", "/login", MARK, body=body), right(401), (b"set-cookie",))


def methods() -> Iterator[Try]:
    """Other methods than a route's own."""
    for path in ("/", "/page/main.js", *GETS, *POSTS):
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get", "G" * 500, "JEFF"):
            line = request(method, path, MARK, BEARER, "cookie: secret=1")
            yield Try(line, right(400, 403, 405), (b"secret=1",))
    for path in POSTS[1:]:
        if path != "/api/photo":
            yield Try(request("GET", path, BEARER), right(405))
    yield Try(request("CONNECT", "evil.example:443"), right(400, 403, 421))
    yield Try(request("GET", "http://evil.example/", BEARER), right(400, 404, 421))


def bodies() -> Iterator[Try]:
    """Too large, no JSON, of every type."""
    deep = b"[" * 50_000
    kinds = ("application/json", "text/plain", "application/xml", "multipart/form-data; boundary=x",
             "application/x-www-form-urlencoded", "application/json; charset=utf-16", "",
             "x" * 5000)  # fmt: skip
    contents = (b"\xff\xfe", b"{", b"[]", b"null", deep, b'{"a":' * 10_000, b"--x\r\n\r\nx",
                b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
                b"1" * 90_000)  # fmt: skip
    for path in ("/api/sample", "/api/random", "/login"):
        for kind, content in itertools.product(kinds, contents):
            line = request("POST", path, BEARER, f"content-type: {kind}", body=content)
            yield Try(line, right(400))
    for path in POSTS:
        if path in ("/api/job/cancel", "/api/leave"):  # they look at no body
            continue
        for told in ("1000000000000", "9" * 20, "9" * 5000, "-1", "1e9", "+5", "0x10", "1, 2"):
            line = request("POST", path, MARK, BEARER, f"content-length: {told}", length=False)
            yield Try(line, right(400, 410, 413))
        chunk = b"186a1\r\n" + b" " * 100_001 + b"\r\n"
        line = request("POST", path, MARK, BEARER, "transfer-encoding: chunked", length=False)
        if path not in ("/api/photo", "/api/timeline/file"):
            yield Try(line + chunk + b"0\r\n\r\n", right(410, 413))


def headers() -> Iterator[Try]:
    """Two requests in one, and headers that a proxy and a server read differently."""
    inner = b"GET /api/about HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    pairs = (
        ("content-length: 5", "transfer-encoding: chunked"),
        ("content-length: 5", "content-length: 6"),
        ("transfer-encoding: chunked", "transfer-encoding: identity"),
        ("transfer-encoding: xchunked", MARK),
        ("transfer-encoding : chunked", MARK),
        ("transfer-encoding:\x0bchunked", MARK),
        ("content-length: 0\r\n folded", MARK),
        ("x-a: b\rx-injected: 1", MARK),
        ("x-a: b\x00c", MARK),
        ("x a: b", MARK),
        (": b", MARK),
    )
    for one, two in pairs:
        line = request("POST", "/api/sample", BEARER, one, two, length=False)
        yield Try(line + b"0\r\n\r\n" + inner, right(0, 400, 413), (b"units",))
    for long in ("a" * 200_000 + ": b", "x: " + "b" * 200_000, "\r\n".join(["a: b"] * 50_000)):
        yield Try(request("POST", "/api/sample", BEARER, long), right(0, 400))
    for path in ("/api/region/%0d%0ax-injected:1", "/api/file/%0d%0ax-injected:1",
                 "/page/x%0d%0ax:1",
                 "/%0d%0aset-cookie:a=b", "/?next=%0d%0ax-injected:1"):  # fmt: skip
        yield Try(
            request("GET", path, BEARER), right(200, 404, 410), (b"\nx-injected", b"\nset-cookie")
        )
    for line in (b"GET / HTTP/9.9", b"GET / HTTP/0.9", b"GET /", b"GET  /  HTTP/1.1", b"\x00",
                 b"GET / JEFF",
                 b"GET /a b HTTP/1.1", b"PRI * HTTP/2.0"):  # fmt: skip
        yield Try(line + b"\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n", right(0, 303, 400))


def others() -> Iterator[Try]:
    """What another visitor made, asked for by numbers and by made-up cookies."""
    for number in (*range(1, 60), -1, 2**63, "1.0", "0x1", "1e1", "%31", "%D9%A1", "1%00", "NaN"):
        yield Try(request("GET", f"/api/file/{number}", BEARER), right(404, 410))
    for cookie in ("", "x", "*", "a" * 5000, "null", '"', "=", ";;", "\xff", "duchenne_visitor"):
        for path in ("/api/photo", "/api/job", "/api/file/1"):
            yield Try(
                request("GET", path, BEARER, f"cookie: duchenne_visitor={cookie}"), right(404, 410)
            )


KINDS = {
    "paths out of the folders": traversal,
    "names of uploads": names,
    "requests of other sites": cross_site,
    "other host names": hosts,
    "no token, wrong tokens": tokens,
    "wrong passwords": passwords,
    "other methods": methods,
    "bodies": bodies,
    "heads, injected and smuggled": headers,
    "what others left": others,
}
