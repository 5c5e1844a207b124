"""Programs that others wrote accept the log: Go's x/mod, and the Python packages of AICS.

`aics-tlog` and `aics-witness` (Apache-2.0) ask for Python 3.12 and are no dependency:
where they or Go are missing, these tests are skipped by name.
"""

import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from log_site import ORIGIN, Site, entry, head_of, job_leaves, log_files, seconds
from memory_witness import MemoryStore, nodes_of
from three_verifiers import GO_SOURCE, GoVerifier, go_settings, go_toolchain, write_folder

from linkage.log.checkpoint import add_cosignatures, sign_checkpoint
from linkage.log.cosigned import verify_cosigned
from linkage.log.hashing import leaf_hash
from linkage.log.note import Ed25519Signer
from linkage.log.policy import LogLine, Policy, WitnessLine
from linkage.log.proof import consistency_proof, inclusion_proof
from linkage.log.receipt import Receipt, format_receipt
from linkage.log.vkey import format_vkey, parse_vkey
from linkage.log.witness import Cosigned, Witness, WitnessRequest, format_request

SITE = Site()
N = 700
LEAVES = job_leaves(N)
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
FORKED = [*LEAVES[:400], entry("enrol", 400, {}), *LEAVES[401:]]
NOTE = SITE.checkpoint(head_of(LEAVES), seconds(N))


def request(old: int, leaves: list[bytes], claimed: int | None = None) -> bytes:
    """A request from size `old` to all of `leaves`, or one that claims another old size."""
    hashes = [leaf_hash(leaf) for leaf in leaves]
    proof = consistency_proof(old, len(leaves), nodes_of(hashes)) if old <= len(leaves) else []
    note = sign_checkpoint(head_of(leaves), SITE.log_signers()[0])
    return format_request(WitnessRequest(old if claimed is None else claimed, tuple(proof), note))


# Requests after 400 leaves were cosigned, and what tlog-witness answers.
STATUS = {
    "the same again": (request(400, LEAVES[:400]), 200),
    "grown": (request(400, LEAVES[:500]), 200),
    "stale": (request(300, LEAVES[:500]), 409),
    "from the start": (request(0, LEAVES[:500]), 409),
    "rolled back": (request(400, LEAVES[:300]), 400),
    "old and smaller": (request(200, LEAVES[:300]), 409),
    "forked": (request(400, FORKED[:399] + LEAVES[:101]), 422),
    "another tree of the same size": (request(400, FORKED[1:401]), 422),
    "a proof of another size": (request(399, LEAVES[:500], claimed=400), 422),
    "no proof": (format_request(WitnessRequest(400, (), NOTE)), 422),
    "no note": (b"old 400\n\nhello\n", 400),
}


@pytest.fixture(scope="module")
def aics() -> ModuleType:
    return pytest.importorskip("aics_tlog", reason="aics-tlog is not installed")


def test_aics_accepts_checkpoint_cosignatures_and_tiles(aics: ModuleType, tmp_path: Path) -> None:
    log, _ = SITE.log_signers()
    witnesses = [one for name, one in SITE.cosigners().items() if not name.endswith("-pq")]
    vkeys = [aics.parse_vkey(format_vkey(one.key)) for one in witnesses]
    note = aics.parse_note(NOTE)
    found = aics.verify_checkpoint(note, aics.parse_vkey(format_vkey(log.key)), vkeys, 3)
    assert found.ok, found
    root = head_of(LEAVES).root
    reader = aics.FileSystemTileReader(write_folder(tmp_path / "log", log_files(LEAVES)))
    aics.audit_tiles(reader, N, root)
    with pytest.raises(aics.TileVerificationError):
        aics.audit_tiles(reader, N, head_of(FORKED).root)


def test_aics_accepts_the_proofs(aics: ModuleType) -> None:
    root, nodes = head_of(LEAVES).root, nodes_of(HASHES)
    for index in range(0, N, 23):
        proof = inclusion_proof(index, N, nodes)
        assert aics.verify_inclusion(HASHES[index], index, N, proof, root)
        assert not aics.verify_inclusion(HASHES[index - 1], index, N, proof, root)
        old = head_of(LEAVES[:index]).root
        assert aics.verify_consistency(index, N, old, root, consistency_proof(index, N, nodes))


