"""Result levels, end to end: each party gets what its agreement gives it, and nothing else."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from in_process import TWO_ROUNDS, Service, people
from numpy.typing import NDArray
from refining import answer_as, answers_to, questions_to, tickets_in, until, upload_for_all

from linkage.agent.result import READ_ME
from linkage.agent.run import Outcome, results_of
from linkage.batch import QuestionKind
from linkage.cli import padan
from linkage.encode.names import NameKeys
from linkage.encode.oncetokens import Side
from linkage.engine.questions import Questions
from linkage.errors import (
    DeniedError,
    JobStateError,
    NotFoundError,
    UnavailableError,
    VerificationError,
)
from linkage.job import Job, JobState
from linkage.matcher import results, two_rounds
from linkage.matcher.config import load_config
from linkage.matcher.refinements import Asked, Refinements, dataset_of
from linkage.matcher.two_rounds import TwoRounds
from linkage.namerow import NameForm
from linkage.rpc import convert
from linkage.rpc.channel import open_channel
from linkage.store.artefacts import ArtefactStore
from linkage.ticket import DRAWN, concatenate
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
    """Whatever the matcher allowed, and the log has: nobody asked for these terms, either."""
    job_id = service.request("imigrasi", level="R1")
    true = convert.spec_from_proto
    monkeypatch.setattr(
        convert,
        "spec_from_proto",
        lambda m: replace(true(m), results=(("dukcapil", "imigrasi", "R3"),)),
    )
    with pytest.raises(DeniedError, match="NOT_ASKED"):
        service.run("dukcapil", job_id)
    # As if somebody had asked for just that.
    monkeypatch.setattr("linkage.agent.run.as_asked", lambda job, *_: job)
    with pytest.raises(DeniedError, match="LEVEL_NOT_AGREED"):
        service.run("dukcapil", job_id)


class Scored:
    """Scores a job under several bands, and keeps what either owner would be sent for each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[dict[int, bytes]] = []
        self.likely: dict[int, NDArray[np.bool_]] = {}
        real, share = two_rounds.band_numbers, two_rounds.share_out
        score, shares_asked = TwoRounds.score, self._shares_asked

        def numbers(band: int) -> Callable[..., NDArray[np.uint8]]:
            return lambda posterior, _: np.full(len(posterior), band, np.uint8)

        def scores(rounds: TwoRounds, job: Job) -> None:
            with pytest.MonkeyPatch.context() as patch:
                # Asked nothing yet, and with one and the same randomness.
                patch.setattr(Refinements, "ask", self._keep)
                patch.setattr(Refinements, "forget_rows", lambda *_: None)
                patch.setattr(
                    two_rounds,
                    "share_out",
                    lambda bands, steps, _: share(bands, steps, np.random.default_rng(1).bytes),
                )
                for bands in (numbers(0), numbers(3), real):
                    patch.setattr(two_rounds, "band_numbers", bands)
                    score(rounds, job)
            monkeypatch.setattr(two_rounds, "share_out", self._share_out(share))
            monkeypatch.setattr(two_rounds, "_shares_asked", shares_asked(two_rounds._shares_asked))
            score(rounds, job)

        monkeypatch.setattr(TwoRounds, "score", scores)

    def _keep(self, _job: Job, kind: QuestionKind, asked: list[Asked]) -> None:
        assert kind is QuestionKind.NAMES
        self.sent.append({of.own: b"|".join(of.questions) for of in asked})

    def _share_out(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def share_out(bands: NDArray[np.uint8], *args: Any) -> Any:
            self._bands = bands
            return plain(bands, *args)

        return share_out

    def _shares_asked(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        def shares_asked(job: Job, questions: Questions, *args: Any) -> Any:
            for own, asks in enumerate((questions.asks_left, questions.asks_right)):
                self.likely[own] = (self._bands > 0)[asks & ~questions.drawn]
            return plain(job, questions, *args)

        return shares_asked


def test_what_an_owner_is_sent_says_nothing_of_which_records_are_likely(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = Scored(monkeypatch)
    job_id = service.request("imigrasi", level="R2")
    upload_for_all(service, job_id)
    until(service, job_id, JobState.REFINING)
    asked = {party: questions_to(service, party, job_id) for party in service.site.parties}
    for party in service.site.parties:
        answer_as(service, party, job_id)
    until(service, job_id, JobState.NAMING)
    # Left is told nothing. What it gets is the same, byte by byte, whoever is likely.
    assert len({sent[0] for sent in scored.sent}) == 1 < len({sent[1] for sent in scored.sent})
    assert len({len(sent[1]) for sent in scored.sent}) == 1
    form = NameForm.of_steps(4)
    for own, party in enumerate(service.site.parties):
        named = questions_to(service, party, job_id)
        # It is asked once more about all that it was asked about, and answers for all alike.
        assert [q.tickets for q in named] == [q.tickets for q in asked[party]]
        shares = form.shares(b"".join(q.shares for q in named))
        tickets = concatenate([tickets_in(question, service) for question in named])
        assert len(shares) == (tickets.entry != DRAWN).sum() == len(scored.likely[own])
        answers = answers_to(service, party, job_id, named)
        assert sum(len(rows) for _, rows in answers) == len(shares) * form.row.itemsize
        # No bit of a share goes with being likely: strangers correlate by 1 / sqrt(n).
        likely = scored.likely[own]
        assert 50 < likely.sum() < len(likely) - 50
        bits = np.unpackbits(shares.view(np.uint8).reshape(len(shares), -1), axis=1)
        for bit in bits.T:
            assert abs(np.corrcoef(bit, likely)[0, 1]) < 6 / len(likely) ** 0.5
    outcome = service.run_all(job_id)["imigrasi"]
    assert outcome.job.state is JobState.RELEASED


def test_field_rows_never_lie_beside_names_whenever_the_matcher_stopped(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it stopped just before it would have removed them."""
    forget, opened, calls, beside = Refinements.forget_rows, TwoRounds._opened, [], []

    def stopped(self: Refinements, job: Job) -> None:
        calls.append(job.job_id)
        if len(calls) == 1:
            raise UnavailableError("the disk is away")
        forget(self, job)

    def opens(self: TwoRounds, job: Job, *args: Any) -> Any:
        beside.append([n for n in kept(service, job.job_id) if n.startswith("answer-fields")])
        return opened(self, job, *args)

    monkeypatch.setattr(Refinements, "forget_rows", stopped)
    monkeypatch.setattr(TwoRounds, "_opened", opens)
    job_id = service.request("imigrasi", level="R1")
    assert service.run_all(job_id)["imigrasi"].job.state is JobState.RELEASED
    assert beside == [[]]
    assert len(calls) == 2


def spoil_left(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[NDArray[np.void]], None]) -> None:
    """Let one owner of each pair send other rows for naming than it should."""
    plain = NameKeys.rows

    def spoilt(self: NameKeys, side: Side, *args: Any) -> NDArray[np.void]:
        rows = plain(self, side, *args)
        if side == "left":
            spoil(rows)
        return rows

    monkeypatch.setattr(NameKeys, "rows", spoilt)


def test_a_row_that_does_not_open_is_told_the_operator_and_nobody_else(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a count of them a party that is told nothing could learn whether one was likely."""

    def spoil(rows: NDArray[np.void]) -> None:
        rows["check"] ^= np.uint64(1)

    spoil_left(monkeypatch, spoil)
    outcomes = service.run_all(service.request("imigrasi", level="R1"))
    assert told_nothing(outcomes["dukcapil"])
    rows = rows_of(outcomes["imigrasi"].files["R1"])
    assert {row["found"] for row in rows} == {"no"}
    assert not [note for outcome in outcomes.values() for note in outcome.notes if "open" in note]
    assert "pairs could not be opened" in capsys.readouterr().out


def test_more_pairs_than_the_matcher_dealt_end_the_job_by_name(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever foresaw what the matcher drew, or had both owners' words, could open any."""
    plain = two_rounds.share_out

    def all_likely(bands: NDArray[np.uint8], *args: Any) -> Any:
        return plain(np.full_like(bands, 3), *args)

    monkeypatch.setattr(two_rounds, "share_out", all_likely)
    job_id = service.request("imigrasi", level="R1")
    with pytest.raises(JobStateError, match="more pairs of dukcapil and imigrasi opened"):
        service.run_all(job_id)
    with service.client("dukcapil") as client:
        job = client.job(job_id)
    assert (job.state, job.reason_code) == (JobState.FAILED, "NAMES_NOT_DEALT")


def test_an_owner_that_spoils_a_reference_closes_the_pair_and_hurts_nobody_else(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other party would be told of a record that it did not upload."""

    def spoil(rows: NDArray[np.void]) -> None:
        rows["masks"][::2, :, 3] ^= 1

    spoil_left(monkeypatch, spoil)
    outcome = service.run_all(service.request("imigrasi", level="R2"))["imigrasi"]
    assert {row["record_id"] for row in rows_of(outcome.files["R2"])} < {
        row["record_id"] for row in applicants()
    }
    told = capsys.readouterr().out
    assert "pairs could not be opened" in told
    assert "parties=dukcapil imigrasi" in told or "parties='dukcapil imigrasi'" in told


def test_how_a_pair_compares_cannot_be_changed_by_the_other_owner(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds one of two shares: whoever turns a bit of its own turns one of the result."""

    def spoil(rows: NDArray[np.void]) -> None:
        rows["steps"][::2, 0] ^= 1

    spoil_left(monkeypatch, spoil)
    outcome = service.run_all(service.request("imigrasi", level="R2"))["imigrasi"]
    assert [note for note in outcome.notes if "dukcapil" in note and "not told" in note]
    rows = rows_of(outcome.files["R2"])
    # What was linked is told, and how it compares of those pairs alone that are as they were.
    linked = {row["record_id"] for row in applicants() if not row["record_id"].startswith("003")}
    assert {row["record_id"] for row in rows} == linked
    assert {row["compared_nama"] for row in rows} == {"", "agree"}


def test_r2_tells_how_linked_pairs_compare_and_not_how_others_do(
    new_service: Callable[..., Service],
) -> None:
    """A pair that was likely, and that a one-to-one solver left out, is told nobody."""
    ours = with_mother(people(60))
    again = [row | {"record_id": f"2{row['record_id']}"} for row in ours[:20]]
    schema = WITH_MOTHER.replace('"many-to-many"', '"one-to-one"')
    made = new_service(
        schema,
        process="P1",
        results=ONE_WAY,
        dukcapil=ours + again,
        imigrasi=with_mother(people(60)),
    )
    with made.running():
        outcomes = made.run_all(made.request("imigrasi", level="R2"))
    rows = rows_of(outcomes["imigrasi"].files["R2"])
    assert len(rows) == len({row["record_id"] for row in rows})
    assert {row["compared_nama"] for row in rows} == {"agree"}


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
