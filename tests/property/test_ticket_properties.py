"""Tickets against their definition: who meets, what marks tell, what owners take for theirs."""

import contextlib
import itertools
import math
import runpy
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.block.met import MetPairs, met_pairs
from linkage.encode.names import NameKeys
from linkage.encode.oncetokens import Side, keyed_order, parts_of, rotated, within_entries
from linkage.encode.pairkeys import pair_keys
from linkage.encode.tickets import TicketBook
from linkage.errors import DeniedError, MalformedMessageError
from linkage.schema import LinkageSchema, parse_schema
from linkage.ticket import DRAWN, Tickets, concatenate, read_rows, rows_of, stands_once

DEFINITION = runpy.run_path(
    str(Path(__file__).parents[1] / "vectors" / "tickets" / "generate.py"),
)
key_of, composite_of = DEFINITION["key_of"], DEFINITION["composite_of"]
bearers_of, number_of = DEFINITION["bearers_of"], DEFINITION["number_of"]
TEXT = """
    name = "t"
    exact = {names = ["nik"]}
    attributes = [
      {name = "nama", type = "name"}, {name = "tgl", type = "date"},
      {name = "kota", type = "place"},
    ]
    match = {expected_records = %d}
    block = [
      {on = ["phonetic(nama)", "year(tgl)"]}, {on = ["nama"]}, {on = ["tgl", "kota"]},
      {on = ["word(nama)", "word(kota)", "tgl"]},
    ]
"""
# So many records that tokens are long: here no two are equal by chance.
SCHEMA = parse_schema(TEXT % 500_000_000)
COPIES, WIDTH = SCHEMA.match.block_copies, SCHEMA.match.block_bytes
PARTS = parts_of(SCHEMA)
SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.sampled_from(("left", "right"))
MEETING, PARTIES = "job\0a\0b", "a\0b"
Values = NDArray[np.uint64]
WORD = 2**64


