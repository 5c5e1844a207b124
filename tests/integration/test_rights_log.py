"""Notices of rights in the log of a running matcher: who may write them, who reads which body."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from in_process import SCHEMA
from members import DOMAIN, ORIGIN, Members, signed

from keys.dsse import Envelope
from keys.kinds import new_secret, public_half
from linkage.agreement.envelope import sign_agreement
from linkage.agreement.rights import RightsAnswer, RightsNotice
from linkage.cli.demo_agreement import DemoKeys, demo_agreement
from linkage.encode.encoder import resolve_schema, schema_id
from linkage.errors import DeniedError
from linkage.log.canonical import encode_base64
from linkage.log.entry import parse_entry, verify_body
from linkage.rpc.channel import translated
from linkage.schema import parse_schema
from linkage.v1 import log_pb2, log_pb2_grpc

PARTIES = ("dukcapil", "imigrasi")
STRANGER, AUDITOR = "party/ahu", "auditor/bpk"
ID, TODAY = "0" * 32, datetime.now(UTC).date()


@pytest.fixture
def members(tmp_path: Path) -> Members:
    """Two parties of an agreement, a third party, and an auditor."""
    made = Members(tmp_path)
    made.prepare()
    made.submit(*(made.enrolment(path) for path in (*map("party/{}".format, PARTIES), STRANGER)))
    made.submit(made.enrolment(AUDITOR))
    keys = {
        party: DemoKeys(
            made.signers[f"party/{party}"].public, public_half("seal", new_secret("seal")) or b""
        )
        for party in PARTIES
    }
    schema = parse_schema(SCHEMA, "schema")
    agreement = demo_agreement(
        "PKS-1", "P1", ORIGIN, DOMAIN, keys, schema_id(schema), resolve_schema(schema), TODAY
    )
    signers = [made.signers[f"party/{party}"] for party in PARTIES]
    made.submit(sign_agreement(agreement, signers))
    return made


def notice(members: Members, by: str = "dukcapil", **own: Any) -> Envelope:
    fields = {
        "log": ORIGIN, "agreement": "PKS-1", "id": ID, "party": "dukcapil",
        "to": "imigrasi", "kind": "rectify", "epoch": 1, "sealed": encode_base64(b"sealed"),
        "received": datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1),
    }  # fmt: skip
    return signed(RightsNotice(**{**fields, **own}), members.signers[f"party/{by}"])


def entries(members: Members, path: str, start: int) -> list[log_pb2.GetEntriesResponse]:
    with members.channel(members.credentials[path]) as channel:
        stub = log_pb2_grpc.LogServiceStub(channel)
        return list(stub.GetEntries(log_pb2.GetEntriesRequest(start=start, end=start + 1)))


def test_bodies_go_to_the_parties_of_the_agreement_and_to_auditors_alone(members: Members) -> None:
    document = notice(members)
    with members.running():
        leaf = members.bring("party/dukcapil", document)
        for path in (*map("party/{}".format, PARTIES), AUDITOR):
            (read,) = entries(members, path, leaf)
            entry = parse_entry(read.leaf)
            verify_body(entry, read.opening, read.body)
            assert (entry.type, entry.actor) == ("rights.notice", "party/dukcapil")
        (read,) = entries(members, STRANGER, leaf)
        assert (read.opening, read.body) == (b"", b"")
        assert b"imigrasi" not in read.leaf
        # The same again is the same leaf, also for a matcher that was restarted.
        assert members.bring("party/dukcapil", document) == leaf
    with members.running():
        assert members.bring("party/dukcapil", document) == leaf


def test_what_does_not_count_is_refused_by_its_code(members: Members) -> None:
    answer = RightsAnswer(
        log=ORIGIN, agreement="PKS-1", notice=ID, party="imigrasi", outcome="done"
    )  # fmt: skip
    with members.running():
        with pytest.raises(DeniedError, match="NOT_SIGNED"), translated():
            members.bring("party/imigrasi", notice(members, by="imigrasi"))
        with pytest.raises(DeniedError, match="NO_SUCH_NOTICE"), translated():
            members.bring("party/imigrasi", signed(answer, members.signers["party/imigrasi"]))
        members.bring("party/dukcapil", notice(members))
        members.bring("party/imigrasi", signed(answer, members.signers["party/imigrasi"]))
        with pytest.raises(DeniedError, match="REPLAYED"), translated():
            members.bring("party/dukcapil", notice(members, kind="erase"))
