"""One register under one scheme, as the attacks take it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.compare.bits import as_words, popcounts
from linkage.encode.encoder import Encoder, EncodingKeys
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.made import groups, name_grid, names_alone, rectangles
from linkage.privacy.people import PlainPeople, plain_people, with_scheme
from linkage.privacy.tuples import Tuples, probe
from linkage.schema import LinkageSchema

# Cosine of the filters of two records from which on they are taken for one person's.
_SAME_PERSON = 0.8


@dataclass(frozen=True)
class Subject:
    """One register under one scheme.

    Attributes:
        codes: codes of distinct persons, shape (n, n_words).
        people: the same records as an attacker sees them.
        groups: by name who is of it, see `made.groups`.
        tuples: what the homomorphism probe found.
    """

    codes: NDArray[np.uint64]
    people: PlainPeople
    groups: Mapping[str, NDArray[np.bool_]]
    tuples: Tuples

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
) -> Subject:
    """Encode a register, and what the probes need, under keys that no attacker has.

    Args:
        schema: the linkage schema.
        columns: normalised words of the records of distinct persons, by attribute.
        keys: the keys under attack.
        seed: of the attacker's keys and of what is drawn.
    """
    encoder = Encoder(schema, keys, bytes)
    return Subject(
        as_words(encoder.codes(columns)),
        plain_people(schema, columns, seed),
        groups(schema, columns),
        _probed(schema, columns, encoder, keys, seed),
    )


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
    encoder: Encoder,
    keys: EncodingKeys,
    seed: int,
) -> Tuples:
    planted = as_words(encoder.codes(rectangles(schema, columns, seed)))
    alone = names_alone(schema)
    (name,) = [attribute.name for attribute in alone.fuzzy]
    made, cell = name_grid(columns[name], seed)
    names = {name: made}
    grid = as_words(Encoder(alone, keys, bytes).codes(names))
    return probe(planted.reshape(-1, 4, planted.shape[1]), grid, cell)
