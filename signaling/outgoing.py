"""What waits to be sent on one WebSocket: messages first, then parcels, each sender's in turn.

A reader's line may be narrow, so what waits for it is bounded, and nobody's parcels stand in the
way of a message or of another sender's parcels. Pure.
"""

from collections import deque

from signaling.limits import SignalingLimits


class Outgoing:
    """The bounded queue of one reader."""

    def __init__(self, limits: SignalingLimits) -> None:
        self._limits = limits
        self._texts: deque[str] = deque()
        self._text_bytes = 0
        self._parcels: dict[str, deque[bytes]] = {}
        """The frames of each sender that has some waiting; who has waited longest comes first."""
        self._sender_bytes: dict[str, int] = {}
        self._parcel_bytes = 0

    @property
    def messages(self) -> int:
        """How many messages wait."""
        return len(self._texts)

    def put_message(self, text: str) -> bool:
        """Queue a message; False if the reader is too slow for it."""
        size = len(text.encode())
        # A text that alone exceeds the queue's bytes passes while nothing waits before it.
        if len(self._texts) >= self._limits.send_queue_messages or (
            self._texts and self._text_bytes + size > self._limits.send_queue_bytes
        ):
            return False
        self._texts.append(text)
        self._text_bytes += size
        return True

    def put_parcel(self, sender: str, frame: bytes) -> bool:
        """Queue the frame of a parcel; False if there is no room for it."""
        of_sender = self._sender_bytes.get(sender, 0) + len(frame)
        if (
            of_sender > self._limits.parcel_queue_bytes_per_sender
            or self._parcel_bytes + len(frame) > self._limits.parcel_queue_bytes
        ):
            return False
        self._parcels.setdefault(sender, deque()).append(frame)
        self._sender_bytes[sender] = of_sender
        self._parcel_bytes += len(frame)
        return True

    def has_parcels_of(self, sender: str) -> bool:
        """Whether parcels of this sender wait."""
        return sender in self._parcels

    def take(self) -> str | bytes | None:
        """Take what is to be sent next; None if nothing waits."""
        if self._texts:
            text = self._texts.popleft()
            self._text_bytes -= len(text.encode())
            return text
        for sender, frames in self._parcels.items():
            frame = frames.popleft()
            self._parcel_bytes -= len(frame)
            del self._parcels[sender]
            if frames:
                self._parcels[sender] = frames
                self._sender_bytes[sender] -= len(frame)
            else:
                del self._sender_bytes[sender]
            return frame
        return None
