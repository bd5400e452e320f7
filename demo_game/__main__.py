"""``python -m demo_game``: a server, some bots and a window in one go; see ``--help``."""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence

from netcode.transports.conditioner import PRESETS

NO_PYGAME = """The window needs pygame, which is not installed. Install it with

    pip install "netcode[demo]"

The server and the bots need none: python -m demo_game host, python -m demo_game bots URL"""


def arguments(line: Sequence[str]) -> argparse.Namespace:
    """Read the command line; ends the program with an explanation if it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m demo_game",
        description="A space arena for many players. Without a command: a server, some bots and "
        "a window, in one go.",
    )
    parser.add_argument("--bots", type=_count, default=4, metavar="N", help="how many (4)")
    parser.add_argument("--name", default="", help="your name in the arena")
    _add_conditions(parser)
    _add_hum(parser)
    parser.add_argument("--headless", action="store_true", help="play by itself, without a screen")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long, if headless (20)")
    parser.add_argument("--screenshot", metavar="FILE", help="a picture of it, if headless")
    parser.add_argument("--report", metavar="FILE", help="figures as JSON, if headless")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    host = commands.add_parser("host", help="run a server until Ctrl-C")
    host.add_argument("--port", type=int, default=8080, help="0 takes any that is free (8080)")
    host.add_argument("--address", default="0.0.0.0", help="of this machine, to listen on")
    host.add_argument("--seed", type=int, default=1, help="decides how the arena is filled")

    join = commands.add_parser("join", help="open a window in someone's arena")
    join.add_argument("url", help="such as ws://localhost:8080")
    join.add_argument("--name", default="", help="your name in the arena")
    _add_conditions(join)

    bots = commands.add_parser("bots", help="send bots into an arena until Ctrl-C")
    bots.add_argument("url", help="such as ws://localhost:8080")
    bots.add_argument("-n", type=_count, default=5, metavar="N", help="how many (5)")
    bots.add_argument("--first", type=_count, default=0, help="where their names begin")
    bots.add_argument("--seed", type=int, default=1, help="decides their characters")
    _add_conditions(bots)
    _add_hum(bots)

    for command in (host, bots):  # for the processes that start these
        command.add_argument("--managed", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(line)


def main(line: Sequence[str]) -> int:
    """The program; returns its exit code."""
    chosen = arguments(line)
    if chosen.command == "host":
        from demo_game import host

        return host.main(
            port=chosen.port, address=chosen.address, seed=chosen.seed, managed=chosen.managed
        )
    if chosen.command == "bots":
        from demo_game import bots

        return bots.main(
            chosen.url,
            chosen.n,
            first=chosen.first,
            seed=chosen.seed,
            conditions=chosen.conditions,
            hum=chosen.hum,
            managed=chosen.managed,
        )
    if importlib.util.find_spec("pygame") is None:
        print(NO_PYGAME, file=sys.stderr)
        return 1
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if chosen.headless and chosen.command is None:
        os.environ["SDL_VIDEODRIVER"] = "dummy"  # read when pygame opens its display
        from demo_game import headless

        return headless.main(
            seconds=chosen.seconds,
            bots=chosen.bots,
            screenshot=chosen.screenshot,
            report=chosen.report,
            conditions=chosen.conditions,
        )
    from demo_game import player

    url = chosen.url if chosen.command == "join" else None
    hum = chosen.hum if url is None else False
    return player.main(
        url=url, name=chosen.name, weather=chosen.conditions, bots=chosen.bots, hum=hum
    )


def _add_conditions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--conditions",
        choices=tuple(PRESETS),
        metavar="NAME",
        help=f"bad weather on each client's link: {', '.join(PRESETS)}",
    )


def _add_hum(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hum", action="store_true", help="the bots hum now and then, to try voices alone"
    )


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 60:
        raise argparse.ArgumentTypeError("0 to 60")
    return number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
