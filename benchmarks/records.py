"""The records of a set, read or made, with the truth apart from what is linked.

Every set ends as one table of text per file: `record_id`, `entity_id` (the truth) and
the attributes under their shared names, values as the source has them. What a
contestant does to the values first is left to the contestant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from benchmarks import toolkit
from benchmarks.experiment import Experiment, Set
from linkage.synthetic import (
    GROUPS,
    Grade,
    Mix,
    Registers,
    generate_population,
    make_registers,
)

TRUTH = "entity_id"
SMALL_PERSONS = 120
SYNTHETIC_REGISTERS = ("dukcapil", "imigrasi")
# About 5,000 and 3,000 records, of which some 1,700 persons are in both: half of the
# country's people with a passport, and two fifths of those in the other register only.
_SYNTHETIC_PERSONS = 6_400
_SMALL_SYNTHETIC = 4 * SMALL_PERSONS
_SYNTHETIC_MIX = Mix(passports=0.46)
_SYNTHETIC_OVERLAP = 0.6


class MissingSetError(Exception):
    """A set is not here: it is skipped, and named."""


@dataclass(frozen=True)
class RecordSet:
    """The records of one set.

    Attributes:
        experiment: what is told of them.
        files: name of each file or register.
        tables: text columns `record_id`, `entity_id` and the attributes, by file.
        person: number of each record's person over all files in a row, shape (n,).
        file: number of each record's file, shape (n,).
    """

    experiment: Experiment
    files: tuple[str, ...]
    tables: tuple[pa.Table, ...]
    person: NDArray[np.int64]
    file: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.person)


def load_records(experiment: Experiment, data: Path, small: bool = False) -> RecordSet:
    """Return the records of a set.

    Args:
        experiment: which set.
        data: folder of the sets that are files.
        small: keep some 120 persons with duplicates and as many without.

    Raises:
        MissingSetError: its files are not in `data`.
    """
    raw = _raw_tables(experiment.set, data, small)
    tables = {name: _as_text(experiment, table) for name, table in raw.items()}
    return record_set(experiment, _few_persons(tables) if small else tables)


def synthetic_records(experiment: Experiment, grade: str | Grade, persons: int) -> RecordSet:
    """Return a pair of synthetic registers with errors of any grade."""
    registers = synthetic_registers(grade, experiment.set.seed, persons)
    return record_set(
        experiment, {name: _as_text(experiment, table) for name, table in registers.items()}
    )


def sample(records: RecordSet, most: int) -> RecordSet:
    """Return the records of some persons, with all of each: at most `most`, or a few more.

    The persons with several records are as large a share of it as they are of the whole.
    """
    if len(records) <= most:
        return records
    order = np.random.default_rng(0).permutation(int(records.person.max()) + 1)
    size = np.bincount(records.person)[order]
    kept = np.isin(records.person, order[: int(np.searchsorted(np.cumsum(size), most)) + 1])
    named = zip(records.files, records.tables, strict=True)
    return record_set(
        records.experiment,
        {
            name: table.filter(pa.array(kept[records.file == number]))
            for number, (name, table) in enumerate(named)
        },
    )


def record_set(experiment: Experiment, named: Mapping[str, pa.Table]) -> RecordSet:
    """Return tables of text as the records of a set."""
    tables = tuple(named.values())
    truths = [value for table in tables for value in table[TRUTH].to_pylist()]
    _, person = np.unique(np.array(truths), return_inverse=True)
    file = np.repeat(np.arange(len(tables), dtype=np.uint8), [table.num_rows for table in tables])
    return RecordSet(experiment, tuple(named), tables, person.astype(np.int64), file)


def _raw_tables(source: Set, data: Path, small: bool) -> dict[str, pa.Table]:
    if source.febrl is not None:
        return toolkit.load_febrl(source.febrl)
    if source.grade is not None:
        persons = _SMALL_SYNTHETIC if small else _SYNTHETIC_PERSONS
        return synthetic_registers(source.grade, source.seed, persons)
    paths = [data / source.folder / name for name in source.files]
    absent = [path.name for path in paths if not path.is_file()]
    if absent:
        raise MissingSetError(f"no {', '.join(absent)} in {source.folder}")
    return {path.name: _read(path) for path in paths}


def synthetic_registers(grade: str | Grade, seed: int, persons: int) -> dict[str, pa.Table]:
    """Return a balanced pair of synthetic registers."""
    return dict(_registers(grade, seed, persons).tables)


def _registers(grade: str | Grade, seed: int, persons: int) -> Registers:
    population = generate_population(persons, seed, mix=_SYNTHETIC_MIX)
    return make_registers(population, SYNTHETIC_REGISTERS, grade, seed, _SYNTHETIC_OVERLAP)


def synthetic_groups(records: RecordSet) -> dict[str, NDArray[np.bool_]]:
    """Return which records are of a person of each group of `linkage.synthetic.GROUPS`.

    Args:
        records: a pair of synthetic registers from `load_records`, whole or small.

    Raises:
        ValueError: they are none.
    """
    source = records.experiment.set
    if source.grade is None:
        raise ValueError(f"{source.name}: nothing is known of its people")
    persons = [int(str(value)) for table in records.tables for value in table[TRUTH].to_pylist()]
    n_persons = _SMALL_SYNTHETIC if max(persons) <= _SMALL_SYNTHETIC else _SYNTHETIC_PERSONS
    groups = _registers(source.grade, source.seed, n_persons).groups
    row_of = {person: row for row, person in enumerate(groups["entity_id"].to_pylist())}
    rows = np.array([row_of[person] for person in persons])
    return {name: np.asarray(groups[name], dtype=np.bool_)[rows] for name in GROUPS}


def _read(path: Path) -> pa.Table:
    with pa.input_stream(str(path), compression="detect") as stream:
        names = stream.read(1 << 16).split(b"\n")[0].decode().strip().split(",")
    return pyarrow.csv.read_csv(
        path,
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _as_text(experiment: Experiment, table: pa.Table) -> pa.Table:
    names = [column.name for column in experiment.columns]
    columns = {name: table[name].cast(pa.string()).fill_null("") for name in names}
    record_id = (
        table["record_id"].cast(pa.string())
        if "record_id" in table.column_names
        else pa.array([str(row) for row in range(table.num_rows)])
    )
    return pa.table(
        {"record_id": record_id, TRUTH: table[experiment.truth].cast(pa.string()), **columns}
    )


def _few_persons(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    counts: dict[str, int] = {}
    for table in tables.values():
        for value in table[TRUTH].to_pylist():
            counts[str(value)] = counts.get(str(value), 0) + 1
    several = sorted(value for value, count in counts.items() if count > 1)
    alone = sorted(value for value, count in counts.items() if count == 1)
    kept = {*several[:SMALL_PERSONS], *alone[:SMALL_PERSONS]}
    return {
        name: table.filter(pa.array([value in kept for value in table[TRUTH].to_pylist()]))
        for name, table in tables.items()
    }
