"""Marks in result files, seals of notices, tickets and revoked references, piece by piece."""

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from keys.derive import KeyContext, LinkageKey
from linkage.agent.config import Agreement
from linkage.agent.marks import Mark, links_of, write_marks
from linkage.agent.noticeseal import MOST_LINKS, open_links, seal_links
from linkage.agent.references import References
from linkage.agent.restricted import without
from linkage.agent.tickets import Step, Ticket, Tickets
from linkage.agreement.rights import RightsNotice
from linkage.errors import DeniedError, NotFoundError, RecordError, VerificationError
from linkage.log.canonical import encode_base64
from linkage.store.artefacts import ArtefactStore

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
ID, OTHER = "0" * 32, "1" * 32
LINKED = ["record_id", "counterpart", "link_id"]
ANSWERED = ["record_id", "counterpart", "found"]


def written(path: Path, names: list[str], *rows: tuple[str, ...]) -> Path:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
    return path


def column(path: Path, name: str = "state") -> list[str]:
    with path.open(newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    written(folder / "j1.csv", LINKED, ("1", "b", "aa"), ("2", "b", "bb"), ("3", "c", "cc"))
    written(folder / "j2.csv", LINKED, ("1", "b", "aa"))
    written(folder / "j1.r1.csv", ANSWERED, ("1", "b", "yes"), ("2", "c", "no"))
    written(folder / "j1.r0.csv", ["counterpart", "match"], ("b", "at least 10"))
    return folder


def test_every_row_has_a_state_and_the_stronger_mark_counts(results: Path) -> None:
    marks = [
        Mark("suspended", counterpart="b", links=frozenset({"aa", "bb"})),
        Mark("frozen", record_id="2"),
        Mark("recheck", counterpart="b", before=7),
    ]
    assert write_marks(results, marks, {"j1": 5, "j2": 9}) == {
        "suspended": 2, "frozen": 2, "recheck": 1,
    }  # fmt: skip
    assert column(results / "j1.csv") == ["suspended", "frozen", "valid"]
    assert column(results / "j2.csv") == ["suspended"]
    # Record 2 is the own one; of record 1 it is not known which record of b was meant.
    assert column(results / "j1.r1.csv") == ["recheck", "frozen"]
    assert (results / "j1.r0.csv").read_text() == "counterpart,match\nb,at least 10\n"


def test_marks_that_are_gone_leave_valid_rows_and_nothing_else_changes(results: Path) -> None:
    write_marks(results, [Mark("frozen", record_id="1")], {})
    before = column(results / "j1.csv", "link_id")
    assert write_marks(results, [], {}) == {}
    assert column(results / "j1.csv") == ["valid"] * 3
    assert column(results / "j1.csv", "link_id") == before
    assert not list(results.glob("*.marked"))


def test_a_job_that_was_asked_for_since_compared_the_corrected_record(results: Path) -> None:
    mark = Mark("invalid", counterpart="b", links=frozenset({"aa"}), before=7)
    write_marks(results, [mark], {"j1": 6, "j2": 8})
    assert column(results / "j1.csv") == ["invalid", "valid", "valid"]
    assert column(results / "j2.csv") == ["valid"]
    # Of a job that is not known, nothing is taken for new.
    write_marks(results, [mark], {})
    assert column(results / "j2.csv") == ["invalid"]


def test_an_erasure_takes_rows_out(results: Path) -> None:
    mark = Mark("erased", counterpart="b", links=frozenset({"aa"}))
    assert write_marks(results, [mark], {})["erased"] == 2
    assert column(results / "j1.csv", "link_id") == ["bb", "cc"]
    assert column(results / "j2.csv", "link_id") == []


def test_a_party_marks_no_rows_of_another_pair_and_none_without_their_link_ids(
    results: Path,
) -> None:
    # A party of the agreement can open what another told a third: the key is the same.
    ids = frozenset({"aa", "bb"})
    assert write_marks(results, [Mark("erased", counterpart="c", links=ids)], {}) == {}
    for links in (ids, frozenset[str]()):
        write_marks(results, [Mark("erased", counterpart="b", links=links)], {})
        assert column(results / "j1.r1.csv") == ["valid", "valid"]
    assert column(results / "j1.csv", "link_id") == ["cc"]


def test_links_of_own_records_are_found_in_all_files(results: Path) -> None:
    found = links_of(results, ["1", "4"])
    assert found == {"1": [("j1", "b", "aa"), ("j2", "b", "aa")], "4": []}
    assert links_of(results / "nowhere", ["1"]) == {"1": []}


def key(secret: int = 1) -> LinkageKey:
    return LinkageKey(bytes([secret]) * 32, KeyContext("PKS-1", bytes(32), "P1", 1))


def notice(sealed: str, **own: Any) -> RightsNotice:
    fields = {
        "log": "padan.test/log", "agreement": "PKS-1", "id": ID, "party": "a", "to": "b",
        "kind": "object", "received": NOW, "epoch": 1, "sealed": sealed,
    }  # fmt: skip
    return RightsNotice(**{**fields, **own})


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=MOST_LINKS))
def test_a_seal_opens_to_what_was_sealed_and_is_always_as_long(links: list[bytes]) -> None:
    sealed = seal_links(key(), (ID, "a", "b"), links, lambda n: bytes(n))
    assert open_links(key(), notice(sealed)) == links
    assert len(sealed) == len(seal_links(key(), (ID, "a", "b"), [], lambda n: bytes(n)))


