import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from in_process import Quiet, Service, links, people, told_links

from keys.derive import KeyContext, LinkageKey
from keys.dsse import sign
from linkage.agent.blocktokens import all_tickets, block_tokens, meetings
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.references import References
from linkage.agent.run import attributes_of, request_job, run_job
from linkage.agent.source import Source
from linkage.agent.spool import Reading, Spool
from linkage.agreement.payload import Stop
from linkage.batch import Chunk, Manifest
from linkage.encode.encoder import Encoder
from linkage.encode.oncetokens import BlockValues
from linkage.errors import (
    DeniedError,
    JobStateError,
    KeyMismatchError,
    MalformedMessageError,
    NotFoundError,
    QuotaExceededError,
    RecordError,
    SchemaMismatchError,
)
from linkage.job import CodeId, Job, JobSpec, JobState
from linkage.rpc import convert
from linkage.rpc.channel import open_channel, translated
from linkage.v1 import batch_pb2, batch_pb2_grpc, job_pb2, job_pb2_grpc


def test_two_agents_get_equal_link_ids_for_the_persons_they_share(service: Service) -> None:
    outcomes = service.run_all(service.request("dukcapil"))
    ours, theirs = (
        {row["link_id"]: row["record_id"] for row in links(outcomes[p])}
        for p in ("dukcapil", "imigrasi")
    )
    assert len(ours) == 60
    assert ours == theirs  # the persons' record numbers are the same in this data


def test_results_say_that_an_official_decides(service: Service) -> None:
    outcomes = service.run_all(service.request("imigrasi"))
    row = links(outcomes["dukcapil"])[0]
    assert row["needs_human_decision"] == "yes"
    assert row["grade"] == "match"
    assert row["method"]


