"""Credentials of channels and servers from PEM files, mutual TLS always."""

from dataclasses import dataclass
from pathlib import Path

import grpc

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

    def read(self) -> tuple[bytes, bytes, bytes]:
        """Return the contents of the three files.

        Raises:
            ConfigError: naming every file that cannot be read.
        """
        contents, problems = [], []
        for path in (self.certificate, self.private_key, self.authority):
            try:
                contents.append(path.read_bytes())
            except OSError as error:
                problems.append(f"{path}: {error.strerror}")
        if problems:
            raise ConfigError("TLS files", problems)
        return contents[0], contents[1], contents[2]


def channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Return what a client shows and trusts.

    Raises:
        ConfigError: a file cannot be read.
    """
    certificate, key, authority = files.read()
    return grpc.ssl_channel_credentials(authority, key, certificate)


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Return what a server shows and demands.

    Raises:
        ConfigError: a file cannot be read.
    """
    certificate, key, authority = files.read()
    return grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)
