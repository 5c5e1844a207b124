"""Shares of a key-encryption key: enough give it back, too few give nothing, and say so."""

import itertools
import json
import os
from pathlib import Path

import pytest

pytest.importorskip(
    "shamir_mnemonic", reason="needs shamir-mnemonic: pip install 'padan[recovery]'"
)

from keys.errors import KeysError, KeystoreError
from keys.keystore import new_header, write_keystore
from keys.providers import FileProvider, write_new_file
from keys.recovery import (
    Group,
    Plan,
    format_transcript,
    join_shares,
    key_fingerprint,
    parse_group,
    read_splittable_key,
    share_digest,
    split_key,
    verify_share,
)

KEY = bytes(range(100, 132))
THREE_OF_FIVE = Plan((Group(3, 5),))
# Two agencies of three, each two officers of three.
TWO_LEVELS = Plan((Group(2, 3),) * 3, groups_needed=2)

# SLIP-0039, vector 4: basic sharing 2-of-3 of 128 bits; not made by the code under test.
PUBLISHED = (
    """shadow pistol academic always adequate wildlife fancy gross oasis cylinder mustang wrist
    rescue view short owner flip making coding armed""",
    """shadow pistol academic acid actress prayer class unknown daughter sweater depict flip twice
    unkind craft early superior advocate guest smoking""",
)


def key_file(folder: Path, content: bytes = KEY) -> Path:
    write_new_file(folder / "own-kek", content)
    return folder / "own-kek"


def test_any_three_of_five_give_the_key_back() -> None:
    (shares,) = split_key(KEY, THREE_OF_FIVE)
    assert len(shares) == 5
    assert {len(share.split()) for share in shares} == {33}
    for some in itertools.permutations(shares, 3):
        assert join_shares(some) == KEY


def test_more_than_enough_are_no_harm() -> None:
    (shares,) = split_key(KEY, THREE_OF_FIVE)
    assert join_shares(shares) == KEY
    assert join_shares([*shares[:3], shares[0]]) == KEY


@pytest.mark.parametrize("n_shares", [1, 2])
def test_too_few_are_told(n_shares: int) -> None:
    (shares,) = split_key(KEY, THREE_OF_FIVE)
    with pytest.raises(KeysError, match=f"too few shares: group 1 has {n_shares} of the 3"):
        join_shares(shares[:n_shares])
    with pytest.raises(KeysError, match=f"group 1 has {n_shares} of the 3"):
        join_shares([*shares[:n_shares], shares[0]])  # one brought twice is one


def test_two_groups_of_three_are_needed_each_with_two() -> None:
    groups = split_key(KEY, TWO_LEVELS)
    assert [len(group) for group in groups] == [3, 3, 3]
    for one, other in itertools.combinations(groups, 2):
        assert join_shares([*one[:2], *other[1:]]) == KEY
    assert join_shares([share for group in groups for share in group]) == KEY
    with pytest.raises(KeysError, match=r"group 1 has 3 of the 2 .* complete groups needed: 2"):
        join_shares(groups[0])
    with pytest.raises(KeysError, match="group 2 has 1 of the 2 it needs"):
        join_shares([*groups[0], groups[1][0], groups[2][0]])


def test_a_share_is_read_however_it_is_spaced() -> None:
    (shares,) = split_key(KEY, THREE_OF_FIVE)
    typed = [f"  {share.upper().replace(' ', '   ')} \n" for share in shares[:3]]
    assert join_shares(typed) == KEY
    assert share_digest(typed[0]) == share_digest(shares[0])


def test_a_misspelt_share_is_named_by_its_place_and_not_shown() -> None:
    (shares,) = split_key(KEY, THREE_OF_FIVE)
    words = shares[1].split()
    swapped = " ".join([*words[:-2], words[-1], words[-2]])
    for bad in (f"{shares[1]}x", " ".join(words[:-1]), swapped, "", "rahasia"):
        with pytest.raises(KeysError, match="share 2: a word is misspelt, missing") as caught:
            join_shares([shares[0], bad, shares[2]])
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        with pytest.raises(KeysError, match=r"^a word is misspelt"):
            verify_share(bad)
    verify_share(shares[1])


