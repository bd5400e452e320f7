"""The circle: everybody that one end of a mesh is connected to, and how two ends become peers.

Driven from outside, like a link: transports to other members are handed in, time comes by `pump`,
and what happens is told through callbacks. It knows no event loop and no signaling server, only the
ids of the room.

Whoever comes into a room calls those who are there. So between two members one calls, but a member
whose connection to signaling breaks comes in again, under a new id, perhaps while the other one
does the same; and who called may then be the one who is called. The words that make sure that two
are peers once, whatever happens, are in `netcode.mesh.words`.
"""

from collections.abc import Callable, Collection
from typing import Any

from netcode.errors import WireError
from netcode.link.connection import Connection
from netcode.link.delivery import RELIABLE
from netcode.link.link import Link
from netcode.link.session import Channel, Session
from netcode.link.tickets import Tickets
from netcode.mesh import words
from netcode.mesh.peer import MeshPeer
from netcode.mesh.words import Hello, Here, Known, Ready, Same, Welcome
from netcode.transports.base import Transport

GREETING_TIMEOUT = 5.0
"""Seconds that two ends have on a fresh link to find out who they are."""

MAX_GREETINGS = 128
"""Links on which nobody knows yet who the other one is."""

MAX_PEERS = 256
"""More than a signaling server lets into a room."""


class Greeting:
    """A link between two members of the room who do not know yet whether they know each other."""

    def __init__(self, here: str, there: str, name: str, since: float, *, called: bool) -> None:
        self.here = here
        """This end's id in the room when the call was made."""
        self.there = there
        self.name = name
        self.since = since
        self.called = called
        """Whether this end has called."""
        self.session = Session()
        self.control: Channel = self.session.open(words.CONTROL, RELIABLE)[0]
        self.link: Link
        self.id: str | None = None
        """Who the other end says it is."""
        self.nonce = b""
        self.key: bytes | None = None
        """What this end has given the other one in a `Welcome`."""
        self.grace = 0.0
        self.peer: MeshPeer | None = None
        """Whom this end believes the other one to be, until that is proved."""
        self.proved = False
        self.on_ended: Callable[[], None] = lambda: None

    def say(self, word: words.Word) -> None:
        self.link.send(self.control, words.encode(word))


