"""Which agreements are in force: one part of the log's state.

A version counts from the leaf with which the signatures of all its parties are in the log; they
may come one by one, in several leaves. Until then it takes no id away from anybody, so that
nobody can register another's agreement before them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from keys.dsse import Envelope
from linkage.agreement.articles import Party
from linkage.agreement.envelope import agreement_in, signed_by
from linkage.agreement.model import Agreement, sign_keys
from linkage.agreement.payload import Hold, OfParty, Stop, Termination, parse_payload
from linkage.agreement.principals import Principals
from linkage.agreement.refusal import Refused
from linkage.log.entry import Entry

# One alone could keep what all others want forgotten.
_HOLDERS = 2


@dataclass(frozen=True)
class Version:
    """One document, and who has signed it.

    Attributes:
        agreement: what it says.
        digest: its SHA-256.
        leaf: the first leaf that has it.
        signed: parties whose signature counts, with the leaf that brought it.
        active: the leaf from which it was in force, if ever.
    """

    agreement: Agreement
    digest: str
    leaf: int
    signed: Mapping[str, int] = field(default_factory=dict)
    active: int | None = None


@dataclass(frozen=True)
class Standing:
    """An agreement that is or was in force.

    Attributes:
        version: the version in force.
        since: the leaf from which this version is.
        history: digests of all versions that ever were.
        terminated: the leaf that ended it.
        stopped: the leaf that stopped it, until it goes on.
        stoppers: principals who stopped it.
        stops: number of stops and resumptions.
        held: the leaf of a legal hold, until it ends.
        holders: principals who signed that it begins.
        holds: number of holds and ends of holds.
    """

    version: Version
    since: int
    history: tuple[str, ...]
    terminated: int | None = None
    stopped: int | None = None
    stoppers: frozenset[str] = frozenset()
    stops: int = 0
    held: int | None = None
    holders: frozenset[str] = frozenset()
    holds: int = 0

    @property
    def agreement(self) -> Agreement:
        """What is agreed."""
        return self.version.agreement


@dataclass(frozen=True)
class Agreements:
    """All agreements.

    Attributes:
        versions: every document by digest, in force or not.
        by_id: every agreement that is or was in force.
    """

    versions: Mapping[str, Version] = field(default_factory=dict)
    by_id: Mapping[str, Standing] = field(default_factory=dict)

    def get(self, agreement_id: str) -> Standing | None:
        """Return an agreement that is or was in force."""
        return self.by_id.get(agreement_id)

    def version_at(self, agreement_id: str, size: int) -> Version | None:
        """Return the version that was in force by the first entries of the log, if one was.

        Args:
            agreement_id: the agreement.
            size: how many entries.
        """
        standing = self.by_id.get(agreement_id)
        for digest in reversed(standing.history if standing is not None else ()):
            version = self.versions[digest]
            if version.active is not None and version.active < size:
                return version
        return None

    def signed(
        self, said: OfParty, log: str, entry: Entry, envelope: Envelope, principals: Principals
    ) -> Standing:
        """Return the agreement under which a party said something, and signed it alone.

        Also one that was stopped or has ended: what the parties owe persons does not end with it.

        Args:
            said: what it said.
            log: origin of the log.
            entry: the leaf that has it.
            envelope: what it signed.
            principals: who is enrolled.

        Raises:
            Refused: it does not count.
        """
        if said.log != log:
            raise Refused("OTHER_LOG")
        if said.agreement != entry.agreement:
            raise Refused("OTHER_AGREEMENT")
        standing = self.by_id.get(said.agreement)
        if standing is None:
            raise Refused("NOT_IN_FORCE")
        party = standing.agreement.by_id.get(said.party)
        if party is None:
            raise Refused("NOT_A_PARTY")
        if len(envelope.signatures) != 1 or not _by(
            party.principal, envelope, principals, entry.time
        ):
            raise Refused("NOT_SIGNED")
        return standing

    def is_for(self, agreement: str, party: str, index: int) -> bool:
        """Return whether what a leaf says to all parties of an agreement is for one, too.

        So is all before the leaf with which the party left, also from before it came.
        """
        standing = self.by_id.get(agreement)
        left: int | None = None
        for digest in reversed(standing.history if standing is not None else ()):
            version = self.versions[digest]
            if party in version.agreement.by_id:
                return left is None or index < left
            left = version.active
        return False

    def register(
        self,
        log: str,
        index: int,
        entry: Entry,
        envelope: Envelope,
        principals: Principals,
    ) -> "Agreements":
        """Return all, with the signatures of one document.

        Args:
            log: origin of the log.
            index: the leaf that has it.
            entry: the leaf itself.
            envelope: what it carries.
            principals: who is enrolled.

        Raises:
            MalformedMessageError: the envelope holds no agreement.
            Refused: it does not count.
        """
        agreement, time = agreement_in(envelope), entry.time
        if agreement.log != log:
            raise Refused("OTHER_LOG")
        if agreement.id != entry.agreement:
            raise Refused("OTHER_AGREEMENT")
        if (agreement.version == 1) != (entry.type == "agreement.register"):
            raise Refused("NOT_NEXT_VERSION")
        before = self._before(agreement)
        digest = agreement.digest()
        version = self.versions.get(digest) or Version(agreement, digest, index)
        signed = _signers(agreement, before, envelope, principals, time)
        if not signed:
            raise Refused("NOT_SIGNED")
        new = signed - version.signed.keys()
        if not new:
            raise Refused("REPLAYED")
        version = replace(version, signed={**version.signed, **dict.fromkeys(new, index)})
        if not version.signed.keys() >= _needed(agreement, before, principals):
            return self._with(version)
        # A signature given early counts only if its key was not revoked meanwhile.
        if not all(_stands(party, principals) for party in agreement.parties):
            raise Refused("SIGNER_REVOKED")
        version = replace(version, active=index)
        if before is None:
            standing = Standing(version, index, (digest,))
        else:
            standing = replace(
                before, version=version, since=index, history=(*before.history, digest)
            )
        return self._with(version, standing)

    def terminate(
        self, log: str, index: int, entry: Entry, envelope: Envelope, principals: Principals
    ) -> "Agreements":
        """Return all, with one at its end; raises as `register`."""
        wanted = parse_payload(Termination, envelope)
        standing = self._named(wanted, log, entry)
        if not party_signers(standing.agreement, envelope, principals, entry.time):
            raise Refused("NOT_SIGNED")
        return self._with(standing.version, replace(standing, terminated=index))

    def stop(
        self, log: str, index: int, entry: Entry, envelope: Envelope, principals: Principals
    ) -> "Agreements":
        """Return all, with one stopped, or going on; raises as `register`."""
        wanted = parse_payload(Stop, envelope)
        standing = self._named(wanted, log, entry)
        agreement = standing.agreement
        signed = _with_auditors(agreement, envelope, principals, entry.time)
        everybody = {party.principal for party in agreement.parties}
        enough = bool(signed) if wanted.stopped else signed >= everybody | standing.stoppers
        if not enough:
            raise Refused("NOT_SIGNED")
        if wanted.serial != standing.stops + 1:
            raise Refused("REPLAYED")
        if not wanted.stopped and standing.stopped is None:
            raise Refused("NO_CHANGE")
        changed = replace(
            standing,
            stopped=index if wanted.stopped else None,
            stoppers=standing.stoppers | signed if wanted.stopped else frozenset(),
            stops=wanted.serial,
        )
        return self._with(standing.version, changed)

    def hold(
        self, log: str, index: int, entry: Entry, envelope: Envelope, principals: Principals
    ) -> "Agreements":
        """Return all, with one held, or not any more; raises as `register`."""
        wanted = parse_payload(Hold, envelope)
        standing = self._named(wanted, log, entry, ended=True)
        signed = _with_auditors(standing.agreement, envelope, principals, entry.time)
        enough = len(signed) >= _HOLDERS if wanted.held else signed >= standing.holders
        if not enough:
            raise Refused("NOT_SIGNED")
        if wanted.serial != standing.holds + 1:
            raise Refused("REPLAYED")
        if wanted.held == (standing.held is not None):
            raise Refused("NO_CHANGE")
        changed = replace(
            standing,
            held=index if wanted.held else None,
            holders=signed if wanted.held else frozenset(),
            holds=wanted.serial,
        )
        return self._with(standing.version, changed)

    def _before(self, agreement: Agreement) -> Standing | None:
        """Return what an amendment follows; None for a first version."""
        standing = self.by_id.get(agreement.id)
        if agreement.version == 1:
            if standing is not None and standing.version.digest != agreement.digest():
                raise Refused("ID_TAKEN")
            return None
        if standing is None or standing.terminated is not None:
            raise Refused("NOT_IN_FORCE")
        if standing.version.digest == agreement.digest():
            raise Refused("REPLAYED")
        follows = (standing.version.digest, standing.agreement.version + 1)
        if follows != (agreement.supersedes, agreement.version):
            raise Refused("NOT_NEXT_VERSION")
        return standing

    def _named(
        self, wanted: Termination | Stop | Hold, log: str, entry: Entry, *, ended: bool = False
    ) -> Standing:
        if wanted.log != log:
            raise Refused("OTHER_LOG")
        if wanted.agreement != entry.agreement:
            raise Refused("OTHER_AGREEMENT")
        standing = self.by_id.get(wanted.agreement)
        if standing is None or wanted.digest not in standing.history:
            raise Refused("NOT_IN_FORCE")
        if standing.terminated is not None and not ended:
            raise Refused("NO_CHANGE")
        return standing

    def _with(self, version: Version, standing: Standing | None = None) -> "Agreements":
        versions = {**self.versions, version.digest: version}
        if standing is None:
            return replace(self, versions=versions)
        return Agreements(versions, {**self.by_id, version.agreement.id: standing})


def _signers(
    agreement: Agreement,
    before: Standing | None,
    envelope: Envelope,
    principals: Principals,
    time: datetime,
) -> frozenset[str]:
    """Return the parties, of this version and of the one before, whose signature counts."""
    listed = frozenset(
        party.id
        for party in signed_by(agreement, envelope)
        if _enrolled_key(party, principals, time)
    )
    leaving = frozenset(
        party.id
        for party in (before.agreement.parties if before else ())
        if party.id not in agreement.by_id and _by(party.principal, envelope, principals, time)
    )
    return listed | leaving


def _needed(
    agreement: Agreement, before: Standing | None, principals: Principals
) -> frozenset[str]:
    """Return who signs: all parties, and those left out, but for who is enrolled no more."""
    old = before.agreement.parties if before else ()
    known = ((party.id, principals.get(party.principal)) for party in old)
    live = {name for name, principal in known if principal and principal.revoked is None}
    return frozenset(agreement.by_id) | live


def _enrolled_key(party: Party, principals: Principals, time: datetime) -> bool:
    """Whether the first key that an agreement lists is the party's own in the log."""
    principal = principals.get(party.principal)
    return principal is not None and next(iter(sign_keys(party))) in principal.sign_keys(time)


def _stands(party: Party, principals: Principals) -> bool:
    principal = principals.get(party.principal)
    key = principal.keys.get(next(iter(sign_keys(party)))) if principal else None
    return (
        principal is not None
        and principal.revoked is None
        and key is not None
        and key.revoked is None
    )


def _by(uri: str, envelope: Envelope, principals: Principals, time: datetime) -> bool:
    principal = principals.get(uri)
    return principal is not None and bool(envelope.signers(principal.sign_keys(time)))


def _with_auditors(
    agreement: Agreement, envelope: Envelope, principals: Principals, time: datetime
) -> frozenset[str]:
    """Return the principals of those parties and named auditors whose signature counts."""
    return party_signers(agreement, envelope, principals, time) | frozenset(
        uri for uri in agreement.audit.auditors if _by(uri, envelope, principals, time)
    )


def party_signers(
    agreement: Agreement, envelope: Envelope, principals: Principals, time: datetime
) -> frozenset[str]:
    """Return the principals of those parties of an agreement whose signature counts."""
    return frozenset(
        party.principal
        for party in agreement.parties
        if _by(party.principal, envelope, principals, time)
    )
