"""How netcode says what the laboratory asks for: the one place to change with its interface."""

import time
from collections.abc import Sequence

import netcode as nc
from signaling import IceServer, TurnSecret


def ice_servers(secret: str, address: str, port: int, name: str) -> Sequence[IceServer]:
    """What somebody is told: whom to ask for its own address, and who relays."""
    credential = TurnSecret(secret).issue(name, time.time())
    urls = tuple(f"turn:{address}:{port}?transport={each}" for each in ("udp", "tcp"))
    return [
        IceServer((f"stun:{address}:{port}",)),
        IceServer(urls, credential.username, credential.password),
    ]


def server(game: nc.Protocol, secret: str, relay: str, port: int) -> nc.Server:
    """A game's server whose players are told of a relay elsewhere."""
    return nc.Server(game, ice_servers=lambda name: ice_servers(secret, relay, port, name))


def way_to(peer: nc.MeshPeer) -> dict[str, str]:
    """The rung of a mesh's link, and the path that packets take, for people."""
    link = peer._connection.link
    return {"rung": peer.rung, "path": "" if link is None else link.transport.path()}


def way_of(client: nc.Client) -> dict[str, str]:
    """The same of a client's link."""
    return {"rung": client.stats.rung, "path": client.stats.path}
