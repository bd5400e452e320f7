"""A signaling server on its own: ``python -m signaling --port 8080``.

It prints where it listens and runs until Ctrl-C or SIGTERM. ``python -m signaling turn`` is a relay
(`signaling.turn.program`).
"""

import argparse
import asyncio
import sys

from signaling.errors import UsageError
from signaling.limits import SignalingLimits
from signaling.messages import IceServer
from signaling.server import SignalingServer
from signaling.signals import on_signals
from signaling.turn import program as turn


def _parse(arguments: list[str]) -> argparse.Namespace:
    defaults = SignalingLimits()
    parser = argparse.ArgumentParser(
        prog="python -m signaling",
        description="Rooms in which peers find each other. "
        "For a relay: python -m signaling turn --help",
    )
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (%(default)s)")
    parser.add_argument("--host", help="the address to listen on (every address)")
    parser.add_argument("--max-rooms", type=int, default=defaults.max_rooms, help="(%(default)s)")
    parser.add_argument(
        "--max-peers",
        type=int,
        default=defaults.max_peers_per_room,
        help="of one room (%(default)s)",
    )
    parser.add_argument(
        "--ice-server",
        action="append",
        default=[],
        metavar="URL",
        help="a STUN server to tell everybody, such as stun:example.org:3478; may be repeated",
    )
    return parser.parse_args(arguments)


async def _serve(options: argparse.Namespace) -> None:
    server = SignalingServer(
        limits=SignalingLimits(max_rooms=options.max_rooms, max_peers_per_room=options.max_peers),
        ice_servers=[IceServer((url,)) for url in options.ice_server],
    )
    stopped = asyncio.Event()
    on_signals(asyncio.get_running_loop(), stopped.set)
    await server.start(options.host, options.port)
    host = options.host or "localhost"
    if ":" in host:
        host = f"[{host}]"
    where = "" if options.host else ", on every address of this machine"
    print(f"signaling on ws://{host}:{server.port}{where} (Ctrl-C ends it)", flush=True)
    await stopped.wait()
    await server.stop()


def main(arguments: list[str] | None = None) -> int:
    """Run until told to end. Return the exit status: 0, or 1 if it could not listen."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["turn"]:
        return turn.main(arguments[1:])
    options = _parse(arguments)
    try:
        asyncio.run(_serve(options))
    except (UsageError, OSError) as error:
        print(f"cannot serve on port {options.port}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass  # Ctrl-C before the handler was in place
    return 0


if __name__ == "__main__":
    sys.exit(main())
