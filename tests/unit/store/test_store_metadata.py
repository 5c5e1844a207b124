"""One suite for the matcher's database, run on SQLite and on a real PostgreSQL server."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import IntegrityError

from linkage.errors import UnavailableError
from linkage.job import CodeId, Job, JobCounts, JobSpec, JobState
from linkage.store import tables
from linkage.store.metadata import (
    BatchRow,
    Metadata,
    NewEntry,
    RequestRow,
    StoredEntry,
    Transaction,
)
from linkage.store.registers import LookupRow, LookupRows

CODES = CodeId(b"\0s" * 16, 2**31, b"\xffk" * 4, "clk", 512)
SPEC = JobSpec(
    "pks/1",
    bytes(32),
    "demo",
    (("nama", "nama"),),
    ("dukcapil", "imigrasi", "kemenlu"),
    CODES,
    0.1,
    "one-to-many",
    3600,
)
JOB = Job(
    job_id="j1",
    requester="imigrasi",
    spec=SPEC,
    state=JobState.COLLECTING,
    requested_at=1_700_000_000,
    collect_until=1_700_003_600,
)
BATCH = BatchRow("b1", "j1", "dukcapil", b"\0manifest\xff", "spiffe://d/party/dukcapil", "00" * 32)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/matcher.db"
    postgres: URL = request.getfixturevalue("postgres")
    return postgres.render_as_string()


@pytest.fixture
def metadata(url: str) -> Iterator[Metadata]:
    metadata = Metadata(url)
    yield metadata
    metadata.close()


def append(metadata: Metadata, *leaves: bytes) -> list[int]:
    with metadata.write() as transaction:
        return [transaction.append(NewEntry(leaf)) for leaf in leaves]


def request(request_id: str) -> RequestRow:
    return RequestRow(request_id, b"\x01" * 32, "spiffe://d/party/dukcapil", "00" * 32)


def add_job(metadata: Metadata, job: Job = JOB, request_id: str = "r1") -> None:
    with metadata.write() as transaction:
        transaction.add_job(job, request(request_id))


def job_in(metadata: Metadata, job_id: str = "j1") -> Job:
    with metadata.read() as transaction:
        job = transaction.job(job_id)
    assert job is not None
    return job


# Entries


def test_a_new_log_is_empty(metadata: Metadata) -> None:
    assert metadata.entry_count() == 0
    assert metadata.read_entries(0, 100) == []
    assert metadata.signed_head() is None


def test_entries_are_numbered_from_zero_without_a_gap(metadata: Metadata) -> None:
    assert append(metadata, b"a", b"b") == [0, 1]
    assert append(metadata, b"c") == [2]
    assert metadata.entry_count() == 3
    assert metadata.read_entries(0, 3) == [b"a", b"b", b"c"]
    assert metadata.read_entries(1, 2) == [b"b"]
    assert metadata.read_entries(2, 99) == [b"c"]
    assert metadata.read_entries(3, 3) == []


def test_an_entry_comes_back_with_all_of_its_parts(metadata: Metadata) -> None:
    entries = [
        NewEntry(b"public"),
        NewEntry(b"\0\xff", "pks/1", "job1", bytes(32), b'{"n":1}'),
        NewEntry(b"", "", "", b"", b""),
    ]
    with metadata.write() as transaction:
        for entry in entries:
            transaction.append(entry)
    with metadata.read() as transaction:
        got = transaction.entries(0, 3)
    assert got == [
        StoredEntry(e.leaf, e.agreement_id, e.job_id, e.opening, e.body, index=i)
        for i, e in enumerate(entries)
    ]


def test_entries_of_concurrent_writers_are_dense_and_each_there_once(metadata: Metadata) -> None:
    def write(i: int) -> int:
        return append(metadata, b"%d" % i)[0]

    with ThreadPoolExecutor(6) as pool:
        indexes = list(pool.map(write, range(60)))
    assert sorted(indexes) == list(range(60))
    leaves = metadata.read_entries(0, 60)
    assert [leaves[index] for index in indexes] == [b"%d" % i for i in range(60)]


def test_a_writer_that_fails_leaves_no_gap_among_others(metadata: Metadata) -> None:
    def write(i: int) -> None:
        try:
            with metadata.write() as transaction:
                transaction.append(NewEntry(b"%d" % i))
                if i % 3 == 0:
                    raise KeyError
        except KeyError:
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(30)))
    assert metadata.entry_count() == 20
    assert sorted(map(int, metadata.read_entries(0, 30))) == [i for i in range(30) if i % 3]


def test_a_rollback_leaves_no_entry_and_no_change(metadata: Metadata) -> None:
    append(metadata, b"a")
    add_job(metadata)

    def fail(transaction: Transaction) -> None:
        transaction.append(NewEntry(b"b"))
        transaction.set_state("j1", JobState.RELEASED)
        transaction.add_batch(BATCH)
        raise RuntimeError

    with pytest.raises(RuntimeError), metadata.write() as transaction:
        fail(transaction)
    assert metadata.entry_count() == 1
    assert job_in(metadata).state is JobState.COLLECTING
    with metadata.read() as transaction:
        assert transaction.batches_of("j1") == []
    assert append(metadata, b"c") == [1]


def test_an_index_is_never_written_twice(metadata: Metadata) -> None:
    append(metadata, b"a")
    with pytest.raises(IntegrityError), metadata.write() as transaction:
        transaction.connection.execute(tables.entries.insert().values(index=0, leaf=b"other"))
    assert metadata.read_entries(0, 1) == [b"a"]


def test_entries_stay_after_closing(metadata: Metadata, url: str) -> None:
    append(metadata, b"a", b"b")
    metadata.close()
    again = Metadata(url)
    assert again.read_entries(0, 9) == [b"a", b"b"]
    again.close()


def test_the_signed_head_is_one_and_the_last(metadata: Metadata, url: str) -> None:
    metadata.save_signed_head(1, b"a" * 32)
    metadata.save_signed_head(5, b"b" * 32)
    assert metadata.signed_head() == (5, b"b" * 32)
    metadata.close()
    again = Metadata(url)
    assert again.signed_head() == (5, b"b" * 32)
    again.close()


# What a reader sees


def test_a_reader_sees_only_what_is_committed(metadata: Metadata) -> None:
    append(metadata, b"a")
    with metadata.write() as transaction:
        transaction.append(NewEntry(b"b"))
        seen = []
        thread = threading.Thread(target=lambda: seen.append(metadata.entry_count()))
        thread.start()
        thread.join()
        assert seen == [1]
    assert metadata.entry_count() == 2


def test_a_writer_sees_its_own_changes(metadata: Metadata) -> None:
    with metadata.write() as transaction:
        transaction.append(NewEntry(b"a"))
        assert transaction.entry_count() == 1
        transaction.add_job(JOB, request("r1"))
        assert transaction.job("j1") == JOB


def test_a_reader_cannot_change_anything(metadata: Metadata) -> None:
    with metadata.read() as transaction:
        transaction.append(NewEntry(b"a"))
    assert metadata.entry_count() == 0


def test_readers_go_on_while_a_writer_writes(metadata: Metadata) -> None:
    done = threading.Event()
    counts = []

    def read() -> None:
        while not done.is_set():
            with metadata.read() as transaction:
                n = transaction.entry_count()
                assert len(transaction.entries(0, n)) == n
            counts.append(n)

    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(read)
        for i in range(30):
            append(metadata, b"%d" % i, b"x")
        done.set()
        reading.result()
    # Entries are committed two at a time, so an odd number was never to be seen.
    assert all(n % 2 == 0 for n in counts)
    assert counts == sorted(counts)


# Jobs


def test_a_job_comes_back_whole(metadata: Metadata) -> None:
    add_job(metadata)
    assert job_in(metadata) == JOB
    with metadata.read() as transaction:
        assert transaction.job("none") is None
        assert transaction.result_leaf("j1") is None


@pytest.mark.parametrize("state", JobState)
def test_every_state_is_kept_with_its_reason(metadata: Metadata, state: JobState) -> None:
    add_job(metadata)
    with metadata.write() as transaction:
        transaction.set_state("j1", state, "A_CODE", "why: é")
    assert job_in(metadata) == replace(JOB, state=state, reason_code="A_CODE", reason="why: é")


@pytest.mark.parametrize("threshold", [1e-9, 0.1, 1 / 3, 0.7, 1.0])
def test_a_threshold_comes_back_to_the_last_bit(metadata: Metadata, threshold: float) -> None:
    add_job(metadata, replace(JOB, spec=replace(SPEC, threshold=threshold)))
    assert job_in(metadata).spec.threshold == threshold


def test_counts_and_the_result_leaf_are_kept(metadata: Metadata) -> None:
    counts = JobCounts(2**62, 2**61, 2**40, 3, 1.5)
    add_job(metadata)
    with metadata.write() as transaction:
        transaction.set_counts("j1", counts)
        transaction.set_result_leaf("j1", 2**40)
    assert job_in(metadata) == replace(JOB, counts=counts)
    with metadata.read() as transaction:
        assert transaction.result_leaf("j1") == 2**40


def test_a_change_of_one_job_leaves_others_alone(metadata: Metadata) -> None:
    add_job(metadata)
    other = replace(JOB, job_id="j2")
    add_job(metadata, other, "r2")
    with metadata.write() as transaction:
        transaction.set_state("j1", JobState.FAILED, "X", "x")
        transaction.set_counts("j1", JobCounts(1, 1, 1, 1, 1.0))
    assert job_in(metadata, "j2") == other


def test_a_request_is_found_by_its_requester_and_id(metadata: Metadata) -> None:
    add_job(metadata)
    with metadata.read() as transaction:
        assert transaction.job_of_request("imigrasi", "r1") == JOB
        assert transaction.job_of_request("dukcapil", "r1") is None
        assert transaction.job_of_request("imigrasi", "r2") is None


def test_a_request_id_is_used_once_by_a_requester(metadata: Metadata) -> None:
    add_job(metadata)
    with pytest.raises(IntegrityError):
        add_job(metadata, replace(JOB, job_id="j2"))
    # The same bytes of another party are another request.
    add_job(metadata, replace(JOB, job_id="j3", requester="dukcapil"))
    with metadata.read() as transaction:
        assert transaction.job("j2") is None


def test_jobs_in_a_state_come_oldest_first(metadata: Metadata) -> None:
    for i, at in enumerate((30, 10, 20, 10)):
        add_job(metadata, replace(JOB, job_id=f"j{i}", requested_at=at), f"r{i}")
    with metadata.write() as transaction:
        transaction.set_state("j2", JobState.PLANNED)
    with metadata.read() as transaction:
        collecting = transaction.jobs_in(JobState.COLLECTING)
        both = transaction.jobs_in(JobState.COLLECTING, JobState.PLANNED)
        assert transaction.jobs_in(JobState.FAILED) == []
        assert transaction.jobs_in() == []
    assert [job.job_id for job in collecting] == ["j1", "j3", "j0"]
    assert [job.job_id for job in both] == ["j1", "j3", "j2", "j0"]


def test_jobs_of_a_party_come_newest_first_and_no_others(metadata: Metadata) -> None:
    without = replace(SPEC, parties=("dukcapil", "kemenlu"))
    for i in range(4):
        job = replace(JOB, job_id=f"j{i}", requested_at=i, spec=without if i == 2 else SPEC)
        add_job(metadata, job, f"r{i}")
    with metadata.read() as transaction:
        mine = transaction.jobs_of("imigrasi", 10)
        assert [job.job_id for job in transaction.jobs_of("imigrasi", 2)] == ["j3", "j1"]
        assert transaction.jobs_of("bin", 10) == []
    assert [job.job_id for job in mine] == ["j3", "j1", "j0"]


def test_jobs_that_go_on_come_before_all_that_ended(metadata: Metadata) -> None:
    add_job(metadata)
    for i in range(3):
        ended = replace(JOB, job_id=f"e{i}", requested_at=JOB.requested_at + i + 1)
        add_job(metadata, replace(ended, state=JobState.RELEASED), f"e{i}")
    with metadata.read() as transaction:
        assert [job.job_id for job in transaction.jobs_of("imigrasi", 2)] == ["j1", "e2"]


def test_a_denied_job_is_of_who_asked_for_it_alone(metadata: Metadata) -> None:
    denied = replace(JOB, state=JobState.DENIED)
    by_office = RequestRow("r2", bytes(32), "spiffe://d/office/kemenlu/tawau", "00" * 32)
    add_job(metadata, replace(denied, job_id="d1", requester="kemenlu"))
    with metadata.write() as transaction:
        transaction.add_job(replace(denied, job_id="d2", requester="kemenlu"), by_office)

    def listed(party: str, office: str = "") -> list[str]:
        with metadata.read() as transaction:
            return [job.job_id for job in transaction.jobs_of(party, 10, office)]

    assert listed("dukcapil") == listed("imigrasi") == []
    assert listed("kemenlu") == ["d2", "d1"]
    assert listed("kemenlu", "tawau") == ["d2"]
    assert listed("kemenlu", "awau") == listed("imigrasi", "tawau") == []


def test_only_the_parties_that_a_job_names_see_it(metadata: Metadata) -> None:
    # A party's name elsewhere in a specification, or a part of one, is none of its parties.
    spec = replace(SPEC, purpose="ahu", attributes=(("ahu", "ahu"),))
    add_job(metadata, replace(JOB, spec=spec))
    with metadata.read() as transaction:
        for party, n in (("ahu", 0), ("imi", 0), ("dukcapil", 1), ("kemenlu", 1), ("%", 0)):
            assert len(transaction.jobs_of(party, 10)) == n


# Batches


def test_a_batch_comes_back_whole(metadata: Metadata) -> None:
    add_job(metadata)
    with metadata.write() as transaction:
        transaction.add_batch(BATCH)
    with metadata.read() as transaction:
        assert transaction.batch("b1") == BATCH
        assert transaction.batch("none") is None
        assert transaction.batch_leaf("b1") is None
        assert transaction.batches_of("j1") == [BATCH]
        assert transaction.batches_of("j2") == []


def test_progress_and_commit_of_a_batch_are_kept(metadata: Metadata) -> None:
    add_job(metadata)
    with metadata.write() as transaction:
        transaction.add_batch(BATCH)
        transaction.set_received("b1", 3, 2**40)
        transaction.set_committed("b1", 7)
    with metadata.read() as transaction:
        expected = replace(BATCH, next_chunk=3, n_received=2**40, committed=True)
        assert transaction.batch("b1") == expected
        assert transaction.batch_leaf("b1") == 7


def test_a_party_has_one_batch_in_a_job(metadata: Metadata) -> None:
    add_job(metadata)
    with metadata.write() as transaction:
        transaction.add_batch(BATCH)
    with pytest.raises(IntegrityError), metadata.write() as transaction:
        transaction.add_batch(replace(BATCH, batch_id="b2"))


def test_a_batch_needs_its_job(metadata: Metadata) -> None:
    with pytest.raises(IntegrityError), metadata.write() as transaction:
        transaction.add_batch(BATCH)


def test_only_committed_batches_count_as_uploaded(metadata: Metadata) -> None:
    add_job(metadata)
    with metadata.write() as transaction:
        for party in ("kemenlu", "dukcapil"):
            transaction.add_batch(replace(BATCH, batch_id=f"b-{party}", party=party))
        transaction.set_committed("b-kemenlu", 1)
    job = job_in(metadata)
    assert job.uploaded == ("kemenlu",)
    assert job.missing == ("dukcapil", "imigrasi")


# Tasks


def test_finished_tasks_are_kept_by_job_and_number(metadata: Metadata) -> None:
    add_job(metadata)
    add_job(metadata, replace(JOB, job_id="j2"), b"r2")
    with metadata.write() as transaction:
        for number, pairs in ((5, 0), (0, 2**40)):
            transaction.add_task("j1", number, pairs)
        transaction.add_task("j2", 0, 1)
    with metadata.read() as transaction:
        assert transaction.done_tasks("j1") == {0: 2**40, 5: 0}
        assert transaction.done_tasks("none") == {}


def test_a_task_is_finished_once(metadata: Metadata) -> None:
    add_job(metadata)
    with metadata.write() as transaction:
        transaction.add_task("j1", 0, 1)
    with pytest.raises(IntegrityError), metadata.write() as transaction:
        transaction.add_task("j1", 0, 2)
    with metadata.read() as transaction:
        assert transaction.done_tasks("j1") == {0: 1}


# The database itself


def test_a_table_that_is_gone_is_unavailable(metadata: Metadata) -> None:
    with metadata.write() as transaction:
        transaction.connection.execute(text("DROP TABLE entries"))
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        metadata.entry_count()
    assert "entries" not in str(caught.value)


def test_lookups_of_a_minute_add_up_and_their_last_number_stays(metadata: Metadata) -> None:
    row = LookupRow("pks", 7, "party/a", "b", "g" * 32, key="k", cosigned=5, answered=2, sequence=9)
    refused = LookupRow("pks", 7, "party/a", "b", "g" * 32, refused=1)
    with metadata.write() as transaction:
        for added in (row, refused, replace(row, answered=1, sequence=10, cosigned=6)):
            LookupRows(transaction.connection).count(added)
    with metadata.read() as transaction:
        kept = LookupRows(transaction.connection).since(7)
    assert kept == [replace(row, cosigned=6, answered=3, refused=1, sequence=10)]
    with metadata.write() as transaction:
        LookupRows(transaction.connection).count(refused)
        (kept_row,) = LookupRows(transaction.connection).since(7)
    assert (kept_row.key, kept_row.cosigned, kept_row.sequence) == ("k", 6, 10)
