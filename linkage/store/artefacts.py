"""Artefacts (encodings, candidate pairs, results) as encrypted files that can be forgotten.

Every dataset has its own data key; the data key is wrapped under the
key-encryption key of the day on which the dataset expires. Those day keys lie in a
keystore directory that backups leave out: deleting one makes every dataset of that
day unreadable, in the store and in every backup of it.

    <directory>/<dataset>/key          the wrapped data key
    <directory>/<dataset>/<name>       nonce (12) | AES-256-GCM, AAD = dataset/name
    <keystore>/expires-YYYY-MM-DD      32 bytes
"""

import datetime
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import KeystoreError
from keys.providers import FileProvider, create_key_file, write_new_file
from linkage.errors import NotFoundError, UnavailableError, VerificationError

_NONCE_BYTES = 12
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


class ArtefactStore:
    """Encrypted files in datasets.

    Args:
        directory: where the datasets lie.
        keystore: where the day keys lie; keep it out of backups.
    """

    def __init__(self, directory: Path, keystore: Path) -> None:
        self._directory, self._keystore = directory, keystore
        for path in (directory, keystore):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._open: dict[str, AESGCM] = {}

    def create(self, dataset: str, expires: datetime.date) -> None:
        """Make an empty dataset that expires at the end of a day; existing ones stay."""
        folder = self._folder(dataset)
        if (folder / "key").exists():
            return
        day_key = self._keystore / f"expires-{expires.isoformat()}"
        if not day_key.exists():
            try:
                create_key_file(day_key)
            except KeystoreError:
                if not day_key.exists():  # another thread was first: then it is there
                    raise
        folder.mkdir(exist_ok=True, mode=0o700)
        wrapped = FileProvider(day_key).wrap(AESGCM.generate_key(256), dataset.encode())
        try:
            write_new_file(folder / "key", expires.isoformat().encode() + b"\n" + wrapped)
        except KeystoreError as error:
            if not (folder / "key").exists():  # else another process was first: its key holds
                raise UnavailableError(f"cannot store an artefact: {error}") from error

    @contextmanager
    def locked(self, dataset: str) -> Iterator[None]:
        """Keep all other processes and threads out of a dataset that is locked likewise."""
        descriptor = os.open(self._folder(dataset) / "key", os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def exists(self, dataset: str) -> bool:
        """Return whether a dataset is there, readable or not."""
        return (self._folder(dataset) / "key").exists()

    def write(self, dataset: str, name: str, content: bytes) -> None:
        """Seal a file into a dataset; it appears whole, or not at all.

        Raises:
            NotFoundError: there is no such dataset, or its key was destroyed.
        """
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._aead(dataset).encrypt(nonce, content, f"{dataset}/{name}".encode())
        self._write(self._path(dataset, name), nonce + sealed)

    def read(self, dataset: str, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            NotFoundError: there is no such file, or its key was destroyed.
            VerificationError: the file was changed.
        """
        try:
            sealed = self._path(dataset, name).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"no artefact {dataset}/{name}") from error
        try:
            return self._aead(dataset).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], f"{dataset}/{name}".encode()
            )
        except (InvalidTag, ValueError) as error:
            raise VerificationError(f"artefact {dataset}/{name} was changed on disk") from error

    def names(self, dataset: str) -> list[str]:
        """Return the names of the files of a dataset, sorted; none if there is no dataset."""
        folder = self._folder(dataset)
        if not folder.exists():
            return []
        return sorted(p.name for p in folder.iterdir() if p.name != "key" and _NAME.match(p.name))

    def remove(self, dataset: str, name: str) -> None:
        """Remove one file; harmless if there is none."""
        self._path(dataset, name).unlink(missing_ok=True)

    def delete(self, dataset: str) -> None:
        """Remove a dataset's files; harmless if there are none."""
        self._open.pop(dataset, None)
        shutil.rmtree(self._folder(dataset), ignore_errors=True)

    def destroy_expired(self, today: datetime.date) -> list[str]:
        """Delete the keys of all days before `today`, and return those days."""
        days = []
        for path in sorted(self._keystore.glob("expires-*")):
            day = path.name.removeprefix("expires-")
            # Files of another name are not ours to judge, or to delete.
            if _DAY.fullmatch(day) and datetime.date.fromisoformat(day) < today:
                path.unlink()
                days.append(day)
        if days:
            self._open.clear()
        return days

    def _aead(self, dataset: str) -> AESGCM:
        aead = self._open.get(dataset)
        if aead is None:
            try:
                day, wrapped = (self._folder(dataset) / "key").read_bytes().split(b"\n", 1)
            except FileNotFoundError as error:
                raise NotFoundError(f"no dataset {dataset}") from error
            day_key = self._keystore / f"expires-{day.decode()}"
            if not day_key.exists():
                raise NotFoundError(f"the key of dataset {dataset} was destroyed on its expiry")
            try:
                data_key = FileProvider(day_key).unwrap(wrapped, dataset.encode())
            except KeystoreError as error:
                raise VerificationError(f"dataset {dataset}: {error}") from error
            aead = self._open[dataset] = AESGCM(data_key)
        return aead

    def _folder(self, dataset: str) -> Path:
        if not _NAME.fullmatch(dataset):
            raise ValueError("a dataset is named by letters, digits, dots and dashes")
        return self._directory / dataset

    def _path(self, dataset: str, name: str) -> Path:
        if not _NAME.fullmatch(name) or name == "key":
            raise ValueError("an artefact is named by letters, digits, dots and dashes")
        return self._folder(dataset) / name

    def _write(self, path: Path, content: bytes) -> None:
        try:
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix="+")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(path)
            finally:
                Path(temporary).unlink(missing_ok=True)
        except OSError as error:
            raise UnavailableError(f"cannot store an artefact: {error.strerror}") from error
