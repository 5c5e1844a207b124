"""Nothing is released before the parties have cosigned the log over it."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from in_process import Service, links, people
from refining import until, upload_for_all, wait_for

from keys.dsse import sign
from linkage.agent.client import MatcherClient
from linkage.agent.cosigning import Witness, Witnessed
from linkage.agent.run import request_job
from linkage.agreement.payload import KeyRevocation
from linkage.audit.verdict import QUORUM_NOT_MET
from linkage.audit.verify import verify_bundle
from linkage.cli import padan
from linkage.cli.demo_site import DOMAIN
from linkage.errors import (
    DeniedError,
    JobStateError,
    LinkageError,
    MalformedMessageError,
    SignatureError,
    SplitViewError,
)
from linkage.job import JobState
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.note import Note, format_note, is_signed_by, parse_note, signed_line
from linkage.log.vkey import format_vkey
from linkage.matcher.results import Receipt, Results
from linkage.result import Part

TIMEOUT_S = 600
AWAITING = JobState.AWAITING_COSIGNATURES


@pytest.fixture
def service(new_service: Callable[..., Service]) -> Service:
    return new_service(dukcapil=people(30), imigrasi=people(30, skip=10))


@pytest.fixture
def running(service: Service) -> Iterator[Service]:
    with service.running():
        yield service


def awaiting(service: Service) -> str:
    """Return a job whose result is logged, and which nobody has cosigned."""
    job_id = service.request("dukcapil", TIMEOUT_S)
    upload_for_all(service, job_id)
    until(service, job_id, AWAITING)
    return job_id


def cosign(service: Service, party: str) -> None:
    with service.client(party) as client:
        service.session(party).witness.cosign(client)


def head(service: Service) -> Note:
    with service.client("dukcapil") as client:
        return parse_note(client.checkpoint(to_cosign=True))


def with_lines(note: Note, cosigners: Iterable[Cosigner], text: str | None = None) -> bytes:
    text = text or note.text
    lines = (signed_line(text.encode(), one) for one in cosigners)
    return format_note(Note(text, (*note.signatures, *lines)))


def test_a_result_is_given_to_nobody_before_all_parties_have_cosigned(running: Service) -> None:
    job_id = awaiting(running)
    for party in running.site.parties:
        with running.client(party) as client, pytest.raises(JobStateError, match="awaiting"):
            client.results(job_id)
        # The same once more changes nothing.
        cosign(running, party)
        cosign(running, party)
    until(running, job_id, JobState.RELEASED)
    outcomes = running.run_all(job_id)
    assert all(len(links(outcome)) == 20 for outcome in outcomes.values())


def test_agents_cosign_while_they_wait(running: Service) -> None:
    outcomes = running.run_all(running.request("imigrasi"))
    assert all(outcome.job.state is JobState.RELEASED for outcome in outcomes.values())
    keys = [one.key for own in running.site.cosigners.values() for one in own]
    assert len(keys) == 4
    assert all(is_signed_by(head(running), [key]) for key in keys)


def test_a_party_that_does_not_cosign_in_time_ends_the_job_by_name(running: Service) -> None:
    job_id = awaiting(running)
    cosign(running, "dukcapil")
    running.now += TIMEOUT_S + 1
    job = until(running, job_id, JobState.EXPIRED)
    assert job.reason_code == "COSIGNATURE_MISSING"
    assert "imigrasi" in job.reason
    assert "dukcapil" not in job.reason


def test_others_stand_in_for_a_party_whose_key_to_cosign_with_was_lost(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(
        dukcapil=people(20), imigrasi=people(20, skip=10), kemenlu=people(20, skip=5)
    )
    pair, third = ("dukcapil", "imigrasi"), "kemenlu"
    vkeys = [format_vkey(one.key).encode() for one in service.site.cosigners["imigrasi"]]
    lost = KeyRevocation(
        log=service.site.agreement.log,
        principal=f"spiffe://{DOMAIN}/party/imigrasi",
        serial=1,
        keys=tuple(sorted(sha256(vkey).hexdigest() for vkey in vkeys)),
        reason="compromised",
    )
    with service.running(), service.client(third) as client, ThreadPoolExecutor() as pool:
        client.submit_document(
            sign(lost.TYPE, lost.to_bytes(), [service.site.administrator]).to_bytes()
        )
        with service.client("dukcapil") as asking:
            job_id = request_job(service.session("dukcapil"), asking, pair, 600, "R3").job_id
        outcomes = pool.submit(service.run_all, job_id, *pair)
        until(service, job_id, AWAITING)
        # One outside the job is agreed on: that of the job stands in for nobody.
        mine = [one.key for one in service.site.cosigners["dukcapil"]]
        wait_for(lambda: is_signed_by(head(service), mine) or outcomes.done())
        assert not outcomes.done()
        service.session(third).witness.cosign_all(client)
        assert all(len(links(outcome)) == 10 for outcome in outcomes.result().values())


def test_a_restarted_matcher_asks_again_and_releases(service: Service) -> None:
    with service.running():
        job_id = awaiting(service)
        cosign(service, "dukcapil")
    with service.running():
        outcomes = service.run_all(job_id)
    with service.running():
        # What was released stays so, under the checkpoint of then.
        again = service.run("imigrasi", job_id)
    assert links(again) == links(outcomes["imigrasi"])


def test_only_the_own_line_under_a_checkpoint_of_now_is_taken(running: Service) -> None:
    awaiting(running)
    note, cosigners = head(running), running.site.cosigners
    origin, size, *rest = note.text.split("\n")
    other_text = "\n".join((origin, str(int(size) + 1), *rest))
    wrong = {
        "no line": format_note(note),
        "line of the caller": with_lines(note, cosigners["imigrasi"]),
        "cosigned now": with_lines(note, cosigners["dukcapil"], other_text),
    }
    with running.client("dukcapil") as client:
        for text, content in wrong.items():
            with pytest.raises(MalformedMessageError, match=text.split(" of ")[0]):
                client.add_cosignature(content)
        with pytest.raises(MalformedMessageError):
            client.add_cosignature(b"")
        for one in cosigners["dukcapil"]:
            with pytest.raises(DeniedError, match="witness_ml_dsa"):
                client.add_cosignature(with_lines(note, [one]))
    assert not is_signed_by(head(running), [c.key for own in cosigners.values() for c in own])


def test_a_result_without_the_line_of_a_party_is_not_believed(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = running.request("dukcapil")
    running.run_all(job_id)
    plain = Results.fetch

    def cut(own: Results, party: str, job_id: str) -> tuple[Receipt, list[Part]]:
        receipt, found = plain(own, party, job_id)
        note = parse_note(receipt.checkpoint)
        kept = tuple(line for line in note.signatures if line.name != "party/imigrasi")
        return replace(receipt, checkpoint=format_note(Note(note.text, kept))), found

    monkeypatch.setattr(Results, "fetch", cut)
    with pytest.raises(SignatureError, match="imigrasi did not cosign"):
        running.run("dukcapil", job_id)


def test_an_auditor_cosigns_nothing(running: Service) -> None:
    folder = running.site.root / "auditor"
    tls = running.session("dukcapil").tls
    tls = replace(
        tls, certificate=folder / "certificate.pem", private_key=folder / "private-key.pem"
    )
    from linkage.agent.client import MatcherClient
    from linkage.rpc.channel import open_channel

    with open_channel(running.site.address, tls) as channel, pytest.raises(DeniedError):
        MatcherClient(channel, 5.0).add_cosignature(b"x")


def test_the_parties_cosign_one_checkpoint_while_the_log_goes_on(running: Service) -> None:
    first = head(running)
    running.request("dukcapil")
    assert head(running).text == first.text
    wait_for(lambda: head(running).text != first.text)


def test_the_newest_line_of_each_party_is_kept_though_the_log_goes_on(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkage.matcher.cosignatures._HOLD_S", 0)
    monkeypatch.setattr("linkage.matcher.cosignatures._KEPT", 1)
    cosign(running, "dukcapil")
    size = parse_checkpoint(head(running).text).size
    for _ in range(3):
        running.request("imigrasi")
        cosign(running, "imigrasi")
    with running.client("dukcapil") as client:
        mirror = running.session("dukcapil").mirror
        mirror.update(client)
        witnessed = Witnessed(mirror, running.site.parties, 0)
        witnessed.update(client, datetime.now(UTC))
        assert witnessed.size == size
        assert witnessed.lacking(size + 1) == ("dukcapil",)
        cosign(running, "dukcapil")
        witnessed.update(client, datetime.now(UTC))
        assert witnessed.size > size


# What auditors see


def second_verifier(service: Service) -> int:
    program = Path(__file__).parents[2] / "contrib" / "verify.py"
    site = service.site
    command = [sys.executable, program, site.bundle, "--trust", site.trust]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_log_of_a_job_verifies_under_a_trust_file_that_asks_for_all_parties(
    service: Service,
) -> None:
    site = service.site
    with service.running():
        service.run_all(service.request("imigrasi"))
        site.fetch_bundle()
    report = site.verify_bundle()
    entries = report["entries"]
    assert isinstance(entries, dict)
    assert entries["release"] == 1
    assert second_verifier(service) == 0
    # What was cosigned outlives the matcher's process, but not a file that was tampered with.
    cosigned = site.root / "matcher" / "data" / "cosigned"
    newest = max(cosigned.iterdir(), key=lambda path: int(path.name))
    (cosigned / "9999").write_bytes(newest.read_bytes())
    (cosigned / "1").write_bytes(b"torn")
    with service.running():
        site.fetch_bundle()
        assert site.verify_bundle() == report
        assert not {"9999", "1"} & {path.name for path in cosigned.iterdir()}


def test_without_the_lines_that_the_trust_file_asks_for_nothing_is_fetched(
    running: Service,
) -> None:
    site = running.site
    with pytest.raises(LinkageError, match="nobody has cosigned"):
        site.fetch_bundle()
    cosign(running, "dukcapil")
    with pytest.raises(LinkageError, match="missing: party/imigrasi"):
        site.fetch_bundle()
    site.fetch_bundle(cosigned=False)
    report = verify_bundle(site.bundle, site.trust.read_bytes(), None)
    assert report.verdict == QUORUM_NOT_MET
    assert second_verifier(running) == 3
    for party in site.parties:
        config = running.folder(party) / "agent.toml"
        done = CliRunner().invoke(padan, ["agent", "cosign", "--config", str(config)])
        assert done.exit_code == 0, done.exception
    site.fetch_bundle()
    assert site.verify_bundle()["verdict"] == "OK"


def test_a_follower_goes_on_over_refusals_and_ends_on_another_history(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosign_all = Witness.cosign_all
    answers = iter([
        None,
        DeniedError("NO_WITNESS_KEY", "none"),
        MalformedMessageError("ask again"),
        SplitViewError("another history"),
    ])  # fmt: skip

    def answer(witness: Witness, client: MatcherClient) -> None:
        if (error := next(answers)) is not None:
            raise error
        cosign_all(witness, client)

    monkeypatch.setattr(Witness, "cosign_all", answer)
    config = running.folder("dukcapil") / "agent.toml"
    done = CliRunner().invoke(padan, ["agent", "cosign", "--follow", "--config", str(config)])
    assert isinstance(done.exception, SplitViewError)
    assert done.output.count("trying again") == 2
    mine = [one.key for one in running.site.cosigners["dukcapil"]]
    assert is_signed_by(head(running), mine)


def test_lines_of_witnesses_that_a_trust_file_does_not_name_are_left_out(running: Service) -> None:
    site = running.site
    for party in site.parties:
        cosign(running, party)
    cut = (b"group parties", b"group party/imigrasi", b"quorum", b"witness party/imigrasi")
    lines = site.trust.read_bytes().splitlines(keepends=True)
    one = [line for line in lines if not line.startswith(cut)]
    site.trust.write_bytes(b"".join([*one, b"quorum party/dukcapil\n"]))
    site.fetch_bundle()
    assert site.verify_bundle()["verdict"] == "OK"
