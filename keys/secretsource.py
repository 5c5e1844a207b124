"""Where a passphrase, PIN or token comes from: a terminal, a file descriptor or a file.

    prompt            asked for at the terminal, not shown
    fd:3              read to its end from an open file descriptor
    file:/run/pin     a file that its owner alone can read
    credential:pin    a credential that systemd hands to this service (LoadCredential=)

There is no way to give one as an argument or in an environment variable: other users
see the first in the list of processes, and every child process inherits the second.
"""

import getpass
import os
from pathlib import Path

from keys.errors import KeystoreError
from keys.files import credential_path, read_private_file

MAX_SECRET_BYTES = 4096


class SecretSource:
    """One secret and where it is; shows nothing of the secret when printed.

    Args:
        text: `prompt`, `fd:NUMBER`, `file:PATH` or `credential:NAME`.
        what: what is asked for, such as `PIN of token padan`.
        base: relative paths count from here.

    Raises:
        KeystoreError: another text, which is not shown: it may be the secret itself.
    """

    def __init__(self, text: str, what: str, base: Path = Path()) -> None:
        self.what = what
        self._path: Path | None = None
        self._descriptor: int | None = None
        scheme, colon, rest = text.partition(":")
        if scheme == "file" and rest:
            self._path = base / rest
        elif scheme == "credential" and rest:
            self._path = credential_path(rest)
        elif scheme == "fd" and rest.isascii() and rest.isdigit():
            self._descriptor = int(rest)
        elif scheme != "prompt" or colon:
            raise KeystoreError(
                f"{what}: comes from prompt, fd:NUMBER, file:PATH or credential:NAME, and never "
                "stands in the setting itself"
            )

    @property
    def rereads(self) -> bool:
        """Whether it can be read again and again: a file can."""
        return self._path is not None

    def read(self, confirm: bool = False) -> bytearray:
        """Return the secret, without the line break after it.

        A file is read anew each time, so that a token that was renewed there is found; a
        file descriptor gives its bytes once.

        Args:
            confirm: have it typed twice, where a person is asked.

        Raises:
            KeystoreError: it cannot be read, is empty or too long, or was typed differently.
        """
        if self._path is not None:
            secret = read_private_file(self._path, MAX_SECRET_BYTES)
        elif self._descriptor is not None:
            secret = self._from_descriptor(self._descriptor)
        else:
            secret = self._from_terminal(confirm)
        if secret.endswith(b"\n"):
            del secret[-2 if secret.endswith(b"\r\n") else -1 :]
        if not secret:
            raise KeystoreError(f"{self.what}: empty: give it by terminal, descriptor or file")
        return secret

    def _from_descriptor(self, descriptor: int) -> bytearray:
        secret = bytearray()
        try:
            while chunk := os.read(descriptor, MAX_SECRET_BYTES + 1):
                secret += chunk
                if len(secret) > MAX_SECRET_BYTES:
                    raise KeystoreError(f"{self.what}: longer than {MAX_SECRET_BYTES} bytes")
        except OSError as error:
            raise KeystoreError(
                f"{self.what}: descriptor {descriptor} cannot be read: {error.strerror}"
            ) from error
        return secret

    def _from_terminal(self, confirm: bool) -> bytearray:
        # Without a terminal getpass would read standard input and show what is typed.
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError as error:
            raise KeystoreError(
                f"{self.what}: there is no terminal to ask at: use fd:NUMBER or file:PATH"
            ) from error
        try:
            typed = getpass.getpass(f"{self.what}: ")
            if confirm and getpass.getpass(f"{self.what}, again: ") != typed:
                raise KeystoreError(f"{self.what}: typed differently the second time: try again")
        except EOFError as error:
            raise KeystoreError(f"{self.what}: nothing was typed") from error
        return bytearray(typed.encode())
