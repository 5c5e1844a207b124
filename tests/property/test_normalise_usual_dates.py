import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.normalise.dates import read_date
from linkage.normalise.usualdates import read_usual_date

ORDERS = st.sampled_from(["YMD", "DMY", "MDY"])
FORMS = ("%Y-%m-%d", "%d-%m-%Y", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m/%Y")
DATES = st.dates(datetime.date(1900, 1, 1), datetime.date(2040, 1, 1))
# Digits and separators in any arrangement: most of it no date at all.
JUMBLED = st.text("0123456789-/.", min_size=10, max_size=10)


@given(DATES, st.sampled_from(FORMS), ORDERS, st.booleans())
def test_a_usual_date_reads_as_by_the_definition(
    date: datetime.date, form: str, order: str, placeholders: bool
) -> None:
    text = date.strftime(form)
    found = read_usual_date(text, order, placeholders=placeholders)  # type: ignore[arg-type]
    if found is not None:
        assert found == read_date(text, order, placeholders=placeholders)  # type: ignore[arg-type]


@given(JUMBLED | st.text(max_size=12), ORDERS)
def test_whatever_is_found_reads_as_by_the_definition(text: str, order: str) -> None:
    found = read_usual_date(text, order, placeholders=True)  # type: ignore[arg-type]
    if found is not None:
        assert found == read_date(text, order)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["DMY", "MDY", "YMD"])
def test_every_usual_date_is_found_in_its_order(order: str) -> None:
    form = {"DMY": "%d-%m-%Y", "MDY": "%m-%d-%Y", "YMD": "%Y-%m-%d"}[order]
    for day in range(
        datetime.date(1940, 1, 1).toordinal(), datetime.date(2020, 1, 1).toordinal(), 7
    ):
        text = datetime.date.fromordinal(day).strftime(form)
        found = read_usual_date(text, order, placeholders=True)  # type: ignore[arg-type]
        assert found == read_date(text, order)  # type: ignore[arg-type]
