"""The report of an evaluation: complete, self-contained, and without a value of any record."""

import json
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

from linkage.agent.evaluate import Evaluation, evaluate, input_of
from linkage.agent.evidence import (
    Evidence,
    by_files,
    comparisons_by_files,
    even_edges,
    histogram,
    level_counts,
    quality_curve,
    thresholds,
)
from linkage.agent.examples import examples
from linkage.agent.report import html_report
from linkage.classify.fellegi_sunter import LinkageModel, Roles
from linkage.classify.levels import N_LEVELS, Level
from linkage.classify.quality import quality_of
from linkage.classify.sweep import GreedySweep
from linkage.cli import padan
from linkage.compare.candidates import Candidates
from linkage.engine.plan import Task
from linkage.engine.refinement import CERTAIN
from linkage.errors import ConfigError
from linkage.schema import LinkageSchema, parse_schema
from linkage.solve.groups import solve_groups

SCHEMA = """
name = "uji"
[match]
rounds = {rounds}
cardinality = "{cardinality}"
[[attributes]]
name = "nama"
type = "name"
[[attributes]]
name = "tgl_lahir"
type = "date"
[[attributes]]
name = "nama_ibu"
type = "mother_name"
"""


def schema(rounds: int = 2, cardinality: str = "many-to-many") -> LinkageSchema:
    return parse_schema(SCHEMA.format(rounds=rounds, cardinality=cardinality))


def people(path: Path, first: int, last: int, wrong: int) -> Path:
    """A file of people of numbers in a row; of every ten, some have a name much changed."""
    lines = ["record_id,person,nama,tgl_lahir,nama_ibu"]
    for number in range(first, last):
        draw = random.Random(number)
        words = ["".join(draw.choices("ABDEGIKLMNORSTU", k=7)) for _ in range(4)]
        born = date(1940, 1, 1) + timedelta(draw.randrange(29_000))
        if number % 10 < wrong:
            words[0] = words[0][::-1]
        name, mother = " ".join(words[:2]), " ".join(words[2:])
        lines.append(f"NOMOR{number},ORANG{number},{name},{born},{mother}")
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def run(using: LinkageSchema, *paths: Path) -> Evaluation:
    inputs = [input_of(path, "record_id") for path in paths]
    return evaluate(using, inputs, "person", 1, keep_evidence=True)


def parsed(report: str) -> ElementTree.Element:
    head, page = report.split("\n", 1)
    assert head == "<!DOCTYPE html>"
    return ElementTree.fromstring(page)  # noqa: S314 - we wrote it ourselves


def text_of(page: ElementTree.Element) -> str:
    return " ".join(page.itertext())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("people")
    return people(folder / "satu.csv", 0, 300, 0), people(folder / "dua.csv", 100, 400, 3)


@pytest.fixture(scope="module")
def two_rounds(files: tuple[Path, Path]) -> Evaluation:
    return run(schema(), *files)


@pytest.fixture(scope="module")
def one_round(files: tuple[Path, Path]) -> Evaluation:
    return run(schema(rounds=1), *files)


@pytest.fixture(scope="module")
def report(two_rounds: Evaluation) -> str:
    return html_report(two_rounds, schema(), ["satu.csv", "dua.csv"])


def test_a_report_is_well_formed_and_needs_nothing_else(report: str) -> None:
    tags = {node.tag for node in parsed(report).iter()}
    assert {"html", "table", "svg", "figure"} <= tags
    assert not tags & {"script", "link", "img", "a", "iframe", "object", "use", "image"}
    assert not re.search(r"https?:|url\(|@import|\bsrc=|\bhref=|\bon[a-z]+=", report)


