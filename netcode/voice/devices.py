"""Microphones and loudspeakers, by miniaudio.

miniaudio is an extra (`pip install netcode[voice]`): servers and bots do without. Sound comes in
and goes out in the sound card's own thread, 10 ms at a time, and is cut into frames of 20 ms here.

Headsets are unplugged, daemons restart. No system says so reliably, so what counts is whether sound
flows: each stream has a thread that looks after it. When nothing has come for two seconds the
device is given up, and the one that was asked for or else the default one is opened in its place,
again and again until there is one. While another one stands in, the one asked for is looked for.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from netcode.errors import UsageError, VoiceError
from netcode.voice.opus import FRAME, RATE, Pcm
from netcode.voice.sinks import Stereo
from netcode.voice.sound_card import (
    DEFAULT,
    Device,
    Kind,
    backends,
    explained,
    find,
    library,
    listed,
)

__all__ = ["DEFAULT", "Device", "Devices", "Microphone", "Speaker", "devices"]

log = logging.getLogger("netcode.voice")

PERIOD = 10
"""Milliseconds of sound in each call of the sound card. Two of them are a frame."""

LOOK = 0.2
"""Seconds between two looks at whether sound flows."""

GONE = 10
"""Looks in a row that find no sound, after which a device is given up: two seconds. Looks are
counted rather than seconds, since a program that was suspended has missed both."""

SLOW_START = 20
"""Looks in a row for a device that has just been opened: a headset by radio takes seconds to turn
from music to speech."""

RETRY, SELDOM = 1.0, 8.0
"""Seconds between attempts at first, and after some that failed."""

LOOK_FOR = 3.0
"""Seconds between looks for the device that was asked for, while another one stands in."""

CLOSING = 5.0
"""Seconds that closing waits for a sound system that does not answer."""


@dataclass(frozen=True, slots=True)
class Devices:
    """What is plugged in. Either list may be empty."""

    microphones: list[Device]
    speakers: list[Device]


def devices() -> Devices:
    """The microphones and speakers of this machine, as the system orders them.

    Takes some milliseconds. Raises `VoiceError` where the extra is missing, or sound altogether.
    """
    return Devices(
        microphones=[device for device, _ in listed("microphone")],
        speakers=[device for device, _ in listed("speaker")],
    )


class _Stream:
    """A device that is open, and the thread that looks after it."""

    _kind: Kind

    def __init__(self, device: str | None, changed: Callable[[Device | None], object] | None):
        self._wanted = device
        self._changed = changed
        self._current: Device | None = None
        self._handle: Any = None
        self._told: Device | None = None
        self._flowed = self._flowed_before = 0
        self._sound_thread: int | None = None
        self._has_raised = False
        self._keeper: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def current(self) -> Device | None:
        """The device in use; None before the start, after the end, and while there is none."""
        return self._current

    def start(self) -> None:
        """Opens the device, or the default one if that is not there, and lets sound flow.

        Raises `VoiceError` if there is none, it must not be used, or the extra is missing;
        `UsageError` if this was started before.
        """
        if self._keeper is not None or self._closed.is_set():
            raise UsageError(f"a {self._kind} is started once: make another one")
        self._open_any()
        self._told = self._current
        self._keeper = threading.Thread(
            target=self._keep, name=f"netcode-{self._kind}", daemon=True
        )
        self._keeper.start()

    def close(self) -> None:
        """Ends the stream and its threads. More than once does no harm.

        From within one of its own callbacks it only asks for the end, which follows at once.
        """
        self._closed.set()
        keeper = self._keeper
        if keeper is not None and threading.get_ident() not in (keeper.ident, self._sound_thread):
            keeper.join(CLOSING)

    # --- the keeper's thread ---

    def _keep(self) -> None:
        wait, failed = LOOK, RETRY
        seen, silent = self._flowed, 0
        looked_for_at = time.monotonic()
        while not self._closed.wait(wait):
            wait = LOOK
            silent = 0 if self._flowed != seen else silent + 1
            seen = self._flowed
            if self._handle is not None and self._has_flowed and not silent:
                failed = RETRY
            if self._handle is not None and silent >= (GONE if self._has_flowed else SLOW_START):
                opened_in_vain = not self._has_flowed
                self._give_up()
                if opened_in_vain:
                    wait, failed = failed, min(2 * failed, SELDOM)
            if self._handle is None and wait == LOOK:
                try:
                    self._open_any()
                except VoiceError as error:
                    log.info("%s", error)
                    wait, failed = failed, min(2 * failed, SELDOM)
                silent, looked_for_at = 0, time.monotonic()
            elif self._stands_in() and time.monotonic() - looked_for_at > LOOK_FOR:
                self._return_to_wanted()
                silent, looked_for_at = 0, time.monotonic()
            if self._handle is None or self._has_flowed:
                self._tell()
        self._give_up()

    @property
    def _has_flowed(self) -> bool:
        """Whether anything came since the device was opened."""
        return self._flowed != self._flowed_before

    def _stands_in(self) -> bool:
        return self._wanted is not None and self._current is DEFAULT

    def _return_to_wanted(self) -> None:
        try:
            found = find(self._kind, self._wanted)
            if found is not None:
                self._give_up()
                self._open(*found)
        except VoiceError:
            log.info("the %s %r is back, but does not open", self._kind, self._wanted)

    def _tell(self) -> None:
        if self._told == self._current or self._changed is None or self._closed.is_set():
            return
        self._told = self._current
        try:
            self._changed(self._current)
        except Exception:
            log.exception("the function changed= of a %s raised", self._kind)

    # --- opening and closing ---

    def _open_any(self) -> None:
        """The device that is wanted, or else the default one. Raises `VoiceError`."""
        if self._wanted is not None:
            try:
                found = find(self._kind, self._wanted)
                if found is not None:
                    self._open(*found)
                    return
            except VoiceError as error:
                log.info("%s; taking the default one", error)
        self._open(DEFAULT, None)

    def _open(self, device: Device, device_id: Any) -> None:
        miniaudio = library()
        frames = self._frames()
        next(frames)
        self._flowed_before = self._flowed
        try:
            handle = self._made(miniaudio, device_id)
            try:
                handle.start(frames)
            except miniaudio.MiniaudioError:
                handle.close()
                raise
        except miniaudio.MiniaudioError as error:
            raise explained(miniaudio, self._kind, device, error) from error
        self._handle, self._current = handle, device

    def _give_up(self) -> None:
        handle, self._handle, self._current = self._handle, None, None
        if handle is not None:
            handle.close()

    # --- what microphone and speaker differ in ---

    def _made(self, miniaudio: Any, device_id: Any) -> Any:
        raise NotImplementedError

    def _frames(self) -> Generator[Any, Any, None]:
        raise NotImplementedError

    def _flows(self) -> None:
        self._flowed += 1
        self._sound_thread = threading.get_ident()

    def _log_once(self, function: str) -> None:
        """Log the exception being handled, which a function of the user's has raised."""
        if not self._has_raised:
            log.exception(
                "the function %s of a %s raised; this is logged once", function, self._kind
            )
        self._has_raised = True


