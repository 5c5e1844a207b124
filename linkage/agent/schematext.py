"""A linkage schema written back as TOML."""

import json
from collections.abc import Mapping
from typing import Any

from linkage.schema import LinkageSchema


def format_schema(schema: LinkageSchema) -> str:
    """Return a schema as the text of its file; settings that nobody gave are left out."""
    tables = schema.model_dump(exclude_unset=True, exclude_none=True)
    for attribute in tables["attributes"]:
        # Parsing gives the schema's language to every attribute.
        if attribute.get("language") == schema.model_dump().get("language"):
            attribute.pop("language", None)
    return "\n".join(_lines(tables, "")).lstrip("\n") + "\n"


def _lines(table: Mapping[str, Any], where: str) -> list[str]:
    """Return the single values of a table first: in TOML they end where a table begins."""
    lines = [f"{name} = {_value(value)}" for name, value in table.items() if not _is_table(value)]
    for name, value in table.items():
        path = f"{where}.{name}" if where else name
        if isinstance(value, Mapping):
            lines += ["", f"[{path}]", *_lines(value, path)]
        elif _is_table(value):
            for entry in value:
                lines += ["", f"[[{path}]]", *_lines(entry, path)]
    return lines


def _is_table(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(entry, Mapping) for entry in value)
    return isinstance(value, Mapping)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    # Strings, numbers, true and false are written alike in JSON and in TOML.
    return json.dumps(value, ensure_ascii=False)
