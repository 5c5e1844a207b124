"""The offline verifier: what it accepts, and that it notices everything else."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.audit import verdict
from linkage.audit.verify import verify_bundle, verify_files
from linkage.errors import ConfigError
from linkage.log.builder import TileBuilder
from linkage.log.bundle import body_path, build_bundle
from linkage.log.checkpoint import Checkpoint, format_checkpoint, sign_checkpoint
from linkage.log.entry import Entry, commit_body, format_body, format_entry
from linkage.log.note import Ed25519Signer, sign_note
from linkage.log.policy import LogLine, Policy, WitnessLine, format_policy
from linkage.log.tar import to_tar
from linkage.log.vkey import VerifierKey

ORIGIN = "log.padan.test/a"
LOG = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
OTHER = Ed25519Signer("log.padan.test/b", Ed25519PrivateKey.from_private_bytes(b"\2" * 32))
POLICY = Policy((LogLine(LOG.key),))
TRUST = format_policy(POLICY)
TIME = datetime(2026, 1, 1, tzinfo=UTC)
OPENING = bytes(range(32))
BODY = b'{"n":1}'


def entries(n: int) -> list[bytes]:
    """Genesis, then a public and a confidential leaf in turn; each names the one before."""
    made = [format_entry(Entry("genesis", TIME, "m", None, body={}))]
    for i in range(1, n):
        if i % 2:
            entry = Entry("job.request", TIME, "m", "a", (i - 1,), None, commit_body(OPENING, BODY))
        else:
            entry = Entry("admin.note", TIME, "m", None, (i - 1,), {"n": i})
        made.append(format_entry(entry))
    return made


def log_files(leaves: list[bytes]) -> tuple[dict[str, bytes], Checkpoint]:
    builder = TileBuilder()
    tiles = [tile for leaf in leaves for tile in builder.append(leaf)]
    files = {tile.path: data for tile, data in [*tiles, *builder.partial_tiles()]}
    return files, Checkpoint(ORIGIN, builder.size, builder.root())


def bundle(leaves: list[bytes], bodies: Mapping[int, bytes] | None = None) -> dict[str, bytes]:
    files, head = log_files(leaves)
    files["checkpoint"] = sign_checkpoint(head, LOG)
    files.update({body_path(i): data for i, data in (bodies or {}).items()})
    return build_bundle(files)


def resealed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The bundle with a manifest that fits, as a forger would make it."""
    return build_bundle({path: files[path] for path in files if path != "manifest.json"})


GOOD = bundle(entries(5), {1: format_body(OPENING, BODY)})


def codes(files: Mapping[str, bytes], since: bytes | None = None) -> list[str]:
    report = verify_files(files, POLICY, since)
    assert report.verdict == (report.findings[0].code if report.findings else verdict.OK)
    return [finding.code for finding in report.findings]


