"""The risk gate on an agency's own file: encode it under throw-away keys, and attack.

Keys are drawn anew and forgotten, so nothing of what is attacked could serve anybody, and
the agreement's own key is not touched.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from keys.derive import KeyContext, LinkageKey
from linkage.agent.blocktokens import block_tokens, book_of
from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.madeup import made_up_columns
from linkage.agent.source import Source
from linkage.encode.encoder import ENCODER_VERSION, Encoder, schema_id
from linkage.encode.fields import KEY_BYTES, FieldEncoder
from linkage.encode.oncetokens import BlockValues, within_entries
from linkage.errors import RecordError
from linkage.fieldrow import FILTER_BYTES
from linkage.gate import Figure, GateResult, Verdict, profile_digest
from linkage.job import REFERENCE_BYTES
from linkage.normalise import NORM_VERSION
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.gate import LEVELS, Outcome, Sent, run_gate
from linkage.privacy.made import joined, take
from linkage.privacy.people import SeededKeys
from linkage.privacy.planted import Plant, double_hashed
from linkage.privacy.subject import coder, control_subject, distinct_persons, subject_of
from linkage.schema import LinkageSchema

_compute: Any = pyarrow.compute  # the published stubs refuse arguments that Arrow documents

Columns = Mapping[str, FlaggedColumn]
# A7 needs the engine, which nothing else of a gate does: who wants it hands it in.
WholeJob = Callable[[LinkageSchema, Columns, int, Callable[[str], None]], list[Outcome]]


@dataclass(frozen=True)
class Attacked:
    """What a gate found in an agency's file.

    Attributes:
        schema_id: of the schema under which was encoded.
        source_profile: of `profile_digest`.
        level: how thorough the gate was.
        seed: of all draws but the keys.
        n_records: distinct persons that were attacked.
        n_made_up: of these, how many were made up to fill up a small file.
        outcomes: the figures.
    """

    schema_id: bytes
    source_profile: bytes
    level: str
    seed: int
    n_records: int
    n_made_up: int
    outcomes: tuple[Outcome, ...]

    @property
    def void(self) -> bool:
        """Whether an attack did not break its control."""
        return any(outcome.void for outcome in self.outcomes)

    @property
    def failed(self) -> bool:
        """Whether any attack exceeded its limit."""
        return any(outcome.exceeded for outcome in self.outcomes)

    def result(self, epoch: int, made_at: datetime, valid_until: datetime) -> GateResult:
        """Return the result as data, bound to an epoch."""
        return GateResult(
            self.schema_id,
            NORM_VERSION,
            ENCODER_VERSION,
            epoch,
            self.source_profile,
            self.level,
            self.seed,
            self.n_records,
            self.n_made_up,
            tuple(_figure(outcome) for outcome in self.outcomes),
            made_at,
            valid_until,
        )

    def to_dict(self) -> dict[str, object]:
        """Return what was found as JSON can have it."""
        return {
            "schema_id": self.schema_id.hex(),
            "norm_version": NORM_VERSION,
            "encoder_version": ENCODER_VERSION,
            "source_profile": self.source_profile.hex(),
            "level": self.level,
            "records": self.n_records,
            "made_up": self.n_made_up,
            "seed": self.seed,
            "failed": self.failed,
            "void": self.void,
            "figures": [_figure(outcome).to_json() for outcome in self.outcomes],
        }


def attack(
    schema: LinkageSchema,
    source: SourceConfig,
    level: str,
    seed: int = 1,
    on_attack: Callable[[str], None] = lambda _name: None,
    plant: Plant | None = None,
    whole_job: WholeJob | None = None,
) -> Attacked:
    """Attack an agency's own records under a schema.

    A file of fewer records than a gate attacks is filled up with made-up people: rates are
    then told over all, and over the file's own.

    Args:
        schema: the linkage schema.
        source: the agency's file.
        level: one of `LEVELS`.
        seed: of all draws but the keys; equal seeds take equal samples.
        on_attack: told what is being done.
        plant: a fault to encode with, which the gate must find.
        whole_job: runs A7, where the level has it.

    Raises:
        RecordError: the file cannot be used.
    """
    thorough = LEVELS[level]
    on_attack("reading")
    table = pa.concat_tables(list(Source(source, schema).chunks())).combine_chunks()
    profile = _profile(schema, table)
    columns, real = _filled(schema, source, table, thorough.most_records, seed)
    on_attack("encoding")
    persons = distinct_persons(schema, columns, seed)
    columns, real = {name: take(column, persons) for name, column in columns.items()}, real[persons]
    if not real.any():
        raise RecordError(f"{source.name}: no record has a value to link on")
    faulty = plant.schema(schema) if plant is not None else schema
    program = plant.program if plant is not None else coder
    subject = subject_of(faulty, columns, _throw_away_key(schema), seed, real, program)
    control = control_subject(schema, columns, _throw_away_key(schema), seed, double_hashed)
    sent = sent_of(schema, columns, seed)
    if plant is not None:
        sent = plant.send(sent)
    outcomes = run_gate(subject, control, sent, thorough, seed, on_attack)
    if whole_job is not None and thorough.whole_job:
        outcomes += whole_job(faulty, columns, seed, on_attack)
    n_made_up = int((~real).sum())
    return Attacked(
        schema_id(faulty), profile, level, seed, len(subject), n_made_up, tuple(outcomes)
    )


def sent_of(schema: LinkageSchema, columns: Columns, seed: int) -> Sent:
    """Return what is uploaded beside codes, and what it could stand for."""
    tokens, values = tokens_and_values(schema, columns, seed)
    if schema.match.rounds == 1:
        return Sent(tokens, values)
    n = len(next(iter(columns.values())))
    keys = np.frombuffer(os.urandom(n * KEY_BYTES), dtype=np.uint8).reshape(n, KEY_BYTES)
    one_key = np.repeat(keys[:1], n, axis=0)
    return Sent(tokens, values, _fields(schema, columns, keys), _fields(schema, columns, one_key))


def _fields(schema: LinkageSchema, columns: Columns, keys: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the field filters of one pair for each record, shape (n, n_words)."""
    rows = FieldEncoder(schema, columns).encode(np.arange(len(keys)), keys, "left")
    filters = np.ascontiguousarray(rows[:, : len(schema.fuzzy) * FILTER_BYTES])
    return filters.view("<u8").astype(np.uint64)


