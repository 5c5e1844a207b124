"""The replay: every decision that the log records, made again from the log alone.

Whether a job was allowed is no matter of trust: the log has what was asked, signed by who
asked, and what was decided; `linkage.agreement.decide` is a pure function of the two, so an
auditor can ask it again. What is found here was logged by a matcher that broke the rules, or
has other rules. It takes the leaves of a bundle that `verify` found whole.

What bodies have to carry for this, besides `job`:

    job.request              spec, key, request (the signed envelope)
    job.authorise|deny       code, rules
    job.admit|refuse         manifest, n_records, gate, key, request, code, rules
    job.plan                 code, rules
    job.failed|cancelled     code, and rules where a decision ended the job
    job.refusals             minute, codes: how many requests of a flood were refused, by code
    lookup.grant             env
    lookup.minute            see `audit.lookups`
    destruction              rule, expired, datasets

A `job.refuse` without `job` is of a request that did not count, from which nothing followed, and a
`batch` without it of a register. A leaf with a decision names the leaves that it rests on. A
`result` stands for the decision that every party may have its part: it is made again, and has to
allow. So is one for the lookups of a minute under each grant.
"""

import datetime
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from keys.dsse import Envelope, envelope_in
from keys.errors import KeysError
from linkage.agreement.decide import decide
from linkage.agreement.decision import Action, Decision, Flow, Request, flows_of, released_to
from linkage.agreement.denial import DENIALS
from linkage.agreement.grants import asked_for, grant_in
from linkage.agreement.payload import LookupGrant, envelope_of
from linkage.agreement.principals import Principal
from linkage.agreement.refusal import Rejected
from linkage.agreement.request import SignedRequest, check_request
from linkage.agreement.state import State
from linkage.audit.lookups import LookupReplay
from linkage.audit.verdict import Finding
from linkage.audit.verify import Contents
from linkage.errors import DeniedError, MalformedMessageError
from linkage.job import REQUEST_METHOD
from linkage.log.canonical import JsonObject, format_json
from linkage.log.entry import Entry
from linkage.log.tree import History

OK = "OK"
BODY_MISSING = "BODY_MISSING"
REQUEST_INVALID = "REQUEST_INVALID"
NOT_AUTHORISED = "NOT_AUTHORISED"
DECISION_DIFFERS = "DECISION_DIFFERS"
DESTROYED_UNDER_HOLD = "DESTROYED_UNDER_HOLD"
DESTROYED_TOO_EARLY = "DESTROYED_TOO_EARLY"
DESTROYED_TWICE = "DESTROYED_TWICE"
DESTRUCTION_INVALID = "DESTRUCTION_INVALID"

MEANING = {
    OK: "every decision in the log follows from the log",
    BODY_MISSING: "the body of a leaf is not there: what it records cannot be decided again",
    REQUEST_INVALID: "a request is not what its caller signed, or nobody entitled signed it",
    NOT_AUTHORISED: "a step of a job that was not authorised before it",
    DECISION_DIFFERS: "the rules give another answer than the one that was logged",
    DESTROYED_UNDER_HOLD: "what a legal hold kept was destroyed",
    DESTROYED_TOO_EARLY: "something was destroyed before its last day was over",
    DESTROYED_TWICE: "a dataset has two records of its destruction",
    DESTRUCTION_INVALID: "a record of a destruction that does not say what went by which rule",
}

_OPEN_BATCH = "/linkage.v1.BatchService/OpenBatch"
_MADE_AGAIN = "sealed"
_RULES = ("TIME_OVER", "HOLD_ENDED")
# Leaves of a job that only an authorised one can have.
_STEPS = frozenset({"job.admit", "job.refuse", "job.plan", "batch", "refine", "result", "release"})


class _Unusable(Exception):  # noqa: N818 - never leaves this module
    """A body that does not carry what its leaf needs, or a request that does not hold."""


class _Upload(NamedTuple):
    actor: str
    key: str


@dataclass
class _Job:
    """What the log said of one job so far."""

    spec: Mapping[str, Any]
    actor: str
    key: str
    decision: Decision
    authorised: bool = False
    uploads: dict[str, _Upload] = field(default_factory=dict)


@dataclass(frozen=True)
class ReplayReport:
    """The outcome of a replay.

    Args:
        verdict: `OK`, or the code of the first finding.
        decisions: how many were made again.
        jobs: how many were asked for, by the code of the decision.
        flooded: refusals that share a leaf, by code.
        findings: in the order of the log.
        rejected: documents that were logged and changed nothing, with the reason.
    """

    verdict: str
    decisions: int
    jobs: dict[str, int]
    flooded: dict[str, int]
    findings: list[Finding]
    rejected: list[Rejected]


