"""One register under one scheme, as the attacks take it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from linkage.compare.bits import as_words, popcounts
from linkage.encode.encoder import Encoder, EncodingKeys
from linkage.normalise.columns import FlaggedColumn, WordColumn
from linkage.privacy.made import groups, name_grid, names_alone, rectangles
from linkage.privacy.people import PlainPeople, SeededKeys, control_of, plain_people, with_scheme
from linkage.privacy.tuples import Tuples, probe
from linkage.schema import LinkageSchema

# Cosine of the filters of two records from which on they are taken for one person's.
_SAME_PERSON = 0.8
# Apart from the seeds of `plain_people`, of which there are three for each.
_DICTIONARY = 1 << 32


class Coder(Protocol):
    """What makes filters and codes of records: an `Encoder`, or a faulty one."""

    def filters(self, columns: Mapping[str, WordColumn]) -> NDArray[np.uint64]:
        """Return the filters under the codes, shape (n, filter_bits / 64)."""

    def codes(self, columns: Mapping[str, WordColumn]) -> NDArray[np.uint8]:
        """Return packed codes, shape (n, bits / 8)."""


Program = Callable[[LinkageSchema, EncodingKeys], Coder]


def coder(schema: LinkageSchema, keys: EncodingKeys) -> Coder:
    """Return the encoder that agents use."""
    return Encoder(schema, keys, bytes)


@dataclass(frozen=True)
class Subject:
    """One register under one scheme.

    Attributes:
        codes: codes of distinct persons, shape (n, n_words).
        filters: the filters under them, shape (n, filter_words).
        own_codes: codes of the same records by the same program under the attacker's key.
        people: the same records as an attacker sees them.
        groups: by name who is of it, see `made.groups`.
        tuples: what the homomorphism probe found.
        real: which of the records are the agency's own, and not made up; shape (n,).
    """

    codes: NDArray[np.uint64]
    filters: NDArray[np.uint64]
    own_codes: NDArray[np.uint64]
    people: PlainPeople
    groups: Mapping[str, NDArray[np.bool_]]
    tuples: Tuples
    real: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.codes)

    @property
    def set_bits(self) -> NDArray[np.int64]:
        """How much there is of each record: set bits of the attacker's filters, shape (n,)."""
        return popcounts(self.people.filters).astype(np.int64)


def subject_of(
    schema: LinkageSchema,
    columns: Mapping[str, FlaggedColumn],
    keys: EncodingKeys,
    seed: int,
    real: NDArray[np.bool_] | None = None,
    program: Program = coder,
) -> Subject:
    """Encode a register, and what the probes need, under keys that no attacker has.

    Args:
        schema: the linkage schema.
        columns: normalised words of the records of distinct persons, by attribute.
        keys: the keys under attack.
        seed: of the attacker's keys and of what is drawn.
        real: which of the records are the agency's own; all of them where absent.
        program: what encodes.
    """
    encoder = program(schema, keys)
    codes = as_words(encoder.codes(columns))
    return Subject(
        codes,
        encoder.filters(columns),
        as_words(program(schema, SeededKeys(_DICTIONARY + seed)).codes(columns)),
        plain_people(schema, columns, seed),
        groups(schema, columns),
        _probed(schema, columns, encoder, program, keys, seed),
        np.ones(len(codes), dtype=np.bool_) if real is None else real,
    )


def control_subject(
    schema: LinkageSchema,
    columns: Mapping[str, FlaggedColumn],
    keys: EncodingKeys,
    seed: int,
    double_hashed: Program,
) -> Subject:
    """Return the same register as every attack must break it: under the textbook scheme.

    For the attack by a dictionary its key is known, and for that on positions these are
    drawn by double hashing.

    Args:
        schema: the linkage schema.
        columns: normalised words of the records of distinct persons, by attribute.
        keys: the keys under attack.
        seed: of the attacker's keys and of what is drawn.
        double_hashed: an encoder with double hashing.
    """
    textbook = control_of(schema)
    subject = subject_of(textbook, columns, keys, seed)
    filters = double_hashed(textbook, keys).filters(columns)
    return replace(subject, filters=filters, own_codes=subject.codes)


def distinct_persons(
    schema: LinkageSchema, columns: Mapping[str, FlaggedColumn], seed: int
) -> NDArray[np.int64]:
    """Return records of which no two are of one person, as far as can be seen.

    Records without a word are left out, and of several that are as alike as those of one
    person all but the first: that a person known once is found again is what codes are for.

    Args:
        schema: the linkage schema.
        columns: normalised words of all records, by attribute.
        seed: of the attacker's keys.
    """
    people = plain_people(with_scheme(schema, "saul", 8192), columns, seed)
    kept = np.ones(len(people), dtype=np.bool_)
    kept[~people.filters.any(axis=1)] = False
    alike = np.triu(people.cosine(people) >= _SAME_PERSON, 1)
    for record in np.flatnonzero(alike.any(axis=1)).tolist():
        if kept[record]:
            kept &= ~alike[record]
    return np.flatnonzero(kept)


def _probed(
    schema: LinkageSchema,
    columns: Mapping[str, FlaggedColumn],
    encoder: Coder,
    program: Program,
    keys: EncodingKeys,
    seed: int,
) -> Tuples:
    planted = as_words(encoder.codes(rectangles(schema, columns, seed)))
    alone = names_alone(schema)
    (name,) = [attribute.name for attribute in alone.fuzzy]
    made, cell = name_grid(columns[name], seed)
    grid = as_words(program(alone, keys).codes({name: made}))
    return probe(planted.reshape(-1, 4, planted.shape[1]), grid, cell)
