"""A malicious matcher, honest witnesses, and what an auditor finds with any of three verifiers.

The matcher holds the keys of the log and does with them what it likes. The witnesses
are the product's own; they see what it shows them. Each test names the code by which
the auditor learns of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from log_site import (
    ORIGIN,
    START,
    Site,
    bodies,
    bundle_of,
    entry,
    head_of,
    job_leaves,
    log_files,
    resealed,
    seconds,
)
from memory_witness import MemoryStore, nodes_of
from three_verifiers import Verdicts, padan, single_file, write_archive

from linkage.log.checkpoint import add_cosignatures, sign_checkpoint
from linkage.log.hashing import leaf_hash
from linkage.log.note import format_lines, signed_line
from linkage.log.policy import GroupLine, Policy
from linkage.log.policy_lint import lint_policy
from linkage.log.proof import consistency_proof
from linkage.log.witness import (
    Cosigned,
    Refusal,
    Refused,
    Witness,
    WitnessRequest,
    format_request,
)

SITE = Site()
AGENCIES = {
    "dukcapil": ["dukcapil-classic", "dukcapil-pq"],
    "imigrasi": ["imigrasi-classic", "imigrasi-pq"],
    "auditor": ["auditor"],
}
Audit = Callable[..., Verdicts]


@pytest.fixture(params=["padan", "single file", "go"])
def audit(request: pytest.FixtureRequest, tmp_path: Path) -> Audit:
    """Verify files with the trust file of the site, and a pin if one is given."""
    verify = {"padan": padan, "single file": single_file}.get(request.param)

    def run(
        files: dict[str, bytes], since: bytes | None = None, trust: bytes = SITE.trust
    ) -> Verdicts:
        ask = verify or request.getfixturevalue("go")
        return ask(write_archive(tmp_path / "bundle.tar", files), trust, since)

    return run


@dataclass
class Matcher:
    """An operator who may show every witness another history."""

    now_s: int = field(default_factory=lambda: seconds(10))
    stores: dict[str, MemoryStore] = field(
        default_factory=lambda: {name: MemoryStore() for name in AGENCIES}
    )
    refusals: list[Refused] = field(default_factory=list)

    def publish(self, leaves: Sequence[bytes], agencies: Sequence[str] = tuple(AGENCIES)) -> bytes:
        """Sign a head and ask witnesses to cosign it; whoever refuses is left out."""
        note = sign_checkpoint(head_of(leaves), *SITE.log_signers(self.now_s))
        for agency in agencies:
            note = self.ask(agency, note, leaves)
        return note

    def ask(self, agency: str, note: bytes, leaves: Sequence[bytes]) -> bytes:
        keys = [signer.key for signer in SITE.log_signers()]
        cosigners = [SITE.cosigners(self.now_s)[name] for name in AGENCIES[agency]]
        witness = Witness(self.stores[agency], keys, cosigners)
        old = self.stores[agency].read(ORIGIN).size
        hashes = [leaf_hash(leaf) for leaf in leaves]
        proof = consistency_proof(old, len(leaves), nodes_of(hashes)) if old <= len(leaves) else []
        answer = witness.add_checkpoint(format_request(WitnessRequest(old, tuple(proof), note)))
        if isinstance(answer, Refused):
            self.refusals.append(answer)
            return note
        assert isinstance(answer, Cosigned)
        return add_cosignatures(note, answer.lines, [one.key for one in cosigners])


LEAVES = job_leaves(8)
MORE = job_leaves(10)
CHANGED = {
    "delete": [*MORE[:3], *MORE[4:]],
    "edit": [*MORE[:3], entry("batch", 3, {"n": 99}, ref=(2,)), *MORE[4:]],
    "reorder": [*MORE[:2], MORE[3].replace(b"[2]", b"[1]"), MORE[2], *MORE[4:]],
    "insert": [*MORE[:3], entry("gate", 2, {"n": 0}), *MORE[3:]],
}


def test_an_honest_log_passes(audit: Audit) -> None:
    matcher = Matcher()
    pin = matcher.publish(LEAVES)
    note = matcher.publish(MORE)
    report = audit(bundle_of(MORE, note, bodies(MORE)), pin)
    assert (report["verdict"], report["since"], report["bodies"]) == ("OK", 8, 8)
    assert matcher.refusals == []


@pytest.mark.parametrize("how", CHANGED)
def test_a_changed_history_under_the_checkpoint_that_was_published(how: str, audit: Audit) -> None:
    note = Matcher().publish(MORE)
    changed = CHANGED[how]
    # The whole log rebuilt, and the same number of leaves where that is possible.
    files = resealed({"checkpoint": note, **log_files(changed[: len(MORE)])})
    report = audit(files)
    assert report["verdict"] in ("ROOT_MISMATCH", "FILE_MISSING", "LEAF_INVALID")
    if len(changed) >= len(MORE) and how != "insert":
        assert report["codes"] == ["ROOT_MISMATCH"]


@pytest.mark.parametrize("how", CHANGED)
def test_a_changed_history_under_a_new_checkpoint(how: str, audit: Audit) -> None:
    matcher = Matcher()
    pin = matcher.publish(LEAVES)
    note = matcher.publish(CHANGED[how])
    assert len(matcher.refusals) == 3
    assert {one.refusal for one in matcher.refusals} == {Refusal.NOT_CONSISTENT}
    assert all(len(store.kept) == 1 for store in matcher.stores.values())
    files = bundle_of(CHANGED[how], note)
    assert audit(files)["verdict"] == "QUORUM_NOT_MET"
    assert "INCONSISTENT_WITH_PINNED" in audit(files, pin)["codes"]


def test_leaves_cut_off_the_end(audit: Audit) -> None:
    matcher = Matcher()
    pin = matcher.publish(MORE)
    note = matcher.publish(MORE[:9])
    assert {one.refusal for one in matcher.refusals} == {Refusal.OLD_SIZE_TOO_LARGE}
    assert audit(bundle_of(MORE[:9], note))["verdict"] == "QUORUM_NOT_MET"
    assert "INCONSISTENT_WITH_PINNED" in audit(bundle_of(MORE[:9], note), pin)["codes"]


def test_another_history_for_each_agency(audit: Audit) -> None:
    """Neither side of the fork gets a quorum, and each contradicts the other's checkpoint."""
    matcher = Matcher()
    for_dukcapil, for_imigrasi = MORE, [*LEAVES, *(entry("enrol", 9, {"n": n}) for n in (1, 2))]
    matcher.publish(LEAVES)
    one = matcher.publish(for_dukcapil, ["dukcapil", "auditor"])
    other = matcher.publish(for_imigrasi, ["imigrasi"])
    assert audit(bundle_of(for_dukcapil, one))["codes"] == ["QUORUM_NOT_MET"]
    assert audit(bundle_of(for_imigrasi, other))["codes"] == ["QUORUM_NOT_MET"]
    # Gossip: what imigrasi kept, against the log that dukcapil was shown.
    assert "INCONSISTENT_WITH_PINNED" in audit(bundle_of(for_dukcapil, one), other)["codes"]
    # Asked for the missing cosignature, imigrasi keeps the proof of the fork.
    matcher.ask("imigrasi", one, for_dukcapil)
    (evidence,) = matcher.stores["imigrasi"].kept
    assert evidence.refusal is Refusal.FORK


