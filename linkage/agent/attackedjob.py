"""A7 on an agency's own records: a job between two registers drawn from its file, or of two files.

Of two files each says of a person what it says, errors and all, and the persons that only one of
them has are those that it has.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.agent.attack import WholeJob
from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.jobview import job_view, token_view
from linkage.agent.source import Source
from linkage.errors import RecordError
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.graph import Overlap
from linkage.privacy.made import take
from linkage.privacy.outcome import Outcome
from linkage.privacy.wholejob import KNOWN, AttackedJob, attack_whole_job, control_rate
from linkage.schema import LinkageSchema

Columns = Mapping[str, FlaggedColumn]
# Normalised words by attribute, and whose record each is.
Register = tuple[Columns, NDArray[np.int64]]

_JOB_OVERLAP = 0.5
# Of two files; an attack holds a table of all of them against all.
_MOST_PERSONS = 5_000


def attack_job(
    schema: LinkageSchema,
    columns: Columns,
    seed: int,
    on_attack: Callable[[str], None] = lambda _name: None,
) -> list[Outcome]:
    """A7 on a job between two registers with half of their persons in common.

    One file is all that there is, so both registers are drawn from it, and what they say of
    a person is the same.
    """
    n = len(next(iter(columns.values())))
    drawn = Overlap.draw(n, _JOB_OVERLAP, seed)
    left, right = (
        ({name: take(column, person) for name, column in columns.items()}, person)
        for person in (drawn.encoded, drawn.plain)
    )
    return attack_registers(schema, left, right, seed, on_attack)


def two_files(own: SourceConfig, other: SourceConfig, truth: str) -> WholeJob:
    """Return A7 on a job between two files whose persons a column names.

    Args:
        own: the agency's file.
        other: a file of another register, or an older one of its own.
        truth: column of both; records without it are left out, and of several records of one
            person in a file all but the first.
    """

    def attacked(
        schema: LinkageSchema, _columns: Columns, seed: int, on_attack: Callable[[str], None]
    ) -> list[Outcome]:
        on_attack("A7 whole job, reading both files")
        left, right = _registers(schema, (own, other), truth, seed)
        return attack_registers(schema, left, right, seed, on_attack)

    return attacked


def _registers(
    schema: LinkageSchema, files: tuple[SourceConfig, SourceConfig], truth: str, seed: int
) -> tuple[Register, Register]:
    """Return the first record of each person in both files, of so many persons as an attack takes.

    Raises:
        RecordError: a file cannot be used, or the two have no person in common.
    """
    tables = [
        pa.concat_tables(list(Source(config, schema, also=(truth,)).chunks())) for config in files
    ]
    named = [
        np.array([name or "" for name in table[truth].to_pylist()], dtype=np.str_)
        for table in tables
    ]
    both = np.intersect1d(named[0], named[1])
    if not (both != "").any():
        raise RecordError(f"no person has a record in both files, by their column {truth!r}")
    persons = np.unique(np.concatenate(named))
    persons = persons[persons != ""]
    if len(persons) > _MOST_PERSONS:
        persons = np.sort(np.random.default_rng(seed).permutation(persons)[:_MOST_PERSONS])
    found = []
    for config, table, names in zip(files, tables, named, strict=True):
        distinct, first = np.unique(names, return_index=True)
        kept = np.isin(distinct, persons)
        person = np.searchsorted(persons, distinct[kept])
        chosen = table.take(first[kept]).combine_chunks()
        columns = RecordNormaliser(schema, config).columns(chosen)
        found.append((columns, person.astype(np.int64)))
    return found[0], found[1]


def attack_registers(
    schema: LinkageSchema,
    left: Register,
    right: Register,
    seed: int,
    on_attack: Callable[[str], None] = lambda _name: None,
) -> list[Outcome]:
    """A7 on a job between two registers whose persons are known.

    Args:
        schema: the linkage schema.
        left: the one register, each person at most once.
        right: the other one.
        seed: of all draws but the keys.
        on_attack: told what is being done.

    Returns:
        The figures; none of a job of one round that sends no tokens, for A1 to A5 attack codes.
    """
    outcomes, control = list[Outcome](), None
    if schema.match.rounds == 1 and not schema.block and not schema.exact_attributes:
        return outcomes
    for setting, plain, knows_both in (
        ("both plain registers", (left, right), True),
        ("half of the persons of both", _half_of(left, right, seed), True),
        ("one plain register", (left, left), False),
    ):
        on_attack(f"A7 whole job, {setting}")
        job = attacked_job(schema, (left, right), plain, seed)
        # The strongest attacker shows that the attack works.
        control = control or control_rate(job, seed)
        outcomes += attack_whole_job(setting, job, KNOWN, control, seed, knows_both=knows_both)
    return outcomes


def attacked_job(
    schema: LinkageSchema,
    registers: tuple[Register, Register],
    plain: tuple[Register, Register],
    seed: int,
) -> AttackedJob:
    """Run a job of two registers, and another one of what an attacker has of them.

    Args:
        schema: the linkage schema.
        registers: the registers of the job.
        plain: those of the attacker.
        seed: of what is drawn.
    """
    seen, own = (
        token_view(schema, left[0], right[0])
        if schema.match.rounds == 1
        else job_view(schema, left[0], right[0], seed + number)
        for number, (left, right) in enumerate((registers, plain))
    )
    return AttackedJob(
        seen=seen,
        own=own,
        person=registers[0][1],
        own_person=plain[0][1],
        shared=np.intersect1d(plain[0][1], plain[1][1]),
    )


def _half_of(left: Register, right: Register, seed: int) -> tuple[Register, Register]:
    """Return the records of half of the persons."""
    highest = max(int(left[1].max(initial=0)), int(right[1].max(initial=0)))
    held = np.random.default_rng(seed).random(highest + 1) < 1 / 2
    ours, theirs = (
        (
            {name: take(column, np.flatnonzero(held[person])) for name, column in columns.items()},
            person[held[person]],
        )
        for columns, person in (left, right)
    )
    return ours, theirs