class Microphone(_Stream):
    """Gives 20 ms after 20 ms of a microphone to ``spoken``, in a thread of its own.

    - ``device``: the id or name of one of `devices`, or None for the default one.
    - ``spoken(frame)``: called with float32[960], which is overwritten once it has returned. It
      must be quick (a few milliseconds). What it raises is logged, once, and changes nothing.
    - ``changed(device)``: called from another thread when the device in use becomes another
      one, or None, since there is none any more. Not for the device that it starts with.

    Nothing happens before `start`. On macOS a microphone that the user has not allowed opens, and
    is silent.
    """

    _kind = "microphone"

    def __init__(
        self,
        device: str | None = None,
        *,
        spoken: Callable[[Pcm], object],
        changed: Callable[[Device | None], object] | None = None,
    ) -> None:
        super().__init__(device, changed)
        self._spoken = spoken

    def _made(self, miniaudio: Any, device_id: Any) -> Any:
        return miniaudio.CaptureDevice(
            input_format=miniaudio.SampleFormat.FLOAT32,
            nchannels=1,
            sample_rate=RATE,
            buffersize_msec=PERIOD,
            device_id=device_id,
            backends=backends(miniaudio),
            app_name="netcode",
        )

    def _frames(self) -> Generator[None, bytes, None]:
        frame = np.zeros(FRAME, np.float32)
        filled = 0
        while True:
            samples = np.frombuffer((yield), np.float32)
            self._flows()
            while len(samples):
                part = samples[: FRAME - filled]
                frame[filled : filled + len(part)] = part
                filled += len(part)
                samples = samples[len(part) :]
                if filled == FRAME:
                    filled = 0
                    self._give(frame)

    def _give(self, frame: Pcm) -> None:
        if self._closed.is_set():
            return
        try:
            self._spoken(frame)
        except Exception:
            self._log_once("spoken=")


class Speaker(_Stream):
    """Plays what ``pull`` gives, 20 ms after 20 ms, in a thread of its own.

    - ``device``: the id or name of one of `devices`, or None for the default one.
    - ``pull()``: gives the next float32[960, 2], -1 to 1, which is copied. It must be quick (a few
      milliseconds). What it raises is logged, once, and silence is played for it.
    - ``changed(device)``: as for a `Microphone`.

    Nothing happens before `start`.
    """

    _kind = "speaker"

    def __init__(
        self,
        device: str | None = None,
        *,
        pull: Callable[[], Stereo],
        changed: Callable[[Device | None], object] | None = None,
    ) -> None:
        super().__init__(device, changed)
        self._pull = pull
        self._silence = np.zeros((FRAME, 2), np.float32)

    def _made(self, miniaudio: Any, device_id: Any) -> Any:
        return miniaudio.PlaybackDevice(
            output_format=miniaudio.SampleFormat.FLOAT32,
            nchannels=2,
            sample_rate=RATE,
            buffersize_msec=PERIOD,
            device_id=device_id,
            backends=backends(miniaudio),
            app_name="netcode",
        )

    def _frames(self) -> Generator[memoryview | bytes, int, None]:
        frame = self._silence.copy()
        given = FRAME
        sound = np.empty((0, 2), np.float32)
        count = yield b""
        while True:
            self._flows()
            if len(sound) < count:
                sound = np.empty((count, 2), np.float32)
            filled = 0
            while filled < count:
                if given == FRAME:
                    frame[:] = self._take()
                    given = 0
                part = frame[given : given + count - filled]
                sound[filled : filled + len(part)] = part
                filled += len(part)
                given += len(part)
            count = yield sound[:count].data.cast("B")

    def _take(self) -> Stereo:
        if self._closed.is_set():
            return self._silence
        try:
            frame = self._pull()
            if frame.shape != (FRAME, 2):
                raise UsageError(f"pull() gives arrays of shape ({FRAME}, 2), not {frame.shape}")
            return frame
        except Exception:
            self._log_once("pull=")
            return self._silence
