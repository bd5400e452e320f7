"""TLS: the files that a server shows, and those that a client trusts."""

import ssl
from os import PathLike

from signaling.errors import UsageError

File = str | PathLike[str]


def server_context(cert: File, key: File | None = None) -> ssl.SSLContext:
    """Return the context of a server that serves ``wss://``.

    Args:
        cert: a PEM file with the server's certificate, and those between it and its authority.
        key: a PEM file with its private key, without a passphrase; None if it is in ``cert``.

    The files are read now: a new certificate counts from the next start on.

    Raises:
        UsageError: if they cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password given, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        with_key = "" if key is None else f" with the key {key}"
        raise UsageError(
            f"the certificate {cert}{with_key} cannot be used ({_why(error)}): both are PEM files, "
            "the key belongs to the first certificate and has no passphrase"
        ) from None
    return context


def client_context(ca_file: File) -> ssl.SSLContext:
    """Return the context of a client that trusts the certificates in a PEM file, and no others.

    Args:
        ca_file: a private authority's certificate, or one that a server has signed itself.

    Raises:
        UsageError: if it cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{ca_file} is no file of certificates that could be trusted ({_why(error)}): "
            "it is a PEM file with lines BEGIN CERTIFICATE"
        ) from None


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not PEM"
    return getattr(error, "strerror", None) or str(error)
