"""Signed documents on their way into the log.

A document gets in if it changes what the log says: `agreement.state` decides, from its
signatures alone, and auditors repeat it. Who brings it does not matter. What does not
count is refused by its code and leaves no entry, so nobody can fill the log with it.
"""

import datetime
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

from keys.delegated import PAYLOAD_TYPE as DELEGATION_TYPE
from keys.delegated import read_delegation
from keys.dsse import Envelope, parse_envelope
from keys.errors import KeysError
from keys.messages import Seal, check_sealed, read_message
from keys.terms import Terms
from linkage.agreement.decide import decide
from linkage.agreement.envelope import AGREEMENT_TYPE, agreement_in
from linkage.agreement.epochs import WORDS
from linkage.agreement.grants import asked_for, grant_in
from linkage.agreement.incidents import IncidentReport, IncidentStep
from linkage.agreement.lint import lint
from linkage.agreement.model import Agreement
from linkage.agreement.payload import (
    Enrolment,
    GrantRevocation,
    Hold,
    KeyChange,
    KeyRevocation,
    KeyRotation,
    LookupGrant,
    OfParty,
    Stop,
    Termination,
    leaf_body,
    parse_payload,
)
from linkage.agreement.rights import RightsAnswer, RightsNotice
from linkage.agreement.state import State
from linkage.agreement.terms import terms_of
from linkage.agreement.usage import day_of
from linkage.errors import DeniedError, MalformedMessageError, NotFoundError
from linkage.log.canonical import JsonObject, parse_json
from linkage.log.entry import Entry
from linkage.matcher.decisions import denied
from linkage.matcher.journal import Clock, time_of, with_body
from linkage.matcher.ledger import Ledger
from linkage.matcher.match_log import MatchLog
from linkage.matcher.retention import Retention
from linkage.store.artefacts import ArtefactStore
from linkage.store.metadata import Metadata, Transaction

_EPOCH = "application/vnd.padan.epoch."
_OF_KEYS = {
    Enrolment.TYPE: "enrol",
    KeyRotation.TYPE: "key.rotate",
    KeyRevocation.TYPE: "key.revoke",
}
_OF_PARTIES: dict[str, tuple[str, type[OfParty]]] = {
    RightsNotice.TYPE: ("rights.notice", RightsNotice),
    RightsAnswer.TYPE: ("rights.answer", RightsAnswer),
    IncidentReport.TYPE: ("incident.report", IncidentReport),
    IncidentStep.TYPE: ("incident.step", IncidentStep),
}


class Documents:
    """Takes documents in.

    Args:
        metadata: the database.
        artefacts: where the ciphertexts of key exchanges are kept.
        ledger: the state of the log.
        log: publishes it.
        clock: the matcher's clock.
        retention: says how long ciphertexts are kept.
    """

    def __init__(
        self,
        metadata: Metadata,
        artefacts: ArtefactStore,
        ledger: Ledger,
        log: MatchLog,
        clock: Clock,
        retention: Retention,
    ) -> None:
        self._metadata, self._artefacts = metadata, artefacts
        self._retention = retention
        self._ledger, self._log, self._clock = ledger, log, clock

    def submit(self, actor: str, content: bytes, sealed: Sequence[bytes] = ()) -> int:
        """Put a document into the log, and return its index.

        Args:
            actor: who brings it, as role/name.
            content: the envelope.
            sealed: of a seal in a key exchange, the ciphertexts that it names.

        Raises:
            MalformedMessageError: it is no document, or its ciphertexts are missing.
            DeniedError: it does not count; with the code of `docs/agreements.md`.
        """
        try:
            envelope = parse_envelope(content)
        except KeysError as error:
            raise MalformedMessageError(str(error)) from error
        leaf_type, agreement = _place(envelope)
        body = leaf_body(envelope)
        with self._metadata.write() as transaction:
            index = self._ledger.index_of(transaction, body)
            if index is None:
                now = time_of(self._clock)
                leaf = Entry(leaf_type, now, actor, agreement)
                index = self._take(transaction, leaf, body, envelope, sealed)
        # First: a revocation that is in the database counts, whatever becomes of the files.
        self._ledger.refresh()
        # Also of one that is there already: the first try may have failed before this.
        self._log.publish()
        return index

    def _take(
        self,
        transaction: Transaction,
        leaf: Entry,
        body: JsonObject,
        envelope: Envelope,
        sealed: Sequence[bytes],
    ) -> int:
        """Append the leaf of a new document, if it counts; raises as `submit`."""
        state = self._ledger.state(transaction)
        if envelope.payload_type == AGREEMENT_TYPE:
            _check_lawful(agreement_in(envelope), day_of(leaf.time))
        entry, made = with_body(leaf, body)
        after = state.after(state.size, entry, body)
        if len(after.rejected) > len(state.rejected):
            code = after.rejected[-1].code
            raise DeniedError(code, f"the document does not count in the log: {leaf.type}")
        if envelope.payload_type == LookupGrant.TYPE:
            _check_granted(state, parse_payload(LookupGrant, envelope), leaf.time)
        # An abort may be signed with a newer key than the agreement's.
        if leaf.type.startswith("epoch.") and leaf.type != "epoch.abort":
            self._keep(_terms(state, envelope), envelope, sealed)
        return transaction.append(made)

    def sealed(
        self, party: str, agreement_id: str, epoch: int, digests: Sequence[bytes]
    ) -> Iterator[bytes]:
        """Yield those ciphertexts of a key exchange that are here.

        Raises:
            NotFoundError: the party takes no part in such an exchange.
        """
        standing = self._ledger.refresh().agreements.get(agreement_id)
        if standing is None or party not in standing.agreement.by_id:
            raise NotFoundError("no such key exchange of the caller's")
        dataset = _dataset(agreement_id, epoch)
        there = set(self._artefacts.names(dataset))
        for name in (digest.hex() for digest in digests):
            if name in there:
                yield self._artefacts.read(dataset, name)

    def _keep(self, terms: Terms, envelope: Envelope, sealed: Sequence[bytes]) -> None:
        """Keep the ciphertexts that a document names: its entry says that they can be had."""
        named = set[bytes]()
        try:
            if envelope.payload_type == DELEGATION_TYPE:
                named.add(read_delegation(terms, envelope).ciphertext)
                if {hashlib.sha256(one).digest() for one in sealed} != named:
                    raise KeysError("the sealed key does not come with its delegation")
            else:
                message = read_message(terms, envelope)
                if isinstance(message, Seal):
                    check_sealed(message, sealed)
                    named.update(message.sealed.values())
        except KeysError as error:
            raise MalformedMessageError(str(error)) from error
        if not named:
            return  # of a commit: its days begin with the first share, however long others take
        dataset = _dataset(terms.agreement_id, terms.epoch)
        self._retention.create(dataset, "sealed", terms.agreement_id)
        for one in sealed:
            digest = hashlib.sha256(one)
            if digest.digest() in named:
                self._artefacts.write(dataset, digest.hexdigest(), one)


