"""Voice at the guest: the rules it has been told, and the way of voice packets out and in."""

from collections.abc import Callable

from netcode.core.voice_words import (
    VOICE,
    Listening,
    Recording,
    VoiceRules,
    decode_rules,
    encode,
)
from netcode.link.connection import Connection
from netcode.link.delivery import RELIABLE
from netcode.link.session import Channel


class GuestVoice:
    """One guest's voice, without the audio. All of it belongs to the network's side."""

    def __init__(self, connection: Connection) -> None:
        self.rules: VoiceRules | None = None
        """What the host says; None while it has not, or if there is no voice in this game."""
        self.on_rules: Callable[[VoiceRules], None] = lambda rules: None
        self._connection = connection
        self._channel = connection.session.open(VOICE, RELIABLE)[0]

    def listen(self, on_packet: Callable[[bytes], None]) -> None:
        """Call this with each voice packet that comes."""
        self._connection.on_media = on_packet

    def send(self, packet: bytes) -> None:
        """Send a voice packet; it is lost if there is no link."""
        self._connection.send_media(packet)

    def want(self, on: bool) -> None:
        """Be sent voices, or none."""
        self._connection.send(self._channel, encode(Listening(on)))

    def tell_recording(self, on: bool) -> None:
        """Tell the host, which tells everybody, that this player records, or has stopped."""
        self._connection.send(self._channel, encode(Recording(on)))

    def carries(self, channel: Channel) -> bool:
        return channel is self._channel

    def take(self, payload: bytes) -> None:
        """Take what the host says about voice. Raises `WireError`."""
        self.rules = decode_rules(payload)
        self.on_rules(self.rules)
