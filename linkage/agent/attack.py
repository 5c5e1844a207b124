"""The risk gate on an agency's own file: encode it under throw-away keys, and attack.

Keys are drawn anew and forgotten, so nothing of what is attacked could serve anybody, and
the agreement's own key is not touched.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keys.derive import KeyContext, LinkageKey
from linkage.agent.blocktokens import block_tokens
from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.jobview import job_view
from linkage.agent.source import Source
from linkage.encode.encoder import ENCODER_VERSION, Encoder, schema_id
from linkage.encode.oncetokens import within_entries
from linkage.errors import RecordError
from linkage.normalise import NORM_VERSION
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.gate import LEVELS, Outcome, run_gate
from linkage.privacy.graph import Overlap
from linkage.privacy.made import take
from linkage.privacy.people import SeededKeys, control_of, plain_people
from linkage.privacy.subject import distinct_persons, subject_of
from linkage.privacy.wholejob import KNOWN, AttackedJob, attack_whole_job
from linkage.schema import LinkageSchema

# Normalised words by attribute, and which of the records a register has.
Register = tuple[Mapping[str, FlaggedColumn], NDArray[np.int64]]

_JOB_OVERLAP = 0.5
# Fewer say nothing: the control cannot be broken, and chance alone is near the limits.
FEWEST_RECORDS = 500


@dataclass(frozen=True)
class GateResult:
    """What a gate found, and what it is bound to.

    Attributes:
        schema_id: of the schema under which was encoded.
        level: how thorough the gate was.
        n_records: records that were attacked.
        seed: of all draws but the keys.
        outcomes: the figures.
    """

    schema_id: bytes
    level: str
    n_records: int
    seed: int
    outcomes: tuple[Outcome, ...]

    @property
    def void(self) -> bool:
        """Whether an attack did not break its control."""
        return any(outcome.void for outcome in self.outcomes)

    @property
    def failed(self) -> bool:
        """Whether any attack exceeded its limit."""
        return any(outcome.exceeded for outcome in self.outcomes)

    def to_dict(self) -> dict[str, object]:
        """Return the result as JSON can have it."""
        return {
            "schema_id": self.schema_id.hex(),
            "norm_version": NORM_VERSION,
            "encoder_version": ENCODER_VERSION,
            "level": self.level,
            "records": self.n_records,
            "seed": self.seed,
            "failed": self.failed,
            "void": self.void,
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
        }


def attack(
    schema: LinkageSchema,
    source: SourceConfig,
    level: str,
    seed: int = 1,
    on_attack: Callable[[str], None] = lambda _name: None,
) -> GateResult:
    """Attack an agency's own records under a schema.

    Args:
        schema: the linkage schema.
        source: the agency's file.
        level: one of `LEVELS`.
        seed: of all draws but the keys; equal seeds take equal samples.
        on_attack: told what is being done.

    Raises:
        RecordError: the file cannot be used, or has too few records.
    """
    thorough = LEVELS[level]
    on_attack("reading")
    table = _sample(schema, source, thorough.most_records, seed)
    columns = dict(RecordNormaliser(schema, source).columns(table))
    on_attack("encoding")
    persons = distinct_persons(schema, columns, seed)
    if len(persons) < FEWEST_RECORDS:
        raise RecordError(
            f"{len(persons):,} distinct persons: a gate needs {FEWEST_RECORDS:,}; take a larger "
            "file of the same source"
        )
    columns = {name: take(column, persons) for name, column in columns.items()}
    textbook = control_of(schema)
    subject = subject_of(schema, columns, _throw_away_key(schema), seed)
    control = subject_of(textbook, columns, _throw_away_key(textbook), seed)
    tokens, values = tokens_and_values(schema, columns, seed)
    outcomes = run_gate(subject, control, tokens, values, thorough, seed, on_attack)
    if thorough.whole_job and schema.match.rounds == 2:
        outcomes += attack_job(schema, columns, seed, on_attack)
    return GateResult(schema_id(schema), level, len(subject), seed, tuple(outcomes))


def attack_job(
    schema: LinkageSchema,
    columns: Mapping[str, FlaggedColumn],
    seed: int,
    on_attack: Callable[[str], None] = lambda _name: None,
) -> list[Outcome]:
    """A7 on a job between two registers with half of their persons in common.

    One file is all that there is, so both registers are drawn from it, and what they say of
    a person is the same.
    """
    n = len(next(iter(columns.values())))
    drawn = Overlap.draw(n, _JOB_OVERLAP, seed)
    registers = (columns, drawn.encoded), (columns, drawn.plain)
    outcomes: list[Outcome] = []
    for setting, share in (("both registers", 1.0), ("half of both", 0.5)):
        on_attack(f"A7 whole job, {setting}")
        job, control = (
            attacked_job(of, registers, share, seed) for of in (schema, control_of(schema))
        )
        outcomes += attack_whole_job(f"plain {setting}", job, control, KNOWN, seed)
    return outcomes


def attacked_job(
    schema: LinkageSchema, registers: tuple[Register, Register], share: float, seed: int
) -> AttackedJob:
    """Run a job of two registers, and give an attacker the plain records of a share of them.

    Args:
        schema: the linkage schema.
        registers: normalised words by attribute, and who each record to take of these is;
            persons are numbered by the row that they have in `columns`.
        share: of all persons that the attacker holds in plain text.
        seed: of who these are.
    """
    rng = np.random.default_rng(seed)
    held = rng.random(1 + max(int(person.max(initial=0)) for _, person in registers)) < share
    ours = [{a: take(c, person) for a, c in columns.items()} for columns, person in registers]
    theirs = [
        {a: take(c, person[held[person]]) for a, c in columns.items()}
        for columns, person in registers
    ]
    seen = job_view(schema, ours[0], ours[1], seed)
    own = job_view(schema, theirs[0], theirs[1], seed)
    person = registers[0][1]
    people = plain_people(schema, theirs[0], seed)
    return AttackedJob(seen.codes, seen.graph, people, own.graph, person, person[held[person]])


def tokens_and_values(
    schema: LinkageSchema, columns: Mapping[str, FlaggedColumn], seed: int
) -> tuple[dict[str, NDArray[np.uint64]], dict[str, NDArray[np.uint64]]]:
    """Return what is uploaded of tokens, and the values that they could stand for.

    Returns:
        Tokens by slot, shape (n, copies) each, and by table the value of each record as a
        number, shape (n,), 0 for none.
    """
    key = _throw_away_key(schema)
    encoded = Encoder(schema, key, os.urandom).encode(columns)
    names = [str(entry) for entry in schema.block_entries]
    sent = block_tokens(schema, key, encoded.values, [("gate", "left")])
    tokens = {name: _numbers(of_entry) for name, of_entry in zip(names, sent, strict=True)}
    for slot, attribute in enumerate(schema.exact_attributes):
        tokens[f"exact {attribute.name}"] = _numbers(encoded.exact[:, slot : slot + 1])
    own = SeededKeys(seed)
    plain = Encoder(schema, own, bytes).encode(columns)
    rng = np.random.default_rng(seed)
    composites = within_entries(
        schema, plain.values, own.block_key, rng.permutation(len(plain.values)).astype(np.uint64)
    )
    values = {}
    for name, (composite, number) in zip(names, composites, strict=True):
        # A number beyond all marks a composite that lacks a part.
        values[name] = np.where(number < len(composite), composite, np.uint64(0))
    for name, column in columns.items():
        words = np.array([hash_of(word) for word in column.vocabulary], dtype=np.uint64)
        first = np.zeros(len(column), dtype=np.uint64)
        there = np.diff(column.offsets) > 0
        first[there] = words[column.word_ids[column.offsets[:-1][there]]]
        values[f"first word of {name}"] = first
    return tokens, values


def hash_of(word: str) -> int:
    """Return a number for a word, unlike those of others and never 0."""
    return int.from_bytes(SeededKeys(0).block_key(word)[:8], "little") or 1


def _sample(schema: LinkageSchema, source: SourceConfig, most: int, seed: int) -> pa.Table:
    """Return so many records of a source, drawn at random."""
    table = pa.concat_tables(list(Source(source, schema).chunks()))
    if table.num_rows > most:
        drawn = np.random.default_rng(seed).permutation(table.num_rows)[:most]
        table = table.take(np.sort(drawn))
    return table.combine_chunks()


def _numbers(tokens: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return tokens as numbers, their first 8 bytes, shape (n, copies)."""
    n, copies, width = tokens.shape
    padded = np.zeros((n, copies, 8), dtype=np.uint8)
    padded[:, :, : min(width, 8)] = tokens[:, :, :8]
    return padded.view("<u8")[:, :, 0].astype(np.uint64)


def _throw_away_key(schema: LinkageSchema) -> LinkageKey:
    return LinkageKey(os.urandom(32), KeyContext("gate", schema_id(schema), "gate", 1))
