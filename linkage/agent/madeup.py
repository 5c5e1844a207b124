"""Made-up people to fill up a small file for the risk gate.

Attacks on a few hundred records say little: chance alone comes near the limits. Types decide
which value of a made-up person stands for an attribute. What made-up people do not have,
such as phone numbers, is drawn from the values of the file: these never leave the agency.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.made import take
from linkage.schema import LinkageSchema
from linkage.synthetic import REFERENCE_DATE, generate_population, make_registers

_compute: Any = pyarrow.compute  # the published stubs refuse arguments that Arrow documents

# The register of births holds nearly everybody.
_REGISTER, _SPARE = "dukcapil", 1.2
_REFERENCE_YEAR = int(REFERENCE_DATE[:4])


def _year(people: pa.Table) -> Any:
    return _compute.utf8_slice_codeunits(people["tgl_lahir"], 6, 10)


def _age(people: pa.Table) -> Any:
    years = _compute.cast(_year(people), pa.int32())
    return _compute.cast(_compute.subtract(_REFERENCE_YEAR, years), pa.string())


def _column(name: str) -> Callable[[pa.Table], Any]:
    return lambda people: people[name]


def _words(pattern: str) -> Callable[[pa.Table], Any]:
    """Return the part of names that is left when a pattern is taken out."""
    return lambda people: _compute.replace_substring_regex(people["nama"], pattern, "")


# By type, what a made-up person has; dates are written day, month, year.
_VALUES: Mapping[str, Callable[[pa.Table], Any]] = {
    "name": _column("nama"),
    "given_name": _words(r" [^ ]*$"),
    "surname": _words(r"^.* "),
    "mother_name": _column("nama_ibu"),
    "father_name": _column("nama_ayah"),
    "sex": _column("jenis_kelamin"),
    "date": _column("tgl_lahir"),
    "year": _year,
    "age": _age,
    "place": _column("tempat_lahir"),
    "nationality": _column("kewarganegaraan"),
    "address": _column("alamat"),
    "postcode": _column("kode_pos"),
    "nik": _column("nik"),
    "kk": _column("no_kk"),
}


def made_up_columns(
    schema: LinkageSchema, columns: Mapping[str, FlaggedColumn], n: int, seed: int
) -> dict[str, FlaggedColumn]:
    """Return normalised words of made-up people, by attribute.

    Args:
        schema: the linkage schema.
        columns: normalised words of the file that is filled up.
        n: how many people.
        seed: equal seeds give equal people.
    """
    population = generate_population(round(_SPARE * n) + 20, seed)
    people = make_registers(population, (_REGISTER,), "off", seed).tables[_REGISTER].slice(0, n)
    rng = np.random.default_rng(seed)
    nothing = pa.nulls(n, pa.string())
    values: dict[str, Any] = {}
    used = set()
    for attribute in schema.attributes:
        value = _VALUES.get(attribute.type)
        column = nothing if value is None else value(people)
        if attribute.type in used:
            # A second place is another one: somebody else's.
            column = _compute.take(column, rng.permutation(n))
        used.add(attribute.type)
        values[attribute.name] = column
    source = SourceConfig(path=Path(_REGISTER), date_order="DMY", reference_year=_REFERENCE_YEAR)
    made = dict(RecordNormaliser(schema, source).columns(pa.table(values)))
    for attribute in schema.attributes:
        own = columns[attribute.name]
        if attribute.type not in _VALUES and len(own):
            made[attribute.name] = take(own, rng.integers(0, len(own), n))
    return made
