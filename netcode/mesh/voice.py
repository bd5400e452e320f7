"""Voice in a mesh: each talks to each, and every frame is encoded once for all of them."""

from contextlib import suppress

from netcode.core.voice_words import VOICE, Listening, Recording, decode_wish, encode
from netcode.errors import SendQueueFull, WireError
from netcode.link.delivery import RELIABLE
from netcode.link.session import Channel
from netcode.mesh.peer import MeshPeer
from netcode.voice.chat import VoiceChat
from netcode.voice.headers import FLAT, PLACED, renumbered, stamped


class MeshVoice:
    """What stands between a mesh and its voice chat. Lives on the event loop.

    A peer numbers its own voice as it likes: here it has the number that this end gives to the
    peer, `MeshPeer.number`. One's own voice has the number 0.
    """

    def __init__(self, chat: VoiceChat) -> None:
        self._chat = chat
        self._channels: dict[MeshPeer, Channel] = {}
        self._deaf: set[MeshPeer] = set()
        """Peers that want to hear nobody."""
        self._recording: set[MeshPeer] = set()
        self._wants = True
        self._records = False

    def start(self) -> None:
        """Begin to talk and to hear."""
        self._chat.start(0, self)

    def add(self, peer: MeshPeer) -> None:
        """A peer has come."""
        connection = peer._connection
        self._channels[peer], early = connection.session.open(VOICE, RELIABLE)
        connection.on_media = lambda packet: self._heard(peer, packet)
        if not self._wants:
            self._tell(peer, Listening(False))
        if self._records:
            self._tell(peer, Recording(True))
        for payload in early:
            try:
                self.take(peer, payload)
            except WireError as error:
                connection.close(f"nonsense about voice: {error}")
                return

    def remove(self, peer: MeshPeer) -> None:
        """A peer has gone."""
        self._channels.pop(peer, None)
        self._deaf.discard(peer)
        self._recording.discard(peer)
        self._chat.forget(peer.number)
        self._note_recording()

    def carries(self, channel: Channel) -> bool:
        """Whether a channel is the one for words about voice."""
        return channel.name == VOICE and channel.delivery is RELIABLE

    def take(self, peer: MeshPeer, payload: bytes) -> None:
        """Take what a peer says about voice. Raises `WireError`."""
        wish = decode_wish(payload)
        if isinstance(wish, Recording):
            (self._recording.add if wish.on else self._recording.discard)(peer)
            self._note_recording()
        else:
            (self._deaf.discard if wish.on else self._deaf.add)(peer)

    # -- for the chat ------------------------------------------------------------------------

    def send(self, packet: bytes) -> None:
        """Send a packet of one's own voice to all who want it."""
        for peer in self._channels:
            if peer not in self._deaf:
                peer._connection.send_media(packet)

    def want(self, on: bool) -> None:
        """Be sent voices, or none."""
        self._wants = on
        for peer in list(self._channels):
            self._tell(peer, Listening(on))

    def tell_recording(self, on: bool) -> None:
        """Tell everybody that this end records, or has stopped."""
        self._records = on
        self._note_recording()
        for peer in list(self._channels):
            self._tell(peer, Recording(on))

    # ----------------------------------------------------------------------------------------

    def _heard(self, peer: MeshPeer, packet: bytes) -> None:
        kind = PLACED if self._chat.silent > 0 else FLAT
        self._chat.take(stamped(renumbered(packet, peer.number), kind))

    def _note_recording(self) -> None:
        self._chat.recording = self._records or bool(self._recording)

    def _tell(self, peer: MeshPeer, word: Listening | Recording) -> None:
        with suppress(SendQueueFull):  # who reads nothing does not keep it from the others
            peer._connection.send(self._channels[peer], encode(word))
