"""Lookups over real gRPC and TLS: who gets which answer, and what is kept of it."""

import asyncio
import itertools
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from click.testing import CliRunner
from grants import cosign, end, give, grant, signed
from in_process import SCHEMA, Service, people, person

from keys.dsse import sign
from linkage.agent.lookup import Lookup, LookupAnswer, LookupClient
from linkage.agent.register import RegisterUpload, Uploaded
from linkage.agreement.payload import Hold, Stop
from linkage.cli import padan
from linkage.errors import (
    DeniedError,
    InputError,
    JobStateError,
    KeyMismatchError,
    LinkageError,
    MalformedMessageError,
    NotFoundError,
    QuotaExceededError,
    SchemaMismatchError,
)
from linkage.log.entry import parse_entry
from linkage.lookup import LOOKUP_METHOD, LookupQuestion
from linkage.matcher.lookups import Lookups
from linkage.rpc.channel import open_channel, translated
from linkage.rpc.convert import lookup_to_proto
from linkage.v1 import lookup_pb2, lookup_pb2_grpc

FAST = '[encoding]\nscheme = "saul"\nbits = 4096\norder = 4\n'
WITH_NIK = SCHEMA + FAST + '[exact]\nnames = ["nik"]\n'
RECORDS = 60


def nik(number: int) -> str:
    return f"00740{number % 8}{100_000 + 7 * number:06}{number:04}"


def registered(n: int, skip: int = 0) -> list[dict[str, str]]:
    return [{**row, "nik": nik(int(row["record_id"]))} for row in people(n, skip)]


class QuietUpload:
    """A reporter that tells nobody."""

    def encoding(self, n_records: int) -> None: ...
    def uploading(self, chunk: int, n_chunks: int) -> None: ...


def refresh(service: Service, party: str = "dukcapil", whole: bool = False) -> Uploaded:
    session = service.session(party)
    with open_channel(service.site.address, session.tls) as channel:
        client = LookupClient(channel, service.patience_s)
        upload = RegisterUpload(session, client, datetime.now(UTC).date())
        return upload.refresh(QuietUpload(), whole)


def question(
    service: Service, number: int, party: str = "imigrasi", register: str = "dukcapil", **other: str
) -> LookupQuestion:
    row = {**person(number), "nik": nik(number), **other}
    del row["record_id"]
    return Lookup(service.session(party)).question(register, row)


@contextmanager
def asking(
    service: Service, party: str = "imigrasi", epoch: int | None = None
) -> Iterator[LookupClient]:
    session = service.session(party, epoch)
    keys = [line.key for line in session.trust.logs]
    with open_channel(service.site.address, session.tls) as channel:
        yield LookupClient(channel, service.patience_s, session.requests, keys)


def send(
    service: Service, asked: LookupQuestion, party: str = "imigrasi", epoch: int | None = None
) -> LookupAnswer:
    with asking(service, party, epoch) as client:
        return client.find(asked)


def signed_message(
    service: Service, asked: LookupQuestion, party: str = "imigrasi"
) -> lookup_pb2.LookupRequest:
    """The message as an agent sends it."""
    with service.client(party) as client:
        requests = service.session(party).requests
        return lookup_to_proto(asked, requests.sign(client, LOOKUP_METHOD, asked.to_bytes()))


@pytest.fixture(scope="module")
def looked_up(new_service: Callable[..., Service]) -> Iterator[Service]:
    """A running service; imigrasi may look up dukcapil's register, and kemenlu nobody's."""
    made = new_service(
        WITH_NIK,
        dukcapil=registered(RECORDS),
        imigrasi=registered(RECORDS, skip=20),
        kemenlu=registered(5),
    )
    with made.running():
        refresh(made)
        give(made, grant(made))
        yield made


def test_who_is_in_the_register_is_found_and_who_is_not_is_not(looked_up: Service) -> None:
    answers = [send(looked_up, question(looked_up, number)) for number in (30, RECORDS + 5)]
    assert [answer.answer for answer in answers] == ["yes", "no"]
    assert [answer.grade for answer in answers] == ["match", "no match"]
    for answer in answers:
        assert answer.level == "R1"
        assert answer.needs_human_decision
        assert answer.method == "padan-lookup/2"
        assert answer.revision == 1
        assert 0 <= answer.overlooked <= 0.02


