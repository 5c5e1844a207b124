"""The scope of an incident: what a key, a certificate or an artefact touched.

Asked once something has come into other hands (UU 27/2022 article 46). The log tells the jobs,
uploads, documents and parties; how many records each party uploaded in them, and which, the parties
can tell (`padan agent trail --all --job`). What an attacker did without the log it cannot tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from linkage.agreement.jobs import JobRecord, party_of, signers_in
from linkage.agreement.state import replay
from linkage.audit.verify import Contents
from linkage.log.entry import Entry


@dataclass(frozen=True)
class KeyOwner:
    """Whose a key is.

    Args:
        principal: identity of its owner; "" for an administrator.
        kind: what it is for: tls, sign, seal, witness, admin.
        since: the leaf that brought it.
        until: when it stopped to count, as another took its place.
        revoked: the leaf that revoked it.
    """

    principal: str
    kind: str
    since: int
    until: datetime | None
    revoked: int | None


@dataclass(frozen=True)
class Touched:
    """A leaf that something touched.

    Args:
        leaf: its index.
        type: its type.
        time: its time.
        actor: who caused it.
        agreement: the agreement that it belongs to.
    """

    leaf: int
    type: str
    time: datetime
    actor: str
    agreement: str | None


@dataclass(frozen=True)
class Batch:
    """An upload that something touched.

    Args:
        batch: its id.
        party: who uploaded it.
        records: how many records it has.
        leaf: its index.
        job: the job it was for; "" for a register.
        agreement: under which agreement.
    """

    batch: str
    party: str
    records: int
    leaf: int
    job: str
    agreement: str


@dataclass(frozen=True)
class Scope:
    """What something touched.

    Args:
        what: key (SHA-256), job, batch, manifest, gate, result, schema or version of an agreement.
        owner: whose key it is, if it is one.
        first: time of the first leaf; None if nothing was touched.
        last: of the last.
        jobs: ids of jobs.
        agreements: of all of it.
        batches: uploads.
        records: by party, how many records those have.
        leaves: documents, requests and steps.
    """

    what: str
    owner: KeyOwner | None
    first: datetime | None
    last: datetime | None
    jobs: tuple[str, ...]
    agreements: tuple[str, ...]
    batches: tuple[Batch, ...]
    records: dict[str, int]
    leaves: tuple[Touched, ...]


def scope_of(contents: Contents, jobs: Sequence[JobRecord], what: str) -> Scope:
    """Return what a key, certificate key or artefact touched.

    Args:
        contents: of a bundle that was verified.
        jobs: its jobs.
        what: see `Scope`.
    """
    touched = [job for job in jobs if _touches(job, what)]
    names = {job.job for job in touched}
    leaves = {index for job in touched for index in job.leaves}
    batches: list[Batch] = []
    for index, entry in enumerate(contents.entries):
        body = contents.bodies.get(index) or entry.body or {}
        envelope = body.get("env") or body.get("request")
        if what in signers_in(envelope) or what in (body.get("key"), body.get("batch")):
            leaves.add(index)
        upload = _batch(index, entry, body.get("batch"), body.get("job"), body.get("n_records"))
        hit = upload is not None and (
            upload.job in names if upload.job else what in (upload.batch, body.get("manifest"))
        )
        if upload is not None and hit:
            batches.append(upload)
            leaves.add(index)
    found = [_touched(contents, index) for index in sorted(leaves)]
    records: dict[str, int] = {}
    for one in batches:
        records[one.party] = records.get(one.party, 0) + one.records
    return Scope(
        what,
        _owner(contents, what),
        found[0].time if found else None,
        found[-1].time if found else None,
        tuple(job.job for job in touched),
        tuple(sorted({one.agreement for one in found if one.agreement is not None})),
        tuple(batches),
        records,
        tuple(found),
    )


def _touches(job: JobRecord, what: str) -> bool:
    named = {job.job, job.schema_id, job.version, *job.keys.values(), *job.batches.values()}
    return what in named | job.digests | job.signers


def _batch(index: int, entry: Entry, batch: object, job: object, records: object) -> Batch | None:
    if entry.type != "batch" or not isinstance(batch, str):
        return None
    return Batch(
        batch,
        party_of(entry.actor),
        records if isinstance(records, int) else 0,
        index,
        job if isinstance(job, str) else "",
        entry.agreement or "",
    )


def _touched(contents: Contents, index: int) -> Touched:
    entry = contents.entries[index]
    return Touched(index, entry.type, entry.time, entry.actor, entry.agreement)


def _owner(contents: Contents, what: str) -> KeyOwner | None:
    principals = replay(contents.entries, contents.bodies).principals
    if what in principals.admins:
        return KeyOwner("", "admin", 0, None, None)
    for principal in principals.by_uri.values():
        key = principal.keys.get(what)
        if key is not None:
            revoked = key.revoked if key.revoked is not None else principal.revoked
            return KeyOwner(principal.uri, key.kind, key.since, key.until, revoked)
    return None