def test_a_report_is_html_whose_elements_all_end(report: str) -> None:
    class Open(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            del attrs
            self.tags.append(tag)

        def handle_startendtag(self, tag: str, attrs: object) -> None:
            del attrs
            # What ends at once is void in HTML, or of a picture.
            assert tag == "meta" or "svg" in self.tags, tag

        def handle_endtag(self, tag: str) -> None:
            assert self.tags.pop() == tag

    parser = Open()
    parser.feed(report)
    parser.close()
    assert parser.tags == []


def test_a_report_holds_no_value_of_any_record(files: tuple[Path, Path], report: str) -> None:
    checked = 0
    for path in files:
        for line in path.read_text("utf-8").splitlines()[1:]:
            for value in re.split("[ ,]", line):
                assert value.lower() not in report.lower()
                checked += 1
    assert checked == 600 * 7


def test_every_picture_has_a_title_and_words_of_its_own(report: str) -> None:
    pictures = list(parsed(report).iter("svg"))
    # Histogram, curve, three attributes, and at least three pairs.
    assert len(pictures) >= 8
    ids: list[str | None] = []
    for picture in pictures:
        title, description = picture.find("title"), picture.find("desc")
        assert title is not None
        assert description is not None
        assert title.text
        assert description.text
        assert picture.get("role") == "img"
        named = picture.get("aria-labelledby"), picture.get("aria-describedby")
        assert named == (title.get("id"), description.get("id"))
        ids += named
    assert len(set(ids)) == 2 * len(pictures)


def test_the_head_and_the_quality_say_what_the_figures_say(
    two_rounds: Evaluation, report: str
) -> None:
    shown = text_of(parsed(report))
    figures = two_rounds.to_dict()
    for name in ("pairs_compared", "pairs_refined", "pairs_true", "pairs_found"):
        assert f"{figures[name]:,}" in shown
    for name in ("precision", "recall", "f1", "estimated_recall", "pairs_completeness"):
        assert f"{figures[name]:.4f}" in shown
    assert "satu.csv: 300" in shown
    assert "saul 8,192/5" in shown


def test_terms_add_up_to_the_score_of_the_pair(two_rounds: Evaluation) -> None:
    evidence = two_rounds.evidence
    assert evidence is not None
    found = examples(evidence)
    assert found[0].why[0] == "surest"
    assert found[0].log_odds == pytest.approx(evidence.score[evidence.linked].max())
    for example in found:
        assert len(example.steps) == 3
        terms = example.prior + sum(step.bits for step in example.steps) + example.relatives
        assert terms == pytest.approx(example.log_odds, abs=1e-4)


def test_terms_as_shown_add_up_to_the_sum_as_shown(report: str) -> None:
    told = [
        node.text or ""
        for picture in parsed(report).iter("svg")
        for node in picture.findall("desc")
        if str(node.get("id")).startswith("pair-")
    ]
    assert len(told) >= 3
    for words in told:
        numbers = [
            float(n.replace("\u2212", "-")) for n in re.findall(r"[+\u2212]?\d+\.\d\d", words)
        ]
        assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.005 * len(numbers))


def test_records_of_examples_are_the_rows_of_their_files(
    files: tuple[Path, Path], two_rounds: Evaluation
) -> None:
    assert two_rounds.evidence is not None
    rows = [path.read_text("utf-8").splitlines() for path in files]
    for example in examples(two_rounds.evidence):
        (one, left), (other, right) = example.records
        assert (one, other) == (0, 1)
        persons = {rows[0][left].split(",")[1], rows[1][right].split(",")[1]}
        assert (len(persons) == 1) == example.same


def test_notes_stand_before_all_figures_but_the_head(two_rounds: Evaluation) -> None:
    evidence = two_rounds.evidence
    assert evidence is not None
    assert evidence.model is not None
    model = replace(evidence.model, notes=("the estimate is <doubtful>",))
    noted = replace(two_rounds, evidence=replace(evidence, model=model))
    page = parsed(html_report(noted, schema(), ["a", "b"]))
    notes = page.find("body/section[@role='note']")
    assert notes is not None
    assert "the estimate is <doubtful>" in text_of(notes)
    body = page.find("body")
    assert body is not None
    assert [child.tag for child in body][:3] == ["h1", "table", "section"]


def test_too_few_records_are_reported_with_notes(tmp_path: Path) -> None:
    paths = people(tmp_path / "a.csv", 0, 4, 0), people(tmp_path / "b.csv", 2, 6, 0)
    page = html_report(run(schema(), *paths), schema(), ["a.csv", "b.csv"])
    assert "too few to learn from" in text_of(parsed(page))


def test_one_round_shows_similarities_and_no_weights(one_round: Evaluation) -> None:
    page = parsed(html_report(one_round, schema(rounds=1), ["satu.csv", "dua.csv"]))
    assert len(list(page.iter("svg"))) == 2
    shown = text_of(page)
    assert "similarity · kemiripan" in shown
    assert "no attribute has a weight of its own" in shown
    assert "Refined pairs" not in shown


def test_one_file_is_reported_too(tmp_path: Path) -> None:
    lines = people(tmp_path / "a.csv", 0, 60, 0).read_text("utf-8").splitlines()
    again = [f"lagi{line}" for line in lines[1:30]]
    path = tmp_path / "dua.csv"
    path.write_text("\n".join([*lines, *again, ""]), encoding="utf-8")
    for rounds in (1, 2):
        using = schema(rounds)
        got = run(using, path)
        assert got.evidence is not None
        (only,) = by_files(got.evidence)
        assert only.files == (0, 0)
        assert only.quality == got.at_threshold
        parsed(html_report(got, using, ["dua.csv"]))


