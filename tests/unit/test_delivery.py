"""Results brought to files and tables: whole or not at all, and a second one replaces the first."""

import csv
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Event
from typing import Any

import pyarrow.parquet as pa_parquet
import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from linkage.agent import delivery
from linkage.agent.config import Delivery, ResultTable
from linkage.agent.delivery import bring_up_to_date, deliver
from linkage.errors import RecordError

ROWS = [{"record_id": f"{i:05}", "grade": "match", "any,thing": 'a "b"\nc'} for i in range(1200)]


def result(folder: Path, rows: list[dict[str, str]] = ROWS, name: str = "job.csv") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def in_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def in_table(url: str, table: str = "hasil") -> list[dict[str, Any]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        query = sa.text(f"select * from {table} order by record_id")
        rows = [dict(row) for row in connection.execute(query).mappings()]
    engine.dispose()
    return rows


def test_a_file_gets_what_the_result_has(tmp_path: Path) -> None:
    files = {"R3": result(tmp_path)}
    (place,) = deliver(Delivery(path=tmp_path / "out" / "{job}.csv"), "j1", files)
    assert Path(place) == tmp_path / "out" / "j1.csv"
    assert in_csv(Path(place)) == ROWS
    (place,) = deliver(tmp_path / "out" / "a.parquet", "j1", files)
    assert pa_parquet.read_table(place).to_pylist() == ROWS
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.parquet", "j1.csv"]


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    deliver(path, "j1", {"R3": result(tmp_path)})
    deliver(path, "j1", {"R3": result(tmp_path, ROWS[:2])})
    assert pa_parquet.read_table(path).to_pylist() == ROWS[:2]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(delivery, "_write_parquet", full)
    with pytest.raises(RecordError, match="No space left"):
        deliver(path, "j1", {"R3": result(tmp_path)})
    assert pa_parquet.read_table(path).to_pylist() == ROWS[:2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet", "job.csv"]


def test_lower_levels_go_beside_the_highest(tmp_path: Path) -> None:
    files = {"R1": result(tmp_path, ROWS[:1], "r1.csv"), "R3": result(tmp_path)}
    places = deliver(tmp_path / "a.csv", "j1", files)
    assert [Path(place).name for place in places] == ["a.csv", "a.r1.csv"]
    assert len(in_csv(tmp_path / "a.r1.csv")) == 1


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder}/a.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    made: sa.URL = request.getfixturevalue("postgres")
    return made.render_as_string()


def to_table(url: str, table: str = "hasil") -> Delivery:
    return Delivery(database=ResultTable(url=url, table=table))


def test_a_table_has_the_rows_of_each_job_once(url: str, tmp_path: Path) -> None:
    assert deliver(to_table(url), "j1", {"R3": result(tmp_path)}) == ["hasil"]
    deliver(to_table(url), "j2", {"R3": result(tmp_path, ROWS[:3])})
    deliver(to_table(url), "j1", {"R3": result(tmp_path, ROWS[:2])})
    found = in_table(url)
    assert [row for row in found if row["job_id"] == "j1"] == [
        {"job_id": "j1", **r} for r in ROWS[:2]
    ]
    assert len([row for row in found if row["job_id"] == "j2"]) == 3


def test_a_table_that_breaks_off_keeps_what_it_had(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(to_table(url), "j1", {"R3": result(tmp_path, ROWS[:2])})
    whole: Callable[[Path], Any] = delivery._batches

    def broken(path: Path) -> Any:
        yield from whole(path)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(delivery, "_batches", broken)
    with pytest.raises(RecordError):
        deliver(to_table(url), "j1", {"R3": result(tmp_path)})
    assert len(in_table(url)) == 2


def test_two_deliveries_of_a_job_at_once_leave_its_rows_once(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: Callable[[Path], Any] = delivery._batches
    begun, other = Event(), Event()

    def slow(path: Path) -> Any:
        (other if begun.is_set() else begun).set()
        other.wait(0.5)  # for the second one, if nothing keeps it out
        yield from whole(path)

    deliver(to_table(url), "j0", {"R3": result(tmp_path, ROWS[:2])})
    monkeypatch.setattr(delivery, "_batches", slow)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(deliver, to_table(url), "j1", {"R3": result(tmp_path, ROWS[:2])})
        assert begun.wait(30)
        deliver(to_table(url), "j1", {"R3": result(tmp_path, ROWS[:2])})
        first.result()
    assert len(in_table(url)) == 4


def test_a_run_and_a_timer_bring_a_result_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, to, brought = tmp_path / "work", Delivery(path=tmp_path / "{job}.csv"), Barrier(2)
    (work / "results").mkdir(parents=True)
    result(work / "results", ROWS[:2], "j1.csv")

    def slow(*_: object) -> list[str]:
        with suppress(BrokenBarrierError):
            brought.wait(0.5)  # for the second one, if nothing keeps it out
        return ["out.csv"]

    monkeypatch.setattr(delivery, "deliver", slow)
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(bring_up_to_date, to, work) for _ in range(2)]
        assert sorted(one.result() for one in both) == [[], ["out.csv"]]


def test_a_table_of_other_columns_is_named_and_left_alone(url: str, tmp_path: Path) -> None:
    deliver(to_table(url), "j1", {"R3": result(tmp_path, ROWS[:2])})
    other = [{**ROWS[0], "band": "high"}]
    with pytest.raises(RecordError, match="no column band: add"):
        deliver(to_table(url), "j1", {"R3": result(tmp_path, other)})
    assert len(in_table(url)) == 2


def test_a_schema_is_taken_from_before_the_dot(postgres: sa.URL, tmp_path: Path) -> None:
    engine = sa.create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(sa.text("create schema sipil"))
    engine.dispose()
    url = postgres.render_as_string()
    files = {"R3": result(tmp_path, ROWS[:2]), "R0": result(tmp_path, ROWS[:1], "r0.csv")}
    assert deliver(to_table(url, "sipil.hasil"), "j1", files) == ["sipil.hasil", "sipil.hasil_r0"]
    assert len(in_table(url, "sipil.hasil_r0")) == 1


def test_an_empty_result_replaces_too(tmp_path: Path) -> None:
    deliver(to_table(sqlite_url(tmp_path)), "j1", {"R3": result(tmp_path)})
    empty = tmp_path / "empty.csv"
    empty.write_text('"record_id","grade","any,thing"\n')
    deliver(to_table(sqlite_url(tmp_path)), "j1", {"R3": empty})
    deliver(tmp_path / "a.parquet", "j1", {"R3": empty})
    assert in_table(sqlite_url(tmp_path)) == []
    assert pa_parquet.read_table(tmp_path / "a.parquet").num_rows == 0
    with sqlite3.connect(tmp_path / "a.db") as connection:
        assert connection.execute("select count(*) from hasil").fetchone() == (0,)
    connection.close()


def test_what_changed_since_is_brought_again_and_nothing_else(tmp_path: Path) -> None:
    """Rows are marked or erased after their job, and what was brought somewhere follows."""
    work, to = tmp_path / "work", to_table(sqlite_url(tmp_path))
    assert bring_up_to_date(to, work) == []
    (work / "results").mkdir(parents=True)
    for job_id in ("j1", "j2"):
        result(work / "results", [{**row, "state": "valid"} for row in ROWS[:3]], f"{job_id}.csv")
    assert bring_up_to_date(to, work) == ["hasil", "hasil"]
    assert bring_up_to_date(to, work) == []
    result(work / "results", [{**row, "state": "frozen"} for row in ROWS[:2]], "j1.csv")
    assert bring_up_to_date(to, work) == ["hasil"]
    rows = in_table(sqlite_url(tmp_path))
    found = {(row["job_id"], row["record_id"]): row["state"] for row in rows}
    assert found == {
        ("j1", "00000"): "frozen", ("j1", "00001"): "frozen",
        ("j2", "00000"): "valid", ("j2", "00001"): "valid", ("j2", "00002"): "valid",
    }  # fmt: skip
    files = Delivery(path=tmp_path / "{job}.csv")
    assert len(bring_up_to_date(files, work)) == 2  # another place has none of them yet
    assert bring_up_to_date(Delivery(), work) == []


def test_jobs_do_not_share_a_file() -> None:
    with pytest.raises(ValidationError, match="has to be in its name"):
        Delivery(path=Path("hasil.csv"))
