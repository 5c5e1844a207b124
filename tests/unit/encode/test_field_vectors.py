"""The field filters' own vectors, written by an implementation that shares no code."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkage.encode.fields import FieldEncoder, Side
from linkage.fieldrow import FILTER_BYTES
from linkage.normalise.columns import FlaggedColumn
from linkage.schema import parse_schema

FOLDER = Path(__file__).parents[2] / "vectors" / "fields"
CASES = [json.loads(path.read_text(encoding="ascii")) for path in sorted(FOLDER.glob("*.json"))]
DEFINITION = runpy.run_path(str(FOLDER / "generate.py"))


def test_how_many_there_are() -> None:
    assert len(CASES) == 18
    assert len({case["desc"] for case in CASES}) == len(CASES)


def test_the_files_are_what_the_generator_writes() -> None:
    assert sorted(DEFINITION["cases"](), key=lambda case: case["number"]) == CASES


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["desc"])
def test_a_field(case: dict[str, Any], side: Side) -> None:
    # Of one round: with two no schema has a sex alone. A field is made alike in either.
    attribute = f'[[attributes]]\nname = "a"\ntype = "{case["type"]}"'
    schema = parse_schema(f'name = "v"\nmatch = {{rounds = 1}}\n{attribute}')
    words = case["words"]
    column = FlaggedColumn(
        words, np.arange(len(words), dtype=np.int32), np.array([0, len(words)]),
        np.zeros(1, np.uint32), np.zeros(len(words), np.uint8),
    )  # fmt: skip
    key = np.frombuffer(bytes.fromhex(case["key"]), np.uint8).reshape(1, 32)
    row = FieldEncoder(schema, {"a": column}).encode(np.zeros(1, np.int64), key, side)[0]
    assert row[:FILTER_BYTES].tobytes().hex() == case["expect"]["filter"]
    assert row[FILTER_BYTES] == case["expect"][side]
