from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from linkage.agent.attack import tokens_and_values
from linkage.agent.attackedjob import Register, attack_job, attacked_job, two_files
from linkage.agent.config import SourceConfig
from linkage.agent.jobview import job_view
from linkage.errors import RecordError
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.frequency import best_alignments
from linkage.privacy.graph import Overlap
from linkage.privacy.jobgraph import JobGraph, match_jobs
from linkage.privacy.made import take
from linkage.privacy.rates import Rate
from linkage.privacy.wholejob import attack_whole_job, control_rate
from linkage.schema import LinkageSchema
from linkage.synthetic import Mix, generate_population, make_registers, register_csv_chunks

Columns = Mapping[str, FlaggedColumn]
_NONE = np.zeros(0, np.int64), np.zeros(0, np.int64)


def graph_of(n: int, order: NDArray[np.int64], seed: int) -> JobGraph:
    """A graph of n pairs with some labels each, records renumbered by an order."""
    rng = np.random.default_rng(seed)
    labels = []
    for _ in range(30):
        left, right = rng.integers(0, n, (2, n // 3))
        labels.append((order[left].astype(np.int32), order[right].astype(np.int32)))
    return JobGraph.of((n, n), labels)


def test_equal_graphs_are_matched_whatever_the_numbering() -> None:
    order = np.random.default_rng(1).permutation(80)
    seen, own = graph_of(80, order, 5), graph_of(80, np.arange(80), 5)
    best = match_jobs(seen, own, _NONE).argmax(axis=1)
    assert (best[order] == np.arange(80)).mean() > 0.95


def test_unlike_graphs_are_not_matched() -> None:
    order = np.random.default_rng(1).permutation(80)
    seen, own = graph_of(80, order, 5), graph_of(80, np.arange(80), 6)
    best = match_jobs(seen, own, _NONE).argmax(axis=1)
    assert (best[order] == np.arange(80)).mean() < 0.1


def test_known_records_stay_what_they_are() -> None:
    seen, own = graph_of(40, np.arange(40), 5), graph_of(40, np.arange(40), 6)
    known = np.array([3, 4]), np.array([8, 9])
    fit = match_jobs(seen, own, known)
    assert fit[known].tolist() == [1, 1]
    assert fit[3].argmax() == 8


def registers_of(columns: Columns, n: int, overlap: float) -> tuple[Register, Register]:
    drawn = Overlap.draw(n, overlap, 1)
    left, right = (
        ({name: take(column, person) for name, column in columns.items()}, person)
        for person in (drawn.encoded, drawn.plain)
    )
    return left, right


def test_a_job_shows_links_and_comparisons_and_not_whose_they_are(
    schema: LinkageSchema, columns: Columns
) -> None:
    some = {name: take(column, np.arange(120)) for name, column in columns.items()}
    view = job_view(schema, some, some, 1)
    pairs = set(zip(view.links.left.tolist(), view.links.right.tolist(), strict=True))
    assert view.links.sizes == (120, 120)
    assert sum((record, record) in pairs for record in range(120)) > 110
    # One label for each band, and none for how the fields compare.
    assert len(view.links.counts) <= 3
    assert len(view.features) == len(view.left) == len(view.links.left)


def test_a_whole_job_names_next_to_none_of_its_linked_records(
    schema: LinkageSchema, columns: Columns
) -> None:
    left, right = registers_of(columns, 400, 0.8)
    job = attacked_job(schema, (left, right), (left, right), 1)
    control = control_rate(job, 1)
    # The attack works where comparisons are told with their records.
    assert control.value > 0.3
    blind, known, compared = attack_whole_job("both", job, (0, 50), control, 1, knows_both=True)
    assert not blind.exceeded
    assert not known.exceeded
    assert blind.value < 0.05
    assert (blind.control, blind.void) == (control.value, False)
    # Who could make the comparisons by himself learns nothing from knowing one again.
    assert (compared.limit, compared.bound) == (1.0, None)


def test_a_job_of_one_round_that_sends_codes_alone_is_left_to_the_attacks_on_codes(
    schema: LinkageSchema, columns: Columns
) -> None:
    some = {name: take(column, np.arange(100)) for name, column in columns.items()}
    assert attack_job(schema.with_rounds(1), some, 1) == []


def test_block_tokens_beside_codes_name_who_shares_them(
    schema: LinkageSchema, columns: Columns
) -> None:
    some = {name: take(column, np.arange(400)) for name, column in columns.items()}
    outcomes = attack_job(schema.with_rounds(1).blocked(), some, 1)
    worst = {o.setting: o.value for o in outcomes if o.exceeded}
    assert worst["both plain registers, 0 known"] > 0.25


def test_an_attack_that_does_not_break_its_control_says_nothing(
    schema: LinkageSchema, columns: Columns
) -> None:
    left, right = registers_of(columns, 200, 0.5)
    job = attacked_job(schema, (left, right), (left, right), 1)
    nothing = Rate(0, 100, 0.005)
    assert all(
        outcome.void
        for outcome in attack_whole_job("both", job, (0,), nothing, 1, knows_both=False)
    )


def test_an_agencys_own_file_is_attacked_in_every_setting(
    schema: LinkageSchema, columns: Columns
) -> None:
    some = {name: take(column, np.arange(300)) for name, column in columns.items()}
    outcomes = attack_job(schema, some, 1)
    assert len(outcomes) == 9
    settings = {outcome.setting.rpartition(",")[0] or outcome.setting for outcome in outcomes}
    assert settings == {
        "both plain registers", "half of the persons of both", "one plain register",
    }  # fmt: skip


@pytest.fixture(scope="module")
def two_registers(tmp_path_factory: pytest.TempPathFactory) -> tuple[SourceConfig, SourceConfig]:
    """Two registers that say unlike things of the persons whom they share."""
    folder = tmp_path_factory.mktemp("two")
    names = ("dukcapil", "imigrasi")
    population = generate_population(500, 5, mix=Mix(passports=0.5))
    configs = []
    for name, table in make_registers(population, names, "ordinary", 5).tables.items():
        path = folder / f"{name}.csv"
        path.write_bytes(b"".join(register_csv_chunks(table)))
        configs.append(SourceConfig(path=path, date_order="DMY"))
    return configs[0], configs[1]


def test_a_job_of_two_files_is_attacked_in_every_setting(
    schema: LinkageSchema, two_registers: tuple[SourceConfig, SourceConfig]
) -> None:
    outcomes = two_files(*two_registers, "entity_id")(schema, {}, 1, lambda _: None)
    assert len(outcomes) == 9
    again = two_files(*two_registers, "entity_id")(schema, {}, 1, lambda _: None)
    assert [o.setting for o in again] == [o.setting for o in outcomes]


def test_two_files_without_a_common_person_are_refused(
    schema: LinkageSchema, two_registers: tuple[SourceConfig, SourceConfig], tmp_path: Path
) -> None:
    header, *rows = two_registers[0].path.read_text("utf-8").splitlines()
    parts = []
    for number, some in enumerate((rows[:5], rows[5:10])):
        path = tmp_path / f"{number}.csv"
        path.write_text("\n".join([header, *some]) + "\n", "utf-8")
        parts.append(SourceConfig(path=path, date_order="DMY"))
    with pytest.raises(RecordError, match="no person has a record in both files"):
        two_files(parts[0], parts[1], "entity_id")(schema, {}, 1, lambda _: None)


def test_a_job_of_one_round_has_no_pairs_to_look_at(
    schema: LinkageSchema, columns: Columns
) -> None:
    with pytest.raises(ValueError, match="one round"):
        job_view(schema.with_rounds(1), columns, columns, 1)


def test_one_time_tokens_keep_no_frequency(schema: LinkageSchema, columns: Columns) -> None:
    tokens, values = tokens_and_values(schema, columns, 1)
    found = best_alignments(tokens, values)
    # What two rounds upload are tickets, token and mark: none stands twice.
    assert {alignment.slot.split()[0] for alignment in found} == {"token", "mark"}
    assert {alignment.most for alignment in found} == {1}
    assert max(alignment.hits for alignment in found) == 0
    repeating = {name: column[:, None] for name, column in values.items()}
    assert best_alignments(repeating, values)[0].exceeded
