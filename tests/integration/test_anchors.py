"""The log is timestamped by an authority, and who wrote it cannot date anything back past that."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from members import Members
from timestamp_authority import TimestampAuthority

from linkage.audit.anchored import check_anchors
from linkage.audit.bundle_files import write_bundle
from linkage.audit.fetch import fetch_bundle
from linkage.audit.verify import Contents
from linkage.cli import padan
from linkage.errors import ConfigError, UnavailableError, VerificationError
from linkage.log.checkpoint import Checkpoint, format_checkpoint
from linkage.log.entry import Entry, format_entry, parse_entry
from linkage.log.hashing import leaf_hash
from linkage.log.timestamp import format_anchor, parse_anchor, timestamp_query
from linkage.log.tree import root_of
from linkage.matcher.offline import offline_anchors
from linkage.store.log_files import LogFiles

ORIGIN = "padan.test/log"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(padan, [str(argument) for argument in arguments])


@pytest.fixture
def authority(tmp_path: Path) -> TimestampAuthority:
    return TimestampAuthority(tmp_path / "tsa")


@pytest.fixture
def members(tmp_path: Path) -> Members:
    made = Members(tmp_path / "site")
    made.prepare()
    made.submit(made.enrolment("auditor/audit"), made.enrolment("party/dukcapil"))
    return made


def configure(members: Members, tsa: str, root: Path) -> Path:
    config = members.root / "matcher" / "matcher.toml"
    config.write_text(f'{config.read_text()}\n[anchors]\ntsa = "{tsa}"\nauthority = "{root}"\n')
    return config


def bundle(members: Members, folder: Path) -> Path:
    with members.running(), members.channel(members.credentials["auditor/audit"]) as channel:
        write_bundle(folder / "bundle.tar", fetch_bundle(channel))
    return folder / "bundle.tar"


def test_the_log_is_anchored_and_both_verifiers_agree(
    members: Members, authority: TimestampAuthority, tmp_path: Path
) -> None:
    with authority.serving() as tsa:
        config = configure(members, tsa, authority.root)
        done = run("matcher", "anchor", "--config", config)
        assert done.exit_code == 0, (done.exception, done.stderr)
    files = LogFiles(members.root / "matcher" / "data" / "log")
    leaves = files.read_entries(4)
    anchor = parse_entry(leaves[3])
    assert anchor.type == "anchor"
    size, response = parse_anchor(anchor.body or {})
    root = root_of([leaf_hash(leaf) for leaf in leaves[:3]])
    text = format_checkpoint(Checkpoint(ORIGIN, 3, root))
    assert size == 3
    assert authority.confirms(response, text.encode())
    assert not authority.confirms(response, text.replace("3", "2", 1).encode())
    # The settings name nobody who answers any more: the matcher runs all the same.
    trust = ("--trust", members.root / "trust.txt")
    at = bundle(members, tmp_path)
    done = run("audit", "verify", at, *trust, "--tsa", authority.root, "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["verdict"]) == (0, "OK")
    (shown,) = report["anchors"]
    assert (shown["leaf"], shown["size"]) == (3, 3)
    stranger = TimestampAuthority(tmp_path / "other")
    done = run("audit", "verify", at, *trust, "--tsa", stranger.root)
    assert (done.exit_code, done.stdout.split(":")[0]) == (3, "ANCHOR_INVALID")
    assert run("audit", "verify", at, "--tsa", authority.root).exit_code == 2


def test_a_response_is_carried_by_hand(
    members: Members, authority: TimestampAuthority, tmp_path: Path
) -> None:
    config = configure(members, "http://127.0.0.1:1/", authority.root)
    query, tst = tmp_path / "query.tsq", tmp_path / "response.tsr"
    assert run("matcher", "anchor", "--config", config, "--query", query).exit_code == 0
    tst.write_bytes(authority.respond(query.read_bytes()))
    members.submit(members.enrolment("party/imigrasi"))
    done = run("matcher", "anchor", "--config", config, "--tst", tst)
    assert (done.exit_code, done.stderr) == (0, "leaf 4\n")
    # Of another log, of another authority, and from nobody.
    tst.write_bytes(authority.respond(timestamp_query(b"another log")))
    done = run("matcher", "anchor", "--config", config, "--tst", tst)
    assert isinstance(done.exception, VerificationError)
    tst.write_bytes(TimestampAuthority(tmp_path / "other").respond(query.read_bytes()))
    done = run("matcher", "anchor", "--config", config, "--tst", tst)
    assert isinstance(done.exception, VerificationError)
    assert isinstance(run("matcher", "anchor", "--config", config).exception, UnavailableError)


def test_a_running_matcher_anchors_its_log_by_itself(
    members: Members, authority: TimestampAuthority
) -> None:
    with authority.serving() as tsa:
        configure(members, tsa, authority.root)
        with members.running(), members.channel(members.credentials["auditor/audit"]) as channel:
            while not any(b'"anchor"' in data for data in fetch_bundle(channel).values()):
                time.sleep(0.2)
    with offline_anchors(members.config) as anchors:
        # Nothing has come since but the anchor itself.
        assert not anchors.due(timedelta(0))
    members.submit(members.enrolment("party/imigrasi"))
    with offline_anchors(members.config) as anchors:
        assert anchors.due(timedelta(0))
        assert not anchors.due(timedelta(hours=1))


def test_without_an_authority_there_is_nothing_to_ask(members: Members) -> None:
    done = run("matcher", "anchor", "--config", members.root / "matcher" / "matcher.toml")
    assert isinstance(done.exception, ConfigError)


@pytest.mark.parametrize(
    ("moved", "codes"),
    [
        ({}, []),
        # A leaf after the anchor that claims to have been there before it, and one before it
        # that claims to have come later.
        ({3: -30}, ["TIME_INVALID"]),
        ({1: +30}, ["TIME_INVALID"]),
        ({3: -3}, []),
    ],
)
def test_leaves_that_are_dated_back_past_an_anchor(
    moved: dict[int, int], codes: list[str], authority: TimestampAuthority
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    times = [now + timedelta(minutes=moved.get(index, 0)) for index in range(4)]
    entries = [Entry("admin.note", time, "matcher", None, body={}) for time in times[:2]]
    hashes = [leaf_hash(format_entry(entry)) for entry in entries]
    text = format_checkpoint(Checkpoint(ORIGIN, 2, root_of(hashes)))
    response = authority.respond(timestamp_query(text.encode()))
    entries.append(Entry("anchor", times[2], "matcher", None, body=format_anchor(2, response)))
    entries.append(Entry("admin.note", times[3], "matcher", None, body={}))
    hashes = [leaf_hash(format_entry(entry)) for entry in entries]
    roots = x509.load_pem_x509_certificates(authority.root.read_bytes())
    anchors, findings = check_anchors(Contents(entries, hashes, {}), ORIGIN, roots)
    assert [anchor.size for anchor in anchors] == [2]
    assert [finding.code for finding in findings] == codes
    # The same timestamp does not stand for another history.
    hashes[0] = bytes(32)
    _, findings = check_anchors(Contents(entries, hashes, {}), ORIGIN, roots)
    assert findings[0].code == "ANCHOR_INVALID"
