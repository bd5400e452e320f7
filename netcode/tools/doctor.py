"""``python -m netcode doctor [URL]``: can this machine play, and does it get through to a server?

Without a URL it looks at this machine alone; with one, also at each step of the way to the game
there, and at every rung of the ladder. Each line says how it stands with one thing, and where it
does not stand well, what is likely behind it and what to do.
"""

import argparse
import asyncio
import json
import logging
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

from netcode.doors import as_ours, door
from netcode.errors import UsageError
from netcode.reach import Room
from netcode.server import GAME_ROOM
from netcode.tools import (
    judge_door,
    judge_paths,
    look_at_door,
    look_at_machine,
    look_at_relays,
    look_at_rungs,
)
from netcode.tools.findings import Finding, Report
from netcode.tools.look_at_door import Door
from netcode.tools.page import Page
from signaling.tls import client_context


def main(arguments: Sequence[str]) -> int:
    """Run from the command line. Returns the exit code: 0 if a game would get through (without a
    URL: if this machine can play), 1 if not, 2 for arguments that make no sense."""
    args = _parse(arguments)
    page = None if args.json else Page(sys.stdout)
    # Whatever fails becomes a finding; what the libraries log of it would stand in between.
    logging.disable(logging.CRITICAL)
    try:
        examination = Examination(page)
        report = asyncio.run(
            examination.run(args.url, room=args.room, token=args.token, ca_file=args.ca_file)
        )
    except UsageError as error:
        print(f"netcode doctor: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        logging.disable(logging.NOTSET)
    if page is None:
        print(json.dumps(report.as_json(), indent=1))
    else:
        page.end(report)
    return 0 if report.ok else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m netcode doctor",
        description="Can this machine play, and does it get through to a server? Ends with 0 if a "
        "game would get through (without URL: if this machine can play), otherwise with 1.",
    )
    add = parser.add_argument
    add("url", nargs="?", help="of the game's server, or of its signaling: wss://game.example:8080")
    add("--room", default=GAME_ROOM, help="the game's room there (%(default)s)")
    add("--token", help="a join token, where the server asks for one")
    add("--ca-file", metavar="FILE", help="certificates (PEM) to trust instead of the system's")
    add("--json", action="store_true", help="for programs; see docs/getting-through.md")
    return parser.parse_args(arguments)


class Examination:
    """One examination. What is found is shown on the page at once, if there is one."""

    def __init__(self, page: Page | None = None) -> None:
        self._page = page
        self._findings: list[Finding] = []

    async def run(
        self,
        url: str | None,
        *,
        room: str = GAME_ROOM,
        token: str | None = None,
        ca_file: str | None = None,
    ) -> Report:
        """Look at everything, which takes a few seconds, and half a minute where much is blocked.

        Raises `UsageError` for a URL, a room, a token or a file that could not be one. Cancelling
        it leaves the room and closes everything.
        """
        way = None if url is None else _door(url, room, token, ca_file)
        self._begin("this machine")
        await self._note(look_at_machine.look())
        rung = None
        if way is not None:
            self._begin(f"the way to {way.url}")
            await self._note(look_at_door.look(way))
            if way.member is not None:
                visit = Room(way.member)
                try:
                    rung = await self._look_inside(way.room, visit)
                finally:
                    await visit.close()
        return Report(url, tuple(self._findings), rung)

    async def _look_inside(self, room: str, visit: Room) -> str | None:
        """Look at relays and rungs. Returns the rung that a game would use."""
        servers = visit.member.ice_servers
        host = visit.member.host
        self._show(judge_door.on_host(room, host is not None))
        self._begin("relays")
        await self._note(look_at_relays.look(servers))
        if host is None:
            return None
        self._begin("rungs of the ladder, the best first")
        told = [url for server in servers for url in server.urls]
        open_ones = []
        async for opened in look_at_rungs.look(visit, host):
            self._show(judge_paths.on_rung(opened, told))
            if opened.seconds is not None:
                open_ones.append(opened.rung.value)
        return open_ones[0] if open_ones else None

    async def _note(self, source: AsyncIterator[Finding]) -> None:
        async for finding in source:
            self._show(finding)

    def _show(self, finding: Finding) -> None:
        self._findings.append(finding)
        if self._page is not None:
            self._page.show(finding)

    def _begin(self, title: str) -> None:
        if self._page is not None:
            self._page.begin(title)


def _door(url: str, room: str, token: str | None, ca_file: str | None) -> Door:
    if not _is_url(url):
        raise UsageError(f"{url!r} is not a server: it looks like ws://localhost:8080")
    enter = door(url, room=room, token=token, ca_file=ca_file)
    tls = None
    if url.startswith("wss://"):
        with as_ours():
            tls = ssl.create_default_context() if ca_file is None else client_context(ca_file)
    return Door(url, room, enter, tls, own_authority=ca_file is not None)


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number
        return False