def test_a_job_of_three_parties_gives_each_pair_its_own_link_ids(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(
        dukcapil=people(40), imigrasi=people(40, skip=10), kemenlu=people(40, skip=20)
    )
    with service.running():
        outcomes = service.run_all(service.request("kemenlu"))
    ids: dict[tuple[str, str], set[str]] = {}
    for party, outcome in outcomes.items():
        for row in links(outcome):
            ids.setdefault((party, row["counterpart"]), set()).add(row["link_id"])
    assert {pair: len(found) for pair, found in ids.items()} == {
        ("dukcapil", "imigrasi"): 30,
        ("dukcapil", "kemenlu"): 20,
        ("imigrasi", "dukcapil"): 30,
        ("imigrasi", "kemenlu"): 30,
        ("kemenlu", "dukcapil"): 20,
        ("kemenlu", "imigrasi"): 30,
    }
    assert ids["dukcapil", "imigrasi"] == ids["imigrasi", "dukcapil"]
    assert not ids["dukcapil", "imigrasi"] & ids["dukcapil", "kemenlu"]


def spec_of(service: Service, party: str = "dukcapil") -> JobSpec:
    session = service.session(party)
    return JobSpec(
        "PKS-DEMO-1",
        bytes.fromhex(service.site.agreement.digest()),
        "demo",
        attributes_of(session.schema),
        service.site.parties,
        session.codes,
        0.7,
        "one-to-one",
        600,
        results=told_links(*service.site.parties),
    )


def between(spec: JobSpec, *parties: str) -> JobSpec:
    return replace(spec, parties=parties, results=told_links(*parties))


def test_a_repeated_request_gives_the_same_job(service: Service) -> None:
    session, spec = service.session("dukcapil"), spec_of(service)
    with (
        service.client("dukcapil") as client,
        open_channel(service.site.address, session.tls) as channel,
    ):
        signed = session.requests.sign(client, "/linkage.v1.JobService/RequestJob", spec.to_bytes())
        request = job_pb2.RequestJobRequest(request=signed, spec=convert.spec_to_proto(spec))
        stub = job_pb2_grpc.JobServiceStub(channel)
        first, second = stub.RequestJob(request), stub.RequestJob(request)
    assert first.job.job_id == second.job.job_id


def test_a_request_for_unknown_parties_is_denied_and_logged(service: Service) -> None:
    spec = spec_of(service)
    with service.client("dukcapil") as client:
        job = client.request_job(between(spec, "dukcapil", "setneg"))
    assert job.state is JobState.DENIED
    assert job.reason_code == "PARTIES_MISMATCH"


def test_a_request_of_a_party_outside_the_job_is_denied(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(dukcapil=people(5), imigrasi=people(5), kemenlu=people(5))
    with service.running(), service.client("kemenlu") as client:
        spec = between(spec_of(service), "dukcapil", "imigrasi")
        assert client.request_job(spec).reason_code == "PARTIES_MISMATCH"


def test_a_job_of_others_reads_like_one_that_does_not_exist(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(dukcapil=people(5), imigrasi=people(5), kemenlu=people(5))
    with service.running():
        with service.client("dukcapil") as client:
            spec = between(spec_of(service), "dukcapil", "imigrasi")
            job_id = client.request_job(spec).job_id
        with service.client("kemenlu") as client:
            texts = []
            for asked in (job_id, "0" * 32):
                with pytest.raises(NotFoundError) as caught:
                    client.job(asked)
                texts.append(str(caught.value))
            assert texts[0] == texts[1]
            assert client.jobs() == []


class Upload:
    """The batch of one party, to be sent in whatever broken way.

    Of a job of one round its chunks are of few records; of two rounds they are tickets.
    """

    def __init__(self, service: Service, party: str, job_id: str, rows: int = 20) -> None:
        self.job_id = job_id
        session = service.session(party)
        from datetime import date

        expires = date(2999, 1, 1)
        self.spool = Spool(session.store, job_id, expires)
        references = References(session.store, session.config.agreement, expires)
        with_whom = meetings(job_id, party, service.site.parties)
        schema, key = session.schema, session.key
        tables = Source(session.source, schema).chunks()
        reading = Reading(tables, RecordNormaliser(schema, session.source).columns, references)
        if session.refinement is not None:
            self.manifest = self.spool.fill_tickets(
                reading,
                BlockValues(schema, key.block_key).of,
                session.codes,
                lambda values, own, n: all_tickets(schema, key, values, with_whom, own, n),
            )
            n_chunks = range(len(self.manifest.chunk_sha256))
            self.chunks = [self.spool.chunk(self.manifest, index) for index in n_chunks]
            return
        whole = self.spool.fill(
            reading,
            Encoder(schema, key, os.urandom).encode,
            session.codes,
            lambda values, own, n: block_tokens(schema, key, values, with_whom, own, n),
        )
        big = self.spool.chunk(whole, 0)
        assert whole.n_record_chunks == 1
        width = session.codes.code_bits // 8
        self.chunks = [
            Chunk(
                big.references[16 * i : 16 * (i + rows)], big.codes[width * i : width * (i + rows)]
            )
            for i in range(0, whole.n_records, rows)
        ]
        n_record_chunks = len(self.chunks)
        self.chunks += [
            self.spool.chunk(whole, index) for index in range(1, len(whole.chunk_sha256))
        ]
        self.manifest = replace(
            whole,
            n_record_chunks=n_record_chunks,
            chunk_sha256=tuple(chunk.digest() for chunk in self.chunks),
        )

    @property
    def last(self) -> int:
        """Index of the last chunk."""
        return len(self.chunks) - 1


def test_an_upload_goes_on_where_it_stopped(service: Service) -> None:
    upload = Upload(service, "dukcapil", service.request("dukcapil"))
    sent: list[int] = []

    def stops_at_two(index: int) -> Chunk:
        if index == 2:
            raise OSError("the disk went away")
        return upload.chunks[index]

    with service.client("dukcapil") as client, pytest.raises(OSError, match="the disk went away"):
        client.upload(upload.job_id, upload.manifest, stops_at_two)
    with service.client("dukcapil") as client:
        client.upload(upload.job_id, upload.manifest, upload.chunks.__getitem__, sent.append)
        assert sent[-1] == upload.last
        assert len(sent) <= len(upload.chunks)
        leaf = client.upload(upload.job_id, upload.manifest, upload.chunks.__getitem__, sent.append)
        assert leaf == client.upload(upload.job_id, upload.manifest, upload.chunks.__getitem__)
    assert len(sent) <= len(upload.chunks)  # a complete batch is sent no more


@pytest.mark.parametrize(
    "broken",
    [
        lambda c: replace(c, codes=c.codes[:-1]),
        lambda c: replace(c, references=c.references[:-16]),
        lambda c: replace(c, codes=c.codes[:-1] + bytes([c.codes[-1] ^ 1])),
        lambda c: replace(c, references=bytes([c.references[0] ^ 1]) + c.references[1:]),
        lambda c: replace(c, exact=bytes(16)),
        lambda c: replace(c, tokens=bytes(12)),
        lambda _: Chunk(),
    ],
    ids=[
        "truncated",
        "fewer references",
        "bit flipped",
        "other reference",
        "exact tokens too many",
        "block tokens among records",
        "empty",
    ],
)
def test_a_broken_chunk_is_refused_and_what_came_before_stays(
    service: Service, broken: Callable[[Chunk], Chunk]
) -> None:
    refused_and_sent_again(service, 1, broken)


@pytest.mark.parametrize(
    "broken",
    [
        lambda c: replace(c, tokens=c.tokens[:-1]),
        lambda c: replace(c, tokens=c.tokens[:-12]),
        lambda c: replace(c, tokens=c.tokens + c.tokens[:12]),
        lambda c: replace(c, tokens=bytes([c.tokens[0] ^ 1]) + c.tokens[1:]),
        lambda c: replace(c, references=bytes(16)),
        lambda c: Chunk(codes=c.tokens),
        lambda _: Chunk(),
    ],
    ids=["truncated", "fewer", "more", "other token", "records", "as codes", "empty"],
)
def test_a_broken_chunk_of_block_tokens_is_refused(
    service: Service, broken: Callable[[Chunk], Chunk]
) -> None:
    refused_and_sent_again(service, 5, broken)


def refused_and_sent_again(service: Service, place: int, broken: Callable[[Chunk], Chunk]) -> None:
    upload = Upload(service, "dukcapil", service.request("dukcapil"))
    assert bool(upload.chunks[place].tokens) == (place >= upload.manifest.n_record_chunks == 4)
    with service.client("dukcapil") as client:
        with pytest.raises(MalformedMessageError, match=f"chunk {place}"):
            client.upload(
                upload.job_id,
                upload.manifest,
                lambda i: broken(upload.chunks[i]) if i == place else upload.chunks[i],
            )
        sent: list[int] = []
        client.upload(upload.job_id, upload.manifest, upload.chunks.__getitem__, sent.append)
    assert sent == list(range(place, upload.last + 1))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (
            lambda m: replace(m, chunk_sha256=m.chunk_sha256[:-1]),
            MalformedMessageError,
            "block tokens",
        ),
        (lambda m: replace(m, n_record_chunks=5), MalformedMessageError, "block tokens"),
        (
            lambda m: replace(m, n_record_chunks=0, chunk_sha256=m.chunk_sha256[4:]),
            MalformedMessageError,
            "no chunks",
        ),
        (
            lambda m: replace(
                m, n_record_chunks=81, chunk_sha256=(*[bytes(32)] * 77, *m.chunk_sha256)
            ),
            MalformedMessageError,
            "more chunks than",
        ),
        (lambda m: replace(m, n_records=0), QuotaExceededError, "0 records"),
        (
            lambda m: replace(m, chunk_sha256=(b"short", *m.chunk_sha256[1:])),
            MalformedMessageError,
            "32 bytes",
        ),
    ],
    ids=["a chunk less", "records for tokens", "no records", "too many", "nobody", "digest"],
)
def test_a_manifest_that_contradicts_the_job_is_refused(
    service: Service,
    change: Callable[[Manifest], Manifest],
    error: type[Exception],
    text: str,
) -> None:
    upload = Upload(service, "dukcapil", service.request("dukcapil"))
    wrong = change(upload.manifest)
    with service.client("dukcapil") as client:
        with pytest.raises(error, match=text):
            client.upload(upload.job_id, wrong, upload.chunks.__getitem__)
        client.upload(upload.job_id, upload.manifest, upload.chunks.__getitem__)


def test_a_batch_with_missing_chunks_is_not_committed(service: Service) -> None:
    upload = Upload(service, "dukcapil", service.request("dukcapil"))
    session, body = service.session("dukcapil"), upload.job_id.encode() + upload.manifest.digest()
    with service.client("dukcapil") as client:
        signed = session.requests.sign(client, "/linkage.v1.BatchService/OpenBatch", body)
    with open_channel(service.site.address, session.tls) as channel:
        stub = batch_pb2_grpc.BatchServiceStub(channel)
        opened = stub.OpenBatch(
            batch_pb2.OpenBatchRequest(
                job_id=upload.job_id,
                manifest=convert.manifest_to_proto(upload.manifest),
                request=signed,
            )
        )
        stub.UploadChunks(iter([convert.chunk_to_proto(opened.batch_id, 0, upload.chunks[0])]))
        with translated_raises(JobStateError, f"chunks 1 to {upload.last}"), translated():
            stub.CommitBatch(batch_pb2.CommitBatchRequest(batch_id=opened.batch_id))
        with translated_raises(MalformedMessageError, "the next one is 1"), translated():
            chunk = convert.chunk_to_proto(opened.batch_id, 3, upload.chunks[3])
            stub.UploadChunks(iter([chunk]))


def translated_raises(error: type[Exception], text: str) -> "pytest.RaisesExc[Exception]":
    return pytest.raises(error, match=text)


def test_another_batch_for_the_same_job_is_refused(service: Service) -> None:
    upload = Upload(service, "dukcapil", service.request("dukcapil"))
    other = replace(upload.manifest, n_records=20)
    with service.client("dukcapil") as client:
        client.upload(upload.job_id, upload.manifest, upload.chunks.__getitem__)
        with pytest.raises(JobStateError, match="another batch"):
            client.upload(upload.job_id, other, upload.chunks.__getitem__)


def test_a_wrong_key_is_noticed_by_the_agent_before_it_encodes(service: Service) -> None:
    job_id = service.request("dukcapil")
    session = service.session("imigrasi")
    codes = session.codes
    wrong = LinkageKey(bytes(32), KeyContext("PKS-DEMO-1", codes.schema_id, "demo", 1))
    session.codes = CodeId(**{**vars(codes), "key_check": wrong.key_check()})
    from datetime import date

    with service.client("imigrasi") as client, pytest.raises(KeyMismatchError, match="dukcapil"):
        run_job(session, client, job_id, Quiet(), date(2026, 1, 1))


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("key_check", b"12345678", KeyMismatchError),
        ("epoch", 2, KeyMismatchError),
        ("schema_id", b"x" * 32, SchemaMismatchError),
        ("code_bits", 1024, SchemaMismatchError),
        ("block_entries", 1, SchemaMismatchError),
        ("block_copies", 1, SchemaMismatchError),
        ("block_bytes", 8, SchemaMismatchError),
        ("exact_slots", 1, SchemaMismatchError),
    ],
)
def test_the_matcher_refuses_codes_of_another_kind_before_comparing(
    service: Service, field: str, value: object, error: type[Exception]
) -> None:
    upload = Upload(service, "imigrasi", service.request("dukcapil"))
    codes = CodeId(**{**vars(upload.manifest.codes), field: value})  # type: ignore[arg-type]
    manifest = replace(upload.manifest, codes=codes)
    with service.client("imigrasi") as client:
        with pytest.raises(error):
            client.upload(upload.job_id, manifest, upload.chunks.__getitem__)
        assert client.job(upload.job_id).state is JobState.COLLECTING  # nothing is lost
        client.upload(upload.job_id, upload.manifest, upload.chunks.__getitem__)


