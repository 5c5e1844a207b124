from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from linkage.compare.bits import as_words
from linkage.encode.encoder import Encoder
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.attacks import known_pairs
from linkage.privacy.gate import LEVELS, Sent, run_gate
from linkage.privacy.graph import Overlap, blind_matching, seeded_matching
from linkage.privacy.learner import KnownPairs, Learnt, matched_kernel, ridge
from linkage.privacy.made import joined, names_alone, take
from linkage.privacy.people import SeededKeys, control_of, plain_people, with_scheme
from linkage.privacy.subject import distinct_persons, subject_of
from linkage.schema import LinkageSchema

Columns = Mapping[str, FlaggedColumn]
VICTIM, ATTACKER = 10_007, 3


def codes_of(schema: LinkageSchema, columns: Columns) -> NDArray[np.uint64]:
    return as_words(Encoder(schema, SeededKeys(VICTIM), bytes).codes(columns))


@pytest.mark.parametrize("learner", [ridge, matched_kernel])
def test_known_pairs_break_plain_filters_and_not_the_default(
    learner: object, schema: LinkageSchema, columns: Columns
) -> None:
    def learnt(of: LinkageSchema) -> Learnt:
        codes, people = codes_of(of, columns), plain_people(of, columns, ATTACKER)
        assert callable(learner)
        result = learner(codes, people, KnownPairs.draw(len(codes), 200, 1))
        assert isinstance(result, Learnt)
        return result

    assert learnt(control_of(schema)).everyone.value > 0.95
    assert learnt(schema).everyone.value < 0.03


def test_two_majorities_are_too_few(schema: LinkageSchema, columns: Columns) -> None:
    weak = with_scheme(schema, "saul", 4096, 2)
    codes, people = codes_of(weak, columns), plain_people(weak, columns, ATTACKER)
    found = matched_kernel(codes, people, KnownPairs.draw(len(codes), 200, 1))
    assert found.everyone.exceeded
    assert found.unrelated.trials <= found.everyone.trials


def test_landmarks_break_plain_filters_at_half_overlap(
    schema: LinkageSchema, columns: Columns
) -> None:
    plain = control_of(schema)
    overlap = Overlap.draw(len(columns["nama"]), 0.5, 2)
    rates = [
        seeded_matching(
            codes_of(s, columns), plain_people(s, columns, ATTACKER), overlap, 20
        ).rate()
        for s in (plain, schema)
    ]
    assert rates[0].value > 0.9
    assert rates[1].value < 0.03


def test_blind_matching_breaks_plain_filters(schema: LinkageSchema, columns: Columns) -> None:
    plain = control_of(schema)
    overlap = Overlap.draw(len(columns["nama"]), 1.0, 2)
    rates = [
        blind_matching(codes_of(s, columns), plain_people(s, columns, ATTACKER), overlap).rate()
        for s in (plain, schema)
    ]
    assert rates[0].value > 0.95
    assert rates[1].value < 0.03


def test_diffusion_shows_cancelling_records_and_the_default_does_not(
    schema: LinkageSchema, columns: Columns
) -> None:
    diffused = subject_of(with_scheme(schema, "diffused", 2048), columns, SeededKeys(1), 2).tuples
    assert diffused.n_rectangles > 50
    assert diffused.found > 0.5
    assert diffused.z_most > 4
    default = subject_of(schema, columns, SeededKeys(1), 2).tuples
    assert default.found <= default.found_limit
    assert default.z_mean < 2


def test_a_schema_of_names_alone_can_be_probed(schema: LinkageSchema, columns: Columns) -> None:
    alone = names_alone(schema)
    assert subject_of(alone, columns, SeededKeys(1), 2).tuples.n_rectangles > 50
    diffused = subject_of(with_scheme(alone, "diffused", 2048), columns, SeededKeys(1), 2)
    assert diffused.tuples.z_most > 4


def test_an_attack_that_does_not_break_its_control_is_void(
    schema: LinkageSchema, columns: Columns
) -> None:
    subject = subject_of(schema, columns, SeededKeys(VICTIM), ATTACKER)
    # A control that no attack can break.
    outcomes = run_gate(subject, subject, Sent({}, {}), LEVELS["quick"], 1)
    assert outcomes
    assert all(outcome.unbroken for outcome in outcomes if outcome.attack.startswith(("A3", "A4")))
    assert all(outcome.void for outcome in outcomes if outcome.unbroken and not outcome.exceeded)
    assert any(outcome.void for outcome in outcomes)


def test_plain_filters_fail_the_gate_by_name(schema: LinkageSchema, columns: Columns) -> None:
    subject = subject_of(control_of(schema), columns, SeededKeys(VICTIM), ATTACKER)
    values = {"nama": np.arange(len(subject), dtype=np.uint64) // 7 + 1}
    outcomes = run_gate(subject, subject, Sent({}, values), LEVELS["quick"], 1)
    failed = {outcome.attack for outcome in outcomes if outcome.exceeded}
    assert {"A3 ridge", "A3 matched kernel", "A4 planted rectangles", "A5 lint"} <= failed


def test_columns_are_joined_word_by_word(columns: Columns) -> None:
    column = columns["nama"]
    first, second = np.arange(20), np.arange(10, 40)
    whole = joined(take(column, first), take(column, second))
    assert len(whole) == 50
    assert len(set(zip(whole.vocabulary, whole.classes.tolist(), strict=True))) == len(
        whole.vocabulary
    )
    for place, record in enumerate([*first.tolist(), *second.tolist()]):
        assert whole.words_of(place) == column.words_of(record)


def test_of_a_padded_register_the_real_ones_are_counted_apart(
    schema: LinkageSchema, columns: Columns
) -> None:
    textbook = control_of(schema)
    n = len(columns["nama"])
    real = np.arange(n) < n // 3
    subject = subject_of(textbook, columns, SeededKeys(VICTIM), ATTACKER, real)
    outcomes = {
        outcome.setting: outcome
        for outcome in known_pairs(subject, subject, LEVELS["quick"], 1)
        if outcome.attack == "A3 ridge"
    }
    apart = outcomes["200 known, own records alone"]
    assert apart.exceeded
    assert apart.interval is not None
    assert outcomes["200 known"].interval is not None
    # Fewer trials, wider interval.
    assert apart.interval[1] - apart.interval[0] > np.subtract(
        *outcomes["200 known"].interval[::-1]
    )


def test_a_record_written_twice_counts_once(schema: LinkageSchema, columns: Columns) -> None:
    n = len(columns["nama"])
    twice = np.concatenate([np.arange(n), [3, 5]])
    doubled = {name: take(column, twice) for name, column in columns.items()}
    assert distinct_persons(schema, doubled, 1).tolist() == list(range(n))
