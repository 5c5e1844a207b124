"""Three verifiers, two languages, one verdict: on honest bundles and on damaged ones.

The verdict, all its codes in their order, the counts and the exit code have to be
the same three times.
"""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from bundle_cases import CASES, PIN, SITE, SMALL, Case, flip
from log_site import Site, bodies, bundle_of, head_of, job_leaves, seconds
from three_verifiers import (
    REFUSED_TRUST,
    SINGLE_FILE,
    GoVerifier,
    Verdicts,
    padan,
    single_file,
    single_file_module,
    write_archive,
    write_folder,
)

from linkage.audit import verify
from linkage.audit.leaves import Run, processes
from linkage.audit.verdict import VerifyReport
from linkage.audit.verify import verify_files
from linkage.errors import ConfigError, MalformedMessageError
from linkage.log.policy import parse_policy
from linkage.log.tar import from_tar, to_tar


def written(path: Path, case: Case, number: int) -> Path:
    """The bundle on disk; by turns as a directory and as an archive, where it can be both."""
    target = path / f"{number}.tar"
    if isinstance(case.bundle, bytes):
        target.write_bytes(case.bundle)
        return target
    if number % 4 == 0:
        return write_folder(path / str(number), case.bundle)
    return write_archive(target, case.bundle)


def compare(path: Path, other: Callable[[Path, bytes | None, bytes | None], Verdicts]) -> set[str]:
    """Check that another verifier says what Padan's does on every case; return all verdicts."""
    seen = set()
    for number, case in enumerate(CASES):
        bundle = written(path, case, number)
        expected = padan(bundle, case.trust, case.since)
        got = other(bundle, case.trust, case.since)
        assert got == expected, case.name
        seen.add(expected.get("verdict", "refused trust"))
    return seen


def test_there_are_enough_cases_and_their_names_differ() -> None:
    assert len(CASES) >= 400
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_single_file_agrees(tmp_path: Path) -> None:
    seen = compare(tmp_path, single_file)
    assert seen == {
        "OK", "UNPINNED", "MALFORMED", "MANIFEST_MISMATCH", "FILE_MISSING", "FILE_UNEXPECTED",
        "ORIGIN_MISMATCH", "SIGNATURE_INVALID", "QUORUM_NOT_MET", "TILE_MISMATCH", "ROOT_MISMATCH",
        "LEAF_INVALID", "TIME_INVALID", "BODY_MISMATCH", "PIN_INVALID", "INCONSISTENT_WITH_PINNED",
        "refused trust",
    }  # fmt: skip


def test_the_go_program_agrees(tmp_path: Path, go: GoVerifier) -> None:
    compare(tmp_path, go)


def test_the_report_is_the_same_whoever_reads_the_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [case for case in CASES if not isinstance(case.bundle, bytes)]
    policies = {}
    for trust in {case.trust for case in cases}:
        with suppress(ConfigError):
            policies[trust] = parse_policy(trust) if trust is not None else None
    cases = [case for case in cases if case.trust in policies]
    assert len(cases) > 300

    def reports(run: Run) -> list[VerifyReport]:
        return [
            verify_files(dict(case.bundle), policies[case.trust], case.since, run)  # type: ignore[arg-type]
            for case in cases
        ]

    in_one = reports(map)
    monkeypatch.setattr(verify, "PART_LEAVES", 4)
    with processes(2) as run:
        assert reports(run) == in_one


