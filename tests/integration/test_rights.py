"""Rights of persons between two agents: the marked record, its links, the other party, the log."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from in_process import Quiet, Service, links, people

from keys.dsse import Ed25519Signer, parse_envelope, sign
from linkage.agent.client import MatcherClient
from linkage.agent.register import RegisterUpload
from linkage.agent.rights import Rights, Synced
from linkage.agent.tickets import Ticket, Tickets
from linkage.agreement.model import Agreement
from linkage.agreement.rights import RightsNotice
from linkage.cli import demo_site, padan
from linkage.cli.demo_agreement import demo_agreement
from linkage.errors import DeniedError
from linkage.log.canonical import encode_base64, format_json
from linkage.store.log_copy import Logged

entries = MatcherClient.entries
RECORD, OTHER = "00030", "00031"  # both parties have both persons
A, B = "dukcapil", "imigrasi"


@pytest.fixture
def linked(new_service: Callable[..., Service]) -> Any:
    """A service of two parties, after a job."""
    service = new_service(**{A: people(40), B: people(40, skip=20)})
    with service.running():
        run(service)
        yield service


def run(service: Service) -> dict[str, dict[str, dict[str, str]]]:
    """Run a job; return the rows of each party by record."""
    outcomes = service.run_all(service.request(A))
    return {p: {row["record_id"]: row for row in links(o)} for p, o in outcomes.items()}


def rows(service: Service, party: str, record: str = RECORD) -> list[dict[str, str]]:
    """All rows of a party's results that are about one record, by file."""
    found = []
    for path in sorted((service.folder(party) / "work" / "results").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [row for row in csv.DictReader(file) if row["record_id"] == record]
    return found


def states(service: Service, party: str, record: str = RECORD) -> list[str]:
    return [row["state"] for row in rows(service, party, record)]


def rights(service: Service, party: str) -> Rights:
    return Rights(service.session(party), datetime.now(UTC))


def sync(service: Service, party: str) -> Synced:
    with service.client(party) as client:
        return rights(service, party).sync(client)


def ask(service: Service, kind: Any, record: str = RECORD) -> Ticket:
    """A request that the first party received an hour ago and grants now."""
    now, held = datetime.now(UTC).replace(microsecond=0), rights(service, A)
    received = now - timedelta(hours=1)
    ticket = held.tickets.open(kind, record, received, now, "NIP-1", "asked in writing")
    held.apply(ticket.number, "NIP-2", "granted")
    sync(service, A)
    return held.tickets.get(ticket.number)


def padan_run(service: Service, party: str, *words: str, stdin: str = "") -> Any:
    config = str(service.folder(party) / "agent.toml")
    command = [*("agent", "rights"), words[0], "--config", config, *words[1:]]
    return CliRunner().invoke(padan, command, input=stdin)


def test_a_marked_record_is_absent_from_the_next_run_and_its_links_are_frozen(
    linked: Service,
) -> None:
    ticket = ask(linked, "restriction")
    assert states(linked, A) == ["frozen"]
    assert states(linked, A, OTHER) == ["valid"]
    # The other party heeds it at its next connection: here at the start of the next run.
    after = run(linked)
    assert RECORD not in after[A]
    assert RECORD not in after[B]
    assert OTHER in after[A]
    assert states(linked, B) == ["frozen"]
    assert states(linked, B, OTHER) == ["valid", "valid"]
    # Its answer is in the log, and the clock ran from the receipt.
    (notice,) = rights(linked, A).sent()
    assert notice.said.received == ticket.received
    assert notice.deadline == ticket.deadline
    assert notice.answer is not None
    assert notice.answer.outcome == "done"
    assert sync(linked, A).told == sync(linked, B).answered == ()


def leaves_alone(client: MatcherClient, start: int, end: int) -> list[Logged]:
    return [Logged(one.leaf) for one in entries(client, start, end)]


def test_every_party_is_told_alike_and_the_matcher_reads_no_link_and_no_record(
    linked: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ask(linked, "objection"), ask(linked, "objection", "00001")
    assert [len(ticket.told[0].links) for ticket in (first, second)] == [1, 0]
    told = [notice.said for notice in rights(linked, A).sent()]
    assert len({len(said.sealed) for said in told}) == 1
    assert len({len(said.to_bytes()) for said in told}) == 1
    assert len(sync(linked, B).answered) == 2
    # The keys of other epochs that are here open their notices; there is one.
    session = linked.session(A)
    (mine, none) = (session.key_of(epoch) for epoch in (1, 7))
    assert mine is not None
    assert mine.notice_key(A, B) == session.key.notice_key(A, B)
    assert none is None
    # A matcher that keeps bodies back is noticed.
    monkeypatch.setattr(MatcherClient, "entries", leaves_alone)
    shutil.rmtree(linked.folder(B) / "work" / "log")
    sync(linked, B)
    assert padan_run(linked, B, "list").exit_code == 1
    shown = json.loads(padan_run(linked, B, "list", "--json").stdout)
    assert (shown["withheld"], shown["received"]) == (4, [])
    own: Path = linked.folder(A) / "work" / "artefacts"
    assert not [p for p in own.rglob("*") if p.is_file() and b"NIP-1" in p.read_bytes()]
    (row,) = rows(linked, A)
    folder = linked.site.root / "matcher" / "data"
    for path in (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"):
        content = path.read_bytes()
        assert row["link_id"].encode() not in content, path
        assert b'"record_id"' not in content, path


def test_an_objection_suspends_links_also_new_ones_until_it_is_lifted(linked: Service) -> None:
    with (linked.folder(B) / "agent.toml").open("a") as file:
        file.write('\n[result]\npath = "brought/{job}.csv"\n')
    ticket = ask(linked, "objection")
    run(linked)
    assert states(linked, A) == ["suspended", "suspended"]
    # Results that were brought elsewhere are brought again.
    brought = [p.read_text() for p in (linked.folder(B) / "brought").glob("*.csv")]
    assert [text.count("suspended") for text in brought] == [1, 1]
    assert states(linked, B) == ["suspended", "suspended"]
    done = padan_run(
        linked, A, "lift", "--ticket", ticket.number, "--officer", "NIP-2", "--reason", "decided"
    )
    assert done.exit_code == 0, done.output
    assert states(linked, A) == ["valid", "valid"]
    sync(linked, B)
    assert states(linked, B) == ["valid", "valid"]


def test_a_correction_makes_links_invalid_until_the_record_is_matched_again(
    linked: Service,
) -> None:
    before = {party: rows(linked, party) for party in (A, B)}
    ask(linked, "rectification")
    sync(linked, B)
    for party in (A, B):
        assert states(linked, party) == ["invalid"]
        assert rows(linked, party)[0]["link_id"] == before[party][0]["link_id"]
    # An answer names no record of the counterpart: of earlier jobs all are asked again.
    linked.run_all(linked.request(A, level="R1"))
    assert sorted(states(linked, B)) == ["invalid", "valid"]
    ask(linked, "objection", "00001")
    sync(linked, B)
    assert sorted(states(linked, B)) == ["invalid", "recheck"]
    assert set(states(linked, B, "00055")) == {"recheck"}
    after = run(linked)
    assert {after[party][RECORD]["state"] for party in (A, B)} == {"valid"}
    # A new reference gives another group, and so another link.
    assert after[A][RECORD]["link_id"] == after[B][RECORD]["link_id"]
    assert after[A][RECORD]["link_id"] != before[A][0]["link_id"]
    assert sorted(states(linked, B)) == ["invalid", "recheck", "valid"]


def test_an_erasure_takes_the_links_out_of_the_results_of_both(linked: Service) -> None:
    ask(linked, "erasure")
    sync(linked, B)
    assert rows(linked, A) == rows(linked, B) == []
    assert RECORD not in run(linked)[A]


def test_what_cannot_be_told_opened_or_brought_stops_nothing_else(linked: Service) -> None:
    ticket, session = ask(linked, "restriction"), linked.session(A)
    held = rights(linked, A)
    (told,) = ticket.told
    key = Ed25519Signer(Ed25519PrivateKey.generate())

    def said(**own: Any) -> RightsNotice:
        fields = json.loads(parse_envelope(told.document.encode()).payload)
        return RightsNotice.model_validate_json(
            format_json({**fields, "id": os.urandom(16).hex(), **own})
        )

    def keep(notice: RightsNotice, to: str) -> str:
        """A notice that was written, under a key of then, and did not come into the log."""
        document = sign(notice.TYPE, notice.to_bytes(), [key]).to_bytes().decode()
        held.tickets.tell(
            ticket.number,
            replace(told, notice=notice.id, to=to, document=document, leaf=None, links=()),
        )
        return notice.id

    gone, bad, good = keep(said(to="third"), "third"), keep(said(to="third"), B), keep(said(), B)
    # Sealed under the right key, over nothing.
    name = os.urandom(16).hex()
    sealed = AESGCM(session.key.notice_key(B, A)).encrypt(
        bytes(12), b"", f"{name}/{B}/{A}".encode()
    )
    empty = said(id=name, party=B, to=A, sealed=encode_base64(bytes(12) + sealed))
    with linked.client(B) as client:
        signer = linked.session(B).signer
        client.submit_document(sign(empty.TYPE, empty.to_bytes(), [signer]).to_bytes())
    (linked.folder(A) / "brought").write_text("no folder")
    with (linked.folder(A) / "agent.toml").open("a") as file:
        file.write('\n[result]\npath = "brought/{job}.csv"\n')
    by = ("--ticket", ticket.number, "--officer", "NIP-2", "--reason", "decided")
    assert padan_run(linked, A, "lift", *by).exit_code == 1
    (linked.folder(A) / "brought").unlink()
    again = padan_run(linked, A, "sync", "--json")
    assert again.exit_code == 1
    # The matcher of this process writes there, too.
    done = json.loads(again.stdout.splitlines()[-1])
    # All that could be told was told before the place was found to be none.
    sent = [notice.said.id for notice in rights(linked, A).sent()]
    assert {told.notice, good} < set(sent)
    assert not {gone, bad} & set(sent)
    assert (done["told"], done["unreadable"]) == ([], [name])
    assert bad in done["refused"]
    sync(linked, B)
    assert states(linked, B) == ["valid"]
    assert list((linked.folder(A) / "brought").glob("*.csv"))


def test_a_standing_register_loses_a_restricted_record_and_gets_a_corrected_one_anew(
    new_service: Callable[..., Service],
) -> None:
    from linkage.agent.lookup import LookupClient
    from linkage.rpc.channel import open_channel

    service = new_service(**{A: people(40), B: people(40, skip=20)})

    def refresh() -> Any:
        session = service.session(A)
        with open_channel(service.site.address, session.tls) as channel:
            upload = RegisterUpload(session, LookupClient(channel, 5.0), datetime.now(UTC).date())
            return upload.refresh(Quiet())

    with service.running():
        assert refresh().n_records == 40
        ask(service, "restriction")
        assert (refresh().n_records, refresh().n_sent) == (39, 0)
        ask(service, "rectification", OTHER)
        done = refresh()
        assert (done.n_records, done.n_sent, done.n_removed) == (39, 1, 1)


def test_the_officer_does_it_all_by_command(linked: Service) -> None:
    opened = padan_run(
        linked, A, "open", "--kind", "restriction", "--record", "-", "--officer", "NIP-1",
        "--reason", "accuracy contested", "--received",
        f"{datetime.now(UTC) - timedelta(hours=73):%Y-%m-%dT%H:%M}+00:00", "--json",
        stdin=f"{RECORD}\n",
    )  # fmt: skip
    assert opened.exit_code == 0, opened.output
    number = json.loads(opened.stdout)["ticket"]
    by = ("--ticket", number, "--officer", "NIP-2", "--reason", "granted", "--json")
    applied = padan_run(linked, A, "apply", *by)
    assert applied.exit_code == 0, applied.output
    assert json.loads(applied.stdout)["marked"] == {"frozen": 1}
    assert padan_run(linked, A, "apply", *by).exit_code == 1
    listed = padan_run(linked, A, "list", "--json")
    assert listed.exit_code == 1  # a clock has run out
    shown = json.loads(listed.stdout)
    assert [ticket["overdue"] for ticket in shown["tickets"]] == [True]
    assert [(one["to"], one["overdue"], one["answer"]) for one in shown["sent"]] == [
        (B, True, None)
    ]
    assert padan_run(linked, B, "sync").exit_code == 0
    assert padan_run(linked, A, "fulfil", *by).exit_code == 0
    plain = padan_run(linked, B, "list")
    assert "restrict" in plain.stdout
    assert "OVERDUE" in plain.stdout  # answered, but late
    assert plain.exit_code == 1


def test_where_an_exemption_might_hold_an_official_answers(
    new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    exemption = {
        "article": "Pasal 15 ayat (1) huruf b", "law": "UU 8/1981", "letter": "S-1/2026",
        "balancing_sha256": "ab" * 32, "expires_on": "2999-12-31",
    }  # fmt: skip

    def with_exemption(*given: Any) -> Agreement:
        fields = {**demo_agreement(*given).to_json(), "exemptions": [exemption]}
        return Agreement.model_validate_json(format_json(fields))

    monkeypatch.setattr(demo_site, "demo_agreement", with_exemption)
    service = new_service(**{A: people(40), B: people(40, skip=20)})
    with service.running():
        run(service)
        ask(service, "objection")
        ask(service, "rectification", OTHER)
        for record in ("00032", "00033"):
            ask(service, "erasure", record)
        done = sync(service, B)
        # Article 15 lifts objections, and no corrections. Until it is decided, the link is marked.
        assert (len(done.waiting), len(done.answered)) == (3, 1)
        assert (states(service, B), states(service, B, OTHER)) == (["suspended"], ["invalid"])
        # Nothing is erased that might have to be kept.
        for record, notice, exemption, after in (
            ("00032", done.waiting[1], (), []),
            ("00033", done.waiting[2], ("--exemption", "0"), ["valid"]),
        ):
            assert states(service, B, record) == ["frozen"]
            assert padan_run(service, B, "answer", "--notice", notice, *exemption).exit_code == 0
            assert states(service, B, record) == after
        by = ("--notice", done.waiting[0], "--exemption")
        assert padan_run(service, B, "answer", *by, "1").exit_code == 1
        answered = padan_run(service, B, "answer", *by, "0")
        assert answered.exit_code == 0, answered.output
        assert states(service, B) == ["valid"]
        shown = json.loads(padan_run(service, A, "list", "--json").stdout)["sent"]
        refused = [one["exemption"]["letter"] for one in shown if one["answer"] == "refused"]
        assert refused == ["S-1/2026"] * 2
        # The owner may rely on it too, for the same duties.
        own = padan_run(
            service, A, "open", "--kind", "objection", "--record", "00022", "--officer", "NIP-1",
            "--reason", "asked", "--json",
        )  # fmt: skip
        number = json.loads(own.stdout)["ticket"]
        by = ("--ticket", number, "--officer", "NIP-2", "--reason", "investigation")
        refusal = ("--ground", "exemption", "--exemption", "0", "--json")
        done_by = padan_run(service, A, "refuse", *by, *refusal)
        assert done_by.exit_code == 0, done_by.output
        assert json.loads(done_by.stdout)["state"] == "refused"


def test_nothing_is_refused_without_an_exemption_that_holds_and_no_step_is_left_out(
    linked: Service,
) -> None:
    held, now = rights(linked, A), datetime.now(UTC).replace(microsecond=0)
    ticket = held.tickets.open("objection", RECORD, now, now, "NIP-1", "asked")
    by = ("--ticket", ticket.number, "--officer", "NIP-2", "--reason", "x")
    done = padan_run(linked, A, "refuse", *by, "--ground", "exemption", "--exemption", "0")
    assert isinstance(done.exception, (SystemExit, DeniedError))
    assert done.exit_code == 1
    assert padan_run(linked, A, "refuse", *by, "--ground", "exemption").exit_code == 1
    assert held.tickets.get(ticket.number).state == "received"
    assert padan_run(linked, A, "refuse", *by, "--ground", "identity").exit_code == 0
    tickets = Tickets(linked.session(A).store)
    with pytest.raises(DeniedError, match="TICKET_RECEIPT"):
        tickets.open("access", RECORD, now + timedelta(hours=1), now, "NIP-1", "x")
    ticket = tickets.open("access", RECORD, now, now, "NIP-1", "x")
    assert padan_run(
        linked, A, "apply", "--ticket", ticket.number, "--officer", "N", "--reason", "x"
    ).exit_code == 1  # fmt: skip
    assert ticket.deadline.due == now + timedelta(hours=72)
    assert tickets.open("access", OTHER, now, now, "NIP-1", "x").number != ticket.number
