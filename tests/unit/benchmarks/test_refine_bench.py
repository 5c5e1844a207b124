"""A tiny run of two rounds, of what finds candidates, and the bars they are held to."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import peer_env
from benchmarks.__main__ import main
from benchmarks.experiment import load_experiments
from benchmarks.plain_text import PlainTextResult
from benchmarks.records import load_records, synthetic_groups
from benchmarks.refine_outcome import RefinedSet, RefineResult, TwoRounds
from benchmarks.refine_table import refine_table
from benchmarks.refining import encode_rounds, link_refined, refined_pairs
from benchmarks.schemes import evaluate_scheme, parse_scheme, schema_of
from benchmarks.subgroups import GroupRecalls
from linkage.classify.quality import Quality
from linkage.synthetic import GROUPS

SETS = {experiment.name: experiment for experiment in load_experiments()}


def quality(f1: float) -> Quality:
    return Quality(1_000, 1_000, round(1_000 * f1))


def refined_set(best: float, truth_free: float, clk: float, plain: float) -> RefinedSet:
    two_rounds = TwoRounds(
        best=quality(best),
        threshold=0.7,
        truth_free=quality(truth_free),
        refined=2_000,
        completeness=0.99,
        precision=0.98,
        recall=0.97,
        notes=("a guess",),
        seconds=1.0,
        by_key=[best],
    )
    return RefinedSet(
        experiment=SETS["febrl1"],
        records=1_000,
        clk=quality(clk),
        one_round=quality(0.5),
        two_rounds=two_rounds,
        plain=PlainTextResult(quality(plain), None, 100, 0.9),
        splink=None,
        groups=GroupRecalls(0.9, 100, {"twin": 0.84, "child": 0.86}, {"twin": 5, "child": 9}),
    )


def test_bars_are_met_at_equality_and_missed_by_what_lacks() -> None:
    assert refined_set(0.95, 0.93, clk=0.95, plain=0.97).misses == {}
    assert refined_set(0.94, 0.91, clk=0.95, plain=0.97).misses == {
        "clk": 0.01,
        "plain text": 0.01,
        "threshold": 0.01,
    }


def test_the_tables_show_misses_and_groups_that_are_found_less_often() -> None:
    table = refine_table(RefineResult("saul", 10, [refined_set(0.94, 0.94, 0.95, 0.9)]))
    (row,) = table.rows
    assert row[-1] == "clk: short by 0.010"
    assert "+0.440" in row
    estimates = table.next
    assert estimates is not None
    assert any("a guess" in note for note in estimates.notes)
    groups = estimates.next
    assert groups is not None
    cells = dict(zip(groups.header, groups.rows[0], strict=True))
    assert (cells["twin"], cells["child"], cells["papuan"]) == ("0.840 ! (5)", "0.860 (9)", "-")


def test_registers_are_pooled_by_their_true_pairs() -> None:
    one = GroupRecalls(0.9, 100, {"twin": 0.5, "child": 1.0}, {"twin": 2, "child": 4})
    other = GroupRecalls(0.8, 300, {"twin": 1.0}, {"twin": 6})
    both = GroupRecalls.pooled([one, other])
    assert both.everyone == pytest.approx(0.825)
    assert both.by_group == {"twin": pytest.approx(0.875), "child": 1.0}
    assert (both.everyone_pairs, both.pairs) == (400, {"twin": 8, "child": 4})


def test_steps_taken_apart_find_what_the_products_evaluation_finds(tmp_path: Path) -> None:
    records = load_records(SETS["febrl4"], tmp_path, small=True)
    scheme = parse_scheme("clk").refined(5)
    whole = evaluate_scheme(records, scheme, tmp_path, threads=1)
    encoded = encode_rounds(records, schema_of(records.experiment, scheme), key=1)
    _, best = link_refined(records, encoded).best(records.person, records.file)
    assert best.f1 == pytest.approx(whole.best.f1, abs=0.02)


def test_a_schema_of_one_round_has_no_second_one(tmp_path: Path) -> None:
    records = load_records(SETS["febrl1"], tmp_path, small=True)
    encoded = encode_rounds(records, schema_of(records.experiment, parse_scheme("clk")), key=0)
    with pytest.raises(ValueError, match="no second one"):
        link_refined(records, encoded)


def test_pairs_meet_between_files_or_within_one(tmp_path: Path) -> None:
    for name, files in (("febrl1", 1), ("febrl4", 2)):
        records = load_records(SETS[name], tmp_path, small=True)
        schema = schema_of(records.experiment, parse_scheme("clk").refined(5))
        pairs = refined_pairs(encode_rounds(records, schema, key=0))
        same = records.person[pairs.left] == records.person[pairs.right]
        assert same[~pairs.drawn].any()
        unlike = records.file[pairs.left] != records.file[pairs.right]
        assert unlike.all() if files > 1 else not unlike.any()
        # A single file makes no tickets: there is nobody to send them to.
        assert (pairs.n_tickets > 0) == (files > 1)


def test_groups_of_people_are_those_of_the_registers_own_population(tmp_path: Path) -> None:
    records = load_records(SETS["synthetic-dirty-1"], tmp_path, small=True)
    members = synthetic_groups(records)
    assert set(members) == set(GROUPS)
    names = [name for table in records.tables for name in table["nama"].to_pylist()]
    one_word = members["one_word_name"]
    assert one_word.any()
    # In truth of one word, so of one in most records.
    short = np.array([" " not in (name or "").strip() for name in names])
    assert short[one_word].mean() > 0.8 > short[~one_word].mean()


def test_groups_of_real_sets_are_unknown(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing is known"):
        synthetic_groups(load_records(SETS["febrl1"], tmp_path, small=True))


def test_a_small_refine_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_env, "FOLDER", tmp_path / "absent")
    options = ["--small", "--no-install", "--json", "--keys", "1", "--candidates", "5"]
    sets = ["--scheme", "clk", "--sets", "synthetic-clean-1,rldata-500"]
    places = ["--data", str(tmp_path), "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(main, ["refine", *options, *sets, *places], catch_exceptions=False)
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    (one,) = result["sets"]
    assert one["two_rounds"]["best_f1"] > 0.9
    assert one["two_rounds"]["best_f1"] >= one["two_rounds"]["at_truth_free_threshold"]["f1"]
    assert one["gain"] == pytest.approx(one["two_rounds"]["best_f1"] - one["one_round"]["best_f1"])
    assert one["splink"] is None
    assert 0.9 < one["groups"]["everyone"] <= 1
    assert set(result["skipped"]) == {"Splink", "rldata-500"}
    assert sorted(path.suffix for path in (tmp_path / "results").iterdir()) == [".json", ".md"]


def test_a_small_candidates_run(tmp_path: Path) -> None:
    options = ["--small", "--json", "--scheme", "clk", "--sets", "febrl1,rldata-500"]
    done = CliRunner().invoke(
        main, ["candidates", *options, "--data", str(tmp_path)], catch_exceptions=False
    )
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert list(result["skipped"]) == ["rldata-500"]
    means = result["sets"]["febrl1"]
    assert [(one["entries"], one["copies"]) for one in means] == [
        (entries, copies) for entries in ("two attributes", "all") for copies in (1, 2, 3, 4)
    ]
    for one in means:
        shares = list(one["completeness"].values())
        assert shares == sorted(shares)
    assert means[-1]["met"] > means[0]["met"]


def test_more_candidates_than_the_bar_allows_are_refused() -> None:
    done = CliRunner().invoke(main, ["refine", "--candidates", "21"])
    assert done.exit_code == 2