def test_what_is_not_there_is_unreadable(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    assert padan(missing, SITE.trust, None)["verdict"] == "UNREADABLE"
    assert single_file(missing, SITE.trust, None) == padan(missing, SITE.trust, None)


def test_a_link_in_a_directory(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "bundle", SMALL)
    (folder / "bodies" / "3.json").unlink()
    (folder / "bodies" / "3.json").symlink_to(folder / "bodies" / "2.json")
    assert padan(folder, SITE.trust, None)["codes"] == ["MALFORMED"]
    assert single_file(folder, SITE.trust, None) == padan(folder, SITE.trust, None)


def test_the_single_file_as_a_program(tmp_path: Path) -> None:
    """By itself: no package of this project can be imported from where it runs."""
    bundle = write_archive(tmp_path / "bundle.tar", SMALL)
    (tmp_path / "trust").write_bytes(SITE.trust)
    (tmp_path / "pin").write_bytes(PIN)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", SINGLE_FILE, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    good = run(bundle, "--trust", "trust", "--since", "pin", "--json")
    assert good.returncode == 0, good.stderr
    report = json.loads(good.stdout)
    assert (report["verdict"], report["size"], report["since"]) == ("OK", 6, 4)
    plain = run(bundle)
    assert (plain.returncode, plain.stdout.split("\n")[0]) == (3, "UNPINNED")
    assert run(bundle, "--trust", "pin").returncode == 2
    assert run(bundle, "--trust", "none").returncode == 2
    assert run().returncode == 2


def test_the_single_file_is_single_and_short() -> None:
    source = SINGLE_FILE.read_text()
    assert len(source.splitlines()) <= 800
    imported = [
        line.split()[1]
        for line in source.splitlines()
        if line.strip().startswith(("import ", "from "))
    ]
    roots = {name.partition(".")[0] for name in imported}
    assert roots - sys.stdlib_module_names == {"cryptography"}


def small_site_bundle() -> tuple[bytes, bytes]:
    """The least bundle with all kinds of files, without the long ML-DSA lines: 6,656 bytes."""
    one = Site(seed=3)
    leaves = job_leaves(3)
    note = one.checkpoint(
        head_of(leaves), seconds(3), without=("dukcapil-pq", "imigrasi-pq", "imigrasi-classic")
    )
    text, _, tail = note.decode().partition("\n\n")
    short = "".join(line for line in tail.splitlines(keepends=True) if len(line) < 300)
    policy = [
        line for line in one.trust.decode().splitlines() if len(line) < 300 and "group" not in line
    ]
    trust = "\n".join([line for line in policy if "quorum" not in line and "imigrasi" not in line])
    trust += "\ngroup both all dukcapil-classic auditor\nquorum both\n"
    return to_tar(
        bundle_of(leaves, f"{text}\n\n{short}".encode(), {2: bodies(leaves)[2]})
    ), trust.encode()


def test_every_flipped_bit_of_an_archive_is_found() -> None:
    """As both Python verifiers read it, without the disk in between: 50,000 archives twice."""
    archive, trust = small_site_bundle()
    policy, single = parse_policy(trust), single_file_module()
    single_policy = single.Trust(trust)

    def by_padan(data: bytes) -> str:
        try:
            return verify_files(from_tar(data), policy, None).verdict
        except MalformedMessageError:
            return "MALFORMED"

    def by_single_file(data: bytes) -> str:
        try:
            files = single.read_tar(data)
        except single.BadError:
            return "MALFORMED"
        return str(single.Verification(files, single_policy, None).report()["verdict"])

    assert by_padan(archive) == by_single_file(archive) == "OK"
    for bit in range(8 * len(archive)):
        found = by_padan(flip(archive, bit))
        assert found != "OK", bit
        assert by_single_file(flip(archive, bit)) == found, bit


def test_a_sample_of_flipped_bits_is_found_by_the_go_program(
    tmp_path: Path, go: GoVerifier
) -> None:
    archive, trust = small_site_bundle()
    target = tmp_path / "bundle.tar"
    rng = random.Random(11)
    for bit in rng.sample(range(8 * len(archive)), 300):
        target.write_bytes(flip(archive, bit))
        assert go(target, trust, None) == padan(target, trust, None), bit


def test_a_trust_file_that_cannot_be_used_is_no_verdict(tmp_path: Path) -> None:
    bundle = write_archive(tmp_path / "bundle.tar", SMALL)
    assert (
        padan(bundle, b"quorum\n", None) == single_file(bundle, b"quorum\n", None) == REFUSED_TRUST
    )
