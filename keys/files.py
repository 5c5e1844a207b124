"""Files of keys: written whole and durable or not at all, and read only if nobody else can.

A file appears under its name when its bytes are on the disk, and not before; who loses
power in between finds the file as it was.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from keys.errors import KeystoreError


def write_new_file(path: Path, content: bytes | bytearray) -> None:
    """Write a file that nobody else may read; it appears whole and durable, or not at all.

    Raises:
        KeystoreError: the file exists already, or the folder takes no file.
    """
    # A link, unlike a rename, refuses to replace a key that is there.
    _write(path, content, os.link)


def replace_file(path: Path, content: bytes | bytearray) -> None:
    """Write a file in the place of one that is there; until the end the old one stays.

    Raises:
        KeystoreError: the folder takes no file; the old one is as it was.
    """
    _write(path, content, os.replace)


def credential_path(name: str) -> Path:
    """Return the file of a credential that systemd hands to this service (`LoadCredential=`).

    Raises:
        KeystoreError: there are none here, or it is no name.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        raise KeystoreError(
            f"credential:{name}: none were handed to this process: start it as a service, or "
            "with systemd-run -p LoadCredential="
        )
    if not name or "/" in name or name in (".", ".."):
        raise KeystoreError("credential: a name is needed, as LoadCredential= has it")
    return Path(folder) / name


def _is_credential(path: Path) -> bool:
    """Return whether a file was handed to this service by systemd (`LoadCredential=`).

    Such a file belongs to root, and an access list lets the service's user alone read it: its
    mode shows that list as a group's right. No other service sees the folder.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return folder is not None and path.absolute().parent == Path(folder)


def read_private_file(path: Path, max_bytes: int) -> bytearray:
    """Return the bytes of a file that its owner alone can read.

    Raises:
        KeystoreError: it cannot be read, is open to others, or is longer than `max_bytes`.
    """
    content = bytearray(max_bytes + 1)
    try:
        with path.open("rb", buffering=0) as file:
            mode = os.fstat(file.fileno()).st_mode
            n_read = 0
            while n := file.readinto(memoryview(content)[n_read:]):
                n_read += n
    except OSError as error:
        raise KeystoreError(f"{path}: {error.strerror}: name a readable key file") from error
    if mode & (0o037 if _is_credential(path) else 0o077):
        raise KeystoreError(f"{path}: readable by others: run chmod 600 on it")
    if n_read > max_bytes:
        raise KeystoreError(f"{path}: longer than {max_bytes} bytes: not what is expected there")
    del content[n_read:]
    return content


def _write(path: Path, content: bytes | bytearray, put: Callable[[str, Path], object]) -> None:
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    except OSError as error:
        raise KeystoreError(f"{path}: {error.strerror}: name a folder that takes it") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        put(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError as error:
        raise KeystoreError(f"{path}: exists; a key file is never overwritten") from error
    except OSError as error:
        raise KeystoreError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
