"""Who asked for a job: by the own copy of the log, and never by the matcher's word alone.

The matcher tells agents of jobs. What it tells counts as far as the log has a request for it that
the requester signed, over the same terms, and for no other job: else a matcher could make up
jobs in anybody's name, or let an office ask that may not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from keys.dsse import envelope_in
from keys.errors import KeysError
from linkage.agreement.principals import Principal
from linkage.agreement.request import check_request, request_digest
from linkage.agreement.state import State
from linkage.errors import DeniedError, MalformedMessageError
from linkage.job import REQUEST_METHOD, Job
from linkage.log.canonical import JsonObject, format_json
from linkage.log.entry import Entry


def as_asked(
    job: Job, entries: Sequence[Entry], bodies: Mapping[int, JsonObject], state: State
) -> Job | None:
    """Return a job with its requester and office as the log has them; None if it has no request.

    Args:
        job: as the matcher tells it.
        entries: all of the own copy of the log.
        bodies: of confidential entries, by index, as far as they are there.
        state: what the log says.

    Raises:
        DeniedError: the request is of nobody who signed it, of other terms, or of another job.
    """
    # Of each actor, what it signed for other jobs.
    used = set[tuple[str, bytes]]()
    for index, entry in enumerate(entries):
        body = bodies.get(index, {})
        if entry.type != "job.request" or not body:
            continue
        if body.get("job") == job.job_id:
            signed, caller = _checked(job, index, entry, body, state)
            if (entry.actor, signed) in used:
                raise _refused(job, f"the request of {entry.actor} was for another job")
            return replace(job, requester=caller.party, office=caller.office)
        used.add((entry.actor, _digest(body)))
    return None


def _checked(
    job: Job, index: int, entry: Entry, body: JsonObject, state: State
) -> tuple[bytes, Principal]:
    """Return what stands for the request in a leaf, and who signed it."""
    uri = state.principals.by_path.get(entry.actor, "")
    known = state.principals.get(uri)
    # As the log had it then: what was revoked later has asked.
    caller = known.at(index) if known is not None else None
    if caller is None or caller.role not in ("party", "office"):
        raise _refused(job, f"{entry.actor}, who is said to have asked, is not enrolled")
    content = format_json(body.get("spec"))
    if content != job.spec.to_bytes():
        raise _refused(job, f"{entry.actor} asked for other terms than the matcher tells")
    try:
        envelope = envelope_in(body.get("request"))
        signed = check_request(envelope, caller, state.log, REQUEST_METHOD, content, entry.time)
    except (KeysError, MalformedMessageError, DeniedError) as error:
        raise _refused(job, f"the request of {entry.actor} does not count: {error}") from error
    if (signed.agreement, signed.epoch) != (job.spec.agreement_sha256.hex(), job.spec.codes.epoch):
        raise _refused(job, f"{entry.actor} signed for another agreement or epoch")
    return request_digest(envelope), caller


def _digest(body: JsonObject) -> bytes:
    try:
        return request_digest(envelope_in(body.get("request")))
    except KeysError:
        return b""


def _refused(job: Job, why: str) -> DeniedError:
    return DeniedError("NOT_ASKED", f"job {job.job_id}: {why}. Nothing is sent: tell the auditors")
