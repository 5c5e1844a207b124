"""Grants of lookups on their way into the log: who signs them, and who reads them."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from grants import end, grant, signed
from in_process import Service, people

from linkage.errors import DeniedError
from linkage.log.canonical import parse_json
from linkage.log.entry import parse_entry, verify_body
from linkage.rpc.channel import open_channel
from linkage.v1 import log_pb2, log_pb2_grpc


@pytest.fixture(scope="module")
def granting(new_service: Callable[..., Service]) -> Iterator[Service]:
    """A running service of three parties."""
    made = new_service(dukcapil=people(3), imigrasi=people(3), kemenlu=people(3))
    with made.running():
        yield made


def submitted(service: Service, content: bytes, by: str = "kemenlu") -> int:
    with service.client(by) as client:
        return client.submit_document(content)


def test_a_grant_is_confidential_and_told_to_the_parties_of_its_agreement(
    granting: Service,
) -> None:
    wanted = grant(granting)
    leaf = submitted(granting, signed(granting, wanted).to_bytes())
    session = granting.session("kemenlu")
    with open_channel(granting.site.address, session.tls) as channel:
        asked = log_pb2.GetEntriesRequest(start=leaf, end=leaf + 1)
        (told,) = log_pb2_grpc.LogServiceStub(channel).GetEntries(asked)
    entry = parse_entry(told.leaf)
    assert (entry.type, entry.agreement, entry.body) == ("lookup.grant", wanted.agreement, None)
    verify_body(entry, told.opening, told.body)
    assert parse_json(told.body) == {"env": signed(granting, wanted).to_json()}


def test_the_same_grant_again_is_one_leaf(granting: Service) -> None:
    content = signed(granting, grant(granting)).to_bytes()
    assert submitted(granting, content) == submitted(granting, content, "imigrasi")


@pytest.mark.parametrize("signers", [("dukcapil",), ("imigrasi",), ("imigrasi", "kemenlu")])
def test_both_parties_sign(granting: Service, signers: tuple[str, ...]) -> None:
    content = signed(granting, grant(granting), *signers).to_bytes()
    with pytest.raises(DeniedError, match="NOT_SIGNED"):
        submitted(granting, content)


DENIED: dict[str, tuple[dict[str, Any], str]] = {
    "for a year": ({"hours": 24 * 365}, "GRANT_WINDOW"),
    "that is over": ({"hours": 0}, "GRANT_WINDOW"),
    "for another purpose": ({"purpose": "other"}, "PURPOSE_MISMATCH"),
    "for more than is agreed": ({"number": 1_500_000_000}, "QUOTA_LOOKUPS"),
}


@pytest.mark.parametrize("what", DENIED)
def test_what_the_agreement_does_not_allow_is_denied(granting: Service, what: str) -> None:
    own, code = DENIED[what]
    made = grant(granting)
    if (hours := own.pop("hours", None)) is not None:
        own = {"valid_until": made.valid_from + timedelta(hours=hours)}
    wanted = made.model_copy(update=own)
    with pytest.raises(DeniedError, match=code):
        submitted(granting, signed(granting, wanted).to_bytes())


def test_either_party_ends_a_grant_and_nobody_else(granting: Service) -> None:
    wanted = grant(granting)
    submitted(granting, signed(granting, wanted).to_bytes())
    with pytest.raises(DeniedError, match="NOT_SIGNED"):
        end(granting, wanted, "kemenlu")
    end(granting, wanted, "imigrasi")
    with pytest.raises(DeniedError, match="NO_CHANGE"):
        end(granting, wanted, "dukcapil")


def test_auditors_decide_on_grants_again(granting: Service) -> None:
    submitted(granting, signed(granting, grant(granting)).to_bytes())
    granting.site.cosign_log()
    granting.site.fetch_bundle()
    report = granting.site.padan(
        "audit", "replay", str(granting.site.bundle), "--trust", str(granting.site.trust), "--json"
    )
    assert json.loads(report)["verdict"] == "OK"
    assert json.loads(report)["decisions"] >= 1
