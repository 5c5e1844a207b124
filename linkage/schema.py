"""The linkage schema: which attributes are linked, and how they are encoded.

A schema is a TOML file that the parties agree on. `parse_schema` reads and checks
it as a whole; `resolve` fills in every default, so that two agencies with
different versions of a table or a rule notice it: the digest of the resolved form
is the schema id, and a batch under another id is refused.

What differs between agencies (files, columns, date order) is no part of it: that
is the agent's source file.
"""

import hashlib
import math
import tomllib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from linkage.blockentry import (
    MAX_ENTRIES,
    BlockEntry,
    Part,
    default_entries,
    parse_entry,
    problem_with,
)
from linkage.errors import ConfigError
from linkage.types import ATTRIBUTE_TYPES, AttributeType, refused_word_in

Cardinality = Literal["many-to-many", "one-to-many", "one-to-one"]
Scheme = Literal["clk", "diffused", "saul"]
Language = Literal["any", "indonesian", "foreign"]

MAX_ATTRIBUTES = 32
MAX_EXACT = 8
_EXACT_TYPES = frozenset({"phone", "email"})
MAX_CANDIDATES = 512
# Records of one composite that a block entry can bring together with those of another
# party: more cost as much again, and find pairs by what many share.
BLOCK_COPIES = 3
# A hundredth of the records meets a stranger by chance in an entry, at most.
TOKEN_MARGIN_BITS = 10
_MORE_BITS_OF_TWO_ROUNDS = 8
LEAST_TOKEN_BYTES = 2
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Encoding(_Strict):
    """How the tokens of a record become its code.

    Attributes:
        scheme: `clk`, a Bloom filter that is sent as it is; `diffused`; or `saul`.
        bits: length of the code; by scheme where absent.
        order: t of saul or diffusion; by scheme where absent, none for `clk`.
        filter_bits: length of the Bloom filter under `saul`; for the other schemes
            filter and code are equally long.
    """

    scheme: Scheme = "saul"
    bits: Annotated[int, Field(ge=512, le=32768, multiple_of=64)] | None = None
    order: Annotated[int, Field(ge=1, le=16)] | None = None
    filter_bits: Annotated[int, Field(ge=512, le=32768, multiple_of=64)] | None = None

    @property
    def code_bits(self) -> int:
        """Length of the code, given or by scheme."""
        return self.bits or {"clk": 2048, "diffused": 4096, "saul": 8192}[self.scheme]

    @property
    def filter_length(self) -> int:
        """Length of the filter, given or by scheme."""
        if self.scheme != "saul":
            return self.code_bits
        return self.filter_bits or 4096

    @property
    def code_order(self) -> int:
        """How many majorities or filter bits each code bit is the XOR of; 1 for `clk`."""
        return self.order or {"clk": 1, "diffused": 8, "saul": 5}[self.scheme]

    @model_validator(mode="after")
    def _fits_the_scheme(self) -> "Encoding":
        if self.scheme != "saul" and self.filter_bits not in (None, self.bits):
            raise ValueError(f"filter_bits is of saul only: {self.scheme} has one length, bits")
        if self.scheme == "clk" and self.order not in (None, 1):
            raise ValueError("order is of saul and diffused only: clk is not hardened")
        if self.scheme == "saul" and self.code_bits % 1024:
            raise ValueError("bits of saul is a multiple of 1024")
        return self


class Match(_Strict):
    """How pairs of codes become links.

    Attributes:
        cardinality: how many records of each party may be one person. In
            `one-to-many` the first party of a job is the one.
        rounds: 1 where codes decide; 2 where they find candidates, whose fields are
            then compared under one-time keys.
        threshold: with one round the lowest similarity of a link, by scheme where
            absent; with two its lowest probability, 1/2 where absent.
        candidates: about how many pairs with each other party an owner is asked in the
            second round for each of its records, on average.
        decoys: fill up with decoys, so that it is as many whoever met.
        expected_records: records of the largest register; sets the length of block
            tokens, so that strangers share next to none by chance.
    """

    cardinality: Cardinality = "many-to-many"
    rounds: Literal[1, 2] = 2
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    candidates: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] = 10
    decoys: bool = True
    expected_records: Annotated[int, Field(ge=1, le=2_000_000_000)] = 1_000_000

    @property
    def block_copies(self) -> int:
        """How many tokens a record has of each block entry."""
        return BLOCK_COPIES

    @property
    def block_bytes(self) -> int:
        """Length of a block token."""
        bits = math.log2(self.expected_records + 1) + TOKEN_MARGIN_BITS
        if self.rounds == 2:
            # Of more entries, so that next to no owner is asked about a meeting by chance.
            bits += _MORE_BITS_OF_TWO_ROUNDS
        return max(math.ceil(bits / 8), LEAST_TOKEN_BYTES)


