"""What is to be said of the way to a server's door: name, TCP, TLS, WebSocket, the room. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from netcode.tools.findings import Fact, Finding, Mark

CLOCKS_AGREE = 60.0
"""Seconds that two clocks may differ without harm: the HTTP date has whole seconds, and the answer
takes a while."""

SOON = timedelta(days=14)
"""Until the end of a certificate, where somebody should know."""

REFUSALS = {
    "token_missing": (
        "this server lets only invited players in, and no token was given",
        "pass the join token that the game's back end gave this player: --token TOKEN",
    ),
    "token_invalid": (
        "the token was signed with another secret, or is not complete",
        "copy all of it; if that does not help, compare join_secret at the game's server and at "
        "its back end",
    ),
    "token_expired": (
        "the token has run out, or the clocks of the back end and of the game's server differ",
        "get a new token; if new ones have run out too, set both clocks by NTP",
    ),
    "token_wrong_room": (
        "the token is for another room",
        "pass that room: --room ROOM; or let the back end sign tokens for this one",
    ),
    "draining": ("the server is going away", "try another server, or later"),
    "room_full": ("all places in the room are taken", "try later, or raise max_players"),
    "server_full": ("the server is full, or stopping", "try again later"),
    "too_many_connections": (
        "too many connections come from this address, or through one reverse proxy",
        "try again later; behind a reverse proxy, the server needs trust_proxies",
    ),
}
"""Cause and fix, by the code of a refusal."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server shows, as far as it matters here."""

    names: tuple[str, ...]
    issuer: str
    begins: datetime
    ends: datetime
    self_signed: bool


def on_name(host: str, addresses: Sequence[str], error: str = "") -> Finding:
    facts: dict[str, Fact] = {"host": host, "addresses": list(addresses)}
    if addresses:
        return Finding("name", Mark.OK, f"{host} is {', '.join(addresses)}", facts=facts)
    return Finding(
        "name",
        Mark.FAILED,
        f"{host} is not known: {error}",
        cause="the name is misspelt, or this machine is not online, or its DNS does not answer",
        fix="compare the name with what the server's operator says; try its address instead",
        facts=facts,
    )


def on_tcp(
    port: int, reached: Sequence[tuple[str, float]], failed: Sequence[tuple[str, str]], proxy: str
) -> Finding:
    """``reached`` has addresses with seconds, ``failed`` addresses with why; ``proxy`` is the one
    that is set for this machine, if any."""
    facts: dict[str, Fact] = {
        "port": port,
        "reached": [{"address": a, "ms": round(s * 1000, 1)} for a, s in reached],
        "failed": [{"address": a, "why": why} for a, why in failed],
        "proxy": proxy or None,
    }
    if reached:
        text = ", ".join(f"{a} in {s * 1000:.0f} ms" for a, s in reached)
        missing = "".join(f"; {address} does not answer: {why}" for address, why in failed)
        return Finding("tcp", Mark.OK, f"port {port} of {text}{missing}", facts=facts)
    why = "; ".join(f"{address}: {why}" for address, why in failed)
    if proxy:
        return Finding(
            "tcp",
            Mark.SKIPPED,
            f"port {port} is not reached without the proxy {proxy} ({why})",
            facts=facts,
        )
    if all(why == "refused" for _, why in failed):
        cause = "no server listens on this port: it is not running, or has another port"
        fix = "start the server, and compare the port; in Docker, publish it: -p {0}:{0}/tcp"
    elif all(why == "no route" for _, why in failed):
        cause = "this machine is not in that network, or in none: the server's address is private, "
        cause += "a VPN is off, or nothing is plugged in"
        fix = "use an address of the server that can be reached from here"
    else:
        cause = "a firewall drops what comes to this port, or the machine is switched off"
        fix = "open TCP port {0} in the server's firewall and at its provider, and publish it"
    return Finding(
        "tcp",
        Mark.FAILED,
        f"port {port} is not reached: {why}",
        cause=cause,
        fix=fix.format(port),
        facts=facts,
    )


