"""Which host a request names, and what is told by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.hosts import LONGEST_HOST, host_of, told_at
from signaling.messages import IceServer, IceServersRenewed, encode


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("example.org", "example.org"),
        ("example.org:8080", "example.org"),
        ("example.org.:443", "example.org"),
        ("my_game-1.local", "my_game-1.local"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("203.0.113.7:1", "203.0.113.7"),
        ("[2001:DB8::0:1]:8080", "[2001:db8::1]"),
        ("[::1]", "[::1]"),
        ("localhost:", "localhost"),
        (LONGEST_HOST, None),  # one label of 253
        (".".join(["a" * 61] * 4) + ":65535", ".".join(["a" * 61] * 4)),
    ],
)
def test_a_host_is_a_name_or_an_address(header: str, host: str | None) -> None:
    assert host_of([header]) == host


@pytest.mark.parametrize(
    "header",
    [
        "",
        ".",
        ":8080",
        "a..b",
        "-a.example",
        "a-.example",
        "example.org:80:80",
        "example.org:http",
        "example.org:123456",
        "example.org/path",
        "example.org?transport=tcp",
        "ada@example.org",
        "example.org\r\nX: y",
        "example.org\n",
        "exa mple.org",
        "b\u00fccher.example",
        "example.org:\u0661",
        "2001:db8::1",
        "[2001:db8::1",
        "[2001:db8::1]x",
        "[fe80::1%eth0]",
        "[203.0.113.7]",
        "[]",
        "{host}",
        "a" * 10_000,
    ],
)
def test_what_is_no_host_is_none(header: str) -> None:
    assert host_of([header]) is None


def test_a_request_names_one_host() -> None:
    assert host_of([]) is None
    assert host_of(["a.example", "b.example"]) is None


@given(st.text(alphabet=st.characters(codec="latin-1"), max_size=300))
def test_whatever_it_names_fits_into_a_url(header: str) -> None:
    host = host_of([header])
    if host is not None:
        assert len(host) <= len(LONGEST_HOST)
        assert not set(host) & set("/?#@ {}\r\n")
        encode(IceServersRenewed(told_at([IceServer(("turn:{host}:3478",))], host)))


def test_urls_are_told_by_the_host_that_was_reached() -> None:
    ours = IceServer(("turn:{host}:3478?transport=udp", "turns:turn.example.org"), "ada", "x")
    assert told_at([ours], "[::1]") == (
        IceServer(("turn:[::1]:3478?transport=udp", "turns:turn.example.org"), "ada", "x"),
    )


def test_who_named_no_host_is_told_only_what_needs_none() -> None:
    ours, relay = IceServer(("stun:{host}",)), IceServer(("turn:{host}", "turn:x"), "ada", "x")
    assert told_at([ours, relay], None) == (IceServer(("turn:x",), "ada", "x"),)
