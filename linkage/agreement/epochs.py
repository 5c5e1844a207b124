"""Which linkage keys the parties have made, and who holds them: one part of the log's state.

Only the outcome of an exchange matters here: who began it, who confirmed what, who ended it.
Whose fault a failure was is for `keys.transcript` to say, from the same leaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import cast

from keys.dsse import Envelope
from keys.errors import KeystoreError
from keys.rotation import OVERLAP, Event, KeyedEpoch, Reason
from keys.states import KeyState, verify_transition
from linkage.agreement.model import Agreement, sign_keys
from linkage.agreement.payload import KeyChange
from linkage.agreement.principals import Principals
from linkage.agreement.refusal import Refused
from linkage.agreement.standing import Standing
from linkage.agreement.values import path_of, role_in
from linkage.errors import MalformedMessageError
from linkage.log.canonical import JsonObject, decode_base64, parse_json

WORDS = ("commit", "seal", "confirm", "abort", "delegate")
_TYPE = "application/vnd.padan.epoch.{}+json"
_MEMBERS = frozenset({"v", "agreement", "agreement_digest", "epoch", "party"})


@dataclass(frozen=True)
class Custody:
    """How long the keys of an agreement serve.

    Attributes:
        longest: after which a key that has no successor serves no more.
        overlap: how long a key and its successor serve side by side; so long before the end
            of its time a successor is due.
    """

    longest: timedelta
    overlap: timedelta

    @property
    def period(self) -> timedelta:
        """After which a new key is due."""
        return self.longest - self.overlap


def custody_of(agreement: Agreement) -> Custody:
    """Return how long the keys of an agreement serve."""
    longest = timedelta(days=agreement.key_custody.rotation_days)
    return Custody(longest, min(OVERLAP, longest / 2))


@dataclass(frozen=True)
class Held:
    """A holder's key of an epoch, as the holder's last document about it has it.

    Attributes:
        state: where it is in its life.
        revision: of its keystore file.
        leaf: the leaf of the document.
    """

    state: KeyState
    revision: int
    leaf: int


@dataclass(frozen=True)
class Epoch:
    """One linkage key of an agreement, made or in the making.

    Attributes:
        agreement: id of the agreement.
        number: counts its keys, from 1.
        schema_id: what the key is bound to, and so are the next two.
        purpose: the agreement's purpose code.
        parties: who makes it.
        leaf: the leaf that began it.
        began: its time.
        messages: digest of what each party said in each step.
        confirms: what each party confirmed: the messages that its key follows from.
        confirmed: the leaf with which the last party confirmed the same as all others.
        confirmed_at: its time.
        delegated: offices that were given the key, with the leaf.
        ended: the leaf after which nothing more is done with the key.
        lost: why it ended: that a holder was removed, or may have lost it.
        held: what holders said of their keys, by identity.
    """

    agreement: str
    number: int
    schema_id: str
    purpose: str
    parties: tuple[str, ...]
    leaf: int
    began: datetime
    messages: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    confirms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    confirmed: int | None = None
    confirmed_at: datetime | None = None
    delegated: Mapping[str, int] = field(default_factory=dict)
    ended: int | None = None
    lost: Event | None = None
    held: Mapping[str, Held] = field(default_factory=dict)

    def is_of(self, agreement: Agreement) -> bool:
        """Return whether the key serves this version: an amendment may have changed too much."""
        bound = (self.schema_id, self.purpose, self.parties)
        return bound == _bound(agreement)

    def keyed(self) -> KeyedEpoch | None:
        """Return what `keys.rotation` has to know, once the key is made."""
        if self.confirmed_at is None:
            return None
        holders = {*(f"party/{name}" for name in self.parties), *map(path_of, self.delegated)}
        return KeyedEpoch(self.number, self.began, self.confirmed_at, frozenset(holders))


@dataclass(frozen=True)
class Epochs:
    """All linkage keys, by agreement and number."""

    by_number: Mapping[tuple[str, int], Epoch] = field(default_factory=dict)

    def get(self, agreement_id: str, number: int) -> Epoch | None:
        """Return an epoch, also one that ended."""
        return self.by_number.get((agreement_id, number))

    def of(self, agreement_id: str) -> list[Epoch]:
        """Return the epochs of an agreement that were ever begun, the oldest first."""
        found = [epoch for (of, _), epoch in self.by_number.items() if of == agreement_id]
        return sorted(found, key=lambda epoch: epoch.number)

    def successor(self, epoch: Epoch) -> datetime | None:
        """Return when the key after one was made; None if it was not.

        That it was given up later changes nothing: an older key does not come back.
        """
        later = (one for one in self.of(epoch.agreement) if one.number > epoch.number)
        return next((one.confirmed_at for one in later if one.confirmed_at), None)

    def after(
        self,
        index: int,
        time: datetime,
        word: str,
        envelope: Envelope,
        standing: Standing | None,
        principals: Principals,
    ) -> "Epochs":
        """Return all, with one message of an exchange or a delegation more.

        Args:
            index: its leaf.
            time: the time of the leaf.
            word: the second word of its type.
            envelope: the message.
            standing: the agreement that the leaf names.
            principals: who is enrolled.

        Raises:
            MalformedMessageError: it is no such message.
            Refused: it does not count.
        """
        fields = _read(word, envelope)
        party, number = fields["party"], fields["epoch"]
        if not isinstance(party, str) or type(number) is not int or not 1 <= number < 2**32:
            raise MalformedMessageError("a message of a party and an epoch from 1")
        if standing is None or standing.terminated is not None:
            raise Refused("NOT_IN_FORCE")
        agreement = standing.agreement
        about = (fields["agreement"], _hex(fields["agreement_digest"]))
        if about != (agreement.id, standing.version.digest):
            raise Refused("OTHER_AGREEMENT")
        known = agreement.by_id.get(party)
        principal = principals.get(known.principal) if known else None
        if known is None or principal is None:
            raise Refused("NOT_SIGNED")
        keys = principal.sign_keys(time)
        # An exchange is read with the key that the agreement lists; whoever lost it can still end.
        listed = {next(iter(sign_keys(known)))} if word != "abort" else keys.keys()
        if len(envelope.signatures) != 1 or envelope.signers(keys).isdisjoint(listed):
            raise Refused("NOT_SIGNED")
        epoch = self._begun(agreement, number, index, time, word)
        if word == "delegate":
            return self._with(_delegated(epoch, party, fields, index, principals))
        said, digest = epoch.messages.get((word, party)), sha256(envelope.payload).digest()
        if said == digest:
            raise Refused("REPLAYED")
        epoch = replace(epoch, messages={**epoch.messages, (word, party): digest})
        # A second message of one kind, to whomever it was shown, ends the exchange.
        if word == "abort" or said is not None:
            lost = Event(Reason.LOSS, time, f"party/{party}")
            epoch = replace(epoch, ended=index, lost=lost)
        elif word == "confirm":
            epoch = _confirmed(epoch, party, fields, index, time)
        return self._with(epoch)

    def without_holder(self, index: int, time: datetime, holder: str) -> "Epochs":
        """Return all, with those at their end whose key is in hands that count no more.

        Args:
            index: the leaf that took the holder away.
            time: its time.
            holder: identity of a party or office.
        """
        lost = Event(Reason.REMOVAL, time, path_of(holder))
        ended = {
            at: replace(epoch, ended=index, lost=lost)
            for at, epoch in self.by_number.items()
            if epoch.ended is None and _holds(epoch, holder)
        }
        return Epochs({**self.by_number, **ended})

    def changed(self, index: int, time: datetime, change: KeyChange) -> "Epochs":
        """Return all, with what a holder says of its key; a compromised one ends its epoch.

        Args:
            index: the leaf that says it.
            time: its time.
            change: what it says; whoever speaks for the holder has signed it.

        Raises:
            Refused: the holder has no such key, or it was not in such a state.
        """
        epoch = self.get(change.agreement, change.epoch)
        if epoch is None or epoch.confirmed is None or not _holds(epoch, change.principal):
            raise Refused("NO_SUCH_KEY")
        known = epoch.held.get(change.principal, Held(KeyState.ACTIVE, -1, index))
        if change.revision <= known.revision:
            raise Refused("REPLAYED")
        if change.before != known.state:
            raise Refused("OUT_OF_ORDER")
        after = change.after
        try:
            verify_transition(known.state, after)
        except KeystoreError as error:
            raise Refused("NO_CHANGE") from error
        held = {**epoch.held, change.principal: Held(after, change.revision, index)}
        epoch = replace(epoch, held=held)
        if after is KeyState.COMPROMISED and epoch.ended is None:
            lost = Event(Reason.LOSS, time, path_of(change.principal))
            epoch = replace(epoch, ended=index, lost=lost)
        return self._with(epoch)

    def _begun(
        self, agreement: Agreement, number: int, index: int, time: datetime, word: str
    ) -> Epoch:
        epoch = self.get(agreement.id, number)
        if epoch is None:
            numbers = [n for of, n in self.by_number if of == agreement.id]
            if word != "commit" or number != max(numbers, default=0) + 1:
                raise Refused("OUT_OF_ORDER")
            return Epoch(agreement.id, number, *_bound(agreement), leaf=index, began=time)
        if epoch.ended is not None:
            raise Refused("EPOCH_ENDED")
        if not epoch.is_of(agreement):
            raise Refused("OTHER_AGREEMENT")
        return epoch

    def _with(self, epoch: Epoch) -> "Epochs":
        return Epochs({**self.by_number, (epoch.agreement, epoch.number): epoch})


def _confirmed(epoch: Epoch, party: str, fields: JsonObject, index: int, time: datetime) -> Epoch:
    seals = fields.get("seals")
    if not isinstance(seals, list) or not all(isinstance(one, str) for one in seals):
        raise MalformedMessageError("a confirmation names the messages it follows from")
    confirms = {**epoch.confirms, party: tuple(cast("Sequence[str]", seals))}
    epoch = replace(epoch, confirms=confirms)
    if confirms.keys() != set(epoch.parties) or len(set(confirms.values())) != 1:
        return epoch
    return replace(epoch, confirmed=index, confirmed_at=time)


def _delegated(
    epoch: Epoch, party: str, fields: JsonObject, index: int, principals: Principals
) -> Epoch:
    office = principals.get(str(fields.get("office")))
    if office is None or office.revoked is not None:
        raise Refused("NO_SUCH_OFFICE")
    if (office.role, office.party) != ("office", party):
        raise Refused("NO_SUCH_OFFICE")
    if epoch.confirmed is None:
        raise Refused("OUT_OF_ORDER")
    if office.uri in epoch.delegated:
        raise Refused("REPLAYED")
    return replace(epoch, delegated={**epoch.delegated, office.uri: index})


def _holds(epoch: Epoch, uri: str) -> bool:
    """Whether someone holds the key of an epoch, or has a share in it."""
    return uri in epoch.delegated or role_in(uri) in {("party", name) for name in epoch.parties}


def _bound(agreement: Agreement) -> tuple[str, str, tuple[str, ...]]:
    parties = tuple(sorted(agreement.by_id))
    return agreement.method.schema_id, agreement.purpose.code, parties


def _read(word: str, envelope: Envelope) -> JsonObject:
    if envelope.payload_type != _TYPE.format(word):
        raise MalformedMessageError("a document of another type than its leaf")
    fields = parse_json(envelope.payload)
    if not isinstance(fields, dict) or not fields.keys() >= _MEMBERS:
        raise MalformedMessageError("not a message of a key exchange")
    return fields


def _hex(digest: object) -> str:
    return decode_base64(digest).hex() if isinstance(digest, str) else ""