def write_directory(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def test_a_good_bundle_as_directory_and_as_archive(tmp_path: Path) -> None:
    directory = write_directory(tmp_path / "bundle", GOOD)
    archive = tmp_path / "bundle.tar"
    archive.write_bytes(to_tar(GOOD))
    for path in (directory, archive):
        report = verify_bundle(path, TRUST, None)
        assert report.verdict == verdict.OK
        assert (report.origin, report.size, report.bodies) == (ORIGIN, 5, 1)
        assert report.root == log_files(entries(5))[1].root.hex()
        assert report.entries == {"admin.note": 2, "genesis": 1, "job.request": 2}
        assert report.findings == []


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_larger_logs(size: int) -> None:
    assert codes(bundle(entries(size))) == []


def test_the_empty_log() -> None:
    files, head = log_files([])
    assert codes(build_bundle({**files, "checkpoint": sign_checkpoint(head, LOG)})) == []


def test_without_trust_file_nobody_vouches() -> None:
    report = verify_files(GOOD, None, None)
    assert report.verdict == verdict.UNPINNED
    assert report.size == 5
    # What is wrong in itself is still found, and comes first.
    broken = verify_files({**GOOD, "checkpoint": GOOD["checkpoint"] + b"\n"}, None, None)
    assert [finding.code for finding in broken.findings] == [
        verdict.MANIFEST_MISMATCH, verdict.MALFORMED, verdict.UNPINNED,
    ]  # fmt: skip


def test_a_malformed_trust_file_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        verify_bundle(tmp_path, b"quorum", None)


def test_every_flipped_bit_of_the_files_is_found() -> None:
    small = bundle(entries(2), {1: format_body(OPENING, BODY)})
    assert codes(small) == []
    n_flips = 0
    for path, data in small.items():
        for at in range(len(data)):
            for bit in range(8):
                damaged = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
                assert codes({**small, path: damaged}), (path, at, bit)
                n_flips += 1
    assert n_flips == 8 * sum(map(len, small.values())) > 7_000


def test_every_flipped_bit_is_found_without_the_manifest_too() -> None:
    """A forger makes the manifest fit; entries, tiles, checkpoint and bodies tell anyway."""
    small = bundle(entries(2), {1: format_body(OPENING, BODY)})
    for path, data in small.items():
        for at in range(len(data)):
            if path == "manifest.json":
                continue
            for bit in range(8):
                damaged = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
                assert codes(resealed({**small, path: damaged})), (path, at, bit)


def test_a_missing_and_an_additional_file() -> None:
    for path in GOOD:
        files = {name: data for name, data in GOOD.items() if name != path}
        assert codes(files), path
    gone = {name: data for name, data in GOOD.items() if name != "tile/0/000.p/5"}
    assert codes(resealed(gone)) == [verdict.FILE_MISSING]
    assert codes(resealed({**GOOD, "tile/0/000.p/4": b""})) == [verdict.FILE_UNEXPECTED]
    assert codes(resealed({**GOOD, "tile/1/000.p/1": b""})) == [verdict.FILE_UNEXPECTED]
    assert codes({**GOOD, "notes.txt": b""})[0] == verdict.MALFORMED
    assert codes({**GOOD, "bodies/3.json": b""})[0] == verdict.MANIFEST_MISMATCH
    assert codes({}) == [verdict.MALFORMED, verdict.MALFORMED]


def test_a_checkpoint_that_claims_too_much_ends_at_once() -> None:
    huge = sign_checkpoint(Checkpoint(ORIGIN, 2**62, bytes(32)), LOG)
    assert codes(resealed({**GOOD, "checkpoint": huge})) == [verdict.FILE_MISSING]


def test_other_entries_under_the_signed_root() -> None:
    """Tiles that fit the entries, under a checkpoint of another tree."""
    forged = bundle([*entries(4), entries(1)[0]])
    assert codes(resealed({**forged, "checkpoint": GOOD["checkpoint"]})) == [verdict.ROOT_MISMATCH]


def test_a_hash_tile_that_the_entries_do_not_give() -> None:
    tile = bytearray(GOOD["tile/0/000.p/5"])
    tile[0] ^= 1
    assert codes(resealed({**GOOD, "tile/0/000.p/5": bytes(tile)})) == [verdict.TILE_MISMATCH]


def test_a_damaged_entry_bundle() -> None:
    name = "tile/entries/000.p/5"
    assert codes(resealed({**GOOD, name: GOOD[name] + b"\0"})) == [verdict.MALFORMED]


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        (b"", "not JSON"),
        (b"{}", "unknown type"),
        (entries(1)[0] + b" ", "canonical"),
        (format_entry(Entry("enrol", TIME, "m", None, (1,), {})), "refers to leaf 1"),
        (format_entry(Entry("enrol", TIME, "m", None, (7,), {})), "refers to leaf 7"),
    ],
)
def test_a_logged_leaf_that_is_none(leaf: bytes, text: str) -> None:
    report = verify_files(bundle([entries(1)[0], leaf]), POLICY, None)
    assert report.verdict == verdict.LEAF_INVALID
    assert text in report.findings[0].text


def test_findings_are_counted_and_not_all_listed() -> None:
    report = verify_files(bundle([b"x"] * 100), POLICY, None)
    assert len(report.findings) == 21
    assert report.findings[-1] == (verdict.LEAF_INVALID, "and 80 more")


def test_bodies() -> None:
    good = format_body(OPENING, BODY)
    for bodies, expected in (
        ({1: good, 3: good}, []),
        ({1: format_body(OPENING, b'{"n":2}')}, [verdict.BODY_MISMATCH]),
        ({1: format_body(bytes(32), BODY)}, [verdict.BODY_MISMATCH]),
        ({0: good}, [verdict.BODY_MISMATCH]),
        ({5: good}, [verdict.FILE_UNEXPECTED]),
        ({1: good + b"\n"}, [verdict.MALFORMED]),
    ):
        assert codes(bundle(entries(5), bodies)) == expected


