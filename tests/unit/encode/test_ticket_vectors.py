"""The tickets' own vectors, written by an implementation that shares no code."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkage.encode.names import NameKeys
from linkage.encode.pairkeys import pair_keys
from linkage.encode.tickets import TicketBook
from linkage.namerow import NameForm
from linkage.schema import parse_schema
from linkage.ticket import Tickets, concatenate, read_rows, rows_of

FOLDER = Path(__file__).parents[2] / "vectors" / "tickets"
CASES = [json.loads(path.read_text(encoding="ascii")) for path in sorted(FOLDER.glob("*.json"))]
DEFINITION = runpy.run_path(str(FOLDER / "generate.py"))
WIDTH = 5
SCHEMA = parse_schema(
    """
    name = "v"
    attributes = [
      {name = "a", type = "text"}, {name = "b", type = "text"}, {name = "c", type = "text"},
    ]
    match = {expected_records = 1_000_000}
    block = [{on = ["a", "b"]}, {on = ["b", "c"]}, {on = ["c"]}]
    """
)


def book_of(case: dict[str, Any]) -> TicketBook:
    references = bytes.fromhex("".join(case["references"]))
    return TicketBook(
        SCHEMA, DEFINITION["key_of"], case["meeting"], case["parties"], case["side"], references
    )


def tickets_of(case: dict[str, Any]) -> Tickets:
    values = np.array([[int(value) for value in row] for row in case["values"]], np.uint64)
    return concatenate(list(book_of(case).tickets(values)))


def test_how_many_there_are() -> None:
    assert len(CASES) == 12
    assert len({case["desc"] for case in CASES}) == len(CASES)


def test_the_files_are_what_the_generator_writes() -> None:
    assert sorted(DEFINITION["cases"](), key=lambda case: case["number"]) == CASES


def test_the_schema_of_the_vectors_is_what_they_were_made_for() -> None:
    assert SCHEMA.match.block_bytes == WIDTH
    assert SCHEMA.match.block_copies == 3
    assert [str(entry) for entry in SCHEMA.entries] == [
        "value(a) & value(b)", "value(b) & value(c)", "value(c)",
    ]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["desc"])
def test_tickets_as_they_are_made_and_asked_about(case: dict[str, Any]) -> None:
    made = tickets_of(case)
    packed = made.packed(WIDTH)
    assert packed.hex() == "".join(case["expect"]["tickets"])
    back = Tickets.unpacked(packed, WIDTH)
    for one, other in ((made.entry, back.entry), (made.token, back.token), (made.mark, back.mark)):
        assert one.tolist() == other.tolist()
    # As they are uploaded: without the entry, which the place in the upload says.
    rows = rows_of(made.token, made.mark, WIDTH)
    assert [row.tobytes().hex() for row in rows] == [t[2:] for t in case["expect"]["tickets"]]
    token, mark = read_rows(rows, WIDTH)
    assert (token.tolist(), mark.tolist()) == (made.token.tolist(), made.mark.tolist())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["desc"])
def test_what_an_owner_reads_in_them(case: dict[str, Any]) -> None:
    made, book, key = tickets_of(case), book_of(case), bytes.fromhex(case["key"])
    assert book.records(made).tolist() == case["expect"]["records"]
    assert [bytes(k).hex() for k in pair_keys(key, made)] == case["expect"]["keys"]
    n = len(case["references"])
    draws = case["expect"]["draws"]
    assert book.records(Tickets.drawn(2 * n)).tolist() == draws + draws


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["desc"])
def test_rows_that_name_its_records(case: dict[str, Any]) -> None:
    made, key = tickets_of(case), bytes.fromhex(case["key"])
    keys = NameKeys(lambda what: DEFINITION["name_key"](key, what))
    shares = NameForm(6).shares(bytes.fromhex("".join(case["shares"])))
    references = np.frombuffer(bytes.fromhex("".join(case["references"])), np.uint8)
    own = references.reshape(-1, 16)[case["expect"]["records"]]
    rows = keys.rows(case["side"], keys.tags(made), shares, own)
    assert [row.tobytes().hex() for row in rows] == case["expect"]["rows"]
    # Without steps they end before them.
    plain = NameForm(0).shares(b"".join(bytes.fromhex(share)[:32] for share in case["shares"]))
    short = keys.rows(case["side"], keys.tags(made), plain, own)
    assert [row.tobytes().hex() for row in short] == [
        row[: 2 * 112] for row in case["expect"]["rows"]
    ]