def replay_decisions(contents: Contents) -> ReplayReport:
    """Make every decision of a log again.

    Args:
        contents: of a bundle that was verified; with the bodies of all confidential leaves.
    """
    run = Replay()
    for index, (entry, leaf) in enumerate(zip(contents.entries, contents.leaf_hashes, strict=True)):
        run.add(entry, leaf, contents.bodies.get(index), contents.requests.get(index))
    return run.report()


class Replay:
    """One run over one log; the state is always the one before the leaf that is looked at."""

    def __init__(self) -> None:
        self._state = State()
        self._history = History()
        self._jobs: dict[str, _Job] = {}
        self._asked: dict[str, int] = {}
        self._flooded: dict[str, int] = {}
        self._n_decisions = 0
        self._findings: list[Finding] = []
        self._lookups = LookupReplay()
        self._destroyed: set[str] = set()
        # That of the leaf that is looked at, where its signatures were checked before.
        self._request_at_hand: Envelope | None = None

    def add(
        self, entry: Entry, leaf: bytes, body: JsonObject | None, request: Envelope | None = None
    ) -> list[Finding]:
        """Take the next entry, and return what is wrong with it.

        Args:
            entry: the entry.
            leaf: the hash of its leaf.
            body: of a confidential leaf, what it committed to, which has been checked; None
                where it is not at hand.
            request: the signed request in the body, if its signatures were checked before.
        """
        index, before = self._state.size, len(self._findings)
        self._request_at_hand = request
        if entry.commitment is not None:
            self._look_at(index, entry, body)
        self._state = self._state.after(index, entry, body)
        if "env" in ((entry.body if body is None else body) or ()):
            self._lookups.moved(entry.time, self._state)
        self._history.append(leaf)
        return self._findings[before:]

    def report(self) -> ReplayReport:
        """Return the outcome so far."""
        code = self._findings[0].code if self._findings else OK
        rejected = list(self._state.rejected)
        return ReplayReport(
            code, self._n_decisions, self._asked, self._flooded, self._findings, rejected
        )

    def _add(self, code: str, index: int, text: str) -> None:
        self._findings.append(Finding(code, f"leaf {index}: {text}"))

    def _look_at(self, index: int, entry: Entry, body: JsonObject | None) -> None:
        if body is None:
            self._add(BODY_MISSING, index, f"the body of this {entry.type} is not in the bundle")
            return
        try:
            if entry.type == "job.request":
                self._jobs[_text(body, "job")] = self._request(entry, body)
            elif entry.type in ("job.authorise", "job.deny"):
                self._decided(index, entry, body)
            elif entry.type == "lookup.grant":
                self._granted(index, entry, body)
            elif entry.type == "lookup.minute":
                self._looked_up(index, entry, body)
            elif entry.type == "destruction":
                self._check_destroyed(index, entry, body)
            elif entry.type == "job.refusals":
                self._flood(body)
            elif entry.type in ("job.failed", "job.cancelled") and "rules" in body:
                self._stopped(index, entry, body)
            elif entry.type in _STEPS and not _is_of_no_job(entry, body):
                self._step(index, entry, body)
        except (_Unusable, MalformedMessageError) as error:
            self._add(REQUEST_INVALID, index, str(error))

    def _request(self, entry: Entry, body: JsonObject) -> _Job:
        """Decide on a request for a job; the leaf with the logged answer comes after it."""
        spec = body.get("spec")
        if not isinstance(spec, Mapping):
            raise _Unusable("a request for a job without spec")
        caller, signed = self._signed(entry, body, REQUEST_METHOD, format_json(spec))
        key = _text(body, "key")
        asked = _of_spec("submit", spec, caller.uri, key, entry)
        _check_same(asked, signed)
        asked = replace(asked, flows=_flows(spec))
        return _Job(spec, caller.uri, key, decide(self._state, self._seen(asked, signed)))

    def _decided(self, index: int, entry: Entry, body: JsonObject) -> None:
        job = self._jobs.get(_text(body, "job"))
        if job is None:
            self._add(NOT_AUTHORISED, index, "a decision on a job that nobody validly asked for")
            return
        job.authorised = entry.type == "job.authorise"
        self._asked[job.decision.code] = self._asked.get(job.decision.code, 0) + 1
        self._compare(index, entry, body, job.decision, allowed=job.authorised)

    def _step(self, index: int, entry: Entry, body: JsonObject) -> None:
        name = _text(body, "job")
        job = self._jobs.get(name)
        if job is None or not job.authorised:
            self._add(NOT_AUTHORISED, index, f"{entry.type} of job {name}, which is not authorised")
        elif entry.type in ("job.admit", "job.refuse"):
            self._uploaded(index, entry, body, job)
        elif entry.type == "job.plan":
            asked = _of_spec("start", job.spec, job.actor, job.key, entry)
            decision = decide(self._state, replace(asked, flows=_flows(job.spec)))
            self._compare(index, entry, body, decision, allowed=True)
        elif entry.type in ("result", "release"):
            self._released(index, entry, job)

    def _flood(self, body: JsonObject) -> None:
        """Count what was refused of a flood: nothing followed from it."""
        codes = body.get("codes")
        if not isinstance(codes, Mapping) or not codes:
            raise _Unusable("refusals of a minute without their codes")
        for code, number in codes.items():
            if code not in DENIALS or type(number) is not int or number < 1:
                raise _Unusable("refusals of a minute that are not counts by code")
            self._flooded[code] = self._flooded.get(code, 0) + number

    def _stopped(self, index: int, entry: Entry, body: JsonObject) -> None:
        """Decide again that a job may not go on, or that a party may not have its result."""
        job = self._jobs.get(_text(body, "job"))
        if job is None or not job.authorised:
            self._add(NOT_AUTHORISED, index, f"{entry.type} of a job that is not authorised")
            return
        asked = _of_spec("start", job.spec, job.actor, job.key, entry)
        asks = [replace(asked, flows=_flows(job.spec))]
        for party, upload in job.uploads.items():
            flows = released_to(_flows(job.spec), party)
            asked = _of_spec("release", job.spec, *upload, entry)
            asks.append(replace(asked, flows=flows, requester=job.actor))
        decisions = [decide(self._state, one) for one in asks]
        logged = _text(body, "code"), _texts(body, "rules")
        same = [
            one
            for one in decisions
            if (one.code, list(one.rules)) == logged and set(one.leaves).issubset(entry.ref)
        ]
        self._compare(index, entry, body, (same or decisions)[0], allowed=False)

    def _uploaded(self, index: int, entry: Entry, body: JsonObject, job: _Job) -> None:
        manifest, n_records = _text(body, "manifest"), body.get("n_records")
        if not isinstance(n_records, int):
            raise _Unusable("an upload without number of records")
        try:
            signed_body = _text(body, "job").encode() + bytes.fromhex(manifest)
        except ValueError as error:
            raise _Unusable("an upload without digest of its manifest") from error
        caller, signed = self._signed(entry, body, _OPEN_BATCH, signed_body)
        key = _text(body, "key")
        asked = _of_spec("upload", job.spec, caller.uri, key, entry)
        _check_same(asked, signed)
        gate = _text(body, "gate")
        asked = replace(asked, requester=job.actor, n_records=n_records, gate=gate)
        decision = decide(self._state, self._seen(asked, signed))
        allowed = entry.type == "job.admit"
        self._compare(index, entry, body, decision, allowed=allowed)
        if allowed:
            job.uploads[caller.party] = _Upload(caller.uri, key)

    def _released(self, index: int, entry: Entry, job: _Job) -> None:
        """Check that everybody who is told something of the result might be."""
        for party in _of_spec("release", job.spec, "", "", entry).parties:
            upload = job.uploads.get(party)
            if upload is None:
                self._add(NOT_AUTHORISED, index, f"a result without an upload of {party}")
                continue
            asked = _of_spec("release", job.spec, *upload, entry)
            flows = released_to(_flows(job.spec), party)
            if not flows:
                continue
            asked = replace(asked, flows=flows, requester=job.actor)
            decision = decide(self._state, asked)
            self._n_decisions += 1
            if not decision.allowed:
                text = f"a result for {party}, and the rules give {decision.code}"
                self._add(DECISION_DIFFERS, index, text)

    def _granted(self, index: int, entry: Entry, body: JsonObject) -> None:
        """Check that a grant might be given; whether it is signed is the state's question."""
        wanted = grant_in(envelope_of(body))
        if not isinstance(wanted, LookupGrant):
            return
        standing = self._state.agreements.get(wanted.agreement)
        decision = decide(self._state, asked_for(wanted, standing, entry.time))
        self._n_decisions += 1
        if not decision.allowed:
            text = f"a grant of lookups, and the rules give {decision.code}"
            self._add(DECISION_DIFFERS, index, text)

    def _looked_up(self, index: int, entry: Entry, body: JsonObject) -> None:
        """Check that the lookups of a minute were under grants that served in it."""
        self._n_decisions += 1
        for problem in self._lookups.problems(entry.agreement or "", body):
            self._add(DECISION_DIFFERS, index, problem)

    def _check_destroyed(self, index: int, entry: Entry, body: JsonObject) -> None:
        """Check that what was destroyed had reached its end, and was not held."""
        self._n_decisions += 1
        try:
            days = [datetime.date.fromisoformat(day) for day in _texts(body, "expired")]
            names = _datasets(body)
            _text(body, "rule")
        except (_Unusable, ValueError) as error:
            self._add(DESTRUCTION_INVALID, index, f"a destruction: {error}")
            return
        if body["rule"] not in _RULES or not days:
            self._add(DESTRUCTION_INVALID, index, f"a destruction by rule {body['rule']}")
        standing = self._state.agreements.get(entry.agreement or "")
        if standing is not None and standing.held is not None:
            self._add(DESTROYED_UNDER_HOLD, index, f"of {entry.agreement}, which is held")
        today = entry.time.astimezone(datetime.UTC).date()
        if days and today <= max(days):
            self._add(DESTROYED_TOO_EARLY, index, f"what was to be kept until {max(days)}")
        for name in sorted(name for name, n in Counter(names).items() if n > 1):
            self._add(DESTROYED_TWICE, index, f"dataset {name}, twice in one record")
        for name in sorted(self._destroyed.intersection(names)):
            self._add(DESTROYED_TWICE, index, f"dataset {name}, which an earlier record names")
        self._destroyed.update(names)

    def _compare(
        self, index: int, entry: Entry, body: JsonObject, decision: Decision, *, allowed: bool
    ) -> None:
        """Hold a logged decision against the one that the rules give."""
        self._n_decisions += 1
        logged = body.get("code"), tuple(_texts(body, "rules")), allowed
        given = decision.code, decision.rules, decision.allowed
        if logged != given or not set(decision.leaves).issubset(entry.ref):
            what = f"{entry.type} of job {_text(body, 'job')}"
            rules = f"rule {decision.rules[-1]}" if decision.rules else "no rule"
            self._add(
                DECISION_DIFFERS, index,
                f"{what} with code {logged[0]}, and the rules give {decision.code} ({rules})",
            )  # fmt: skip

    def _signed(
        self, entry: Entry, body: JsonObject, method: str, content: bytes
    ) -> tuple[Principal, SignedRequest]:
        """Return who signed the request in a body, and what."""
        known = self._state.principals.by_uri.values()
        caller = next((one for one in known if one.path == entry.actor), None)
        if caller is None:
            raise _Unusable(f"{entry.actor} is not enrolled")
        try:
            envelope = self._request_at_hand or envelope_in(body.get("request"))
            signed = check_request(envelope, caller, self._state.log, method, content, entry.time)
        except (KeysError, MalformedMessageError) as error:
            raise _Unusable(f"a request that is not signed: {error}") from error
        except DeniedError as error:
            raise _Unusable(f"a request that does not count: {error.code}") from error
        return caller, signed

    def _seen(self, asked: Request, signed: SignedRequest) -> Request:
        size, root = signed.seen.size, signed.seen.root
        known = self._history.root_at(size).hex() if size <= self._history.size else ""
        return replace(asked, seen_size=size, seen_root=root, log_root=known)


