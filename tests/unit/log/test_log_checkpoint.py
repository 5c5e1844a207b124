import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.errors import CheckpointError, SignatureError
from linkage.log.checkpoint import (
    Checkpoint,
    format_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from linkage.log.hashing import EMPTY_ROOT
from linkage.log.note import Ed25519Signer, sign_note

# The example in C2SP tlog-checkpoint.
SPEC = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

LOG = Ed25519Signer("log.test/a", Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
OTHER = Ed25519Signer("log.test/b", Ed25519PrivateKey.from_private_bytes(b"\2" * 32))
HEAD = Checkpoint("log.test/a", 3, bytes(range(32)))


def test_the_example_of_the_specification() -> None:
    checkpoint = parse_checkpoint(SPEC)
    assert checkpoint.origin == "example.com/behind-the-sofa"
    assert checkpoint.size == 20852163
    assert checkpoint.root.hex().startswith("0ac5186a91863e8e")
    assert format_checkpoint(checkpoint) == SPEC


def test_sign_and_verify() -> None:
    note = sign_checkpoint(HEAD, LOG)
    assert verify_checkpoint(note, [OTHER.key, LOG.key]) == HEAD


def test_the_empty_log_has_a_checkpoint() -> None:
    empty = Checkpoint("log.test/a", 0, EMPTY_ROOT)
    assert verify_checkpoint(sign_checkpoint(empty, LOG), [LOG.key]) == empty


def test_a_key_of_another_log_does_not_vouch() -> None:
    note = sign_note(format_checkpoint(HEAD), [OTHER])
    with pytest.raises(SignatureError, match="no signature"):
        verify_checkpoint(note, [OTHER.key, LOG.key])
    with pytest.raises(SignatureError, match="not a key of"):
        sign_checkpoint(HEAD, OTHER)


def test_a_note_that_is_no_checkpoint() -> None:
    with pytest.raises(CheckpointError):
        verify_checkpoint(sign_note("hello\n", [LOG]), [LOG.key])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        SPEC[:-1],
        SPEC + "\n",
        SPEC + "an extension line\n",
        "\n" + SPEC,
        SPEC.replace("\n2", "\n02"),
        SPEC.replace("\n2", "\n-2"),
        SPEC.replace("\n2", "\n+2"),
        SPEC.replace("\n2", "\n 2"),
        SPEC.replace("20852163", "2_0"),
        SPEC.replace("20852163", "²"),
        SPEC.replace("20852163", "٢"),
        SPEC.replace("20852163", ""),
        SPEC.replace("20852163", "0"),
        SPEC.replace("20852163", str(2**63)),
        SPEC.replace("20852163", "9" * 5000),
        SPEC.replace("2I=", "2J="),
        SPEC.replace("2I=", "2I"),
        SPEC.replace("2I=", "2I=="),
        SPEC.replace("CsUY", ""),
        SPEC.replace("/Xajj", "_Xajj"),
        SPEC.replace("example.com", "example com"),
        SPEC.replace("example.com", "example+com"),
    ],
    ids=repr,
)
def test_malformed_checkpoints_are_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 1, bytes(32)),
        Checkpoint("a\nb", 1, bytes(32)),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", 1, bytes(31)),
        Checkpoint("a", 0, bytes(32)),
    ],
)
def test_what_would_not_parse_is_not_written(checkpoint: Checkpoint) -> None:
    with pytest.raises(CheckpointError):
        format_checkpoint(checkpoint)