def test_a_number_of_another_person_alone_is_undetermined(looked_up: Service) -> None:
    borrowed = question(looked_up, RECORDS + 7, nik=nik(31))
    assert send(looked_up, borrowed).answer == "undetermined"


def test_a_misspelt_name_with_the_right_number_is_found(looked_up: Service) -> None:
    name = person(33)["nama"]
    message = question(looked_up, 33, nama=name[:3] + name[4:])
    assert send(looked_up, message).answer == "yes"


def test_answers_are_numbered_without_a_gap(looked_up: Service) -> None:
    message = question(looked_up, 30)
    numbers = [send(looked_up, message).sequence for _ in range(3)]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


def test_a_stream_answers_in_order_and_numbers_go_on(looked_up: Service) -> None:
    numbers = [*range(25, 45), *range(RECORDS, RECORDS + 20)]
    maker = Lookup(looked_up.session("imigrasi"))
    messages = []
    for number in numbers:
        row = {**person(number), "nik": nik(number)}
        del row["record_id"]
        messages.append(maker.question("dukcapil", row))
    with asking(looked_up) as client:
        answers = list(client.find_all(messages))
    assert [answer.answer for answer in answers] == ["yes"] * 20 + ["no"] * 20
    assert sorted(a.sequence for a in answers) == list(
        range(min(a.sequence for a in answers), min(a.sequence for a in answers) + 40)
    )


def test_an_exhaustive_lookup_overlooks_nothing(looked_up: Service) -> None:
    answer = send(looked_up, replace(question(looked_up, 40), exhaustive=True))
    assert (answer.answer, answer.overlooked) == ("yes", 0.0)


@pytest.mark.parametrize(
    ("caller", "register", "code"),
    [
        ("dukcapil", "imigrasi", "GRANT_UNKNOWN"),
        ("dukcapil", "dukcapil", "PARTIES_MISMATCH"),
        ("imigrasi", "kemenlu", "GRANT_UNKNOWN"),
        ("imigrasi", "nobody", "PARTIES_MISMATCH"),
    ],
)
def test_who_has_no_grant_is_denied_whatever_there_is(
    looked_up: Service, caller: str, register: str, code: str
) -> None:
    with pytest.raises(DeniedError, match=code):
        send(looked_up, question(looked_up, 30, caller, register), caller)


def test_a_grant_serves_once_all_have_cosigned_until_it_is_used_up_or_ended(
    looked_up: Service,
) -> None:
    asked = question(looked_up, 30, "kemenlu")
    wanted = grant(looked_up, "kemenlu", number=2)
    with looked_up.client("kemenlu") as client:
        client.submit_document(signed(looked_up, wanted).to_bytes())
    for parties in ((), ("dukcapil", "kemenlu")):
        if parties:
            cosign(looked_up, *parties)
        with pytest.raises(DeniedError, match="GRANT_NOT_COSIGNED"):
            send(looked_up, asked, "kemenlu")
    for _ in range(2):
        cosign(looked_up)
    answers = [send(looked_up, asked, "kemenlu") for _ in range(2)]
    assert [(answer.grant, answer.sequence) for answer in answers] == [
        (wanted.grant, 1),
        (wanted.grant, 2),
    ]
    with pytest.raises(DeniedError, match="GRANT_EXHAUSTED"):
        send(looked_up, asked, "kemenlu")
    another = grant(looked_up, "kemenlu")
    give(looked_up, another)
    assert send(looked_up, asked, "kemenlu").grant == another.grant
    end(looked_up, another)
    with pytest.raises(DeniedError, match="GRANT_"):
        send(looked_up, asked, "kemenlu")


