"""Keys derived from a linkage key: bound to all of their context, and to nothing else."""

import copy
import hashlib
import hmac
import pickle
from dataclasses import replace
from itertools import combinations

import pytest

from keys.derive import KEY_BYTES, KEY_CHECK_BYTES, KeyContext, LinkageKey
from keys.errors import KeysError

KNOWN_SPACE_KEY = "1d551f8a139ee4a2de2d50918b5d21b2a1faedcd8a016fe02c4c4003d234a644"
KNOWN_KEY_CHECK = "31af8838548cdcc3"

SECRET = bytes(range(1, 33))
CONTEXT = KeyContext("pks/2026-01", hashlib.sha256(b"schema").digest(), "paspor", 1)

# One change of each field, and of every field at once.
OTHER_CONTEXTS = {
    "agreement_id": replace(CONTEXT, agreement_id="pks/2026-02"),
    "schema_id": replace(CONTEXT, schema_id=hashlib.sha256(b"other").digest()),
    "schema_id, one bit": replace(CONTEXT, schema_id=bytes([CONTEXT.schema_id[0] ^ 1])),
    "purpose": replace(CONTEXT, purpose="naturalisasi"),
    "epoch": replace(CONTEXT, epoch=2),
    "epoch, high byte": replace(CONTEXT, epoch=1 << 24),
    "all": KeyContext("a", b"b" * 32, "c", 3),
}


def key(context: KeyContext = CONTEXT, secret: bytes = SECRET) -> LinkageKey:
    return LinkageKey(secret, context)


