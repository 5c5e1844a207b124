"""Names under shares, against their definition: what opens, what does not, what a share says."""

import itertools
import math
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.encode.names import NameKeys
from linkage.encode.oncetokens import Side
from linkage.engine.disclosure import Opened, open_pairs, share_out
from linkage.errors import MalformedMessageError
from linkage.namerow import N_BANDS, NameForm, packed_steps, unpacked_steps
from linkage.ticket import Tickets

DEFINITION = runpy.run_path(
    str(Path(__file__).parents[1] / "vectors" / "tickets" / "generate.py"),
)
KEY, CHECK_KEY = bytes(range(32)), bytes(range(16))
SEEDS = st.integers(0, 2**32 - 1)
N_STEPS = 5


def keys_of(key: bytes = KEY) -> NameKeys:
    return NameKeys(lambda what: DEFINITION["name_key"](key, what))


def drawing(seed: int) -> Callable[[int], bytes]:
    rng = np.random.default_rng(seed)
    return lambda n: rng.bytes(n)


@dataclass
class Asked:
    """Questions to two owners, each of whose records has a reference."""

    bands: NDArray[np.uint8]
    steps: NDArray[np.int8]
    asks: dict[Side, NDArray[np.bool_]]
    tickets: Tickets
    references: dict[Side, NDArray[np.uint8]]
    shares: dict[Side, NDArray[np.void]]

    def __init__(self, seed: int, n: int, *, told: bool) -> None:
        rng = np.random.default_rng(seed)
        asked = rng.integers(0, 4, n)
        self.asks = {"left": asked != 1, "right": asked != 2}
        both = self.asks["left"] & self.asks["right"]
        self.bands = np.where(both, rng.integers(0, N_BANDS + 1, n), 0).astype(np.uint8)
        self.steps = rng.integers(0, 4, (n, N_STEPS)).astype(np.int8)
        self.tickets = Tickets(
            rng.integers(0, 4, n).astype(np.uint8),
            np.arange(n, dtype=np.uint64) * np.uint64(7),
            rng.integers(0, 2**63, n, dtype=np.uint64),
        )
        self.references = {
            "left": rng.integers(0, 256, (n, 16)).astype(np.uint8),
            "right": rng.integers(0, 256, (n, 16)).astype(np.uint8),
        }
        packed = packed_steps(self.steps, CHECK_KEY) if told else np.zeros((n, 0), np.uint8)
        self.form = NameForm(packed.shape[1])
        left, right = share_out(self.bands, packed, drawing(seed + 1))
        self.shares = {"left": left, "right": right}

    def rows(self, side: Side) -> NDArray[np.void]:
        """The rows of an owner, in the order in which it sends them."""
        own, keys = np.flatnonzero(self.asks[side]), keys_of()
        tags = keys.tags(self.tickets.at(own))
        rows = keys.rows(side, tags, self.shares[side][own], self.references[side][own])
        return rows[np.argsort(rows["tag"])]

    def opened(self, seed: int = 1) -> Opened:
        rng = np.random.default_rng(seed)
        return open_pairs(*(in_pieces(self.rows(s), rng) for s in ("left", "right")), self.form)


def in_pieces(rows: NDArray[np.void], rng: np.random.Generator) -> Iterator[NDArray[np.void]]:
    cuts = np.sort(rng.integers(0, len(rows) + 1, 5))
    yield from np.split(rows, cuts)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(0, 40), st.booleans())
def test_exactly_the_likely_pairs_open_in_their_bands(seed: int, n: int, told: bool) -> None:
    asked = Asked(seed, n, told=told)
    opened = asked.opened(seed)
    tags = keys_of().tags(asked.tickets)
    likely = np.flatnonzero(asked.bands)
    likely = likely[np.argsort(tags[likely])]
    assert opened.tag.tolist() == tags[likely].tolist()
    assert opened.band.tolist() == asked.bands[likely].tolist()
    assert (opened.left == asked.references["left"][likely]).all()
    assert (opened.right == asked.references["right"][likely]).all()
    if told:
        packed = keys_of().steps(opened.tag, opened.steps)
        steps, whole = unpacked_steps(packed, N_STEPS, CHECK_KEY)
        assert whole.all()
        assert (steps == asked.steps[likely]).all()


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 12), st.booleans())
def test_rows_and_what_opens_are_those_of_the_definition(seed: int, n: int, told: bool) -> None:
    asked = Asked(seed, n, told=told)
    plain: dict[str, dict[int, bytes]] = {"left": {}, "right": {}}
    for side in ("left", "right"):
        for i in np.flatnonzero(asked.asks[side]).tolist():
            tag = DEFINITION["tag_of"](
                KEY, int(asked.tickets.entry[i]), int(asked.tickets.token[i])
            )
            share = asked.shares[side][i]
            plain[side][tag] = DEFINITION["name_row"](
                KEY,
                side,
                tag,
                ([int(share["own"]), *share["opens"].tolist()], share["steps"].tobytes()),
                asked.references[side][i].tobytes(),
            )
        assert b"".join(plain[side][tag] for tag in sorted(plain[side])) == (
            asked.rows(side).tobytes()
        )
    found = {
        tag: opens
        for tag in sorted(plain["left"].keys() & plain["right"].keys())
        if (opens := DEFINITION["opened"](plain["left"][tag], plain["right"][tag]))
    }
    opened = asked.opened()
    assert list(found) == opened.tag.tolist()
    assert list(found.values()) == [
        (int(band), left.tobytes(), right.tobytes())
        for band, left, right in zip(opened.band, opened.left, opened.right, strict=True)
    ]


