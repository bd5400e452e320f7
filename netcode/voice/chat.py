"""Voice chat: one player's microphone and ears, with what a game wants to set and to show.

It stands between two threads and the network. Frames of the microphone come on the thread of the
sound card, or on the event loop if there is none (`pump`); packets go out and come in on the loop;
a mixed frame is taken by the speaker's thread. The game's thread sets volumes and looks at levels.
"""

import asyncio
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from typing import Literal, Protocol

from netcode.errors import UsageError, VoiceError, WireError
from netcode.voice.headers import FLAT, is_placed, stamped
from netcode.voice.jitter_buffer import VoiceStats
from netcode.voice.listener import LOUDEST, MOST_SPEAKERS, Listener
from netcode.voice.mixing import placed
from netcode.voice.opus import Pcm
from netcode.voice.pump import Pump
from netcode.voice.recording import MixRecorder
from netcode.voice.rtp import decode
from netcode.voice.sinks import Sink, Stereo
from netcode.voice.sources import Source
from netcode.voice.talker import Mode, Talker

log = logging.getLogger("netcode.voice")

Kind = Literal["microphone", "speaker"]

Place = Sequence[float]
"""(x, y) or (x, y, z), in units of the game."""

NO_PLACE = (1.0, 0.0)
"""Gain and pan of a voice that is heard as it is."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How a player talks and hears: ``nc.connect(..., voice=nc.Voice())``.

    Raises `UsageError` for values that could not work.
    """

    mode: Mode = "push"
    """``"push"``: only while ``client.voice.pressed``; ``"open"``: whenever somebody speaks."""
    microphone: str | None = None
    """Name of the device to speak into (see `voice_devices`); None for the system's."""
    speaker: str | None = None
    """Name of the device to hear from; None for the system's."""
    bitrate: int = 28_000
    """Bits a second of one's own voice while one speaks."""
    source: Source | None = None
    """Speak from this instead of a microphone: a file, a tone, a bot's hum."""
    sink: Sink | None = None
    """Hear into this instead of a speaker."""

    def __post_init__(self) -> None:
        if self.mode not in ("push", "open"):
            raise UsageError(f'mode is "push" or "open", not {self.mode!r}')
        if not 6_000 <= self.bitrate <= 128_000:
            raise UsageError(f"bitrate is 6000 to 128000 bits a second, not {self.bitrate!r}")
        if self.source is not None and self.microphone is not None:
            raise UsageError("a voice comes from a microphone or from a source, not from both")
        if self.sink is not None and self.speaker is not None:
            raise UsageError("voices go to a speaker or into a sink, not to both")


class Wire(Protocol):
    """What carries the voice of a chat; called on the event loop."""

    def send(self, packet: bytes) -> None:
        """Send a packet of one's own voice."""

    def want(self, on: bool) -> None:
        """Be sent voices, or none."""

    def tell_recording(self, on: bool) -> None:
        """Tell the others that this end records, or has stopped."""