def test_a_job_that_a_party_never_uploads_for_expires_by_name(service: Service) -> None:
    job_id = service.request("dukcapil", timeout_s=100)
    upload = Upload(service, "dukcapil", job_id)
    with service.client("dukcapil") as client:
        client.upload(job_id, upload.manifest, upload.chunks.__getitem__)
        service.now += 101
        try:
            job = last_state(service, job_id)
        finally:
            service.now -= 101
        assert job.state is JobState.EXPIRED
        assert job.missing == ("imigrasi",)
        assert "imigrasi" in job.reason
        assert "dukcapil" not in job.reason
    late = Upload(service, "imigrasi", job_id)
    with (
        service.client("imigrasi") as client,
        pytest.raises(JobStateError, match=r"expired.*imigrasi"),
    ):
        client.upload(job_id, late.manifest, late.chunks.__getitem__)


def last_state(service: Service, job_id: str) -> Job:
    with service.client("dukcapil") as client:
        for _ in client.watch(job_id):
            pass
        return client.job(job_id)


def test_a_cancelled_job_takes_nothing_more(service: Service) -> None:
    job_id = service.request("dukcapil")
    with service.client("imigrasi") as client:
        assert client.cancel(job_id).state is JobState.CANCELLED
        with pytest.raises(JobStateError, match="nothing to cancel"):
            client.cancel(job_id)
    with pytest.raises(JobStateError, match="cancelled"):
        service.run("dukcapil", job_id)


