"""Media on a WebRTC connection: RTP packets under SRTP, beside the data channels, without tracks.

Every connection agrees on SRTP keys when it is encrypted (RFC 5764), also one that has no audio in
its description. So a packet can be sent at once, past SCTP with its queue and its congestion
window, for the price of one encryption; nothing has to be negotiated when somebody begins to speak,
and none of aiortc's tasks, threads and buffers for tracks are needed. What the packets hold is the
business of the two ends: between ours, `netcode.voice`.

It reaches past public names, like `aiortc_private`, which puts it in place.
"""

import logging
from collections.abc import Callable
from typing import Any

import pylibsrtp
from aiortc.rtp import is_rtcp

logger = logging.getLogger(__name__)

FIRST_BYTE, LAST_BYTE = 128, 191
"""Of packets of RTP and RTCP (RFC 7983, section 7)."""

HEADER_BYTES = 12
MAX_SOURCES = 4_096
"""Synchronisation sources of which packets are taken in: libsrtp remembers each for good, in some
hundred bytes. A player hears as many others in the life of a link."""

MAX_SOURCES_OF_CALLERS = 16
"""The same at an end that is called: a caller has one voice."""


class MediaPath:
    """The media of one connection.

    ``on_packet`` is called with each RTP packet that has come and is authentic.
    """

    def __init__(
        self,
        dtls: Any,
        connection: Any,
        on_packet: Callable[[bytes], None],
        on_drop: Callable[[], None],
    ) -> None:
        self._dtls = dtls
        self._on_packet = on_packet
        self._on_drop = on_drop
        self.max_sources = MAX_SOURCES
        self._sources: set[bytes] = set()
        self._deliver: Callable[[bytes, int], None] = connection.data_received
        connection.data_received = self._data_received
        dtls._handle_rtp_data = self._handle_rtp_data

    def send(self, packet: bytes) -> None:
        """Send an RTP packet now; it is lost if that is not possible now."""
        dtls = self._dtls
        if dtls._tx_srtp is None:
            self._on_drop()
            return
        try:
            # A coroutine that never waits: it ends in a socket's sendto, or in a weather's hands.
            dtls.transport._send(dtls._tx_srtp.protect(packet)).send(None)
        except StopIteration:
            return
        except (ConnectionError, OSError, pylibsrtp.Error):
            logger.debug("an RTP packet was not sent", exc_info=True)
        self._on_drop()

    def _data_received(self, data: bytes, component: int) -> None:
        if data and FIRST_BYTE <= data[0] <= LAST_BYTE and not self._is_welcome(data):
            self._on_drop()
            return
        self._deliver(data, component)

    def _is_welcome(self, data: bytes) -> bool:
        if len(data) < HEADER_BYTES or is_rtcp(data):
            return False
        return data[8:12] in self._sources or len(self._sources) < self.max_sources

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        self._sources.add(data[8:12])  # now that it is certain who has sent this
        self._on_packet(data)
