"""Who asked for a job, by the own copy of the log."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from agreement_world import LOG, ROOT, World, agreement, signer, usual

from linkage.agent.asked import as_asked
from linkage.agreement.request import Seen, SignedRequest, request_id, sign_request
from linkage.errors import DeniedError
from linkage.job import REQUEST_METHOD, CodeId, Job, JobSpec, JobState

DOCUMENT = agreement()
FIRST, SECOND = tuple(DOCUMENT.by_id)[:2]
OFFICE = f"office/{FIRST}/tawau"
CODES = CodeId(bytes(32), 1, bytes(8), "clk", 512)
SPEC = JobSpec(
    agreement_id=DOCUMENT.id,
    agreement_sha256=bytes.fromhex(DOCUMENT.digest()),
    purpose=DOCUMENT.purpose.code,
    attributes=(("nama", "nama"),),
    parties=(FIRST, SECOND),
    codes=CODES,
    threshold=0.7,
    cardinality="one-to-one",
    collect_timeout_s=600,
)
JOB = Job("j1", FIRST, SPEC, JobState.COLLECTING, 0, 0)


def ask(
    world: World, actor: str, *, job: str = "j1", by: str = "", spec: JobSpec = SPEC, **own: Any
) -> int:
    """Write the request for a job as the matcher does."""
    now = int(world.now.timestamp())
    fields: dict[str, Any] = {
        "aud": LOG, "method": REQUEST_METHOD, "agreement": DOCUMENT.digest(), "epoch": 1,
        "id": request_id(world.now, bytes(10)), "iat": now, "exp": now + 300,
        "body": hashlib.sha256(spec.to_bytes()).hexdigest(), "seen": Seen(size=1, root=ROOT),
    }  # fmt: skip
    envelope = sign_request(SignedRequest(**{**fields, **own}), signer(by or actor))
    body = {"job": job, "spec": spec.to_json(), "key": "", "request": envelope.to_json()}
    return world.add("job.request", body, DOCUMENT.id, actor)


def asked(world: World, job: Job = JOB) -> Job | None:
    return as_asked(job, world.entries, world.bodies, world.state)


def test_requester_and_office_are_those_of_the_log() -> None:
    world, _ = usual(DOCUMENT)
    ask(world, OFFICE)
    told = replace(JOB, requester=SECOND, office="")
    assert asked(world, told) == replace(JOB, requester=FIRST, office="tawau")
    ask(world, f"party/{SECOND}", job="j2")
    told = replace(JOB, job_id="j2", office="tawau")
    assert asked(world, told) == replace(JOB, job_id="j2", requester=SECOND)


def test_a_job_without_request_or_without_its_body_was_asked_for_by_nobody() -> None:
    world, _ = usual(DOCUMENT)
    assert asked(world) is None
    index = ask(world, f"party/{FIRST}")
    assert asked(world, replace(JOB, job_id="j2")) is None
    del world.bodies[index]
    assert asked(world) is None


@pytest.mark.parametrize(
    ("actor", "own", "why"),
    [
        ("matcher/m", {}, "not enrolled"),
        ("auditor/bpk", {}, "not enrolled"),
        (f"party/{FIRST}", {"by": f"party/{SECOND}"}, "REQUEST_NOT_SIGNED"),
        (f"party/{FIRST}", {"by": OFFICE}, "REQUEST_NOT_SIGNED"),
        (f"party/{FIRST}", {"spec": replace(SPEC, threshold=0.8)}, "other terms"),
        (f"party/{FIRST}", {"body": ROOT}, "REQUEST_OTHER_BODY"),
        (f"party/{FIRST}", {"method": "/linkage.v1.X/Y"}, "REQUEST_OTHER_METHOD"),
        (f"party/{FIRST}", {"aud": "padan.test/other"}, "REQUEST_OTHER_AUDIENCE"),
        (f"party/{FIRST}", {"agreement": ROOT}, "another agreement"),
        (f"party/{FIRST}", {"epoch": 2}, "another agreement or epoch"),
    ],
)
def test_what_nobody_signed_for_this_job_is_refused(
    actor: str, own: dict[str, Any], why: str
) -> None:
    world, _ = usual(DOCUMENT)
    ask(world, actor, **own)
    with pytest.raises(DeniedError, match=why) as refused:
        asked(world)
    assert refused.value.code == "NOT_ASKED"


def test_a_request_serves_one_job() -> None:
    world, _ = usual(DOCUMENT)
    ask(world, f"party/{FIRST}")
    ask(world, f"party/{FIRST}", job="j2")
    assert asked(world) is not None
    with pytest.raises(DeniedError, match="was for another job"):
        asked(world, replace(JOB, job_id="j2"))


def test_a_key_that_is_revoked_later_has_asked_and_one_from_before_has_not() -> None:
    world, _ = usual(DOCUMENT)
    ask(world, f"party/{FIRST}")
    world.revoke(f"party/{FIRST}", ["admin0", "admin1"])
    assert asked(world) is not None
    world.now += timedelta(minutes=1)
    ask(world, f"party/{FIRST}", job="j2")
    with pytest.raises(DeniedError, match="REQUEST_NOT_SIGNED"):
        asked(world, replace(JOB, job_id="j2"))
