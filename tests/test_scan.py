"""The scan of benchmarks/scan.py: nothing gets through, and what would is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the web page's packages are not installed")
pytest.importorskip("httpx2", reason="tests/test_web_limits.py needs httpx2")

from test_web_limits import LIMITS, served

from duchenne.web.settings import Access

GOOD = b"HTTP/1.1 401 x\r\ncontent-type: application/json\r\n%b\r\n{}"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")


def test_nothing_gets_through() -> None:
    import scan

    access = Access(port=0, password=scan.PASSWORD, token=scan.TOKEN)
    kinds = [kind for kind in scan.KINDS if kind != "wrong passwords"]  # a second each
    with served(LIMITS, access) as port:
        scan.warmed_up(port)
        found = scan.scan(port, kinds)
    assert {kind: one.findings for kind, one in found.items()} == {kind: [] for kind in kinds}
    assert sum(one.tried for one in found.values()) > 2000


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (GOOD, ""),
        (GOOD.replace(b"401", b"200"), "answered 200"),
        (b"", "answered nothing"),
        (b"HTTP/1.1 401 x\r\n\r\n{}", "lacks content-security-policy"),
        (GOOD.replace(b"json\r", b"json\r\nserver: x\r"), "names its server"),
        (GOOD.replace(b"{}", b"root:x:0:0"), "holds b'root:x:'"),
        (GOOD.replace(b"{}", b"secret"), "holds b'secret'"),
        (GOOD.replace(b"json\r", b"json\r\nX-Injected: 1\r"), "holds b'\\nx-injected'"),
        (GOOD.replace(b"{}", b"Traceback (most"), "holds b'Traceback'"),
        (GOOD.replace(b"{}", b"{}HTTP/1.1 200 OK"), "two answers"),
        (GOOD.replace(b"application/json", b"text/html"), "no one line of JSON"),
        (b"SSH-2.0", "no HTTP"),
    ],
)
def test_what_would_get_through_is_seen(answer: bytes, says: str) -> None:
    import scan

    protecting = b"".join(name + b": x\r\n" for name in scan.PROTECTING)
    tried = scan.Try(b"", frozenset({401}), (b"secret", b"\nx-injected"))
    _, wrong = scan.judged(tried, answer.replace(b"%b", protecting), 0.1)
    assert says in wrong
    assert bool(wrong) == bool(says)
    assert "after 9 s" in scan.judged(tried, GOOD % protecting, 9.0)[1]
