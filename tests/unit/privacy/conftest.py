"""Some six hundred made-up persons, normalised, for the attacks to work on."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from linkage.agent.config import SourceConfig
from linkage.agent.encoding import RecordNormaliser
from linkage.agent.source import Source
from linkage.normalise.columns import FlaggedColumn
from linkage.privacy.made import take
from linkage.privacy.subject import distinct_persons
from linkage.schema import LinkageSchema, parse_schema
from linkage.synthetic import generate_population, make_registers, register_csv_chunks

_TYPES = {
    "nama": "name",
    "tgl_lahir": "date",
    "tempat_lahir": "place",
    "jenis_kelamin": "sex",
    "nama_ibu": "mother_name",
}
SCHEMA_TEXT = 'name = "people"\nlanguage = "indonesian"\n' + "".join(
    f'[[attributes]]\nname = "{name}"\ntype = "{kind}"\n' for name, kind in _TYPES.items()
)


@pytest.fixture(scope="session")
def schema() -> LinkageSchema:
    return parse_schema(SCHEMA_TEXT)


@pytest.fixture(scope="session")
def register_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("privacy") / "people.csv"
    table = make_registers(generate_population(700, 11), ("dukcapil",), "off", 11).tables
    path.write_bytes(b"".join(register_csv_chunks(table["dukcapil"])))
    return path


@pytest.fixture(scope="session")
def columns(register_path: Path, schema: LinkageSchema) -> Mapping[str, FlaggedColumn]:
    source = SourceConfig(path=register_path, date_order="DMY")
    (table,) = Source(source, schema).chunks()
    everyone = RecordNormaliser(schema, source).columns(table)
    persons = distinct_persons(schema, everyone, 1)
    return {name: take(column, persons) for name, column in everyone.items()}