def some_values(seed: int, n: int, universe: int = 3) -> Values:
    """Values of parts that many records share, some of them missing."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, universe + 1, (n, len(PARTS)), dtype=np.uint64)


def references_of(seed: int, n: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [rng.bytes(16) for _ in range(n)]


def book_of(
    side: Side,
    references: list[bytes],
    meeting: str = MEETING,
    parties: str = PARTIES,
    schema: LinkageSchema = SCHEMA,
) -> TicketBook:
    return TicketBook(schema, key_of, meeting, parties, side, b"".join(references))


class Owner:
    """A party with its records, tickets and all."""

    def __init__(
        self,
        side: Side,
        seed: int,
        values: Values,
        meeting: str = MEETING,
        schema: LinkageSchema = SCHEMA,
    ) -> None:
        self.side, self.values = side, values
        self.references = references_of(seed, len(values))
        self.book = book_of(side, self.references, meeting, schema=schema)
        self.entries = list(self.book.tickets(values))
        self.all = concatenate(self.entries)


def composites_of(values: Values, entry: int) -> list[int | None]:
    columns = [PARTS.index(part) for part in SCHEMA.entries[entry].parts]
    return [composite_of([int(row[column]) for column in columns]) for row in values]


def meeting_by_hand(left: Owner, right: Owner) -> Counter[tuple[int, int]]:
    """How many entries bring each pair together: the first bearers of each composite do."""
    times: Counter[tuple[int, int]] = Counter()
    for entry in range(len(SCHEMA.entries)):
        bearers = []
        for owner in (left, right):
            order = [number_of(reference, f"order\0{PARTIES}") for reference in owner.references]
            bearers.append(bearers_of(composites_of(owner.values, entry), order))
        for composite in bearers[0].keys() & bearers[1].keys():
            first = (of_side[composite][:COPIES] for of_side in bearers)
            times.update(itertools.product(*first))
    return times


def met(left: Owner, right: Owner, seed: int = 1) -> MetPairs:
    entries = zip(left.entries, right.entries, strict=True)
    return met_pairs(entries, np.random.default_rng(seed))


def pairs_of(left: Owner, right: Owner, found: MetPairs) -> list[tuple[int, int]]:
    return list(
        zip(
            left.book.records(found.left).tolist(),
            right.book.records(found.right).tolist(),
            strict=True,
        )
    )


def two_owners(seed: int, n: int, m: int, universe: int = 3) -> tuple[Owner, Owner]:
    return (
        Owner("left", seed, some_values(seed, n, universe)),
        Owner("right", seed + 1, some_values(seed + 2, m, universe)),
    )


# Who meets


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 25), st.integers(1, 25))
def test_whoever_shares_a_composite_meets_once_as_the_definition_says(
    seed: int, n: int, m: int
) -> None:
    left, right = two_owners(seed, n, m)
    found = met(left, right)
    pairs = pairs_of(left, right, found)
    assert dict(zip(pairs, found.count.tolist(), strict=True)) == dict(meeting_by_hand(left, right))
    assert len(pairs) == len(set(pairs))
    # Both tickets of a pair are one token of one entry, so that both owners have one key.
    assert (found.left.entry == found.right.entry).all()
    assert (found.left.token == found.right.token).all()


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 40), SIDES)
def test_a_token_stands_once_at_its_party_and_tickets_come_in_the_order_of_tokens(
    seed: int, n: int, side: Side
) -> None:
    owner = Owner(side, seed, some_values(seed, n))
    assert len(np.unique(owner.all.token)) == len(owner.all)
    assert len(np.unique(owner.all.mark)) == len(owner.all)
    for entry, of_entry in enumerate(owner.entries):
        assert (of_entry.entry == entry).all()
        assert (np.diff(of_entry.token.astype(np.int64)) > 0).all()
        composites = composites_of(owner.values, entry)
        bearers = Counter(composite for composite in composites if composite is not None)
        expected = sum(COPIES * min(times, COPIES) for times in bearers.values())
        assert len(of_entry) == expected
    assert int(owner.all.token.max(initial=0)) < 1 << 8 * WIDTH


def test_tokens_so_short_that_some_are_equal_still_stand_once() -> None:
    schema = parse_schema(TEXT % 1)
    assert schema.match.block_bytes <= 3
    owner = Owner("left", 1, some_values(1, 8_000, 2**40), schema=schema)
    for of_entry in owner.entries:
        assert len(of_entry) < COPIES * 8_000  # some fell out
        assert stands_once(of_entry.token).all()
        assert owner.book.records(of_entry).max() < 8_000


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 20), st.integers(1, 20))
def test_the_sum_of_marks_names_a_pair_and_no_other(seed: int, n: int, m: int) -> None:
    left, right = two_owners(seed, n, m)
    sums: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    n_met = 0
    for own, other in zip(left.entries, right.entries, strict=True):
        _, i, j = np.intersect1d(own.token, other.token, return_indices=True)
        records = left.book.records(own.at(i)), right.book.records(other.at(j))
        for r, s, total in zip(*records, own.mark[i] + other.mark[j], strict=True):
            sums[int(r), int(s)].add(int(total))
            n_met += 1
    assert all(len(of_pair) == 1 for of_pair in sums.values())
    assert len(set().union(*sums.values())) == len(sums)
    assert n_met == sum(meeting_by_hand(left, right).values())


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_tickets_of_another_job_party_entry_or_side_never_meet(seed: int) -> None:
    values = some_values(seed, 30)
    one = Owner("left", seed, values)
    for meeting in ("jobb\0a\0b", "job\0a\0c", "job\0b\0c"):
        assert not len(met(one, Owner("right", seed + 1, values, meeting)))
    assert len(met(one, Owner("right", seed + 1, values)))
    right = Owner("right", seed + 1, values)
    for i, j in itertools.permutations(range(len(SCHEMA.entries)), 2):
        pair = [(one.entries[i], right.entries[j])]
        assert not len(met_pairs(pair, np.random.default_rng(1)))


def test_where_many_share_a_composite_the_same_few_meet_in_every_job() -> None:
    values = np.ones((40, len(PARTS)), np.uint64)
    pairs = []
    for job in ("j1", "j2", "j3"):
        meeting = f"{job}\0{PARTIES}"
        left, right = Owner("left", 1, values, meeting), Owner("right", 2, values, meeting)
        found = met(left, right)
        pairs.append(set(pairs_of(left, right, found)))
        assert len(found) == COPIES**2
        assert (found.count == len(SCHEMA.entries)).all()
    assert pairs[0] == pairs[1] == pairs[2]


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(0, 200), st.integers(0, 12))
def test_a_token_that_stands_twice_at_a_party_meets_nothing(seed: int, n: int, twice: int) -> None:
    rng = np.random.default_rng(seed)
    token = rng.permutation(10 * n + 1)[:n].astype(np.uint64)
    left = Tickets.of_entry(0, token, rng.integers(0, 2**63, n, dtype=np.uint64))
    right = Tickets.of_entry(0, token, rng.integers(0, 2**63, n, dtype=np.uint64))
    again = concatenate([left, left.at(np.arange(min(twice, n)))])
    assert len(met_pairs([(again, right)], rng)) == n - min(twice, n)
    assert len(met_pairs([(right, again)], rng)) == n - min(twice, n)
    assert len(met_pairs([(again, Tickets.none())], rng)) == 0


def test_the_ticket_that_stands_for_a_pair_is_drawn_from_all_that_it_shares() -> None:
    values = np.arange(1, len(PARTS) + 1, dtype=np.uint64)[None]
    left, right = Owner("left", 1, values), Owner("right", 2, values)
    times = Counter(int(met(left, right, seed).left.entry[0]) for seed in range(1_000))
    expected = 1_000 / len(SCHEMA.entries)
    assert set(times) == set(range(len(SCHEMA.entries)))
    assert max(abs(n - expected) for n in times.values()) < 6 * math.sqrt(expected)


# What an owner takes for its own


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 25), SIDES)
def test_an_owner_finds_its_record_by_every_ticket(seed: int, n: int, side: Side) -> None:
    owner = Owner(side, seed, some_values(seed, n))
    where = (MEETING, PARTIES, side)
    whose: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    for entry, name in enumerate(SCHEMA.entries):
        composites = composites_of(owner.values, entry)
        whose |= DEFINITION["tickets_of"](
            composites, (entry, str(name)), owner.references, where, COPIES, WIDTH
        )
    own = list(
        zip(
            owner.all.entry.tolist(), owner.all.token.tolist(), owner.all.mark.tolist(), strict=True
        )
    )
    assert set(own) == set(whose)
    assert owner.book.records(owner.all).tolist() == [whose[ticket][0] for ticket in own]
    # In whatever order, and after the way over the line.
    mixed = owner.all.at(np.random.default_rng(seed).permutation(len(owner.all)))
    back = Tickets.unpacked(mixed.packed(WIDTH), WIDTH)
    assert (owner.book.records(back) == owner.book.records(mixed)).all()


def altered(tickets: Tickets, how: str) -> Tickets:
    one = np.uint64(1)
    return {
        "entry": Tickets((tickets.entry + 1) % np.uint8(5), tickets.token, tickets.mark),
        "unknown entry": Tickets(tickets.entry + np.uint8(99), tickets.token, tickets.mark),
        "token": Tickets(tickets.entry, tickets.token ^ one, tickets.mark),
        "mark": Tickets(tickets.entry, tickets.token, tickets.mark ^ one),
        "mark of another": Tickets(tickets.entry, tickets.token, np.roll(tickets.mark, 1)),
        "negative mark": Tickets(tickets.entry, tickets.token, -tickets.mark),
        "no mark": Tickets(tickets.entry, tickets.token, np.zeros_like(tickets.mark)),
    }[how]


@pytest.mark.parametrize(
    "how",
    ["entry", "unknown entry", "token", "mark", "mark of another", "negative mark", "no mark"],
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_an_owner_refuses_every_altered_ticket(side: Side, how: str) -> None:
    owner = Owner(side, 3, some_values(3, 60, 2**40))
    wrong = altered(owner.all, how)
    for number in range(0, len(wrong), 7):
        with pytest.raises(DeniedError, match="FOREIGN_TICKET"):
            owner.book.records(wrong.at(slice(number, number + 1)))
    # One among many good ones is enough.
    with pytest.raises(DeniedError, match="FOREIGN_TICKET"):
        owner.book.records(concatenate([owner.all, wrong.at(slice(5, 6))]))


def test_an_owner_refuses_the_tickets_of_others() -> None:
    values = some_values(3, 60, 2**40)
    owner = Owner("left", 3, values)
    others = [
        Owner("right", 4, values),
        Owner("left", 4, values),
        Owner("left", 3, values, "job2\0a\0b"),
        Owner("left", 3, values, "job\0a\0c"),
    ]
    for other in others:
        for number in range(0, len(other.all), 11):
            with pytest.raises(DeniedError, match="FOREIGN_TICKET"):
                owner.book.records(other.all.at(slice(number, number + 1)))


def test_an_owner_without_records_has_no_ticket_and_no_draw() -> None:
    nobody = Owner("left", 1, some_values(1, 0))
    assert not len(nobody.all)
    with pytest.raises(DeniedError, match="FOREIGN_TICKET"):
        nobody.book.records(Tickets.drawn(1))


@pytest.mark.parametrize("side", ["left", "right"])
def test_draws_take_every_record_in_its_turn_in_an_order_of_the_job(side: Side) -> None:
    owner = Owner(side, 5, some_values(5, 30))
    drawn = owner.book.records(Tickets.drawn(90)).tolist()
    assert sorted(drawn[:30]) == list(range(30))
    assert drawn == drawn[:30] * 3
    other_job = book_of(side, owner.references, "job2\0a\0b").records(Tickets.drawn(30)).tolist()
    assert other_job != drawn[:30]
    other_side: Side = "left" if side == "right" else "right"
    assert book_of(other_side, owner.references).records(Tickets.drawn(30)).tolist() != drawn[:30]


def test_a_book_shows_nothing() -> None:
    assert repr(book_of("left", references_of(1, 2))) == "TicketBook(...)"


# What tickets and marks tell


def chi_squared(counts: NDArray[np.int64]) -> float:
    mean = counts.sum() / counts.size
    return float(((counts - mean) ** 2).sum() / mean)


def least_likely(degrees: int) -> float:
    return degrees + 6 * math.sqrt(2 * degrees)


@pytest.mark.parametrize("side", ["left", "right"])
def test_marks_are_uniform_and_those_of_one_record_have_nothing_in_common(side: Side) -> None:
    # Few values, so that a record's tickets share whatever they could share.
    owner = Owner(side, 7, np.repeat(some_values(7, 1_000, 2**40), 2, axis=0) + np.uint64(1))
    marks = owner.all.mark
    octets = np.ascontiguousarray(marks).view(np.uint8)
    assert chi_squared(np.bincount(octets, minlength=256)) < least_likely(255)
    # Differences of marks, of one record and of two, are as uniform as marks.
    records = owner.book.records(owner.all)
    order = np.argsort(records, kind="stable")
    same = np.diff(marks[order])[np.diff(records[order]) == 0]
    others = np.diff(marks[np.random.default_rng(1).permutation(len(marks))])
    for differences in (same, others):
        assert len(differences) > 10_000
        octets = np.ascontiguousarray(differences).view(np.uint8)
        assert chi_squared(np.bincount(octets, minlength=256)) < least_likely(255)
        assert len(np.unique(differences)) == len(differences)
    # The high bits of a token and its mark are independent, and so are neighbours' marks.
    high = (owner.all.token >> np.uint64(8 * WIDTH - 3)).astype(np.int64)
    top = (marks >> np.uint64(61)).astype(np.int64)
    assert chi_squared(np.bincount(8 * high + top, minlength=64)) < least_likely(63)
    assert chi_squared(np.bincount(8 * top[1:] + top[:-1], minlength=64)) < least_likely(63)


def places_of(owner: Owner, entry: int) -> dict[int, list[int]]:
    """The places that are taken of each composite of an entry."""
    references = b"".join(owner.references)
    order = keyed_order(references, key_of(f"order\0{PARTIES}"))
    numbers = keyed_order(references, key_of(f"numbers\0{MEETING}"))
    entries = within_entries(SCHEMA, owner.values, key_of, order)
    composites, ranks = next(itertools.islice(entries, entry, None))
    places = rotated(composites, ranks, numbers, COPIES)
    taken: dict[int, list[int]] = {}
    for record in np.flatnonzero(ranks < COPIES).tolist():
        taken.setdefault(int(composites[record]), []).append(int(places[record]))
    return taken


def test_the_place_of_a_ticket_says_nothing_of_whether_it_meets() -> None:
    # An owner knows its own place and the counterpart's of each ticket. Over many registers
    # tickets of each counterpart's place meet equally often, whatever the own place is.
    by_other, by_own = np.zeros(COPIES, np.int64), np.zeros(COPIES, np.int64)
    by_both = np.zeros((COPIES, COPIES), np.int64)
    for seed in range(400):
        n = 20
        left = places_of(Owner("left", 3 * seed, some_values(3 * seed, n, 12)), 1)
        right = places_of(Owner("right", 3 * seed + 1, some_values(3 * seed + 1, n, 12)), 1)
        for composite in left.keys() & right.keys():
            # One of a composite's tickets each, for those of one are not independent.
            i, j = left[composite][0], right[composite][-1]
            by_own[i] += 1
            by_other[j] += 1
            by_both[i, j] += 1
    assert by_other.sum() > 2_000
    assert chi_squared(by_other) < least_likely(COPIES - 1)
    assert chi_squared(by_own) < least_likely(COPIES - 1)
    assert chi_squared(by_both.ravel()) < least_likely(COPIES**2 - 1)


def test_a_record_has_unlike_places_in_its_entries_and_in_other_jobs() -> None:
    # Else an owner could tell from the common place of several tickets that they met.
    rng = np.random.default_rng(1)
    composites = rng.integers(1, 2**63, (2, 5_000), dtype=np.uint64)
    numbers = rng.integers(0, 2**64, (2, 5_000), dtype=np.uint64)
    alone = np.zeros(5_000, np.int64)
    plain = rotated(composites[0], alone, numbers[0], COPIES)
    for other in (
        rotated(composites[1], alone, numbers[0], COPIES),
        rotated(composites[0], alone, numbers[1], COPIES),
    ):
        both = np.bincount(COPIES * plain + other, minlength=COPIES**2)
        assert chi_squared(both) < least_likely(COPIES**2 - 1)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 60), st.integers(1, 5))
def test_turning_places_round_keeps_who_is_there_and_who_is_not(
    seed: int, n: int, copies: int
) -> None:
    rng = np.random.default_rng(seed)
    composites = rng.integers(1, 8, n, dtype=np.uint64)
    ranks = np.zeros(n, np.int64)
    for composite in np.unique(composites):
        own = np.flatnonzero(composites == composite)
        ranks[own] = rng.permutation(len(own))
    places = rotated(composites, ranks, rng.integers(0, 2**64, n, dtype=np.uint64), copies)
    assert (places[ranks >= copies] == ranks[ranks >= copies]).all()
    for composite in np.unique(composites):
        own = (composites == composite) & (ranks < copies)
        turns = (places[own] - ranks[own]) % copies
        assert len(set(turns.tolist())) == 1
        assert len(set(places[own].tolist())) == own.sum()
        assert places[own].max() < copies


# Keys and tags


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(2, 25))
def test_both_owners_of_a_pair_have_one_key_and_one_tag_and_no_two_pairs_one_of_them(
    seed: int, n: int
) -> None:
    left, right = two_owners(seed, n, n)
    found, key = met(left, right), key_of("pairs")
    keys = pair_keys(key, found.left)
    assert (keys == pair_keys(key, found.right)).all()
    assert len(np.unique(keys, axis=0)) == len(found)
    names = NameKeys(key_of)
    assert (names.tags(found.left) == names.tags(found.right)).all()
    assert len(np.unique(names.tags(left.all))) == len(left.all)
    # An owner that is asked about its own tickets that met nothing has other keys for them.
    theirs = {(int(e), int(t)) for e, t in zip(found.left.entry, found.left.token, strict=True)}
    alone = [
        number
        for number, (e, t) in enumerate(zip(left.all.entry, left.all.token, strict=True))
        if (int(e), int(t)) not in theirs
    ]
    both = np.concatenate([keys, pair_keys(key, left.all.at(np.array(alone, np.int64)))])
    assert len(np.unique(both, axis=0)) == len(both)
    assert len(np.unique(both.reshape(-1, 16), axis=0)) == 2 * len(both)


def test_keys_of_draws_are_of_no_ticket_and_of_another_job_others() -> None:
    tickets = Tickets.of_entry(0, np.arange(100, dtype=np.uint64), np.zeros(100, np.uint64))
    every = [
        pair_keys(key_of(job), of_kind)
        for job in ("a", "b")
        for of_kind in (
            tickets,
            Tickets.drawn(100),
            Tickets(tickets.entry + np.uint8(1), tickets.token, tickets.mark),
        )
    ]
    whole = np.concatenate(every)
    assert len(np.unique(whole, axis=0)) == len(whole)


# Layout


@given(SEEDS, st.integers(0, 30), st.integers(2, 8))
def test_tickets_come_back_from_their_bytes(seed: int, n: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    tickets = Tickets(
        rng.integers(0, 256, n).astype(np.uint8),
        rng.integers(0, 1 << 8 * width, n, dtype=np.uint64) if width < 8
        else rng.integers(0, 2**63, n, dtype=np.uint64),
        rng.integers(0, 2**64, n, dtype=np.uint64),
    )  # fmt: skip
    packed = tickets.packed(width)
    assert len(packed) == n * (1 + width + 8)
    back = Tickets.unpacked(packed, width)
    assert back.entry.tolist() == tickets.entry.tolist()
    as_uploaded = read_rows(rows_of(tickets.token, tickets.mark, width), width)
    for token, mark in ((back.token, back.mark), as_uploaded):
        assert token.tolist() == tickets.token.tolist()
        assert mark.tolist() == tickets.mark.tolist()


@given(st.integers(1, 200), st.integers(2, 8))
def test_what_is_no_whole_number_of_tickets_is_refused(n_bytes: int, width: int) -> None:
    if n_bytes % (width + 9):
        with pytest.raises(MalformedMessageError, match="whole number"):
            Tickets.unpacked(bytes(n_bytes), width)
    else:
        assert len(Tickets.unpacked(bytes(n_bytes), width)) == n_bytes // (width + 9)


@given(st.lists(st.integers(0, 12), max_size=20).map(sorted))
def test_a_token_stands_once_that_is_equal_to_no_other(tokens: list[int]) -> None:
    got = stands_once(np.array(tokens, np.uint64))
    assert got.tolist() == [tokens.count(token) == 1 for token in tokens]


# Where the design gives way


def crossing(owner_seed: int = 11) -> tuple[Owner, Owner, MetPairs]:
    """Two records of the left that both meet two of the right, and a few who do not."""
    values = np.zeros((6, len(PARTS)), np.uint64)
    values[:2, PARTS.index(SCHEMA.entries[1].parts[0])] = 9  # one name, nothing else
    values[2:] = some_values(5, 4, 2**40)
    left, right = Owner("left", owner_seed, values), Owner("right", owner_seed + 1, values)
    return left, right, met(left, right)


def difference_of_two_numbers(found: MetPairs) -> int:
    """What a matcher finds in the sums: N(r) - N(r') of two records of the left."""
    totals = [int(total) for total in found.left.mark + found.right.mark]
    for a, b, c, d in itertools.permutations(totals, 4):
        if a < b and a < c and (a - b - c + d) % WORD == 0:
            return (a - c) % WORD
    raise AssertionError("no four sums go out")


def test_four_sums_tell_a_matcher_that_two_records_meet_two() -> None:
    # Said of the design in `encode.tickets`; the next test shows what can be made of it.
    left, _, found = crossing()
    numbers = [number_of(reference, f"numbers\0{MEETING}") for reference in left.references]
    assert difference_of_two_numbers(found) in {
        (one - other) % WORD for one, other in itertools.permutations(numbers[:2], 2)
    } | {
        # Or of two records of the right: the relation is the same from either side.
        (one - other) % WORD
        for one, other in itertools.permutations(
            [number_of(r, f"numbers\0{MEETING}") for r in crossing()[1].references[:2]], 2
        )
    }


def test_a_matcher_can_turn_the_ticket_of_one_record_into_that_of_another() -> None:
    # No owner can tell: therefore the agent answers about a token once (`agent.refine`).
    left, right, found = crossing()
    by = difference_of_two_numbers(found)
    turned = 0
    for owner, own in ((left, found.left), (right, found.right)):
        plain = owner.book.records(own)
        for sign in (1, -1):
            forged = Tickets(own.entry, own.token, own.mark + np.uint64(sign * by % WORD))
            for number in range(len(forged)):
                with contextlib.suppress(DeniedError):
                    got = owner.book.records(forged.at(slice(number, number + 1)))
                    assert got[0] != plain[number]
                    turned += 1
    assert turned == 4


def test_a_draw_is_no_ticket_of_an_entry() -> None:
    assert len(SCHEMA.entries) < DRAWN
    assert (Tickets.drawn(3).entry == DRAWN).all()