class Circle:
    """One end's. ``clock`` gives monotonic seconds, ``entropy(n)`` n bytes that nobody can guess.

    Callbacks: ``on_join``, ``on_leave``, ``on_reconnecting``, ``on_resumed`` with the peer;
    ``on_message(peer, channel, payload)``; ``on_retired(link)`` once for every link that has ended
    or been replaced: whoever made its transport closes it. ``present()`` are the ids of those who
    are in the room now.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        grace: float,
        entropy: Callable[[int], bytes],
        on_join: Callable[[MeshPeer], Any],
        on_leave: Callable[[MeshPeer], Any],
        on_reconnecting: Callable[[MeshPeer], Any],
        on_resumed: Callable[[MeshPeer], Any],
        on_message: Callable[[MeshPeer, Channel, bytes], Any],
        on_retired: Callable[[Link], Any],
        present: Callable[[], Collection[str]],
    ) -> None:
        self.id = ""
        """This end's first id in the room, by which its peers know it."""
        self.room_id = ""
        """This end's id in the room now, or when it was last there."""
        self.peers: dict[str, MeshPeer] = {}
        self._clock = clock
        self._grace = grace
        self._entropy = entropy
        self._on_join = on_join
        self._on_leave = on_leave
        self._on_reconnecting = on_reconnecting
        self._on_resumed = on_resumed
        self._on_message = on_message
        self._on_retired = on_retired
        self._present = present
        self._greetings: list[Greeting] = []
        self._tickets = Tickets(entropy)
        self._holders: dict[int, MeshPeer] = {}
        """By the number on their tickets, those who have called this end."""
        self._numbers = 0
        self._parted: set[str] = set()
        """Ids in the room of those with whom it is over, not only the link."""

    # -- driving -----------------------------------------------------------------------------

    def enter(self, room_id: str) -> None:
        """This end is in the room under this id from now on."""
        self.id = self.id or room_id
        self.room_id = room_id
        for peer in list(self.peers.values()):
            peer._say(Here(room_id))

    def greet(
        self, transport: Transport, here: str, there: str, name: str, on_ended: Callable[[], None]
    ) -> None:
        """A transport to a member that this end has called, from one id of the room to another.

        ``on_ended`` is called once: the two are peers now, or were before, or will not be.
        """
        greeting = Greeting(here, there, name, self._clock(), called=True)
        greeting.on_ended = on_ended
        greeting.nonce = self._entropy(words.NONCE_BYTES)
        self._start(greeting, transport)
        greeting.say(Hello(self.id, greeting.nonce, self._grace))

    @property
    def is_crowded(self) -> bool:
        """Whether too many links are being found out about to answer another call."""
        return len(self._greetings) >= MAX_GREETINGS

    def answer(self, transport: Transport, here: str, there: str, name: str) -> None:
        """A transport to a member that has called this end."""
        greeting = Greeting(here, there, name, self._clock(), called=False)
        self._start(greeting, transport)

    def pump(self) -> None:
        """Keep the links alive, end those on which nothing is said, and the grace periods."""
        for peer in list(self.peers.values()):
            peer._connection.pump()
        for greeting in list(self._greetings):
            greeting.link.pump()
            if self._clock() - greeting.since > GREETING_TIMEOUT:
                greeting.link.close("said nothing after connecting")

    def next_timer(self) -> float:
        """When to call `pump` next, on the clock's scale."""
        due = [peer._connection.next_timer() for peer in self.peers.values()]
        due += [greeting.link.next_timer() for greeting in self._greetings]
        return min(due, default=float("inf"))

    def close(self, reason: str) -> None:
        """Say goodbye to everybody."""
        for peer in list(self.peers.values()):
            peer._connection.close(reason)
        for greeting in list(self._greetings):
            greeting.link.close(reason)

    # -- the room ----------------------------------------------------------------------------

    def located(self, room_id: str) -> MeshPeer | None:
        """Who that is, as far as this end has been told."""
        return next((peer for peer in self.peers.values() if peer._room_id == room_id), None)

    def is_settled(self) -> bool:
        """Whether all peers that can be heard have said under which id they are in the room now."""
        present = self._present()
        return all(
            peer._room_id in present for peer in self.peers.values() if peer._connection.is_up
        )

    def should_meet(self, room_id: str) -> bool:
        """Whether a member who was in the room before this end has to be called, to become a peer
        or, since its link is down, to learn where this end is now."""
        self._parted.intersection_update(self._present())
        if room_id in self._parted:
            return False
        peer = self.located(room_id)
        if peer is None:
            return True
        can_tell = peer._connection.is_up or peer._called
        return not can_tell and not peer._knows_where(self.room_id)

    # -- greetings ---------------------------------------------------------------------------

    def _start(self, greeting: Greeting, transport: Transport) -> None:
        greeting.link = Link(
            transport,
            greeting.session,
            self._clock,
            on_message=lambda channel, payload: self._word(greeting, payload),
            on_datagram=_no_datagrams,
            on_closed=lambda reason: self._closed(greeting),
        )
        if not greeting.called:
            greeting.link.on_resume = lambda ticket: self._resume(greeting, ticket)
        self._greetings.append(greeting)
        greeting.link.start()

    def _word(self, greeting: Greeting, payload: bytes) -> None:
        word = words.decode(payload)
        is_first = greeting.id is None
        match word:
            case Hello() if is_first and not greeting.called:
                self._hello(greeting, word)
            case Welcome() if is_first and greeting.called:
                self._welcome(greeting, word)
            case Known() if is_first and greeting.called:
                self._known(greeting, word)
            case Ready() if greeting.key is not None:
                self._ready(greeting, greeting.key)
            case Same() if greeting.peer is not None and not greeting.called:
                self._same(greeting, greeting.peer, word)
            case _:
                raise WireError(f"{type(word).__name__} out of turn")

    def _hello(self, greeting: Greeting, hello: Hello) -> None:
        greeting.id = hello.id
        peer = self.peers.get(hello.id)
        if peer is not None:
            greeting.peer = peer
            greeting.nonce = self._entropy(words.NONCE_BYTES)
            proof = words.proof(peer._key, hello.nonce, greeting.here, greeting.there)
            greeting.say(Known(self.id, greeting.nonce, proof))
        elif self._is_welcome(greeting, hello.id):
            greeting.key = self._entropy(words.KEY_BYTES)
            greeting.grace = min(self._grace, hello.grace)
            greeting.say(Welcome(self.id, greeting.key, self._grace))

    def _welcome(self, greeting: Greeting, welcome: Welcome) -> None:
        greeting.id = welcome.id
        if welcome.id in self.peers:
            greeting.link.close("this peer is not gone here yet")
        elif self._is_answering(welcome.id) and self.id > welcome.id:
            # Both have called, and neither knew that it was the other: one link is enough, and
            # both ends decide alike which. If the other end has not heard our hello yet, it does
            # not know of two, but neither has it been welcomed: this link is the one, then.
            greeting.link.close("the other call goes on")
        elif self._is_welcome(greeting, welcome.id):
            greeting.grace = min(self._grace, welcome.grace)
            greeting.say(Ready())
            self._join(greeting, welcome.id, welcome.key)

    def _is_answering(self, peer_id: str) -> bool:
        return any(
            greeting.id == peer_id and greeting.key is not None for greeting in self._greetings
        )

    def _is_welcome(self, greeting: Greeting, peer_id: str) -> bool:
        """Whether a member may become a peer of this id; otherwise the link is closed."""
        if peer_id == self.id or (peer_id != greeting.there and peer_id in self._present()):
            refusal = "this id is somebody else's"
        elif any(peer._met_as == greeting.there for peer in self.peers.values()):
            refusal = "this member is a peer already"
        elif peer_id != greeting.there and self.located(greeting.there) is not None:
            refusal = "this member is a peer under another id"
        elif len(self.peers) >= MAX_PEERS:
            refusal = f"no more than {MAX_PEERS} peers"
        else:
            return True
        greeting.link.close(refusal)
        return False

    def _ready(self, greeting: Greeting, key: bytes) -> None:
        assert greeting.id is not None
        if greeting.id in self.peers:
            greeting.link.close("another call has come first")
        else:
            self._join(greeting, greeting.id, key)

    def _known(self, greeting: Greeting, known: Known) -> None:
        greeting.id = known.id
        peer = self.peers.get(known.id)
        here, there = greeting.here, greeting.there
        if peer is None or not words.holds(known.proof, peer._key, greeting.nonce, there, here):
            greeting.link.close("no peer of this end's, or no proof of it")
            return
        greeting.peer, greeting.proved = peer, True
        self._locate(peer, there)
        greeting.say(Same(words.proof(peer._key, known.nonce, here, there)))

    def _same(self, greeting: Greeting, peer: MeshPeer, same: Same) -> None:
        here, there = greeting.here, greeting.there
        if words.holds(same.proof, peer._key, greeting.nonce, there, here):
            self._locate(peer, there)
            peer._found_as = here
            greeting.link.close("found again")
        else:
            greeting.link.close("no proof of being that peer")

    def _closed(self, greeting: Greeting) -> None:
        if greeting in self._greetings:
            self._greetings.remove(greeting)
            if greeting.proved and greeting.peer is not None and greeting.link.is_final:
                greeting.peer._found_as = greeting.here
            greeting.on_ended()
        self._on_retired(greeting.link)

    def _locate(self, peer: MeshPeer, room_id: str) -> None:
        if self.located(room_id) is None:
            peer._room_id = room_id

    # -- peers -------------------------------------------------------------------------------

    def _join(self, greeting: Greeting, peer_id: str, key: bytes) -> None:
        self._greetings.remove(greeting)
        self._numbers += 1
        number = self._numbers
        connection = Connection(
            greeting.session,
            self._clock,
            on_message=lambda channel, payload: self._message(peer, channel, payload),
            on_datagram=_no_datagrams,
            on_lost=lambda reason: self._on_reconnecting(peer),
            on_resumed=lambda: self._on_resumed(peer),
            on_confirmed=lambda: self._tickets.confirm(number),
            on_over=lambda reason: self._left(peer, number, reason),
            on_retired=self._on_retired,
        )
        connection.grace = greeting.grace
        peer = MeshPeer(
            peer_id,
            greeting.name,
            connection,
            greeting.control,
            called=greeting.called,
            key=key,
            room_id=greeting.there,
            number=number,
        )
        self.peers[peer_id] = peer
        if greeting.called:
            connection.begin_on(greeting.link)
        else:
            self._holders[number] = peer
            connection.adopt(greeting.link)
            greeting.link.give_ticket(self._tickets.issue(number))
        if greeting.here != self.room_id:
            peer._say(Here(self.room_id))
        self._on_join(peer)
        greeting.on_ended()

    def _resume(self, greeting: Greeting, ticket: bytes) -> None:
        if greeting not in self._greetings or greeting.id is not None:
            raise WireError("came back out of turn")
        number = self._tickets.holder(ticket)
        if number is None:
            greeting.link.close("lost: the peer has gone on without this one")
            return
        self._greetings.remove(greeting)
        greeting.link.give_ticket(self._tickets.issue(number, shown=ticket))
        self._holders[number]._connection.adopt(greeting.link)

    def _message(self, peer: MeshPeer, channel: Channel, payload: bytes) -> None:
        if channel is not peer._control:
            self._on_message(peer, channel, payload)
            return
        word = words.decode(payload)
        if not isinstance(word, Here):
            raise WireError(f"{type(word).__name__} of a peer")
        self._locate(peer, word.id)

    def _left(self, peer: MeshPeer, number: int, reason: str) -> None:
        link = peer._connection.link
        if link is not None and link.is_final:
            self._parted.add(peer._room_id)
        elif not reason.startswith("lost:"):
            reason = f"lost: {reason}"
        peer.left_because = reason
        self._tickets.drop(number)
        self._holders.pop(number, None)
        if self.peers.pop(peer.id, None) is not None:
            self._on_leave(peer)


def _no_datagrams(data: bytes) -> None:
    raise WireError("a mesh has no datagrams")