def test_names_of_files_cannot_break_the_page_and_equal_ones_are_told_apart(
    one_round: Evaluation,
) -> None:
    name = "<b onload='x'>&.csv"
    page = parsed(html_report(one_round, schema(rounds=1), [name, name]))
    assert f"1. {name}: 300" in text_of(page)
    assert f"2. {name}: 300" in text_of(page)


def test_without_evidence_there_is_no_report(one_round: Evaluation) -> None:
    with pytest.raises(ValueError, match="kept no evidence"):
        html_report(replace(one_round, evidence=None), schema(rounds=1), ["a", "b"])


def test_an_evaluation_keeps_no_pairs_unless_asked(tmp_path: Path) -> None:
    path = people(tmp_path / "a.csv", 0, 5, 0)
    assert evaluate(schema(1), [input_of(path, "record_id")], "person", 1).evidence is None


# Evidence by hand: six records in two files, one attribute, pairs as they are wanted.

MODEL = LinkageModel(
    m=np.array([[0.0] + [1 / 64] * 4 + [60 / 64 / (N_LEVELS - 5)] * (N_LEVELS - 5)]),
    u=np.array([[0.0] + [15 / 64] * 4 + [4 / 64 / (N_LEVELS - 5)] * (N_LEVELS - 5)]),
    f=np.ones((1, N_LEVELS)) / N_LEVELS,
    roles=Roles.of(["name"]),
    n_pairs=9,
    matches=3,
    relatives=0,
    twins=0,
)
ONE_ATTRIBUTE = parse_schema('name = "a"\n[[attributes]]\nname = "nama"\ntype = "name"\n')
ALIKE, UNLIKE = Level.EQUAL, Level.DIFFERENT


def by_hand(
    pairs: Sequence[tuple[int, int, Level]], persons: Sequence[int], single: bool = False
) -> Evidence:
    levels = np.array([level for *_, level in pairs], dtype=np.int8)[:, None]
    candidates = Candidates(
        np.array([left for left, *_ in pairs], np.int32),
        np.array([right for _, right, _ in pairs], np.int32),
        MODEL.score(levels).similarity,
    )
    file = np.array([0, 0, 0, 1, 1, 1], np.uint8)
    groups = solve_groups(candidates, file, frozenset({0, 1}) if single else frozenset())
    person = np.array(persons, np.int64)
    label = groups.above(0.5).label
    return Evidence(
        person, file, candidates, label, GreedySweep(groups), 0.5, {(0, 1): (9, 2)}, levels, MODEL
    )


def test_examples_are_the_pairs_they_say() -> None:
    pairs = [(0, 3, ALIKE), (1, 4, ALIKE), (2, 5, UNLIKE)]
    found = {why: example for example in examples(by_hand(pairs, [1, 2, 3, 1, 4, 3]))
             for why in example.why}  # fmt: skip
    assert found["surest"].records == ((0, 1), (1, 1))
    assert found["false"].records == ((0, 2), (1, 2))
    assert (found["false"].same, found["false"].linked) == (False, True)
    # The only pair below the threshold is the one match that was missed: shown once.
    assert found["next"] is found["missed"]
    assert (found["missed"].same, found["missed"].linked) == (True, False)


def test_where_no_pair_was_scored_there_is_no_picture(two_rounds: Evaluation) -> None:
    nothing = replace(two_rounds, evidence=by_hand([], [1, 2, 3, 1, 4, 3]))
    page = parsed(html_report(nothing, ONE_ATTRIBUTE, ["a", "b"]))
    assert "No pair was scored" in text_of(page)
    assert list(page.iter("svg")) == []


def test_a_match_that_another_link_excludes_is_said_to_be(two_rounds: Evaluation) -> None:
    evidence = by_hand([(0, 3, ALIKE), (1, 3, ALIKE)], [1, 2, 3, 4, 2, 5], single=True)
    evidence = replace(evidence, person=np.array([1, 2, 3, 2, 4, 5]))
    page = html_report(replace(two_rounds, evidence=evidence), ONE_ATTRIBUTE, ["a", "b"])
    assert "one person, not linked, for another link of one of them excludes it" in page


def test_links_are_those_of_the_agreed_solver() -> None:
    evidence = by_hand([(0, 3, ALIKE), (0, 4, ALIKE)], [1, 2, 3, 1, 4, 5], single=True)
    assert evidence.linked.tolist() == [True, False]
    other = replace(evidence, label=np.array([0, 1, 2, 3, 0, 5], np.int32))
    assert other.linked.tolist() == [False, True]
    (only,) = by_files(other)
    assert (only.quality.pairs_found, only.quality.pairs_correct) == (1, 0)