def by(d: int) -> Callable[[NDArray[np.uint64]], NDArray[np.uint64]]:
    """Words that an owner computes from all four of its own, shape (n, 4)."""
    return lambda words: words + np.uint64(d % 2**64)


def own_by(d: int) -> Callable[[NDArray[np.uint64]], NDArray[np.uint64]]:
    return lambda words: np.column_stack([words[:, :1] + np.uint64(d % 2**64), words[:, 1:]])


# What an owner could make of its words: each place with what stands there then.
COMPUTED = {
    **{f"all by {d}": by(d) for d in (1, -1, 2, -2, 3, -3)},
    **{f"own by {d}": own_by(d) for d in (1, -1, 2, -2, 3, -3)},
    **{
        "".join(map(str, places)): lambda words, places=places: words[:, places]
        for places in itertools.product(range(4), repeat=4)
        if places != (0, 1, 2, 3)
    },
}


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_owner_that_computes_with_its_words_opens_no_pair_that_was_not_dealt(side: Side) -> None:
    """Nor one in another band: it may close its own, and no more."""
    asked = Asked(3, 120, told=False)
    dealt = pairs_of(asked.opened())
    assert len(dealt) > 20
    given = asked.shares[side]
    for how, computed in COMPUTED.items():
        words = computed(np.column_stack([given["own"], given["opens"]]))
        asked.shares[side] = given.copy()
        asked.shares[side]["own"], asked.shares[side]["opens"] = words[:, 0], words[:, 1:]
        assert pairs_of(asked.opened()) <= dealt, how


def pairs_of(opened: Opened) -> set[tuple[int, int]]:
    """The tags and bands of pairs."""
    return set(zip(opened.tag.tolist(), opened.band.tolist(), strict=True))


def test_no_word_of_a_pair_is_equal_but_the_two_that_open_it() -> None:
    asked = Asked(3, 400, told=False)
    left, right = (
        np.column_stack([asked.shares[side]["own"], asked.shares[side]["opens"]])
        for side in ("left", "right")
    )
    for ours, theirs, band in zip(left.tolist(), right.tolist(), asked.bands.tolist(), strict=True):
        assert len({*ours}) == len({*theirs}) == 4
        expected = {ours[0], ours[band]} if band else set()
        assert {*ours} & {*theirs} == expected
        assert not band or (ours[0], ours[band]) == (theirs[band], theirs[0])


def test_rows_of_pairs_that_are_closed_have_nothing_in_common_but_their_tags() -> None:
    asked = Asked(4, 400, told=True)
    left, right = asked.rows("left"), asked.rows("right")
    _, i, j = np.intersect1d(left["tag"], right["tag"], return_indices=True)
    likely = np.isin(left["tag"][i], asked.opened().tag)
    assert 50 < likely.sum() < len(i) - 50
    # All words of 8 bytes but the first, which is the tag, and the rest of the steps.
    words = [rows.view(np.uint8).reshape(len(rows), -1)[:, 8:112] for rows in (left[i], right[j])]
    words = [np.ascontiguousarray(part).view("<u8") for part in words]
    closed = [part[~likely].ravel() for part in words]
    assert len(np.unique(np.concatenate(closed))) == sum(map(len, closed))
    opens = [part[likely].ravel() for part in words]
    # Of a pair that opens two checks are equal, one at either owner.
    assert len(np.unique(np.concatenate(opens))) == sum(map(len, opens)) - 2 * likely.sum()


