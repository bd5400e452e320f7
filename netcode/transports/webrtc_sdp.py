"""What an introduction brings: SDP and candidate lines from somebody not to be trusted.

aiortc parses these with asserts and keeps much of what it reads for later, where it would fail
in a task that nobody awaits. So everything is checked here first: what gets through describes
exactly one bundle of data channels that this end can use.
"""

import ipaddress
import re

from aiortc import RTCIceCandidate, RTCSessionDescription
from aiortc.sdp import SessionDescription, candidate_from_sdp

from netcode.errors import WireError
from netcode.transports.base import MAX_TRANSPORT_MESSAGE

MAX_SDP = 16_384
"""Characters of a description; with a dozen candidates, browsers write about 2,000."""

MAX_CANDIDATE = 512
"""Characters of one candidate line; usual ones have about 100."""

MAX_CANDIDATES = 64
"""Candidates taken for one connection, those that are ignored included. Each is checked against
each own address, so this bounds the packets that a stranger can make this machine send."""

MAX_NAMED_CANDIDATES = 4
"""Of them, candidates that hide their address behind an mDNS name: each name is one multicast
question to the local network and may take a second."""

DATA_PROFILES = ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")
USABLE_TYPES = ("host", "srflx", "relay")
ICE_USER = re.compile(r"[A-Za-z0-9+/]{4,256}")
ICE_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
CANDIDATE_LINE = "a=candidate:"


def checked_description(text: str, kind: str, *, trickle: bool) -> RTCSessionDescription:
    """A description that aiortc can apply, without the candidates that this end cannot use.

    ``kind`` is ``"offer"`` or ``"answer"``. Without ``trickle`` at least one usable candidate
    must be in it. Raises `WireError`.
    """
    if not isinstance(text, str) or len(text) > MAX_SDP or not text.isascii():
        raise WireError(f"the {kind} is not a text of at most {MAX_SDP} ASCII characters")
    lines, usable = _without_useless_candidates(text)
    kept = "\r\n".join(lines) + "\r\n"
    try:
        description = SessionDescription.parse(kept)
    except Exception as error:
        raise WireError(f"the {kind} is not SDP: {error!r}") from error
    _check(description, kind)
    complete = description.media[0].ice_candidates_complete
    if not usable and (complete or not trickle):
        raise WireError(f"the {kind} names no address that this end can reach")
    return RTCSessionDescription(sdp=kept, type=kind)


def checked_candidate(
    text: str | None, sdp_mid: str | None, sdp_mline_index: int | None
) -> RTCIceCandidate | None:
    """A trickled candidate, or None for one that ends the candidates (None or empty).

    Raises `WireError`. See `is_usable` for those that make no sense to try.
    """
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise WireError("a candidate is not a text")
    candidate = _parse_candidate(text.removeprefix("a=").removeprefix("candidate:"))
    named = isinstance(sdp_mid, str) and len(sdp_mid) <= MAX_CANDIDATE
    numbered = isinstance(sdp_mline_index, int) and sdp_mline_index >= 0
    if not named and not numbered:
        raise WireError("a candidate does not say to which media section it belongs")
    candidate.sdpMid = sdp_mid if named else None
    candidate.sdpMLineIndex = sdp_mline_index if numbered else None
    return candidate


def is_named(candidate: RTCIceCandidate) -> bool:
    """Whether the address is hidden behind an mDNS name, as browsers do."""
    return candidate.ip.endswith(".local")


def is_usable(candidate: RTCIceCandidate) -> bool:
    """Whether a check can be sent there at all: one machine's address, over UDP."""
    if (
        candidate.component != 1
        or candidate.protocol.lower() != "udp"
        or candidate.type not in USABLE_TYPES
        or not 1 <= candidate.port <= 65_535
    ):
        return False
    if is_named(candidate):
        return True
    try:
        address = ipaddress.ip_address(candidate.ip)
    except ValueError:
        return False
    if address.version == 6 and (address.scope_id is not None or address.ipv4_mapped is not None):
        return False
    broadcast = address.version == 4 and address.is_reserved
    return not (address.is_multicast or address.is_unspecified or broadcast)


def _parse_candidate(text: str) -> RTCIceCandidate:
    if len(text) > MAX_CANDIDATE or not text.isascii():
        raise WireError(f"a candidate is longer than {MAX_CANDIDATE} ASCII characters")
    try:
        return candidate_from_sdp(text)
    except Exception as error:
        raise WireError(f"a candidate cannot be read: {error!r}") from error


def _without_useless_candidates(text: str) -> tuple[list[str], int]:
    lines: list[str] = []
    seen = named = usable = 0
    for line in text.splitlines():
        if line.startswith(CANDIDATE_LINE):
            seen += 1
            candidate = _parse_candidate(line.removeprefix(CANDIDATE_LINE))
            named += is_named(candidate)
            if not is_usable(candidate) or (is_named(candidate) and named > MAX_NAMED_CANDIDATES):
                continue
            usable += 1
        lines.append(line)
    if seen > MAX_CANDIDATES:
        raise WireError(f"a description has more than {MAX_CANDIDATES} candidates")
    return lines, usable


def _check(description: SessionDescription, kind: str) -> None:
    if len(description.media) != 1 or description.media[0].kind != "application":
        raise WireError(f"the {kind} is not about data channels alone")
    media = description.media[0]
    mid = media.rtp.muxId
    if media.profile not in DATA_PROFILES or media.port == 0 or not mid:
        raise WireError(f"the {kind} refuses data channels")
    for group in description.group:
        if group.semantic == "BUNDLE" and group.items not in ([], [mid]):
            raise WireError(f"the {kind} bundles media that it does not have")
    ice = media.ice
    if (
        ice is None
        or not ICE_USER.fullmatch(ice.usernameFragment or "")
        or not ICE_PASSWORD.fullmatch(ice.password or "")
    ):
        raise WireError(f"the {kind} has no proper ICE credentials")
    if media.dtls is None or not media.dtls.fingerprints:
        raise WireError(f"the {kind} does not say which certificate to expect")
    if kind == "answer" and media.dtls.role not in ("client", "server"):
        raise WireError("the answer does not choose a DTLS role")
    if not 1 <= (media.sctp_port or 0) <= 65_535:
        raise WireError(f"the {kind} has no SCTP port")
    # Absent means 65,536 and zero means any size (RFC 8841 section 6.1).
    limit = media.sctpCapabilities.maxMessageSize if media.sctpCapabilities else 0
    if limit != 0 and limit < MAX_TRANSPORT_MESSAGE:
        raise WireError(f"the other end takes no messages of {MAX_TRANSPORT_MESSAGE} bytes")
