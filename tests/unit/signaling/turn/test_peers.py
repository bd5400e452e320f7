"""Which peers a relay may reach: nothing inside, whatever it is disguised as."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from signaling.errors import UsageError
from signaling.turn.peers import PeerPolicy, Reach

INSIDE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "ff0e::1", "100::1",
    "2001:db8::1", "2001::1", "3fff::1", "5f00::1", "4000::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0",
    "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2606:4700::1111", "2a00:1450::1", "2001:4860::8888", "2003::1",
]  # fmt: skip


@pytest.mark.parametrize("host", INSIDE)
def test_nothing_inside_is_reached(host: str) -> None:
    assert PeerPolicy().reach(host) is Reach.NOTHING


@pytest.mark.parametrize("host", PUBLIC)
def test_the_public_internet_is_reached(host: str) -> None:
    assert PeerPolicy().reach(host) is Reach.EVERYTHING


def disguises(inner: str) -> dict[str, str]:
    """An IPv4 address in every IPv6 address that carries one."""
    value = int(IPv4Address(inner))
    inverted = value ^ 0xFFFF_FFFF
    forms = {
        "mapped, ::ffff:a.b.c.d": (0xFFFF << 32) | value,
        "compatible, ::a.b.c.d": value,
        "translated, ::ffff:0:a.b.c.d": (0xFFFF << 48) | value,
        "NAT64, 64:ff9b::/96": int(IPv6Address("64:ff9b::")) | value,
        "local NAT64, 64:ff9b:1::/48": int(IPv6Address("64:ff9b:1::")) | value,
        "6to4, 2002::/16": (0x2002 << 112) | (value << 80) | 1,
        "Teredo's client, 2001::/32": (0x2001 << 112) | inverted,
        "Teredo's server, 2001::/32": (0x2001 << 112) | (value << 64) | 1,
        "ISATAP": int(IPv6Address("2a00:1450::5efe:0:0")) | value,
        "ISATAP, universal": int(IPv6Address("2a00:1450::200:5efe:0:0")) | value,
        "ISATAP, link-local": int(IPv6Address("fe80::5efe:0:0")) | value,
    }
    return {name: str(IPv6Address(number)) for name, number in forms.items()}


CASES = [
    pytest.param(host, id=f"{inner} {name}")
    for inner in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8")
    for name, host in disguises(inner).items()
]


@pytest.mark.parametrize("host", CASES)
def test_no_disguise_helps(host: str) -> None:
    assert PeerPolicy().reach(host) is Reach.NOTHING


@pytest.mark.parametrize("host", disguises("127.0.0.1").values())
def test_what_is_allowed_is_not_allowed_in_disguise(host: str) -> None:
    assert PeerPolicy(["127.0.0.0/8", "10.0.0.0/8"]).reach(host) is Reach.NOTHING


def test_own_addresses_are_inside_and_so_is_the_own_ipv6_network() -> None:
    policy = PeerPolicy()
    policy.set_own(["198.41.0.4", "2a00:1450:1:2::5"], ["2a00:1450:1:2::5/64"])
    assert policy.reach("198.41.0.4") is Reach.NOTHING
    assert policy.reach("198.41.0.5") is Reach.EVERYTHING
    assert policy.reach("2a00:1450:1:2::6") is Reach.NOTHING
    assert policy.reach("2a00:1450:1:3::6") is Reach.EVERYTHING
    policy.set_own([])
    assert policy.reach("198.41.0.4") is Reach.EVERYTHING


def test_what_is_allowed_by_name_is_reached() -> None:
    policy = PeerPolicy(["192.168.1.0/24", "fd00::5", "10.1.2.3"])
    policy.set_own(["192.168.1.5"])
    assert policy.reach("192.168.1.5") is Reach.EVERYTHING
    assert policy.reach("fd00::5") is Reach.EVERYTHING
    assert policy.reach("10.1.2.3") is Reach.EVERYTHING
    for host in ("192.168.2.1", "fd00::6", "10.1.2.4"):
        assert policy.reach(host) is Reach.NOTHING


@pytest.mark.parametrize("text", ["", "everything", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1:80"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="network"):
        PeerPolicy([text])


def test_one_port_can_be_opened_and_closed() -> None:
    policy = PeerPolicy()
    policy.open("192.168.1.5", 4000)
    policy.open("192.168.1.5", 4000)
    policy.open("192.168.1.5", 4001)
    assert policy.reach("192.168.1.5") is Reach.NAMED_PORTS
    assert policy.is_open(("192.168.1.5", 4000))
    assert not policy.is_open(("192.168.1.5", 4002))
    policy.close("192.168.1.5", 4000)
    policy.close("192.168.1.5", 4000)
    assert policy.reach("192.168.1.5") is Reach.NAMED_PORTS
    policy.close("192.168.1.5", 4001)
    assert policy.reach("192.168.1.5") is Reach.NOTHING