@pytest.mark.parametrize("field", ["check", "reference", "seal", "checks", "masks"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_row_that_is_spoilt_closes_its_pair_and_opens_no_other_reference(
    side: Side, field: str
) -> None:
    asked = Asked(7, 100, told=True)
    whole: dict[Side, NDArray[np.void]] = {"left": asked.rows("left"), "right": asked.rows("right")}
    honest = open_pairs([whole["left"]], [whole["right"]], asked.form)
    rng, spoilt = np.random.default_rng(7), whole[side].copy()
    likely = np.flatnonzero(np.isin(spoilt["tag"], honest.tag))
    assert len(likely) > 20
    row = int(likely[3])
    band = int(honest.band[honest.tag == spoilt["tag"][row]][0])
    part = spoilt[field][row : row + 1]
    part = part[:, band - 1] if field in {"checks", "masks"} else part
    # One bit of it.
    content = part.view(np.uint8).reshape(-1)
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    assert (spoilt != whole[side]).sum() == 1
    whole[side] = spoilt
    opened = open_pairs([whole["left"]], [whole["right"]], asked.form)
    kept = honest.at(honest.tag != spoilt["tag"][row])
    for name in ("left", "right", "band", "tag"):
        assert (getattr(opened, name) == getattr(kept, name)).all()


def test_an_owner_alone_opens_nothing() -> None:
    asked = Asked(5, 200, told=False)
    for side in ("left", "right"):
        whole = {"left": asked.rows("left"), "right": asked.rows("right")}
        whole[side] = whole[side].copy()
        whole[side]["checks"] ^= np.uint64(1)
        assert len(open_pairs([whole["left"]], [whole["right"]], asked.form)) == 0
    under_other = keys_of(bytes(32)).tags(asked.tickets)
    assert not np.isin(under_other, keys_of().tags(asked.tickets)).any()


# What a share says


def test_left_gets_the_same_bytes_whatever_is_likely() -> None:
    n, rng = 500, np.random.default_rng(1)
    streams = set()
    for bands in (np.zeros(n), np.full(n, 3), rng.integers(0, 4, n)):
        for steps in (np.zeros((n, 6)), rng.integers(0, 256, (n, 6))):
            left, _ = share_out(bands.astype(np.uint8), steps.astype(np.uint8), drawing(9))
            streams.add(left.tobytes())
    assert len(streams) == 1


def chi_squared(counts: NDArray[np.int64]) -> float:
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("band", [0, 1, 3])
def test_what_right_gets_is_uniform_whatever_is_likely(band: int) -> None:
    n = 40_000
    steps = np.full((n, 6), 0b10, np.uint8)
    _, right = share_out(np.full(n, band, np.uint8), steps, drawing(band))
    content = right.view(np.uint8).reshape(n, -1)
    for place in range(content.shape[1]):
        found = chi_squared(np.bincount(content[:, place], minlength=256))
        # Six deviations of a chi-squared number with 255 degrees of freedom.
        assert found < 255 + 6 * math.sqrt(2 * 255)
    # Nor do neighbours say anything of one another.
    parity = content[:, 0] & 1
    assert abs(float((parity[1:] == parity[:-1]).mean()) - 0.5) < 6 / (2 * math.sqrt(n))


def test_the_order_of_rows_says_nothing_of_the_order_of_questions() -> None:
    tags = keys_of().tags(Asked(6, 4_000, told=False).tickets)
    assert len(np.unique(tags)) == len(tags)
    # Spearman's correlation of strangers has deviation 1 / sqrt(n).
    correlation = np.corrcoef(np.argsort(tags), np.arange(len(tags)))[0, 1]
    assert abs(correlation) < 6 / math.sqrt(len(tags))


# Steps


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(0, 12), st.integers(0, 40))
def test_steps_come_back_and_no_changed_one_does(seed: int, n: int, n_steps: int) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, 4, (n, n_steps)).astype(np.int8)
    packed = packed_steps(steps, CHECK_KEY)
    assert packed.shape == (n, NameForm.of_steps(n_steps).steps_bytes)
    back, whole = unpacked_steps(packed, n_steps, CHECK_KEY)
    assert (back == steps).all()
    assert whole.all()
    if n:
        changed, which = packed.copy(), rng.integers(n)
        changed[which, rng.integers(packed.shape[1])] ^= 1 << rng.integers(8)
        back, whole = unpacked_steps(changed, n_steps, CHECK_KEY)
        assert np.flatnonzero(~whole).tolist() == [which]
        assert (back[whole] == steps[whole]).all()


def test_what_is_no_whole_number_of_shares_or_rows_is_refused() -> None:
    form = NameForm(6)
    for read, width in ((form.shares, 38), (form.rows, 118)):
        assert len(read(bytes(3 * width))) == 3
        with pytest.raises(MalformedMessageError, match="whole number"):
            read(bytes(3 * width - 1))
