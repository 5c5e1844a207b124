import numpy as np

from benchmarks.known_pairs import (
    CODINGS,
    KnownPairsResult,
    Point,
    measure_known_pairs,
    people_of,
    schema_of_people,
)
from benchmarks.known_pairs_table import known_pairs_picture, known_pairs_table
from linkage.compare.bits import as_words
from linkage.encode.encoder import Encoder
from linkage.privacy.learner import KnownPairs, matched_kernel
from linkage.privacy.people import SeededKeys, plain_people
from linkage.privacy.rates import Rate

NAME = CODINGS[0].name


def point(n_known: int, hits: int) -> Point:
    rate = Rate(hits, 5000, 1 / 5000)
    return Point(NAME, n_known, rate, rate, rate)


def test_the_budget_is_where_the_upper_end_meets_the_limit() -> None:
    over = KnownPairsResult(5000, [point(2500, 100), point(5000, 200)])
    assert over.budget(NAME) == "below 2,500"
    under = KnownPairsResult(5000, [point(2500, 1), point(40_000, 2)])
    assert under.budget(NAME) == "40,000 or more"
    between = KnownPairsResult(5000, [point(10_000, 5), point(20_000, 90)])
    assert between.budget(NAME).startswith("about 1")
    assert 10_000 < int(between.budget(NAME).split()[1].replace(",", "")) < 20_000


def test_a_small_run_has_all_points_and_pictures() -> None:
    result = measure_known_pairs(small=True)
    assert [p.n_known for p in result.of(NAME)] == [250, 1000]
    assert len(result.points) == 2 * len(CODINGS)
    table = known_pairs_table(result)
    assert len(table.rows) == len(result.points)
    assert all(len(row) == len(table.header) for row in table.rows)
    assert known_pairs_picture(result).startswith("<svg")
    # The learner of the gate, which takes all known pairs at once, names as many.
    schema = schema_of_people()
    columns = people_of(schema, 1500)
    codes = as_words(Encoder(schema, SeededKeys(1), bytes).codes(columns))
    pairs = KnownPairs(np.arange(500, 1500), np.arange(500))
    at_once = matched_kernel(codes, plain_people(schema, columns, 2), pairs)
    last = result.of(NAME)[-1]
    assert abs(at_once.everyone.hits - last.everyone.hits) <= 1
    assert abs(at_once.unrelated.trials - last.unrelated.trials) <= 1