class Attribute(_Strict):
    """One attribute of a record.

    Attributes:
        name: shared name of the attribute at all parties.
        type: one of `linkage.types.ATTRIBUTE_TYPES`.
        weight: weight of its tokens; the type's default where absent.
        element: row of the data-needs matrix; the type's where absent.
        rarity: weigh words by how rare they are in public tables; by default for
            names only. In the second round the matcher is told whether a person's own name
            that agrees is rare.
        language: whose names and places the values are; the schema's where absent.
        without: ids of normalisation rules to leave out.
        invalid: what becomes of a value that cannot be read: it counts as `missing`, or its
            record is left out (`refuse`). Either way it stops nothing, and is reported.
    """

    name: _Name
    type: str
    weight: Annotated[float, Field(gt=0, le=10)] | None = None
    element: _Name | None = None
    rarity: bool | None = None
    language: Language = "any"
    without: tuple[str, ...] = ()
    invalid: Literal["missing", "refuse"] = "missing"

    @field_validator("without", mode="before")
    @classmethod
    def _rules_as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("name")
    @classmethod
    def _name_is_allowed(cls, name: str) -> str:
        if word := refused_word_in(name):
            raise ValueError(f"{word!r} names data that no linkage may use: leave it out")
        if name == "record_id":
            raise ValueError("record_id is the name of the record numbers: use another one")
        return name

    @field_validator("type")
    @classmethod
    def _type_is_known(cls, name: str) -> str:
        known = ATTRIBUTE_TYPES.get(name)
        if known is None:
            raise ValueError(f"no such type: use one of {', '.join(ATTRIBUTE_TYPES)}")
        return name

    @property
    def of_type(self) -> AttributeType:
        """The entry of the attribute's type in the table of types."""
        return ATTRIBUTE_TYPES[self.type]

    @property
    def weighs_rarity(self) -> bool:
        """Whether rare words weigh more, given or by type."""
        return self.of_type.kind == "name" if self.rarity is None else self.rarity

    @property
    def token_weight(self) -> float:
        """The weight of the attribute's tokens, given or by type."""
        return self.of_type.weight if self.weight is None else self.weight


class Block(_Strict):
    """A rule by which records become candidates.

    Attributes:
        on: parts that must agree together, see `linkage.blockentry`.
    """

    on: tuple[str, ...]

    @field_validator("on", mode="before")
    @classmethod
    def _parts_as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("on")
    @classmethod
    def _can_be_read(cls, on: tuple[str, ...]) -> tuple[str, ...]:
        parse_entry(on)
        return on


class Exact(_Strict):
    """Which attributes are compared as wholes, by keyed equality tokens.

    Attributes:
        names: names of attributes; a type of identifier that is no attribute of the
            schema stands for an attribute of that name and type.
    """

    names: tuple[_Name, ...] = ()

    @field_validator("names", mode="before")
    @classmethod
    def _names_as_tuple(cls, value: Any) -> Any:
        if isinstance(value, list) and len(value) > MAX_EXACT:
            raise ValueError(f"{len(value)} names: at most {MAX_EXACT}")
        return tuple(value) if isinstance(value, list) else value


