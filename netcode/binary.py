"""`Bytes`: a field for whatever a game has packed itself, in messages only."""

from typing import Any

from netcode.errors import ProtocolError, UsageError, WireError
from netcode.fields import Field

MAX_BYTES = 1_000_000
"""Bytes of one field. A reliable message has at most 1 MiB, and there is a little around them."""


class Bytes(Field[bytes]):
    """At most ``max_bytes`` bytes that netcode does not look into: a map, a picture, a saved game.

    Only for messages; one that is longer than 16 KiB in all has to be of a reliable class. A value
    that is too long raises `UsageError`, since a part of it would be worth nothing.
    """

    def __init__(self, *, max_bytes: int, default: bytes = b"") -> None:
        if not 1 <= max_bytes <= MAX_BYTES:
            raise ProtocolError(f"max_bytes must be 1 to {MAX_BYTES}, not {max_bytes}")
        super().__init__(default=default)
        self.max_bytes = max_bytes

    def check(self, value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise UsageError(f"{self} takes bytes, not {value!r:.40}")
        data = bytes(value)
        if len(data) > self.max_bytes:
            raise UsageError(
                f"{self} takes {self.max_bytes} bytes, not {len(data)}: raise its max_bytes, or "
                "send it in parts"
            )
        return data

    def from_wire(self, value: Any) -> bytes:
        """What has arrived for this field. Raises `WireError` unless it is so many bytes."""
        if not isinstance(value, bytes) or len(value) > self.max_bytes:
            raise WireError(f"{self} is at most {self.max_bytes} bytes")
        return value

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "max_bytes": self.max_bytes}
