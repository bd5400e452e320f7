"""From what was seen of a machine to what is said of it."""

import pytest

from netcode.tools import judge_machine as judge
from netcode.tools.findings import Mark


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("192.168.1.5", "private"),
        ("172.17.0.2", "private"),
        ("100.64.0.1", "CGNAT"),
        ("100.127.255.255", "CGNAT"),
        ("100.128.0.1", "public"),
        ("169.254.7.7", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fd12:3456::1", "ULA"),
        ("8.8.8.8", "public"),
        ("2606:4700::1111", "public"),
        ("0.0.0.0", "reserved"),
    ],
)
def test_an_address_says_where_it_can_be_reached_from(address: str, kind: str) -> None:
    assert judge.kind_of(address) == kind


def test_a_machine_with_one_family_is_well() -> None:
    four, six = judge.on_addresses(["192.168.1.5"])
    assert (four.check, four.mark) == ("address.ipv4", Mark.OK)
    assert "192.168.1.5 (private)" in four.text
    assert four.facts["addresses"] == [{"address": "192.168.1.5", "kind": "private"}]
    assert (six.check, six.mark) == ("address.ipv6", Mark.SKIPPED)


def test_a_machine_without_a_network_is_not() -> None:
    *_, last = judge.on_addresses([])
    assert last.mark is Mark.FAILED
    assert "no network" in last.cause


def test_a_release_that_was_not_tested_is_named_with_one_that_was() -> None:
    known, unknown = judge.on_releases(
        {"aioice": "0.13.4", "aiortc": "1.17.0"}, {"aioice": "0.13.", "aiortc": "1.16."}
    )
    assert known.mark is Mark.OK
    assert unknown.mark is Mark.FAILED
    assert "aiortc==1.16.*" in unknown.fix
    assert unknown.facts == {"version": "1.17.0", "known": False}


def test_slow_checksums_are_a_finding() -> None:
    assert judge.on_checksums("c").mark is Mark.OK
    assert "wheel" in judge.on_checksums("python").fix


def test_sockets_and_webrtc() -> None:
    assert judge.on_udp(None).mark is Mark.OK
    assert "firewall" in judge.on_udp("nothing came").cause
    assert judge.on_webrtc(0.0384).facts == {"open_ms": 38.4}
    assert "no pair" in judge.on_webrtc(None, "no pair has answered").text