def test_who_signed() -> None:
    head = log_files(entries(5))[1]

    def with_checkpoint(note: bytes) -> dict[str, bytes]:
        return resealed({**GOOD, "checkpoint": note})

    text = format_checkpoint(head)
    invalid = [verdict.SIGNATURE_INVALID]
    assert codes(with_checkpoint(sign_note(text, [OTHER]))) == invalid
    assert codes(with_checkpoint(sign_note(text, [LOG, OTHER]))) == invalid
    assert codes(with_checkpoint(sign_note(text, [LOG])[:-5] + b"AA==\n")) == invalid
    impostor = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\3" * 32))
    assert codes(with_checkpoint(sign_note(text, [impostor]))) == invalid
    other = sign_checkpoint(replace(head, origin=OTHER.key.name), OTHER)
    assert codes(with_checkpoint(other)) == [verdict.ORIGIN_MISMATCH]


def test_another_trusted_log_does_not_vouch_for_this_one() -> None:
    both = Policy((LogLine(LOG.key), LogLine(OTHER.key)))
    note = sign_note(format_checkpoint(log_files(entries(5))[1]), [OTHER])
    report = verify_files(resealed({**GOOD, "checkpoint": note}), both, None)
    assert report.verdict == verdict.SIGNATURE_INVALID


def test_a_quorum_that_nobody_met() -> None:
    witness = VerifierKey("w", 0x04, OTHER.key.public)
    policy = Policy((LogLine(LOG.key),), (WitnessLine("w", witness),), (), "w")
    assert verify_files(GOOD, policy, None).verdict == verdict.QUORUM_NOT_MET


def pin(leaves: list[bytes], signer: Ed25519Signer = LOG) -> bytes:
    head = log_files(leaves)[1]
    return sign_checkpoint(replace(head, origin=signer.key.name), signer)


def test_the_log_extends_what_was_pinned() -> None:
    large = bundle(entries(300))
    for size in (0, 1, 255, 256, 299, 300):
        report = verify_files(large, POLICY, pin(entries(size) if size else []))
        assert (report.verdict, report.since) == (verdict.OK, size)
    assert verify_files(large, None, pin(entries(3))).since == 3


def test_the_log_does_not_extend_what_was_pinned() -> None:
    forked = [*entries(2), entries(1)[0]]
    wrong = [verdict.INCONSISTENT_WITH_PINNED]
    assert codes(GOOD, pin(forked)) == wrong
    assert codes(GOOD, pin(entries(6))) == wrong
    assert codes(GOOD, pin([*entries(4), entries(1)[0]])) == wrong
    assert verify_files(GOOD, POLICY, pin(forked)).since is None


def test_a_pin_that_cannot_be_used() -> None:
    assert codes(GOOD, b"") == [verdict.PIN_INVALID]
    assert codes(GOOD, pin(entries(3))[:-1]) == [verdict.PIN_INVALID]
    assert codes(GOOD, pin(entries(3), OTHER)) == [verdict.PIN_INVALID]
    report = verify_files(GOOD, None, pin(entries(3), OTHER))
    assert report.verdict == verdict.ORIGIN_MISMATCH


def test_what_cannot_be_read(tmp_path: Path) -> None:
    assert verify_bundle(tmp_path / "none", TRUST, None).verdict == verdict.UNREADABLE
    text = tmp_path / "text"
    text.write_bytes(b"hello")
    assert verify_bundle(text, TRUST, None).verdict == verdict.MALFORMED
    assert verify_bundle(tmp_path, TRUST, None).verdict == verdict.MALFORMED


def test_a_directory_with_something_else_in_it(tmp_path: Path) -> None:
    directory = write_directory(tmp_path / "bundle", GOOD)
    checkpoint = directory / "checkpoint"
    checkpoint.rename(tmp_path / "checkpoint")
    checkpoint.symlink_to(tmp_path / "checkpoint")
    assert verify_bundle(directory, TRUST, None).verdict == verdict.MALFORMED
    checkpoint.unlink()
    os.mkfifo(checkpoint)
    assert verify_bundle(directory, TRUST, None).verdict == verdict.MALFORMED
    checkpoint.unlink()
    (tmp_path / "checkpoint").rename(checkpoint)
    (directory / "tile" / "README").write_bytes(b"")
    assert verify_bundle(directory, TRUST, None).verdict == verdict.MALFORMED
    (directory / "tile" / "README").unlink()
    assert verify_bundle(directory, TRUST, None).verdict == verdict.OK


def test_every_code_has_a_meaning() -> None:
    named = {value for name, value in vars(verdict).items() if name.isupper() and name != "MEANING"}
    assert named == verdict.MEANING.keys()


def test_the_verifier_needs_nothing_of_the_server() -> None:
    program = (
        "import sys, linkage.audit.verify\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('grpc', 'google', 'sqlalchemy')\n"
        "  or m.startswith(('linkage.matcher', 'linkage.store', 'linkage.rpc', 'linkage.engine'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
