"""A signaling server on its own: ``python -m signaling --port 8080``.

It prints where it listens and runs until Ctrl-C or SIGTERM.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable

from signaling.errors import UsageError
from signaling.limits import SignalingLimits
from signaling.messages import IceServer
from signaling.server import SignalingServer


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    defaults = SignalingLimits()
    parser = argparse.ArgumentParser(
        prog="python -m signaling", description="Rooms in which peers find each other."
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


def _on_signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


async def _serve(options: argparse.Namespace) -> None:
    server = SignalingServer(
        limits=SignalingLimits(max_rooms=options.max_rooms, max_peers_per_room=options.max_peers),
        ice_servers=[IceServer((url,)) for url in options.ice_server],
    )
    stopped = asyncio.Event()
    _on_signals(asyncio.get_running_loop(), stopped.set)
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
