"""Evaluation: known figures on files small enough to count by hand."""

import random
from datetime import date, timedelta
from pathlib import Path

import pytest

from linkage.agent import evaluate as evaluate_module
from linkage.agent.evaluate import Evaluation, evaluate, input_of
from linkage.compare.candidates import Candidates
from linkage.errors import ConfigError, QuotaExceededError, RecordError
from linkage.schema import LinkageSchema, parse_schema

SENTINEL = "RAHASIA"
# Six people who share nothing, so that every threshold between finds the same pairs.
PEOPLE = {
    "p1": "BUDI SANTOSO,1990-02-13",
    "p2": "SITI NURHALIZA,1985-11-30",
    "p3": "AGUS WIJAYAKUSUMA,1971-07-09",
    "p4": "DEWI LESTARI,2001-04-22",
    "p5": "MOHAMAD FAJAR,1968-09-05",
    "p6": "YOHANA TAMPUBOLON,1999-12-17",
}


def schema(
    cardinality: str = "many-to-many", threshold: float = 0.8, rounds: int = 1
) -> LinkageSchema:
    return parse_schema(
        f"""
        name = "a"
        [match]
        cardinality = "{cardinality}"
        rounds = {rounds}
        threshold = {threshold}
        [[attributes]]
        name = "nama"
        type = "name"
        [[attributes]]
        name = "tgl_lahir"
        type = "date"
        """
    )


def file_of(path: Path, *rows: tuple[str, str]) -> Path:
    """A file of records (person told, person meant); one without a letter is nobody told."""
    lines = [f"r{i},{told},{PEOPLE[meant]}" for i, (told, meant) in enumerate(rows)]
    path.write_text("\n".join(["record_id,person,nama,tgl_lahir", *lines, ""]), encoding="utf-8")
    return path


def people(*names: str) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


def run(*paths: Path, using: LinkageSchema | None = None, threads: int = 1) -> Evaluation:
    inputs = [input_of(path, "record_id") for path in paths]
    return evaluate(using or schema(), inputs, "person", threads)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return (
        file_of(tmp_path / "a.csv", *people("p1", "p2", "p3", "p4")),
        file_of(tmp_path / "b.csv", *people("p6", "p3", "p2", "p5", "p1")),
    )


def test_two_files_without_errors_are_linked_perfectly(two: tuple[Path, Path]) -> None:
    got = run(*two)
    # All pairs, and beside them those that share a token: here the three true ones.
    assert got.pairs_compared == 4 * 5 + 3
    counts = (got.at_threshold.pairs_true, got.at_threshold.pairs_found)
    assert (*counts, got.at_threshold.pairs_correct) == (3, 3, 3)
    assert (got.best.f1, got.best_threshold) == (1.0, 1.0)