def test_shares_of_two_splittings_do_not_mix() -> None:
    one, other = split_key(KEY, THREE_OF_FIVE)[0], split_key(KEY, THREE_OF_FIVE)[0]
    assert not set(one) & set(other)
    with pytest.raises(KeysError, match="share 3: of another key, or of another splitting"):
        join_shares([*one[:2], other[2]])


def test_no_shares_are_told() -> None:
    with pytest.raises(KeysError, match="no share"):
        join_shares([])


def test_shares_of_a_secret_that_is_no_key_are_refused() -> None:
    with pytest.raises(KeysError, match="a secret of 16 bytes: no key of a keystore"):
        join_shares(PUBLISHED)


@pytest.mark.parametrize("n_bytes", [0, 16, 31, 33])
def test_only_a_key_is_split(n_bytes: int) -> None:
    with pytest.raises(KeysError, match=f"has 32 bytes, this one {n_bytes}"):
        split_key(bytes(n_bytes), THREE_OF_FIVE)


@pytest.mark.parametrize(
    ("groups", "needed"),
    [
        ((), 1),
        ((Group(3, 5),), 0),
        ((Group(3, 5),), 2),
        ((Group(4, 3),), 1),
        ((Group(0, 3),), 1),
        ((Group(2, 17),), 1),
        ((Group(1, 3), Group(2, 3)), 2),
        # One officer alone:
        ((Group(1, 1),), 1),
        ((Group(1, 1), Group(3, 5)), 1),
    ],
)
def test_a_plan_out_of_bounds_or_of_one_officer_is_refused(
    groups: tuple[Group, ...], needed: int
) -> None:
    with pytest.raises(KeysError):
        Plan(groups, needed)


def test_a_group_is_written_like_three_of_five() -> None:
    assert parse_group("3of5") == Group(3, 5)
    for text in ("", "3", "3-5", "0of5", "3of05", "3of5 ", "100of200"):
        with pytest.raises(KeysError, match="like 3of5"):
            parse_group(text)


def test_a_key_that_opens_the_keystore_is_taken(tmp_path: Path) -> None:
    kek = key_file(tmp_path)
    provider = FileProvider(kek)
    path = tmp_path / "linkage.key"
    write_keystore(path, os.urandom(32), new_header("linkage", provider, "PKS-1", 1), provider)
    assert read_splittable_key(kek, path) == KEY


def test_a_linkage_key_is_refused_sealed_or_not(tmp_path: Path) -> None:
    provider = FileProvider(key_file(tmp_path))
    path, linkage_key = tmp_path / "linkage.key", os.urandom(32)
    write_keystore(path, linkage_key, new_header("linkage", provider, "PKS-1", 1), provider)
    with pytest.raises(KeystoreError, match="holds a linkage key: only the key-encryption key"):
        read_splittable_key(path, path)
    write_new_file(tmp_path / "bare", linkage_key)
    with pytest.raises(KeystoreError, match="does not open this file"):
        read_splittable_key(tmp_path / "bare", path)


def test_a_transcript_says_who_has_what_and_gives_nothing_away() -> None:
    shares = split_key(KEY, TWO_LEVELS)
    holders = [f"pejabat {n}" for n in range(9)]
    text = format_transcript(TWO_LEVELS, shares, holders, KEY, "2026-01-02T03:04:05+00:00", False)
    told = json.loads(text)
    assert told["key"] == key_fingerprint(KEY)
    assert told["groups_needed"] == 2
    assert [one["share"] for one in told["shares"]][:4] == ["1-1", "1-2", "1-3", "2-1"]
    assert [one["sha256"] for one in told["shares"]] == [share_digest(s) for g in shares for s in g]
    words = {word for group in shares for share in group for word in share.split() if len(word) > 5}
    assert not any(word in text.decode() for word in words - {"shares", "holder", "pejabat"})
    assert KEY.hex()[:8] not in text.decode()


def test_a_fingerprint_tells_keys_apart() -> None:
    assert len(key_fingerprint(KEY)) == 16
    assert key_fingerprint(KEY) != key_fingerprint(KEY[::-1])