def test_the_histogram_counts_every_pair_once(two_rounds: Evaluation) -> None:
    evidence = two_rounds.evidence
    assert evidence is not None
    counts = histogram(evidence)
    assert counts.same.sum() == evidence.same.sum()
    assert counts.others.sum() == (~evidence.same).sum()


@pytest.mark.parametrize("rounds", [1, 2])
def test_the_curve_is_the_quality_at_each_threshold(
    rounds: int, one_round: Evaluation, two_rounds: Evaluation
) -> None:
    got = one_round if rounds == 1 else two_rounds
    evidence = got.evidence
    assert evidence is not None
    at = thresholds(evidence)
    assert (at[0], at[-1]) == (evidence.score.min(), evidence.score.max())
    curve = quality_curve(evidence, at.tolist())
    for score, quality in list(zip(at, curve, strict=True))[::10]:
        # As the solver sees them: scores that are nearly equal have one similarity.
        similarity = evidence.similarity_of(np.array([score]))[0]
        kept = evidence.candidates.where(evidence.candidates.similarity >= similarity)
        certain = 0.0 if rounds == 1 else CERTAIN
        again = solve_groups(kept, evidence.file, frozenset(), certain=certain)
        assert quality == quality_of(again.label, evidence.person, evidence.file)
    # Of two rounds the best is that of other thresholds.
    assert rounds == 2 or max(quality.f1 for quality in curve) <= got.best.f1


def test_levels_are_counted_by_attribute() -> None:
    pairs = [(0, 3, ALIKE), (1, 4, ALIKE), (2, 5, UNLIKE)]
    counts = level_counts(by_hand(pairs, [1, 2, 3, 1, 4, 3]))
    assert counts.shape == (1, N_LEVELS)
    assert (counts[0, ALIKE], counts[0, UNLIKE], counts.sum()) == (2, 1, 3)


def test_links_and_comparisons_by_files_add_up(tmp_path: Path) -> None:
    ranges = ((0, 60), (20, 80), (40, 100))
    paths = [people(tmp_path / f"{i}.csv", *r, 0) for i, r in enumerate(ranges)]
    got = run(schema(), *paths)
    assert got.evidence is not None
    pairs = by_files(got.evidence)
    assert [pair.files for pair in pairs] == [(0, 1), (0, 2), (1, 2)]
    assert [pair.quality.pairs_true for pair in pairs] == [40, 20, 40]
    assert sum(pair.quality.pairs_found for pair in pairs) == got.at_threshold.pairs_found
    assert sum(sum(pair.compared) for pair in pairs) == got.pairs_compared
    assert sum(pair.scored for pair in pairs) == len(got.evidence.candidates)


def test_comparisons_are_told_apart_by_how_they_came() -> None:
    tasks = [
        Task(0, 1, (0, 5), (0, 4), 20),
        Task(0, 1, (0, 3), None, 3),
        Task(0, 2, (0, 7), None, 7),
    ]
    assert comparisons_by_files(tasks) == {(0, 1): (20, 3), (0, 2): (0, 7)}


@pytest.mark.parametrize(
    ("low", "high"), [(-44.5, 21.3), (0.507, 1.0), (0.0, 0.0), (3.0, 3.0000001), (-1e4, 1e4)]
)
def test_steps_are_round_few_and_hold_the_range(low: float, high: float) -> None:
    edges = even_edges(low, high, 50)
    assert 2 <= len(edges) <= 51
    assert edges[0] <= low
    assert high <= edges[-1]


def command(*words: str | Path) -> list[str]:
    return ["evaluate", "--truth", "person", *(str(word) for word in words)]


def test_the_command_writes_the_report_beside_its_figures(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    rules, out = tmp_path / "s.toml", tmp_path / "laporan.html"
    rules.write_text(SCHEMA.format(rounds=2, cardinality="many-to-many"))
    words = command("--schema", rules, "--input", files[0], "--input", files[1])
    done = CliRunner().invoke(padan, [*words, "--json", "--report", str(out)])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    shown = out.read_text("utf-8")
    assert f"{figures['f1']:.4f}" in text_of(parsed(shown))
    assert "satu.csv" in shown
    assert str(files[0].parent) not in shown


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    rules = tmp_path / "s.toml"
    rules.write_text(SCHEMA.format(rounds=2, cardinality="many-to-many"))
    before = files[0].read_bytes()
    words = command("--schema", rules, "--input", files[0], "--report")
    for out, problem in ((tmp_path / "no" / "r.html", "no folder"), (files[0], "is read")):
        done = CliRunner().invoke(padan, [*words, str(out)])
        assert isinstance(done.exception, ConfigError)
        assert problem in str(done.exception)
    assert files[0].read_bytes() == before
