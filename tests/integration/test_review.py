"""What a hostile reader tried: each attempt, and what must come of it."""

import datetime
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from in_process import Quiet, Service, links, people
from test_job import Upload, between, last_state, spec_of

from linkage.agent import client as client_module
from linkage.agent.config import Agreement
from linkage.agent.references import References
from linkage.agent.run import run_job
from linkage.errors import ConfigError, DeniedError, MalformedMessageError, UnavailableError
from linkage.job import JobState
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.note import parse_note
from linkage.matcher import server, worker
from linkage.matcher.config import load_config
from linkage.matcher.server import Matcher
from linkage.rpc.channel import open_channel, translated
from linkage.store.artefacts import ArtefactStore
from linkage.v1 import log_pb2, log_pb2_grpc

FAR = datetime.date(2999, 1, 1)


def test_a_job_without_any_link_ends_well_for_everybody(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(dukcapil=people(20), imigrasi=people(20, skip=100))
    with service.running():
        outcomes = service.run_all(service.request("dukcapil"))
    assert [outcome.n_links for outcome in outcomes.values()] == [0, 0]
    assert links(outcomes["dukcapil"]) == []


def test_a_party_without_links_does_not_spoil_those_of_the_others(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(
        dukcapil=people(20), imigrasi=people(20, skip=5), kemenlu=people(20, skip=100)
    )
    with service.running():
        outcomes = service.run_all(service.request("kemenlu"))
    assert {party: outcome.n_links for party, outcome in outcomes.items()} == {
        "dukcapil": 15,
        "imigrasi": 15,
        "kemenlu": 0,
    }


@pytest.mark.parametrize(
    "terms",
    [
        {"threshold": 0.45},
        {"cardinality": "many-to-many"},
        {"agreement_id": "PKS-NEVER-SIGNED"},
    ],
    ids=["threshold", "cardinality", "agreement"],
)
def test_an_agent_takes_no_job_on_other_terms_than_its_own(
    service: Service, terms: dict[str, object]
) -> None:
    spec = replace(spec_of(service), **terms)  # type: ignore[arg-type]
    with service.client("dukcapil") as client:
        job_id = client.request_job(spec).job_id
    with pytest.raises(DeniedError, match="TERMS_DIFFER"):
        service.run("imigrasi", job_id)
    with service.client("imigrasi") as client:
        assert "imigrasi" in client.job(job_id).missing  # nothing was sent


def test_an_agent_takes_no_job_with_a_party_outside_its_agreement(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(dukcapil=people(5), imigrasi=people(5), kemenlu=people(5))
    with service.running():
        job_id = service.request("dukcapil")
        session = service.session("imigrasi")
        agreement = session.config.agreement
        narrow = Agreement(**{**dict(agreement), "parties": ("dukcapil", "imigrasi")})
        session.config = session.config.model_copy(update={"agreement": narrow})
        with (
            service.client("imigrasi") as client,
            pytest.raises(DeniedError, match="kemenlu"),
        ):
            run_job(session, client, job_id, Quiet(), datetime.date(2026, 1, 1))


def test_naming_an_agreement_in_a_denied_request_opens_none_of_its_bodies(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(dukcapil=people(5), imigrasi=people(5), kemenlu=people(5))
    with service.running():
        two = between(spec_of(service), "dukcapil", "imigrasi")
        with service.client("dukcapil") as client:
            client.request_job(two)
        with service.client("kemenlu") as client:
            denied = client.request_job(between(two, "kemenlu", "nobody"))
            assert denied.state is JobState.DENIED
        with open_channel(service.site.address, service.session("kemenlu").tls) as channel:
            stub = log_pb2_grpc.LogServiceStub(channel)
            end = parse_checkpoint(
                parse_note(stub.GetCheckpoint(log_pb2.GetCheckpointRequest()).checkpoint).text
            ).size
            entries = list(stub.GetEntries(log_pb2.GetEntriesRequest(start=end - 4, end=end)))
            before = list(stub.GetEntries(log_pb2.GetEntriesRequest(start=0, end=end - 4)))
    # Documents are public; two leaves of the others' job; two of its own.
    assert [bool(entry.body) for entry in entries] == [False, False, True, True]
    assert not any(entry.body for entry in before)


def test_entries_beyond_the_checkpoint_are_refused_at_once(service: Service) -> None:
    with open_channel(service.site.address, service.session("dukcapil").tls) as channel:
        stub = log_pb2_grpc.LogServiceStub(channel)
        for start, end in ((10**6, 2**62), (2**63, 2**64 - 1), (5, 5), (0, 10**9)):
            with pytest.raises(MalformedMessageError), translated():
                list(stub.GetEntries(log_pb2.GetEntriesRequest(start=start, end=end), timeout=5))


def test_two_records_under_one_reference_fail_the_job_by_the_partys_name(
    service: Service,
) -> None:
    job_id = service.request("dukcapil")
    good, bad = Upload(service, "dukcapil", job_id), Upload(service, "imigrasi", job_id)
    first = bad.chunks[0]
    doubled = replace(first, references=first.references[:16] * 2 + first.references[32:])
    chunks = [doubled, *bad.chunks[1:]]
    manifest = replace(bad.manifest, chunk_sha256=tuple(chunk.digest() for chunk in chunks))
    for upload, m, parts in ((good, good.manifest, good.chunks), (bad, manifest, chunks)):
        party = "dukcapil" if upload is good else "imigrasi"
        with service.client(party) as client:
            client.upload(job_id, m, parts.__getitem__)
    job = last_state(service, job_id)
    assert (job.state, job.reason_code) == (JobState.FAILED, "BATCH_UNUSABLE")
    assert "imigrasi" in job.reason


def test_a_second_matcher_on_the_same_data_is_refused(service: Service) -> None:
    config = load_config(service.site.root / "matcher" / "matcher.toml")
    with pytest.raises(ConfigError, match="another matcher"):
        Matcher(config)


def test_two_runs_of_an_agent_draw_one_reference_for_one_record(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path / "a", tmp_path / "k")
    agreement = Agreement(id="PKS-1", purpose="p", parties=("a", "b"))
    one, two = (References(store, agreement, FAR) for _ in range(2))
    first = one.of(["r1", "r2"])
    assert two.of(["r2", "r1"]) == first[16:] + first[:16]
    assert References(store, agreement, FAR).of(["r1", "r2"]) == first


def test_agreements_never_share_references(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path / "a", tmp_path / "k")
    names = ("PKS/1", "pks-1", "PKS-1")
    agreements = [Agreement(id=name, purpose="p", parties=("a", "b")) for name in names]
    assert len({References(store, a, FAR).of(["r"]) for a in agreements}) == len(names)


def test_waiting_outlives_the_connections_that_the_matcher_closes(
    new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {"grpc.max_connection_age_ms": 300, "grpc.max_connection_age_grace_ms": 300}
    options = tuple((key, short.get(key, value)) for key, value in server.SERVER_OPTIONS)
    monkeypatch.setattr(server, "SERVER_OPTIONS", options)
    service = new_service(dukcapil=people(20), imigrasi=people(20, skip=5))
    with service.running():
        job_id = service.request("dukcapil", timeout_s=600)
        upload = Upload(service, "dukcapil", job_id)
        with service.client("dukcapil") as client:
            client.upload(job_id, upload.manifest, upload.chunks.__getitem__)
            # Three seconds of waiting, over several connections, to the end.
            threading.Timer(3, lambda: setattr(service, "now", 601.0)).start()
            assert [p.state for p in client.watch(job_id)][-1] is JobState.EXPIRED


def test_waiting_outlives_streams_that_come_to_nothing(
    new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_WATCH_DEADLINE_S", 0.4)
    service = new_service(dukcapil=people(20), imigrasi=people(20, skip=5))
    with service.running():
        job_id = service.request("dukcapil", timeout_s=2)
        with service.client("dukcapil") as client:
            states = [p.state for p in client.watch(job_id)]
    # Nothing is told twice for being told on another stream.
    assert states == [JobState.COLLECTING, JobState.EXPIRED]


def test_a_worker_that_met_a_passing_fault_goes_on_with_the_job(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_PAUSE_S", 0.1)
    plain, failures = worker.Worker.run_job, [UnavailableError("gone"), OSError(28, "full")]

    def faulty(self: worker.Worker, job_id: str) -> None:
        if failures:
            raise failures.pop()
        plain(self, job_id)

    monkeypatch.setattr(worker.Worker, "run_job", faulty)
    outcomes = service.run_all(service.request("dukcapil"))
    assert not failures
    assert len(links(outcomes["imigrasi"])) == 60


def test_a_worker_survives_a_fault_while_it_fails_a_job(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = worker.Worker.run_job, []

    def faulty(self: worker.Worker, job_id: str) -> None:
        calls.append(job_id)
        if len(calls) == 1:
            # Whatever it is, also one that strikes again while it is being recorded.
            monkeypatch.setattr(self._jobs, "fail", lambda *_: 1 / 0)
            raise ValueError("a bug")
        monkeypatch.undo()
        plain(self, job_id)

    monkeypatch.setattr(worker.Worker, "run_job", faulty)
    outcomes = service.run_all(service.request("dukcapil"))
    assert len(links(outcomes["imigrasi"])) == 60
