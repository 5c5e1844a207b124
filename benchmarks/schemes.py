"""Our side: schemas of names and types, what they leave out, their codes and their quality.

The only module of the benchmarks that knows how the product is called.
"""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from benchmarks.experiment import Column, Experiment
from benchmarks.records import TRUTH, RecordSet
from keys.derive import KeyContext, LinkageKey
from linkage import schema as schemas
from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordEncoder, RecordNormaliser
from linkage.agent.evaluate import Evaluation, evaluate
from linkage.compare.bits import as_words, popcounts
from linkage.encode.encoder import Encoder
from linkage.schema import Language, LinkageSchema, parse_schema
from linkage.solve.groups import pairs_in_groups

ROWS_PER_CHUNK = 65_536
_MOST_PAIRS = 500_000


@dataclass(frozen=True)
class Scheme:
    """One encoding scheme with the settings that differ from its defaults.

    Attributes:
        text: as given on the command line: `clk`, or `saul:4096/4` for bits and order.
        settings: of the schema's section `[encoding]`.
        rounds: 1 where codes decide, 2 where they find candidates.
        candidates: of each record in the second round; by the schema where None.
    """

    text: str
    settings: dict[str, Any]
    rounds: Literal[1, 2] = 1
    candidates: int | None = None

    def refined(self, candidates: int) -> "Scheme":
        """Return the scheme with a second round."""
        return replace(self, rounds=2, candidates=candidates)


def supported_schemes() -> tuple[str, ...]:
    """Return the schemes that the linkage schema knows."""
    return tuple(get_args(schemas.Scheme))


def parse_scheme(text: str) -> Scheme:
    """Read `NAME`, `NAME:BITS` or `NAME:BITS/ORDER`.

    Raises:
        ValueError: the schema knows no such scheme, or the numbers do not parse.
    """
    name, _, numbers = text.partition(":")
    if name not in supported_schemes():
        raise ValueError(f"no scheme {name}: the schema knows {', '.join(supported_schemes())}")
    settings: dict[str, Any] = {"scheme": name}
    bits, _, order = numbers.partition("/")
    if bits:
        settings["bits"] = int(bits)
    if order:
        settings["order"] = int(order)
    return Scheme(text, settings)


@dataclass(frozen=True)
class Variant:
    """What a schema says of all its attributes beside their names and types.

    Attributes:
        language: whose names and places they hold.
        without: ids of normalisation rules that are left out.
        rarity: whether words are weighed by how rare they are; by type where None.
    """

    language: Language = "any"
    without: tuple[str, ...] = ()
    rarity: bool | None = None


DEFAULTS = Variant()


def schema_of(experiment: Experiment, scheme: Scheme, variant: Variant = DEFAULTS) -> LinkageSchema:
    """Return the schema of a set: names and types, the scheme, rounds and cardinality."""
    return parse_schema(schema_text(experiment, scheme, variant), experiment.name)


def schema_text(experiment: Experiment, scheme: Scheme, variant: Variant = DEFAULTS) -> str:
    """Return the schema of a set as its parties would write it."""
    lines = [f'name = "{experiment.name}"', "[encoding]"]
    lines += [f"{name} = {value!r}" for name, value in scheme.settings.items()]
    lines += ["[match]", f'cardinality = "{experiment.set.cardinality}"']
    lines += [f"rounds = {scheme.rounds}"]
    lines += [] if scheme.candidates is None else [f"candidates = {scheme.candidates}"]
    lines += [line for column in experiment.columns for line in _attribute(column, variant)]
    return "\n".join(lines)


def _attribute(column: Column, variant: Variant) -> list[str]:
    lines = ["[[attributes]]", f'name = "{column.name}"', f'type = "{column.type}"']
    lines += [f'language = "{variant.language}"', f"without = {list(variant.without)}"]
    return lines + ([] if variant.rarity is None else [f"rarity = {str(variant.rarity).lower()}"])


