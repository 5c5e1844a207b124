"""`padan keys`, as an operator uses it."""

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keys.dsse import key_id_of, parse_envelope
from keys.errors import KeysError, KeystoreError
from keys.keystore import open_keystore, read_header
from keys.providers import FileProvider
from keys.sealing import PUBLIC_BYTES, SealKey, seal
from keys.states import KeyState
from linkage.cli import padan


def keys(*arguments: str | Path, typed: str | None = None) -> Result:
    return CliRunner().invoke(padan, ["keys", *map(str, arguments)], input=typed)


def done(*arguments: str | Path) -> Result:
    result = keys(*arguments)
    assert result.exit_code == 0, (result.exception, result.stderr)
    return result


def refused(*arguments: str | Path) -> str:
    result = keys(*arguments)
    assert isinstance(result.exception, KeysError), result.output
    return str(result.exception)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a key-encryption key that `padan keys init` made."""
    done("init", "--provider", tmp_path / "own-kek")
    return tmp_path


def new(own: Path, kind: str, *more: str) -> dict[str, str]:
    setting = f"file:{own / 'own-kek'}"
    made = done("new", kind, "--out", own / f"{kind}.key", "--provider", setting, "--json", *more)
    members: dict[str, str] = json.loads(made.stdout)
    return members


@pytest.mark.parametrize("kind", ["sign", "witness"])
def test_a_new_signing_key_shows_its_public_half(own: Path, kind: str) -> None:
    made = new(own, kind)
    assert (made["kind"], made["state"], made["provider"]) == (kind, "active", "file")
    header, seed = open_keystore(own / f"{kind}.key", FileProvider(own / "own-kek"))
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert (header.key_id, base64.b64decode(made["public"])) == (made["key_id"], public)


def test_what_is_sealed_to_a_new_seal_key_opens_with_it(own: Path) -> None:
    public = base64.b64decode(new(own, "seal")["public"])
    assert len(public) == PUBLIC_BYTES == 1184 + 32
    _, secret = open_keystore(own / "seal.key", FileProvider(own / "own-kek"))
    assert SealKey(secret).open(seal(public, b"share", b"about"), b"about") == b"share"


def test_a_public_half_is_shown_again_only_by_who_can_open_it(own: Path) -> None:
    made = new(own, "sign")
    assert "public" not in json.loads(done("show", own / "sign.key", "--json").stdout)
    setting = ("--provider", own / "own-kek")
    assert json.loads(done("show", own / "sign.key", *setting, "--json").stdout) == made
    assert made["public"] in done("show", own / "sign.key", *setting).stdout


def test_a_pre_active_key_is_made_active_when_it_is_time(own: Path) -> None:
    made = new(own, "sign", "--pre-active")
    assert made["state"] == "pre-active"
    change = ("state", own / "sign.key", "active", "--provider", own / "own-kek", "--json")
    told = json.loads(done(*change).stdout)
    assert (told["before"], told["after"], told["key_id"]) == (
        "pre-active",
        "active",
        made["key_id"],
    )
    assert "from active a key does not become active" in refused(*change)


def test_destroying_a_key_is_asked_about(own: Path) -> None:
    new(own, "sign")
    arguments = ("state", own / "sign.key", "destroyed", "--provider", own / "own-kek")
    assert keys(*arguments, typed="n\n").exit_code == 1
    assert read_header(own / "sign.key").state is KeyState.ACTIVE
    assert keys(*arguments, typed="y\n").exit_code == 0
    assert read_header(own / "sign.key").state is KeyState.DESTROYED
    shown = done("show", own / "sign.key", "--provider", own / "own-kek", "--json")
    assert "public" not in json.loads(shown.stdout)
    assert "nothing of it is left" in refused(
        "recovery", "sign", transcript_in(own), "--key", own / "sign.key",
        "--provider", own / "own-kek",
    )  # fmt: skip


def test_a_folder_is_listed(own: Path) -> None:
    new(own, "sign")
    new(own, "seal", "--pre-active")
    (own / "notes.txt").write_text("not a key")
    (own / ".new-x").write_bytes((own / "sign.key").read_bytes())
    (own / "torn.key").write_bytes((own / "sign.key").read_bytes()[:40])
    listed = json.loads(done("list", own, "--json").stdout)
    assert "not a keystore file, or damaged" in listed.pop("torn.key")["damaged"]
    assert {name: one["state"] for name, one in listed.items()} == {
        "seal.key": "pre-active",
        "sign.key": "active",
    }
    lines = done("list", own).stdout.splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["seal.key", "seal", "pre-active", "file"],
        ["sign.key", "sign", "active", "file"],
        ["torn.key", "-", "-", "-"],
    ]


def test_keys_move_to_a_passphrase_and_back(own: Path) -> None:
    made = new(own, "sign")
    (own / "pass").write_text("enam kata acak\n")
    (own / "pass").chmod(0o600)
    phrase = f"passphrase:file:{own / 'pass'}"
    done("rewrap", own / "sign.key", "--provider", own / "own-kek", "--to", phrase)
    assert read_header(own / "sign.key").provider == "passphrase"
    shown = json.loads(done("show", own / "sign.key", "--provider", phrase, "--json").stdout)
    assert shown["public"] == made["public"]
    assert "sealed by provider 'passphrase', not 'file'" in refused(
        "show", own / "sign.key", "--provider", own / "own-kek"
    )
    done("rewrap", own / "sign.key", "--provider", phrase, "--to", own / "own-kek")
    assert read_header(own / "sign.key").revision == 2


def test_a_key_is_never_made_over_another(own: Path) -> None:
    new(own, "sign")
    content = (own / "sign.key").read_bytes()
    assert "never overwritten" in refused(
        "new", "seal", "--out", own / "sign.key", "--provider", own / "own-kek"
    )
    assert "never overwritten" in refused("init", "--provider", own / "own-kek")
    assert (own / "sign.key").read_bytes() == content


@pytest.mark.parametrize("kind", ["linkage", "log-signing", "data"])
def test_keys_that_are_not_made_alone_are_a_matter_of_usage(own: Path, kind: str) -> None:
    result = keys("new", kind, "--out", own / "x", "--provider", own / "own-kek")
    assert result.exit_code == 2


def test_no_command_opens_anything_without_a_provider(own: Path) -> None:
    for arguments in (("new", "sign", "--out", own / "x"), ("state", own / "x", "suspended")):
        result = keys(*arguments)
        assert result.exit_code == 2
        assert "--provider" in result.stderr


# What a lost key costs


@pytest.mark.parametrize(
    ("language", "words", "absent"),
    [
        ("en", "What it costs: a new epoch", "epoch baru"),
        ("id", "Biayanya: epoch baru", "new epoch"),
        ("both", "Biayanya: epoch baru", "{agreement}"),
    ],
)
def test_the_cost_of_a_loss_is_told(language: str, words: str, absent: str) -> None:
    text = done("loss", "--agreement", "PKS-2026-1", "--lang", language).stdout
    assert words in text
    assert "PKS-2026-1" in text
    assert absent not in text


# Shares


def transcript_in(own: Path) -> Path:
    pytest.importorskip("shamir_mnemonic", reason="needs the extra recovery")
    if not (own / "seal.key").exists():
        new(own, "seal")
    done(*split(own, "--dry-run", "--transcript", own / "rehearsal.json"))
    return own / "rehearsal.json"


def split(own: Path, *more: str | Path) -> tuple[str | Path, ...]:
    return (
        "recovery", "split", "--key-file", own / "own-kek", "--opens", own / "seal.key", *more,
    )  # fmt: skip


def joined(own: Path, *places: str) -> tuple[str | Path, ...]:
    shares = [part for place in places for part in ("--share", own / "out" / f"share-{place}.txt")]
    return (
        "recovery", "join", *shares, "--opens", own / "seal.key", "--out", own / "again",
    )  # fmt: skip


@pytest.fixture
def shared(own: Path) -> Path:
    """A keystore whose key was split 3 of 5 into files."""
    pytest.importorskip("shamir_mnemonic", reason="needs shamir-mnemonic: 'padan[recovery]'")
    new(own, "seal")
    done(*split(own, "--out", own / "out", "--transcript", own / "transcript.json"))
    return own


def test_officers_bring_a_key_back(shared: Path) -> None:
    done(*joined(shared, "1-5", "1-1", "1-3"))
    assert (shared / "again").read_bytes() == (shared / "own-kek").read_bytes()
    assert (shared / "again").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (shared / "out").iterdir())


def test_too_few_officers_bring_nothing_back(shared: Path) -> None:
    assert "group 1 has 2 of the 3 it needs" in refused(*joined(shared, "1-5", "1-1"))
    assert not (shared / "again").exists()


def test_a_key_that_opens_another_keystore_is_not_kept(shared: Path, tmp_path: Path) -> None:
    done("init", "--provider", tmp_path / "other-kek")
    (shared / "seal.key").unlink()
    done("new", "seal", "--out", shared / "seal.key", "--provider", tmp_path / "other-kek")
    assert "does not open this file" in refused(*joined(shared, "1-1", "1-2", "1-3"))
    assert not (shared / "again").exists()


def test_two_levels_of_officers(own: Path) -> None:
    pytest.importorskip("shamir_mnemonic", reason="needs shamir-mnemonic: 'padan[recovery]'")
    new(own, "seal")
    groups = ("--group", "2of3", "--group", "2of3", "--group", "2of3", "--groups-needed", "2")
    done(*split(own, *groups, "--out", own / "out"))
    assert len(list((own / "out").iterdir())) == 9
    assert "complete groups needed: 2, there: 1" in refused(*joined(own, "1-1", "1-2", "2-3"))
    done(*joined(own, "1-1", "1-2", "2-3", "2-1"))
    assert (own / "again").read_bytes() == (own / "own-kek").read_bytes()


def test_a_rehearsal_makes_shares_that_open_nothing(own: Path) -> None:
    pytest.importorskip("shamir_mnemonic", reason="needs shamir-mnemonic: 'padan[recovery]'")
    new(own, "seal")
    told = done(*split(own, "--dry-run", "--out", own / "out"))
    assert json.loads(told.stdout)["rehearsal"] is True
    assert "does not open this file" in refused(*joined(own, "1-1", "1-2", "1-3"))


def test_officers_sign_the_transcript(shared: Path) -> None:
    officers = []
    for number in (1, 2):
        made = done(
            "new", "sign", "--out", shared / f"officer{number}", "--provider", shared / "own-kek",
            "--json",
        )  # fmt: skip
        officers.append(base64.b64decode(json.loads(made.stdout)["public"]))
        told = done(
            "recovery", "sign", shared / "transcript.json", "--key", shared / f"officer{number}",
            "--provider", shared / "own-kek", "--share", shared / "out" / f"share-1-{number}.txt",
        )  # fmt: skip
    envelope = parse_envelope((shared / "transcript.json").read_bytes())
    ids = {key_id_of(public): public for public in officers}
    assert envelope.signers(ids) == set(ids) == set(json.loads(told.stdout)["signed"])


def test_an_officer_signs_for_no_share_of_another_splitting(shared: Path) -> None:
    new(shared, "sign")
    done(*split(shared, "--out", shared / "out2"))
    assert "not a share of this transcript" in refused(
        "recovery", "sign", shared / "transcript.json", "--key", shared / "sign.key",
        "--provider", shared / "own-kek", "--share", shared / "out2" / "share-1-1.txt",
    )  # fmt: skip


def test_a_linkage_key_is_never_shared_out(shared: Path) -> None:
    with pytest.raises(KeystoreError, match="holds a seal key: only the key-encryption key"):
        raise keys(
            "recovery", "split", "--key-file", shared / "seal.key", "--opens", shared / "seal.key",
            "--out", shared / "out3",
        ).exception or AssertionError  # fmt: skip
    assert not (shared / "out3").exists()


def test_words_go_to_no_pipe(shared: Path) -> None:
    result = keys(*split(shared))
    assert result.exit_code == 2
    assert "words go to a terminal" in result.stderr
    assert (
        keys("recovery", "join", "--opens", shared / "seal.key", "--out", shared / "x").exit_code
        == 2
    )


def test_as_many_holders_as_shares(shared: Path) -> None:
    assert keys(*split(shared, "--holder", "kepala", "--out", shared / "out4")).exit_code == 2