@pytest.mark.parametrize("what", STATUS)
def test_the_witness_of_aics_and_ours_answer_alike(
    what: str, aics: ModuleType, tmp_path: Path
) -> None:
    service = pytest.importorskip("aics_witness.service", reason="aics-witness is not installed")
    from aics_witness.config import LogConfig
    from aics_witness.store import WitnessStore

    del aics
    data, status = STATUS[what]
    log = SITE.log_signers()[0].key
    private = Ed25519PrivateKey.from_private_bytes(b"\x21" * 32)
    store = WitnessStore(tmp_path / "witness.db", create=True)
    theirs = service.Witness(
        "aics.test/w", private, store, [LogConfig.from_strings(ORIGIN, [format_vkey(log)])]
    )
    ours = Witness(MemoryStore(), [log], [SITE.cosigners()["auditor"]])
    first = request(0, LEAVES[:400])
    theirs.add_checkpoint(first)
    assert isinstance(ours.add_checkpoint(first), Cosigned)
    try:
        theirs.add_checkpoint(data)
        their_status = 200
    except service.WitnessError as error:
        their_status = error.status
    answer = ours.add_checkpoint(data)
    our_status = 200 if isinstance(answer, Cosigned) else answer.refusal.status
    assert (our_status, their_status) == (status, status)
    store.close()


def test_a_cosignature_of_the_witness_of_aics_counts(aics: ModuleType, tmp_path: Path) -> None:
    service = pytest.importorskip("aics_witness.service", reason="aics-witness is not installed")
    from aics_witness.config import LogConfig
    from aics_witness.store import WitnessStore

    log = SITE.log_signers()[0]
    assert isinstance(log, Ed25519Signer)
    private = Ed25519PrivateKey.from_private_bytes(b"\x21" * 32)
    store = WitnessStore(tmp_path / "witness.db", create=True)
    configured = [LogConfig.from_strings(ORIGIN, [format_vkey(log.key)])]
    witness = service.Witness("aics.test/w", private, store, configured, clock=lambda: 1234.5)
    key = parse_vkey(aics.format_vkey(witness.vkey))
    policy = Policy((LogLine(log.key),), (WitnessLine("aics", key),), (), "aics")
    note = sign_checkpoint(head_of(LEAVES), log)
    lines = witness.add_checkpoint(request(0, LEAVES))
    cosigned = verify_cosigned(add_cosignatures(note, lines, [key]), policy)
    assert dict(cosigned.times) == {"aics": 1234}
    store.close()


def test_go_judges_the_proof_probes_alike(go: GoVerifier, tmp_path: Path) -> None:
    """x/mod's tlog on the same 98 + 98 probes that our proofs are tested with."""
    del go  # it has been built, so there is a toolchain
    done = subprocess.run(
        [go_toolchain(), "test", "-count=1", "."],
        cwd=GO_SOURCE, env={**os.environ, **go_settings(tmp_path)}, capture_output=True, text=True,
        check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_go_accepts_receipts(go: GoVerifier, tmp_path: Path) -> None:
    """A .tlog-proof of ours, with both kinds of cosignatures, checked by x/mod."""
    nodes = nodes_of(HASHES)
    for index in (0, 255, 256, N - 1):
        proof = tuple(inclusion_proof(index, N, nodes))
        receipt = tmp_path / "receipt.tlog-proof"
        receipt.write_bytes(format_receipt(Receipt(index, proof, NOTE)))
        assert go.receipt(receipt, LEAVES[index], SITE.trust) == 0
        assert go.receipt(receipt, LEAVES[index - 1], SITE.trust) == 3
        assert go.receipt(receipt, LEAVES[index], Site(seed=9).trust) == 3
        short = SITE.checkpoint(head_of(LEAVES), seconds(N), without=["auditor"])
        receipt.write_bytes(format_receipt(Receipt(index, proof, short)))
        assert go.receipt(receipt, LEAVES[index], SITE.trust) == 3
