"""Credentials of channels and servers from PEM files, mutual TLS always.

What is wrong with the own files is found and named here. The other side's
certificate is the handshake's to judge.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from linkage.errors import ConfigError


@dataclass(frozen=True)
class TlsFiles:
    """Paths of the PEM files that a process proves itself with.

    Attributes:
        certificate: its certificate chain.
        private_key: the key of it.
        authority: the authorities that it trusts the other side's certificate of.
    """

    certificate: Path
    private_key: Path
    authority: Path

    def read(self, now: datetime) -> tuple[bytes, bytes, bytes]:
        """Return the contents of the three files, once they are found to be usable.

        Args:
            now: the time, with its zone.

        Raises:
            ConfigError: naming every file that cannot be read, is not what it should
                be, or has expired.
        """
        contents, problems = [], []
        for path in (self.certificate, self.private_key, self.authority):
            try:
                contents.append(path.read_bytes())
            except OSError as error:
                problems.append(f"{path}: {error.strerror}")
        if problems:
            raise ConfigError("TLS files", problems)
        certificate, key, authority = contents
        # The own certificate stands first in its chain; among the authorities an old one
        # beside the new does no harm.
        problems = _problems_of_certificates(self.certificate, certificate, now, first=1)
        problems += _problems_of_key(self.private_key, key, certificate)
        problems += _problems_of_certificates(self.authority, authority, now)
        if problems:
            raise ConfigError("TLS files", problems)
        return certificate, key, authority


def channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Return what a client shows and trusts.

    Raises:
        ConfigError: a file cannot be read or used.
    """
    certificate, key, authority = files.read(datetime.now(UTC))
    return grpc.ssl_channel_credentials(authority, key, certificate)


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Return what a server shows and demands.

    Raises:
        ConfigError: a file cannot be read or used.
    """
    certificate, key, authority = files.read(datetime.now(UTC))
    return grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)


def _certificates_in(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []


def _problems_of_certificates(
    path: Path, pem: bytes, now: datetime, first: int | None = None
) -> list[str]:
    certificates = _certificates_in(pem)
    if not certificates:
        return [f"{path}: not a certificate in PEM form: name the file that holds one"]
    expired = max(c.not_valid_after_utc for c in certificates[:first])
    if expired <= now:
        when = expired.isoformat(sep=" ", timespec="minutes")
        return [f"{path}: expired on {when}: ask the authority for a new one"]
    return []


def _problems_of_key(path: Path, pem: bytes, certificate_pem: bytes) -> list[str]:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        return [f"{path}: sealed with a password: store it without one, readable by its owner"]
    except (ValueError, UnsupportedAlgorithm):
        return [f"{path}: not a private key in PEM form: name the file that holds one"]
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    own = key.public_key().public_bytes(*form)
    certificates = _certificates_in(certificate_pem)
    if certificates and certificates[0].public_key().public_bytes(*form) != own:
        return [f"{path}: not the key of the certificate: name the one it was issued for"]
    return []
