"""`padan agreement`, as people type it: on files, offline, with its exit codes."""

import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from agreement_world import DOMAIN, LOG, filled, signer
from click.testing import CliRunner, Result

from keys.dsse import parse_envelope
from keys.errors import KeystoreError
from keys.keystore import new_header, write_keystore
from keys.providers import FileProvider, create_key_file
from linkage.agreement.draft import draft
from linkage.agreement.envelope import agreement_in
from linkage.agreement.model import Agreement, parse_draft
from linkage.agreement.payload import (
    GrantRevocation,
    Hold,
    LookupGrant,
    Stop,
    Termination,
    parse_payload,
)
from linkage.cli import padan
from linkage.errors import ConfigError, DeniedError, MalformedMessageError

TODAY = datetime.now(UTC).date()


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(padan, ["agreement", *(str(word) for word in words)])


def day(days: int) -> str:
    return (TODAY + timedelta(days=days)).isoformat()


def current(process: str = "P1") -> str:
    """A filled draft whose days fit today."""
    dates = {
        "hari pertama": day(-10), "hari terakhir": day(300),
        "tanggal tinjauan berikutnya": day(200), "tanggal uji terakhir": day(-20),
        "tanggal latihan insiden terakhir": day(-20),
        "tanggal persetujuan penilaian dampak": day(-30),
        "tanggal terbit pemberitahuan publik": day(-15),
    }  # fmt: skip
    return filled(process, **dates)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A filled draft, and keystore files of both parties."""
    (tmp_path / "pks.toml").write_text(current())
    create_key_file(tmp_path / "kek")
    provider = FileProvider(tmp_path / "kek")
    for name in ("imigrasi", "dukcapil", "stranger"):
        key = signer(f"party/{name}")
        secret = key._private.private_bytes_raw()
        write_keystore(tmp_path / f"{name}.key", secret, new_header("sign", provider), provider)
    write_keystore(tmp_path / "data.key", bytes(32), new_header("witness", provider), provider)
    return tmp_path


def sign(folder: Path, source: str, name: str, *more: str) -> Result:
    return invoke(
        "sign", folder / source, "--key", folder / f"{name}.key", "--provider",
        f"file:{folder / 'kek'}", "--out", folder / "pks.json", *more,
    )  # fmt: skip


def test_new_prints_the_draft_and_check_names_what_is_open(tmp_path: Path) -> None:
    made = invoke("new", "P4")
    assert made.exit_code == 0
    assert made.stdout == draft("P4")
    assert tomllib.loads(made.stdout)["purpose"]["process"] == "P4"
    (tmp_path / "draft.toml").write_text(made.stdout)
    refused = invoke("check", tmp_path / "draft.toml")
    assert isinstance(refused.exception, ConfigError)
    assert "id: not filled in yet: <ISI: id perjanjian" in str(refused.exception)


def test_check_tells_findings_in_either_language(folder: Path) -> None:
    fine = invoke("check", folder / "pks.toml", "--json")
    assert fine.exit_code == 0
    shown = json.loads(fine.stdout)
    assert shown["findings"] == []
    assert shown["missing"] == ["imigrasi", "dukcapil"]
    text = current().replace('country = "IDN"', 'country = "SGP"')
    (folder / "wrong.toml").write_text(text)
    for language, word in (("id", "Indonesia (IDN)"), ("en", "outside Indonesia")):
        refused = invoke("check", folder / "wrong.toml", "--lang", language)
        assert refused.exit_code == 1
        assert word in refused.stdout
    later = invoke("check", folder / "pks.toml", "--on", day(250), "--json")
    assert later.exit_code == 1
    assert json.loads(later.stdout)["findings"][0]["code"] == "DPIA_REVIEW_DUE"


def test_check_compares_with_a_linkage_schema(folder: Path) -> None:
    schema = folder / "schema.toml"
    schema.write_text('name = "x"\nattributes = [{name = "nama", type = "name"}]\n')
    refused = invoke("check", folder / "pks.toml", "--schema", schema, "--json")
    assert refused.exit_code == 1
    assert {f["code"] for f in json.loads(refused.stdout)["findings"]} == {"SCHEMA_OTHER"}


def test_parties_sign_one_after_the_other_what_they_read(folder: Path) -> None:
    digest = parse_draft(current()).digest()
    first = sign(folder, "pks.toml", "imigrasi", "--digest", digest, "--json")
    assert first.exit_code == 0, first.exception
    assert json.loads(first.stdout)["missing"] == ["dukcapil"]
    second = sign(folder, "pks.json", "dukcapil")
    assert second.exit_code == 0
    assert "missing nobody" in second.stderr
    envelope = parse_envelope((folder / "pks.json").read_bytes())
    assert len(envelope.signatures) == 2
    assert agreement_in(envelope).digest() == digest
    assert list(folder.glob(".*.new")) == []
    shown = invoke("show", folder / "pks.json", "--lang", "en")
    assert shown.stdout.startswith("# Record linkage for passport applications")
    assert shown.stdout.count(digest) == 2
    as_json = json.loads(invoke("show", folder / "pks.json", "--json").stdout)
    assert as_json["signed"] == ["imigrasi", "dukcapil"]
    assert as_json["agreement"]["log"] == LOG


def test_nobody_signs_another_document_or_with_another_key(folder: Path) -> None:
    other = sign(folder, "pks.toml", "imigrasi", "--digest", "00" * 32)
    assert other.exit_code == 2
    assert "not the one given" in other.stderr
    stranger = sign(folder, "pks.toml", "stranger")
    assert "not listed in the agreement" in str(stranger.exception)
    witness = sign(folder, "pks.toml", "data")
    assert isinstance(witness.exception, ConfigError)
    assert not (folder / "pks.json").exists()


def test_an_agreement_with_findings_is_not_signed(folder: Path) -> None:
    text = current().replace('scheme = "saul"', 'scheme = "clk"')
    (folder / "pks.toml").write_text(text)
    refused = sign(folder, "pks.toml", "imigrasi")
    assert isinstance(refused.exception, DeniedError)
    assert refused.exception.code == "WAIVER_MISSING"


def test_register_amend_and_terminate_write_what_is_submitted(folder: Path) -> None:
    unsigned = invoke("register", folder / "pks.toml", "--out", folder / "r.json")
    assert unsigned.exit_code == 2
    sign(folder, "pks.toml", "imigrasi")
    done = invoke("register", folder / "pks.json", "--out", folder / "r.json", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["signed"] == ["imigrasi"]
    assert (folder / "r.json").read_bytes() == (folder / "pks.json").read_bytes()
    first = invoke("amend", folder / "pks.json", "--out", folder / "a.json")
    assert "use 'padan agreement register'" in first.stderr
    document = agreement_in(parse_envelope((folder / "pks.json").read_bytes()))
    second = current().replace("version = 1\n", "version = 2\n", 1)
    second = f'supersedes = "{document.digest()}"\n{second}'
    (folder / "second.toml").write_text(second)
    sign(folder, "second.toml", "imigrasi")
    amended = invoke("amend", folder / "pks.json", "--out", folder / "a.json")
    assert amended.exit_code == 0
    ended = invoke(
        "terminate", folder / "pks.json", "--reason", "selesai", "--key", folder / "imigrasi.key",
        "--provider", f"file:{folder / 'kek'}", "--out", folder / "t.json", "--json",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.exception
    envelope = parse_envelope((folder / "t.json").read_bytes())
    termination = parse_payload(Termination, envelope)
    assert (termination.agreement, termination.reason) == ("PKS-2027-1", "selesai")
    key = signer("party/imigrasi")
    assert envelope.signers({key.key_id: key.public})
    hidden = invoke(
        "terminate", folder / "pks.json", "--reason", "a\u202eb", "--key", folder / "imigrasi.key",
        "--provider", f"file:{folder / 'kek'}", "--out", folder / "t.json",
    )  # fmt: skip
    assert isinstance(hidden.exception, ConfigError)


def test_stop_writes_a_stop_and_its_end(folder: Path) -> None:
    for more, stopped, serial in (([], True, 1), (["--resume", "--serial", "2"], False, 2)):
        done = invoke(
            "stop", folder / "pks.toml", "--reason", "insiden", "--key", folder / "dukcapil.key",
            "--provider", f"file:{folder / 'kek'}", "--out", folder / "s.json", "--json", *more,
        )  # fmt: skip
        assert done.exit_code == 0, done.exception
        assert json.loads(done.stdout)["stopped"] is stopped
        made = parse_payload(Stop, parse_envelope((folder / "s.json").read_bytes()))
        assert (made.stopped, made.serial) == (stopped, serial)


def test_hold_writes_a_hold_that_another_signs_and_its_end(folder: Path) -> None:
    for more, held, serial in (([], True, 1), (["--release", "--serial", "2"], False, 2)):
        out = folder / f"h{serial}.json"
        done = invoke(
            "hold", folder / "pks.toml", "--reason", "perkara", "--key", folder / "dukcapil.key",
            "--provider", f"file:{folder / 'kek'}", "--out", out, "--json", *more,
        )  # fmt: skip
        assert done.exit_code == 0, done.exception
        assert json.loads(done.stdout)["held"] is held
        signed = invoke(
            "countersign", out, "--key", folder / "imigrasi.key",
            "--provider", f"file:{folder / 'kek'}",
        )  # fmt: skip
        assert signed.exit_code == 0, signed.exception
        envelope = parse_envelope(out.read_bytes())
        made = parse_payload(Hold, envelope)
        assert (made.held, made.serial) == (held, serial)
        keys = [signer(f"party/{party}") for party in ("dukcapil", "imigrasi")]
        assert len(envelope.signers({key.key_id: key.public for key in keys})) == 2


def grant(folder: Path, *more: str, out: str = "g.json") -> Result:
    begin = datetime.now(UTC).replace(microsecond=0)
    return invoke(
        "grant", folder / "pks.toml", "--caller", f"spiffe://{DOMAIN}/office/imigrasi/tawau",
        "--register", "dukcapil", "--number", "500", "--from", begin.isoformat(),
        "--until", (begin + timedelta(hours=8)).isoformat(), "--key", folder / "dukcapil.key",
        "--provider", f"file:{folder / 'kek'}", "--out", folder / out, *more,
    )  # fmt: skip


def test_a_grant_is_signed_by_one_party_and_then_by_the_other(folder: Path) -> None:
    done = grant(folder, "--json")
    assert done.exit_code == 0, done.exception
    shown = json.loads(done.stdout)
    signed = invoke(
        "countersign", folder / "g.json", "--key", folder / "imigrasi.key",
        "--provider", f"file:{folder / 'kek'}",
    )  # fmt: skip
    assert signed.exit_code == 0, signed.exception
    envelope = parse_envelope((folder / "g.json").read_bytes())
    made = parse_payload(LookupGrant, envelope)
    assert (made.grant, made.register_of, made.number) == (shown["grant"], "dukcapil", 500)
    assert (made.per_minute, made.purpose) == (60, load(folder).purpose.code)
    assert {key for key, _ in envelope.signatures} == {
        signer(f"party/{name}").key_id for name in ("imigrasi", "dukcapil")
    }
    assert isinstance(grant(folder).exception, KeystoreError)
    assert isinstance(grant(folder, "--number", "0", out="h.json").exception, ConfigError)


def test_a_grant_is_ended_by_its_file(folder: Path) -> None:
    grant(folder)
    done = invoke(
        "revoke-grant", folder / "g.json", "--reason", "selesai", "--key", folder / "imigrasi.key",
        "--provider", f"file:{folder / 'kek'}", "--out", folder / "end.json",
    )  # fmt: skip
    assert done.exit_code == 0, done.exception
    made = parse_payload(GrantRevocation, parse_envelope((folder / "end.json").read_bytes()))
    grants = parse_payload(LookupGrant, parse_envelope((folder / "g.json").read_bytes()))
    assert made.grant == grants.grant


def test_nothing_else_is_countersigned_by_the_way(folder: Path) -> None:
    sign(folder, "pks.toml", "dukcapil")
    refused = invoke(
        "countersign", folder / "pks.json", "--key", folder / "imigrasi.key",
        "--provider", f"file:{folder / 'kek'}",
    )  # fmt: skip
    assert isinstance(refused.exception, MalformedMessageError)


def load(folder: Path) -> Agreement:
    return parse_draft((folder / "pks.toml").read_text())


def test_diff_names_what_differs(folder: Path) -> None:
    (folder / "other.toml").write_text(current().replace("hours = 72", "hours = 48", 1))
    same = invoke("diff", folder / "pks.toml", folder / "pks.toml")
    assert same.exit_code == 0
    found = invoke("diff", folder / "pks.toml", folder / "other.toml")
    assert found.exit_code == 1
    assert found.stdout == "rights.hours: 72 -> 48\n"
    as_json = invoke("diff", folder / "pks.toml", folder / "other.toml", "--json")
    assert json.loads(as_json.stdout) == [{"where": "rights.hours", "left": 72, "right": 48}]


@pytest.mark.parametrize("content", [b"{}", b'{"env":', b"\xff", b"{", b"[", b""])
def test_a_file_that_is_neither_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    for command in ("check", "show"):
        assert isinstance(invoke(command, tmp_path / "x").exception, ConfigError)
    assert isinstance(invoke("check", tmp_path / "absent").exception, ConfigError)
