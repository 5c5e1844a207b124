"""Block and exact tokens against their definition, one value and one token at a time."""

import hashlib
import hmac
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.agent.blocktokens import block_tokens, meetings, within_pairs
from linkage.block.shared import meeting_pairs
from linkage.blockentry import BlockEntry, Part
from linkage.encode.exacttokens import ExactTokens
from linkage.encode.oncetokens import (
    BlockValues,
    Side,
    keyed_order,
    once_tokens,
    parts_of,
    within_entries,
)
from linkage.encode.weights import rarities
from linkage.normalise.attributes import normalise_column
from linkage.normalise.columns import FlaggedColumn
from linkage.normalise.phonetic import phonetic_key
from linkage.schema import parse_schema

# So many records that tokens have 5 bytes: here no two are equal by chance.
SCHEMA = parse_schema(
    """
    name = "p"
    exact = {names = ["nik", "surel"]}
    attributes = [
      {name = "nama", type = "name"}, {name = "ibu", type = "mother_name"},
      {name = "tgl", type = "date"}, {name = "jk", type = "sex"},
      {name = "kota", type = "place"}, {name = "surel", type = "email"},
    ]
    match = {expected_records = 500_000_000, rounds = 1}
    block = [
      {on = ["phonetic(nama)", "year(tgl)"]},
      {on = ["monthday(tgl)", "word(nama)"]},
      {on = ["tgl", "jk"]},
      {on = ["phonetic(nama, ibu)", "year(tgl)", "jk"]},
      {on = ["word(nama, ibu)", "phonetic(kota)"]},
      {on = ["nama", "word(kota)"]},
      {on = ["kota", "surel"]},
    ]
    """
)
COPIES, WIDTH = SCHEMA.match.block_copies, SCHEMA.match.block_bytes
PARTS = parts_of(SCHEMA)
NAMES = ("", "ALI", "SITI AMINAH", "MUHAMMAD RIZKI", "RIZKY MUHAMAD", "WAYAN GEDE OKA", "M ALI")
DATES = ("", "1990-05-04", "1990-04-05", "1951-07-01", "1960-05-15", "1990")
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "nama": st.sampled_from(NAMES),
            "ibu": st.sampled_from(NAMES),
            "tgl": st.sampled_from(DATES),
            "jk": st.sampled_from(("L", "P", "")),
            "kota": st.sampled_from(("", "BOGOR", "KAB BOGOR", "KOTA BARU", "JAYAPURA")),
            "surel": st.sampled_from(("", "a.b@c.id", "b@c.id")),
            "nik": st.sampled_from(("", "0012344705900001", "0012340705900001", "123")),
        }
    ),
    min_size=1,
    max_size=8,
)
SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.sampled_from(("left", "right"))
NOISE = 0xAB


