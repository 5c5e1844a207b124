"""`padan enrol`: documents that count in the log, wrong use told at once, nothing overwritten."""

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keys import door
from keys.dsse import Envelope, key_id_of, parse_envelope
from keys.errors import KeystoreError
from keys.identity import ThrowawayAuthority, key_digest, parse_identity
from keys.providers import KeyProvider
from linkage.agreement.payload import Enrolment, KeyRevocation, KeyRotation, leaf_body
from linkage.agreement.state import State
from linkage.cli import padan
from linkage.errors import ConfigError
from linkage.log.canonical import JsonObject, decode_base64
from linkage.log.entry import Entry
from linkage.log.vkey import COSIGNATURE_ED25519, COSIGNATURE_ML_DSA_44, parse_vkey

LOG = "padan.test/log"
DOMAIN = "padan.test"
KEMENLU = f"spiffe://{DOMAIN}/party/kemenlu"
NOW = datetime.now(UTC).replace(microsecond=0)
UNTIL = "2036-12-31T08:00:00Z"
N_MISSIONS = 132


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(padan, [str(word) for word in words])


def done(*words: str | Path) -> Result:
    result = invoke(*words)
    assert result.exit_code == 0, result.exception
    return result


def problems(*words: str | Path) -> list[str]:
    """The problems with which a command is refused."""
    result = invoke(*words)
    assert isinstance(result.exception, ConfigError), (result.exception, result.output)
    return list(result.exception.problems)


