"""Signed notes: the format, its one spelling, and who may vouch for what."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.errors import SignatureError
from linkage.log.canonical import encode_base64
from linkage.log.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Ed25519Signer,
    Note,
    NoteSignature,
    format_note,
    parse_note,
    sign_note,
    verified_signatures,
)
from linkage.log.vkey import COSIGNATURE_ML_DSA_44, ED25519, VerifierKey, format_vkey, parse_vkey

# golang.org/x/mod/sumdb/note, its example key and note.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""  # noqa: E501 (one line of the format)

LOG = Ed25519Signer("log.test/a", Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
OTHER = Ed25519Signer("log.test/b", Ed25519PrivateKey.from_private_bytes(b"\2" * 32))
TEXT = "first\nsecond\n"


def test_a_note_of_another_implementation() -> None:
    key = parse_vkey(GO_VKEY)
    assert format_vkey(key) == GO_VKEY
    note = parse_note(GO_NOTE.encode())
    assert format_note(note) == GO_NOTE.encode()
    assert verified_signatures(note, [key]) == {key: None}


def test_sign_parse_verify() -> None:
    data = sign_note(TEXT, [LOG, OTHER])
    note = parse_note(data)
    assert note.text == TEXT
    assert format_note(note) == data
    assert verified_signatures(note, [LOG.key, OTHER.key], refuse_unknown=True) == {
        LOG.key: None,
        OTHER.key: None,
    }


def test_the_text_may_hold_blank_lines() -> None:
    assert parse_note(sign_note("a\n\nb\n", [LOG])).text == "a\n\nb\n"


def test_a_line_of_an_unknown_key_is_skipped_or_refused() -> None:
    note = parse_note(sign_note(TEXT, [LOG, OTHER]))
    assert verified_signatures(note, [LOG.key]) == {LOG.key: None}
    with pytest.raises(SignatureError, match=r"unknown key log\.test/b"):
        verified_signatures(note, [LOG.key], refuse_unknown=True)


def test_no_known_signature_is_refused() -> None:
    note = parse_note(sign_note(TEXT, [LOG]))
    with pytest.raises(SignatureError, match="no signature of a known key"):
        verified_signatures(note, [OTHER.key])
    with pytest.raises(SignatureError, match="no signature of a known key"):
        verified_signatures(note, [])


def test_one_wrong_signature_of_a_known_key_refuses_the_whole_note() -> None:
    good = parse_note(sign_note(TEXT, [LOG, OTHER]))
    wrong = NoteSignature(OTHER.key.name, OTHER.key.key_id, bytes(64))
    note = Note(TEXT, (good.signatures[0], wrong))
    with pytest.raises(SignatureError, match=r"log\.test/b does not verify"):
        verified_signatures(note, [LOG.key, OTHER.key])


def test_a_signature_over_another_text_does_not_verify() -> None:
    signatures = parse_note(sign_note(TEXT, [LOG])).signatures
    with pytest.raises(SignatureError, match="does not verify"):
        verified_signatures(Note("first\nother\n", signatures), [LOG.key])


@pytest.mark.parametrize("length", [1, 63, 65])
def test_a_signature_of_another_length_does_not_verify(length: int) -> None:
    line = NoteSignature(LOG.key.name, LOG.key.key_id, bytes(length))
    with pytest.raises(SignatureError, match="does not verify"):
        verified_signatures(Note(TEXT, (line,)), [LOG.key])


def test_a_cosigner_signs_only_checkpoints() -> None:
    key = VerifierKey("w", COSIGNATURE_ML_DSA_44, bytes(1312))
    assert parse_vkey(format_vkey(key)) == key
    note = Note(TEXT, (NoteSignature("w", key.key_id, bytes(2428)),))
    with pytest.raises(SignatureError, match="only a checkpoint"):
        verified_signatures(note, [key])


GOOD = sign_note(TEXT, [LOG]).decode()
LINE = GOOD.split("\n\n")[1]
ENCODED = LINE.split(" ")[2].strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT,
        TEXT + "\n",
        GOOD[:-1],
        GOOD + "\n",
        GOOD + "x",
        GOOD + " \n",
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("first", "fi\trst"),
        GOOD.replace("first", "fi\0rst"),
        GOOD.replace("— ", "- "),
        GOOD.replace("— ", "—  "),
        GOOD.replace("— ", " — "),
        GOOD.replace("— ", "— — "),
        GOOD.replace(" " + ENCODED, "  " + ENCODED),
        GOOD.replace(ENCODED, ENCODED + " "),
        GOOD.replace(ENCODED, ENCODED + "="),
        GOOD.replace(ENCODED, ENCODED[:-1]),
        GOOD.replace(ENCODED, ENCODED[:-4]) + "!",
        GOOD.replace(ENCODED, ""),
        GOOD.replace(ENCODED, encode_base64(LOG.key.key_id)),
        GOOD.replace("log.test/a", ""),
        GOOD.replace("log.test/a", "log+test"),
        GOOD.replace("log.test/a", "log\u2003test"),
        GOOD.replace("log.test/a", "log\u202etest"),
        GOOD + LINE,
        TEXT + "\n" + "".join(LINE.replace("/a", f"/{i}") for i in range(MAX_SIGNATURES + 1)),
        "x" * MAX_NOTE_BYTES + GOOD,
    ],
    ids=lambda text: repr(text[-60:]),
)
def test_malformed_notes_are_refused(text: str) -> None:
    with pytest.raises(SignatureError):
        parse_note(text.encode())


def test_padding_bits_have_one_spelling() -> None:
    # 4 + 64 bytes leave two bits of padding; the alphabet's next letter flips one.
    assert ENCODED.endswith("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = ENCODED[-2]
    second = ENCODED[:-2] + alphabet[alphabet.index(last) + 1] + "="
    with pytest.raises(SignatureError):
        parse_note(GOOD.replace(ENCODED, second).encode())


def test_not_utf8() -> None:
    with pytest.raises(SignatureError, match="UTF-8"):
        parse_note(GOOD.encode() + b"\xff")


def test_as_many_signatures_as_allowed() -> None:
    text = TEXT + "\n" + "".join(LINE.replace("/a", f"/{i}") for i in range(MAX_SIGNATURES))
    assert len(parse_note(text.encode()).signatures) == MAX_SIGNATURES


@pytest.mark.parametrize("text", ["no newline", "a\rb\n", ""])
def test_a_text_that_does_not_fit_is_not_signed(text: str) -> None:
    with pytest.raises(SignatureError):
        sign_note(text, [LOG])


def test_a_note_needs_a_signer() -> None:
    with pytest.raises(SignatureError):
        sign_note(TEXT, [])


NAME, HEX, KEY = GO_VKEY.split("+", 2)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "+",
        "++",
        NAME,
        f"{NAME}+{HEX}",
        f"{NAME}+{HEX}+",
        f"+{HEX}+{KEY}",
        f"{NAME}+{HEX.upper()}+{KEY}",
        f"{NAME}+{HEX[:-1]}+{KEY}",
        f"{NAME}+00000000+{KEY}",
        f"Peter Neumann+{HEX}+{KEY}",
        f"Peterneumann+{HEX}+{KEY}",
        f"{NAME}+{HEX}+{KEY}=",
        f"{NAME}+{HEX}+{KEY}\n",
        f"{NAME}+{HEX}+{KEY[:-4]}",
        f"{NAME}+{HEX}+B{KEY[1:]}",
        f"{NAME}+{HEX}+{'A' * 5000}",
    ],
)
def test_malformed_keys_are_refused(vkey: str) -> None:
    with pytest.raises(SignatureError):
        parse_vkey(vkey)


def test_the_key_id_depends_on_name_type_and_key() -> None:
    key = LOG.key
    ids = {
        key.key_id,
        VerifierKey("log.test/c", ED25519, key.public).key_id,
        VerifierKey(key.name, 0x04, key.public).key_id,
        VerifierKey(key.name, ED25519, OTHER.key.public).key_id,
    }
    assert len(ids) == 4


def test_a_signer_shows_no_secret() -> None:
    assert "\\x01\\x01" not in repr(LOG)
    assert (b"\1" * 32).hex() not in repr(LOG)
