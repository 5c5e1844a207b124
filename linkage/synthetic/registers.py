"""Registers of several agencies about one population.

Decides whom each agency holds and numbers the records; what they get wrong is
left to `corrupt`.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from linkage.synthetic.agencies import AGENCIES, Agency, can_hold, fit_names, form, holdings
from linkage.synthetic.columns import Ints, Mask, Text, choose, days, text
from linkage.synthetic.corrupt import Change, corrupt
from linkage.synthetic.grades import GRADES, Grade
from linkage.synthetic.population import Population
from linkage.synthetic.records import Records
from linkage.synthetic.streams import stream
from linkage.synthetic.subgroups import subgroups

DUPLICATE = "duplicate"
"""In the ledger, the mutator of a second record; its column is `record_id`."""


@dataclass(frozen=True)
class Registers:
    """Registers with the truth about them.

    Attributes:
        tables: by agency; `record_id`, `entity_id` and the agency's columns, all text but
            the two numbers. `record_id` counts from 1 in shuffled order and tells nothing.
        ledger: what was done to whom: `entity_id`, `register`, `record_id`, `column`,
            `mutator`, one row for each cell and mutator that changed it.
        groups: `entity_id` of every person with the flags of `subgroups`.
    """

    tables: Mapping[str, pa.Table]
    ledger: pa.Table
    groups: pa.Table


def make_registers(
    population: Population,
    names: Sequence[str],
    grade: str | Grade,
    seed: int,
    overlap: float | None = None,
) -> Registers:
    """Return the registers of some agencies; equal arguments give equal tables.

    Args:
        population: the people.
        names: agencies of `AGENCIES`, each once.
        grade: a name in `GRADES`, or rates of one's own.
        seed: 0 or more.
        overlap: None leaves each agency its natural holdings. A share in [0, 1] thins
            them: of the persons whom two or more agencies would hold, this share stays in
            all of these, and every other one in the least populous of them only.

    Raises:
        ValueError: an unknown or repeated agency or grade, or no share.
    """
    chosen = GRADES.get(grade) if isinstance(grade, str) else grade
    if chosen is None:
        raise ValueError(f"no such grade: {grade}; there are {', '.join(GRADES)}")
    if not set(names) <= set(AGENCIES) or len(set(names)) < len(names) or not names:
        raise ValueError(f"name each register once, of {', '.join(AGENCIES)}")
    if overlap is not None and not 0 <= overlap <= 1:
        raise ValueError("overlap is a share in [0, 1]")
    records = Records(population)
    today = days(population.reference_date)
    age = (today - records.birth) / 365.25
    held = {
        name: holdings(
            name,
            stream(seed, "holdings", name),
            population.persons,
            records.has_passport,
            age,
        )
        for name in names
    }
    if overlap is not None:
        held = thin(stream(seed, "overlap"), held, overlap)
    tables, entries = {}, []
    for name in names:
        tables[name], made = _register(records, name, held[name], chosen, seed, today)
        entries.append(made)
    ledger = pa.concat_tables(entries).unify_dictionaries()
    return Registers(tables, ledger, subgroups(population, ledger))


def thin(rng: np.random.Generator, held: Mapping[str, Mask], overlap: float) -> dict[str, Mask]:
    """Return holdings of which the share `overlap` of the shared persons stays shared."""
    smallest_first = sorted(held, key=lambda name: (int(held[name].sum()), name))
    masks = np.array([held[name] for name in smallest_first])
    shared = np.flatnonzero(np.add.reduce(masks, axis=0, dtype=np.int64) > 1)
    leaving = rng.permutation(shared)[round(overlap * len(shared)) :]
    home = masks[:, leaving].argmax(axis=0)
    masks[:, leaving] = np.arange(len(masks))[:, None] == home
    return {name: masks[smallest_first.index(name)] for name in held}


def _register(
    records: Records, name: str, held: Mask, grade: Grade, seed: int, today: int
) -> tuple[pa.Table, pa.Table]:
    """Return one register, and its part of the ledger."""
    agency = AGENCIES[name]
    rng = stream(seed, "records", name)
    persons = np.flatnonzero(held)
    again = persons[rng.random(len(persons)) < grade.duplicates]
    order = rng.permutation(len(persons) + len(again))
    rows = np.concatenate([persons, again])[order]
    columns = fit_names(agency, records.columns(agency.columns, rows))
    columns = _leave_unasked(agency, columns, seed, name)
    facts = fit_names(agency, records.facts(rows))
    columns, changes = corrupt(
        columns, facts, grade, seed, name, today, agency.factors, partial(can_hold, agency)
    )
    second = np.flatnonzero(order >= len(persons))
    changes.append(Change("record_id", DUPLICATE, second))
    numbers = pa.array(np.arange(1, len(rows) + 1))
    table = pa.table(
        {"record_id": numbers, "entity_id": pa.array(rows + 1), **form(agency, columns)}
    )
    return table, _ledger(name, rows, changes)


def _leave_unasked(
    agency: Agency, columns: Mapping[str, Text], seed: int, name: str
) -> dict[str, Text]:
    """Empty the cells that the agency never asked for; no error, so in no ledger."""
    asked = dict(columns)
    for column, share in agency.never_asked.items():
        drawn = stream(seed, "unasked", name, column).random(len(asked[column]))
        asked[column] = choose(drawn < share, None, asked[column])
    return asked


def _ledger(name: str, rows: Ints, changes: Sequence[Change]) -> pa.Table:
    at = np.concatenate([change.rows for change in changes])
    counts = np.array([len(change.rows) for change in changes])
    which = np.repeat(np.arange(len(changes)), counts)
    return pa.table(
        {
            "entity_id": pa.array(rows[at] + 1),
            "register": _coded([name], np.zeros(len(at), dtype=np.int64)),
            "record_id": pa.array(at + 1),
            "column": _coded([change.column for change in changes], which),
            "mutator": _coded([change.mutator for change in changes], which),
        }
    )


def _coded(words: list[str], ids: Ints) -> "pa.Array[Any]":
    """Return `words[ids]` as dictionary-encoded text, each word once in the dictionary."""
    dictionary_array: Any = pa.DictionaryArray  # the stubs take an array of int32 for one of bool
    distinct, code = np.unique(words, return_inverse=True)
    coded: pa.Array[Any] = dictionary_array.from_arrays(
        pa.array(code[ids].astype(np.int32)), text(distinct.tolist())
    )
    return coded


def register_csv_chunks(table: pa.Table, rows_per_chunk: int = 65_536) -> Iterator[bytes]:
    """Yield a table as UTF-8 CSV: a row of column names, then the records.

    A missing value is an empty cell, text is in quotes, numbers are not.

    Args:
        table: any of the tables of `Registers` or `Population`.
        rows_per_chunk: records per chunk; 1 or more.
    """
    yield (",".join(table.column_names) + "\n").encode()
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
    for start in range(0, table.num_rows, rows_per_chunk):
        chunk = io.BytesIO()
        pyarrow.csv.write_csv(_plain_text(table.slice(start, rows_per_chunk)), chunk, options)
        yield chunk.getvalue()


def _plain_text(table: pa.Table) -> pa.Table:
    """Return the table with its coded columns as text, which the CSV writer wants."""
    for i, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type):
            table = table.set_column(i, column.name, table.column(i).cast(pa.string()))
    return table
