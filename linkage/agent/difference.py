"""What differs between two resolved linkage schemas: why their ids are not the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """One setting that is not the same.

    Attributes:
        where: the setting, for example `attributes.nama.weight`.
        left: its value in the first schema, as JSON has it; `ABSENT` where it has none.
        right: likewise in the second.
    """

    where: str
    left: Any
    right: Any


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Difference]:
    """Return every setting that differs, in the order of the first schema.

    Args:
        left: a resolved schema, see `linkage.encode.encoder.resolve_schema`.
        right: another one.

    Returns:
        Empty if and only if the two are equal, and so their ids.
    """
    flat = _flat(left, ""), _flat(right, "")
    places = dict.fromkeys([*flat[0], *flat[1]])
    return [
        Difference(where, flat[0].get(where, ABSENT), flat[1].get(where, ABSENT))
        for where in places
        if flat[0].get(where, ABSENT) != flat[1].get(where, ABSENT)
    ]


def _flat(value: Any, where: str) -> dict[str, Any]:
    """Return every single value by where it stands; named entries of a list by name."""
    if isinstance(value, Mapping) and value:
        inside = [(str(name), part) for name, part in value.items()]
    elif isinstance(value, list | tuple) and value and all(_is_named(entry) for entry in value):
        inside = [(entry["name"], entry) for entry in value]
    else:
        return {where: list(value) if isinstance(value, tuple) else value}
    flat: dict[str, Any] = {}
    if not isinstance(value, Mapping):
        # The order of attributes is part of the schema's id too.
        flat[f"{where} in order"] = [name for name, _ in inside]
    for name, part in inside:
        flat |= _flat(part, f"{where}.{name}" if where else name)
    return flat


def _is_named(entry: object) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("name"), str)