@pytest.mark.parametrize("own", [{"id": OTHER}, {"party": "b", "to": "a"}, {"to": "c"}])
def test_a_seal_opens_for_its_own_notice_alone(own: dict[str, str]) -> None:
    sealed = seal_links(key(), (ID, "a", "b"), [b"x" * 16], lambda n: bytes(n))
    with pytest.raises(VerificationError):
        open_links(key(), notice(sealed, **own))
    with pytest.raises(VerificationError):
        open_links(key(2), notice(sealed))
    with pytest.raises(ValueError, match="at most"):
        seal_links(key(), (ID, "a", "b"), [b"x" * 16] * (MOST_LINKS + 1), lambda n: bytes(n))


@pytest.mark.parametrize("plain", [b"", b"\xff", b"\x01" + b"x" * 16])
def test_an_authentic_seal_over_no_list_of_links_is_refused(plain: bytes) -> None:
    nonce, about = bytes(12), f"{ID}/a/b".encode()
    sealed = nonce + AESGCM(key().notice_key("a", "b")).encrypt(nonce, plain, about)
    with pytest.raises(VerificationError, match="no list of links"):
        open_links(key(), notice(encode_base64(sealed)))


@pytest.fixture
def store(tmp_path: Path) -> ArtefactStore:
    return ArtefactStore(tmp_path / "artefacts", tmp_path / "keystore")


def step(state: Any, **own: Any) -> Step:
    return Step(state, NOW, "NIP-1", "because", **own)


ALLOWED = {
    "access": [["fulfilled"], ["refused"]],
    "rectification": [["applied", "fulfilled"], ["refused"]],
    "restriction": [["applied", "fulfilled", "lifted"], ["applied", "lifted"], ["refused"]],
    "objection": [["applied", "lifted"]],
    "erasure": [["applied", "fulfilled"]],
}
REFUSED = {
    "access": [["applied"], ["lifted"], ["refused", "fulfilled"]],
    "rectification": [["fulfilled"], ["applied", "lifted"], ["applied", "applied"]],
    "restriction": [["lifted"], ["applied", "refused"], ["applied", "lifted", "applied"]],
    "erasure": [["applied", "fulfilled", "lifted"]],
}


def moved(ticket: Ticket, states: list[str]) -> Ticket:
    for state in states:
        ticket = ticket.moved(step(state, ground="identity" if state == "refused" else None))
    return ticket