def test_a_fork_that_a_weak_quorum_would_let_pass_is_refused_by_lint() -> None:
    groups = (*SITE.policy.groups[:2], GroupLine("some", 2, ("dukcapil", "imigrasi", "auditor")))
    weak = Policy(SITE.policy.logs, SITE.policy.witnesses, groups, "some")
    assert lint_policy(weak)
    assert lint_policy(SITE.policy, ["dukcapil", "imigrasi"]) == []


def test_an_old_checkpoint_played_again(audit: Audit) -> None:
    """Whole in itself: only who has seen a later one can tell. So everyone keeps the last."""
    matcher = Matcher()
    old = matcher.publish(LEAVES)
    pin = matcher.publish(MORE)
    assert audit(bundle_of(LEAVES, old))["verdict"] == "OK"
    assert audit(bundle_of(LEAVES, old), pin)["codes"] == ["INCONSISTENT_WITH_PINNED"]


def at(minutes: float) -> bytes:
    late = entry("job.request", 0, {"n": 0})
    time = (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return late.replace(b"2026-01-01T00:00:00Z", time.encode())


def test_a_leaf_back_dated_among_later_ones(audit: Audit) -> None:
    leaves = [*MORE, at(2)]
    assert audit(bundle_of(leaves, Matcher().publish(leaves)))["codes"] == ["TIME_INVALID"]


def test_a_tail_back_dated_as_a_whole(audit: Audit) -> None:
    """Each leaf later than the one before: the cosignatures of the pin give it away."""
    matcher = Matcher(now_s=seconds(600))
    pin = matcher.publish(LEAVES)
    leaves = [*LEAVES, at(60), at(70)]
    files = bundle_of(leaves, matcher.publish(leaves))
    assert audit(files)["verdict"] == "OK"
    assert audit(files, pin)["codes"] == ["TIME_INVALID", "TIME_INVALID"]


def test_a_leaf_post_dated(audit: Audit) -> None:
    leaves = [*LEAVES, at(600)]
    assert audit(bundle_of(leaves, Matcher().publish(leaves)))["codes"] == ["TIME_INVALID"]


def test_a_whole_log_invented_with_own_keys(audit: Audit) -> None:
    own = Site(seed=66)
    note = own.checkpoint(head_of(MORE), seconds(10))
    files = bundle_of(MORE, note, bodies(MORE))
    assert audit(files)["verdict"] == "SIGNATURE_INVALID"
    # With a trust file of its own it holds: the trust file has to come by another way.
    assert audit(files, trust=own.trust)["verdict"] == "OK"
    note = note.replace(ORIGIN.encode(), b"log.elsewhere")
    assert audit(bundle_of(MORE, note))["verdict"] == "ORIGIN_MISMATCH"


def test_real_log_keys_and_invented_witnesses(audit: Audit) -> None:
    """The log is the real one, and signs; the witnesses are the operator's own."""
    own = Site(seed=66)
    note = sign_checkpoint(head_of(MORE), *SITE.log_signers())
    text = note.split(b"\n\n")[0] + b"\n"
    lines = format_lines([signed_line(text, one) for one in own.cosigners(seconds(10)).values()])
    assert audit(bundle_of(MORE, note + lines))["verdict"] == "SIGNATURE_INVALID"
    assert audit(bundle_of(MORE, note))["verdict"] == "QUORUM_NOT_MET"


@pytest.mark.parametrize("left_out", [0, 1], ids=["Ed25519", "ML-DSA-44"])
def test_one_of_the_two_signatures_of_the_log_left_out(left_out: int, audit: Audit) -> None:
    """As one who can forge the other kind would do it."""
    note = Matcher().publish(MORE)
    text, _, tail = note.partition(b"\n\n")
    lines = tail.splitlines(keepends=True)
    files = bundle_of(MORE, text + b"\n\n" + b"".join(lines[:left_out] + lines[left_out + 1 :]))
    assert audit(files)["verdict"] == "SIGNATURE_INVALID"


def test_one_of_the_two_cosignatures_of_an_agency_left_out(audit: Audit) -> None:
    for name in SITE.cosigners():
        note = SITE.checkpoint(head_of(MORE), seconds(10), without=[name])
        assert audit(bundle_of(MORE, note))["codes"] == ["QUORUM_NOT_MET"]


def test_a_body_in_place_of_another(audit: Audit) -> None:
    note = Matcher().publish(MORE)
    opened = bodies(MORE)
    swapped = {2: opened[3], 3: opened[2]}
    assert audit(bundle_of(MORE, note, swapped))["codes"] == ["BODY_MISMATCH"] * 2


def test_a_leaf_that_builds_on_one_that_was_never_logged(audit: Audit) -> None:
    leaves = [*LEAVES, entry("result", 9, {"n": 1}, ref=(40,))]
    assert audit(bundle_of(leaves, Matcher().publish(leaves)))["codes"] == ["LEAF_INVALID"]