def test_fishing_for_members_ends_a_grant_that_says_so(looked_up: Service) -> None:
    give(looked_up, grant(looked_up, "kemenlu", on_probing="refuse"))
    maker = Lookup(looked_up.session("kemenlu"))
    asked = []
    for number in range(1_000, 1_060):
        row = {**person(number), "nik": nik(number)}
        del row["record_id"]
        asked.append(maker.question("dukcapil", row))
    answers: list[LookupAnswer] = []
    with (
        structlog.testing.capture_logs() as captured,
        asking(looked_up, "kemenlu") as client,
        pytest.raises(DeniedError, match="GRANT_SUSPENDED"),
    ):
        answers.extend(client.find(one) for one in asked)
    assert len(answers) in (49, 50)  # with what the caller asked in another test
    (alarm,) = [line for line in captured if line["event"] == "lookups look like probing"]
    assert (alarm["sign"], alarm["caller"]) == ("FEW_HITS", "party/kemenlu")


def test_a_request_is_answered_once_and_to_who_signed_it(looked_up: Service) -> None:
    message = signed_message(looked_up, question(looked_up, 30))
    other = lookup_pb2.LookupRequest()
    other.CopyFrom(message)
    other.code = bytes(len(message.code))
    for party, sent, code in (
        ("imigrasi", message, ""),
        ("imigrasi", message, "REQUEST_REUSED"),
        ("imigrasi", other, "REQUEST_OTHER_BODY"),
        ("kemenlu", message, "NOT_ADMITTED"),
    ):
        tls = looked_up.session(party).tls
        with open_channel(looked_up.site.address, tls) as channel:
            stub = lookup_pb2_grpc.LookupServiceStub(channel)
            if not code:
                assert stub.Lookup(sent).grade == lookup_pb2.GRADE_MATCH
                continue
            with pytest.raises(LinkageError, match=code), translated():
                stub.Lookup(sent)