class VoiceChat:
    """``client.voice``: talk, hear, and see who talks. Setting anything takes effect at once.

    Everything may be called from the game's thread. Where there is no microphone or no sound card,
    the game goes on, and `problem` says what to do.
    """

    def __init__(self, settings: Voice) -> None:
        self.locate: Callable[[int], Place | None] | None = None
        """May be set: ``locate(player_id)`` says where a player is, one's own included, or None.
        Called in `update` for who is heard: voices fade and pan as the server's policy says."""
        self.heading: float | None = None
        """Where this player looks, in radians from the x axis towards the y axis, for games that
        are seen through its eyes; None for those that are seen from above, with x to the right. As
        on screens, y grows downwards: where it grows upwards, give both `locate` and this with the
        sign of y, and of the angle, turned."""
        self.full, self.silent = 0.0, 0.0
        """Up to where a placed voice has its full volume, and where it is no more heard."""
        self.recording = False
        """Whether somebody in the room records: tell the player."""
        self._settings = settings
        self._listener = Listener()
        self._listener.place = self._placing
        self._talker: Talker | None = None
        self._mode: Mode = settings.mode
        self._pressed = self._muted = False
        self._gain = self._loudness = 1.0
        self._deafened = False
        self._me = 0
        self._heard: OrderedDict[int, bool] = OrderedDict()
        """Whose packets have come, the latest last, and whether that voice is placed."""
        self._places: dict[int, tuple[float, float]] = {}
        self._wire: Wire | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends: dict[Kind, _End] = {}
        self._problems: dict[Kind, str] = {}
        self._is_closed = False
        self._recorder: MixRecorder | None = None
        self._recording_lock = threading.Lock()
        """The sound card's thread writes, and the game's ends it."""
        self._opening: dict[Kind, threading.Lock] = {
            "microphone": threading.Lock(),
            "speaker": threading.Lock(),
        }
        self._wanted: dict[Kind, int] = {"microphone": 0, "speaker": 0}
        """How often a device has been asked for: an older request gives up."""

    # -- talking -----------------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """``"push"``: only while `pressed`; ``"open"``: whenever somebody speaks."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._settings = replace(self._settings, mode=mode)  # raises for what is none
        self._mode = mode
        self._set_talker()

    @property
    def pressed(self) -> bool:
        """Whether the key to talk is held; set it each frame, or when the key changes."""
        return self._pressed

    @pressed.setter
    def pressed(self, down: bool) -> None:
        self._pressed = bool(down)
        self._set_talker()

    @property
    def muted(self) -> bool:
        """Whether nothing is sent, whatever the microphone hears."""
        return self._muted

    @muted.setter
    def muted(self, on: bool) -> None:
        self._muted = bool(on)
        self._set_talker()

    @property
    def gain(self) -> float:
        """By how much the microphone is amplified, 0 to 8."""
        return self._gain

    @gain.setter
    def gain(self, gain: float) -> None:
        if not 0 <= gain <= 8:
            raise UsageError(f"gain is 0 to 8, not {gain!r}")
        self._gain = float(gain)
        self._set_talker()

    @property
    def talking(self) -> bool:
        """Whether one's own voice is being sent at this moment."""
        return self._talker is not None and self._talker.speaking

    @property
    def level(self) -> float:
        """Of the microphone, in dBFS, sent or not; -100 while there is none."""
        return -100.0 if self._talker is None else self._talker.level

    # -- hearing -----------------------------------------------------------------------------

    @property
    def speaking(self) -> Mapping[int, float]:
        """Who is heard at this moment: player's number and level, 0 to 1."""
        return self._listener.speaking

    @property
    def deafened(self) -> bool:
        """Whether nobody is heard; the server sends no voices then."""
        return self._deafened

    @deafened.setter
    def deafened(self, on: bool) -> None:
        self._deafened = self._listener.deafened = bool(on)
        self._tell(lambda wire: wire.want(not self._deafened))

    @property
    def loudness(self) -> float:
        """By how much all that is heard is amplified, 0 to 4, on top of each player's `volume`."""
        return self._loudness

    @loudness.setter
    def loudness(self, loudness: float) -> None:
        if not 0 <= loudness <= LOUDEST:
            raise UsageError(f"loudness is 0 to {LOUDEST:g}, not {loudness!r}")
        self._loudness = float(loudness)

    def volume(self, player: int) -> float:
        """How loud a player is heard, 1 as it comes."""
        return self._listener.volume_of(player)

    def set_volume(self, player: int, volume: float) -> None:
        """Hear a player louder or softer: 0 to 4. Raises `UsageError` outside of that."""
        self._listener.set_volume(player, volume)

    def mute(self, player: int, on: bool = True) -> None:
        """Hear a player no more, or again."""
        self._listener.mute(player, on)

    def is_muted(self, player: int) -> bool:
        """Whether a player is muted here."""
        return self._listener.is_muted(player)

    def stats(self, player: int) -> VoiceStats:
        """How a player's voice arrives; all zero if nothing of it has lately."""
        return self._listener.stats(player)

    def update(self) -> None:
        """Ask where those are who are heard. A client's own `update` calls it."""
        locate = self.locate
        if locate is None or not 0 <= self.full < self.silent:
            self._places.clear()
            return
        here = locate(self._me)
        for player, is_placed_voice in list(self._heard.items()):
            if not is_placed_voice:
                self._places.pop(player, None)
                continue
            there = locate(player)
            if here is not None and there is not None:  # otherwise it stays where it was last
                self._places[player] = self._place(here, there)

    # -- devices -----------------------------------------------------------------------------

    @property
    def problem(self) -> str | None:
        """What keeps this player from speaking or hearing, for people; None if nothing does."""
        return next(iter(self._problems.values()), None)

    def use_microphone(self, device: str | None) -> None:
        """Speak into this device, by its id or name; None is the system's. Takes some milliseconds.
        If it cannot be used, `problem` says why."""
        self._open("microphone", device)

    def use_speaker(self, device: str | None) -> None:
        """Hear from this device; see `use_microphone`."""
        self._open("speaker", device)

    # -- recording ---------------------------------------------------------------------------

    def record(self, path: str | PathLike[str]) -> None:
        """Record what this player hears into a file, ``.wav`` or ``.opus``. Everybody is told.

        A crash loses the last second at most. Raises `UsageError` if it records already, or if the
        file cannot be made.
        """
        if self._recorder is not None:
            raise UsageError("this voice chat records already: stop_recording() first")
        self._recorder = MixRecorder(path)
        self._tell(lambda wire: wire.tell_recording(True))

    def stop_recording(self) -> None:
        """End the recording. Harmless if there is none."""
        with self._recording_lock:
            recorder, self._recorder = self._recorder, None
            if recorder is None:
                return
            try:
                recorder.close()
            except OSError as error:
                log.error("the end of a recording is lost, since it cannot be written: %s", error)
        self._tell(lambda wire: wire.tell_recording(False))

    # -- for those who connect it ------------------------------------------------------------

    @property
    def has_begun(self) -> bool:
        """Whether `start` has been called."""
        return self._talker is not None

    def start(self, me: int, wire: Wire) -> None:
        """Begin, on the running event loop, as this player."""
        self._loop = asyncio.get_running_loop()
        self._me, self._wire = me, wire
        self._talker = Talker(me, mode=self._mode, bitrate=self._settings.bitrate)
        self._set_talker()
        settings = self._settings
        if settings.source is not None:
            self._pump("microphone", Pump(source=settings.source, spoken=self._spoken))
        else:
            self._loop.run_in_executor(None, self._open, "microphone", settings.microphone)
        if settings.sink is not None:
            self._pump("speaker", Pump(sink=settings.sink, pull=self._pull))
        else:
            self._loop.run_in_executor(None, self._open, "speaker", settings.speaker)
        if self._deafened:
            wire.want(False)
        if self._recorder is not None:
            wire.tell_recording(True)

    def obey(self, full: float, silent: float, recording: bool) -> None:
        """Take in what the server says about voice."""
        self.full, self.silent, self.recording = full, silent, recording

    def line_loses(self, share: float) -> None:
        """So much of what is sent is lost: say it twice, from a hundredth on. Tell it often."""
        if self._talker is not None:
            self._talker.loss = share

    def take(self, packet: bytes) -> None:
        """A voice packet has come. Raises `WireError` for what is none."""
        if len(packet) < 2:
            raise WireError("not a voice packet")
        heard = decode(stamped(packet, FLAT))
        self._heard[heard.speaker] = is_placed(packet)
        self._heard.move_to_end(heard.speaker)
        if len(self._heard) > MOST_SPEAKERS:
            self._places.pop(self._heard.popitem(last=False)[0], None)
        self._listener.receive(heard, time.monotonic())

    def forget(self, player: int) -> None:
        """A player has gone."""
        self._listener.forget(player)
        self._heard.pop(player, None)
        self._places.pop(player, None)

    def close(self) -> None:
        """Let go of the devices. Idempotent."""
        self._wire = None
        self._is_closed = True
        for kind in list(self._ends):
            self._put(kind, None)
        self.stop_recording()
        self._loop = None

    # ----------------------------------------------------------------------------------------

    def _pump(self, kind: Kind, pump: Pump) -> None:
        self._put(kind, pump)
        pump.start()

    def _open(self, kind: Kind, device: str | None) -> None:
        """Use this device from now on, or say what is wrong with that. Takes some milliseconds."""
        self._wanted[kind] += 1
        request = self._wanted[kind]
        with self._opening[kind]:
            if request == self._wanted[kind] and not self._is_closed:
                self._open_now(kind, device)

    def _open_now(self, kind: Kind, device: str | None) -> None:
        from netcode.voice import devices  # only who wants sound needs miniaudio

        self._put(kind, None)
        end: devices.Microphone | devices.Speaker
        changed = partial(self._device_changed, kind)
        if kind == "microphone":
            end = devices.Microphone(device, spoken=self._spoken, changed=changed)
        else:
            end = devices.Speaker(device, pull=self._pull, changed=changed)
        try:
            end.start()
        except VoiceError as error:
            self._problems[kind] = str(error)
            log.warning("voice: %s", error)
            return
        self._problems.pop(kind, None)
        self._put(kind, end)
        if self._is_closed:
            self._put(kind, None)

    def _put(self, kind: Kind, end: "_End | None") -> None:
        """Let this be the microphone or the speaker, and end the one before."""
        before = self._ends.pop(kind, None)
        if before is not None:
            before.close()
        if end is not None:
            self._ends[kind] = end

    def _device_changed(self, kind: Kind, device: object) -> None:
        if device is None:
            self._problems[kind] = f"the {kind} is gone: plug it in again, or choose another one"
        else:
            self._problems.pop(kind, None)

    def _spoken(self, pcm: Pcm) -> None:
        """A frame of the microphone: on the sound card's thread, or on the loop."""
        talker = self._talker
        packet = None if talker is None else talker.take(pcm, time.monotonic())
        if packet is not None:
            data = packet.encode()
            self._tell(lambda wire: wire.send(data))

    def _pull(self) -> Stereo:
        frame = self._listener.mix(time.monotonic())
        with self._recording_lock:
            if self._recorder is not None:
                try:
                    self._recorder.take(frame)
                except OSError as error:  # a disk that is full ends the recording, not the game
                    log.error("the recording ends, since it cannot be written: %s", error)
                    self._recorder = None
                    self._tell(lambda wire: wire.tell_recording(False))
        return frame

    def _place(self, here: Place, there: Place) -> tuple[float, float]:
        """Gain and pan of who is there; height counts for how far that is."""
        one, other = (here[0], here[1]), (there[0], there[1])
        bounds = {"full": self.full, "silent": self.silent}
        gain, pan = placed(one, other, **bounds, heading=self.heading)
        if len(here) > 2 and len(there) > 2:
            gain, _ = placed((0.0, 0.0), (math.dist(here, there), 0.0), **bounds)
        return gain, pan

    def _placing(self, player: int) -> tuple[float, float]:
        gain, pan = self._places.get(player, NO_PLACE)
        return gain * self._loudness, pan

    def _set_talker(self) -> None:
        talker = self._talker
        if talker is not None:
            talker.mode, talker.gain = self._mode, self._gain
            talker.pressed, talker.muted = self._pressed, self._muted

    def _tell(self, call: Callable[[Wire], None]) -> None:
        """Call this with the wire, on the event loop, if there still is one."""

        def on_loop() -> None:
            if self._wire is not None:
                call(self._wire)

        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it has closed in the meantime
                loop.call_soon_threadsafe(on_loop)


class _End(Protocol):
    def close(self) -> None: ...