def evaluate_scheme(records: RecordSet, scheme: Scheme, work: Path, threads: int) -> Evaluation:
    """Return the quality of one scheme through the code that links in earnest.

    Args:
        records: the set.
        scheme: the scheme and its rounds.
        work: a folder for the records as files.
        threads: threads that compare.
    """
    sources = []
    for name, table in zip(records.files, records.tables, strict=True):
        path = work / f"{name}.parquet"
        pyarrow.parquet.write_table(table, path)
        sources.append(source_of(records.experiment, name, path))
    return evaluate(schema_of(records.experiment, scheme), sources, TRUTH, threads)


def source_of(experiment: Experiment, name: str, path: Path) -> SourceConfig:
    """Return how one file of a set writes its values."""
    return SourceConfig(
        path=path,
        values=experiment.values.get(name, {}),
        reference_year=experiment.reference_year,
    )


def encoder_of(schema: LinkageSchema, source: SourceConfig) -> RecordEncoder:
    """Return an encoder under a key that is the same in every run."""
    return RecordEncoder(schema, source, key_of(0))


def key_of(number: int) -> LinkageKey:
    """Return one of the keys of the benchmarks, the same in every run.

    A key in earnest is bound to its schema. These are not, so that what differs between
    two schemas under one of them is due to the schemas alone.
    """
    secret = hashlib.sha256(f"benchmark {number}".encode()).digest()
    return LinkageKey(secret, KeyContext("benchmark", bytes(32), "benchmark", 1))


def encode(encoder: RecordEncoder, table: pa.Table) -> NDArray[np.uint8]:
    """Return the packed codes of a table, in chunks as an agent reads them."""
    chunks = range(0, table.num_rows, ROWS_PER_CHUNK)
    return np.concatenate([encoder.codes(table.slice(at, ROWS_PER_CHUNK)) for at in chunks])


def encode_set(records: RecordSet, schema: LinkageSchema, key: int = 0) -> list[NDArray[np.uint8]]:
    """Return the packed codes of every file of a set under a numbered key."""
    # One encoder for all files: to make one takes longer than to encode a small file.
    encoder = Encoder(schema, key_of(key), os.urandom)
    codes = []
    for name, table in zip(records.files, records.tables, strict=True):
        source = source_of(records.experiment, name, Path(name))
        codes.append(encoder.codes(RecordNormaliser(schema, source).columns(table)))
    return codes


@dataclass(frozen=True)
class Similarity:
    """Median similarity of the true pairs in the unhardened filter."""

    dice: float
    cosine: float


def similarity_of_true_pairs(records: RecordSet) -> Similarity:
    """Return how alike the filters of two records of one person are: how dirty a set is."""
    schema = schema_of(records.experiment, parse_scheme("clk"))
    words = as_words(np.concatenate(encode_set(records, schema)))
    pairs = true_pairs(records)
    left, right = pairs[:_MOST_PAIRS].T
    bits = popcounts(words).astype(np.float64)
    common = popcounts(words[left] & words[right])
    total, product = bits[left] + bits[right], np.sqrt(bits[left] * bits[right])
    return Similarity(
        dice=float(np.median(_share(2 * common, total))),
        cosine=float(np.median(_share(common, product))),
    )


def _share(part: NDArray[Any], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.zeros(len(whole))
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def true_pairs(records: RecordSet) -> NDArray[np.int64]:
    """Return the pairs of records of one person, shape (n, 2); between files if several."""
    # A person's group is called by its smallest record, as the solver calls its groups.
    _, first, person = np.unique(records.person, return_index=True, return_inverse=True)
    pairs = pairs_in_groups(first[person].astype(np.int32))
    both = np.stack([pairs.left, pairs.right], axis=1).astype(np.int64)
    if len(records.tables) > 1:
        both = both[records.file[both[:, 0]] != records.file[both[:, 1]]]
    return both
