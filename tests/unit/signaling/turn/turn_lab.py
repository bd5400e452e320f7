"""A relay whose outside are lists, and a client that writes its requests byte by byte."""

from typing import Any

from aioice import stun as codec

from signaling.credentials import Credential, Credentials, TurnSecret, long_term_key
from signaling.turn.allocations import Client
from signaling.turn.limits import TurnLimits
from signaling.turn.outside import NoRelayedAddress
from signaling.turn.peers import PeerPolicy
from signaling.turn.relay import Relay
from signaling.turn.stun import Address, Class, Family, Method

REALM = "example.org"
SECRET = TurnSecret("secret")
EPOCH = 1_800_000_000.0
"""The wall clock when the lab's monotonic clock says 0."""

OWN_V4, OWN_V6 = "198.41.0.4", "2620:0:2d0::1"
ADA, BOB = Client(0, "145.1.1.1", 1111), Client(0, "145.1.1.2", 2222)
PEER: Address = ("8.8.8.8", 4000)
PEER_V6: Address = ("2606:4700::1", 4000)
UDP = 17 << 24


class Lab:
    """A relay and the world around it. Its clock stands still until somebody moves `now`."""

    def __init__(self, *, peers: PeerPolicy | None = None, **limits: Any) -> None:
        self.now = 0.0
        self.peers = peers or PeerPolicy()
        self.peers.set_own([OWN_V4, OWN_V6])
        self.sent: list[tuple[Client, bytes]] = []
        """What went to clients since somebody looked."""
        self.to_peers: list[tuple[Address, Address, bytes]] = []
        self.open: set[Address] = set()
        self.refuse_with: int | None = None
        """The code with which the next port is refused, if any."""
        self.next_port = 50_000
        self.relay = Relay(
            self,
            realm=REALM,
            credentials=Credentials(SECRET, {"fixed": "password"}),
            peers=self.peers,
            limits=TurnLimits(**limits),
            nonce_key=b"key",
            wall_clock=lambda: EPOCH + self.now,
            now=self.now,
        )

    def open_relayed(self, client: Client, family: Family, even: bool) -> Address:
        if self.refuse_with is not None:
            raise NoRelayedAddress(self.refuse_with)
        self.next_port += 2
        relayed = (OWN_V4 if family is Family.IPV4 else OWN_V6), self.next_port + (not even)
        self.open.add(relayed)
        return relayed

    def close_relayed(self, relayed: Address) -> None:
        self.open.remove(relayed)

    def send_to_client(self, client: Client, packet: bytes) -> None:
        self.sent.append((client, packet))

    def send_to_peer(self, relayed: Address, peer: Address, data: bytes) -> None:
        self.to_peers.append((relayed, peer, data))

    def receive(self, client: Client, packet: bytes) -> None:
        self.relay.receive(client, packet, self.now)

    def from_peer(self, relayed: Address, peer: Address, data: bytes) -> None:
        self.relay.receive_from_peer(relayed, peer, data, self.now)

    def taken(self) -> list[tuple[Client, bytes]]:
        sent, self.sent = self.sent, []
        return sent

    def player(self, client: Client = ADA, name: str = "ada", **options: Any) -> "Player":
        return Player(self, client, SECRET.issue(name, EPOCH + self.now), **options)


