"""Result levels, end to end: each party gets what its agreement gives it, and nothing else."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from in_process import TWO_ROUNDS, Service, people
from refining import answer_as, questions_to, tickets_in, until, upload_for_all

from linkage.agent.result import READ_ME
from linkage.agent.run import Outcome, results_of
from linkage.cli import padan
from linkage.errors import DeniedError, NotFoundError, VerificationError
from linkage.job import JobState
from linkage.matcher import results
from linkage.matcher.config import load_config
from linkage.matcher.refinements import dataset_of
from linkage.rpc import convert
from linkage.rpc.channel import open_channel
from linkage.store.artefacts import ArtefactStore
from linkage.v1 import result_pb2, result_pb2_grpc

# One asks, the other provides and is told nothing: passport applications.
ONE_WAY = [("dukcapil", "imigrasi", "R2"), ("dukcapil", "coordinator", "R0")]
WITH_MOTHER = (
    TWO_ROUNDS
    + '[[attributes]]\nname = "nama_ibu"\ntype = "mother_name"\n'
    + '[exact]\nnames = ["nik"]\n'
)


def with_mother(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    mothers = people(len(rows), skip=5_000)
    return [
        row | {"nama_ibu": mother["nama"], "nik": f"0001010101900{int(row['record_id']):03}"}
        for row, mother in zip(rows, mothers, strict=True)
    ]


def applicants() -> list[dict[str, str]]:
    """Those of a register of 80 from the 21st on, some with another place or none, and 10 others.

    Some stand there twice.
    """
    rows = with_mother(people(80))[20:] + with_mother(people(10, skip=300))
    for number, row in enumerate(rows):
        if number % 10 == 3:
            row["tempat_lahir"] = ""
        if number % 10 == 7:
            row["nik"] = f"0002010101900{number:03}"
    again = [row | {"record_id": f"2{row['record_id']}"} for row in rows[:5]]
    return rows + again


@pytest.fixture(scope="module")
def service(new_service: Callable[..., Service]) -> Iterator[Service]:
    """A running service of an agreement of process P1."""
    schema = WITH_MOTHER.replace('"one-to-one"', '"many-to-many"')
    made = new_service(
        schema,
        process="P1",
        results=ONE_WAY,
        dukcapil=with_mother(people(80)),
        imigrasi=applicants(),
    )
    with made.running():
        yield made


@pytest.fixture(scope="module")
def with_coordinator(new_service: Callable[..., Service]) -> Iterator[Service]:
    """A running service of two parties whose agreement tells the coordinator counts."""
    made = new_service(
        process="P4",
        results=[("dukcapil", "ahu", "R1"), ("dukcapil", "coordinator", "R0")],
        members=[("coordinator", "kemenko")],
        dukcapil=people(45),
        ahu=people(30, skip=18),
    )
    with made.running():
        yield made


def counts_for(service: Service, job_id: str, who: str, *options: str) -> Result:
    folder = service.site.root / who
    return CliRunner().invoke(
        padan,
        [
            *("coordinator", "counts", "--matcher", service.site.address, "--job", job_id),
            *("--certificate", str(folder / "certificate.pem")),
            *("--private-key", str(folder / "private-key.pem")),
            *("--authority", str(folder / "authority.pem")),
            *("--trust", str(service.site.trust), *options),
        ],
    )


def test_the_coordinator_is_told_counts_in_tens_and_nobody_else(with_coordinator: Service) -> None:
    service = with_coordinator
    job_id = service.request("ahu", level="R1")
    service.run_all(job_id)
    done = counts_for(service, job_id, "kemenko", "--json")
    assert done.exit_code == 0, done.exception
    # 27 of 45 were linked.
    told = {"dukcapil": {"records": 40, "match": 20, "undetermined": 0}}
    assert json.loads(done.stdout) == {"job": job_id, "counts": told}
    words = counts_for(service, job_id, "kemenko").stdout
    assert words == "dukcapil: records at least 40, match at least 20, undetermined withheld\n"
    assert isinstance(counts_for(service, "0" * 32, "kemenko").exception, NotFoundError)
    assert isinstance(counts_for(service, job_id, "auditor").exception, DeniedError)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def kept(service: Service, job_id: str) -> set[str]:
    """The names of all that the matcher still has of a job, its uploads left out."""
    config = load_config(service.site.root / "matcher" / "matcher.toml")
    store = ArtefactStore(config.data / "artefacts", config.keystore / "artefacts")
    return {*store.names(dataset_of(job_id)), *store.names(results.results_of(job_id))}


def told_nothing(outcome: Outcome) -> bool:
    return (outcome.files, outcome.n_links) == ({}, 0) and outcome.job.state is JobState.RELEASED


def test_r2_tells_how_attributes_compare_and_nothing_of_the_mothers_name(service: Service) -> None:
    outcomes = service.run_all(service.request("imigrasi", level="R2"))
    assert told_nothing(outcomes["dukcapil"])
    outcome = outcomes["imigrasi"]
    assert list(outcome.files) == ["R2"]
    rows = rows_of(outcome.files["R2"])
    shown = [f"compared_{name}" for name in ("nama", "tgl_lahir", "tempat_lahir", "nik")]
    assert list(rows[0]) == [
        *("record_id", "counterpart", "grade", "band"),
        *shown,
        *("method", "needs_human_decision", "state"),
    ]
    linked = {row["record_id"] for row in applicants() if not row["record_id"].startswith("003")}
    assert {row["record_id"] for row in rows} == linked
    assert {row["needs_human_decision"] for row in rows} == {"yes"}
    places = {row["record_id"]: row["tempat_lahir"] for row in applicants()}
    numbers = {row["record_id"]: row["nik"] for row in applicants()}
    for row in rows:
        assert (row["compared_nama"], row["compared_tgl_lahir"]) == ("agree", "agree")
        expected = "agree" if places[row["record_id"]] else "missing"
        assert row["compared_tempat_lahir"] == expected
        kept_number = numbers[row["record_id"]].startswith("0001")
        assert row["compared_nik"] == ("agree" if kept_number else "disagree")
    assert (outcome.files["R2"].parent / "README-BACA-SAYA.txt").read_text() == READ_ME


def test_r1_answers_for_every_own_record_and_tells_of_no_number(service: Service) -> None:
    outcomes = service.run_all(service.request("imigrasi", level="R1"))
    assert told_nothing(outcomes["dukcapil"])
    rows = rows_of(outcomes["imigrasi"].files["R1"])
    assert list(rows[0]) == [
        *("record_id", "counterpart", "found", "band"),
        *("method", "needs_human_decision", "state"),
    ]
    assert sorted(row["record_id"] for row in rows) == sorted(
        row["record_id"] for row in applicants()
    )
    found = {row["record_id"] for row in rows if row["found"] != "no"}
    assert found == {r["record_id"] for r in applicants() if not r["record_id"].startswith("003")}
    assert {row["band"] for row in rows if row["found"] == "no"} == {"none"}


def test_r0_is_what_is_asked_for_by_default_and_counts_in_tens(service: Service) -> None:
    outcomes = service.run_all(service.request("imigrasi", level="R0"))
    assert told_nothing(outcomes["dukcapil"])
    (row,) = rows_of(outcomes["imigrasi"].files["R0"])
    cells = [row[name] for name in ("match", "undetermined")]
    assert row["records"] == str(len(applicants()))
    assert all(cell == "withheld" or cell.removeprefix("at least ")[-1] == "0" for cell in cells)
    assert any(cell.startswith("at least") for cell in cells)


def test_the_matcher_keeps_what_is_told_and_no_more(service: Service) -> None:
    names = {}
    for level in ("R0", "R1", "R2"):
        job_id = service.request("imigrasi", level=level)  # type: ignore[arg-type]
        service.run_all(job_id)
        names[level] = kept(service, job_id)
    told = {"result.imigrasi.dukcapil", "salt.imigrasi"}
    coordinator = {"result.coordinator.dukcapil", "salt.coordinator"}
    assert list(names.values()) == [told | coordinator] * 3


def test_who_is_told_nothing_can_fetch_nothing(service: Service) -> None:
    job_id = service.request("imigrasi", level="R1")
    service.run_all(job_id)
    with service.client("dukcapil") as client, pytest.raises(NotFoundError, match="tells you"):
        client.results(job_id)


def test_more_than_the_agreement_gives_is_denied(service: Service) -> None:
    session = service.session("imigrasi")
    with service.client("imigrasi") as client:
        usual = client.job(service.request("imigrasi", level="R2")).spec
        for results, code in (
            ((("dukcapil", "imigrasi", "R3"),), "LEVEL_NOT_AGREED"),
            ((("imigrasi", "dukcapil", "R0"),), "LEVEL_NOT_AGREED"),
            ((("dukcapil", "imigrasi", "R4"),), "LEVEL_NOT_SUPPORTED"),
            ((), "LEVEL_NOT_AGREED"),
        ):
            job = client.request_job(replace(usual, results=results))
            assert (job.state, job.reason_code) == (JobState.DENIED, code)
    agreed = results_of(service.site.agreement, service.site.parties, "R3", two_rounds=True)
    assert set(agreed) == set(ONE_WAY)
    assert session.refinement == usual.refinement


def test_the_log_has_a_salted_digest_of_what_is_told_and_no_count(service: Service) -> None:
    job_id = service.request("imigrasi", level="R0")
    service.run_all(job_id)
    with open_channel(service.site.address, service.session("imigrasi").tls) as channel:
        stub = result_pb2_grpc.ResultServiceStub(channel)
        header = next(stub.FetchResults(result_pb2.FetchResultsRequest(job_id=job_id))).header
    body = json.loads(header.body)
    assert set(body["results"]) == {"imigrasi", "coordinator"}
    assert set(body) == {"job", "method", "bands", "notes", "results"}
    assert len(header.salt) == 32


def test_a_result_of_another_level_than_the_job_is_not_believed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = service.request("imigrasi", level="R1")
    service.run_all(job_id)
    true = convert.part_from_proto
    monkeypatch.setattr(convert, "part_from_proto", lambda m: replace(true(m), level="R3"))
    with pytest.raises(VerificationError, match="not the one that was logged"):
        service.run("imigrasi", job_id)


def test_an_agent_takes_no_job_that_tells_more_than_the_agreement_gives(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the matcher allowed."""
    job_id = service.request("imigrasi", level="R1")
    true = convert.spec_from_proto
    monkeypatch.setattr(
        convert,
        "spec_from_proto",
        lambda m: replace(true(m), results=(("dukcapil", "imigrasi", "R3"),)),
    )
    with pytest.raises(DeniedError, match="LEVEL_NOT_AGREED"):
        service.run("dukcapil", job_id)