def on_tls(
    host: str, seen: Certificate | None, refused: str, now: datetime, *, own_authority: bool
) -> Finding:
    """``refused`` is why the certificate is not trusted, or why there is no TLS; "" if all is well.
    ``own_authority`` says that a file of certificates to trust was given."""
    facts: dict[str, Fact] = {
        "names": list(seen.names) if seen else [],
        "issuer": seen.issuer if seen else None,
        "ends": seen.ends.isoformat() if seen else None,
    }
    if not refused and seen is not None:
        text = f"trusted, by {seen.issuer}, until {seen.ends:%Y-%m-%d}"
        if seen.ends - now < SOON:
            text += f": only {max(0, (seen.ends - now).days)} days more"
        return Finding("tls", Mark.OK, text, facts=facts)
    if seen is None:
        cause = "this port does not speak TLS, or something between cuts it off"
        fix = "use ws:// if the server has no certificate; start it with cert= if it shall have one"
    elif now > seen.ends:
        cause = f"the certificate ran out on {seen.ends:%Y-%m-%d}, or this machine's clock is wrong"
        fix = "renew it and restart the server, which reads it when it starts"
    elif now < seen.begins:
        cause = f"the certificate begins on {seen.begins:%Y-%m-%d %H:%M} UTC: a clock is wrong"
        fix = "set the clock of this machine"
    elif not _fits(host, seen.names):
        cause = f"the certificate is for {', '.join(seen.names) or 'nobody'}, not for {host}"
        fix = "use a name that stands in it, or get one for this name"
    elif own_authority:
        cause = "the file that was given does not belong to this certificate"
        fix = "pass the authority's certificate, or the server's own if it has signed itself"
    elif seen.self_signed:
        cause = "the server has signed its certificate itself"
        fix = "trust its file: --ca-file FILE here, nc.connect(ca_file=...) in the game"
    else:
        cause = (
            f"nobody here knows {seen.issuer}: the certificates between are missing, or something "
            "on the way puts its own in place"
        )
        fix = "give the server the full chain (fullchain.pem); else ask who runs this network"
    return Finding("tls", Mark.FAILED, refused, cause=cause, fix=fix, facts=facts)


def on_clock(ahead: float | None) -> Finding:
    """``ahead`` is by how many seconds this machine's clock is ahead of the server's."""
    if ahead is None:
        return Finding("clock", Mark.SKIPPED, "the server does not tell its time")
    facts: dict[str, Fact] = {"ahead_s": round(ahead)}
    if abs(ahead) <= CLOCKS_AGREE:
        return Finding("clock", Mark.OK, "agrees with the server's", facts=facts)
    way = "ahead of" if ahead > 0 else "behind"
    return Finding(
        "clock",
        Mark.FAILED,
        f"{abs(ahead):,.0f} s {way} the server's",
        cause="one of the two clocks is wrong",
        fix="set both by NTP: certificates, join tokens and credentials are judged by clocks",
        facts=facts,
    )


def on_entering(error: str, code: str, *, proxy: str, room: str) -> list[Finding]:
    """What became of entering a room. ``code`` is that of a refusal; ``error`` is "" for none."""
    facts: dict[str, Fact] = {"proxy": proxy or None}
    if error and not code:
        if proxy:
            cause = f"the proxy {proxy} does not let WebSocket through, or the server is not there"
            fix = "let the proxy pass it, or add the server to no_proxy"
        else:
            cause = "no signaling server is behind this URL, or a web server in front of it passes "
            cause += "no WebSocket on"
            fix = "compare port and path; a reverse proxy must pass Upgrade and Connection on"
        failed = Finding("websocket", Mark.FAILED, error, cause=cause, fix=fix, facts=facts)
        return [failed]
    text = f"open, by the proxy {proxy}" if proxy else "open"
    websocket = Finding("websocket", Mark.OK, text, facts=facts)
    facts = {"room": room, "code": code}
    if not error:
        return [websocket, Finding("room", Mark.OK, f"in {room!r}", facts=facts)]
    cause, fix = REFUSALS.get(code, ("the server has said no", "ask whoever runs it"))
    return [websocket, Finding("room", Mark.FAILED, error, cause=cause, fix=fix, facts=facts)]


def on_host(room: str, present: bool) -> Finding:
    """Whether the room has a host: a game that plays there."""
    if present:
        return Finding("game", Mark.OK, f"a game is there, in room {room!r}")
    return Finding(
        "game",
        Mark.FAILED,
        f"nobody hosts the room {room!r}: there is a signaling server, but no game",
        cause="the game has not been started, or is in another room",
        fix="start the game's server at this URL, or pass its room: --room ROOM",
    )


def _fits(host: str, names: Sequence[str]) -> bool:
    """Whether a certificate's names are for this host. A star stands for the first label."""
    host = host.lower().rstrip(".")
    parent = host.partition(".")[2]
    return any(
        name.lower() == host or (name.startswith("*.") and name[2:].lower() == parent)
        for name in names
    )


def utc(timestamp: float) -> datetime:
    """A time of the system's clock as a date."""
    return datetime.fromtimestamp(timestamp, UTC)
