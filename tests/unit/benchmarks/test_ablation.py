"""What is left out, under which key, and when a rule is said to do harm."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from benchmarks.__main__ import main
from benchmarks.ablation import (
    EVERYTHING_ON,
    GROUP_ARMS,
    RULE_ARMS,
    Ablated,
    AblationResult,
    Retrial,
)
from benchmarks.ablation_table import ablation_table
from benchmarks.experiment import Experiment, load_experiments
from benchmarks.records import RecordSet, load_records
from benchmarks.schemes import Variant, encode_set, evaluate_scheme, parse_scheme, schema_of
from linkage.agent.trial import best_quality
from linkage.normalise.rules import RULES

EXPERIMENTS = {experiment.name: experiment for experiment in load_experiments()}
CLK = parse_scheme("clk")
SYNTHETIC, FEBRL = EXPERIMENTS["synthetic-dirty-1"], EXPERIMENTS["febrl1"]


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> RecordSet:
    return load_records(SYNTHETIC, tmp_path_factory.mktemp("data"), small=True)


def test_every_rule_with_a_switch_is_left_out_alone_in_its_group_and_with_all() -> None:
    switched = [rule for rule in RULES if rule.switch == "without"]
    assert {arm.name for arm in RULE_ARMS} == {rule.id for rule in switched}
    by_name = {arm.name: arm for arm in GROUP_ARMS}
    for rule in switched:
        assert rule.id in by_name[rule.group].without
        assert rule.id in by_name["all rules"].without
    assert by_name["rarity"].variant("any") == Variant("any", (), rarity=False)


def test_only_rules_that_act_in_the_language_are_left_out() -> None:
    titles = next(arm for arm in GROUP_ARMS if arm.name == "titles")
    assert titles.variant("any") == EVERYTHING_ON.variant("any")
    assert titles.variant("foreign") == EVERYTHING_ON.variant("foreign")
    assert titles.variant("indonesian").without == ("N03", "N04", "N20")


def test_the_schema_says_what_is_left_out() -> None:
    schema = schema_of(FEBRL, CLK, Variant("foreign", ("D02", "N14"), rarity=False))
    for attribute in schema.attributes:
        assert attribute.language == "foreign"
        assert attribute.without == ("D02", "N14")
        assert not attribute.weighs_rarity
    names = [a for a in schema_of(FEBRL, CLK).attributes if a.of_type.kind == "name"]
    assert names
    assert all(name.weighs_rarity for name in names)


def test_a_key_is_the_same_for_every_schema(dirty: RecordSet) -> None:
    def encoded(variant: Variant, key: int) -> NDArray[np.uint8]:
        return np.concatenate(encode_set(dirty, schema_of(SYNTHETIC, CLK, variant), key))

    codes = encoded(Variant(), 0)
    assert np.array_equal(codes, encoded(Variant(), 0))
    # Another schema: only a name with an old spelling has further readings.
    assert (codes == encoded(Variant("foreign"), 0)).all(axis=1).mean() > 0.3
    assert not (codes == encoded(Variant(), 1)).all(axis=1).any()


def test_linking_finds_what_the_products_evaluation_finds(dirty: RecordSet, tmp_path: Path) -> None:
    evaluated = evaluate_scheme(dirty, CLK, tmp_path, threads=1).best
    schema = schema_of(SYNTHETIC, CLK)
    linked = best_quality(encode_set(dirty, schema), dirty.person, schema, threads=1)
    assert linked.pairs_true == evaluated.pairs_true
    # The keys differ, and with them what collides.
    assert linked.f1 == pytest.approx(evaluated.f1, abs=0.03)


def _retrial(experiment: Experiment, *differences: float) -> Retrial:
    return Retrial(experiment, "any", "D02", list(differences))


def test_harm_is_more_than_the_chance_of_the_keys() -> None:
    assert _retrial(FEBRL, 0.004, 0.005, 0.004, 0.005).harms
    assert not _retrial(FEBRL, 0.004, -0.003, 0.005, -0.002).harms
    assert not _retrial(FEBRL, 0.0004, 0.0004, 0.0004).harms
    assert not _retrial(FEBRL, -0.01, -0.01).harms
    assert _retrial(FEBRL, 0.01).error == 0


def test_the_tables_tell_what_changes_nothing_from_what_makes_no_difference() -> None:
    row = Ablated(FEBRL, "any", 1_000, [0.9, 0.8], {"dates": [-0.01, -0.02], "D02": [0.0, 0.0]})
    harm = [_retrial(FEBRL, 0.01, 0.01), _retrial(SYNTHETIC, 0.02, 0.02)]
    groups = ablation_table(AblationResult("clk", 2, [row], harm, {"x": "not here"}))
    cells = dict(zip(groups.header, groups.rows[0], strict=True))
    assert cells["all on"] == "0.850"
    assert cells["dates"] == "-0.015"
    assert cells["rarity"] == "-"
    assert "Skipped: x: not here." in groups.notes
    rules = groups.next
    assert rules is not None
    assert rules.header[-1] == "D02"
    assert rules.rows[0][-1] == "0.000"
    retrials = rules.next
    assert retrials is not None
    assert [cells[-1] for cells in retrials.rows] == ["yes", "yes"]
    assert any("English and German" in note and "febrl1 (any)" in note for note in retrials.notes)


def test_a_small_run_writes_differences_per_set_and_language(tmp_path: Path) -> None:
    options = ["--small", "--json", "--keys", "1", "--retrials", "1", "--threads", "1"]
    sets = ["--sets", "febrl1,synthetic-dirty-1,rldata-500"]
    places = ["--data", str(tmp_path), "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(main, ["ablation", *options, *sets, *places], catch_exceptions=False)
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    rows = {(one["set"], one["language"]): one for one in result["sets"]}
    assert set(rows) == {
        ("febrl1", "any"),
        ("febrl1", "foreign"),
        ("synthetic-dirty-1", "any"),
        ("synthetic-dirty-1", "indonesian"),
    }
    assert set(result["skipped"]) == {"rldata-500"}
    assert "titles" not in rows["synthetic-dirty-1", "any"]["difference_by_key"]
    assert "titles" in rows["synthetic-dirty-1", "indonesian"]["difference_by_key"]
    assert "rarity" in rows["febrl1", "any"]["difference_by_key"]
    written = sorted(path.name.partition("-")[0] for path in (tmp_path / "results").iterdir())
    assert written == ["ablation", "ablation"]
