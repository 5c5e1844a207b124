"""A matcher that lost its data goes on from what its parties have: the same log, nothing forked."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from in_process import Service, links, people

from linkage.agent.mirror import Mirror
from linkage.agent.session import load_trust
from linkage.audit.replay import OK, replay_decisions
from linkage.audit.verify import open_bundle
from linkage.cli import padan
from linkage.errors import (
    CheckpointError,
    InputError,
    JobStateError,
    SignatureError,
    SplitViewError,
    VerificationError,
)
from linkage.job import JobState
from linkage.log.builder import TileBuilder
from linkage.log.checkpoint import Checkpoint, sign_checkpoint
from linkage.matcher.config import load_config
from linkage.matcher.log_keys import open_log_signers
from linkage.matcher.offline import offline_documents
from linkage.store.log_files import LogFiles


class Lost:
    """A service whose matcher has stopped, with backups of it at two moments.

    Attributes:
        service: the service; one job was released before the backup, one after it, and one runs.
        released: the first two.
        running: the third.
    """

    def __init__(self, service: Service) -> None:
        self.service, self.root = service, service.site.root
        self.config = self.root / "matcher" / "matcher.toml"
        self.data = self.root / "matcher" / "data"
        with service.running():
            first = service.request("dukcapil")
            service.run_all(first)
        shutil.copytree(self.data, self.root / "backup")
        with service.running():
            second = service.request("imigrasi")
            service.run_all(second)
            self.running = service.request("dukcapil")
            self.follow("dukcapil")
            shutil.copytree(self.mirror("imigrasi"), self.root / "older")
            self.cosign()
            service.site.fetch_bundle()
            self.monitor()
        self.released = (first, second)
        shutil.copytree(self.root, self.root.with_name(f"{self.root.name}-kept"))

    def follow(self, party: str) -> None:
        with self.service.client(party) as client:
            self.service.session(party).mirror.update(client)

    def cosign(self) -> None:
        """Let all parties follow the log to its end, and cosign it."""
        for party in self.service.site.parties:
            with self.service.client(party) as client:
                self.service.session(party).witness.cosign(client)

    def monitor(self) -> None:
        """Let the auditor's monitor look once; it must not find anything."""
        folder = self.root / "auditor"
        options = {
            "--matcher": self.service.site.address,
            "--certificate": folder / "certificate.pem",
            "--private-key": folder / "private-key.pem",
            "--authority": folder / "authority.pem",
            "--trust": self.service.site.trust,
            "--state": folder / "monitor",
        }
        named = [str(part) for option in options.items() for part in option]
        done = CliRunner().invoke(padan, ["audit", "monitor", "--once", *named])
        assert (done.exit_code, done.stdout) == (0, ""), (done.output, done.exception)

    def again(self) -> None:
        """Set everything back to the moment of the loss."""
        shutil.rmtree(self.root)
        shutil.copytree(self.root.with_name(f"{self.root.name}-kept"), self.root)

    def mirror(self, party: str) -> Path:
        return self.service.folder(party) / "work" / "log"

    def rebuild(self, *mirrors: Path, options: tuple[str, ...] = ()) -> Result:
        named = [part for path in mirrors for part in ("--from-mirror", str(path))]
        arguments = ["matcher", "rebuild", "--config", str(self.config), *named, *options]
        return CliRunner().invoke(padan, arguments)

    def lose(self) -> None:
        shutil.rmtree(self.data)

    def restore(self) -> None:
        """Put the backup in the place of the data, as an operator would."""
        self.lose()
        shutil.copytree(self.root / "backup", self.data)

    def check(self) -> str:
        """Check that the log verifies and replays, and has grown out of all mirrors."""
        self.cosign()
        self.monitor()
        self.service.site.bundle.unlink()
        self.service.site.fetch_bundle()
        trust = self.service.site.trust.read_bytes()
        report, contents = open_bundle(self.service.site.bundle, trust, None)
        assert contents is not None, report.findings
        replayed = replay_decisions(contents)
        assert replayed.verdict == OK, replayed.findings
        return report.root


@pytest.fixture(scope="module")
def made(new_service: Callable[..., Service]) -> Lost:
    return Lost(new_service(dukcapil=people(30), imigrasi=people(30, skip=10)))


