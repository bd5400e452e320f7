"""A relay on its own: ``python -m signaling turn``.

It prints where it listens and runs until Ctrl-C or SIGTERM. ``docs/deploy.md`` says what to think
of before it stands on the internet.
"""

import argparse
import asyncio
import secrets
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from signaling.credentials import Credentials, TurnSecret
from signaling.errors import UsageError
from signaling.stopping import Signals, first_of
from signaling.tls import server_context
from signaling.turn.limits import TurnLimits
from signaling.turn.peers import PeerPolicy
from signaling.turn.server import PORT, TLS_PORT, TurnServer


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    defaults = TurnLimits()
    parser = argparse.ArgumentParser(
        prog="python -m signaling turn",
        description="A relay for peers that find no direct path: TURN over UDP, TCP and TLS.",
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="an address of this machine to listen on and to relay from; may be repeated (all)",
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help="for UDP and TCP; 0 takes a free one (%(default)s)"
    )
    who = parser.add_argument_group("who may use it")
    who.add_argument(
        "--secret-file",
        type=Path,
        metavar="FILE",
        help="a file with the secret that credentials are made from (one is made up and shown)",
    )
    who.add_argument(
        "--secret",
        help="the secret itself; other users of this machine can see it in the list of processes",
    )
    who.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME:PASSWORD",
        help="somebody who is always welcome; may be repeated",
    )
    who.add_argument("--realm", default="signaling", help="the credentials' domain (%(default)s)")
    tls = parser.add_argument_group("TLS, for networks that let nothing else through")
    tls.add_argument("--cert", type=Path, metavar="FILE", help="the certificate chain (no TLS)")
    tls.add_argument("--key", type=Path, metavar="FILE", help="its key (in the same file)")
    tls.add_argument("--tls-port", type=int, default=TLS_PORT, help="(%(default)s)")
    peers = parser.add_argument_group("towards peers")
    peers.add_argument(
        "--external-ip",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="the public address, where a router translates it to this machine's",
    )
    peers.add_argument(
        "--min-port", type=int, metavar="PORT", help="lowest UDP port for peers (any free one)"
    )
    peers.add_argument("--max-port", type=int, metavar="PORT", help="highest UDP port for peers")
    peers.add_argument(
        "--allow-peer",
        action="append",
        default=[],
        metavar="NETWORK",
        help="an inside address or network that may be reached nevertheless, such as that of the "
        "game server; may be repeated (none)",
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max-allocations", type=int, default=defaults.max_allocations, help="(%(default)s)"
    )
    limits.add_argument(
        "--max-allocations-per-user",
        type=int,
        default=defaults.max_allocations_per_user,
        help="(%(default)s)",
    )
    limits.add_argument(
        "--bytes-per-second",
        type=float,
        default=defaults.bytes_per_second,
        help="of one allocation in each direction (%(default)g)",
    )
    return parser.parse_args(arguments)


def _credentials(options: argparse.Namespace) -> Credentials:
    users = {}
    for text in options.user:
        name, separator, password = text.partition(":")
        if not (name and separator and password):
            raise UsageError("--user wants NAME:PASSWORD")
        users[name] = password
    if options.secret_file is not None and options.secret is not None:
        raise UsageError("give --secret or --secret-file, not both")
    secret = options.secret
    if options.secret_file is not None:
        secret = options.secret_file.read_text("utf-8").strip()
    if secret is None and not users:
        secret = secrets.token_urlsafe(24)
        print(f"secret for this run: {secret}")
    return Credentials(TurnSecret(secret) if secret is not None else None, users)


def _ports(options: argparse.Namespace) -> range | None:
    lowest, highest = options.min_port, options.max_port
    if lowest is None and highest is None:
        return None
    return range(lowest or 49_152, (highest or 65_535) + 1)


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.cert is None:
        if options.key is not None:
            raise UsageError("--key wants --cert as well")
        return None
    return server_context(options.cert, options.key)


async def _serve(options: argparse.Namespace) -> None:
    server = TurnServer(
        _credentials(options),
        realm=options.realm,
        peers=PeerPolicy(options.allow_peer),
        limits=TurnLimits(
            max_allocations=options.max_allocations,
            max_allocations_per_user=options.max_allocations_per_user,
            bytes_per_second=options.bytes_per_second,
        ),
        external_ips=options.external_ip,
        ports=_ports(options),
    )
    with Signals() as told:
        context = _tls(options)
        await server.start(options.host, options.port, tls_port=options.tls_port, ssl=context)
        where = ", ".join(options.host) or "every address of this machine"
        tls = f", TLS port {server.tls_port}" if context is not None else ""
        ports = f"port {server.port} (UDP, TCP){tls}"
        print(f"turn on {ports}, on {where} (Ctrl-C ends it)", flush=True)
        await first_of(told.drain.wait(), told.stop.wait())  # a relay has nothing to drain
        await server.stop()


def main(arguments: Sequence[str]) -> int:
    """Run until told to end. Return the exit status: 0, or 1 if it could not run."""
    options = _parse(arguments)
    try:
        asyncio.run(_serve(options))
    except (UsageError, OSError) as error:
        print(f"cannot relay: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass  # Ctrl-C before the handler was in place
    return 0
