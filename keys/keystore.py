"""A keystore: files that hold one sealed key each, opened by a provider.

What the bytes of a file are is `keys.keyfile`'s. Every change writes a new file under a
new data key, opens it, and only then puts it in the place of the old one: when the
provider fails in between, nothing is lost. An older copy of a whole file can be put
back, which no file can show: its revision is then lower than the one in the log.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from keys.errors import KeystoreError
from keys.files import replace_file, write_new_file
from keys.keyfile import MAGIC, KeyHeader, SealedKey, parse_key_file, seal_key, wipe
from keys.providers import KeyProvider
from keys.states import KeyState, KeyUse, Transition, verify_transition, verify_usable

__all__ = [
    "KeyHeader",
    "change_state",
    "is_keystore",
    "new_header",
    "open_keystore",
    "read_header",
    "rewrap",
    "unsealed",
    "write_keystore",
]

_MAX_FILE_BYTES = 1 << 20


def new_header(
    kind: str,
    provider: KeyProvider,
    agreement_id: str = "",
    epoch: int = 0,
    state: KeyState = KeyState.ACTIVE,
) -> KeyHeader:
    """Return the header of a key that is made now, under a random name."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return KeyHeader(os.urandom(8).hex(), kind, agreement_id, epoch, created, provider.name, state)


def write_keystore(
    path: Path, secret: bytes | bytearray, header: KeyHeader, provider: KeyProvider
) -> None:
    """Seal a key into a new file, or not at all: the file appears whole.

    Raises:
        KeystoreError: the file exists already: a key is never overwritten; its folder
            cannot be made or takes no file; or the provider fails.
    """
    if os.path.lexists(path):  # before the provider works for nothing
        raise KeystoreError(f"{path}: exists; a key file is never overwritten")
    with _named(path):
        content = seal_key(secret, header, provider)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise KeystoreError(f"{path}: its folder cannot be made: {error.strerror}") from error
    write_new_file(path, content)


def is_keystore(path: Path) -> bool:
    """Return whether a file is a keystore file, of whatever version.

    Raises:
        KeystoreError: it cannot be read.
    """
    return _read(path).startswith(MAGIC)


def read_header(path: Path) -> KeyHeader:
    """Return what a keystore file says about its key, unverified.

    Raises:
        KeystoreError: the file is missing or malformed.
    """
    return _sealed_in(path).header


@contextlib.contextmanager
def unsealed(
    path: Path, provider: KeyProvider, *, use: KeyUse = KeyUse.PROTECT
) -> Iterator[tuple[KeyHeader, bytearray]]:
    """Open a keystore file for as long as a `with` block runs; then the key is overwritten.

    Args:
        path: the file.
        provider: opens it.
        use: what for; the key's state has to allow it.

    Yields:
        The header and the key. Do not keep the key: copy it into what wipes itself.

    Raises:
        KeystoreError: the file is missing, malformed, changed, or not the provider's, or
            its key is in a state in which it may not be used for this.
    """
    header, secret = _open(path, provider)
    try:
        with _named(path):
            verify_usable(header.state, header.kind, use)
        yield header, secret
    finally:
        wipe(secret)


def open_keystore(
    path: Path, provider: KeyProvider, *, use: KeyUse = KeyUse.PROTECT
) -> tuple[KeyHeader, bytes]:
    """Return the header and the key of a keystore file, as bytes that nobody can wipe.

    For a process that holds the key until it ends; `unsealed` is for all others.

    Raises:
        KeystoreError: as `unsealed`.
    """
    with unsealed(path, provider, use=use) as (header, secret):
        return header, bytes(secret)


def change_state(path: Path, state: KeyState, provider: KeyProvider, now: datetime) -> Transition:
    """Bring a key into another state, and return what the log has to know of it.

    A destroyed key's file stays, with its header and without the key. The old bytes are
    overwritten as far as the file system does so; copies in backups open as long as the
    provider's key exists.

    Args:
        path: the keystore file.
        state: the new state.
        provider: opens the file.
        now: the time of the change, with its zone.

    Raises:
        KeystoreError: the state does not follow from the key's own, or the file cannot be
            opened or written: then it is as it was.
    """
    time = now.astimezone(UTC).isoformat(timespec="seconds")
    with _alone(path):
        header, secret = _open(path, provider)
        try:
            with _named(path):
                verify_transition(header.state, state)
                changed = replace(header, state=state, since=time, revision=header.revision + 1)
                if state is KeyState.DESTROYED:
                    content = seal_key(b"", changed, provider)
                    with path.open("r+b") as old_file:
                        replace_file(path, content)
                        _overwrite(old_file)
                else:
                    replace_file(path, seal_key(secret, changed, provider))
        finally:
            wipe(secret)
    return Transition(
        key_id=header.key_id,
        kind=header.kind,
        agreement_id=header.agreement_id,
        epoch=header.epoch,
        before=header.state,
        after=state,
        revision=changed.revision,
        time=time,
    )


def rewrap(path: Path, old: KeyProvider, new: KeyProvider) -> KeyHeader:
    """Seal a key under another provider, or under a new key of the same; return the header.

    Raises:
        KeystoreError: the file cannot be opened or written: then it is as it was.
    """
    with _alone(path):
        header, secret = _open(path, old)
        try:
            with _named(path):
                changed = replace(header, provider=new.name, revision=header.revision + 1)
                replace_file(path, seal_key(secret, changed, new))
        finally:
            wipe(secret)
    return changed


def _open(path: Path, provider: KeyProvider) -> tuple[KeyHeader, bytearray]:
    sealed = _sealed_in(path)
    with _named(path):
        return sealed.header, sealed.open(provider)


def _sealed_in(path: Path) -> SealedKey:
    content = _read(path)
    try:
        return parse_key_file(content)
    except ValueError as error:
        raise KeystoreError(f"{path}: not a keystore file, or damaged: {error}") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise KeystoreError(f"{path}: {error.strerror}: name a readable keystore file") from error


def _overwrite(file: IO[bytes]) -> None:
    # The key is out of the keystore already: what cannot be overwritten is no error.
    with contextlib.suppress(OSError):
        file.write(bytes(os.fstat(file.fileno()).st_size))
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep all others who change files of the folder waiting."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise KeystoreError(f"{path}: {error.strerror}: name a readable keystore file") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the name of the file before what is wrong with it."""
    try:
        yield
    except KeystoreError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise KeystoreError(f"{path}: {error}") from error
    except OSError as error:
        raise KeystoreError(f"{path}: cannot be changed: {error.strerror}") from error
