"""``wss://``: a server with a certificate of its own; who does not trust it is told so."""

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signaling import SignalingClient, SignalingServer, Unreachable, UsageError


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(pem)
    )
    return file


async def test_only_who_trusts_the_certificate_joins(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = SignalingServer()
    await server.start("127.0.0.1", 0, ssl=context)
    try:
        url = f"wss://127.0.0.1:{server.port}"
        trusting = ssl.create_default_context(cafile=certificate)
        async with await SignalingClient.connect(url, room="den", name="Ada", ssl=trusting) as ada:
            assert ada.peers == {}
        with pytest.raises(Unreachable, match="TLS with wss://"):
            await SignalingClient.connect(url, room="den", name="Bob")
        with pytest.raises(UsageError, match="wss:// urls only"):
            await SignalingClient.connect(
                url.replace("wss", "ws"), room="den", name="Cyd", ssl=trusting
            )
    finally:
        await server.stop()
