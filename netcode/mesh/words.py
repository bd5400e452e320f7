"""The words that two members of a mesh say to each other, on the channel `CONTROL` of their link.

On a link that neither knows anything of yet, the end that called speaks first:

- `Hello`; `Welcome`, "I do not know you"; `Ready`: the two are peers, and this is their link.
- `Hello`; `Known`, "I know you, here is the proof"; `Same`, "and here is mine": each knows now
  under which id the other is in the room. This link ends, the connection that they have goes on.
- A link's `Resume` instead of all that, and its `Ticket`: their session goes on here.

Later either may say `Here`: "I am in the room under this id now".

The proofs are for members that come back under new ids while their link is down, so that nobody who
listens to what is said in a room can take a peer's place. They are made with the key of the
`Welcome`, and hold for one link between two ids of the room, which the signaling server writes: who
passes the words of two others on has another id, so the proofs do not fit.
"""

from dataclasses import dataclass
from hmac import compare_digest
from hmac import digest as hmac

from netcode.core.join import MAX_GRACE
from netcode.errors import WireError
from netcode.wire.messages import pack_word, unpack

CONTROL = "netcode/mesh"
"""Name of the reliable channel of these words."""

MAX_ID_BYTES = 64
MAX_WORD_BYTES = 512
KEY_BYTES = NONCE_BYTES = PROOF_BYTES = 16


@dataclass(frozen=True, slots=True)
class Hello:
    """Caller to callee, first of all."""

    id: str
    """Under which others know the caller: its first id in the room."""
    nonce: bytes
    """Never used before."""
    grace: float
    """Seconds for which the caller waits for a peer whose link has failed; the less counts."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """The callee does not know the caller."""

    id: str
    key: bytes
    """A secret of the two, for proofs."""
    grace: float


@dataclass(frozen=True, slots=True)
class Ready:
    """The caller does not know the callee either: they are peers now."""


@dataclass(frozen=True, slots=True)
class Known:
    """The callee has a peer of the caller's id."""

    id: str
    nonce: bytes
    proof: bytes
    """Of the caller's nonce."""


@dataclass(frozen=True, slots=True)
class Same:
    """The caller is that peer."""

    proof: bytes
    """Of the callee's nonce."""


@dataclass(frozen=True, slots=True)
class Here:
    """The id under which the sender is in the room now."""

    id: str


Word = Hello | Welcome | Ready | Known | Same | Here


def encode(word: Word) -> bytes:
    return pack_word(word)


def decode(data: bytes) -> Word:
    """Raises `WireError` for anything but a word."""
    if len(data) > MAX_WORD_BYTES:
        raise WireError("a word of a mesh is shorter than that")
    match unpack(data):
        case ["Hello", {"id": str(id), "nonce": bytes(nonce), "grace": float(grace) | int(grace)}]:
            word: Word = Hello(_id(id), _sized(nonce, NONCE_BYTES), _grace(grace))
        case ["Welcome", {"id": str(id), "key": bytes(key), "grace": float(grace) | int(grace)}]:
            word = Welcome(_id(id), _sized(key, KEY_BYTES), _grace(grace))
        case ["Ready", {}]:
            word = Ready()
        case ["Known", {"id": str(id), "nonce": bytes(nonce), "proof": bytes(proof)}]:
            word = Known(_id(id), _sized(nonce, NONCE_BYTES), _sized(proof, PROOF_BYTES))
        case ["Same", {"proof": bytes(proof)}]:
            word = Same(_sized(proof, PROOF_BYTES))
        case ["Here", {"id": str(id)}]:
            word = Here(_id(id))
        case _:
            raise WireError("no word of a mesh")
    return word


def proof(key: bytes, nonce: bytes, prover: str, verifier: str) -> bytes:
    """That the prover has the key, on a link between these two ids of the room."""
    words = b"\0".join((prover.encode(), verifier.encode(), nonce))
    return hmac(key, words, "sha256")[:PROOF_BYTES]


def holds(shown: bytes, key: bytes, nonce: bytes, prover: str, verifier: str) -> bool:
    """Whether this is that proof."""
    return compare_digest(shown, proof(key, nonce, prover, verifier))


def _id(id: str) -> str:
    if not 0 < len(id.encode("utf-8", "replace")) <= MAX_ID_BYTES or not id.isprintable():
        raise WireError("not an id of a member")
    return id


def _sized(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise WireError(f"{len(data)} bytes instead of {size}")
    return data


def _grace(grace: float) -> float:
    if not 0 <= grace <= MAX_GRACE:
        raise WireError(f"a grace of {grace} s")
    return float(grace)
