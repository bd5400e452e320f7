"""TURN: a relay for those who find no direct path (RFC 8656).

A client asks the relay for an address of its own, tells it which peers may send to that address,
and sends and receives through it. The relay is also a STUN server: it tells anybody what their
address looks like from here (RFC 8489).

In it, from the pure inside out: `stun` and `framing` (what travels), `peers` (where the relay may
send to at all), `strangers` (what is spent on those without credentials), `allocations` and
`relay` (what is answered to whom), then the sockets: `ports`, `clients`, `server`. ``python -m
signaling turn`` runs one; `program` is its command line.

What may enter: relaying over UDP between a client and its peers. What may not: anything that
looks into what is relayed, and relaying over TCP to peers (RFC 6062), which no game needs.
"""

from signaling.turn.limits import TurnLimits
from signaling.turn.outside import TurnStats
from signaling.turn.peers import PeerPolicy
from signaling.turn.server import TurnServer

__all__ = ["PeerPolicy", "TurnLimits", "TurnServer", "TurnStats"]