@pytest.fixture
def lost(made: Lost) -> Iterator[Lost]:
    made.again()
    return made


def test_a_lost_matcher_is_made_again_and_links_go_on(lost: Lost) -> None:
    lost.lose()
    done = CliRunner().invoke(padan, ["matcher", "serve", "--config", str(lost.config)])
    assert isinstance(done.exception, CheckpointError)
    assert "were signed" in str(done.exception)
    assert "padan matcher rebuild" in str(done.exception)
    shutil.rmtree(lost.data)
    done = lost.rebuild(lost.mirror("dukcapil"), options=("--json",))
    assert done.exit_code == 0, (done.exception, done.stderr)
    report = json.loads(done.stdout)
    assert (report["jobs"], report["ended"], report["missing"]) == (3, [lost.running], {})
    assert report["lost"] == ["artefacts", "pair-keys"]
    with lost.service.running():
        with lost.service.client("imigrasi") as client:
            job = client.job(lost.running)
            assert (job.state, job.reason_code) == (JobState.FAILED, "MATCHER_REBUILT")
            assert {client.job(name).state for name in lost.released} == {JobState.RELEASED}
            with pytest.raises(JobStateError, match="made again"):
                client.results(lost.released[0])
        outcomes = lost.service.run_all(lost.service.request("imigrasi"))
        assert {len(links(outcome)) for outcome in outcomes.values()} == {20}
        lost.check()


def test_a_restored_backup_is_refused_and_made_whole(lost: Lost) -> None:
    lost.restore()
    with (
        pytest.raises(CheckpointError, match=r"restored backup.*padan matcher rebuild"),
        offline_documents(load_config(lost.config)),
    ):
        pass
    done = lost.rebuild(lost.mirror("dukcapil"), lost.mirror("imigrasi"))
    assert done.exit_code == 0, (done.exception, done.stderr)
    assert f"job {lost.running} ran, and was ended" in done.stdout
    (kept,) = (path for path in lost.data.parent.iterdir() if path.name.startswith("data.before-"))
    assert (kept / "matcher.db").read_bytes() == (lost.root / "backup/matcher.db").read_bytes()
    with lost.service.running():
        # Its checkpoint was in the backup, and so were its artefacts.
        with lost.service.client("imigrasi") as client:
            client.results(lost.released[0])
        lost.check()


def test_a_bundle_of_an_auditor_serves_as_well(lost: Lost) -> None:
    lost.lose()
    done = lost.rebuild(lost.service.site.bundle)
    assert done.exit_code == 0, (done.exception, done.stderr)
    with lost.service.running():
        lost.check()


def test_a_copy_that_is_older_than_what_was_signed_is_refused(lost: Lost) -> None:
    lost.lose()
    done = lost.rebuild(lost.root / "older")
    assert isinstance(done.exception, CheckpointError)
    assert "give a newer copy" in str(done.exception)
    assert not lost.data.exists()
    # A newer one beside it makes up for that.
    assert lost.rebuild(lost.root / "older", lost.mirror("imigrasi")).exit_code == 0


def test_what_nobody_else_saw_may_be_given_up_and_what_somebody_saw_not(lost: Lost) -> None:
    lost.lose()
    newer = lost.mirror("imigrasi") / "checkpoint"
    done = lost.rebuild(lost.root / "older", options=("--all-asked", "--checkpoint", str(newer)))
    assert isinstance(done.exception, CheckpointError)
    assert lost.rebuild(lost.root / "older", options=("--all-asked",)).exit_code == 0


def test_what_the_matcher_cannot_read_any_more_is_asked_of_others(lost: Lost) -> None:
    (lost.root / "matcher" / "keys" / "log.key.head").write_bytes(b"?")
    (lost.data / "log" / "checkpoint").write_bytes(b"?")
    mirror = lost.mirror("imigrasi")
    done = lost.rebuild(mirror)
    assert isinstance(done.exception, CheckpointError)
    assert "say so by --all-asked" in str(done.exception)
    assert lost.rebuild(mirror, options=("--all-asked",)).exit_code == 0
    assert not list(lost.data.parent.glob("data.new-*"))
    with lost.service.running():
        lost.check()


