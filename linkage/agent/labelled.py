"""Records of known persons, as words and as sets of tokens: what weights are learned from.

Read from an agency's own labelled files, or made up: registers of people who do not
exist, with ordinary errors. It holds words of real records where the files do, so it
stays in memory and in the agency.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.source import Source, read_columns
from linkage.encode.tokens import tokens_of_word
from linkage.errors import RecordError
from linkage.normalise.columns import FlaggedColumn, WordColumn
from linkage.schema import Attribute, LinkageSchema

MAX_RECORDS = 100_000
_SYNTHETIC_PERSONS = 4_000
_SYNTHETIC_REGISTERS = ("dukcapil", "imigrasi", "kemenlu")
# Many people abroad and with passports, so that the registers share many persons.
_ABROAD = _PASSPORTS = 0.5
# Column of the synthetic registers for an attribute of a type.
_SYNTHETIC_COLUMN = {
    "name": "nama", "alias": "nama_lain", "mother_name": "nama_ibu", "father_name": "nama_ayah",
    "sex": "jenis_kelamin", "date": "tgl_lahir", "place": "tempat_lahir",
    "nationality": "kewarganegaraan", "address": "alamat", "postcode": "kode_pos",
}  # fmt: skip
Tokens = frozenset[str]


@dataclass(frozen=True, repr=False)
class Labelled:
    """Records whose persons are known.

    Attributes:
        tokens: for each attribute the tokens of every record; empty where missing.
        person: person of each record, shape (n,).
        file: file of each record, shape (n,).
        lacking: for each attribute the files that have no such column.
        columns: normalised words of all records, chunk by chunk.
    """

    tokens: Mapping[str, Sequence[Tokens]]
    person: NDArray[np.int64]
    file: NDArray[np.int64]
    lacking: Mapping[str, frozenset[int]]
    columns: Sequence[Mapping[str, FlaggedColumn]]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.person)

    def tokens_of(self, kept: NDArray[np.bool_]) -> "Labelled":
        """Return some of the records, with their tokens and without their words."""
        return Labelled(
            {name: list(compress(tokens, kept)) for name, tokens in self.tokens.items()},
            self.person[kept],
            self.file[kept],
            self.lacking,
            (),
        )


def labelled_files(
    schema: LinkageSchema, inputs: Sequence[SourceConfig], truth: str, seed: int
) -> Labelled:
    """Return the records of labelled files.

    Of many records only those of some persons are kept, the same persons in all files.

    Args:
        schema: the linkage schema.
        inputs: the files.
        truth: column that names the person; records without one are left out.
        seed: of the choice of persons.

    Raises:
        RecordError: a file cannot be read, or lacks a column.
    """
    sources = [Source(config, schema, also=(truth,)) for config in inputs]
    n_records = sum(table.num_rows for config in inputs for table in read_columns(config, [truth]))
    share = min(1.0, MAX_RECORDS / max(1, n_records))
    parts = _Parts(schema)
    for number, (config, source) in enumerate(zip(inputs, sources, strict=True)):
        normaliser = RecordNormaliser(schema, config)
        for table in source.chunks():
            kept = [_is_kept(person, share, seed) for person in table[truth].to_pylist()]
            chunk = table.filter(pa.array(kept))
            parts.add(number, normaliser.columns(chunk), chunk[truth].to_pylist())
    return parts.labelled({})


def labelled_synthetic(schema: LinkageSchema, seed: int) -> Labelled:
    """Return three registers of people who do not exist, with ordinary errors.

    Raises:
        RecordError: such people have nothing of an attribute's type.
    """
    # Generators and word lists are loaded only where they are used.
    from linkage.synthetic import (  # noqa: PLC0415 -- see above
        Mix,
        generate_population,
        make_registers,
    )

    unknown = [a.name for a in schema.fuzzy if a.type not in _SYNTHETIC_COLUMN]
    if unknown:
        raise RecordError(
            f"people who do not exist have no {', '.join(unknown)}: give labelled files"
        )
    mix = Mix(abroad=_ABROAD, passports=_PASSPORTS)
    population = generate_population(_SYNTHETIC_PERSONS, seed, mix=mix)
    registers = make_registers(population, _SYNTHETIC_REGISTERS, "ordinary", seed)
    column_of = {a.name: _SYNTHETIC_COLUMN[a.type] for a in schema.fuzzy}
    normaliser = RecordNormaliser(schema, SourceConfig.model_validate({"path": "none"}))
    parts = _Parts(schema)
    lacking: dict[str, frozenset[int]] = {name: frozenset() for name in column_of}
    for number, register in enumerate(registers.tables.values()):
        present = set(register.column_names)
        missing = pa.nulls(register.num_rows, pa.string())
        table = pa.table(
            {
                name: register[column] if column in present else missing
                for name, column in column_of.items()
            }
        )
        for name, column in column_of.items():
            lacking[name] |= frozenset() if column in present else {number}
        persons = [str(person) for person in register["entity_id"].to_pylist()]
        parts.add(number, normaliser.columns(table), persons)
    return parts.labelled(lacking)


class _Parts:
    """Chunks of labelled records, put together."""

    def __init__(self, schema: LinkageSchema) -> None:
        self._attributes = schema.fuzzy
        self._tokens: dict[str, list[Tokens]] = {a.name: [] for a in schema.fuzzy}
        self._persons: list[str] = []
        self._files: list[int] = []
        self._columns: list[Mapping[str, FlaggedColumn]] = []

    def add(
        self, file: int, columns: Mapping[str, FlaggedColumn], persons: Sequence[str | None]
    ) -> None:
        for attribute in self._attributes:
            self._tokens[attribute.name] += _token_sets(columns[attribute.name], attribute)
        self._persons += map(str, persons)
        self._files += [file] * len(persons)
        self._columns.append(columns)

    def labelled(self, lacking: Mapping[str, frozenset[int]]) -> Labelled:
        _, person = np.unique(np.array(self._persons, dtype=np.str_), return_inverse=True)
        return Labelled(
            self._tokens,
            person.astype(np.int64),
            np.array(self._files, dtype=np.int64),
            {a.name: lacking.get(a.name, frozenset()) for a in self._attributes},
            self._columns,
        )


def _token_sets(column: WordColumn, attribute: Attribute) -> Iterator[Tokens]:
    kind = attribute.of_type.kind
    of_word = [frozenset(tokens_of_word(word, kind)) for word in column.vocabulary]
    ids = column.word_ids.tolist()
    for first, last in pairwise(column.offsets.tolist()):
        yield frozenset().union(*(of_word[i] for i in ids[first:last]))


def _is_kept(person: str | None, share: float, seed: int) -> bool:
    if not person:
        return False
    digest = hashlib.blake2b(f"{seed}/{person}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64
