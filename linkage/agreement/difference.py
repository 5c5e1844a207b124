"""What an amendment changes: the fields of two agreements that are not the same."""

from collections.abc import Mapping
from typing import Any

from linkage.agreement.model import Agreement

# By what the entries of these lists are told apart.
_NAMED = (("id",), ("party", "direction"), ("source", "recipient"), ("name",))


def differences(left: Agreement, right: Agreement) -> list[tuple[str, Any, Any]]:
    """Return every field that differs: where it is, and its two values, None for none."""
    flat = _flat(left.to_json(), ""), _flat(right.to_json(), "")
    places = dict.fromkeys([*flat[0], *flat[1]])
    found = [(where, flat[0].get(where), flat[1].get(where)) for where in places]
    return [(where, old, now) for where, old, now in found if old != now]


def _flat(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        inside = [(str(name), part) for name, part in value.items()]
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        inside = [(_name_of(part, number), part) for number, part in enumerate(value)]
    else:
        return {where: value}
    flat: dict[str, Any] = {}
    for name, part in inside:
        flat |= _flat(part, f"{where}.{name}" if where else name)
    return flat


def _name_of(entry: Mapping[str, Any], number: int) -> str:
    for names in _NAMED:
        if all(name in entry for name in names):
            return "-".join(str(entry[name]) for name in names)
    return str(number)
