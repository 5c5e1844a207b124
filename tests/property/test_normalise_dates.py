"""Dates never raise, keep what is right, and are stable."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from linkage.normalise.dates import parse_date, parts_of_word, precision_of
from linkage.normalise.datevariants import compare_dates, date_variants

garbage = st.one_of(st.text(), st.text(alphabet="0123456789-/. <oIl", max_size=14))
orders = st.sampled_from(["YMD", "DMY", "MDY"])
pivots = st.one_of(st.none(), st.integers(1950, 2030))
real = st.dates(datetime.date(1850, 1, 1), datetime.date(2090, 12, 31))


@given(garbage, orders, pivots)
def test_a_word_or_nothing_comes_out_and_stays_itself(value, order, pivot) -> None:  # type: ignore[no-untyped-def]
    word = parse_date(value, order, pivot)
    if word is not None:
        precision_of(word)
        assert any(part is not None for part in parts_of_word(word))
        assert parse_date(word, order, pivot) == word


@given(real)
def test_every_usual_form_of_a_date_is_that_date(date: datetime.date) -> None:
    word = date.isoformat()
    assert parse_date(word) == word
    assert parse_date(f"{date:%d-%m-%Y}") == word
    assert parse_date(f"{date:%d/%m/%Y}", "DMY") == word
    assert parse_date(f"{date:%m/%d/%Y}", "MDY") == word
    assert parse_date(f"{date:%Y%m%d}") == word
    assert parse_date(f"{date:%Y-%m-%d %H:%M:%S}") == word


@given(real)
def test_every_variant_is_one_swap_away(date: datetime.date) -> None:
    word = date.isoformat()
    for variant in date_variants(word):
        assert variant != word
        assert compare_dates(word, variant) in {"swapped", "transposed", "slip"}


@given(real, real)
def test_comparing_is_symmetric(left: datetime.date, right: datetime.date) -> None:
    a, b = left.isoformat(), right.isoformat()
    assert compare_dates(a, b) == compare_dates(b, a)