class Desk:
    """The desk of whoever enrols: a provider, signing keys, certificates, and a log.

    Attributes:
        folder: where everything is.
        public: signing keys by name, base64.
        state: what the log says.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.public = folder, dict[str, str]()
        self.authority = ThrowawayAuthority(NOW - timedelta(minutes=5))
        done("keys", "init", "--provider", f"file:{folder / 'kek'}")
        self.state = State()

    def key(self, name: str, kind: str = "sign") -> Path:
        """Make a key."""
        path = self.folder / f"{name}.key"
        provider = f"file:{self.folder / 'kek'}"
        words = ("keys", "new", kind, "--out", path, "--provider", provider, "--json")
        self.public[name] = json.loads(done(*words).stdout)["public"]
        return path

    def by(self, name: str) -> tuple[str | Path, ...]:
        """The options of a command that signs."""
        return "--key", self.folder / f"{name}.key", "--provider", f"file:{self.folder / 'kek'}"

    def certificate(self, path: str, name: str = "") -> Path:
        """Have a certificate issued for `party/x`, `office/x/y`, ..."""
        identity = parse_identity(f"spiffe://{DOMAIN}/{path}")
        file = self.folder / f"{name or path.replace('/', '-')}.pem"
        file.write_bytes(self.authority.issue(identity).certificate)
        return file

    def open_log(self, *administrators: str, threshold: int = 1) -> None:
        """Begin the log."""
        admins = [self.public[name] for name in administrators]
        body: JsonObject = {"origin": LOG, "admins": admins, "threshold": threshold}
        self.state = State().after(0, Entry("genesis", NOW, "matcher", None, body=body))

    def submit(self, kind: str, path: Path, time: datetime = NOW) -> str | None:
        """Put a document into the log; return the code with which it does not count."""
        before = self.state
        entry = Entry(kind, time, "matcher", None, body=leaf_body(read(path)))
        self.state = before.after(before.size, entry)
        rejected = self.state.rejected
        return rejected[-1].code if len(rejected) > len(before.rejected) else None


def read(path: Path) -> Envelope:
    return parse_envelope(path.read_bytes())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    for name in ("admin", "kemenlu"):
        made.key(name)
    made.open_log("admin")
    return made


@pytest.fixture
def enrolled(desk: Desk) -> Desk:
    """A desk with a party in the log."""
    out = desk.folder / "kemenlu.json"
    done("enrol", "new", *new_party(desk, out))
    done("enrol", "sign", out, *desk.by("admin"))
    assert desk.submit("enrol", out) is None
    return desk


def new_party(desk: Desk, out: Path, **changed: str) -> tuple[str | Path, ...]:
    words: dict[str, str | Path] = {
        "--log": LOG,
        "--principal": KEMENLU,
        "--certificate": desk.certificate("party/kemenlu"),
        "--out": out,
    }
    words |= {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    return *(word for pair in words.items() for word in pair), *desk.by("kemenlu")


# One principal


def test_a_party_is_enrolled_with_all_its_keys(desk: Desk) -> None:
    desk.key("seal", "seal")
    desk.key("witness", "witness")
    desk.key("second", "witness-ml-dsa-44")
    out = desk.folder / "out.json"
    public = {
        "seal_key": desk.public["seal"],
        "witness_key": desk.public["witness"],
        "witness_ml_dsa_key": desk.public["second"],
    }
    done("enrol", "new", *new_party(desk, out, **public))
    assert desk.submit("enrol", out) == "NOT_SIGNED"
    done("enrol", "sign", out, *desk.by("admin"))
    assert desk.submit("enrol", out) is None
    principal = desk.state.principals.get(KEMENLU)
    assert principal is not None
    kinds = {kind: principal.counting(kind, NOW) for kind in ("tls", "sign", "seal", "witness")}
    assert [key.id for key in kinds["tls"]] == [
        key_digest((desk.folder / "party-kemenlu.pem").read_bytes())
    ]
    assert [key.public for key in kinds["sign"]] == [decode_base64(desk.public["kemenlu"])]
    assert [key.public for key in kinds["seal"]] == [decode_base64(desk.public["seal"])]
    (witness,) = (parse_vkey(key.public.decode()) for key in kinds["witness"])
    assert (witness.name, witness.algorithm) == ("party/kemenlu", COSIGNATURE_ED25519)
    assert witness.public == decode_base64(desk.public["witness"])
    (second,) = (
        parse_vkey(key.public.decode()) for key in principal.counting("witness-ml-dsa-44", NOW)
    )
    assert (second.name, second.algorithm) == ("party/kemenlu", COSIGNATURE_ML_DSA_44)
    assert second.public == decode_base64(desk.public["second"])


def test_an_enrolment_without_a_second_key_to_cosign_with_is_as_it_was(desk: Desk) -> None:
    desk.key("witness", "witness")
    out = desk.folder / "out.json"
    done("enrol", "new", *new_party(desk, out, witness_key=desk.public["witness"]))
    assert "witness_ml_dsa_key" not in json.loads(read(out).payload)
    done("enrol", "sign", out, *desk.by("admin"))
    assert desk.submit("enrol", out) is None
    # The second key comes beside the first, which goes on.
    desk.key("second", "witness-ml-dsa-44")
    rotated = desk.folder / "rotated.json"
    done(
        *("enrol", "rotate", "--log", LOG, "--principal", KEMENLU, "--serial", "1"),
        *("--witness-ml-dsa-key", desk.public["second"]),
        *("--old-until", "2027-01-01T00:00:00Z", "--out", rotated),
        *desk.by("kemenlu"),
    )
    assert desk.submit("key.rotate", rotated) is None
    principal = desk.state.principals.get(KEMENLU)
    assert principal is not None
    for kind in ("witness", "witness-ml-dsa-44"):
        assert [key.until for key in principal.counting(kind, NOW)] == [None]


def test_two_certificates_are_enrolled_beside_each_other(desk: Desk) -> None:
    out, second = desk.folder / "out.json", desk.certificate("party/kemenlu", "second")
    done("enrol", "new", *new_party(desk, out), "--certificate", second)
    assert len(json.loads(read(out).payload)["tls_keys"]) == 2


def test_as_many_administrators_sign_as_the_log_wants(desk: Desk) -> None:
    desk.key("admin2")
    desk.open_log("admin", "admin2", threshold=2)
    out = desk.folder / "out.json"
    done("enrol", "new", *new_party(desk, out))
    done("enrol", "sign", out, *desk.by("admin"))
    assert desk.submit("enrol", out) == "NOT_SIGNED"
    done("enrol", "sign", out, *desk.by("admin2"))
    assert desk.submit("enrol", out) is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"principal": "spiffe://padan.test/office/kemenlu"}, "principal: a principal is spiffe"),
        ({"principal": "party/kemenlu"}, "principal: a principal is spiffe"),
        ({"principal": "spiffe://padan.test/root/kemenlu"}, "principal: a principal is spiffe"),
        ({"principal": "spiffe://padan.test/party/ahu"}, "names spiffe://padan.test/party/kemenlu"),
        ({"log": "two words"}, "log: an origin is"),
        ({"seal-key": "AAAA"}, "seal_key: a seal key is the base64 of 1216 bytes"),
        ({"witness-key": "a\nb"}, "witness_key: a witness key is"),
        ({"witness-ml-dsa-key": "AAAA"}, "witness_ml_dsa_key: an ML-DSA-44 witness key is"),
        ({"certificate": "/nowhere.pem"}, "/nowhere.pem: No such file"),
    ],
)
def test_a_wrong_field_is_named(desk: Desk, changed: dict[str, str], words: str) -> None:
    out = desk.folder / "out.json"
    assert any(words in one for one in problems("enrol", "new", *new_party(desk, out, **changed)))
    assert not out.exists()


def test_all_that_is_wrong_is_told_at_once_and_before_the_key_is_opened(desk: Desk) -> None:
    (desk.folder / "bad.pem").write_text("nonsense")
    out = desk.folder / "out.json"
    out.write_text("precious")
    (desk.folder / "kemenlu.key").unlink()
    words = new_party(
        desk, out, log="two words", principal="kemenlu", seal_key="x",
        certificate=str(desk.folder / "bad.pem"),
    )  # fmt: skip
    found = problems("enrol", "new", *words, "--certificate", desk.folder / "none.pem")
    assert [one.partition(": ")[0].rpartition("/")[2] for one in found] == [
        "out.json", "bad.pem", "none.pem", "log", "principal", "seal_key",
    ]  # fmt: skip
    assert out.read_text() == "precious"


@pytest.mark.parametrize("kind", ["seal", "witness"])
def test_a_key_of_another_kind_signs_nothing(desk: Desk, kind: str) -> None:
    desk.key("other", kind)
    out = desk.folder / "out.json"
    words = [word for word in new_party(desk, out) if word != desk.folder / "kemenlu.key"]
    words.insert(words.index("--key") + 1, desk.folder / "other.key")
    assert problems("enrol", "new", *words) == [
        f"holds a {kind} key: name one that `padan keys new sign` made"
    ]
    assert not out.exists()


# Every document


def commands(desk: Desk) -> dict[str, tuple[str | Path, ...]]:
    """One right call of each command that writes a document."""
    principal = ("--log", LOG, "--principal", KEMENLU)
    change = (*principal, "--serial", "1", *desk.by("admin"))
    return {
        "new": new_party(desk, Path()),
        "rotate": (
            *change, "--certificate", desk.certificate("party/kemenlu", "next"),
            "--old-until", UNTIL,
        ),
        "revoke": (*change, "--reason", "left"),
    }  # fmt: skip


@pytest.mark.parametrize("command", ["new", "rotate", "revoke"])
def test_a_document_is_never_overwritten(desk: Desk, command: str) -> None:
    out = desk.folder / "out.json"
    words = (command, *commands(desk)[command], "--out", out)
    done("enrol", *words)
    first = out.read_bytes()
    assert problems("enrol", *words) == [f"{out}: exists; a document is never overwritten"]
    assert out.read_bytes() == first


@pytest.mark.parametrize("command", ["new", "rotate", "revoke"])
def test_a_document_in_no_folder_is_told(desk: Desk, command: str) -> None:
    words = (*commands(desk)[command], "--out", desk.folder / "none" / "out.json")
    result = invoke("enrol", command, *words)
    assert isinstance(result.exception, KeystoreError)
    assert "name a folder that takes it" in str(result.exception)


@pytest.mark.parametrize("command", ["new", "rotate", "revoke"])
def test_a_document_says_on_screen_what_it_holds(desk: Desk, command: str) -> None:
    out = desk.folder / "out.json"
    done("enrol", command, *commands(desk)[command], "--out", out)
    shown = json.loads(done("enrol", "show", out).stdout)
    assert shown["type"] == read(out).payload_type
    assert shown["document"]["principal"] == KEMENLU
    signer = "kemenlu" if command == "new" else "admin"
    assert shown["signed_by"] == [key_id_of(decode_base64(desk.public[signer]))]


# Changes of keys


def test_a_certificate_is_renewed(enrolled: Desk) -> None:
    out = enrolled.folder / "out.json"
    done("enrol", "rotate", *commands(enrolled)["rotate"], "--out", out)
    assert enrolled.submit("key.rotate", out) is None
    principal = enrolled.state.principals.by_uri[KEMENLU]
    end = datetime(2036, 12, 31, 8, tzinfo=UTC)
    assert [len(principal.counting("tls", time)) for time in (NOW, end)] == [2, 1]
    assert len(principal.counting("sign", end)) == 1


def test_a_signing_key_is_renewed_with_both_signatures(enrolled: Desk) -> None:
    newer, out = enrolled.key("newer"), enrolled.folder / "out.json"
    done(
        "enrol", "rotate", "--log", LOG, "--principal", KEMENLU, "--serial", "1",
        "--new-key", newer, "--old-until", UNTIL, *enrolled.by("kemenlu"), "--out", out,
    )  # fmt: skip
    assert enrolled.submit("key.rotate", out) is None
    keys = enrolled.state.principals.by_uri[KEMENLU].sign_keys(NOW)
    assert list(keys.values()) == [
        decode_base64(enrolled.public[name]) for name in ("kemenlu", "newer")
    ]


def test_both_keys_of_a_rotation_are_opened_by_one_provider(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A passphrase is then asked for once, and a descriptor gives it only once.
    newer, opened, open_it = desk.key("newer"), list[str](), door.open_provider

    def counted(setting: str) -> KeyProvider:
        opened.append(setting)
        return open_it(setting)

    monkeypatch.setattr(door, "open_provider", counted)
    words = (*commands(desk)["rotate"], "--out", desk.folder / "out.json")
    done("enrol", "rotate", *words, "--new-key", newer)
    assert len(opened) == 1
    assert len(read(desk.folder / "out.json").signatures) == 2


def test_a_rotation_that_changes_nothing_is_refused(desk: Desk) -> None:
    (problem,) = problems(
        "enrol", "rotate", "--log", LOG, "--principal", KEMENLU, "--serial", "1",
        "--old-until", UNTIL, *desk.by("kemenlu"), "--out", desk.folder / "out.json",
    )  # fmt: skip
    assert problem.startswith("names no new key")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2036-12-31T08:00:00Z", "2036-12-31T08:00:00Z"),
        ("2036-12-31T08:00:00", "2036-12-31T08:00:00Z"),
        ("2036-12-31T08:00:00+07:00", "2036-12-31T01:00:00Z"),
        ("2036-12-31", "2036-12-31T00:00:00Z"),
    ],
)
def test_the_end_of_the_overlap_is_a_time_in_utc(desk: Desk, text: str, found: str) -> None:
    words = list(commands(desk)["rotate"])
    words[words.index(UNTIL)] = text
    done("enrol", "rotate", *words, "--out", desk.folder / "out.json")
    assert json.loads(read(desk.folder / "out.json").payload)["old_until"] == found


@pytest.mark.parametrize("text", ["tomorrow", "31-12-2036", "2036-12-31T25:00:00Z", ""])
def test_what_is_no_time_is_a_matter_of_usage(desk: Desk, text: str) -> None:
    words = list(commands(desk)["rotate"])
    words[words.index(UNTIL)] = text
    result = invoke("enrol", "rotate", *words, "--out", desk.folder / "out.json")
    assert result.exit_code == 2
    assert "not a time such as" in result.output


def test_a_fraction_of_a_second_is_no_time_of_a_document(desk: Desk) -> None:
    words = list(commands(desk)["rotate"])
    words[words.index(UNTIL)] = "2036-12-31T08:00:00.5Z"
    (problem,) = problems("enrol", "rotate", *words, "--out", desk.folder / "out.json")
    assert "whole seconds" in problem


def test_a_key_is_revoked_and_then_the_whole_principal(enrolled: Desk) -> None:
    digest = key_digest((enrolled.folder / "party-kemenlu.pem").read_bytes())
    for serial, extra in (("1", ("--revoked", digest)), ("2", ())):
        out = enrolled.folder / f"revoke{serial}.json"
        done(
            "enrol", "revoke", "--log", LOG, "--principal", KEMENLU, "--serial", serial,
            "--reason", "compromised", *extra, *enrolled.by("kemenlu"), "--out", out,
        )  # fmt: skip
        assert enrolled.submit("key.revoke", out) is None
        principal = enrolled.state.principals.by_uri[KEMENLU]
        assert not principal.counting("tls", NOW)
        assert bool(principal.counting("sign", NOW)) == (serial == "1")


def test_revoked_keys_and_serials_are_checked_together(desk: Desk) -> None:
    found = problems(
        "enrol", "revoke", "--log", LOG, "--principal", "x", "--serial", "0",
        "--reason", "left", "--revoked", "abc", "--revoked", "F" * 64,
        *desk.by("kemenlu"), "--out", desk.folder / "out.json",
    )  # fmt: skip
    assert [one.partition(":")[0] for one in found] == ["principal", "serial", "keys.0", "keys.1"]


def test_a_reason_is_one_of_four(desk: Desk) -> None:
    words = list(commands(desk)["revoke"])
    words[words.index("left")] = "bored"
    assert invoke("enrol", "revoke", *words, "--out", desk.folder / "o").exit_code == 2


# Signing


def test_signing_keeps_the_document_and_the_signatures_there_are(desk: Desk) -> None:
    out = desk.folder / "out.json"
    done("enrol", "new", *new_party(desk, out))
    before = read(out)
    done("enrol", "sign", out, *desk.by("admin"))
    assert read(out).payload == before.payload
    assert set(before.signatures) < set(read(out).signatures)
    again = out.read_bytes()
    done("enrol", "sign", out, *desk.by("admin"))
    assert out.read_bytes() == again
    assert [path.name for path in desk.folder.glob(".new-*")] == []


def test_nothing_is_signed_while_one_document_of_many_is_wrong(desk: Desk) -> None:
    out = desk.folder / "out.json"
    done("enrol", "new", *new_party(desk, out))
    before = out.read_bytes()
    (desk.folder / "bad.json").write_text("{}")
    found = problems(
        "enrol", "sign", out, desk.folder / "bad.json", desk.folder / "none.json",
        *desk.by("admin"),
    )  # fmt: skip
    assert [one.partition(": ")[0].rpartition("/")[2] for one in found] == [
        "bad.json", "none.json",
    ]  # fmt: skip
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("application/vnd.padan.agreement+json", b"{}"),
        ("application/vnd.padan.request+json", b"{}"),
        (Enrolment.TYPE, b"{}"),
        (Enrolment.TYPE, b"\xff"),
        (KeyRotation.TYPE, b"not JSON"),
        (KeyRevocation.TYPE, b'{"v":1}'),
    ],
)
def test_only_documents_of_enrolment_are_signed_or_shown(
    desk: Desk, kind: str, payload: bytes
) -> None:
    # A signature that somebody is talked into here must be worth nothing elsewhere.
    path = desk.folder / "in.json"
    path.write_bytes(Envelope(kind, payload, ()).to_bytes())
    before = path.read_bytes()
    assert len(problems("enrol", "sign", path, *desk.by("admin"))) == 1
    assert len(problems("enrol", "show", path)) == 1
    assert path.read_bytes() == before


# Many offices


@pytest.fixture
def missions(enrolled: Desk) -> Callable[..., Path]:
    """Writes a list of offices whose certificates there are."""

    def write(names: list[str], columns: tuple[str, ...] = (), *cells: str) -> Path:
        path = enrolled.folder / "offices.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("office", "certificate", *columns))
            for name in names:
                certificate = enrolled.folder / f"office-kemenlu-{name}.pem"
                if not certificate.exists():
                    enrolled.certificate(f"office/kemenlu/{name}")
                writer.writerow((name, certificate.name, *cells))
        return path

    return write


def offices(desk: Desk, path: Path, **changed: str) -> tuple[str | Path, ...]:
    words: dict[str, str | Path] = {"--log": LOG, "--principal": KEMENLU, "--list": path}
    words["--folder"] = desk.folder / "out"
    words |= {f"--{name}": value for name, value in changed.items()}
    return "enrol", "offices", *(w for pair in words.items() for w in pair), *desk.by("kemenlu")


def test_all_missions_are_enrolled_from_one_list(
    enrolled: Desk, missions: Callable[..., Path]
) -> None:
    names = [f"perwakilan-{number}" for number in range(N_MISSIONS)]
    columns = ("records_per_day", "jobs_per_day", "lookups_per_day")
    done(*offices(enrolled, missions(names, columns, "0", "0", "500")))
    written = sorted((enrolled.folder / "out").iterdir())
    assert len(written) == N_MISSIONS
    for path in written:
        assert enrolled.submit("enrol", path) is None
    for name in names:
        principal = enrolled.state.principals.by_uri[f"spiffe://{DOMAIN}/office/kemenlu/{name}"]
        assert principal.quota is not None
        assert principal.quota.lookups_per_day == 500
        assert len(principal.counting("tls", NOW)) == 1
    # Those that are there are kept, and so nothing is written beside them.
    again = problems(*offices(enrolled, missions([*names, "one-more"])))
    assert len(again) == N_MISSIONS
    assert all("exists; a document is never overwritten" in one for one in again)
    assert len(list((enrolled.folder / "out").iterdir())) == N_MISSIONS


def test_an_office_with_a_signing_key_signs_its_enrolment_too(
    enrolled: Desk, missions: Callable[..., Path]
) -> None:
    enrolled.key("tawau")
    path = missions(["tawau"], ("sign_key",), enrolled.public["tawau"])
    done(*offices(enrolled, path))
    written = enrolled.folder / "out" / "tawau.json"
    assert enrolled.submit("enrol", written) == "KEY_NOT_SHOWN"
    done("enrol", "sign", written, *enrolled.by("tawau"))
    assert enrolled.submit("enrol", written) is None


def test_a_list_from_a_spreadsheet_is_read(enrolled: Desk, missions: Callable[..., Path]) -> None:
    path = missions(["tawau"])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    done(*offices(enrolled, path))
    assert json.loads(read(enrolled.folder / "out" / "tawau.json").payload)["quota"] is None


def test_every_wrong_line_of_a_list_is_told_and_nothing_is_written(
    enrolled: Desk, missions: Callable[..., Path]
) -> None:
    path = missions(["good", "twice", "other"])
    enrolled.certificate("office/kemenlu/else", "office-kemenlu-other")
    lines = path.read_text().splitlines()
    lines += [
        lines[2],
        "third,office-kemenlu-good.pem",
        "Tawau,office-kemenlu-good.pem",
        "../../etc,none.pem",
        ",",
    ]
    path.write_text("\n".join(lines) + "\n")
    found = problems(*offices(enrolled, path))
    expected = {
        4: "names spiffe://padan.test/office/kemenlu/else, not",
        5: "is listed twice",
        6: "has the key of good",
        7: "principal: a principal is",
        8: "none.pem: No such file",
        9: "principal: a principal is",
    }
    assert [int(one.split()[1].rstrip(",")) for one in found] == list(expected)
    for one, words in zip(found, expected.values(), strict=True):
        assert words in one
    assert not (enrolled.folder / "out").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["lacks the column office", "lacks the column certificate"]),
        (b"office;certificate\na;b\n", ["lacks the column office", "lacks the column certificate",
                                        "has an unknown column 'office;certificate'"]),
        (b"office,certificate,name\n", ["has an unknown column 'name'"]),
        (b"office,certificate\n", ["lists no offices"]),
        (b"office,certificate\na,b,c\n", ["line 2: has more cells than there are columns"]),
        (b"office,certificate\n\xff,b\n", ["cannot be read: "]),
        (b'office,certificate\n"a,b\n', ["cannot be read: "]),
    ],
)  # fmt: skip
def test_what_is_no_list_of_offices_is_told(
    enrolled: Desk, content: bytes, words: list[str]
) -> None:
    path = enrolled.folder / "offices.csv"
    path.write_bytes(content)
    found = problems(*offices(enrolled, path))
    assert len(found) == len(words)
    for one, word in zip(found, words, strict=True):
        assert one.startswith(word)


@pytest.mark.parametrize("number", ["", "-3", "1e3", "3.0", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 10])
def test_a_quota_is_three_whole_numbers(
    enrolled: Desk, missions: Callable[..., Path], number: str
) -> None:
    columns = ("records_per_day", "jobs_per_day", "lookups_per_day")
    (problem,) = problems(*offices(enrolled, missions(["tawau"], columns, "1", number, "3")))
    assert "a quota has three whole numbers, or none" in problem


@pytest.mark.parametrize(
    ("principal", "words"),
    [
        ("kemenlu", "not an identity of the form"),
        (f"spiffe://{DOMAIN}/auditor/bpk", "only a party has offices"),
        (f"spiffe://{DOMAIN}/office/kemenlu/tawau", "only a party has offices"),
    ],
)
def test_offices_are_a_partys(
    enrolled: Desk, missions: Callable[..., Path], principal: str, words: str
) -> None:
    (problem,) = problems(*offices(enrolled, missions(["a", "b"]), principal=principal))
    assert problem.startswith(words)


def test_a_party_enrols_no_offices_of_another(
    enrolled: Desk, missions: Callable[..., Path]
) -> None:
    enrolled.key("ahu")
    words = list(offices(enrolled, missions(["tawau"])))
    words[words.index("--key") + 1] = enrolled.folder / "ahu.key"
    done(*words)
    assert enrolled.submit("enrol", enrolled.folder / "out" / "tawau.json") == "NOT_SIGNED"


# Secrets


def test_no_document_and_no_word_on_screen_holds_a_secret(
    enrolled: Desk, missions: Callable[..., Path]
) -> None:
    from keys.keystore import open_keystore
    from keys.providers import FileProvider

    provider = FileProvider(enrolled.folder / "kek")
    _, seed = open_keystore(enrolled.folder / "kemenlu.key", provider)
    secrets = [seed, (enrolled.folder / "kek").read_bytes()]
    said = [done(*offices(enrolled, missions(["tawau"])))]
    for command, words in commands(enrolled).items():
        out = enrolled.folder / f"secret-{command}.json"
        said.append(done("enrol", command, *words, "--out", out))
        said.append(done("enrol", "show", out))
        said.append(invoke("enrol", command, *words, "--out", out))
    texts = [f"{one.output}{one.exception!r}".encode() for one in said]
    texts += [path.read_bytes() for path in enrolled.folder.rglob("*.json")]
    assert len(texts) > 8
    for secret in secrets:
        for spelled in (secret, secret.hex().encode(), _base64(secret)):
            assert not any(spelled in text for text in texts)


def _base64(data: bytes) -> bytes:
    import base64

    return base64.b64encode(data).rstrip(b"=")
