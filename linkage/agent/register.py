"""The own standing register: encoded, compared with what was sent before, uploaded.

What is sent is what has changed since the revision that the matcher has: an agent keeps a
digest of every record that it sent. The digest is of the code and of those exact tokens
that stand for a value; noise in place of absent values is drawn anew every time. An
upload lies encrypted on disk until it is complete, and goes on where it stopped: also in the
midst of encoding, which is kept piece by piece. So a register of millions is encoded for a new
epoch while the matcher answers from the one under the old key, until the new one is whole.
"""

import datetime
import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from linkage.agent.config import Agreement
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.fieldrows import ColumnsDigest
from linkage.agent.lookup import LookupClient, code_id
from linkage.agent.references import References
from linkage.agent.restricted import without
from linkage.agent.session import Session
from linkage.agent.source import Source
from linkage.agent.tickets import left_out
from linkage.batch import MAX_CHUNK_BYTES
from linkage.encode.encoder import Encoder
from linkage.encode.exacttokens import ExactTokens
from linkage.errors import JobStateError, NotFoundError
from linkage.job import REFERENCE_BYTES, CodeId
from linkage.register import RegisterChunk, RegisterManifest
from linkage.store.artefacts import ArtefactStore

T = TypeVar("T", bound=np.generic)

_EPOCH_DAYS = 365
_DIGEST_BYTES = 16
# What the matcher has, and what is on its way there; pieces of it, and chunks by their digests.
_SENT, _NEXT, _MANIFEST, _PIECE, _CHUNK = "sent", "next", "manifest.json", "piece-", "chunk-"
# What is replaced stays in the matcher's memory until the whole is sent again.
_MOST_UPDATES = 64


class Reporter(Protocol):
    """Told how an upload goes on."""

    def encoding(self, n_records: int) -> None:
        """`n_records` have been encoded so far."""

    def uploading(self, chunk: int, n_chunks: int) -> None:
        """A chunk is being sent."""


@dataclass(frozen=True)
class Uploaded:
    """What an upload brought.

    Attributes:
        revision: of the register, as the matcher has it now.
        n_records: records of the register.
        n_sent: of these, how many were sent.
        n_removed: how many have left.
        leaf_index: leaf of the match log that records it; None where nothing was sent.
    """

    revision: int
    n_records: int
    n_sent: int
    n_removed: int
    leaf_index: int | None


@dataclass(frozen=True)
class _State:
    """What the matcher has after an upload.

    Attributes:
        revision: of the register; 0 while the upload is on its way.
        updates: how many uploads it has got since the whole was sent.
        codes: digest of what the codes share.
        references: of all records, shape (n,), dtype V16.
        digests: of what was sent of each, as many.
    """

    revision: int
    updates: int
    codes: bytes
    references: NDArray[np.void]
    digests: NDArray[np.void]

    def to_bytes(self) -> bytes:
        out = io.BytesIO()
        codes = np.frombuffer(self.codes, np.uint8)
        numbers = np.array([self.revision, self.updates])
        np.savez(
            out, numbers=numbers, codes=codes, references=self.references, digests=self.digests
        )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "_State":
        with np.load(io.BytesIO(content), allow_pickle=False) as parts:
            revision, updates = (int(number) for number in parts["numbers"])
            return cls(
                revision, updates, parts["codes"].tobytes(), parts["references"], parts["digests"]
            )


@dataclass(frozen=True)
class _Piece:
    """What one table of the source became.

    Attributes:
        made_of: digest of all that it was made of.
        references: of all its records, shape (n,), dtype V16.
        digests: of what they are encoded to, as many.
        chunks: digests of the chunks of those that are sent, shape (m,), dtype V32.
        n_sent: how many are sent.
    """

    made_of: bytes
    references: NDArray[np.void]
    digests: NDArray[np.void]
    chunks: NDArray[np.void]
    n_sent: int

    def to_bytes(self) -> bytes:
        out = io.BytesIO()
        np.savez(
            out,
            made_of=np.frombuffer(self.made_of, np.uint8),
            references=self.references,
            digests=self.digests,
            chunks=self.chunks,
            n_sent=np.array([self.n_sent]),
        )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "_Piece":
        with np.load(io.BytesIO(content), allow_pickle=False) as parts:
            return cls(
                parts["made_of"].tobytes(),
                parts["references"],
                parts["digests"],
                parts["chunks"],
                int(parts["n_sent"][0]),
            )


