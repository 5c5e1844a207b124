"""The list of a party's offices, as `padan enrol offices` reads it: CSV with a header."""

import csv
import re
from pathlib import Path

from keys.errors import KeysError
from keys.identity import Identity, parse_identity
from linkage.agreement.payload import OfficeQuota
from linkage.errors import ConfigError

_NEEDED = ("office", "certificate")
_QUOTA = ("records_per_day", "jobs_per_day", "lookups_per_day")
_COLUMNS = frozenset({*_NEEDED, "seal_key", "sign_key", *_QUOTA})
_NUMBER = re.compile(r"[0-9]{1,9}")


def read_offices(path: Path) -> list[dict[str, str]]:
    """Return the rows of a list, a cell for every column.

    Raises:
        ConfigError: it cannot be read, has other columns, or no row.
    """
    try:
        # Spreadsheets write a mark before the first column.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            rows, columns = list(reader), reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(str(path), [f"cannot be read: {error}"]) from error
    problems = [f"lacks the column {name}" for name in _NEEDED if name not in columns]
    problems += [f"has an unknown column {name!r}" for name in columns if name not in _COLUMNS]
    problems += [
        f"line {number}: has more cells than there are columns"
        for number, row in enumerate(rows, 2)
        if None in row
    ]
    if problems or not rows:
        raise ConfigError(str(path), problems or ["lists no offices"])
    return rows


def uri_of_office(party: str, office: str) -> str:
    """Return the identity of an office of a party.

    Args:
        party: identity of the party.
        office: name of the office; whoever enrols it checks it.

    Raises:
        ConfigError: it is no identity of a party.
    """
    try:
        identity = parse_identity(party)
    except KeysError as error:
        raise ConfigError("principal", [str(error)]) from error
    if identity.role != "party":
        problem = "only a party has offices: name it as spiffe://DOMAIN/party/NAME"
        raise ConfigError("principal", [problem])
    return Identity(identity.trust_domain, "office", f"{identity.name}/{office}").uri


def quota_in(row: dict[str, str], problems: list[str]) -> OfficeQuota | None:
    """Return the quota of a row that has one; what is wrong with it is added to the problems."""
    given = {name: row.get(name, "") for name in _QUOTA}
    if not any(given.values()):
        return None
    # An empty cell beside others might be read as nothing, or as no limit.
    if wrong := [name for name, text in given.items() if _NUMBER.fullmatch(text) is None]:
        problems.append(f"{', '.join(wrong)}: a quota has three whole numbers, or none")
        return None
    return OfficeQuota(**{name: int(text) for name, text in given.items()})
