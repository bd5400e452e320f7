"""What is to be said of the paths to a game: NATs, relays, and the rungs of the ladder. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from netcode.rungs import Rung
from netcode.tools.findings import Fact, Finding, Mark

Place = tuple[str, int]
"""An IP address and a port."""

LOSSY = 0.05
"""Share of datagrams whose loss a player feels."""

NO_RELAY = (
    "its relay is switched off (relay=None), or did not start because its UDP port was taken, "
    "which the server's log says"
)


@dataclass(frozen=True, slots=True)
class Mapped:
    """As which place a STUN server has seen this machine; None if it has not answered."""

    server: str
    seen: Place | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Relayed:
    """What became of asking one relay, over one transport."""

    url: str
    way: str
    """``"udp"``, ``"tcp"`` or ``"tls"``."""
    address: Place | None
    """What it gave; None if it gave nothing."""
    seconds: float = 0.0
    why: str = ""
    """Why it gave nothing, in the words of `netcode.transports.turn_client.reason`."""
    echo: float | None = None
    """Seconds of a packet from one relayed address of ours to another; None if it did not come."""
    echo_why: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """What became of one rung."""

    rung: Rung
    seconds: float | None
    """From the call until it was open; None if it did not open."""
    error: str = ""
    path: str = ""
    rtts: tuple[float, ...] = ()
    asked: int = 0
    """How many datagrams were sent for `rtts`; 0 where none can be lost."""


def on_told(urls: Sequence[str], expires: float | None, now: float) -> Finding:
    """The STUN and TURN servers that a member is told. ``expires`` is when the credential runs out,
    by the clock of whoever made it; None if it does not say."""
    left = None if expires is None else round(expires - now)
    facts: dict[str, Fact] = {"urls": list(urls), "credential_s": left}
    if not any(url.startswith(("turn:", "turns:")) for url in urls):
        return Finding(
            "servers",
            Mark.FAILED,
            f"no relay is told, only {', '.join(urls)}"
            if urls
            else "no STUN or TURN server is told",
            cause=NO_RELAY,
            fix="start the server with nc.Server(relay=nc.Relay(...)), or name a coturn in its "
            "ice_servers: players without a direct path have only the WebSocket otherwise",
            facts=facts,
        )
    text = ", ".join(urls)
    if left is not None and left <= 0:
        return Finding(
            "servers",
            Mark.FAILED,
            f"{text}, with a credential that ran out {-left} s ago",
            cause="the clock of the server is behind, that of this machine ahead, or the server "
            "hands out old credentials",
            fix="set the clocks by NTP; make credentials anew for each member (TurnSecret.issue)",
            facts=facts,
        )
    return Finding("servers", Mark.OK, text, facts=facts)


def on_nat(local: Place, answers: Sequence[Mapped]) -> Finding:
    """What kind of NAT there is, from one socket of this machine to these STUN servers."""
    seen = [answer for answer in answers if answer.seen is not None]
    facts: dict[str, Fact] = {
        "local": list(local),
        "seen": {answer.server: list(answer.seen) for answer in seen if answer.seen},
    }
    if not answers:
        return Finding("stun", Mark.SKIPPED, "no STUN server is told", facts=facts)
    if not seen:
        return Finding(
            "stun",
            Mark.FAILED,
            "; ".join(f"{answer.server}: {answer.why}" for answer in answers),
            cause="this network lets no UDP out, or the server's UDP port is not open",
            fix="in Docker publish the port for UDP as well (-p 8080:8080/tcp -p 8080:8080/udp), "
            "and open it in the firewall; if other networks get an answer, it is this one",
            facts=facts,
        )
    mapped = list(dict.fromkeys(answer.seen for answer in seen if answer.seen))
    first = mapped[0]
    if len(mapped) > 1:
        facts = {**facts, "nat": "symmetric"}
        text = "this machine looks different to each server: a NAT that hampers direct paths"
        return Finding("stun", Mark.OK, f"{text} (symmetric)", facts=facts)
    where = f"seen as {first[0]}:{first[1]}"
    if first == local:
        facts = {**facts, "nat": "none"}
        return Finding(
            "stun", Mark.OK, f"{where}, which is its own: no NAT up to there", facts=facts
        )
    if len(seen) > 1:
        facts = {**facts, "nat": "cone"}
        text = f"{where} by {len(seen)} servers alike: a NAT that lets direct paths through"
        return Finding("stun", Mark.OK, text, facts=facts)
    facts = {**facts, "nat": "unknown"}
    text = f"{where}: a NAT; whether it looks the same to others, one server cannot tell"
    return Finding("stun", Mark.OK, text, facts=facts)


def on_relay(relayed: Relayed) -> Finding:
    """What one relay does for this machine."""
    check = f"turn.{relayed.way}"
    facts: dict[str, Fact] = {"url": relayed.url, "why": relayed.why or relayed.echo_why}
    if relayed.address is None:
        cause, fix = _why_no_relay(relayed)
        text = f"{relayed.url}: {relayed.why}"
        return Finding(check, Mark.FAILED, text, cause=cause, fix=fix, facts=facts)
    took = f"{relayed.seconds * 1000:.0f} ms"
    facts |= {"relayed": list(relayed.address), "allocate_ms": round(relayed.seconds * 1000, 1)}
    text = f"{relayed.url} gives {relayed.address[0]}:{relayed.address[1]} in {took}"
    if relayed.echo is None:
        reason = relayed.echo_why or "it did not come"
        text += f"; whether packets pass is not known ({reason})"
        return Finding(check, Mark.OK, text, facts=facts)
    facts |= {"echo_ms": round(relayed.echo * 1000, 1)}
    text += f", and packets pass in {relayed.echo * 1000:.0f} ms"
    return Finding(check, Mark.OK, text, facts=facts)


def _why_no_relay(relayed: Relayed) -> tuple[str, str]:
    why = relayed.why
    if "401" in why or "441" in why or "438" in why:
        return (
            "the relay and whoever makes the credentials do not share one secret, or one of their "
            "clocks is wrong",
            "compare the two secrets (Relay(secret=...), static-auth-secret), and set the clocks "
            "by NTP",
        )
    if "486" in why or "508" in why:
        return (
            "more players are relayed than the relay allows",
            "raise its limits (TurnLimits; user-quota, total-quota), or try again later",
        )
    if "403" in why:
        return ("the relay's rules forbid it", "see what it refuses in docs/deploy.md")
    if "certificate" in why:
        return (
            "its certificate is not for this name, has run out, or is signed by itself",
            "give the relay a certificate for the host in its url; games trust the system's list",
        )
    if "name is not known" in why:
        return ("the host in its url is misspelt", "put it right in ice_servers or Relay(host=...)")
    if relayed.way == "udp":
        return (
            "its UDP port is not published or not open, or this network lets no UDP out",
            "in Docker publish the port for UDP as well (-p 8080:8080/tcp -p 8080:8080/udp), and "
            "open it in the firewall; behind a reverse proxy say Relay(host=...)",
        )
    return (
        f"its port for {relayed.way.upper()} is not published or not open",
        "publish it and open it in the firewall; a port that most networks let out is 443",
    )


def on_rung(opened: Opened, told: Sequence[str]) -> Finding:
    """What one rung does for a game. ``told`` are the urls of STUN and TURN servers."""
    check = f"rung.{opened.rung}"
    if opened.seconds is None:
        mark, cause, fix = _why_not_open(opened, told)
        return Finding(check, mark, opened.error, cause=cause, fix=fix, facts={"open_ms": None})
    facts: dict[str, Fact] = {
        "open_ms": round(opened.seconds * 1000, 1),
        "path": opened.path,
        "rtt_ms": round(_median(opened.rtts) * 1000, 1) if opened.rtts else None,
        "asked": opened.asked,
        "lost": max(0, opened.asked - len(opened.rtts)),
    }
    text = f"open after {opened.seconds * 1000:.0f} ms"
    if opened.rtts:
        text += f", round trip {_median(opened.rtts) * 1000:.1f} ms"
    if not opened.asked:
        return Finding(check, Mark.OK, text, facts=facts)
    lost = 1 - len(opened.rtts) / opened.asked
    text += f", {opened.asked - len(opened.rtts)} of {opened.asked} datagrams lost"
    if lost < LOSSY:
        return Finding(check, Mark.OK, text, facts=facts)
    return Finding(
        check,
        Mark.OK,
        text,
        cause="a weak wireless signal, a full line, or a round trip of more than 0.45 s",
        fix="use a cable, or come closer; stop what fills the line",
        facts=facts,
    )


def _why_not_open(opened: Opened, told: Sequence[str]) -> tuple[Mark, str, str]:
    match opened.rung:
        case Rung.DIRECT:
            return (
                Mark.FAILED,
                "no UDP passes between the two: a firewall at either end, a NAT, or a container "
                "whose addresses nobody outside can reach",
                "nothing, if turn_udp works; otherwise open UDP at the server",
            )
        case Rung.TURN_UDP | Rung.TURN_TCP if "no server for that is known" in opened.error:
            if opened.rung is Rung.TURN_UDP:
                fix = "start the server with a relay: nc.Server(relay=nc.Relay())"
                return Mark.FAILED, NO_RELAY, fix
            return (
                Mark.SKIPPED,
                "the server has a relay for UDP alone, or none; the WebSocket stands in for it",
                "for networks without UDP: nc.Relay(port=3478, tls_port=5349), published for TCP",
            )
        case Rung.TURN_UDP | Rung.TURN_TCP:
            return (
                Mark.FAILED,
                "the relay gives no address, or does not let packets pass to the game: see turn "
                "above",
                "put turn right; a relay of its own needs --allow-peer with the game's network",
            )
        case Rung.WEBSOCKET:
            return (
                Mark.FAILED,
                "the signaling server does not relay (--relay-rate 0), is overloaded, or a proxy "
                "cuts long connections off",
                "raise --relay-rate; let the reverse proxy keep WebSockets open",
            )


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
