"""Voice on a server, as a game's program sees it: who hears whom, how much, and recording."""

import logging
from collections.abc import Callable
from os import PathLike

from netcode.core.host_voice import HostVoice
from netcode.core.player import Player
from netcode.errors import UsageError, WireError
from netcode.voice.forwarding import VoiceStats
from netcode.voice.headers import FLAT, stamped
from netcode.voice.recording import Recorder
from netcode.voice.rtp import decode

log = logging.getLogger("netcode")


class ServerVoice:
    """``server.voice``. Belongs to the thread of the server's event loop."""

    def __init__(self, voice: HostVoice, player: Callable[[int], Player | None]) -> None:
        self._voice = voice
        self._player = player
        self._recorder: Recorder | None = None

    @property
    def stats(self) -> VoiceStats:
        """Counts since the start."""
        return self._voice.forwarding.stats

    def listeners_of(self, player: Player) -> list[Player]:
        """Who is sent this player's voice, as of its last words."""
        numbers = self._voice.forwarding.listeners_of(player.id)
        found = (self._player(number) for number in numbers)
        return [each for each in found if each is not None]

    @property
    def recording(self) -> bool:
        """Whether somebody records, this server or a player. All players are told."""
        return self._voice.recording

    def record(self, folder: str | PathLike[str]) -> None:
        """Record everybody who speaks, each into an Ogg/Opus file of its own in this folder, as it
        was sent: nothing is decoded. All players are told, and their games show it.

        A crash loses the last second at most. Raises `UsageError` if it records already, or if the
        folder cannot be made or holds another recording.
        """
        if self._recorder is not None:
            raise UsageError("this server records already: stop_recording() first")
        self._recorder = Recorder(folder)
        self._voice.record(0, True)
        self._voice.tell_all()
        self._voice.forwarding.on_packet = self._take

    def stop_recording(self) -> None:
        """End the recording. Harmless if there is none."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self._voice.forwarding.on_packet = None
            self._voice.record(0, False)
            try:
                recorder.close()
            except OSError as error:
                log.error("the end of a recording is lost, since it cannot be written: %s", error)

    def step(self, now: float) -> None:
        """Write what is due of a recording, for the server: call it often."""
        if self._recorder is not None:
            self._guarded(lambda recorder: recorder.step(now))

    def _take(self, number: int, packet: bytes, now: float) -> None:
        self._guarded(lambda recorder: recorder.take(number, decode(stamped(packet, FLAT)), now))

    def _guarded(self, write: Callable[[Recorder], None]) -> None:
        """A disk that is full ends the recording, and not the game."""
        try:
            if self._recorder is not None:
                write(self._recorder)
        except WireError:
            pass  # passed on all the same: listeners may understand more than this
        except OSError as error:
            log.error("the recording ends, since it cannot be written: %s", error)
            self._recorder = None
            self._voice.forwarding.on_packet = None
            self._voice.record(0, False)
