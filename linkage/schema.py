"""The linkage schema: which attributes are linked, and how they are encoded.

A schema is a TOML file that the parties agree on. `parse_schema` reads and checks
it as a whole; `resolve` fills in every default, so that two agencies with
different versions of a table or a rule notice it: the digest of the resolved form
is the schema id, and a batch under another id is refused.

What differs between agencies (files, columns, date order) is no part of it: that
is the agent's source file.
"""

import hashlib
import tomllib
from typing import Annotated, Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from linkage.errors import ConfigError
from linkage.types import ATTRIBUTE_TYPES, AttributeType, refused_word_in

Cardinality = Literal["many-to-many", "one-to-many", "one-to-one"]
Scheme = Literal["clk"]

MAX_ATTRIBUTES = 32
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Encoding(_Strict):
    """How the tokens of a record become its code.

    Attributes:
        scheme: `clk`, a Bloom filter that is sent as it is.
        bits: length of the code.
    """

    scheme: Scheme = "clk"
    bits: Annotated[int, Field(ge=512, le=8192, multiple_of=64)] = 2048


class Match(_Strict):
    """How pairs of codes become links.

    Attributes:
        cardinality: how many records of each party may be one person. In
            `one-to-many` the first party of a job is the one.
        threshold: lowest similarity of a link.
    """

    cardinality: Cardinality = "many-to-many"
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.7


class Attribute(_Strict):
    """One attribute of a record.

    Attributes:
        name: shared name of the attribute at all parties.
        type: one of `linkage.types.ATTRIBUTE_TYPES`.
        weight: weight of its tokens; the type's default where absent.
        element: row of the data-needs matrix; the type's where absent.
    """

    name: _Name
    type: str
    weight: Annotated[float, Field(gt=0, le=10)] | None = None
    element: _Name | None = None

    @field_validator("name")
    @classmethod
    def _name_is_allowed(cls, name: str) -> str:
        if word := refused_word_in(name):
            raise ValueError(f"{word!r} names data that no linkage may use: leave it out")
        return name

    @field_validator("type")
    @classmethod
    def _type_is_known(cls, name: str) -> str:
        known = ATTRIBUTE_TYPES.get(name)
        if known is None:
            raise ValueError(f"no such type: use one of {', '.join(ATTRIBUTE_TYPES)}")
        if known.kind == "identifier":
            raise ValueError(f"an identifier such as {name} never enters the fuzzy code")
        return name

    @property
    def of_type(self) -> AttributeType:
        """The entry of the attribute's type in the table of types."""
        return ATTRIBUTE_TYPES[self.type]

    @property
    def token_weight(self) -> float:
        """The weight of the attribute's tokens, given or by type."""
        return self.of_type.weight if self.weight is None else self.weight


class LinkageSchema(_Strict):
    """A whole schema, checked. See `parse_schema`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    version: Annotated[int, Field(ge=1, le=65535)] = 1
    encoding: Encoding = Encoding()
    match: Match = Match()
    attributes: Annotated[tuple[Attribute, ...], Field(min_length=1, max_length=MAX_ATTRIBUTES)]

    @field_validator("attributes", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "LinkageSchema":
        names = [attribute.name for attribute in self.attributes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"attributes named twice: {', '.join(twice)}")
        return self


def parse_schema(text: str, what: str = "schema") -> LinkageSchema:
    """Read a schema from TOML.

    Args:
        text: the file's content.
        what: how to call it in an error, for example its path.

    Raises:
        ConfigError: it is no TOML, or does not follow the rules; lists every problem.
    """
    try:
        return LinkageSchema.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(what, [f"not valid TOML: {error}"]) from error
    except ValidationError as error:
        raise ConfigError(what, problems_of(error)) from error


def problems_of(error: ValidationError) -> list[str]:
    """Return what pydantic found wrong, one line each, without echoing values."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in problem["loc"]) or "as a whole"
        lines.append(f"{where}: {problem['msg'].removeprefix('Value error, ')}")
    return lines


def resolve(schema: LinkageSchema, versions: dict[str, str]) -> dict[str, Any]:
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
        }
        for attribute in schema.attributes
    ]
    return {**schema.model_dump(), "attributes": attributes, "versions": versions}


def canonical_json(resolved: dict[str, Any]) -> bytes:
    """Return the resolved schema in the one spelling its digest is taken of (RFC 8785)."""
    return rfc8785.dumps(resolved)


def schema_id_of(resolved: dict[str, Any]) -> bytes:
    """Return the schema id: SHA-256 over the canonical form, 32 bytes."""
    return hashlib.sha256(canonical_json(resolved)).digest()
