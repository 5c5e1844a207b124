"""What is refused: in the log for auditors, told to nobody who may not know it, and once."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from in_process import Service, people
from sqlalchemy import create_engine, text
from test_rotation import rotation

from keys.dsse import Ed25519Signer, envelope_in, sign
from keys.identity import key_digest, parse_identity
from linkage.agent.client import MatcherClient
from linkage.agent.config import load_agent
from linkage.agent.mirror import Mirror
from linkage.agent.requests import Requests
from linkage.agent.run import attributes_of
from linkage.agent.session import Session
from linkage.agreement.payload import Enrolment
from linkage.agreement.request import parse_request, sign_request
from linkage.batch import Manifest
from linkage.cli.demo_site import DOMAIN, ORIGIN
from linkage.errors import DeniedError
from linkage.job import JobSpec, JobState
from linkage.log.canonical import encode_base64
from linkage.log.entry import parse_entry
from linkage.matcher.refusals import MOST_LEAVES
from linkage.rpc import convert
from linkage.rpc.channel import open_channel, translated
from linkage.rpc.tls import TlsFiles
from linkage.v1 import batch_pb2, batch_pb2_grpc

AHU = f"spiffe://{DOMAIN}/party/ahu"


@pytest.fixture
def service(new_service: Callable[..., Service]) -> Service:
    return new_service(dukcapil=people(5), imigrasi=people(5))


def spec_of(session: Session, **changed: Any) -> JobSpec:
    standing = session.mirror.state.agreements.get(session.config.agreement.id)
    digest = standing.version.digest if standing else "00" * 32
    spec = JobSpec(
        agreement_id=session.config.agreement.id,
        agreement_sha256=bytes.fromhex(digest),
        purpose=session.config.agreement.purpose,
        attributes=attributes_of(session.schema),
        parties=session.config.agreement.parties,
        codes=session.codes,
        threshold=session.schema.threshold,
        cardinality=session.schema.match.cardinality,
        collect_timeout_s=600,
        results=(),
    )
    spec = replace(spec, **changed)
    told = tuple((a, b, "R3") for a in spec.parties for b in spec.parties if a != b)
    return replace(spec, results=told)


@contextmanager
def outsider(service: Service) -> Iterator[MatcherClient]:
    """A party that is enrolled, and in no agreement."""
    signer = Ed25519Signer(Ed25519PrivateKey.generate())
    credential = service.site.authority.issue(parse_identity(AHU))
    document = Enrolment(
        log=ORIGIN,
        principal=AHU,
        tls_keys=(key_digest(credential.certificate),),
        sign_key=encode_base64(signer.public),
    )
    admitted = sign(Enrolment.TYPE, document.to_bytes(), [service.site.administrator, signer])
    with service.client("dukcapil") as client:
        client.submit_document(admitted.to_bytes())
    folder = service.site.root / "ahu"
    folder.mkdir()
    (folder / "certificate.pem").write_bytes(credential.certificate)
    (folder / "private-key.pem").write_bytes(credential.private_key)
    (folder / "authority.pem").write_bytes(service.site.authority.certificate)
    names = ("certificate", "private-key", "authority")
    tls = TlsFiles(*(folder / f"{name}.pem" for name in names))
    session = service.session("dukcapil")
    mirror = Mirror(folder / "log", session.trust)
    requests = Requests(session.config.agreement.id, 1, signer, mirror)
    with open_channel(service.site.address, tls) as channel:
        yield MatcherClient(channel, 5.0, requests)


def logged(service: Service) -> list[tuple[str, dict[str, Any]]]:
    """Type and body of every entry, as an auditor reads it."""
    engine = create_engine(f"sqlite:///{service.site.root / 'matcher' / 'data' / 'matcher.db'}")
    with engine.connect() as connection:
        rows = connection.execute(text('SELECT leaf, body FROM entries ORDER BY "index"')).all()
    engine.dispose()
    return [(parse_entry(leaf).type, json.loads(body or b"{}")) for leaf, body in rows]


def test_an_outsider_learns_of_no_agreement_not_even_from_the_log(service: Service) -> None:
    with service.running(), outsider(service) as client:
        session = service.session("dukcapil")
        with service.client("dukcapil") as own:
            session.mirror.update(own)
        told = []
        for spec in (
            spec_of(session),
            spec_of(session, agreement_id="PKS-NONE"),
            spec_of(session, purpose="lain", parties=("ahu", "dukcapil")),
        ):
            job = client.request_job(spec)
            told.append((job.state, job.reason_code, job.reason))
        assert set(told) == {(JobState.DENIED, "NOT_AVAILABLE", told[0][2])}
        size = len(logged(service))
        seen = [one for one in client.entries(0, size) if parse_entry(one.leaf).type == "job.deny"]
        assert len(seen) == 3
        assert {one.body for one in seen} == {b""}
    inner = {body["code"] for kind, body in logged(service) if kind == "job.deny"}
    assert inner == {"NOT_A_PARTY", "AGREEMENT_UNKNOWN"}


def test_a_denial_that_hides_nothing_is_read_by_its_parties(service: Service) -> None:
    with service.running():
        session = service.session("dukcapil")
        with service.client("dukcapil") as client:
            session.mirror.update(client)
            job = client.request_job(spec_of(session, purpose="lain"))
            assert (job.state, job.reason_code) == (JobState.DENIED, "PURPOSE_MISMATCH")
            found = list(client.entries(0, len(logged(service))))
        (deny,) = (one for one in found if parse_entry(one.leaf).type == "job.deny")
        assert json.loads(deny.body)["rules"] == ["P1"]


class Uploads:
    """Opens batches, with requests of the test's making."""

    def __init__(self, session: Session, channel: grpc.Channel) -> None:
        self.session = session
        self.client = MatcherClient(channel, 5.0, session.requests)
        self.stub = batch_pb2_grpc.BatchServiceStub(channel)

    def manifest(self, n_records: int = 5) -> Manifest:
        codes = self.session.codes
        n_tokens = codes.block_entries
        digests = tuple(bytes([i]) * 32 for i in range(1 + n_tokens))
        return Manifest(codes, n_records, 1, digests)

    def signed(self, job_id: str, manifest: Any, body: bytes | None = None) -> bytes:
        content = job_id.encode() + manifest.digest() if body is None else body
        method = "/linkage.v1.BatchService/OpenBatch"
        return self.session.requests.sign(self.client, method, content)

    def open(self, job_id: str, manifest: Any, request: bytes) -> str:
        message = batch_pb2.OpenBatchRequest(
            job_id=job_id, manifest=convert.manifest_to_proto(manifest), request=request
        )
        with translated():
            return str(self.stub.OpenBatch(message, timeout=20).batch_id)