def key_of(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


class Keys:
    """Keys by their labels, as the agent's linkage key gives them."""

    block_key = staticmethod(key_of)


def noise(n_bytes: int) -> bytes:
    return bytes([NOISE]) * n_bytes


def columns_of(rows: Sequence[dict[str, str]]) -> dict[str, FlaggedColumn]:
    return {
        a.name: normalise_column([row[a.name] for row in rows], a.type) for a in SCHEMA.attributes
    }


# The definition, one value at a time.


def hashed(function: str, value: str) -> int:
    digest = hmac.new(key_of("values"), f"{function}\0{value}".encode(), "sha256").digest()
    return int.from_bytes(digest[:8], "little")


def words_with_classes(column: FlaggedColumn, record: int) -> list[tuple[str, int]]:
    number = {word: i for i, word in enumerate(column.vocabulary)}
    return [(word, int(column.classes[number[word]])) for word in column.words_of(record)]


def telling(name: str, word: str, of_class: int) -> float:
    """Rarity of a word of a name, next to none for birth order and initials; else its length."""
    attribute = next(a for a in SCHEMA.attributes if a.name == name)
    if attribute.of_type.kind != "name":
        return float(len(word))
    return float(rarities([word], attribute)[0]) * (1.0, 1.0, 0.1, 0.05)[of_class]


def value_of(part: Part, columns: dict[str, FlaggedColumn], record: int) -> int:
    """The hashed value of one part of one record; 0 for none."""
    words = [
        (name, word, of_class)
        for name in part.attributes
        for word, of_class in words_with_classes(columns[name], record)
    ]
    if part.function == "phonetic":
        return sum({hashed("sound", phonetic_key(word)) for _, word, _ in words}) % 2**64
    if part.function == "word":
        ranked = [(-telling(*word), hashed("sound", phonetic_key(word[1]))) for word in words]
        return min(ranked)[1] if len(words) > 1 else 0
    if part.attributes != ("tgl",):
        return sum({hashed("word", word) for _, word, _ in words}) % 2**64
    if len(words) != 1:
        return 0
    _, word, of_class = words[0]
    sure = of_class == 0 and word[5:7].isdecimal() and word[8:10].isdecimal()
    text = {
        "year": word[:4],
        "monthday": "/".join(sorted((word[5:7], word[8:10]))) if sure else "",
        "value": word if sure else "",
    }[part.function]
    return hashed(part.function, text) if text else 0


def encrypted(key: bytes, one: int, other: int) -> bytes:
    block = one.to_bytes(8, "little") + other.to_bytes(8, "little")
    return Cipher(AES256(key), ECB()).encryptor().update(block)  # noqa: S305 -- as defined


def composite_of(values: Sequence[int]) -> int | None:
    """What the values of all parts of an entry are together; none where one is missing."""
    if not all(values):
        return None
    mixed = values[0]
    for value in values[1:]:
        mixed = int.from_bytes(encrypted(key_of("composites"), mixed, value)[:8], "little")
    return mixed


def composites_of(values: NDArray[np.uint64], entry: BlockEntry) -> list[int | None]:
    columns = [PARTS.index(part) for part in entry.parts]
    return [composite_of([int(row[column]) for column in columns]) for row in values]


def token_of(meeting: str, entry: BlockEntry, composite: int, left: int, right: int) -> bytes:
    key = key_of(f"{meeting}\0{entry}")
    return encrypted(key, composite, left << 8 | right)[:WIDTH]


def met_by_hand(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> set[tuple[int, int]]:
    whose: defaultdict[bytes, set[int]] = defaultdict(set)
    for j, own in enumerate(right):
        for token in own:
            whose[token.tobytes()].add(j)
    return {(i, j) for i, own in enumerate(left) for token in own for j in whose[token.tobytes()]}


def some_values(seed: int, n: int, universe: int = 3) -> NDArray[np.uint64]:
    """Values of parts that many records share, some of them missing."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, universe + 1, (n, len(PARTS)), dtype=np.uint64)


def tokens_of(
    values: NDArray[np.uint64], side: Side, seed: int, meeting: str = "job\0a\0b"
) -> list[NDArray[np.uint8]]:
    random_bytes = np.random.default_rng(seed).bytes
    order = np.random.default_rng(seed).permutation(len(values)).astype(np.uint64)
    return list(once_tokens(SCHEMA, values, key_of, meeting, side, order, random_bytes))


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_values_are_those_of_the_definition(rows: list[dict[str, str]]) -> None:
    columns = columns_of(rows)
    got = BlockValues(SCHEMA, key_of).of(columns)
    expected = [[value_of(part, columns, record) for part in PARTS] for record in range(len(rows))]
    assert got.dtype == np.uint64
    assert got.tolist() == expected


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_and_the_chunks_of_records_change_no_value(
    rows: list[dict[str, str]], random: object
) -> None:
    whole = BlockValues(SCHEMA, key_of).of(columns_of(rows))
    one_by_one = BlockValues(SCHEMA, key_of)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for record in order:
        assert (one_by_one.of(columns_of([rows[record]]))[0] == whole[record]).all()


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 30), SIDES)
def test_composites_and_tokens_are_those_of_the_definition(seed: int, n: int, side: Side) -> None:
    values = some_values(seed, n)
    order = np.random.default_rng(seed).permutation(n).astype(np.uint64)
    made = once_tokens(SCHEMA, values, key_of, "m", side, order, noise)
    for entry, tokens in zip(SCHEMA.block_entries, made, strict=True):
        assert tokens.shape == (n, COPIES, WIDTH)
        sharing: defaultdict[int, list[int]] = defaultdict(list)
        for record, composite in enumerate(composites_of(values, entry)):
            if composite is None:
                assert (tokens[record] == NOISE).all()
            else:
                sharing[composite].append(record)
        for composite, records in sharing.items():
            got = {r: [t.tobytes() for t in tokens[r]] for r in records}
            silent = [r for r in records if (tokens[r] == NOISE).all()]
            assert len(silent) == max(len(records) - COPIES, 0)
            # Numbered by their order; those beyond the copies are silent.
            records.sort(key=lambda record: int(order[record]))
            for own, record in enumerate(records[:COPIES]):
                pairs = [(own, k) if side == "left" else (k, own) for k in range(COPIES)]
                assert got[record] == [token_of("m", entry, composite, *pair) for pair in pairs]
            assert sorted(silent) == sorted(records[COPIES:])


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(0, 60))
def test_the_records_that_share_a_composite_are_numbered_each_once(seed: int, n: int) -> None:
    values = some_values(seed, n)
    order = np.random.default_rng(seed).permutation(n).astype(np.uint64)
    entries = within_entries(SCHEMA, values, key_of, order)
    for entry, (composites, numbers) in zip(SCHEMA.block_entries, entries, strict=True):
        expected = composites_of(values, entry)
        given_to: defaultdict[int, list[int]] = defaultdict(list)
        for composite, number, own in zip(composites, numbers, expected, strict=True):
            if own is None:
                assert number >= 2**62
            else:
                assert composite == own
                given_to[own].append(int(number))
        for of_composite in given_to.values():
            assert sorted(of_composite) == list(range(len(of_composite)))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(0, 60), SIDES)
def test_no_token_stands_twice_at_one_party(seed: int, n: int, side: Side) -> None:
    values = some_values(seed, n)
    every = [t.reshape(-1, WIDTH) for t in tokens_of(values, side, seed)]
    counts = Counter(row.tobytes() for tokens in every for row in tokens)
    # Among all entries, noise included: that is random and as long as a token.
    assert max(counts.values(), default=1) == 1
    assert sum(counts.values()) == n * COPIES * len(SCHEMA.block_entries)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(0, 40), st.integers(0, 40))
def test_of_each_composite_so_many_pairs_meet_as_there_are_copies(
    seed: int, n: int, m: int
) -> None:
    left, right = some_values(seed, n), some_values(seed + 1, m)
    ours, theirs = tokens_of(left, "left", seed + 2), tokens_of(right, "right", seed + 3)
    for entry, own, other in zip(SCHEMA.block_entries, ours, theirs, strict=True):
        of_left, of_right = composites_of(left, entry), composites_of(right, entry)
        met = met_by_hand(own, other)
        assert all(of_left[i] == of_right[j] is not None for i, j in met)
        in_left, in_right, found = Counter(of_left), Counter(of_right), Counter[int | None]()
        found.update(of_left[i] for i, _ in met)
        for composite in set(of_left) - {None}:
            expected = min(COPIES, in_left[composite]) * min(COPIES, in_right[composite])
            assert found[composite] == expected
        # The matcher finds these pairs and no other.
        pairs = meeting_pairs(own, other)
        assert pairs.tolist() == sorted(i << 32 | j for i, j in met)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_records_changes_nothing_in_who_may_meet(seed: int, random: object) -> None:
    # At most `COPIES` share a composite: all of them meet, whatever the order is.
    left = np.repeat(some_values(seed, 12, universe=2**40), COPIES, axis=0)
    right = left[::2]
    orders = [list(range(len(side))) for side in (left, right)]
    for order in orders:
        random.shuffle(order)  # type: ignore[attr-defined]
    plain = zip(tokens_of(left, "left", 1), tokens_of(right, "right", 2), strict=True)
    mixed = zip(
        tokens_of(left[orders[0]], "left", 3), tokens_of(right[orders[1]], "right", 4), strict=True
    )
    for (own, other), (own_mixed, other_mixed) in zip(plain, mixed, strict=True):
        back = {(orders[0][i], orders[1][j]) for i, j in met_by_hand(own_mixed, other_mixed)}
        assert back == met_by_hand(own, other)


def test_whom_many_share_is_drawn_anew_and_each_has_its_turn() -> None:
    values = np.ones((12, len(PARTS)), dtype=np.uint64)
    other = np.ones((1, len(PARTS)), dtype=np.uint64)
    met: Counter[int] = Counter()
    for seed in range(200):
        ours, theirs = tokens_of(values, "left", seed), tokens_of(other, "right", seed + 1000)
        pairs = met_by_hand(ours[0], theirs[0])
        assert len(pairs) == COPIES
        met.update(i for i, _ in pairs)
    # 200 draws of 3 out of 12: each is met 50 times, with deviation 6.1.
    assert set(met) == set(range(12))
    assert max(abs(times - 50) for times in met.values()) < 6 * 6.2


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_tokens_of_another_job_party_entry_or_side_never_meet(seed: int) -> None:
    values = some_values(seed, 40)
    names = ["job\0a\0b", "jobb\0a\0b", "job\0a\0c", "job\0b\0c"]
    every: list[tuple[str, list[NDArray[np.uint8]]]] = [
        (name, tokens_of(values, "left", seed + n, name)) for n, name in enumerate(names)
    ]
    right = tokens_of(values, "right", seed + 9, names[0])
    for name, tokens in every:
        for number, own in enumerate(tokens):
            for other_number, other in enumerate(right):
                same = name == names[0] and number == other_number
                assert bool(met_by_hand(own, other)) == same or (
                    same and not any(composites_of(values, SCHEMA.block_entries[number]))
                )
    for (_, one), (_, two) in combinations(every, 2):
        assert not any(met_by_hand(own, other) for own in one for other in two)


def test_tokens_of_a_record_without_values_are_new_random_bytes_each_time() -> None:
    nobody = np.zeros((200, len(PARTS)), dtype=np.uint64)
    drawn = [tokens_of(nobody, "left", seed) for seed in (1, 2)]
    for one, two in zip(*drawn, strict=True):
        assert not met_by_hand(one, two)
    rows = np.concatenate([tokens.reshape(-1, WIDTH) for tokens in drawn[0]])
    assert len(np.unique(rows, axis=0)) == len(rows)
    # Every byte value is about equally frequent: chi-squared with 255 degrees of freedom.
    counts = np.bincount(rows.ravel(), minlength=256)
    mean = rows.size / 256
    assert float(((counts - mean) ** 2).sum() / mean) < 255 + 6 * (2 * 255) ** 0.5


def test_tokens_of_values_look_as_random_as_noise() -> None:
    values = np.arange(1, 200 * len(PARTS) + 1, dtype=np.uint64).reshape(200, len(PARTS))
    rows = np.concatenate([t.reshape(-1, WIDTH) for t in tokens_of(values, "left", 1)])
    counts = np.bincount(rows.ravel(), minlength=256)
    mean = rows.size / 256
    assert float(((counts - mean) ** 2).sum() / mean) < 255 + 6 * (2 * 255) ** 0.5


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(0, 60))
def test_inside_one_party_as_many_of_a_composite_meet(seed: int, n: int) -> None:
    values = some_values(seed, n)
    made = within_pairs(SCHEMA, Keys(), values)  # type: ignore[arg-type]
    for entry, pairs in zip(SCHEMA.block_entries, made, strict=True):
        composites = composites_of(values, entry)
        got = [(int(pair) >> 32, int(pair) & 0xFFFFFFFF) for pair in pairs]
        assert got == sorted(set(got))
        found: Counter[int | None] = Counter()
        for i, j in got:
            assert i < j
            assert composites[i] == composites[j] is not None
            found[composites[i]] += 1
        for composite, times in Counter(composites).items():
            if composite is not None:
                # Nothing is sent, so that twice as many may meet.
                most = min(times, 2 * COPIES + 1)
                assert found[composite] == most * (most - 1) // 2


@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=5, unique=True))
def test_both_parties_name_their_meeting_alike_and_no_two_meetings_are_named_alike(
    parties: list[str],
) -> None:
    named: defaultdict[str, list[tuple[str, Side]]] = defaultdict(list)
    for party in parties:
        own = meetings("j1", party, parties)
        assert len(own) == len(parties) - 1
        for name, side in own:
            named[name].append((party, side))
    assert len(named) == len(parties) * (len(parties) - 1) // 2
    for both in named.values():
        assert sorted(both, key=lambda who: parties.index(who[0])) == [
            (party, side)
            for party, side in zip(
                [p for p in parties if p in dict(both)], ("left", "right"), strict=True
            )
        ]
    assert not set(named) & {name for name, _ in meetings("j2", parties[0], parties)}


@given(st.binary(max_size=128), st.binary(min_size=32, max_size=32))
def test_the_order_of_records_is_that_of_the_definition(content: bytes, key: bytes) -> None:
    references = content[: len(content) // 16 * 16]
    expected = [
        int.from_bytes(
            encrypted(key, *np.frombuffer(references[i : i + 16], "<u8").tolist())[:8], "little"
        )
        for i in range(0, len(references), 16)
    ]
    assert keyed_order(references, key).tolist() == expected


def test_the_same_records_meet_in_every_job_and_others_those_of_another_party() -> None:
    # All share every composite: who meets is a matter of the order alone.
    values = np.ones((40, len(PARTS)), dtype=np.uint64)
    references = np.random.default_rng(1).bytes(16 * 40)
    one = values[:1]

    def met(job: str, other: str, order: list[int]) -> set[int]:
        own = b"".join(references[16 * r : 16 * r + 16] for r in order)
        ours = next(block_tokens(SCHEMA, Keys(), values, meetings(job, "a", ("a", other)), own))  # type: ignore[arg-type]
        theirs = next(block_tokens(SCHEMA, Keys(), one, meetings(job, other, ("a", other))))  # type: ignore[arg-type]
        return {order[i] for i, _ in met_by_hand(ours, theirs)}

    plain = list(range(40))
    first = met("j1", "b", plain)
    assert len(first) == COPIES
    # Whatever the job, and the order of the source.
    assert first == met("j2", "b", plain) == met("j3", "b", plain[::-1])
    others = [met("j1", other, plain) for other in ("c", "d", "e")]
    assert len({frozenset(found) for found in (first, *others)}) > 1


def test_tokens_come_meeting_by_meeting_and_entry_by_entry() -> None:
    values = some_values(3, 10)
    with_whom = meetings("j", "b", ("a", "b", "c"))
    assert [side for _, side in with_whom] == ["right", "left"]
    got = list(block_tokens(SCHEMA, Keys(), values, with_whom))  # type: ignore[arg-type]
    n_entries = len(SCHEMA.block_entries)
    assert len(got) == 2 * n_entries
    for place, (name, side) in enumerate(with_whom):
        other: Side = "left" if side == "right" else "right"
        theirs = tokens_of(values, other, 5, name)
        for number, tokens in enumerate(theirs):
            assert met_by_hand(got[place * n_entries + number], tokens)


@given(ROWS)
def test_exact_tokens_are_those_of_the_definition(rows: list[dict[str, str]]) -> None:
    columns = columns_of(rows)
    got = ExactTokens(SCHEMA, key_of, noise).tokens(columns)
    assert got.shape == (len(rows), 2, 16)
    for record in range(len(rows)):
        for slot, name in enumerate(("nik", "surel")):
            value = " ".join(sorted(columns[name].words_of(record)))
            space = {"nik": "nik", "surel": "email"}[name]
            expected = hmac.new(key_of(space), value.encode(), "sha256").digest()[:16]
            assert bytes(got[record, slot]) == (expected if value else noise(16))


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_and_the_chunks_of_records_change_no_exact_token(
    rows: list[dict[str, str]], random: object
) -> None:
    whole = ExactTokens(SCHEMA, key_of, noise).tokens(columns_of(rows))
    one_by_one = ExactTokens(SCHEMA, key_of, noise)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for record in order:
        assert (one_by_one.tokens(columns_of([rows[record]]))[0] == whole[record]).all()


def test_exact_tokens_of_absent_values_are_random() -> None:
    empty = dict.fromkeys(("nama", "ibu", "tgl", "jk", "kota", "surel", "nik"), "")
    columns = columns_of([empty] * 400)
    exact = ExactTokens(SCHEMA, key_of, np.random.default_rng(1).bytes).tokens(columns)
    assert len(np.unique(exact.reshape(-1, 16), axis=0)) == 800


def test_what_holds_keyed_values_shows_nothing() -> None:
    assert repr(BlockValues(SCHEMA, key_of)) == "BlockValues(...)"
    assert repr(ExactTokens(SCHEMA, key_of, noise)) == "ExactTokens(...)"