@pytest.mark.xfail(strict=True, reason="who is asked for names sees which of its tickets met")
def test_who_is_told_nothing_is_not_asked_which_records_are_likely(service: Service) -> None:
    job_id = service.request("imigrasi", level="R1")
    upload_for_all(service, job_id)
    until(service, job_id, JobState.REFINING)
    for party in service.site.parties:
        answer_as(service, party, job_id)
    until(service, job_id, JobState.NAMING)
    named = questions_to(service, "dukcapil", job_id)
    assert not sum(len(tickets_in(question, service)) for question in named)


@pytest.mark.parametrize(
    ("process", "results", "level"),
    [
        ("P4", [("dukcapil", "ahu", "R1")], "R1"),
        ("P5", [("dukcapil", "kemenlu", "R2")], "R2"),
        ("P6", [("dukcapil", "kemenlu", "R3"), ("kemenlu", "dukcapil", "R0")], "R3"),
    ],
)
def test_jobs_of_one_round_under_other_processes(
    new_service: Callable[..., Service],
    process: str,
    results: list[tuple[str, str, str]],
    level: str,
) -> None:
    asks = results[0][1]
    records = {"dukcapil": people(40), asks: people(30, skip=25)}
    service = new_service(process=process, results=results, **records)
    with service.running():
        job_id = service.request(asks, level=level)  # type: ignore[arg-type]
        outcomes = service.run_all(job_id)
        assert not [
            name for name in kept(service, job_id) if not name.startswith(("result.", "salt."))
        ]
    # Codes do not tell attributes apart: instead of R2 there is R1.
    told = "R3" if level == "R3" else "R1"
    rows = rows_of(outcomes[asks].files[told])
    linked = {f"{number:05}" for number in range(25, 40)}
    assert {r["record_id"] for r in rows if r.get("found", "yes") == "yes"} == linked
    if level == "R3":
        assert "link_id" in rows[0]
        (counts,) = rows_of(outcomes["dukcapil"].files["R0"])
        assert (counts["records"], counts["match"]) == ("40", "at least 10")
    else:
        assert told_nothing(outcomes["dukcapil"])


def test_levels_differ_by_party_in_one_job(new_service: Callable[..., Service]) -> None:
    """Naturalisation: immigration tells how attributes compare, intelligence yes or no."""
    results = [("imigrasi", "ahu", "R2"), ("bin", "ahu", "R1")]
    service = new_service(
        TWO_ROUNDS,
        process="P2",
        results=results,
        ahu=people(30),
        imigrasi=people(30, skip=5),
        bin=people(30, skip=10),
    )
    with service.running():
        outcomes = service.run_all(service.request("ahu", level="R2"))
    assert told_nothing(outcomes["imigrasi"])
    assert told_nothing(outcomes["bin"])
    files = outcomes["ahu"].files
    assert {row["counterpart"] for row in rows_of(files["R2"])} == {"imigrasi"}
    answers = rows_of(files["R1"])
    assert {row["counterpart"] for row in answers} == {"bin"}
    assert len(answers) == 30
    assert {r["record_id"] for r in answers if r["found"] != "no"} == {
        f"{number:05}" for number in range(10, 30)
    }