def test_no_result_before_the_release_and_none_of_others(service: Service) -> None:
    job_id = service.request("dukcapil")
    with service.client("dukcapil") as client, pytest.raises(JobStateError, match="collecting"):
        client.results(job_id)


def test_a_restarted_matcher_goes_on_with_uploads_and_jobs(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(dukcapil=people(80), imigrasi=people(70, skip=20))
    with service.running():
        job_id = service.request("dukcapil")
        upload = Upload(service, "dukcapil", job_id)
        with service.client("dukcapil") as client:
            client.upload(job_id, upload.manifest, upload.chunks.__getitem__)
    with service.running():
        outcome = service.run_all(job_id)["imigrasi"]
        assert outcome.job.state is JobState.RELEASED
        assert len(links(outcome)) == 60


def test_an_agent_that_ran_before_does_not_encode_again(service: Service) -> None:
    job_id = service.request("dukcapil")
    outcomes = service.run_all(job_id)
    again = service.run("dukcapil", job_id)
    assert again.n_links == outcomes["dukcapil"].n_links


def test_references_are_kept_for_the_epoch(service: Service) -> None:
    first = service.run_all(service.request("dukcapil"))
    second = service.run_all(service.request("dukcapil"))
    ids = [{row["link_id"] for row in links(o["dukcapil"])} for o in (first, second)]
    assert ids[0] == ids[1]  # same agreement, epoch and records: the links keep their ids


def test_a_bad_source_is_refused_and_the_job_goes_on(service: Service) -> None:
    job_id = service.request("dukcapil")
    source = service.folder("dukcapil") / "source.toml"
    before = source.read_text()
    source.write_text(before + '[columns]\nnama = "NAMA_LENGKAP"\n')
    try:
        with pytest.raises(RecordError, match=r"no column NAMA_LENGKAP; it has .*tgl_lahir"):
            service.run("dukcapil", job_id)
    finally:
        source.write_text(before)
    assert len(links(service.run_all(job_id)["dukcapil"])) == 60


def test_progress_tells_whom_the_job_waits_for(service: Service) -> None:
    job_id = service.request("dukcapil")
    seen: list[tuple[JobState, tuple[str, ...]]] = []

    def watch() -> None:
        with service.client("dukcapil") as client:
            seen.extend((p.state, p.waiting_for) for p in client.watch(job_id))

    thread = threading.Thread(target=watch)
    thread.start()
    service.run_all(job_id)
    thread.join()
    assert seen[0] == (JobState.COLLECTING, ("dukcapil", "imigrasi"))
    assert seen[-1] == (JobState.RELEASED, ())


def test_denied_requests_raise_at_the_agent(service: Service) -> None:
    session = service.session("dukcapil")
    with service.client("dukcapil") as client, pytest.raises(DeniedError, match="PARTIES_MISMATCH"):
        request_job(session, client, ("dukcapil", "bin"), 600, "R3")


def test_a_commit_again_and_again_beside_other_calls_is_answered(service: Service) -> None:
    job_id = service.request("dukcapil")
    upload = Upload(service, "dukcapil", job_id)
    with service.client("dukcapil") as client:
        leaf = client.upload(job_id, upload.manifest, upload.chunks.__getitem__)

    def again() -> set[int]:
        with service.client("dukcapil") as client:
            return {
                client.upload(job_id, upload.manifest, upload.chunks.__getitem__) for _ in range(12)
            }

    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(again) for _ in range(2)]
        others = [pool.submit(service.request, "imigrasi") for _ in range(8)]
        assert {found for call in calls for found in call.result()} == {leaf}
        assert len({other.result() for other in others}) == 8