def test_one_file_is_de_duplicated(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a.csv", *people("p1", "p2", "p1", "p3", "p1", "p2"))
    got = run(path)
    assert got.pairs_compared == 6 * 5 // 2 + 4
    # Three records of p1 are three pairs, two of p2 one.
    assert (got.at_threshold.pairs_true, got.at_threshold.pairs_correct) == (4, 4)
    assert got.best.f1 == 1.0


def test_one_file_is_de_duplicated_under_any_cardinality(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a.csv", *people("p1", "p1", "p2"))
    for cardinality in ("many-to-many", "one-to-many", "one-to-one"):
        assert run(path, using=schema(cardinality)).at_threshold.pairs_correct == 1


def test_figures_count_what_is_wrong_in_either_direction(tmp_path: Path) -> None:
    # Two true pairs; one of them and one false pair have equal words.
    one = file_of(tmp_path / "a.csv", ("p1", "p1"), ("p2", "p2"), ("p3", "p3"))
    two = file_of(tmp_path / "b.csv", ("p1", "p1"), ("p2", "p4"), ("p5", "p3"))
    got = run(one, two).to_dict()
    assert (got["pairs_true"], got["pairs_found"]) == (2, 2)
    assert (got["precision"], got["recall"], got["f1"]) == (0.5, 0.5, 0.5)


def test_a_record_without_truth_is_a_person_of_its_own(tmp_path: Path) -> None:
    one = file_of(tmp_path / "a.csv", ("", "p1"), ("", "p2"), ("p3", "p3"))
    two = file_of(tmp_path / "b.csv", ("", "p1"), ("", "p4"), ("p3", "p3"))
    got = run(one, two).at_threshold
    assert (got.pairs_true, got.pairs_found, got.pairs_correct) == (1, 2, 1)


def test_cardinality_decides_how_many_records_one_person_links(tmp_path: Path) -> None:
    one = file_of(tmp_path / "a.csv", *people("p1", "p2"))
    two = file_of(tmp_path / "b.csv", *people("p1", "p1", "p2"))
    assert run(one, two).at_threshold.pairs_found == 3
    assert run(one, two, using=schema("one-to-many")).at_threshold.pairs_found == 3
    assert run(one, two, using=schema("one-to-one")).at_threshold.pairs_found == 2


def test_three_files_count_pairs_between_any_two(tmp_path: Path) -> None:
    paths = [file_of(tmp_path / f"{i}.csv", *people("p1", f"p{i + 2}")) for i in range(3)]
    got = run(*paths)
    assert got.pairs_compared == 3 * 4 + 3
    assert (got.at_threshold.pairs_true, got.at_threshold.pairs_correct) == (3, 3)


def test_the_number_of_threads_changes_no_figure(two: tuple[Path, Path]) -> None:
    figures = []
    for threads in (1, 2):
        got = run(*two, threads=threads).to_dict()
        del got["seconds"]
        figures.append(got)
    assert figures[0] == figures[1]


def test_the_public_names_of_the_figures(two: tuple[Path, Path]) -> None:
    got = run(*two).to_dict()
    assert set(got) == {
        "f1",
        "precision",
        "recall",
        "best_f1",
        "threshold",
        "best_threshold",
        "pairs_true",
        "pairs_found",
        "pairs_compared",
        "seconds",
    }
    assert got["seconds"] >= 0


def test_progress_grows_to_the_end_of_both_passes(two: tuple[Path, Path]) -> None:
    told: list[tuple[int, int]] = []
    inputs = [input_of(path, "record_id") for path in two]
    evaluate(schema(), inputs, "person", 1, lambda done, planned: told.append((done, planned)))
    assert told[-1] == (46, 46)
    assert told == sorted(told)


def test_a_truth_that_is_an_attribute_is_refused(two: tuple[Path, Path]) -> None:
    inputs = [input_of(path, "record_id") for path in two]
    with pytest.raises(RecordError, match="nama is an attribute of the schema"):
        evaluate(schema(), inputs, "nama", 1)


def test_a_truth_column_that_is_missing_is_named(two: tuple[Path, Path]) -> None:
    inputs = [input_of(path, "record_id") for path in two]
    with pytest.raises(RecordError, match="no column entity_id"):
        evaluate(schema(), inputs, "entity_id", 1)


def test_more_comparisons_than_all_pairs_may_take_are_made_by_blocks(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*two).pairs_compared == 23
    monkeypatch.setattr(evaluate_module, "MAX_COMPARISONS", 19)
    blocked = run(*two)
    assert blocked.pairs_compared == 3
    assert blocked.at_threshold.f1 == 1


def test_more_comparisons_than_even_blocks_may_take_are_refused_before_any(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_module, "MAX_COMPARISONS", 2)
    with pytest.raises(QuotaExceededError, match=r"3 comparisons, also with blocks: at most 2"):
        run(*two)


def test_an_error_of_a_file_holds_no_value_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        f"record_id,person,nama,tgl_lahir\n1,p,{SENTINEL},x\n1,p,{SENTINEL},x\n", encoding="utf-8"
    )
    with pytest.raises(RecordError) as caught:
        run(path)
    assert SENTINEL not in str(caught.value)


def test_more_equal_records_than_the_sweep_keeps_are_all_found(tmp_path: Path) -> None:
    got = run(file_of(tmp_path / "a.csv", *((f"p{i}", "p1") for i in range(150))))
    assert got.at_threshold.pairs_found == 150 * 149 // 2
    assert got.best.pairs_found == 0


def test_with_too_many_equal_records_the_sweep_begins_at_the_threshold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    floors = []

    def compare(self: evaluate_module._Run, floor: float) -> Candidates:
        floors.append(floor)
        return real(self, floor)

    real = evaluate_module._Run.compare
    monkeypatch.setattr(evaluate_module._Run, "compare", compare)
    run(file_of(tmp_path / "a.csv", *((f"p{i}", "p1") for i in range(150))))
    assert floors == [0.8]


def crowd(path: Path, first: int, last: int, wrong: int) -> Path:
    """A file of people of numbers in a row, unlike all others; some have a letter wrong."""
    lines = ["record_id,person,nama,tgl_lahir"]
    for number in range(first, last):
        draw = random.Random(number)
        words = ["".join(draw.choices("ABDEGIKLMNORSTU", k=7)) for _ in range(2)]
        born = date(1940, 1, 1) + timedelta(draw.randrange(29_000))
        if number % 10 < wrong:
            words[0] = words[0][:3] + "X" + words[0][4:]
        lines.append(f"r{number},p{number},{' '.join(words)},{born}")
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def test_a_second_round_finds_whom_codes_find_and_says_how_well(tmp_path: Path) -> None:
    one = crowd(tmp_path / "a.csv", 0, 300, wrong=0)
    two = crowd(tmp_path / "b.csv", 100, 400, wrong=3)
    inputs = [input_of(path, "record_id") for path in (one, two)]
    using = schema("one-to-one", 0.5, rounds=2)
    told: list[tuple[int, int]] = []
    got = evaluate(using, inputs, "person", 2, lambda done, planned: told.append((done, planned)))
    figures = got.to_dict()
    assert (figures["pairs_true"], figures["precision"], figures["recall"]) == (200, 1, 1)
    assert figures["pairs_completeness"] == 1
    # At most ten candidates of each record, and two drawn at random.
    assert 200 + 2 * 300 <= figures["pairs_refined"] <= 12 * 300
    assert figures["pairs_compared"] == figures["pairs_refined"] - 2 * 300
    assert figures["estimated_precision"] > 0.95
    assert figures["estimated_recall"] > 0.9
    # Nothing is compared in the first round, so that there is nothing to tell.
    assert told == []


def test_a_second_round_de_duplicates_one_file(tmp_path: Path) -> None:
    first = crowd(tmp_path / "a.csv", 0, 200, wrong=0).read_text("utf-8").splitlines()
    again = crowd(tmp_path / "b.csv", 0, 100, wrong=3).read_text("utf-8").splitlines()[1:]
    path = tmp_path / "both.csv"
    path.write_text(
        "\n".join([*first, *(f"second-{line}" for line in again), ""]), encoding="utf-8"
    )
    got = run(path, using=schema(threshold=0.5, rounds=2))
    assert got.at_threshold.pairs_true == 100
    assert got.at_threshold.precision == 1
    assert got.at_threshold.recall > 0.95
    assert got.refined is not None
    # Two of them were born on what stands for an unknown day, and have a letter wrong.
    assert got.refined.completeness >= 0.98


@pytest.mark.parametrize("rounds", [1, 2])
def test_several_files_are_linked_pair_by_pair(tmp_path: Path, rounds: int) -> None:
    files = [
        crowd(tmp_path / "a.csv", 0, 150, wrong=0),
        crowd(tmp_path / "b.csv", 50, 200, wrong=1),
        crowd(tmp_path / "c.csv", 100, 250, wrong=2),
    ]
    got = run(*files, using=schema(threshold=0.8 if rounds == 1 else 0.5, rounds=rounds))
    # 100 of the first two, 100 of the last two, 50 of the first and the last.
    assert got.at_threshold.pairs_true == 250
    assert got.at_threshold.precision == 1
    assert got.at_threshold.recall > 0.85
    assert (got.refined is None) == (rounds == 1)
    if got.refined is not None:
        assert got.refined.completeness > 0.99
        assert got.refined.pairs <= 3 * 12 * 150


def test_files_that_share_nothing_have_no_links_in_two_rounds(tmp_path: Path) -> None:
    files = [crowd(tmp_path / "a.csv", 0, 150, wrong=0), crowd(tmp_path / "b.csv", 500, 650, 0)]
    got = run(*files, using=schema(threshold=0.5, rounds=2))
    assert (got.at_threshold.pairs_true, got.at_threshold.pairs_found) == (0, 0)
    assert got.refined is not None
    assert got.refined.completeness == 1


def test_a_file_of_one_record_is_taken_in_two_rounds(tmp_path: Path) -> None:
    one = crowd(tmp_path / "a.csv", 0, 1, wrong=0)
    got = run(one, using=schema(threshold=0.5, rounds=2))
    assert (got.at_threshold.pairs_true, got.at_threshold.pairs_found) == (0, 0)
    got = run(one, crowd(tmp_path / "b.csv", 5, 6, 0), using=schema(threshold=0.5, rounds=2))
    assert got.at_threshold.pairs_true == 0


def test_two_rounds_of_what_nobody_can_be_found_by_are_refused(two: tuple[Path, Path]) -> None:
    ages = parse_schema('name = "a"\n[[attributes]]\nname = "umur"\ntype = "age"\n')
    with pytest.raises(ConfigError, match=r"set match\.rounds = 1"):
        run(*two, using=ages)