def expand_by_hand(secret: bytes, parts: list[bytes], n_bytes: int) -> bytes:
    """HKDF-Expand as RFC 5869, section 2.3, writes it: the judge of the library's."""
    info = b"padan/v1" + b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    okm = block = b""
    for counter in range(1, -(-n_bytes // 32) + 1):
        block = hmac.new(secret, block + info + bytes([counter]), hashlib.sha256).digest()
        okm += block
    return okm[:n_bytes]


def parts_of(use: bytes, context: KeyContext, label: bytes) -> list[bytes]:
    return [
        use,
        context.agreement_id.encode(),
        context.schema_id,
        context.purpose.encode(),
        context.epoch.to_bytes(4, "big"),
        label,
    ]


def derived(one: LinkageKey) -> dict[str, bytes]:
    return {
        "name": one.space_key("name"),
        "date": one.space_key("date"),
        "kcv": one.key_check(),
        "pairs": one.refine_key("j", "a", "b"),
        "tags": one.name_key("j", "a", "b", "tag"),
        "masks": one.name_key("j", "a", "b", "left mask"),
        "next": one.name_key("k", "a", "b", "left mask"),
        "sides": one.name_key("j", "b", "a", "left mask"),
    }


@pytest.mark.parametrize("context", [CONTEXT, *OTHER_CONTEXTS.values()])
@pytest.mark.parametrize("space", ["name", "date", "", "nama_ibu", "é"])
def test_a_space_key_is_hkdf_expand_over_length_prefixed_parts(
    context: KeyContext, space: str
) -> None:
    expected = expand_by_hand(SECRET, parts_of(b"encode", context, space.encode()), 32)
    assert key(context).space_key(space) == expected


def test_the_key_check_is_hkdf_expand_under_its_own_use() -> None:
    assert key().key_check() == expand_by_hand(SECRET, parts_of(b"kcv", CONTEXT, b""), 8)


def test_a_known_answer_stays_the_same_for_ever() -> None:
    # A change here makes every encoding of every running agreement worthless.
    fixed = LinkageKey(bytes(32), KeyContext("a", bytes(32), "p", 1))
    assert fixed.space_key("name").hex() == (
        expand_by_hand(
            bytes(32), [b"encode", b"a", bytes(32), b"p", b"\0\0\0\1", b"name"], 32
        ).hex()
    )
    assert fixed.space_key("name").hex() == KNOWN_SPACE_KEY
    assert fixed.key_check().hex() == KNOWN_KEY_CHECK


def test_lengths_are_those_of_the_protocol() -> None:
    assert (KEY_BYTES, KEY_CHECK_BYTES) == (32, 8)
    assert len(key().space_key("name")) == 32
    assert len(key().key_check()) == 8


def test_equal_key_and_context_give_equal_keys() -> None:
    assert derived(key()) == derived(key())


@pytest.mark.parametrize("field", OTHER_CONTEXTS)
def test_every_field_of_the_context_changes_every_derived_key(field: str) -> None:
    mine, other = derived(key()), derived(key(OTHER_CONTEXTS[field]))
    assert all(mine[name] != other[name] for name in mine)
    assert not set(mine.values()) & set(other.values())


def test_the_context_has_no_field_that_this_matrix_misses() -> None:
    assert set(KeyContext.__dataclass_fields__) <= set(OTHER_CONTEXTS)


@pytest.mark.parametrize("bit", range(0, 256, 5))
def test_every_bit_of_the_secret_changes_every_derived_key(bit: int) -> None:
    secret = bytearray(SECRET)
    secret[bit // 8] ^= 1 << bit % 8
    mine, other = derived(key()), derived(key(secret=bytes(secret)))
    assert all(mine[name] != other[name] for name in mine)


def test_spaces_and_uses_never_share_a_key() -> None:
    spaces = ["", "name", "nam", "names", "date", "Name", "name\0", "\0name", "kcv", "encode"]
    keys = [key().space_key(space) for space in spaces]
    assert all(a != b for a, b in combinations(keys, 2))
    assert key().key_check() not in {k[:KEY_CHECK_BYTES] for k in keys}


def test_parts_cannot_be_cut_in_another_place() -> None:
    # In each pair the plain concatenation of all parts is the same.
    digest = bytes(32)
    pairs = [
        (KeyContext("ab", digest, "c", 1), KeyContext("a", b"b" + digest, "c", 1)),
        (KeyContext("a", digest + b"p", "q", 1), KeyContext("a", digest, "pq", 1)),
        (KeyContext("a", b"", "pq", 1), KeyContext("a", b"p", "q", 1)),
        (KeyContext("", b"a", "", 1), KeyContext("a", b"", "", 1)),
        (KeyContext("", b"", "a", 1), KeyContext("a", b"", "", 1)),
        # A length prefix inside a part is a part's text and no prefix.
        (KeyContext("a\0\1b", b"", "", 1), KeyContext("a", b"b", "", 1)),
    ]
    for one, other in pairs:
        mine, theirs = derived(key(one)), derived(key(other))
        assert all(mine[name] != theirs[name] for name in mine), (one, other)


def test_a_label_cannot_run_into_the_epoch() -> None:
    context = replace(CONTEXT, epoch=1)
    assert key(context).space_key("\0\0\0\1") != key(context).space_key("")
    assert key(context).space_key("") != key(context).key_check()


@pytest.mark.parametrize("n_bytes", [0, 1, 16, 31, 33, 64])
def test_a_secret_of_another_length_is_refused_without_being_shown(n_bytes: int) -> None:
    with pytest.raises(KeysError) as caught:
        LinkageKey(b"\xab" * n_bytes, CONTEXT)
    assert str(n_bytes) in str(caught.value)
    assert "ab" * 4 not in str(caught.value)


def test_a_key_shows_nothing_of_itself() -> None:
    one = key()
    shown = [repr(one), str(one), f"{one}", f"{one!r}", repr([one]), repr({"key": one})]
    for text in shown:
        assert "LinkageKey(...)" in text
        assert SECRET.hex()[:8] not in text
        assert CONTEXT.agreement_id not in text
    assert not hasattr(one, "__dict__")


def test_a_key_of_a_bytearray_is_a_copy_of_its_own() -> None:
    secret = bytearray(SECRET)
    one = LinkageKey(secret, CONTEXT)
    secret[:] = bytes(32)
    assert one.space_key("name") == key().space_key("name")


def test_a_wiped_key_derives_nothing_and_says_what_to_do() -> None:
    one = key()
    one.wipe()
    one.wipe()
    for use in (lambda: one.space_key("name"), one.key_check):
        with pytest.raises(KeysError, match="open its keystore again"):
            use()


def test_wiping_one_key_leaves_another_of_the_same_bytes_alone() -> None:
    first, second = key(), key()
    first.wipe()
    assert len(second.space_key("name")) == KEY_BYTES


def test_a_key_of_bytes_is_copied() -> None:
    secret = bytes(SECRET)
    LinkageKey(secret, CONTEXT).wipe()
    assert secret == SECRET


def test_a_copy_of_a_wiped_key_derives_nothing() -> None:
    one = key()
    try:
        two = copy.copy(one)
    except TypeError:
        return
    one.wipe()
    with pytest.raises(KeysError):
        two.space_key("name")


def test_a_key_is_not_written_out_by_pickle() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(key())