@pytest.mark.parametrize("change", ["epoch", "agreement"])
def test_what_is_signed_is_what_is_asked_for(service: Service, change: str) -> None:
    session, spec = service.session("dukcapil"), spec_of(service)
    other = (
        replace(spec, codes=replace(spec.codes, epoch=2))
        if change == "epoch"
        else replace(spec, agreement_sha256=bytes(32))
    )
    with service.client("dukcapil") as client:
        # Signed for epoch 1 and the agreement in force, as the agent has them.
        signed = session.requests.sign(
            client, "/linkage.v1.JobService/RequestJob", other.to_bytes()
        )
    request = job_pb2.RequestJobRequest(request=signed, spec=convert.spec_to_proto(other))
    with open_channel(service.site.address, session.tls) as channel:
        stub = job_pb2_grpc.JobServiceStub(channel)
        with pytest.raises(DeniedError, match="REQUEST_OTHER_BODY"), translated():
            stub.RequestJob(request)


def test_nothing_is_given_out_under_an_agreement_that_was_stopped(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(dukcapil=people(20), imigrasi=people(20))
    with service.running():
        job_id = service.request("dukcapil")
        service.run_all(job_id)
        waiting = service.request("imigrasi")
        stop = Stop(
            log=service.site.agreement.log,
            agreement=service.site.agreement.id,
            digest=service.site.agreement.digest(),
            serial=1,
            stopped=True,
            reason="test",
        )
        envelope = sign(Stop.TYPE, stop.to_bytes(), [service.site.signers["dukcapil"]])
        with service.client("dukcapil") as client:
            client.submit_document(envelope.to_bytes())
            with pytest.raises(DeniedError, match="AGREEMENT_STOPPED"):
                client.results(job_id)
        assert last_state(service, waiting).state is JobState.CANCELLED
        with pytest.raises(DeniedError, match="AGREEMENT_STOPPED"):
            service.request("dukcapil")
