"""Artefacts (encodings, candidate pairs, results) as encrypted files that can be forgotten.

Every dataset has its own data key; the data key is wrapped under the key-encryption key of the
day on which the dataset expires. Wrapped keys and day keys lie in a keystore directory that
backups leave out: deleting a day's key makes every dataset of that day unreadable, in the store
and in every backup of it. A dataset that must be kept longer is wrapped anew under a key of its
own, so that the others of its day still go.

    <directory>/<dataset>/<name>       nonce (12) | AES-256-GCM, AAD = dataset/name
    <keystore>/wrapped/<dataset>       header (one line of JSON) | data key, AAD = dataset, header
    <keystore>/expires-YYYY-MM-DD      32 bytes
    <keystore>/held-NAME               32 bytes
"""

import datetime
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import KeystoreError
from keys.files import replace_file
from keys.providers import FileProvider, create_key_file, write_new_file
from linkage.errors import NotFoundError, UnavailableError, VerificationError

_NONCE_BYTES = 12
_EXPIRES, _HELD = "expires-", "held-"
_DAY_KEY = re.compile(r"expires-\d{4}-\d{2}-\d{2}")
_OLD_KEY = "key"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Owner:
    """Whose a dataset is, for the record of its destruction.

    Attributes:
        kind: class of artefact, by which its time is agreed.
        agreement_id: the agreement that it was made under.
        job_id: the job, if it belongs to one.
    """

    kind: str
    agreement_id: str
    job_id: str | None = None


