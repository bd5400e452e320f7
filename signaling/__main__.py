"""A signaling server on its own: ``python -m signaling --port 8080``.

It prints where it listens and runs until Ctrl-C. SIGTERM drains it: nobody new gets in, and it
ends when all have left or ``--drain-seconds`` are over; a second signal ends it at once.

``python -m signaling token --secret-file FILE --room ROOM --name NAME`` prints a join token, for
trying out what a game's back end does. ``python -m signaling turn`` is a relay
(`signaling.turn.program`).
"""

import argparse
import asyncio
import ssl
import sys
import time
from pathlib import Path

from signaling.errors import UsageError
from signaling.limits import SignalingLimits
from signaling.messages import MAX_DRAIN_SECONDS, IceServer
from signaling.server import SignalingServer
from signaling.stopping import Signals, first_of
from signaling.tls import server_context
from signaling.tokens import JoinSecret
from signaling.turn import program as turn

DRAIN_SECONDS = 8.0
"""Longer than an introduction under way takes as a rule, shorter than the 10 s after which docker
kills what it has told to end."""


def _parse(arguments: list[str]) -> argparse.Namespace:
    defaults = SignalingLimits()
    parser = argparse.ArgumentParser(
        prog="python -m signaling",
        description="Rooms in which peers find each other.",
        epilog="python -m signaling token --help: make a join token; "
        "python -m signaling turn --help: a relay",
    )
    add = parser.add_argument
    add("--port", type=int, default=8080, help="0 takes a free one (%(default)s)")
    add("--host", help="the address to listen on (every address)")
    add("--max-rooms", type=int, default=defaults.max_rooms, help="(%(default)s)")
    add(
        "--max-peers",
        type=int,
        default=defaults.max_peers_per_room,
        help="of one room (%(default)s)",
    )
    add(
        "--ice-server",
        action="append",
        default=[],
        metavar="URL",
        help="a STUN server to tell everybody, such as stun:example.org:3478; may be repeated",
    )
    add(
        "--relay-rate",
        type=float,
        default=defaults.parcel_byte_rate,
        metavar="BYTES",
        help="a second that each peer may send to others through this server, where no other way "
        "is open; 0 relays nothing (%(default)g)",
    )
    add(
        "--join-secret-file",
        type=Path,
        metavar="FILE",
        help="let in only who has a token signed with the secret in this file (anybody)",
    )
    add(
        "--origin",
        action="append",
        metavar="URL",
        help="let browsers in from pages of this origin only; may be repeated (any)",
    )
    add(
        "--trust-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="believe X-Forwarded-For of this reverse proxy, or network of them; may be repeated",
    )
    add("--cert", type=Path, metavar="FILE", help="serve wss:// with this certificate (PEM)")
    add("--key", type=Path, metavar="FILE", help="the certificate's key, if it is not in --cert")
    add(
        "--drain-seconds",
        type=float,
        default=DRAIN_SECONDS,
        metavar="SECONDS",
        help="how long after SIGTERM who is there may stay (%(default)g)",
    )
    return parser.parse_args(arguments)


def _parse_token(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m signaling token", description="Make a join token, as a back end would."
    )
    add = parser.add_argument
    add("--secret-file", type=Path, required=True, metavar="FILE", help="the server's secret")
    add("--room", required=True, help='the room that it opens; a game server\'s is "game"')
    add("--name", required=True, help="what the player is called")
    add("--subject", help="what the back end calls the player, such as an account's number")
    add("--lifetime", type=float, default=60.0, metavar="SECONDS", help="(%(default)g)")
    return parser.parse_args(arguments)


def _secret(file: Path) -> str:
    """Return the secret in a file, without the line's end that editors leave behind it."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the secret in {file} cannot be read: {error}") from None


async def _serve(options: argparse.Namespace) -> None:
    tls: ssl.SSLContext | None = None
    if options.cert is not None:
        tls = server_context(options.cert, options.key)
    elif options.key is not None:
        raise UsageError("--key belongs to a --cert: name both, or none")
    if not 0 <= options.drain_seconds <= MAX_DRAIN_SECONDS:
        raise UsageError(f"--drain-seconds is 0 to {MAX_DRAIN_SECONDS:.0f}")
    server = SignalingServer(
        limits=SignalingLimits(
            max_rooms=options.max_rooms,
            max_peers_per_room=options.max_peers,
            parcel_byte_rate=options.relay_rate,
        ),
        join_secret=options.join_secret_file and _secret(options.join_secret_file),
        ice_servers=[IceServer((url,)) for url in options.ice_server],
        origins=options.origin,
        trust_proxies=options.trust_proxy,
    )
    with Signals() as told:

        async def drain() -> None:
            await told.drain.wait()
            await server.drain(options.drain_seconds)

        await server.start(options.host, options.port, ssl=tls)
        host = options.host or "localhost"
        if ":" in host:
            host = f"[{host}]"
        scheme = "ws" if tls is None else "wss"
        where = "" if options.host else ", on every address of this machine"
        print(f"signaling on {scheme}://{host}:{server.port}{where} (Ctrl-C ends it)", flush=True)
        await first_of(told.stop.wait(), drain())
        await server.stop()


def main(arguments: list[str] | None = None) -> int:
    """Run until told to end. Return the exit status: 0, or 1 if it could not do it."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["turn"]:
        return turn.main(arguments[1:])
    try:
        if arguments[:1] == ["token"]:
            wanted = _parse_token(arguments[1:])
            token = JoinSecret(_secret(wanted.secret_file)).issue(
                name=wanted.name,
                room=wanted.room,
                lifetime=wanted.lifetime,
                now=time.time(),
                subject=wanted.subject,
            )
            print(token)
            return 0
        options = _parse(arguments)
        asyncio.run(_serve(options))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot serve on port {options.port}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass  # Ctrl-C before the handler was in place
    return 0


if __name__ == "__main__":
    sys.exit(main())
