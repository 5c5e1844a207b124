"""Who is enrolled, and which of their keys count: one part of the log's state.

The administrators of the genesis leaf enrol parties, auditors, coordinators and the matcher; a
party enrols its own offices. A key belongs to one principal for ever, and once revoked it never
returns.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from keys.dsse import Envelope
from linkage.agreement.payload import (
    Enrolment,
    KeyRevocation,
    KeyRotation,
    OfficeQuota,
    parse_payload,
)
from linkage.agreement.refusal import Refused
from linkage.agreement.values import office_in, path_of, role_in
from linkage.errors import MalformedMessageError
from linkage.log.canonical import JsonObject, decode_base64
from linkage.log.vkey import parse_vkey

Kind = Literal["tls", "sign", "seal", "witness", "witness-ml-dsa-44"]
MAX_ADMINS = 32


@dataclass(frozen=True)
class Key:
    """One key of a principal.

    Attributes:
        id: SHA-256 in hexadecimal, of the SPKI (tls) or of the raw public key.
        kind: what it is for.
        public: the raw public key; empty for tls; for a witness the bytes of its vkey.
        since: leaf that brought it.
        until: when it stops to count, as another replaced it.
        revoked: leaf that revoked it.
    """

    id: str
    kind: Kind
    public: bytes
    since: int
    until: datetime | None = None
    revoked: int | None = None

    def counts(self, time: datetime) -> bool:
        """Return whether the key counts at a time."""
        return self.revoked is None and (self.until is None or time < self.until)


@dataclass(frozen=True)
class Principal:
    """Someone enrolled.

    Attributes:
        uri: the identity.
        leaf: its enrolment.
        keys: all it ever had, by id.
        serial: how often they were changed.
        quota: of an office, what it may do on a day.
        revoked: leaf that revoked it as a whole.
    """

    uri: str
    leaf: int
    keys: Mapping[str, Key]
    serial: int = 0
    quota: OfficeQuota | None = None
    revoked: int | None = None

    @property
    def role(self) -> str:
        """`party`, `office`, `coordinator`, `auditor` or `matcher`."""
        return role_in(self.uri)[0]

    @property
    def party(self) -> str:
        """The party that it is, or that it is an office of; its own name for others."""
        return role_in(self.uri)[1]

    @property
    def office(self) -> str:
        """Its own name as an office of its party; "" for others."""
        return office_in(self.uri)

    @property
    def path(self) -> str:
        """What log entries name it by: `party/x`, `office/x/y`."""
        return path_of(self.uri)

    def at(self, size: int) -> "Principal | None":
        """Return it with what the first entries of the log say of it; None where that is nothing.

        Until when a key that was replaced counts is said in time, and stays.

        Args:
            size: how many entries.
        """
        if self.leaf >= size:
            return None
        keys = {
            key.id: replace(key, revoked=_before(key.revoked, size))
            for key in self.keys.values()
            if key.since < size
        }
        return replace(self, keys=keys, revoked=_before(self.revoked, size))

    def counting(self, kind: Kind, time: datetime) -> tuple[Key, ...]:
        """Return its keys of a kind that count at a time, the newest last."""
        if self.revoked is not None:
            return ()
        return tuple(key for key in self.keys.values() if key.kind == kind and key.counts(time))

    def sign_keys(self, time: datetime) -> dict[str, bytes]:
        """Return its raw signing keys that count at a time, by id."""
        return {key.id: key.public for key in self.counting("sign", time)}


@dataclass(frozen=True)
class Principals:
    """All who are enrolled.

    Attributes:
        admins: raw signing keys of the administrators by id.
        threshold: how many of them sign together.
        by_uri: everybody by identity.
        by_path: the identity of each `party/x` or `office/x/y`, whatever its domain.
        owners: whose each key is or was, by its id.
    """

    admins: Mapping[str, bytes] = field(default_factory=dict)
    threshold: int = 1
    by_uri: Mapping[str, Principal] = field(default_factory=dict)
    by_path: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)

    def get(self, uri: str) -> Principal | None:
        """Return a principal, also a revoked one."""
        return self.by_uri.get(uri)

    def of_party(self, party: str) -> Principal | None:
        """Return the principal of a party itself."""
        return self.by_uri.get(self.by_path.get(f"party/{party}", ""))

    def speaks_for(self, uri: str, time: datetime, envelope: Envelope) -> bool:
        """Return whether a principal that stands, or the party it is an office of, has signed."""
        principal = self.by_uri.get(uri)
        if principal is None or principal.revoked is not None:
            return False
        own = envelope.signers(principal.sign_keys(time))
        return bool(own) or self._by_party_of(principal.role, principal.party, envelope, time)

    def enrol(self, log: str, index: int, time: datetime, envelope: Envelope) -> "Principals":
        """Return all, with one enrolled.

        Raises:
            MalformedMessageError: the envelope holds no enrolment.
            Refused: it does not count.
        """
        wanted = parse_payload(Enrolment, envelope)
        _same_log(wanted.log, log)
        role, party = role_in(wanted.principal)
        if path_of(wanted.principal) in self.by_path:
            raise Refused("ALREADY_ENROLLED")
        if not (self._by_admins(envelope) or self._by_party_of(role, party, envelope, time)):
            raise Refused("NOT_SIGNED")
        if role == "office" and self.of_party(party) is None:
            raise Refused("NO_SUCH_PARTY")
        if wanted.quota is not None and role != "office":
            raise Refused("QUOTA_OF_NO_OFFICE")
        keys = _keys(wanted, index)
        self._check_new(keys, envelope)
        return self._with(Principal(wanted.principal, index, keys, quota=wanted.quota))

    def rotate(self, log: str, index: int, time: datetime, envelope: Envelope) -> "Principals":
        """Return all, with new keys of one; raises as `enrol`."""
        wanted = parse_payload(KeyRotation, envelope)
        _same_log(wanted.log, log)
        principal = self._changed(wanted.principal, wanted.serial, time, envelope)
        new = _keys(wanted, index)
        if not new:
            raise Refused("NO_CHANGE")
        self._check_new(new, envelope)
        kinds = {key.kind for key in new.values()}
        old = {
            key.id: _ended(key, wanted.old_until) if key.kind in kinds else key
            for key in principal.keys.values()
        }
        return self._with(replace(principal, keys={**old, **new}, serial=wanted.serial))

    def revoke(self, log: str, index: int, time: datetime, envelope: Envelope) -> "Principals":
        """Return all, with keys of one, or it as a whole, revoked; raises as `enrol`."""
        wanted = parse_payload(KeyRevocation, envelope)
        _same_log(wanted.log, log)
        principal = self._changed(wanted.principal, wanted.serial, time, envelope)
        unknown = set(wanted.keys) - principal.keys.keys()
        if unknown or any(principal.keys[key].revoked is not None for key in wanted.keys):
            raise Refused("NO_SUCH_KEY")
        revoked = set(wanted.keys) or set(principal.keys)
        keys = {
            key.id: replace(key, revoked=index)
            if key.id in revoked and key.revoked is None
            else key
            for key in principal.keys.values()
        }
        whole = None if wanted.keys else index
        return self._with(replace(principal, keys=keys, serial=wanted.serial, revoked=whole))

    def _changed(self, uri: str, serial: int, time: datetime, envelope: Envelope) -> Principal:
        """Return the principal whose keys a document may change."""
        principal = self.by_uri.get(uri)
        if principal is None or principal.revoked is not None:
            raise Refused("NO_SUCH_PRINCIPAL")
        own = envelope.signers(principal.sign_keys(time))
        above = self._by_party_of(principal.role, principal.party, envelope, time)
        if not (own or above or self._by_admins(envelope)):
            raise Refused("NOT_SIGNED")
        if serial != principal.serial + 1:
            raise Refused("REPLAYED")
        return principal

    def _by_admins(self, envelope: Envelope) -> bool:
        return len(envelope.signers(self.admins)) >= self.threshold

    def _by_party_of(self, role: str, party: str, envelope: Envelope, time: datetime) -> bool:
        head = self.of_party(party) if role == "office" else None
        return head is not None and bool(envelope.signers(head.sign_keys(time)))

    def _check_new(self, keys: Mapping[str, Key], envelope: Envelope) -> None:
        if not keys.keys().isdisjoint(self.owners) or not keys.keys().isdisjoint(self.admins):
            raise Refused("KEY_IN_USE")
        # Whoever brings a signing key shows that it is theirs.
        new = {key.id: key.public for key in keys.values() if key.kind == "sign"}
        if envelope.signers(new) != new.keys():
            raise Refused("KEY_NOT_SHOWN")

    def _with(self, principal: Principal) -> "Principals":
        return replace(
            self,
            by_uri={**self.by_uri, principal.uri: principal},
            by_path={**self.by_path, principal.path: principal.uri},
            owners={**self.owners, **dict.fromkeys(principal.keys, principal.uri)},
        )


def principals_of(body: JsonObject | None) -> Principals:
    """Return the administrators that a genesis leaf names, with nobody enrolled.

    A genesis without any leaves a log in which nobody is ever enrolled.

    Raises:
        MalformedMessageError: the keys or their threshold are not what they have to be.
    """
    fields = body or {}
    admins, threshold = fields.get("admins", []), fields.get("threshold", 1)
    if not isinstance(admins, list) or len(admins) > MAX_ADMINS:
        raise MalformedMessageError(f"a genesis names at most {MAX_ADMINS} administrators")
    raw = [decode_base64(key) if isinstance(key, str) else b"" for key in admins]
    if any(len(key) != 32 for key in raw) or len(set(raw)) < len(raw):
        raise MalformedMessageError("an administrator is one Ed25519 key, each once")
    if type(threshold) is not int or not 1 <= threshold <= max(len(raw), 1):
        raise MalformedMessageError("the threshold is a number of administrators")
    return Principals({hashlib.sha256(key).hexdigest(): key for key in raw}, threshold)


def _same_log(found: str, log: str) -> None:
    if found != log:
        raise Refused("OTHER_LOG")


def _keys(wanted: Enrolment | KeyRotation, index: int) -> dict[str, Key]:
    found = [Key(digest, "tls", b"", index) for digest in wanted.tls_keys]
    public: tuple[tuple[Kind, bytes | None], ...] = (
        ("sign", decode_base64(wanted.sign_key) if wanted.sign_key else None),
        ("seal", decode_base64(wanted.seal_key) if wanted.seal_key else None),
        ("witness", _vkey_of(wanted.principal, wanted.witness_key)),
        ("witness-ml-dsa-44", _vkey_of(wanted.principal, wanted.witness_ml_dsa_key)),
    )
    found += [
        Key(hashlib.sha256(raw).hexdigest(), kind, raw, index)
        for kind, raw in public
        if raw is not None
    ]
    if len({key.id for key in found}) < len(found):
        raise Refused("KEY_IN_USE")
    return {key.id: key for key in found}


def _vkey_of(uri: str, vkey: str | None) -> bytes | None:
    """Return the verifier key of a witness, whose lines name it and nobody else."""
    if vkey is None:
        return None
    if parse_vkey(vkey).name != path_of(uri):
        raise Refused("KEY_OF_OTHER_NAME")
    return vkey.encode()


def _before(leaf: int | None, size: int) -> int | None:
    return leaf if leaf is not None and leaf < size else None


def _ended(key: Key, until: datetime) -> Key:
    return replace(key, until=until if key.until is None else min(key.until, until))
