"""Nothing is released before the parties have cosigned the log over it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from in_process import Service, links, people
from refining import until, upload_for_all, wait_for

from linkage.errors import DeniedError, JobStateError, MalformedMessageError, SignatureError
from linkage.job import JobState
from linkage.log.cosignature import Cosigner
from linkage.log.note import Note, NoteSignature, format_note, is_signed_by, parse_note
from linkage.matcher.results import Receipt, Results
from linkage.solve.links import Links

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


def with_line(note: Note, cosigner: Cosigner, text: str | None = None) -> bytes:
    made = cosigner.sign((text or note.text).encode())
    line = NoteSignature(cosigner.key.name, cosigner.key.key_id, made)
    return format_note(Note(text or note.text, (*note.signatures, line)))


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
    keys = {party: cosigner.key for party, cosigner in running.site.cosigners.items()}
    assert all(is_signed_by(head(running), [key]) for key in keys.values())


def test_a_party_that_does_not_cosign_in_time_ends_the_job_by_name(running: Service) -> None:
    job_id = awaiting(running)
    cosign(running, "dukcapil")
    running.now += TIMEOUT_S + 1
    job = until(running, job_id, JobState.EXPIRED)
    assert job.reason_code == "COSIGNATURE_MISSING"
    assert "imigrasi" in job.reason
    assert "dukcapil" not in job.reason


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
        "line of the caller": with_line(note, cosigners["imigrasi"]),
        "cosigned now": with_line(note, cosigners["dukcapil"], other_text),
    }
    with running.client("dukcapil") as client:
        for text, content in wrong.items():
            with pytest.raises(MalformedMessageError, match=text.split(" of ")[0]):
                client.add_cosignature(content)
        with pytest.raises(MalformedMessageError):
            client.add_cosignature(b"")
    assert not is_signed_by(head(running), [c.key for c in cosigners.values()])


def test_a_result_without_the_line_of_a_party_is_not_believed(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = running.request("dukcapil")
    running.run_all(job_id)
    plain = Results.fetch

    def cut(own: Results, party: str, job_id: str) -> tuple[Receipt, list[Links]]:
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