class RegisterUpload:
    """Brings the matcher's register of one party up to date with its source.

    Args:
        session: the agent at work.
        client: calls to the matcher.
        today: the day, for how long files are kept.
    """

    def __init__(self, session: Session, client: LookupClient, today: datetime.date) -> None:
        self._session, self._client, self._today = session, client, today
        self._store = session.store
        self._dataset = register_of(session.config.agreement)
        self._store.create(self._dataset, today + datetime.timedelta(days=_EPOCH_DAYS))

    @property
    def is_kept(self) -> bool:
        """Whether the matcher was ever sent this register."""
        return _SENT in self._store.names(self._dataset)

    def refresh(self, reporter: Reporter, whole: bool = False) -> Uploaded:
        """Send what has changed, or the whole; finish an upload that was interrupted first.

        Args:
            reporter: told how it goes on.
            whole: send everything, whatever was sent before.

        Raises:
            RecordError: the source cannot be used.
            DeniedError: nobody may look the register up.
        """
        with self._store.locked(self._dataset):
            self._finish(reporter)
            sent = None if whole else self._sent()
            try:
                return self._send(sent, reporter)
            except JobStateError:
                if sent is None:
                    raise
                # The matcher has another revision than we sent, or none any more.
                return self._send(None, reporter)

    def _sent(self) -> _State | None:
        """Return what the matcher has, where an upload can build on it."""
        sent = self._state(_SENT)
        same = sent is not None and sent.codes == _digest_of(code_id(self._session))
        return sent if sent and same and sent.updates < _MOST_UPDATES else None

    def _send(self, sent: _State | None, reporter: Reporter) -> Uploaded:
        codes = code_id(self._session)
        pieces = list(self._pieces(sent, reporter))
        n_sent = sum(piece.n_sent for piece in pieces)
        references = np.concatenate([piece.references for piece in pieces])
        digests = [chunk.tobytes() for piece in pieces for chunk in piece.chunks]
        n_record_chunks = len(digests)
        gone = np.zeros(0, "V16")
        if sent is not None:
            gone = sent.references[~_among(sent.references, references)]
        if sent is not None and not n_sent and not len(gone):
            self._forget()
            return Uploaded(sent.revision, len(references), 0, 0, None)
        for left in _cut(gone, REFERENCE_BYTES):
            chunk = RegisterChunk(removed=left.tobytes())
            digests.append(self._keep(chunk))
        state = _State(
            revision=0,
            updates=sent.updates + 1 if sent else 0,
            codes=_digest_of(codes),
            references=references,
            digests=np.concatenate([piece.digests for piece in pieces]),
        )
        manifest = RegisterManifest(
            agreement_id=self._session.config.agreement.id,
            codes=codes,
            threshold=self._session.schema.with_rounds(1).threshold,
            base_revision=sent.revision if sent else 0,
            n_records=n_sent,
            n_removed=len(gone),
            n_record_chunks=n_record_chunks,
            chunk_sha256=tuple(digests),
        )
        self._store.write(self._dataset, _NEXT, state.to_bytes())
        self._store.write(self._dataset, _MANIFEST, manifest.to_bytes())
        leaf_index, revision = self._upload(manifest, reporter)
        return Uploaded(revision, len(references), n_sent, len(gone), leaf_index)

    def _finish(self, reporter: Reporter) -> None:
        """Complete an upload that lies ready; one that the matcher no longer takes is dropped."""
        if _MANIFEST not in self._store.names(self._dataset):
            return
        manifest = RegisterManifest.from_json(
            json.loads(self._store.read(self._dataset, _MANIFEST))
        )
        if manifest.codes != code_id(self._session):
            self._forget()
            return
        try:
            self._upload(manifest, reporter)
        except (JobStateError, NotFoundError):
            self._forget()

    def _upload(self, manifest: RegisterManifest, reporter: Reporter) -> tuple[int, int]:
        n_chunks = len(manifest.chunk_sha256)
        leaf_index, revision = self._client.upload(
            manifest,
            lambda index: self._chunk(manifest, index),
            lambda index: reporter.uploading(index, n_chunks),
        )
        state = _State.from_bytes(self._store.read(self._dataset, _NEXT))
        self._store.write(self._dataset, _SENT, replace(state, revision=revision).to_bytes())
        self._forget()
        return leaf_index, revision

    def _forget(self) -> None:
        """Remove what was made for an upload; the manifest first, without which it is nothing."""
        self._store.remove(self._dataset, _MANIFEST)
        for name in self._store.names(self._dataset):
            if name != _SENT:
                self._store.remove(self._dataset, name)

    def _state(self, name: str) -> _State | None:
        if name not in self._store.names(self._dataset):
            return None
        return _State.from_bytes(self._store.read(self._dataset, name))

    def _pieces(self, sent: _State | None, reporter: Reporter) -> Iterator[_Piece]:
        """Yield what each table of the source becomes; what an earlier run has made is taken."""
        session = self._session
        source = Source(session.source, session.schema)
        normaliser = RecordNormaliser(session.schema, session.source)
        encoder = Encoder(session.schema, session.key, os.urandom)
        exact_tokens = ExactTokens(session.schema, session.key.exact_key, os.urandom)
        references = References(
            self._store,
            session.config.agreement,
            self._today + datetime.timedelta(days=_EPOCH_DAYS),
        )
        base = (sent.revision if sent else 0).to_bytes(8, "big") + _digest_of(code_id(session))
        n_records = 0
        for number, table in enumerate(without(source.chunks(), left_out(self._store))):
            name = f"{_PIECE}{number:06}"
            record_ids = cast("list[str]", table["record_id"].to_pylist())
            columns = normaliser.columns(table)
            made_of = ColumnsDigest()
            made_of.add(columns)
            own = np.frombuffer(references.of(record_ids), "V16")
            ids = hashlib.sha256("\n".join(record_ids).encode()).digest()
            key = hashlib.sha256(base + ids + own.tobytes() + made_of.digest()).digest()
            piece = self._kept(name, key)
            if piece is None:
                codes, exact = encoder.codes(columns), exact_tokens.tokens(columns)
                there = np.zeros(exact.shape[:2], dtype=np.bool_)
                for slot, attribute in enumerate(session.schema.exact_attributes):
                    there[:, slot] = np.diff(columns[attribute.name].offsets) > 0
                digests = _digests(codes, exact * there[:, :, None])
                new = _changed(sent, own, digests)
                chunks = [
                    self._keep(
                        RegisterChunk(
                            own[rows].tobytes(), codes[rows].tobytes(), exact[rows].tobytes()
                        )
                    )
                    for rows in _cut(new, code_id(session).record_bytes)
                ]
                sha256s = np.frombuffer(b"".join(chunks), "V32")
                piece = _Piece(key, own, digests, sha256s, len(new))
                # After its chunks: what it names is there.
                self._store.write(self._dataset, name, piece.to_bytes())
            yield piece
            n_records += len(record_ids)
            reporter.encoding(n_records)

    def _kept(self, name: str, made_of: bytes) -> _Piece | None:
        """Return a piece of an earlier run, if it was made of the same."""
        try:
            piece = _Piece.from_bytes(self._store.read(self._dataset, name))
        except NotFoundError:
            return None
        return piece if piece.made_of == made_of else None

    def _keep(self, chunk: RegisterChunk) -> bytes:
        digest = chunk.digest()
        self._store.write(self._dataset, f"{_CHUNK}{digest.hex()}", chunk.to_bytes())
        return digest

    def _chunk(self, manifest: RegisterManifest, index: int) -> RegisterChunk:
        name = f"{_CHUNK}{manifest.chunk_sha256[index].hex()}"
        content = self._store.read(self._dataset, name)
        if index >= manifest.n_record_chunks:
            return RegisterChunk(removed=content)
        return RegisterChunk.of_records(content, manifest.codes)


