"""What a log says of its jobs, put together from their leaves.

For auditors, who have all bodies, and for parties, who have those of their own jobs. Bodies that
are not there are passed over, and so are those that are not what the matcher writes; whether what
the log says was allowed is for the replay to say.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from linkage.agreement.denial import ALLOWED
from linkage.log.canonical import Json, JsonObject
from linkage.log.entry import Entry

UNDECIDED = ""
"""The outcome of a job that was asked for and not decided."""
_ENDS = frozenset({"job.failed", "job.expired", "job.cancelled"})


# Source, recipient, level.
_RESULT = 3


@dataclass(frozen=True)
class JobRecord:
    """What the log says of one job.

    Args:
        job: its id.
        agreement: the agreement that it names.
        version: digest of the version that it names.
        purpose: the purpose code that it names.
        epoch: of the linkage key; 0 where it names none.
        schema_id: digest of the linkage schema.
        requester: who asked, as `party/x` or `office/x/y`.
        asked: when.
        parties: whose records were to be compared.
        attributes: names of what was to be compared.
        results: who was to be told what, such as `dukcapil -> imigrasi (R2)`.
        outcome: code of the decision.
        records: by party, how many it uploaded.
        batches: by party, the id of its batch.
        digests: of manifests, gate results and results, in hexadecimal.
        comparisons: how many were planned.
        released: when the result was.
        ended: code under which it ended without a release; "" if it did not.
        keys: by caller, the key of the certificate that it used (SHA-256 of its SPKI).
        signers: ids of the keys that signed its requests (SHA-256 of the public key).
        leaves: indexes of all its leaves.
    """

    job: str
    agreement: str
    version: str
    purpose: str
    epoch: int
    schema_id: str
    requester: str
    asked: datetime
    parties: tuple[str, ...]
    attributes: tuple[str, ...]
    results: tuple[str, ...] = ()
    outcome: str = UNDECIDED
    records: Mapping[str, int] = field(default_factory=dict)
    batches: Mapping[str, str] = field(default_factory=dict)
    digests: frozenset[str] = frozenset()
    comparisons: int | None = None
    released: datetime | None = None
    ended: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    signers: frozenset[str] = frozenset()
    leaves: tuple[int, ...] = ()

    @property
    def over(self) -> bool:
        """Whether nothing more is done for it: it was denied, has ended, or was released."""
        denied = self.outcome not in (UNDECIDED, ALLOWED)
        return denied or self.ended != "" or self.released is not None

    def after(self, index: int, entry: Entry, body: JsonObject) -> "JobRecord":
        """Return what is known with one leaf of the job more."""
        changes: dict[str, Any] = {"leaves": (*self.leaves, index)}
        if entry.type in ("job.authorise", "job.deny"):
            changes["outcome"] = _text(body, "code")
        elif entry.type == "batch":
            party = party_of(entry.actor)
            changes["records"] = {**self.records, party: _number(body.get("n_records"))}
            changes["batches"] = {**self.batches, party: _text(body, "batch")}
        elif entry.type == "job.plan":
            changes["comparisons"] = _number(body.get("comparisons"))
        elif entry.type == "release":
            changes["released"] = entry.time
        elif entry.type in _ENDS:
            changes["ended"] = _text(body, "code")
        if "key" in body:
            changes["keys"] = {**self.keys, entry.actor: _text(body, "key")}
        changes["digests"] = self.digests.union(_digests(body))
        changes["signers"] = self.signers.union(signers_in(body.get("request")))
        return replace(self, **changes)


def read_jobs(entries: Sequence[Entry], bodies: Mapping[int, JsonObject]) -> list[JobRecord]:
    """Return what a log says of its jobs, in the order in which they were asked for.

    Args:
        entries: in the order of the log.
        bodies: of confidential leaves, by index, each checked against its commitment.
    """
    jobs: dict[str, JobRecord] = {}
    for index, entry in enumerate(entries):
        body = bodies.get(index)
        name = body.get("job") if body is not None else None
        if body is None or not isinstance(name, str):
            continue
        if entry.type == "job.request" and name not in jobs:
            jobs[name] = _asked(name, entry, body)
        if name in jobs:
            jobs[name] = jobs[name].after(index, entry, body)
    return list(jobs.values())


def party_of(actor: str) -> str:
    """Return the party of `party/x` or `office/x/y`; the actor itself where it is neither."""
    return actor.split("/")[1] if "/" in actor else actor


def signers_in(envelope: Json) -> Iterator[str]:
    """Yield the ids of the keys that signed an envelope, as its JSON has them."""
    for signature in _list(_object(envelope).get("signatures")):
        yield _text(_object(signature), "keyid")


def _asked(name: str, entry: Entry, body: JsonObject) -> JobRecord:
    spec = _object(body.get("spec"))
    codes = _object(spec.get("codes"))
    return JobRecord(
        job=name,
        agreement=entry.agreement or "",
        version=_text(spec, "agreement_sha256"),
        purpose=_text(spec, "purpose"),
        epoch=_number(codes.get("epoch")),
        schema_id=_text(codes, "schema_id"),
        requester=entry.actor,
        asked=entry.time,
        parties=_names(spec.get("parties")),
        attributes=tuple(one[0] for one in map(_names, _list(spec.get("attributes"))) if one),
        results=tuple(
            f"{one[0]} -> {one[1]} ({one[2]})"
            for one in map(_names, _list(spec.get("results")))
            if len(one) == _RESULT
        ),
    )


def _digests(body: JsonObject) -> Iterator[str]:
    """Yield what names an artefact in a body: manifest, gate, results."""
    for name in ("manifest", "gate"):
        if text := _text(body, name):
            yield text
    yield from (one for one in _object(body.get("results")).values() if isinstance(one, str))


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _list(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else []


def _names(value: Json) -> tuple[str, ...]:
    return tuple(one for one in _list(value) if isinstance(one, str))


def _text(body: JsonObject, name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _number(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
