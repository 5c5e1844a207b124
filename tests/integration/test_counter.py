"""Lookups for other programs: as the page of operations shows them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from grants import give, grant
from in_process import SCHEMA, Service, people, person
from test_lookup import FAST, refresh

from linkage.agent.counter import open_counter
from linkage.agent.requests import Requests
from linkage.cli import padan
from linkage.errors import RecordError, UnavailableError

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture(scope="module")
def settings(new_service: Callable[..., Service]) -> Iterator[Path]:
    """The settings of imigrasi, who may look up dukcapil's register of the persons 0 to 29."""
    service = new_service(SCHEMA + FAST, dukcapil=people(30), imigrasi=people(5))
    with service.running():
        refresh(service)
        give(service, grant(service))
        yield service.folder("imigrasi") / "agent.toml"


def applicant(number: int) -> dict[str, str]:
    return {name: value for name, value in person(number).items() if name != "record_id"}


def test_many_are_asked_about_over_one_stream_in_their_order(settings: Path) -> None:
    numbers = [3, 40, 7, 41, 8]
    with open_counter(settings, "dukcapil") as counter:
        one = counter.find(applicant(3))
        answers = list(counter.find_all(applicant(number) for number in numbers))
    assert one.answer == "yes"
    assert [a.answer for a in answers] == ["yes" if n < 30 else "no" for n in numbers]
    assert all(answer.needs_human_decision for answer in (one, *answers))
    assert [a.sequence for a in answers] == [one.sequence + n for n in range(1, 6)]


def test_a_person_who_cannot_be_asked_about_is_told_after_the_answers_before(
    settings: Path,
) -> None:
    persons = [applicant(3), applicant(4), {"nama": "", "tgl_lahir": ""}, applicant(5)]
    got: list[str] = []
    with open_counter(settings, "dukcapil") as counter:
        with pytest.raises(RecordError, match="none of the values says anything"):
            got.extend(answer.answer for answer in counter.find_all(persons))
        assert got == ["yes", "yes"]
        assert counter.find(applicant(5)).answer == "yes"  # it goes on
        # Names are not told: under no line of column names they are values.
        with pytest.raises(RecordError, match=r"^1 of the attributes .* nama, ") as refused:
            counter.find({"agama": "x"})
        assert "agama" not in str(refused.value)


def test_why_a_request_of_a_stream_cannot_be_signed_is_told(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs, left = Requests.sign, [2]

    def sign(*args: Any) -> bytes:
        left[0] -= 1
        if left[0] < 0:
            raise UnavailableError("the token is not plugged in")
        return signs(*args)

    monkeypatch.setattr(Requests, "sign", sign)
    got: list[str] = []
    with open_counter(settings, "dukcapil") as counter:
        persons = [applicant(number) for number in (3, 4, 5)]
        with pytest.raises(UnavailableError, match="not plugged in"):
            got.extend(answer.answer for answer in counter.find_all(persons))
        assert got == ["yes", "yes"]


def test_the_example_of_the_page_runs(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(settings.parent)
    exec(code, {"applicants": [applicant(6), applicant(50)]})  # noqa: S102 -- our own page
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.endswith("True")
    assert second.endswith("yes")
    assert third.endswith("no")


@pytest.mark.parametrize("form", ["csv", "lines"])
def test_a_counter_asks_from_a_form_or_a_line_of_csv(settings: Path, form: str) -> None:
    row = applicant(9)
    text = f"{','.join(row)}\n{','.join(row.values())}\n"
    if form == "lines":
        text = "".join(f"{name}={value}\n" for name, value in row.items())
    arguments = ["lookup", "find", "--settings", str(settings), "--register", "dukcapil"]
    done = CliRunner().invoke(padan, arguments, input=text)
    assert done.exit_code == 0, done.output
    assert done.stdout == "yes\n"
    assert "needs human decision" in done.stderr
    assert "perlu keputusan manusia" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nama,tgl_lahir\nRAHASIA,1990\nRAHASIA,1991\n", "2 lines follow"),
        ("nama,tgl_lahir\n", "0 lines follow"),
        ("nama,tgl_lahir\nRAHASIA\n", "more or fewer values"),
        ("nama,nama\nRAHASIA,x\n", "more or fewer values"),
        ('nama,tgl_lahir\n"RAHASIA"x,1990\n', "check its quotes"),
    ],
)
def test_csv_that_is_no_one_person_is_refused_without_a_value(text: str, words: str) -> None:
    arguments = ["lookup", "find", "--settings", "none", "--register", "dukcapil"]
    done = CliRunner().invoke(padan, arguments, input=text)
    assert done.exit_code == 2
    assert words in done.output
    assert "RAHASIA" not in done.output