@dataclass(frozen=True)
class Header:
    """What stands beside a wrapped data key.

    Attributes:
        key: name of the key that it is wrapped under.
        expires: the last day on which the dataset was to be readable.
        owner: whose it is; None where nobody asks.
    """

    key: str
    expires: datetime.date
    owner: Owner | None = None

    def to_line(self) -> bytes:
        """Return the line."""
        return json.dumps(asdict(self), default=str, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Header":
        """Return what `to_line` wrote.

        Raises:
            ValueError: something else did.
        """
        try:
            fields = json.loads(line)
            owner = fields["owner"]
            expires = datetime.date.fromisoformat(fields["expires"])
            found = cls(fields["key"], expires, None if owner is None else Owner(**owner))
        except (KeyError, TypeError) as error:
            raise ValueError("another header") from error
        if found.to_line() != line:
            raise ValueError("a header in a second spelling")
        return found


class ArtefactStore:
    """Encrypted files in datasets.

    Args:
        directory: where the datasets lie.
        keystore: where their keys lie; keep it out of backups.
        as_it_is: whether it is only looked at: then nothing is made or carried over.

    Raises:
        VerificationError: a key of an earlier version was changed on disk.
    """

    def __init__(self, directory: Path, keystore: Path, *, as_it_is: bool = False) -> None:
        self._directory, self._keystore = directory, keystore
        self._wrapped = keystore / "wrapped"
        self._open: dict[str, AESGCM] = {}
        if not as_it_is:
            for path in (directory, keystore, self._wrapped):
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._carry_over()

    def create(self, dataset: str, expires: datetime.date, owner: Owner | None = None) -> None:
        """Make an empty dataset that expires at the end of a day; existing ones stay.

        Raises:
            UnavailableError: the disk takes no more, or there are files whose key is gone.
        """
        folder, wrapped = self._folder(dataset), self._wrapped / dataset
        if wrapped.exists():
            return
        header = Header(f"{_EXPIRES}{expires.isoformat()}", expires, owner)
        # Looked for in this order: another process makes the key before the first file.
        if self.names(dataset) and not wrapped.exists():
            raise UnavailableError(
                f"dataset {dataset} has files, and its key is gone: bring the keystore back, or "
                f"move {folder} away"
            )
        try:
            folder.mkdir(exist_ok=True, mode=0o700)
            content = self._wrap(dataset, header, AESGCM.generate_key(256))
            write_new_file(wrapped, content)
        except (KeystoreError, OSError) as error:
            if not wrapped.exists():  # else another process was first: its key holds
                raise UnavailableError(f"cannot store an artefact: {error}") from error

    @contextmanager
    def locked(self, dataset: str) -> Iterator[None]:
        """Keep all other processes and threads out of a dataset that is locked likewise."""
        descriptor = os.open(self._wrapped / self._checked(dataset), os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def exists(self, dataset: str) -> bool:
        """Return whether a dataset is there."""
        return (self._wrapped / self._checked(dataset)).exists()

    def datasets(self) -> list[str]:
        """Return the names of all datasets that have files, readable or not, sorted."""
        return sorted(path.name for path in self._directory.glob("*") if path.is_dir())

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
            NotFoundError: there is no such file, its key was destroyed, or it is held: then it
                is kept as evidence, and used no more.
            VerificationError: the file was changed.
        """
        return self._read(dataset, name, self._aead(dataset))

    def read_held(self, dataset: str, name: str) -> bytes:
        """Return the content of a file also where it is held; raises as `read` else."""
        header, wrapped = self._read_wrapped(dataset)
        return self._read(dataset, name, AESGCM(self._unwrap(dataset, header, wrapped)))

    def _read(self, dataset: str, name: str, aead: AESGCM) -> bytes:
        try:
            sealed = self._path(dataset, name).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"no artefact {dataset}/{name}") from error
        try:
            return aead.decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], f"{dataset}/{name}".encode()
            )
        except (InvalidTag, ValueError) as error:
            raise VerificationError(f"artefact {dataset}/{name} was changed on disk") from error

    def names(self, dataset: str) -> list[str]:
        """Return the names of the files of a dataset, sorted; none if there is no dataset."""
        folder = self._folder(dataset)
        if not folder.exists():
            return []
        return sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name))

    def remove(self, dataset: str, name: str) -> None:
        """Remove one file; harmless if there is none."""
        self._path(dataset, name).unlink(missing_ok=True)

    def delete(self, dataset: str) -> None:
        """Remove a dataset, its key first; harmless if there is none."""
        folder = self._folder(dataset)
        (self._wrapped / dataset).unlink(missing_ok=True)
        self._open.pop(dataset, None)
        shutil.rmtree(folder, ignore_errors=True)

    def due(self, today: datetime.date) -> list[str]:
        """Return the names of the keys of all days before `today`."""
        last = f"{_EXPIRES}{today.isoformat()}"
        # Files of another name are not ours to judge, or to delete.
        names = (path.name for path in self._keystore.iterdir())
        return sorted(name for name in names if _DAY_KEY.fullmatch(name) and name < last)

    def under(self, key: str) -> dict[str, Header]:
        """Return the datasets whose data keys are wrapped under a key, by name.

        One whose header was changed is left out: its data key cannot be unwrapped any more.
        """
        found = {}
        for name in sorted(path.name for path in self._wrapped.iterdir()):
            # Others are what a crash left of a file that was being written.
            if _NAME.fullmatch(name):
                with suppress(VerificationError, NotFoundError):
                    found[name] = self._read_wrapped(name)[0]
        return {name: header for name, header in found.items() if header.key == key}

    def hold(self, dataset: str, name: str) -> None:
        """Take a dataset out of its day: wrap its data key under the key held for a name.

        Raises:
            VerificationError: its wrapped key was changed.
            NotFoundError: it is not there any more.
        """
        header, wrapped = self._read_wrapped(dataset)
        held = replace(header, key=held_key(name))
        if held == header:
            return
        data_key = self._unwrap(dataset, header, wrapped)
        replace_file(self._wrapped / dataset, self._wrap(dataset, held, data_key))
        self._open.pop(dataset, None)

    def held(self) -> list[str]:
        """Return the names of the keys of what is held."""
        return sorted(path.name for path in self._keystore.glob(f"{_HELD}*"))

    def has_key(self, key: str) -> bool:
        """Return whether a key is there, and not overwritten."""
        try:
            return any((self._keystore / key).read_bytes())
        except FileNotFoundError:
            return False

    def destroy(self, key: str) -> None:
        """Destroy a key, and then what it kept: nobody can read that any more, from any copy.

        May be done again, after a crash in the middle.
        """
        datasets = self.under(key)
        path = self._keystore / key
        if path.exists():
            # A disk may have moved the bytes by itself; see `docs/operations.md`.
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            _sync(self._keystore)
        self._open.clear()
        for dataset in datasets:
            self.delete(dataset)
        _sync(self._wrapped)

    def destroy_expired(self, today: datetime.date, prefix: str = "") -> list[str]:
        """Destroy what had its last day before `today`, and return the days whose keys went.

        Args:
            today: the day.
            prefix: of the names of what goes; a day's key stays while others need it.
        """
        gone = []
        for key in self.due(today):
            under = self.under(key)
            if all(name.startswith(prefix) for name in under):
                self.destroy(key)
                gone.append(key.removeprefix(_EXPIRES))
                continue
            for name in under:
                if name.startswith(prefix):
                    self.delete(name)
        return gone

    def _carry_over(self) -> None:
        """Bring wrapped keys of version 0.1, `<directory>/<dataset>/key`, into the keystore."""
        for path in sorted(self._directory.glob(f"*/{_OLD_KEY}")):
            dataset = path.parent.name
            day, _, wrapped = path.read_bytes().partition(b"\n")
            try:
                expires = datetime.date.fromisoformat(day.decode())
            except ValueError:
                continue  # an artefact of that name
            header = Header(f"{_EXPIRES}{expires.isoformat()}", expires)
            if not self.has_key(header.key):
                continue
            try:
                if not self.exists(dataset):
                    provider = FileProvider(self._keystore / header.key)
                    data_key = provider.unwrap(wrapped, dataset.encode())
                    write_new_file(self._wrapped / dataset, self._wrap(dataset, header, data_key))
            except KeystoreError as error:
                if not self.exists(dataset):  # else another process was first
                    raise VerificationError(f"{path} cannot be carried over: {error}") from error
            path.unlink(missing_ok=True)

    def _aead(self, dataset: str) -> AESGCM:
        aead = self._open.get(dataset)
        if aead is None:
            header, wrapped = self._read_wrapped(dataset)
            if header.key.startswith(_HELD):
                raise NotFoundError(f"the time of dataset {dataset} is over; it is held")
            aead = self._open[dataset] = AESGCM(self._unwrap(dataset, header, wrapped))
        return aead

    def _read_wrapped(self, dataset: str) -> tuple[Header, bytes]:
        try:
            content = (self._wrapped / self._checked(dataset)).read_bytes()
        except FileNotFoundError as error:
            known = self._folder(dataset).exists()
            said = f"the key of dataset {dataset} was destroyed" if known else f"no {dataset}"
            raise NotFoundError(said) from error
        line, end, wrapped = content.partition(b"\n")
        try:
            return Header.from_line(line + end), wrapped
        except ValueError as error:
            raise VerificationError(f"the key of dataset {dataset} was changed on disk") from error

    def _wrap(self, dataset: str, header: Header, data_key: bytes | bytearray) -> bytes:
        path = self._keystore / header.key
        if not path.exists():
            try:
                create_key_file(path)
            except KeystoreError:
                if not path.exists():  # another thread was first: then it is there
                    raise
        line = header.to_line()
        return line + FileProvider(path).wrap(data_key, _context(dataset, line))

    def _unwrap(self, dataset: str, header: Header, wrapped: bytes) -> bytearray:
        path = self._keystore / header.key
        if not path.exists():
            raise NotFoundError(f"the key of dataset {dataset} was destroyed on its expiry")
        try:
            return FileProvider(path).unwrap(wrapped, _context(dataset, header.to_line()))
        except KeystoreError as error:
            raise VerificationError(f"dataset {dataset}: {error}") from error

    def _folder(self, dataset: str) -> Path:
        return self._directory / self._checked(dataset)

    def _checked(self, dataset: str) -> str:
        if not _NAME.fullmatch(dataset):
            raise ValueError("a dataset is named by letters, digits, dots and dashes")
        return dataset

    def _path(self, dataset: str, name: str) -> Path:
        if not _NAME.fullmatch(name):
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


def held_key(name: str) -> str:
    """Return the name of the key under which what is held for a name is wrapped.

    Args:
        name: letters, digits and dashes.
    """
    return f"{_HELD}{name}"


def _context(dataset: str, line: bytes) -> bytes:
    return dataset.encode() + b"\n" + line


def _sync(folder: Path) -> None:
    """Force the names in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
