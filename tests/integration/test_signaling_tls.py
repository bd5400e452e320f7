"""``wss://``: a server with a certificate of its own; who does not trust it is told so."""

import asyncio
from pathlib import Path

import pytest

from signaling import SignalingClient, SignalingServer, Unreachable, UsageError
from signaling.tls import client_context, server_context
from tests.integration.certificates import make_certificate


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1, signed by itself."""
    return make_certificate(tmp_path / "certificate.pem")


async def test_only_who_trusts_the_certificate_joins(certificate: Path) -> None:
    server = SignalingServer()
    await server.start("127.0.0.1", 0, ssl=server_context(certificate))
    try:
        url = f"wss://127.0.0.1:{server.port}"
        trusting = client_context(certificate)
        async with await SignalingClient.connect(url, room="den", name="Ada", ssl=trusting) as ada:
            assert ada.peers == {}
        with pytest.raises(Unreachable, match=r"not trusted \(self-signed certificate\).*ca_file"):
            await SignalingClient.connect(url, room="den", name="Bob")
        with pytest.raises(Unreachable, match=r"not trusted \(Hostname mismatch"):
            await SignalingClient.connect(
                url.replace("127.0.0.1", "localhost"), room="den", name="Bob", ssl=trusting
            )
        with pytest.raises(UsageError, match="wss:// urls only"):
            await SignalingClient.connect(
                url.replace("wss", "ws"), room="den", name="Cyd", ssl=trusting
            )
        with pytest.raises(Unreachable, match=r"no WebSocket server: .* Or is it wss://\?"):
            await SignalingClient.connect(url.replace("wss", "ws"), room="den", name="Dan")
    finally:
        await server.stop()


async def test_who_never_begins_to_speak_tls_is_dropped(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signaling.server.HANDSHAKE_TIMEOUT", 0.1)
    server = SignalingServer()
    await server.start("127.0.0.1", 0, ssl=server_context(certificate))
    async with server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


def test_a_certificate_and_its_key_may_be_two_files(tmp_path: Path) -> None:
    cert = make_certificate(tmp_path / "cert.pem", key=tmp_path / "key.pem")
    assert server_context(cert, tmp_path / "key.pem")
    with pytest.raises(UsageError, match="cannot be used"):
        server_context(cert)
    make_certificate(tmp_path / "other.pem", key=tmp_path / "other_key.pem")
    with pytest.raises(UsageError, match=r"KEY_VALUES_MISMATCH.*key belongs to"):
        server_context(cert, tmp_path / "other_key.pem")


def test_a_key_with_a_passphrase_is_refused_instead_of_asked_for(tmp_path: Path) -> None:
    cert = make_certificate(tmp_path / "cert.pem", passphrase=b"open sesame")
    with pytest.raises(UsageError, match="no passphrase"):
        server_context(cert)


def test_files_that_are_none_name_the_file_and_what_it_should_be(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for file in (empty, tmp_path / "missing.pem"):
        with pytest.raises(UsageError, match=f"{file.name}.*cannot be used"):
            server_context(file)
        with pytest.raises(UsageError, match=f"{file.name} is no file of certificates"):
            client_context(file)
