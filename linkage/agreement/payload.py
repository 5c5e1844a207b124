"""What is signed beside agreements: enrolments, changes of keys, endings, stops, holds, grants.

Each is canonical JSON with the log that it is for, inside a DSSE envelope of its own payload
type, in the leaf `{"env": ...}`. None counts twice: changes of one principal's keys, and stops
of one agreement, carry the number of those before them plus one.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from keys.dsse import Envelope, envelope_in
from keys.errors import KeysError
from keys.states import KeyState
from linkage.agreement.values import (
    AgreementId,
    Digest,
    Line,
    Origin,
    PartyId,
    PrincipalUri,
    SealKey,
    SignKey,
    Strict,
    WitnessKey,
    WitnessMlDsaKey,
)
from linkage.errors import MalformedMessageError
from linkage.log.canonical import JsonObject, format_json, parse_json

_Serial = Annotated[int, Field(ge=1, le=1_000_000)]


def _whole_seconds(time: datetime) -> datetime:
    if time.utcoffset() != timedelta(0) or time.microsecond:
        raise ValueError("a time is in UTC and whole seconds, such as 2026-12-31T08:00:00Z")
    return time


Time = Annotated[datetime, AfterValidator(_whole_seconds)]


_WitnessMlDsaKey = Annotated[
    WitnessMlDsaKey | None, Field(exclude_if=lambda key: key is None)  # as enrolments were before
]


class Payload(Strict):
    """What all of them have.

    Attributes:
        v: version of the form.
        log: origin of the log that it is for.
    """

    TYPE: ClassVar[str]

    v: Literal[1] = 1
    log: Origin

    def to_bytes(self) -> bytes:
        """Return the canonical JSON: what is signed."""
        return format_json(self.model_dump(mode="json"))


class OfParty(Payload):
    """What one party says under an agreement; signed by it, and by nobody else.

    Attributes:
        agreement: its id.
        party: who says it.
    """

    agreement: AgreementId
    party: PartyId


class OfficeQuota(Strict):
    """What a head office lets one of its offices do on a day."""

    records_per_day: Annotated[int, Field(ge=0, le=2_000_000_000)]
    jobs_per_day: Annotated[int, Field(ge=0, le=2_000_000_000)]
    lookups_per_day: Annotated[int, Field(ge=0, le=2_000_000_000)]


class Enrolment(Payload):
    """A principal and its first keys.

    Signed by the log's administrators, or for an office by its party; and by its own signing
    key, where it has one, so that nobody enrols a key of another.

    Attributes:
        principal: who.
        tls_keys: SHA-256 of the public keys (SPKI) of its certificates.
        sign_key: what it signs requests and documents with.
        seal_key: what is sealed to it.
        witness_key: its verifier key as a witness (signed-note vkey).
        witness_ml_dsa_key: a second one, without which an enrolment has no such member: once a
            party has both, it has cosigned when both have.
        quota: of an office, what it may do on a day.
    """

    TYPE = "application/vnd.padan.enrolment+json"

    principal: PrincipalUri
    tls_keys: Annotated[tuple[Digest, ...], Field(max_length=4)]
    sign_key: SignKey | None = None
    seal_key: SealKey | None = None
    witness_key: WitnessKey | None = None
    witness_ml_dsa_key: _WitnessMlDsaKey = None
    quota: OfficeQuota | None = None


class KeyRotation(Payload):
    """New keys of a principal; the ones they replace count until a time.

    Signed by the principal with a key that counts, by its party, or by the administrators;
    and by the new signing key, where there is one.

    Attributes:
        principal: who.
        serial: number of the changes before, plus one.
        tls_keys: new ones; none leaves the old ones as they are, and so with the others.
        sign_key: the new signing key.
        seal_key: the new seal key.
        witness_key: the new verifier key.
        witness_ml_dsa_key: the new second one.
        old_until: until when the replaced ones count.
    """

    TYPE = "application/vnd.padan.key-rotation+json"

    principal: PrincipalUri
    serial: _Serial
    tls_keys: Annotated[tuple[Digest, ...], Field(max_length=4)] = ()
    sign_key: SignKey | None = None
    seal_key: SealKey | None = None
    witness_key: WitnessKey | None = None
    witness_ml_dsa_key: _WitnessMlDsaKey = None
    old_until: Time


class KeyRevocation(Payload):
    """Keys that count no more, at once and for ever.

    Signed by the principal, by its party, or by the administrators.

    Attributes:
        principal: whose.
        serial: number of the changes before, plus one.
        keys: SHA-256 of keys, as SPKI or raw; none revokes the principal as a whole.
        reason: why.
    """

    TYPE = "application/vnd.padan.key-revocation+json"

    principal: PrincipalUri
    serial: _Serial
    keys: Annotated[tuple[Digest, ...], Field(max_length=16)]
    reason: Literal["compromised", "superseded", "left", "error"]


class KeyChange(Payload):
    """A holder's key of an epoch in another state: what its keystore file says now.

    Signed by the holder, or by the party that it is an office of. A key that is compromised,
    or may be, ends its epoch at once.

    Attributes:
        principal: who holds the key.
        agreement: whose key it is.
        epoch: its number.
        key_id: the random name of the key in the holder's keystore; "" if the file is lost.
        before: the state that the log has; active, if it has none.
        after: the new one.
        revision: of the keystore file; greater than the one before.
    """

    TYPE = "application/vnd.padan.key-state+json"

    principal: PrincipalUri
    agreement: AgreementId
    epoch: Annotated[int, Field(ge=1, lt=2**32)]
    key_id: Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")]
    before: KeyState
    after: KeyState
    revision: Annotated[int, Field(ge=0, le=2**31)]


class Termination(Payload):
    """The end of an agreement, signed by any one of its parties.

    Attributes:
        agreement: its id.
        digest: a version of it that was in force; the end is of all versions.
        reason: why.
    """

    TYPE = "application/vnd.padan.termination+json"

    agreement: AgreementId
    digest: Digest
    reason: Line


class Stop(Payload):
    """The emergency stop of an agreement, or its end.

    A stop is signed by any one party, or an auditor that the agreement names; going on is
    signed by all parties, and by the auditor who stopped.

    Attributes:
        agreement: its id.
        digest: a version of it that was in force.
        serial: number of stops and resumptions before, plus one.
        stopped: whether it stops, or goes on.
        reason: why.
    """

    TYPE = "application/vnd.padan.stop+json"

    agreement: AgreementId
    digest: Digest
    serial: _Serial
    stopped: bool
    reason: Line


class Hold(Payload):
    """A legal hold: what exists under an agreement is not destroyed when its time is over.

    Signed by two of its parties and the auditors that it names; the end of it by everybody who
    signed that it begins, so that nobody has evidence destroyed that another asked to keep.

    Attributes:
        agreement: its id.
        digest: a version of it that was in force.
        serial: number of holds and ends of holds before, plus one.
        held: whether it is held, or the hold ends.
        reason: why: the case, and who ordered it.
    """

    TYPE = "application/vnd.padan.hold+json"

    agreement: AgreementId
    digest: Digest
    serial: _Serial
    held: bool
    reason: Line


_GrantId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class LookupGrant(Payload):
    """Leave to look up one party's register, for a number of times and a time.

    Signed by the party whose register it is, and by the party that looks up, or whose office
    does: its quota is used.

    Attributes:
        agreement: id of the agreement.
        digest: the version in force.
        grant: 16 random bytes in hexadecimal: its name.
        caller: the party or office that looks up.
        register_of: the party whose register it is.
        purpose: the purpose code of the agreement.
        number: how many lookups.
        per_minute: how many of them in one minute.
        valid_from: the first moment.
        valid_until: the end.
        on_probing: what follows where lookups look like probing: the operator's alarm alone, or
            also that nothing more is answered.
    """

    TYPE = "application/vnd.padan.lookup-grant+json"

    agreement: AgreementId
    digest: Digest
    grant: _GrantId
    caller: PrincipalUri
    register_of: PartyId
    purpose: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9./-]{0,63}$")]
    number: Annotated[int, Field(ge=1, le=2_000_000_000)]
    per_minute: Annotated[int, Field(ge=1, le=1_000_000)]
    valid_from: Time
    valid_until: Time
    on_probing: Literal["alarm", "refuse"] = "alarm"


class GrantRevocation(Payload):
    """The end of a grant before its time, signed by either of the two parties.

    Attributes:
        agreement: id of the agreement.
        grant: the grant's name.
        reason: why.
    """

    TYPE = "application/vnd.padan.grant-revocation+json"

    agreement: AgreementId
    grant: _GrantId
    reason: Line


P = TypeVar("P", bound=Payload)


def parse_payload(kind: type[P], envelope: Envelope) -> P:
    """Return the payload of an envelope; its signatures are not checked here.

    Raises:
        MalformedMessageError: it is of another type, or not what `to_bytes` would write.
    """
    if envelope.payload_type != kind.TYPE:
        raise MalformedMessageError(f"a document of another type than {kind.TYPE}")
    parse_json(envelope.payload)
    try:
        payload = kind.model_validate_json(envelope.payload)
    except ValidationError as error:
        raise MalformedMessageError(f"not a payload of {kind.TYPE}") from error
    if payload.to_bytes() != envelope.payload:
        raise MalformedMessageError("a payload in a second spelling")
    return payload


def leaf_body(envelope: Envelope) -> dict[str, Any]:
    """Return the body of a leaf that carries an envelope."""
    return {"env": envelope.to_json()}


def envelope_of(body: JsonObject | None) -> Envelope:
    """Return the envelope in the body of a leaf.

    Raises:
        MalformedMessageError: the body has no envelope, or something beside it.
    """
    if body is None or body.keys() != {"env"}:
        raise MalformedMessageError("not the body of a leaf with an envelope")
    try:
        return envelope_in(body["env"])
    except KeysError as error:
        raise MalformedMessageError(str(error)) from error