def register_of(agreement: Agreement) -> str:
    """Return the name of the dataset that holds what is known of a register."""
    name = hashlib.sha256(f"{agreement.epoch}/{agreement.id}".encode()).hexdigest()
    return f"register-{name[:32]}"


def is_kept(store: ArtefactStore, agreement: Agreement) -> bool:
    """Return whether the matcher was sent a register under the key of an epoch."""
    return _SENT in store.names(register_of(agreement))


def _digests(codes: NDArray[np.uint8], exact: NDArray[np.uint8]) -> NDArray[np.void]:
    rows = np.concatenate([codes, exact.reshape(len(exact), -1)], axis=1)
    made = b"".join(
        hashlib.blake2b(row.tobytes(), digest_size=_DIGEST_BYTES).digest() for row in rows
    )
    return np.frombuffer(made, "V16")


def _digest_of(codes: CodeId) -> bytes:
    return hashlib.sha256(repr(codes).encode()).digest()


def _changed(
    sent: _State | None, references: NDArray[np.void], digests: NDArray[np.void]
) -> NDArray[np.int64]:
    """Return which records the matcher does not have as they are."""
    if sent is None:
        return np.arange(len(references))
    # A reference and its digest together are one value, to be found among all that was sent.
    return np.flatnonzero(
        ~_among(_pairs(references, digests), _pairs(sent.references, sent.digests))
    )


def _pairs(references: NDArray[np.void], digests: NDArray[np.void]) -> NDArray[np.void]:
    both = np.stack([references.view("u1").reshape(-1, 16), digests.view("u1").reshape(-1, 16)], 1)
    pairs: NDArray[np.void] = np.ascontiguousarray(both).reshape(-1, 32).view("V32").ravel()
    return pairs


def _among(values: NDArray[np.void], others: NDArray[np.void]) -> NDArray[np.bool_]:
    """Return which values are among others."""
    if not len(others):
        return np.zeros(len(values), dtype=np.bool_)
    ordered = np.sort(others)
    at = np.searchsorted(ordered, values).clip(max=len(ordered) - 1)
    among: NDArray[np.bool_] = ordered[at] == values
    return among


def _cut(values: NDArray[T], size: int) -> Iterator[NDArray[T]]:
    """Yield values in pieces of which each makes a chunk."""
    step = max(MAX_CHUNK_BYTES // size, 1)
    for start in range(0, len(values), step):
        yield values[start : start + step]