def _datasets(body: JsonObject) -> list[str]:
    """Return the names of the datasets in the record of a destruction that exist once."""
    classes = body.get("datasets")
    if not isinstance(classes, dict):
        raise _Unusable("a body without datasets")
    # That of an epoch's key exchange is made again when a party sends one after its end.
    return [name for kind in classes for name in _texts(classes, kind) if kind != _MADE_AGAIN]


def _is_of_no_job(entry: Entry, body: JsonObject) -> bool:
    """Return whether a leaf is of a request that did not count, or of a register for lookups."""
    return "job" not in body and (
        entry.type == "job.refuse" or (entry.type == "batch" and "register" in body)
    )


def _of_spec(
    action: Action, spec: Mapping[str, Any], actor: str, key: str, entry: Entry
) -> Request:
    """Return the request for which a job's spec stands."""
    try:
        refinement = spec["refinement"]
        return Request(
            action=action,
            actor=actor,
            key=key,
            time=entry.time,
            agreement=str(spec["agreement_id"]),
            digest=str(spec["agreement_sha256"]),
            epoch=int(spec["codes"]["epoch"]),
            schema_id=str(spec["codes"]["schema_id"]),
            purpose=str(spec["purpose"]),
            parties=tuple(str(party) for party in spec["parties"]),
            attributes=tuple((str(name), str(element)) for name, element in spec["attributes"]),
            candidates=int(refinement["candidates"]) if refinement else 0,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _Unusable("a spec that is none") from error


def _check_same(asked: Request, signed: SignedRequest) -> None:
    if (signed.agreement, signed.epoch) != (asked.digest, asked.epoch):
        raise _Unusable("a request that was signed for another agreement or epoch")


def _flows(spec: Mapping[str, Any]) -> tuple[Flow, ...]:
    try:
        return flows_of((str(a), str(b), str(level)) for a, b, level in spec["results"])
    except (KeyError, TypeError, ValueError, MalformedMessageError) as error:
        raise _Unusable("a spec that does not say who is told what") from error


def _text(body: JsonObject, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise _Unusable(f"a body without {name}")
    return value


def _texts(body: JsonObject, name: str) -> list[str]:
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _Unusable(f"a body without {name}")
    return value