def _check_lawful(agreement: Agreement, today: datetime.date) -> None:
    """Check that an agreement has nothing that must not stand in one."""
    findings = [finding for finding in lint(agreement, today) if finding.refuses]
    if findings:
        codes = ", ".join(f"{finding.code} ({finding.where})" for finding in findings[:10])
        raise DeniedError(
            "NOT_LAWFUL", f"the agreement does not stand: {codes}: run `padan agreement check`"
        )


def _check_granted(state: State, wanted: LookupGrant, now: datetime.datetime) -> None:
    """Check that the agreement allows a grant that its two parties have signed."""
    standing = state.agreements.get(wanted.agreement)
    decision = decide(state, asked_for(wanted, standing, now))
    if not decision.allowed:
        raise denied(decision)


def _place(envelope: Envelope) -> tuple[str, str | None]:
    """Return the type of the leaf that carries a document, and the agreement it belongs to."""
    kind = envelope.payload_type
    if kind == AGREEMENT_TYPE:
        agreement = agreement_in(envelope)
        word = "register" if agreement.version == 1 else "amend"
        return f"agreement.{word}", agreement.id
    if kind == Termination.TYPE:
        return "agreement.terminate", parse_payload(Termination, envelope).agreement
    if kind == Stop.TYPE:
        return "agreement.stop", parse_payload(Stop, envelope).agreement
    if kind == Hold.TYPE:
        return "agreement.hold", parse_payload(Hold, envelope).agreement
    if kind == KeyChange.TYPE:
        return "key.state", parse_payload(KeyChange, envelope).agreement
    if kind in (LookupGrant.TYPE, GrantRevocation.TYPE):
        return "lookup.grant", grant_in(envelope).agreement
    if kind in _OF_PARTIES:
        leaf_type, form = _OF_PARTIES[kind]
        return leaf_type, parse_payload(form, envelope).agreement
    if kind in _OF_KEYS:
        return _OF_KEYS[kind], None
    word = kind.removeprefix(_EPOCH).removesuffix("+json")
    if kind == f"{_EPOCH}{word}+json" and word in WORDS:
        return f"epoch.{word}", _agreement_named(envelope)
    raise MalformedMessageError("a document of a type that this version does not know")


def _agreement_named(envelope: Envelope) -> str:
    fields = parse_json(envelope.payload)
    named = fields.get("agreement") if isinstance(fields, dict) else None
    if not isinstance(named, str):
        raise MalformedMessageError("a message of a key exchange that names no agreement")
    return named


def _terms(state: State, envelope: Envelope) -> Terms:
    """Return the terms of an exchange of which the state has taken a message."""
    fields = cast("dict[str, Any]", parse_json(envelope.payload))
    standing = state.agreements.by_id[fields["agreement"]]
    return terms_of(standing.agreement, fields["epoch"])


def _dataset(agreement_id: str, epoch: int) -> str:
    # An id may hold what no folder's name may.
    return f"sealed-{hashlib.sha256(agreement_id.encode()).hexdigest()[:32]}-{epoch}"
