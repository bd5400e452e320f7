"""How far a WebRTC connection has come, in words: what was tried, and what has failed."""

from collections import Counter
from collections.abc import Sequence

from aiortc import RTCPeerConnection

ICE_STAGES = {
    "new": "their checks have not begun",
    "checking": "no pair of them has answered",
    "failed": "no pair of them has answered",
    "closed": "the checks were ended",
}
"""What is still missing, by the state of ICE; with any other, what comes after it is."""


def progress(pc: RTCPeerConnection, notes: Sequence[str]) -> str:
    """What was tried and how far it came. ``notes`` say what failed on the way."""
    sctp = pc.sctp
    if sctp is None:
        return ""
    dtls = sctp.transport
    ice = dtls.transport
    here = Counter(candidate.type for candidate in ice.iceGatherer.getLocalCandidates())
    there = Counter(candidate.type for candidate in ice.getRemoteCandidates())
    missing = ICE_STAGES.get(ice.state)
    if missing is None:
        if dtls.state != "connected":
            missing = "one pair has answered, but the encryption handshake is not done"
        else:
            missing = "it is encrypted, but its channels are not open"
    states = f"ICE {ice.state}, DTLS {dtls.state}, SCTP {sctp.state}"
    text = f"tried {_listed(here)} here with {_listed(there)} there, {missing} ({states})"
    return "; ".join([text, *notes])


def _listed(candidate_types: Counter[str]) -> str:
    if not candidate_types:
        return "no address"
    return " + ".join(f"{number} {kind}" for kind, number in candidate_types.items())
