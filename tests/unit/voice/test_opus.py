"""Opus by libopus: what comes back, what a lost frame becomes, and what bytes cannot do."""

import gc
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from netcode.errors import UsageError, WireError
from netcode.voice import opus
from netcode.voice.opus import FRAME, Decoder, Encoder, carries_recovery
from tests.unit.voice.sounds import voiced


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two sounds, at whichever shift up to 10 ms is best."""
    a, b = a.ravel().astype(float), b.ravel().astype(float)
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    best = max(abs(np.dot(a[s:], b[: len(b) - s])) for s in range(0, 480))
    return float(best / scale)


def test_a_voice_comes_back_like_itself() -> None:
    frames = voiced(50)
    encoder, decoder = Encoder(), Decoder()
    back = np.array([decoder.decode(encoder.encode(frame)).copy() for frame in frames])
    assert back.dtype == np.float32
    assert likeness(back[10:], frames[10:]) > 0.8


def test_the_bitrate_is_kept_and_can_be_changed() -> None:
    encoder = Encoder(bitrate=28_000)
    assert (encoder.bitrate, encoder.expected_loss) == (28_000, 0.1)
    for bitrate in (28_000, 16_000, 32_000):
        encoder.bitrate = bitrate
        size = sum(len(encoder.encode(frame)) for frame in voiced(100))
        assert 0.6 * bitrate < size * 8 / 2 < 1.05 * bitrate


def test_a_lost_frame_is_in_the_packet_after_it() -> None:
    frames = voiced(60)
    encoder = Encoder()
    packets = [encoder.encode(frame) for frame in frames]
    carry = [carries_recovery(packet) for packet in packets]
    assert sum(carry) > 0.6 * len(carry), "all that are not soft"
    whole, recovering, concealing = Decoder(), Decoder(), Decoder()
    truth, lost, recovered, concealed = [], [], [], []
    for i, packet in enumerate(packets):
        truth.append(whole.decode(packet).copy())
        if i % 4 == 3 and i + 1 < len(packets) and carry[i + 1]:
            lost.append(truth[-1])
            recovered.append(recovering.recover(packets[i + 1]).copy())
            concealed.append(concealing.conceal().copy())
        else:
            recovering.decode(packet)
            concealing.decode(packet)
    error = np.mean((np.array(recovered) - lost) ** 2)
    made_up = np.mean((np.array(concealed) - lost) ** 2)
    assert error < made_up / 2


def test_without_expected_loss_nothing_is_said_twice() -> None:
    encoder = Encoder(expected_loss=0)
    assert not any(carries_recovery(encoder.encode(frame)) for frame in voiced(20))
    encoder.expected_loss = 0.2
    assert any(carries_recovery(encoder.encode(frame)) for frame in voiced(20))


def test_concealing_goes_on_where_the_voice_was_and_fades() -> None:
    encoder, decoder = Encoder(), Decoder()
    for frame in voiced(20):
        last = decoder.decode(encoder.encode(frame)).copy()
    first = decoder.conceal().copy()
    assert np.abs(first).max() > 0.3 * np.abs(last).max()
    assert abs(first[0] - last[-1]) < 0.2
    for _ in range(30):
        faded = decoder.conceal()
    assert np.abs(faded).max() < 0.1 * np.abs(first).max()


def test_a_reset_decoder_begins_in_silence() -> None:
    encoder, decoder, fresh = Encoder(), Decoder(), Decoder()
    packets = [encoder.encode(frame) for frame in voiced(10)]
    for packet in packets:
        decoder.decode(packet)
    decoder.reset()
    np.testing.assert_array_equal(decoder.decode(packets[5]), fresh.decode(packets[5]))


def test_a_decoder_fills_one_buffer_again_and_again() -> None:
    encoder, decoder = Encoder(), Decoder()
    packet = encoder.encode(voiced(1)[0])
    assert decoder.decode(packet) is decoder.conceal()


@pytest.mark.parametrize("packet", [b"", b"\xff", b"\x00", bytes(2000), b"\x0b\x3f" + bytes(40)])
def test_what_is_no_frame_of_20_ms_is_refused(packet: bytes) -> None:
    decoder = Decoder()
    with pytest.raises(WireError):
        decoder.decode(packet)
    with pytest.raises(WireError):
        decoder.recover(packet)


def test_encoders_and_decoders_are_freed() -> None:
    gone = [weakref.ref(Encoder()), weakref.ref(Decoder())]
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


@pytest.mark.parametrize(
    "pcm", [np.zeros(480, np.float32), np.zeros(FRAME), np.zeros((FRAME, 2), np.float32)]
)
def test_a_frame_of_the_wrong_kind_is_refused(pcm: np.ndarray) -> None:
    with pytest.raises(UsageError, match="float32 of shape"):
        Encoder().encode(pcm)


def test_a_frame_need_not_be_contiguous() -> None:
    stereo = np.repeat(voiced(1)[0][:, None], 2, axis=1)
    assert Encoder().encode(stereo[:, 1]) == Encoder().encode(voiced(1)[0])


@pytest.mark.parametrize("wrong", [{"bitrate": 100}, {"bitrate": 10**6}, {"expected_loss": 5}])
def test_wrong_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Encoder(**wrong)


@pytest.mark.parametrize(
    ("platform", "path"),
    [
        ("linux", "av.libs/libopus-f5f09bf3.so.0.11.1"),
        ("darwin", "av/.dylibs/libopus.0.dylib"),
        ("win32", "av.libs/libopus-0-4369edc456631a3cc933d7918747e5d2.dll"),
    ],
)
def test_libopus_is_found_where_pyavs_wheels_have_it(
    platform: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (path, "av/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    spec = SimpleNamespace(origin=str(tmp_path / "av" / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    monkeypatch.setattr("sys.platform", platform)
    assert opus.find_library() == str(tmp_path / path)


def test_without_libopus_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opus.is_available()
    opus._load.cache_clear()
    monkeypatch.setattr(opus, "_beside_pyav", list)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    try:
        assert not opus.is_available()
        with pytest.raises(UsageError, match="pip install"):
            Encoder()
        monkeypatch.setattr("ctypes.util.find_library", lambda name: "no-such-library.so")
        with pytest.raises(UsageError, match=r"no-such-library.*pip install"):
            Decoder()
    finally:
        opus._load.cache_clear()