def test_another_agreement_is_denied(looked_up: Service) -> None:
    with pytest.raises(DeniedError, match="NOT_AVAILABLE"):
        send(looked_up, replace(question(looked_up, 30), agreement_id="PKS-OTHER"))


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("key_check", b"12345678", KeyMismatchError),
        ("epoch", 2, DeniedError),
        ("schema_id", bytes(32), DeniedError),
        ("scheme", "diffused", SchemaMismatchError),
    ],
)
def test_codes_of_another_key_or_schema_are_refused(
    looked_up: Service, field: str, value: object, error: type[LinkageError]
) -> None:
    asked = question(looked_up, 30)
    codes = replace(asked.codes, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(error):
        send(looked_up, replace(asked, codes=codes))


def test_a_code_of_another_length_is_refused(looked_up: Service) -> None:
    asked = question(looked_up, 30)
    for wrong in ({"code": asked.code[:-1]}, {"salt": b""}):
        with pytest.raises(MalformedMessageError):
            send(looked_up, replace(asked, **wrong))


def test_where_too_many_wait_a_lookup_is_told_to_come_again(
    looked_up: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkage.matcher.lookups._MOST_WAITING", 0)
    message = signed_message(looked_up, question(looked_up, 30))
    with open_channel(looked_up.site.address, looked_up.session("imigrasi").tls) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            lookup_pb2_grpc.LookupServiceStub(channel).Lookup(message)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_refused_lookup_ends_a_stream_with_its_error(looked_up: Service) -> None:
    good = question(looked_up, 30)
    bad = replace(good, codes=replace(good.codes, key_check=b"12345678"))
    with asking(looked_up) as client:
        answers = client.find_all([good, bad, good])
        assert next(answers).answer == "yes"
        with pytest.raises(KeyMismatchError):
            list(answers)


def test_an_early_error_of_a_full_stream_leaves_no_task(
    looked_up: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking: list[asyncio.Task[None]] = []
    create = asyncio.create_task

    def seen(work: Any, **named: Any) -> Any:
        task = create(work, **named)
        if "StreamLookups" in work.__qualname__:
            taking.append(task)
        return task

    answers: list[Future[Any]] = []

    def ask(*_: Any) -> Future[Any]:
        answers.append(Future())
        if len(answers) == 16:  # as many as wait; the first fails once more have come
            threading.Timer(0.3, answers[0].set_exception, [NotFoundError("gone")]).start()
        return answers[-1]

    with monkeypatch.context() as patch, asking(looked_up) as client:
        patch.setattr(asyncio, "create_task", seen)
        patch.setattr(Lookups, "ask", ask)
        with pytest.raises(NotFoundError):
            list(client.find_all(itertools.repeat(question(looked_up, 3))))
    (task,) = taking
    while not task.done():
        time.sleep(0.05)


def test_many_callers_at_once_get_each_their_own_answer(looked_up: Service) -> None:
    messages = {number: question(looked_up, number) for number in (30, 41, RECORDS + 1)}
    wrong: list[object] = []

    def ask(number: int) -> None:
        expected = "yes" if number < RECORDS else "no"
        for _ in range(10):
            answer = send(looked_up, messages[number]).answer
            if answer != expected:
                wrong.append((number, answer))

    threads = [threading.Thread(target=ask, args=(number,)) for number in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.fixture
def own_service(new_service: Callable[..., Service]) -> Service:
    """A service that a test may stop, start and change."""
    return new_service(WITH_NIK, dukcapil=registered(RECORDS), imigrasi=registered(10))


def test_a_quota_is_of_a_minute_and_outlives_a_restart(new_service: Callable[..., Service]) -> None:
    service = new_service(WITH_NIK, dukcapil=registered(20), imigrasi=registered(5))
    # In the middle of a minute, so that the test is over before its end.
    service.now = 30 - datetime.now(UTC).timestamp() % 60
    with service.running():
        refresh(service)
        give(service, grant(service, per_minute=3))
        message = question(service, 3)
        for _ in range(3):
            assert send(service, message).answer == "yes"
        with pytest.raises(QuotaExceededError, match="3 lookups a minute"):
            send(service, message)
    with service.running(), pytest.raises(QuotaExceededError):
        send(service, message)
    service.now += 60
    with service.running():
        assert send(service, message).sequence == 4


def test_a_restart_keeps_register_grant_numbers_and_requests(own_service: Service) -> None:
    with own_service.running():
        assert refresh(own_service).n_sent == RECORDS
        give(own_service, grant(own_service))
        before = send(own_service, question(own_service, 3))
        message = signed_message(own_service, question(own_service, 3))
        tls = own_service.session("imigrasi").tls
        with open_channel(own_service.site.address, tls) as channel:
            lookup_pb2_grpc.LookupServiceStub(channel).Lookup(message)
    with own_service.running():
        after = send(own_service, question(own_service, 3))
        with (
            open_channel(own_service.site.address, tls) as channel,
            pytest.raises(DeniedError, match="REQUEST_REUSED"),
            translated(),
        ):
            lookup_pb2_grpc.LookupServiceStub(channel).Lookup(message)
    assert after.answer == before.answer == "yes"
    assert (after.grant, after.sequence) == (before.grant, before.sequence + 2)


def rewrite(service: Service, rows: list[dict[str, str]]) -> None:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    (service.folder("dukcapil") / "records.csv").write_text("\n".join(lines) + "\n", "utf-8")


def test_a_refresh_sends_what_changed_and_the_rest_stays(own_service: Service) -> None:
    with own_service.running():
        refresh(own_service)
        give(own_service, grant(own_service))
        again = refresh(own_service)
        assert (again.revision, again.n_sent, again.leaf_index) == (1, 0, None)
        # Record 3 is another person now, record 4 is gone, and one is new.
        rows = registered(RECORDS)
        rows[3] = {**registered(1, skip=200)[0], "record_id": rows[3]["record_id"]}
        del rows[4]
        rows += registered(1, skip=300)
        rewrite(own_service, rows)
        done = refresh(own_service)
        assert (done.revision, done.n_records, done.n_sent, done.n_removed) == (2, RECORDS, 2, 1)
        expected = {3: "no", 4: "no", 5: "yes", 200: "yes", 300: "yes"}
        got = {n: send(own_service, question(own_service, n)).answer for n in expected}
        assert got == expected
    with own_service.running():
        assert {n: send(own_service, question(own_service, n)).answer for n in expected} == expected
        whole = refresh(own_service, whole=True)
        assert (whole.revision, whole.n_sent) == (3, RECORDS)
        assert {n: send(own_service, question(own_service, n)).answer for n in expected} == expected
    datasets = (own_service.site.root / "matcher" / "data" / "artefacts").iterdir()
    registers = [path for path in datasets if not path.name.startswith("sealed-")]
    assert len(registers) == 1  # a whole register takes the place of the older ones


def test_a_register_that_is_replaced_under_a_legal_hold_is_kept(own_service: Service) -> None:
    agreement = own_service.site.agreement
    with own_service.running():
        refresh(own_service)
        payload = Hold(
            log=agreement.log,
            agreement=agreement.id,
            digest=agreement.digest(),
            serial=1,
            held=True,
            reason="perkara 1/2026",
        )
        signers = [own_service.site.signers[party] for party in ("dukcapil", "imigrasi")]
        with own_service.client("dukcapil") as client:
            client.submit_document(sign(Hold.TYPE, payload.to_bytes(), signers).to_bytes())
        assert refresh(own_service, whole=True).revision == 2
    datasets = (own_service.site.root / "matcher" / "data" / "artefacts").iterdir()
    registers = [path for path in datasets if not path.name.startswith("sealed-")]
    assert len(registers) == 2


def test_an_agent_that_lost_its_state_sends_the_whole(own_service: Service) -> None:
    with own_service.running():
        refresh(own_service)
        give(own_service, grant(own_service))
        session = own_service.session("dukcapil")
        for folder in (session.config.work / "artefacts").glob("register-*"):
            (folder / "sent").unlink()
        done = refresh(own_service)
        assert (done.revision, done.n_sent) == (2, RECORDS)


def test_an_interrupted_upload_goes_on_where_it_stopped(
    own_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkage.agent.register.MAX_CHUNK_BYTES", 4_000)
    sent: list[int] = []

    class Stops(QuietUpload):
        def uploading(self, chunk: int, n_chunks: int) -> None:
            assert n_chunks > 3
            sent.append(chunk)
            if chunk == 3 and sent.count(3) == 1:
                # A line that breaks takes along what has not arrived yet.
                waited_until(lambda: received(own_service) >= 1)
                raise JobStateError("the line broke")

    with own_service.running():
        session = own_service.session("dukcapil")
        with open_channel(own_service.site.address, session.tls) as channel:
            upload = RegisterUpload(session, LookupClient(channel, 5.0), datetime.now(UTC).date())
            with pytest.raises(JobStateError, match="the line broke"):
                upload.refresh(Stops())
        with open_channel(own_service.site.address, session.tls) as channel:
            upload = RegisterUpload(session, LookupClient(channel, 5.0), datetime.now(UTC).date())
            upload.refresh(Stops())
        assert sent[:4] == [0, 1, 2, 3]
        assert sent[4] >= 1  # what had come was not sent again
        give(own_service, grant(own_service))
        assert send(own_service, question(own_service, 3)).answer == "yes"


def received(service: Service) -> int:
    path = service.site.root / "matcher" / "data" / "matcher.db"
    with sqlite3.connect(path) as database:
        (chunks,) = database.execute("select max(next_chunk) from registers").fetchone()
    return int(chunks)


def waited_until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.05)


def test_before_an_upload_there_is_no_register(own_service: Service) -> None:
    with own_service.running():
        give(own_service, grant(own_service))
        with pytest.raises(NotFoundError, match="no such register"):
            send(own_service, question(own_service, 3))


def test_a_register_ends_on_its_day(own_service: Service) -> None:
    with own_service.running():
        refresh(own_service)
        give(own_service, grant(own_service))
        assert send(own_service, question(own_service, 3)).answer == "yes"
        own_service.now = 32 * 86_400
    with own_service.running():
        keys = own_service.site.root / "matcher" / "keystore" / "artefacts"
        for path in keys.glob("expires-*"):
            path.unlink()
    own_service.now = 0.0
    with own_service.running(), pytest.raises(NotFoundError):
        send(own_service, question(own_service, 3))


def test_every_minute_is_logged_with_its_counts_and_nothing_of_a_person(
    own_service: Service,
) -> None:
    own_service.now = 30 - datetime.now(UTC).timestamp() % 60
    with own_service.running():
        refresh(own_service)
        give(own_service, grant(own_service))
        bad = question(own_service, 4)
        bad = replace(bad, codes=replace(bad.codes, key_check=b"12345678"))
        for message in (question(own_service, 3), question(own_service, 4)):
            send(own_service, message)
        with pytest.raises(InputError):
            send(own_service, bad)
        own_service.now += 60
        leaf, body = waited_for(own_service, "lookup.minute")
        check_minute_as_auditors_do(own_service)
    assert parse_entry(leaf).commitment is not None
    (row,) = body["counts"]
    assert (row["caller"], row["register"]) == ("party/imigrasi", "dukcapil")
    assert (row["answered"], row["refused"], row["last"]) == (2, 1, 2)
    assert (body["answered"], len(body["root"])) == (2, 64)
    assert body["minute"] % 60 == 0


def check_minute_as_auditors_do(service: Service) -> None:
    site, folder = service.site, service.site.root / "auditor"
    for _ in range(2):
        cosign(service)
    site.fetch_bundle()
    checked = [str(site.bundle), "--trust", str(site.trust), "--json"]
    assert json.loads(site.padan("audit", "replay", *checked))["verdict"] == "OK"
    (listed,) = json.loads(site.padan("audit", "lookups", *checked))
    assert (listed["caller"], listed["answered"]) == ("party/imigrasi", 2)
    found = json.loads(
        site.padan(
            "audit", "lookups", *checked, "--leaf", str(listed["leaf"]),
            "--matcher", site.address, "--certificate", str(folder / "certificate.pem"),
            "--private-key", str(folder / "private-key.pem"),
            "--authority", str(folder / "authority.pem"), "--out", str(folder / "requests.json"),
        )
    )  # fmt: skip
    assert (found["requests"], found["callers"]) == (2, {"party/imigrasi": 2})
    kept = json.loads((folder / "requests.json").read_text())
    assert [one["sequence"] for one in kept["requests"]] == [1, 2]


def waited_for(service: Service, leaf_type: str) -> tuple[bytes, dict[str, Any]]:
    """The first entry of a type in the matcher's database, once it is there."""
    path = service.site.root / "matcher" / "data" / "matcher.db"
    for _ in range(200):
        with sqlite3.connect(path) as database:
            rows = database.execute("select leaf, body from entries").fetchall()
        found = [row for row in rows if parse_entry(row[0]).type == leaf_type]
        if found:
            return found[0][0], json.loads(found[0][1])
        time.sleep(0.05)
    raise AssertionError(f"no {leaf_type} came")


def test_the_operators_log_and_files_have_no_value_of_anybody(own_service: Service) -> None:
    name, number = person(3)["nama"], nik(3)
    with structlog.testing.capture_logs() as captured, own_service.running():
        refresh(own_service)
        give(own_service, grant(own_service))
        message = question(own_service, 3)
        send(own_service, message)
        bad = replace(message, codes=replace(message.codes, key_check=b"12345678"))
        with pytest.raises(KeyMismatchError):
            send(own_service, bad)
    text = json.dumps(captured)
    assert "register in memory" in text
    kept = b"".join(p.read_bytes() for p in matcher_files(own_service)) + text.encode()
    for secret in (*name.split(), number):
        assert secret.encode() not in kept
    assert message.code[:64] not in kept
    assert message.exact[:16] not in kept


def matcher_files(service: Service) -> list[Path]:
    return [path for path in (service.site.root / "matcher").rglob("*") if path.is_file()]


def run(*arguments: str, text: str = "") -> tuple[int, str, str]:
    """The command, and its exit code as `main` would give it."""
    result = CliRunner().invoke(padan, list(arguments), input=text)
    code = 1 if isinstance(result.exception, LinkageError) else result.exit_code
    # The matcher of this process writes its own lines to the same place.
    out = "".join(f"{line}\n" for line in result.stdout.splitlines() if "[info" not in line)
    return code, out, result.stderr + str(result.exception or "")


def test_the_command_line_registers_and_finds(own_service: Service) -> None:
    values = "".join(
        f"{name}={value}\n" for name, value in person(3).items() if name != "record_id"
    )
    with own_service.running():
        own, other = (
            str(own_service.folder(party) / "agent.toml") for party in ("dukcapil", "imigrasi")
        )
        code, out, _ = run("lookup", "register", "--settings", own, "--json")
        assert (code, json.loads(out)["n_sent"]) == (0, RECORDS)
        give(own_service, grant(own_service))
        asked = ("lookup", "find", "--settings", other, "--register", "dukcapil")
        code, out, err = run(*asked, text=values)
        assert (code, out) == (0, "yes\n")
        assert "an official decides" in err
        as_json = json.dumps({"nama": "Somebody Else", "tgl_lahir": "1950-01-02"})
        code, out, _ = run(*asked, "--json", text=as_json)
        answer = json.loads(out)
        assert (code, answer["answer"], answer["level"]) == (0, "no", "R1")
        assert answer["needs_human_decision"] is True
        assert answer["sequence"] == 2
        code, _, err = run("lookup", "find", "--settings", other, "--register", "imigrasi",
                           text=values)  # fmt: skip
        assert code == 1
        assert "PARTIES_MISMATCH" in err


@pytest.mark.parametrize(
    ("arguments", "text", "says"),
    [
        (("nama=Budi Rahasia",), "", "not taken from the command line"),
        ((), "", "no values came"),
        ((), "Budi Rahasia\n", "line 1 is not of the form"),
        ((), "nama=A\nnama=Budi Rahasia\n", "nama is there twice"),
        ((), "{Budi Rahasia", "no JSON object"),
        ((), '{"nama": ' + "[" * 30_000, "no JSON object"),
        ((), '{"nama": ["Budi Rahasia"]}', "is a text"),
    ],
)
def test_bad_input_is_refused_without_showing_it(
    tmp_path: Path, arguments: tuple[str, ...], text: str, says: str
) -> None:
    settings = str(tmp_path / "agent.toml")
    code, out, err = run(
        "lookup", "find", "--settings", settings, "--register", "dukcapil", *arguments, text=text
    )
    assert code == 2
    assert out == ""
    assert says in err
    assert "Rahasia" not in err


def test_values_that_say_nothing_are_refused(looked_up: Service) -> None:
    maker = Lookup(looked_up.session("imigrasi"))
    with pytest.raises(LinkageError, match="says anything"):
        maker.question("dukcapil", {"nama": "-"})
    with pytest.raises(LinkageError, match="1 of the attributes given are none"):
        maker.question("dukcapil", {"umur": "7"})


def test_a_repeated_commit_gives_the_same_leaf(own_service: Service) -> None:
    with own_service.running():
        first = refresh(own_service)
        session = own_service.session("dukcapil")
        path = own_service.site.root / "matcher" / "data" / "matcher.db"
        with sqlite3.connect(path) as database:
            (upload_id,) = database.execute("select upload_id from registers").fetchone()
        commit = lookup_pb2.CommitRegisterRequest(upload_id=upload_id)
        with open_channel(own_service.site.address, session.tls) as channel, translated():
            again = lookup_pb2_grpc.LookupServiceStub(channel).CommitRegister(commit)
        assert (again.leaf_index, again.revision) == (first.leaf_index, 1)
        with (
            open_channel(own_service.site.address, own_service.session("imigrasi").tls) as channel,
            pytest.raises(NotFoundError),
            translated(),
        ):
            lookup_pb2_grpc.LookupServiceStub(channel).CommitRegister(commit)


def test_a_stopped_agreement_answers_no_lookups(own_service: Service) -> None:
    with own_service.running():
        refresh(own_service)
        give(own_service, grant(own_service))
        assert send(own_service, question(own_service, 5)).answer
        agreement = own_service.site.agreement
        stop = Stop(
            log=agreement.log,
            agreement=agreement.id,
            digest=agreement.digest(),
            serial=1,
            stopped=True,
            reason="test",
        )
        envelope = sign(Stop.TYPE, stop.to_bytes(), [own_service.site.signers["dukcapil"]])
        with own_service.client("dukcapil") as client:
            client.submit_document(envelope.to_bytes())
        with pytest.raises(DeniedError, match="AGREEMENT_STOPPED"):
            send(own_service, question(own_service, 5))
        with pytest.raises(DeniedError, match="AGREEMENT_STOPPED"):
            refresh(own_service, whole=True)