@pytest.mark.parametrize(("kind", "states"), [(k, s) for k, all_ in ALLOWED.items() for s in all_])
def test_steps_that_follow(store: ArtefactStore, kind: Any, states: list[str]) -> None:
    ticket = Tickets(store).open(kind, "1", NOW, NOW, "NIP-1", "asked")
    assert moved(ticket, states).state == states[-1]


@pytest.mark.parametrize(("kind", "states"), [(k, s) for k, all_ in REFUSED.items() for s in all_])
def test_steps_that_do_not_follow(store: ArtefactStore, kind: Any, states: list[str]) -> None:
    ticket = moved(Tickets(store).open(kind, "1", NOW, NOW, "NIP-1", "x"), states[:-1])
    with pytest.raises(DeniedError, match="TICKET_STATE"):
        moved(ticket, states[-1:])


def test_a_refusal_has_a_ground_and_an_exemption_its_number(store: ArtefactStore) -> None:
    ticket = Tickets(store).open("objection", "1", NOW, NOW, "NIP-1", "x")
    for wrong in (
        step("refused"),
        step("applied", ground="identity"),
        step("refused", ground="exemption"),
        step("refused", ground="identity", exemption=0),
    ):
        with pytest.raises(DeniedError, match="TICKET_GROUND"):
            ticket.moved(wrong)


def test_tickets_are_numbered_by_the_year_of_receipt_and_kept_as_they_were(
    store: ArtefactStore,
) -> None:
    tickets = Tickets(store)
    made = [
        tickets.open("access", str(n), NOW - timedelta(days=300 * n), NOW, "NIP-1", "x")
        for n in (0, 0, 1)
    ]
    assert [ticket.number for ticket in made] == ["2026-00001", "2026-00002", "2026-00003"]
    assert Tickets(store).all() == sorted(made, key=lambda ticket: ticket.number)
    last = tickets.open("access", "1", datetime(2025, 12, 31, tzinfo=UTC), NOW, "NIP-1", "x")
    assert last.number == "2025-00001"
    with pytest.raises(NotFoundError):
        tickets.get("2026-00009")
    assert last.overdue(NOW)
    assert not made[0].overdue(NOW)


def test_only_records_whose_restriction_counts_are_left_out(store: ArtefactStore) -> None:
    tickets = Tickets(store)
    for record, kind, states in (
        ("1", "restriction", ["applied"]),
        ("2", "restriction", ["applied", "lifted"]),
        ("3", "restriction", []),
        ("4", "erasure", ["applied", "fulfilled"]),
        ("5", "objection", ["applied"]),
    ):
        number = tickets.open(kind, record, NOW, NOW, "NIP-1", "x").number  # type: ignore[arg-type]
        for state in states:
            tickets.move(number, step(state))
    assert tickets.left_out() == {"1", "4"}


def test_records_are_left_out_of_tables_and_empty_tables_too() -> None:
    tables = [pa.table({"record_id": ["1", "2"]}), pa.table({"record_id": ["3"]})]
    kept = list(without(iter(tables), {"2", "3", "9"}))
    assert [table["record_id"].to_pylist() for table in kept] == [["1"]]
    assert list(without(iter(tables), ())) == tables
    with pytest.raises(RecordError, match="restricted"):
        list(without(iter(tables), {"1", "2", "3"}))


def test_a_revoked_reference_still_leads_back_and_is_given_no_more(store: ArtefactStore) -> None:
    agreement = Agreement(id="PKS-1", purpose="P1", parties=("a", "b"))

    def opened() -> References:
        return References(store, agreement, date(2027, 1, 1))

    references = opened()
    before = references.of(["1", "2"])
    references.revoke(["1", "9"])
    after = references.of(["1", "2", "3"])
    assert after[:16] != before[:16]
    assert after[16:32] == before[16:]
    for one in (references, opened()):
        assert one.of(["1", "2", "3"]) == after
        assert one.record_ids(before + after) == ["1", "2", "1", "2", "3"]
        assert one.numbers_of("1").tolist() == [0, 2]
    references.revoke(["1"])
    assert len(opened().numbers_of("1")) == 2
    assert opened().of(["1"]) not in (before[:16], after[:16])
