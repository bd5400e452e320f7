"""What is to be said of a machine by itself: its addresses, its packages, its sockets. Pure."""

import ipaddress
from collections.abc import Mapping, Sequence

from netcode.tools.findings import Fact, Finding, Mark

SHARED = ipaddress.ip_network("100.64.0.0/10")
UNIQUE_LOCAL = ipaddress.ip_network("fc00::/7")

SLOW_CHECKSUMS = (
    "each packet costs much more processor time: install a Python version for which google-crc32c "
    "has a wheel"
)


def kind_of(address: str) -> str:
    """What an IP address can be reached from.

    ``"loopback"``, ``"link-local"``, ``"private"``, ``"CGNAT"`` (an address that a provider shares
    among its customers, RFC 6598), ``"ULA"`` (private, of IPv6), ``"public"``, or ``"reserved"``.
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if parsed.is_loopback:
        return "loopback"
    if parsed.is_link_local:
        return "link-local"
    if parsed.version == 4 and parsed in SHARED:
        return "CGNAT"
    if parsed.version == 6 and parsed in UNIQUE_LOCAL:
        return "ULA"
    if parsed.is_global:
        return "public"
    return "private" if parsed.is_private and not parsed.is_unspecified else "reserved"


def on_addresses(addresses: Sequence[str]) -> list[Finding]:
    """The addresses of this machine that a connection can be made from, IPv4 and IPv6 apart."""
    findings = []
    for version in (4, 6):
        found = [
            (address, kind_of(address))
            for address in addresses
            if ipaddress.ip_address(address.partition("%")[0]).version == version
        ]
        facts: dict[str, Fact] = {
            "addresses": [{"address": address, "kind": kind} for address, kind in found]
        }
        check = f"address.ipv{version}"
        if found:
            text = ", ".join(f"{address} ({kind})" for address, kind in found)
            findings.append(Finding(check, Mark.OK, text, facts=facts))
        else:
            findings.append(Finding(check, Mark.SKIPPED, f"no IPv{version}", facts=facts))
    if not addresses:
        findings.append(
            Finding(
                "address",
                Mark.FAILED,
                "no address but loopback",
                cause="no network is connected",
                fix="connect to one; two programs on this machine find each other nevertheless",
            )
        )
    return findings


def on_releases(installed: Mapping[str, str], known: Mapping[str, str]) -> list[Finding]:
    """The packages that netcode stands on. ``known`` has the beginnings of the releases that it was
    tested with, for each of them."""
    findings = []
    for name, version in installed.items():
        is_known = version.startswith(known[name])
        facts: dict[str, Fact] = {"version": version, "known": is_known}
        if is_known:
            findings.append(Finding(f"package.{name}", Mark.OK, version, facts=facts))
            continue
        findings.append(
            Finding(
                f"package.{name}",
                Mark.FAILED,
                f"{version}, which netcode was not tested with",
                cause="it is newer or older than this netcode",
                fix=f"pip install '{name}=={known[name]}*', or another release of netcode",
                facts=facts,
            )
        )
    return findings


def on_checksums(implementation: str) -> Finding:
    """Which checksums google-crc32c computes."""
    facts: dict[str, Fact] = {"implementation": implementation}
    if implementation == "c":
        return Finding("package.google-crc32c", Mark.OK, "compiled", facts=facts)
    return Finding(
        "package.google-crc32c",
        Mark.FAILED,
        "not compiled",
        cause="there was no wheel for this Python and this machine",
        fix=SLOW_CHECKSUMS,
        facts=facts,
    )


def on_udp(error: str | None) -> Finding:
    """Whether a datagram came from one socket of this machine to another."""
    if error is None:
        return Finding("udp", Mark.OK, "sockets of this machine reach each other")
    return Finding(
        "udp",
        Mark.FAILED,
        f"a datagram to this machine itself did not arrive: {error}",
        cause="a firewall on this machine, or a sandbox without sockets",
        fix="let Python send and receive UDP in the firewall of this machine",
    )


def on_webrtc(seconds: float | None, error: str = "") -> Finding:
    """Whether two transports in this process found each other."""
    if seconds is not None:
        text = f"two ends in this process are connected after {seconds * 1000:.0f} ms"
        return Finding("webrtc", Mark.OK, text, facts={"open_ms": round(seconds * 1000, 1)})
    return Finding(
        "webrtc",
        Mark.FAILED,
        f"two ends in this process do not connect: {error}",
        cause="a firewall on this machine between its own programs, or a broken installation",
        fix="look at udp above; if that is well, install netcode anew in a fresh environment",
    )
