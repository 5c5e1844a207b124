"""`padan audit verify|replay|receipt|trust` as an auditor types them."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from log_site import Site, bundle_of, head_of, job_leaves, seconds, signed_bundle
from memory_witness import nodes_of
from three_verifiers import write_archive

from keys import dsse
from linkage.agreement.payload import Enrolment
from linkage.cli.audit import audit
from linkage.errors import ConfigError, ProofError
from linkage.log.canonical import encode_base64, format_json
from linkage.log.checkpoint import sign_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.entry import format_body, format_entry
from linkage.log.hashing import leaf_hash
from linkage.log.note import Ed25519Signer
from linkage.log.policy import GroupLine, LogLine, Policy, format_policy, parse_policy
from linkage.log.proof import inclusion_proof
from linkage.log.receipt import Receipt, format_receipt
from linkage.log.vkey import format_vkey

sys.path.insert(0, str(Path(__file__).parents[1] / "agreement"))
from agreement_world import LOG, World, usual
from agreement_world import signer as sign_key

SITE = Site()
LEAVES = job_leaves(6)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(audit, [str(argument) for argument in arguments])


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def bundle_of_world(world: World, folder: Path) -> tuple[Path, Path]:
    """The log of a world of agreements, signed by a key of its own, and the trust file."""
    signer = Ed25519Signer(LOG, Ed25519PrivateKey.from_private_bytes(b"\5" * 32))
    leaves = [format_entry(entry) for entry in world.entries]
    note = sign_checkpoint(head_of(leaves, LOG), signer)
    opened = {at: format_body(bytes(32), format_json(body)) for at, body in world.bodies.items()}
    trust = saved(folder / "trust", format_policy(Policy((LogLine(signer.key),))))
    return write_archive(folder / "bundle.tar", bundle_of(leaves, note, opened)), trust


def test_verify(tmp_path: Path) -> None:
    bundle = write_archive(tmp_path / "bundle.tar", signed_bundle(SITE, LEAVES))
    trust = saved(tmp_path / "trust", SITE.trust)
    done = run("verify", bundle, "--trust", trust, "--json")
    assert (done.exit_code, json.loads(done.stdout)["verdict"]) == (0, "OK")
    done = run("verify", bundle)
    assert (done.exit_code, done.stdout.split(":")[0]) == (3, "UNPINNED")


def test_replay(tmp_path: Path) -> None:
    world, _ = usual()
    bundle, trust = bundle_of_world(world, tmp_path)
    done = run("replay", bundle, "--trust", trust)
    assert (done.exit_code, done.stdout.split(":")[0]) == (0, "OK")
    world.add("result", {"job": "j9"}, "PKS-2027-1")
    bundle, trust = bundle_of_world(world, tmp_path)
    done = run("replay", bundle, "--trust", trust, "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["verdict"]) == (3, "NOT_AUTHORISED")
    assert report["findings"][0]["text"].startswith(f"leaf {len(world.entries) - 1}: result")


def test_a_log_that_does_not_verify_is_not_replayed(tmp_path: Path) -> None:
    bundle, _ = bundle_of_world(usual()[0], tmp_path)
    done = run("replay", bundle, "--trust", saved(tmp_path / "other", SITE.trust))
    assert (done.exit_code, done.stdout) == (3, "")
    assert "ORIGIN_MISMATCH" in done.stderr


def test_a_receipt(tmp_path: Path) -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    proof = tuple(inclusion_proof(3, 6, nodes_of(hashes)))
    note = SITE.checkpoint(head_of(LEAVES), seconds(6))
    file = saved(tmp_path / "r.tlog-proof", format_receipt(Receipt(3, proof, note)))
    trust = saved(tmp_path / "trust", SITE.trust)
    done = run("receipt", file, "--entry", saved(tmp_path / "leaf", LEAVES[3]), "--trust", trust)
    assert done.exit_code == 0
    assert "2026-01-01 00:06:00Z  auditor" in done.stdout
    done = run("receipt", file, "--entry", saved(tmp_path / "leaf", LEAVES[2]), "--trust", trust)
    assert isinstance(done.exception, ProofError)


def test_a_trust_file(tmp_path: Path) -> None:
    trust = saved(tmp_path / "trust", SITE.trust)
    assert run("trust", trust, "--party", "dukcapil", "--party", "imigrasi").exit_code == 0
    done = run("trust", trust, "--party", "setneg")
    assert (done.exit_code, done.stdout) == (1, "no witness or group setneg in the trust file\n")
    weak = SITE.trust.replace(b"everyone 3", b"everyone 2")
    done = run("trust", saved(tmp_path / "weak", weak))
    assert done.exit_code == 1
    assert "everyone asks for 2 of 3, and needs 3" in done.stdout


def enrolment(
    folder: Path, party: str, cosigns_as: str | None = None, *, both: bool = False
) -> Path:
    """Write the enrolment of a party, as it signs it itself."""
    second = Cosigner(f"party/{party}", MLDSA44PrivateKey.generate(), lambda: 1.0)
    sign_key, witness_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signer = dsse.Ed25519Signer(sign_key)
    document = Enrolment(
        log=LOG,
        principal=f"spiffe://padan.test/party/{party}",
        tls_keys=(),
        sign_key=encode_base64(signer.public),
        witness_key=format_vkey(
            Cosigner(cosigns_as or f"party/{party}", witness_key, lambda: 1.0).key
        ),
        witness_ml_dsa_key=format_vkey(second.key) if both else None,
    )
    envelope = dsse.sign(Enrolment.TYPE, document.to_bytes(), [signer])
    return saved(folder / f"{party}.json", envelope.to_bytes())


def test_a_trust_file_is_written_with_witnesses(tmp_path: Path) -> None:
    signer = Ed25519Signer(LOG, Ed25519PrivateKey.from_private_bytes(b"\5" * 32))
    log = saved(tmp_path / "log", format_policy(Policy((LogLine(signer.key),)), "Of a test"))
    paths = [enrolment(tmp_path, name) for name in ("dukcapil", "imigrasi", "kemenlu", "ahu")]
    three, out = [word for path in paths[:3] for word in ("--add", path)], tmp_path / "trust"
    done = run("trust", log, *three, "--out", out)
    assert done.exit_code == 0, done.exception
    policy = parse_policy(out.read_bytes())
    assert policy.groups == (
        GroupLine("parties", 3, ("party/dukcapil", "party/imigrasi", "party/kemenlu")),
    )
    assert out.read_bytes().startswith(b"# Of a test\n")
    # A fourth is added to those that are there; a quorum that is too weak is not written.
    done = run("trust", out, "--add", paths[3], "--quorum", "2", "--out", tmp_path / "weak")
    assert done.exit_code == 1
    assert not (tmp_path / "weak").exists()
    assert run("trust", out, "--add", paths[3], "--out", tmp_path / "more").exit_code == 0
    assert run("trust", tmp_path / "more", "--party", "party/ahu").exit_code == 1
    done = run("trust", out, "--add", paths[3], "--quorum", "4", "--out", tmp_path / "all")
    assert run("trust", tmp_path / "all", "--party", "party/ahu").exit_code == 0
    # A party twice is one key twice.
    assert isinstance(run("trust", out, "--add", paths[0], "--out", log).exception, ConfigError)


def test_a_party_with_two_keys_is_asked_for_both(tmp_path: Path) -> None:
    signer = Ed25519Signer(LOG, Ed25519PrivateKey.from_private_bytes(b"\5" * 32))
    log = saved(tmp_path / "log", format_policy(Policy((LogLine(signer.key),)), "Of a test"))
    names = ("dukcapil", "imigrasi", "ahu")
    paths = [enrolment(tmp_path, name, both=name != "imigrasi") for name in names]
    out, more = tmp_path / "trust", tmp_path / "more"
    added = run("trust", log, "--add", paths[0], "--add", paths[1], "--out", out)
    assert added.exit_code == 0, added.exception
    added = run("trust", out, "--add", paths[2], "--quorum", "3", "--out", more)
    assert added.exit_code == 0, added.exception
    policy = parse_policy(more.read_bytes())
    own = {name: policy.witnesses_under(f"party/{name}") for name in names}
    assert [len(own[name]) for name in names] == [2, 1, 2]
    assert policy.quorum_met(frozenset().union(*own.values()))
    for line in policy.witnesses:
        assert not policy.quorum_met(frozenset().union(*own.values()) - {line.name})
    assert run("trust", more, "--party", "party/ahu").exit_code == 0
    again = run("trust", more, "--add", paths[2], "--out", tmp_path / "again")
    assert isinstance(again.exception, ConfigError)


def test_a_witness_is_taken_only_from_its_own_enrolment(tmp_path: Path) -> None:
    log = saved(tmp_path / "log", SITE.trust)
    other = enrolment(tmp_path, "setneg", cosigns_as="party/dukcapil")
    done = run("trust", log, "--add", other, "--out", tmp_path / "out")
    assert "under another name" in str(done.exception)
    whole = json.loads(enrolment(tmp_path, "ahu").read_bytes())
    whole["signatures"] = []
    unsigned = saved(tmp_path / "unsigned", json.dumps(whole, separators=(",", ":")).encode())
    done = run("trust", log, "--add", unsigned, "--out", tmp_path / "out")
    assert "has not signed its own enrolment" in str(done.exception)
    done = run("trust", log, "--add", log, "--out", tmp_path / "out")
    assert "not an envelope" in str(done.exception)
    assert run("trust", log, "--add", unsigned).exit_code == 2
    assert not (tmp_path / "out").exists()


def test_a_trust_file_with_groups_of_its_own_is_left_to_its_author(tmp_path: Path) -> None:
    log = saved(tmp_path / "log", SITE.trust)
    done = run("trust", log, "--add", enrolment(tmp_path, "ahu"), "--out", tmp_path / "out")
    assert "groups of its own" in str(done.exception)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = run("trust", tmp_path / "none")
    assert isinstance(done.exception, ConfigError)
    with pytest.raises(ConfigError, match="cannot be read"):
        raise done.exception


def test_a_report_counts_what_was_told_to_whom(tmp_path: Path) -> None:
    world, document = usual()
    spec = {
        "parties": ["dukcapil", "imigrasi"],
        "results": [["dukcapil", "imigrasi", "R2"], ["dukcapil", "coordinator", "R0"], "?", ["x"]],
    }
    for name, ends in (("j1", "release"), ("j2", "release"), ("j3", "job.cancelled")):
        world.add("job.request", {"job": name, "spec": spec}, document.id, "party/imigrasi")
        world.add("job.authorise", {"job": name, "code": "ALLOWED"}, document.id)
        world.add(ends, {"job": name}, document.id)
    bundle, trust = bundle_of_world(world, tmp_path)
    done = run("report", bundle, "--trust", trust)
    assert done.exit_code == 0
    assert "  2  results dukcapil -> imigrasi (R2)\n" in done.stdout
    assert "  2  results dukcapil -> coordinator (R0)\n" in done.stdout


def test_a_report(tmp_path: Path) -> None:
    world, document = usual()
    spec = {"purpose": document.purpose.code, "parties": ["dukcapil", "imigrasi"]}
    body = {"job": "j1", "spec": spec, "key": "ab" * 32}
    world.add("job.request", body, document.id, "party/imigrasi")
    world.add("job.authorise", {"job": "j1", "code": "ALLOWED"}, document.id)
    bundle, trust = bundle_of_world(world, tmp_path)
    done = run("report", bundle, "--trust", trust)
    assert done.exit_code == 0
    assert "jobs: 1 ALLOWED; released: 0" in done.stdout
    assert "by party/imigrasi: dukcapil + imigrasi, ALLOWED, not released" in done.stdout
    for options, n_jobs in (
        (["--touched", "ab" * 32], 1), (["--touched", "cd" * 32], 0),
        (["--agreement", document.id], 1),
        (["--agreement", "x"], 0), (["--from", "2027-03-01", "--until", "2027-03-01"], 1),
        (["--from", "2027-03-02"], 0), (["--until", "2027-02-28"], 0),
    ):  # fmt: skip
        found = run("report", bundle, "--trust", trust, "--json", *options)
        assert len(json.loads(found.stdout)["jobs"]) == n_jobs, options


def test_the_record_of_processing_has_all_elements_of_the_agreement(tmp_path: Path) -> None:
    world, document = usual()
    minute = {"minute": 0, "answered": 3, "last": 3, "counts": [
        {"caller": "imigrasi", "register": "dukcapil", "answered": 3, "refused": 1},
    ]}  # fmt: skip
    world.add("lookup.minute", minute, document.id)
    bundle, trust = bundle_of_world(world, tmp_path)
    page = tmp_path / "report.html"
    done = run("report", bundle, "--trust", trust, "--json", "--html", page)
    assert done.exit_code == 0, done.exception
    (one,) = json.loads(done.stdout)["agreements"]
    elements = {element["letter"]: element["content"] for element in one["processing"]}
    assert list(elements) == list("abcdefghijklm")
    assert all(elements.values())
    for party in document.parties:
        assert party.ppdp.contact in " ".join(elements["b"])
        assert all(f"{party.id}: {data.name}" in " ".join(elements["f"]) for data in party.data)
    assert document.purpose.text.id in " ".join(elements["e"])
    assert document.processor.name in " ".join(elements["h"])
    assert all(basis.article in " ".join(elements["d"]) for basis in document.legal_basis)
    (period,) = one["periods"]
    assert period["lookups"] == {"imigrasi -> dukcapil": 3}
    assert period["refused"] == {"imigrasi -> dukcapil": 1}
    text = page.read_text("utf-8")
    tree = ElementTree.fromstring(text.partition("\n")[2])  # noqa: S314 -- our own page
    shown = " ".join(tree.itertext())
    assert all(line in shown for content in elements.values() for line in content)
    assert "script" not in text


def _with_a_job(world: World, agreement_id: str) -> None:
    """A job with two batches, and a register beside it."""
    spec = {"purpose": "p", "parties": ["dukcapil", "imigrasi"], "codes": {"schema_id": "5c" * 32}}
    for type_, body, actor in (
        ("job.request", {"spec": spec, "key": "ab" * 32}, "party/imigrasi"),
        ("job.authorise", {"code": "ALLOWED"}, "matcher"),
        ("job.admit", {"key": "cd" * 32, "manifest": "d1" * 32}, "party/dukcapil"),
        ("batch", {"batch": "b1", "n_records": 70, "manifest": "d1" * 32}, "party/dukcapil"),
        ("batch", {"batch": "b2", "n_records": 50, "manifest": "d2" * 32}, "party/imigrasi"),
        ("result", {"results": {"dukcapil": "e1" * 32}}, "matcher"),
    ):
        world.add(type_, {"job": "j1", **body}, agreement_id, actor)
    register = {"register": "dukcapil", "batch": "b3", "n_records": 900, "manifest": "d3" * 32}
    world.add("batch", register, agreement_id, "party/dukcapil")


@pytest.mark.parametrize(
    ("what", "jobs", "records"),
    [
        ("ab" * 32, ["j1"], {"dukcapil": 70, "imigrasi": 50}),
        ("cd" * 32, ["j1"], {"dukcapil": 70, "imigrasi": 50}),
        ("e1" * 32, ["j1"], {"dukcapil": 70, "imigrasi": 50}),
        ("5c" * 32, ["j1"], {"dukcapil": 70, "imigrasi": 50}),
        ("b2", ["j1"], {"dukcapil": 70, "imigrasi": 50}),
        ("j1", ["j1"], {"dukcapil": 70, "imigrasi": 50}),
        ("b3", [], {"dukcapil": 900}),
        ("d3" * 32, [], {"dukcapil": 900}),
        ("00" * 32, [], {}),
    ],
)
def test_what_something_touched(
    what: str, jobs: list[str], records: dict[str, int], tmp_path: Path
) -> None:
    world, document = usual()
    _with_a_job(world, document.id)
    bundle, trust = bundle_of_world(world, tmp_path)
    done = run("report", bundle, "--trust", trust, "--json", "--touched", what)
    scope = json.loads(done.stdout)["scope"]
    assert (scope["jobs"], scope["records"]) == (jobs, records)
    assert bool(scope["leaves"]) == bool(records)
    words = run("report", bundle, "--trust", trust, "--touched", what)
    assert words.exit_code == 0
    assert what in words.stdout


def test_the_key_of_a_party_is_named_with_what_it_signed(tmp_path: Path) -> None:
    world, document = usual()
    bundle, trust = bundle_of_world(world, tmp_path)
    key = sign_key("party/dukcapil").key_id
    page = tmp_path / "scope.html"
    done = run("report", bundle, "--trust", trust, "--json", "--touched", key, "--html", page)
    scope = json.loads(done.stdout)["scope"]
    assert scope["owner"]["principal"].endswith("/party/dukcapil")
    assert scope["owner"]["kind"] == "sign"
    types = {leaf["type"] for leaf in scope["leaves"]}
    assert {"enrol", "agreement.register"} <= types
    assert scope["agreements"] == [document.id]
    assert "party/dukcapil" in page.read_text("utf-8")
    assert (
        run("report", bundle, "--trust", trust, "--touched", "x", "--certificate", page).exit_code
        == 2
    )
