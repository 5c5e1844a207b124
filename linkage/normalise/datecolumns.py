"""Whole columns of dates, with the same outcome as `dates.read_date`, value by value."""

import numpy as np
import pyarrow as pa

from linkage.normalise.arrow import Values, flagged_by_value, text_array
from linkage.normalise.columns import FlaggedColumn
from linkage.normalise.dates import precision_of, read_date
from linkage.normalise.filling import number_by_appearance
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.usualdates import calendar, usual_days

_DEFAULT = NormaliseOptions()


def date_column(values: Values, options: NormaliseOptions = _DEFAULT) -> FlaggedColumn:
    """Return a column of dates; the classes are their `dates.Precision`.

    Args:
        values: dates as a source has them; None and "" are missing.
        options: the order of a date's parts, the pivot of short years, and rule D02.
    """
    placeholders = options.placeholders
    usual = calendar(placeholders)
    array = text_array(values)
    numbers = usual_days(array, options.date_order)
    flags = np.where(numbers >= 0, usual.flags[numbers], np.uint32(0))

    # Values that are written otherwise; words that are in no calendar come behind it.
    def read(value: str) -> tuple[list[str], int]:
        date = read_date(value, options.date_order, options.year_pivot, placeholders=placeholders)
        return ([date.word] if date.word else []), int(date.flags)

    records = np.flatnonzero(numbers < 0)
    others = flagged_by_value(array.take(pa.array(records, pa.int64())), read)
    flags[records] = others.flags
    n_usual = len(usual.words)
    word_numbers = np.array(
        [usual.number.get(word, n_usual + i) for i, word in enumerate(others.vocabulary)],
        dtype=np.int32,
    )
    numbers[records[np.diff(others.offsets) > 0]] = word_numbers[others.word_ids]

    has_word = numbers >= 0
    offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    np.cumsum(has_word, out=offsets[1:])
    word_ids, order = number_by_appearance(numbers[has_word], n_usual + len(others.vocabulary))
    vocabulary = [
        usual.words[i] if i < n_usual else others.vocabulary[i - n_usual] for i in order.tolist()
    ]
    other_classes = [precision_of(word, placeholders) for word in others.vocabulary]
    classes = np.concatenate([usual.classes, np.array(other_classes, dtype=np.uint8)])
    return FlaggedColumn(vocabulary, word_ids, offsets, flags, classes[order])
