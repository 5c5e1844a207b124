"""Keys and columns for the tests of the encoder."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from linkage.encode.encoder import Encoder
from linkage.normalise.columns import WordColumn, words_by_value
from linkage.schema import LinkageSchema

Record = Mapping[str, Sequence[str]]
Codes = Callable[..., NDArray[np.uint8]]


class NamedKeys:
    """Keys that follow from a word, and that notice who asks for them."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.asked: list[str] = []

    def space_key(self, space: str) -> bytes:
        self.asked.append(space)
        return hashlib.sha256(f"{self._secret}/{space}".encode()).digest()

    def hardening_key(self) -> bytes:
        self.asked.append("(hardening)")
        return hashlib.sha256(f"{self._secret} hardens".encode()).digest()

    def block_key(self, label: str) -> bytes:
        return hashlib.sha256(f"{self._secret} blocks {label}".encode()).digest()

    def exact_key(self, space: str) -> bytes:
        return hashlib.sha256(f"{self._secret} equals {space}".encode()).digest()


def column(records: Sequence[Sequence[str]]) -> WordColumn:
    """One column of records given as words; records may repeat or be empty."""
    return words_by_value(["\0".join(words) for words in records], lambda v: v.split("\0"))


def columns(schema: LinkageSchema, records: Sequence[Record]) -> dict[str, WordColumn]:
    return {a.name: column([r.get(a.name, ()) for r in records]) for a in schema.attributes}


@pytest.fixture(scope="session")
def named_keys() -> Callable[[str], NamedKeys]:
    return NamedKeys


@pytest.fixture(scope="session")
def columns_of() -> Callable[[LinkageSchema, Sequence[Record]], dict[str, WordColumn]]:
    return columns


@pytest.fixture(scope="session")
def encoder_of() -> Callable[..., Encoder]:
    """Encoders by schema and secret, each made once: the keyed matrix takes a while."""
    made: dict[tuple[str, str], Encoder] = {}

    def encoder(schema: LinkageSchema, under: str = "k") -> Encoder:
        what = (schema.model_dump_json(), under)
        if what not in made:
            made[what] = Encoder(schema, NamedKeys(under), os.urandom)
        return made[what]

    return encoder


@pytest.fixture(scope="session")
def codes_of(encoder_of: Callable[..., Encoder]) -> Codes:
    """`codes_of(schema, record, ..., under="k")`: the codes of records of words."""

    def codes(schema: LinkageSchema, *records: Record, under: str = "k") -> NDArray[np.uint8]:
        return encoder_of(schema, under).codes(columns(schema, records))

    return codes