def test_a_damaged_record_does_not_hide_what_the_matcher_published(
    lost: Lost, tmp_path: Path
) -> None:
    (lost.root / "matcher" / "keys" / "log.key.head").write_bytes(b"?")
    _other_history(lost, tmp_path / "forked", key=True)
    shutil.copyfile(tmp_path / "forked" / "checkpoint", lost.data / "log" / "checkpoint")
    done = lost.rebuild(lost.mirror("imigrasi"), options=("--all-asked",))
    assert isinstance(done.exception, SplitViewError)


def test_bodies_that_no_copy_has_are_counted_and_asked_for(lost: Lost) -> None:
    lost.lose()
    shutil.rmtree(lost.mirror("dukcapil") / "bodies")
    done = lost.rebuild(lost.mirror("dukcapil"))
    assert isinstance(done.exception, InputError)
    assert "PKS-DEMO-1: " in str(done.exception)
    assert not lost.data.exists()
    done = lost.rebuild(lost.mirror("dukcapil"), options=("--without-bodies", "--json"))
    assert json.loads(done.stdout)["missing"]["PKS-DEMO-1"] > 10
    lost.again()
    lost.lose()
    shutil.rmtree(lost.mirror("dukcapil") / "bodies")
    assert lost.rebuild(lost.mirror("dukcapil"), lost.mirror("imigrasi")).exit_code == 0


def _other_history(lost: Lost, folder: Path, *, key: bool) -> None:
    """Write a copy with one entry less in the middle, signed with the log's key or another."""
    whole = LogFiles(lost.mirror("imigrasi"))
    config = load_config(lost.config)
    signers = open_log_signers(config.log) if key else ()
    mirror = Mirror(lost.mirror("imigrasi"), load_trust(lost.service.site.trust))
    assert mirror.head is not None
    leaves = whole.read_entries(mirror.head.size)
    del leaves[5]
    builder, files = TileBuilder(), LogFiles(folder)
    for leaf in leaves:
        for tile, data in builder.append(leaf):
            files.write_tile(tile, data)
    for tile, data in builder.partial_tiles():
        files.write_tile(tile, data)
    head = Checkpoint(config.log.origin, builder.size, builder.root())
    if signers:
        files.write_checkpoint(sign_checkpoint(head, *signers))
        return
    note = (lost.mirror("imigrasi") / "checkpoint").read_bytes()
    text = note.replace(str(mirror.head.size).encode(), str(head.size).encode(), 1)
    files.write_checkpoint(text)


def test_a_copy_that_is_forged_or_forked_or_damaged_is_refused(lost: Lost, tmp_path: Path) -> None:
    lost.lose()
    honest = lost.mirror("dukcapil")
    _other_history(lost, tmp_path / "forged", key=False)
    done = lost.rebuild(honest, tmp_path / "forged")
    assert isinstance(done.exception, SignatureError)
    _other_history(lost, tmp_path / "forked", key=True)
    done = lost.rebuild(honest, tmp_path / "forked")
    assert isinstance(done.exception, SplitViewError)
    assert "two histories" in str(done.exception)
    # Alone it is caught by what was signed.
    assert isinstance(lost.rebuild(tmp_path / "forked").exception, CheckpointError)
    # An agent that was shown another history has kept it.
    shutil.copyfile(tmp_path / "forked" / "checkpoint", honest / "contradiction")
    assert isinstance(lost.rebuild(honest).exception, SplitViewError)
    (honest / "contradiction").unlink()
    body = next((honest / "bodies").iterdir())
    body.write_bytes(body.read_bytes().replace(b'"job":"', b'"job":"x'))
    assert isinstance(lost.rebuild(honest).exception, VerificationError)
    shutil.rmtree(honest / "tile" / "entries")
    assert isinstance(lost.rebuild(honest).exception, CheckpointError)
    assert not lost.data.exists()


def test_a_running_matcher_is_not_made_again(lost: Lost) -> None:
    with lost.service.running():
        done = lost.rebuild(lost.mirror("dukcapil"))
        assert "another matcher runs" in str(done.exception)