class Player:
    """A client. ``ask`` returns the answer, and signs with what it has been told so far."""

    def __init__(self, lab: Lab, client: Client, credential: Credential) -> None:
        self.lab = lab
        self.client = client
        self.credential = credential
        self.realm: str | None = None
        self.nonce: bytes | None = None
        self.key: bytes | None = None
        self.relayed: Address = ("", 0)

    def build(
        self,
        method: Method,
        attributes: dict[str, Any] | None = None,
        *,
        raw: bytes = b"",
        signed: bool = True,
        transaction_id: bytes | None = None,
    ) -> bytes:
        """The bytes of a request; ``raw`` are attributes that the codec does not know."""
        message = RawMessage(method, Class.REQUEST, transaction_id, dict(attributes or {}))
        message.raw = raw
        if signed and self.key is not None:
            message.attributes |= {
                "USERNAME": self.credential.username,
                "REALM": self.realm,
                "NONCE": self.nonce,
            }
            message.add_message_integrity(self.key)
        return bytes(message)

    def ask(
        self, method: Method, attributes: dict[str, Any] | None = None, **how: Any
    ) -> codec.Message | None:
        self.lab.receive(self.client, self.build(method, attributes, **how))
        return self.answer()

    def answer(self) -> codec.Message | None:
        """The answer that has just come, or None."""
        sent = self.lab.taken()
        if not sent:
            return None
        ((client, packet),) = sent
        assert client == self.client
        return codec.parse_message(packet)

    def learn(self, challenge: codec.Message | None) -> None:
        """Take realm and nonce from a challenge."""
        assert challenge is not None
        assert challenge.attributes["ERROR-CODE"][0] in (401, 438)
        self.realm, self.nonce = challenge.attributes["REALM"], challenge.attributes["NONCE"]
        assert self.realm is not None
        self.key = long_term_key(self.credential.username, self.realm, self.credential.password)

    def allocate(self, **how: Any) -> codec.Message:
        """Ask for an allocation, as clients do: first without, then with credentials."""
        attributes = {"REQUESTED-TRANSPORT": UDP, **how.pop("attributes", {})}
        self.learn(self.ask(Method.ALLOCATE, attributes, **how))
        answer = self.ask(Method.ALLOCATE, attributes, **how)
        assert answer is not None
        if answer.message_class is Class.RESPONSE:
            self.relayed = answer.attributes["XOR-RELAYED-ADDRESS"]
        return answer

    def permit(self, *peers: Address) -> codec.Message | None:
        return self.ask(Method.CREATE_PERMISSION, raw=b"".join(map(xor_peer, peers)))

    def bind(self, number: int, peer: Address) -> codec.Message | None:
        return self.ask(Method.CHANNEL_BIND, {"CHANNEL-NUMBER": number, "XOR-PEER-ADDRESS": peer})

    def refresh(self, lifetime: int) -> codec.Message | None:
        return self.ask(Method.REFRESH, {"LIFETIME": lifetime})

    def indicate(self, peer: Address, data: bytes) -> None:
        self.lab.receive(self.client, send_indication(peer, data))

    def say(self, number: int, data: bytes) -> None:
        header = number.to_bytes(2, "big") + len(data).to_bytes(2, "big")
        self.lab.receive(self.client, header + data)


class RawMessage(codec.Message):
    """A message with attributes that the codec does not know, in front of the others."""

    raw = b""

    def __bytes__(self) -> bytes:
        packet = super().__bytes__()
        body = self.raw_for(self.transaction_id) + packet[20:]
        return packet[:2] + len(body).to_bytes(2, "big") + packet[4:20] + body

    def raw_for(self, transaction_id: bytes) -> bytes:
        """Addresses are written for a transaction id of zeros; put the real one in."""
        out, at = b"", 0
        while at < len(self.raw):
            kind = int.from_bytes(self.raw[at : at + 2], "big")
            size = int.from_bytes(self.raw[at + 2 : at + 4], "big")
            value = self.raw[at + 4 : at + 4 + size]
            if kind == 0x0012:
                address = codec.unpack_xor_address(value, bytes(12))
                value = codec.pack_xor_address(address, transaction_id)
            out += self.raw[at : at + 4] + value + bytes(-size % 4)
            at += 4 + size + -size % 4
        return out


def attribute(kind: int, value: bytes) -> bytes:
    """An attribute as it stands in a message."""
    header = kind.to_bytes(2, "big") + len(value).to_bytes(2, "big")
    return header + value + bytes(-len(value) % 4)


def xor_peer(peer: Address) -> bytes:
    return attribute(0x0012, codec.pack_xor_address(peer, bytes(12)))


def family(number: int) -> bytes:
    return attribute(0x0017, bytes([number, 0, 0, 0]))


def send_indication(peer: Address, data: bytes) -> bytes:
    attributes = {"XOR-PEER-ADDRESS": peer, "DATA": data}
    return bytes(codec.Message(Method.SEND, Class.INDICATION, None, attributes))


def code(answer: codec.Message | None) -> int:
    """The code of an answer; 0 for yes."""
    assert answer is not None, "no answer"
    return 0 if answer.message_class is Class.RESPONSE else answer.attributes["ERROR-CODE"][0]


def allocated(lab: Lab | None = None, **how: object) -> Player:
    """A player who has an allocation."""
    player = (lab or Lab()).player()
    assert code(player.allocate(**how)) == 0
    return player