def tokens_and_values(
    schema: LinkageSchema, columns: Columns, seed: int
) -> tuple[dict[str, NDArray[np.uint64]], dict[str, NDArray[np.uint64]]]:
    """Return what is uploaded of tokens, and the values that they could stand for.

    Returns:
        Tokens by slot, shape (n, copies) each, and by table the value of each record as a
        number, shape (n,), 0 for none.
    """
    key = _throw_away_key(schema)
    names = [str(entry) for entry in schema.entries]
    if schema.match.rounds == 2:
        tokens = _tickets(schema, key, columns)
    else:
        encoded = Encoder(schema, key, os.urandom).encode(columns)
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


def _tickets(
    schema: LinkageSchema, key: LinkageKey, columns: Columns
) -> dict[str, NDArray[np.uint64]]:
    """Return tokens and marks of a job's tickets, by entry, as those of the records they are of.

    The matcher does not have whose they are: the attack is told, to count its hits.
    """
    values = BlockValues(schema, key.block_key).of(columns)
    references = os.urandom(REFERENCE_BYTES * len(values))
    book = book_of(schema, key, ("gate\0left\0right", "left"), references)
    found = {}
    for entry, tickets in zip(schema.entries, book.tickets(values), strict=True):
        record = book.records(tickets)
        order = np.argsort(record, kind="stable")
        whose = record[order]
        copy = np.arange(len(whose)) - np.searchsorted(whose, whose)
        for name, seen in (("token", tickets.token), ("mark", tickets.mark)):
            of_record = np.zeros((len(values), schema.match.block_copies), dtype=np.uint64)
            of_record[whose, copy] = seen[order]
            found[f"{name} of {entry}"] = of_record
    return found


def hash_of(word: str) -> int:
    """Return a number for a word, unlike those of others and never 0."""
    return int.from_bytes(SeededKeys(0).block_key(word)[:8], "little") or 1


def _filled(
    schema: LinkageSchema, source: SourceConfig, table: pa.Table, most: int, seed: int
) -> tuple[dict[str, FlaggedColumn], NDArray[np.bool_]]:
    """Return normalised words of so many records, and which of these are of the file."""
    if table.num_rows > most:
        drawn = np.random.default_rng(seed).permutation(table.num_rows)[:most]
        table = table.take(np.sort(drawn)).combine_chunks()
    columns = dict(RecordNormaliser(schema, source).columns(table))
    n_made_up = most - table.num_rows
    if n_made_up:
        made_up = made_up_columns(schema, columns, n_made_up, seed)
        columns = {name: joined(column, made_up[name]) for name, column in columns.items()}
    return columns, np.arange(most) < table.num_rows


def _profile(schema: LinkageSchema, table: pa.Table) -> bytes:
    counts = {}
    for attribute in schema.attributes:
        column = table[attribute.name]
        filled = column.filter(_compute.fill_null(_compute.not_equal(column, ""), False))
        counts[attribute.name] = (len(filled), int(_compute.count_distinct(filled).as_py()))
    return profile_digest(table.num_rows, counts)


def _figure(outcome: Outcome) -> Figure:
    return Figure(
        outcome.attack,
        outcome.setting,
        outcome.value,
        outcome.limit,
        cast("Verdict", outcome.verdict),
        outcome.chance,
        outcome.interval,
        outcome.bound,
        outcome.control,
    )


def _numbers(tokens: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return tokens as numbers, their first 8 bytes, shape (n, copies)."""
    n, copies, width = tokens.shape
    padded = np.zeros((n, copies, 8), dtype=np.uint8)
    padded[:, :, : min(width, 8)] = tokens[:, :, :8]
    return padded.view("<u8")[:, :, 0].astype(np.uint64)


def _throw_away_key(schema: LinkageSchema) -> LinkageKey:
    return LinkageKey(os.urandom(32), KeyContext("gate", schema_id(schema), "gate", 1))
