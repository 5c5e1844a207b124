"""Columns of dates agree with the definition, however the dates are written."""

import datetime
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.normalise.arrow import text_array
from linkage.normalise.datecolumns import date_column
from linkage.normalise.dateparts import DateOrder
from linkage.normalise.dates import Placeholders, precision_of, read_date
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.usualdates import calendar, usual_days

OPTIONS_WITH = {
    Placeholders.NONE: NormaliseOptions(without=frozenset({"D02"})),
    Placeholders.OF_YEAR: NormaliseOptions(),
    Placeholders.OF_YEAR_AND_MONTH: NormaliseOptions(language="indonesian"),
}
ORDERS = st.sampled_from(["YMD", "DMY", "MDY"])
FORMS = (
    "%Y-%m-%d", "%d-%m-%Y", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m/%Y", "%Y%m%d",
    "%d %B %Y", "%Y-%m",
)  # fmt: skip
DATES = st.dates(datetime.date(1900, 1, 1), datetime.date(2040, 1, 1))
WRITTEN = st.builds(lambda date, form: date.strftime(form), DATES, st.sampled_from(FORMS))
# Digits and separators in any arrangement: most of it no date at all.
JUMBLED = st.text("0123456789-/.", min_size=10, max_size=10)
# Days and months up to 39, so that some do not exist.
NEARLY = st.from_regex(r"[0-3][0-9]([-/.])[0-3][0-9]\1(19|20)[0-9]{2}", fullmatch=True)
VALUES = st.none() | WRITTEN | JUMBLED | NEARLY | st.text(max_size=12)


@given(st.lists(VALUES, max_size=30), ORDERS, st.sampled_from(Placeholders))
def test_a_column_of_dates_is_that_of_the_definition(
    values: list[str | None], order: DateOrder, placeholders: Placeholders
) -> None:
    options = replace(OPTIONS_WITH[placeholders], date_order=order)
    assert options.placeholders == placeholders
    column = date_column(values, options)
    assert len(column) == len(values)
    for record, value in enumerate(values):
        date = read_date(value or "", order, placeholders=placeholders)
        assert column.words_of(record) == ((date.word,) if date.word else ())
        assert column.flags[record] == (date.flags if value else 0)
    classes = [precision_of(word, placeholders) for word in column.vocabulary]
    assert column.classes.tolist() == classes
    # Distinct words, in order of first appearance.
    seen = dict.fromkeys(word for r in range(len(values)) for word in column.words_of(r))
    assert column.vocabulary == list(seen)


@given(st.lists(VALUES, min_size=1, max_size=30), st.data())
def test_a_slice_of_a_column_reads_as_by_itself(
    values: list[str | None], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(values)))
    part = pa.array(values, pa.large_string()).slice(start)
    assert (
        usual_days(part, "DMY").tolist() == usual_days(text_array(values), "DMY")[start:].tolist()
    )


@pytest.mark.parametrize(
    ("order", "form"), [("DMY", "%d-%m-%Y"), ("MDY", "%m/%d/%Y"), ("YMD", "%Y.%m.%d")]
)
def test_every_usual_day_is_found(order: DateOrder, form: str) -> None:
    words = calendar(Placeholders.OF_YEAR).words
    written = [datetime.date.fromisoformat(word).strftime(form) for word in words]
    assert usual_days(text_array(written), order).tolist() == list(range(len(words)))
    assert usual_days(text_array(words), order).tolist() == list(range(len(words)))