class LinkageSchema(_Strict):
    """A whole schema, checked. See `parse_schema`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    version: Annotated[int, Field(ge=1, le=65535)] = 1
    encoding: Encoding = Encoding()
    match: Match = Match()
    language: Language = "any"
    attributes: tuple[Attribute, ...]
    exact: Exact = Exact()
    block: tuple[Block, ...] | None = None

    @field_validator("block", mode="before")
    @classmethod
    def _blocks_as_tuple(cls, value: Any) -> Any:
        if isinstance(value, list) and len(value) > MAX_ENTRIES:
            raise ValueError(f"{len(value)} entries: at most {MAX_ENTRIES}")
        return tuple(value) if isinstance(value, list) else value

    @field_validator("attributes", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        # Counted before the attributes are read: afterwards wrong ones would be missing.
        if isinstance(value, list) and not 1 <= len(value) <= MAX_ATTRIBUTES:
            raise ValueError(f"{len(value)} attributes: a schema has 1 to {MAX_ATTRIBUTES}")
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _parts_fit(self) -> "LinkageSchema":
        by_name = {a.name: a for a in self.attributes}
        if not self.fuzzy:
            raise ValueError("at least one attribute that is no identifier is needed")
        problems = [
            f"exact.names: {name} is no attribute of the schema"
            for name in self.exact.names
            if name not in by_name
        ]
        # A token that many share is a pseudonym of its value, for a whole epoch.
        problems += [
            f"exact.names: {name} is a {by_name[name].type}, which many people share: only "
            "identifiers, phone and email are compared as wholes"
            for name in self.exact.names
            if name in by_name
            and by_name[name].of_type.kind != "identifier"
            and by_name[name].type not in _EXACT_TYPES
        ]
        types = {a.name: a.type for a in self.attributes}
        problems += [
            f"block on {', '.join(block.on)}: {problem}"
            for block in self.block or ()
            if (problem := problem_with(parse_entry(block.on), types, self.match.rounds))
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @cached_property
    def fuzzy(self) -> tuple[Attribute, ...]:
        """The attributes that enter the code: all but identifiers."""
        return tuple(a for a in self.attributes if a.of_type.kind != "identifier")

    @cached_property
    def exact_attributes(self) -> tuple[Attribute, ...]:
        """The attributes that become exact tokens, in the order of `exact.names`."""
        by_name = {a.name: a for a in self.attributes}
        return tuple(by_name[name] for name in self.exact.names)

    @cached_property
    def block_entries(self) -> tuple[BlockEntry, ...]:
        """The rules by which records become candidates, given or by types."""
        if self.block is None:
            return default_entries([(a.name, a.type) for a in self.fuzzy], self.match.rounds)
        return tuple(parse_entry(block.on) for block in self.block)

    @cached_property
    def entries(self) -> tuple[BlockEntry, ...]:
        """The block entries of which tokens are made.

        With one round none but those that the parties wrote: beside codes they tell the
        matcher who shares what (docs/threat-model.md). With two rounds an exact attribute is
        an entry of its own: its tokens stand once, as all others do, so that it takes no second
        attribute to hide the value.
        """
        if self.match.rounds == 1:
            return self.block_entries if self.block is not None else ()
        of_exact = (BlockEntry((Part("value", (a.name,)),)) for a in self.exact_attributes)
        return (*self.block_entries, *of_exact)

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> "LinkageSchema":
        """Return a copy with some fields replaced, and what follows from them worked out anew."""
        copied = super().model_copy(update=update, deep=deep)
        for name in ("fuzzy", "exact_attributes", "block_entries", "entries"):
            copied.__dict__.pop(name, None)
        return copied

    def blocked(self) -> "LinkageSchema":
        """Return the schema with its default block entries written out."""
        blocks = [Block(on=tuple(map(str, entry.parts))) for entry in self.block_entries]
        return self.model_copy(update={"block": tuple(blocks)})

    def with_rounds(self, rounds: Literal[1, 2]) -> "LinkageSchema":
        """Return the schema with another number of rounds, and the threshold of that."""
        if rounds == self.match.rounds:
            return self
        match = self.match.model_copy(update={"rounds": rounds, "threshold": None})
        types = {a.name: a.type for a in self.attributes}
        # Beside codes an entry over one attribute is not allowed.
        block = self.block and tuple(
            block for block in self.block if not problem_with(parse_entry(block.on), types, rounds)
        )
        return self.model_copy(update={"match": match, "block": block})

    @property
    def identifiers(self) -> tuple[Attribute, ...]:
        """The exact attributes that no code knows of, in the order of `exact.names`."""
        return tuple(a for a in self.exact_attributes if a.of_type.kind == "identifier")

    @property
    def threshold(self) -> float:
        """Lowest similarity of a link (one round) or its lowest probability (two).

        Agreement of hardened codes of strangers is normal around 1/2 with deviation
        1 / (2 sqrt(bits)); the default lies 6.4 deviations above, where one of 1e10
        pairs of strangers passes by chance.
        """
        if self.match.threshold is not None:
            return self.match.threshold
        if self.match.rounds == 2:
            return 0.5
        if self.encoding.scheme == "clk":
            return 0.7
        return float(0.5 + 6.4 * 0.5 / math.sqrt(self.encoding.code_bits))


def parse_schema(text: str, what: str = "schema") -> LinkageSchema:
    """Read a schema from TOML.

    Args:
        text: the file's content.
        what: how to call it in an error, for example its path.

    Raises:
        ConfigError: it is no TOML, or does not follow the rules; lists every problem.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(what, [f"not valid TOML: {error}"]) from error
    problems = _named_twice(tables.get("attributes")) + _identifiers_in_code(tables)
    tables = _with_language(_with_identifiers(tables))
    try:
        schema = LinkageSchema.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(what, problems_of(error) + problems) from error
    if problems:
        raise ConfigError(what, problems)
    return schema