@contextmanager
def uploads(service: Service, party: str) -> Iterator[Uploads]:
    session = service.session(party)
    with open_channel(service.site.address, session.tls) as channel:
        yield Uploads(session, channel)


def test_an_upload_that_is_not_signed_is_told_no_more_than_a_job(service: Service) -> None:
    with service.running():
        job_id = service.request("dukcapil")
        with uploads(service, "imigrasi") as mine, uploads(service, "dukcapil") as other:
            manifest = mine.manifest()
            stranger = other.signed(job_id, manifest)
            with pytest.raises(DeniedError) as refused:
                mine.open(job_id, manifest, stranger)
            assert refused.value.code == "NOT_ADMITTED"
            assert "NOT_SIGNED" not in str(refused.value)
            wrong = mine.signed(job_id, manifest, b"another")
            with pytest.raises(DeniedError, match="REQUEST_OTHER_BODY"):
                mine.open(job_id, manifest, wrong)
    codes = [body["code"] for kind, body in logged(service) if kind == "job.refuse"]
    assert codes == ["REQUEST_NOT_SIGNED", "REQUEST_OTHER_BODY"]


def test_a_request_for_an_upload_counts_once_also_after_a_restart(service: Service) -> None:
    with service.running():
        job_id = service.request("dukcapil")
        with uploads(service, "dukcapil") as own:
            # It names a gate's result that nobody has.
            manifest = replace(own.manifest(), gate_sha256=b"g" * 32)
            request = own.signed(job_id, manifest)
            with pytest.raises(DeniedError) as first:
                own.open(job_id, manifest, request)
        before = len(logged(service))
    with service.running(), uploads(service, "dukcapil") as own:
        with pytest.raises(DeniedError) as again:
            own.open(job_id, manifest, request)
        assert str(again.value) == str(first.value)
        assert len(logged(service)) == before
        # The same id over other bytes.
        envelope = envelope_in(json.loads(request))
        fields = parse_request(envelope)
        another = job_id.encode() + own.manifest(4).digest()
        reused = _resigned(service, fields, another)
        with pytest.raises(DeniedError, match="REQUEST_REUSED"):
            own.open(job_id, own.manifest(4), reused)


def _resigned(service: Service, fields: Any, body: bytes) -> bytes:
    changed = fields.model_copy(update={"body": hashlib.sha256(body).hexdigest()})
    return sign_request(changed, service.site.signers["dukcapil"]).to_bytes()


def test_a_job_that_may_not_go_on_says_by_which_rule(service: Service) -> None:
    with service.running():
        job_id = service.request("dukcapil")
        with rotation(load_agent(service.folder("imigrasi") / "agent.toml")) as own:
            leaf = own.lose()
        with service.client("dukcapil") as client:
            while not client.job(job_id).state.final:
                pass
    (ended,) = (body for kind, body in logged(service) if kind == "job.cancelled")
    assert (ended["code"], ended["rules"]) == ("EPOCH_ENDED", ["E2"])
    assert leaf


def test_a_flood_of_refusals_gets_one_leaf_for_the_rest_of_its_minute(service: Service) -> None:
    beyond = 7
    with service.running():
        session = service.session("dukcapil")
        with service.client("dukcapil") as client:
            session.mirror.update(client)
            spec = spec_of(session, purpose="lain")
            turned = 0
            for _ in range(MOST_LEAVES + beyond):
                with suppress(DeniedError):
                    assert client.request_job(spec).state is JobState.DENIED
                    turned -= 1
                turned += 1
    kinds = logged(service)
    denied = sum(kind == "job.deny" for kind, _ in kinds)
    floods = [body for kind, body in kinds if kind == "job.refusals"]
    counted = sum(sum(body["codes"].values()) for body in floods)
    assert denied + counted == MOST_LEAVES + beyond
    assert counted == turned
    # As many as one minute has, or two where the clock passed between them.
    assert denied <= 2 * MOST_LEAVES
    assert {code for body in floods for code in body["codes"]} <= {"PURPOSE_MISMATCH"}