def _identifiers_in_code(tables: dict[str, Any]) -> list[str]:
    """Find identifiers that are no exact names, also where another part is wrong."""
    attributes, exact = tables.get("attributes"), tables.get("exact")
    names = exact.get("names") if isinstance(exact, dict) else None
    taken = names if isinstance(names, list) else []
    problems = []
    for number, table in enumerate(attributes if isinstance(attributes, list) else []):
        name, type_ = (table.get(k) if isinstance(table, dict) else None for k in ("name", "type"))
        known = ATTRIBUTE_TYPES.get(type_) if isinstance(type_, str) else None
        if known and known.kind == "identifier" and name not in taken:
            problems.append(
                f"attributes.{number}.type: an identifier such as {type_} never enters the fuzzy "
                f'code: add it to [exact] names = ["{name}"]'
            )
    return problems


def _with_identifiers(tables: dict[str, Any]) -> dict[str, Any]:
    """Add the attributes that `exact.names` takes from the table of types."""
    attributes, exact = tables.get("attributes"), tables.get("exact")
    names = exact.get("names") if isinstance(exact, dict) else None
    if not isinstance(attributes, list) or not isinstance(names, list):
        return tables
    there = {a.get("name") for a in attributes if isinstance(a, dict)}
    missing = [
        {"name": name, "type": name}
        for name in names
        if isinstance(name, str)
        and name not in there
        and name in ATTRIBUTE_TYPES
        and ATTRIBUTE_TYPES[name].kind == "identifier"
    ]
    return {**tables, "attributes": [*attributes, *missing]}


def _with_language(tables: dict[str, Any]) -> dict[str, Any]:
    """Give attributes that name no language the schema's."""
    attributes, language = tables.get("attributes"), tables.get("language")
    if language is None or not isinstance(attributes, list):
        return tables
    filled = [{"language": language, **a} if isinstance(a, dict) else a for a in attributes]
    return {**tables, "attributes": filled}


def _named_twice(attributes: object) -> list[str]:
    """Find names that occur twice, also where an attribute is wrong in another way."""
    tables = attributes if isinstance(attributes, list) else []
    names = [table.get("name") for table in tables if isinstance(table, dict)]
    twice = sorted({n for n in names if isinstance(n, str) and names.count(n) > 1})
    return [f"attributes named twice: {', '.join(twice)}"] if twice else []


def problems_of(error: ValidationError) -> list[str]:
    """Return what pydantic found wrong, one line each, without echoing values."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in problem["loc"]) or "as a whole"
        lines.append(f"{where}: {problem['msg'].removeprefix('Value error, ')}")
    return lines


def resolve(schema: LinkageSchema, versions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with every default filled in, as plain JSON values.

    Args:
        schema: what the parties wrote.
        versions: versions and table digests of normaliser and encoder.
    """
    attributes = [
        {
            "name": attribute.name,
            "type": attribute.type,
            "weight": attribute.token_weight,
            "element": attribute.element or attribute.of_type.element,
            "class": attribute.of_type.data_class,
            "space": attribute.of_type.space,
            "mean_tokens": attribute.of_type.mean_tokens,
            "rarity": attribute.weighs_rarity,
            "language": attribute.language,
            "without": sorted(attribute.without),
            "invalid": attribute.invalid,
        }
        for attribute in schema.attributes
    ]
    encoding = schema.encoding
    return {
        "name": schema.name,
        "version": schema.version,
        "encoding": {
            "scheme": encoding.scheme,
            "bits": encoding.code_bits,
            "order": encoding.code_order,
            "filter_bits": encoding.filter_length,
        },
        "match": {
            "cardinality": schema.match.cardinality,
            "rounds": schema.match.rounds,
            "threshold": schema.threshold,
            "candidates": schema.match.candidates,
            "decoys": schema.match.decoys,
            "expected_records": schema.match.expected_records,
        },
        "attributes": attributes,
        "exact": list(schema.exact.names),
        "block": {
            "copies": schema.match.block_copies,
            "bytes": schema.match.block_bytes,
            "entries": [[str(part) for part in entry.parts] for entry in schema.entries],
        },
        "versions": versions,
    }


def canonical_json(resolved: dict[str, Any]) -> bytes:
    """Return the resolved schema in the one spelling its digest is taken of (RFC 8785)."""
    return rfc8785.dumps(resolved)


def schema_id_of(resolved: dict[str, Any]) -> bytes:
    """Return the schema id: SHA-256 over the canonical form, 32 bytes."""
    return hashlib.sha256(canonical_json(resolved)).digest()
