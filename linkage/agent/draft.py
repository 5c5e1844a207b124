"""A suggested schema as TOML, with a reason on every line.

Equal suggestions give equal text, and it always parses as a schema.
"""

from collections.abc import Sequence

from linkage.agent.columnnames import words_of_column
from linkage.agent.suggest import Guess, Suggestion, quoted
from linkage.errors import ConfigError
from linkage.schema import LinkageSchema, parse_schema

_INDONESIAN = """
    nama tgl tanggal lahir tempat jenis kelamin jk alamat ibu ayah kota kab kabupaten kecamatan
    kelurahan desa provinsi kode pos telp telepon kewarganegaraan nik kk paspor
"""
_REASON_COLUMN = 32  # where the reasons start, so that they stand below each other


def format_suggestion(suggestion: Suggestion, file_name: str, schema_name: str) -> str:
    """Return a suggestion as the text of a schema file.

    Args:
        suggestion: what the columns are taken for.
        file_name: name of the file that was looked at.
        schema_name: name for the schema.
    """
    exact = suggestion.of_role("identifier")
    plain = _text(suggestion, file_name, schema_name, [])
    if not exact or "exact" not in LinkageSchema.model_fields:
        return plain
    # Exact tokens have their own table; a schema that does not take these goes without.
    text = _text(suggestion, file_name, schema_name, exact)
    try:
        parse_schema(text)
    except ConfigError:
        return plain
    return text


def _text(suggestion: Suggestion, file_name: str, schema_name: str, exact: Sequence[Guess]) -> str:
    lines = [
        f"# Proposed from {quoted(file_name)}, by the names of its columns and the values in",
        f"# {suggestion.n_records:,} records. A draft: strike out what no agreement names.",
        f'name = "{schema_name}"',
        "version = 1",
    ]
    if _is_indonesian(suggestion):
        lines.append(_line('language = "indonesian"', "the names of columns are"))
    for guess in suggestion.of_role("attribute"):
        lines += _attribute(guess)
    for guess in exact:
        lines += _attribute(guess)
    if exact:
        names = ", ".join(f'"{guess.name}"' for guess in exact)
        lines += ["", "[exact]", _line(f"names = [{names}]", "compared as wholes, under a key")]
    lines += _left_out(suggestion, exact)
    lines += _source_file(suggestion)
    return "\n".join(lines) + "\n"


def _attribute(guess: Guess) -> list[str]:
    of_column = "" if guess.name == guess.column else f"column {quoted(guess.column)}"
    lines = [
        "",
        "[[attributes]]",
        _line(f'name = "{guess.name}"', of_column),
        _line(f'type = "{guess.type}"', guess.reason),
    ]
    if guess.element:
        lines.append(_line(f'element = "{guess.element}"', "where the person lives"))
    return lines


def _line(text: str, comment: str) -> str:
    return f"{text:{_REASON_COLUMN}}# {comment}" if comment else text


def _left_out(suggestion: Suggestion, exact: Sequence[Guess]) -> list[str]:
    left = [
        guess for guess in suggestion.guesses if guess.role != "attribute" and guess not in exact
    ]
    if not left:
        return []
    lines = ["", "# Left out:"]
    for guess in left:
        reason = guess.reason
        if guess.role == "identifier":
            reason = f"an identifier of type {guess.type} ({reason}); compared as a whole only,"
            reason += f' as [exact] names = ["{guess.name}"]'
        lines.append(f"#   {quoted(guess.column)}: {reason}")
    return lines


def _source_file(suggestion: Suggestion) -> list[str]:
    """Return what belongs in the source file, as comments."""
    numbers = suggestion.of_role("record_id")
    renamed = [guess for guess in suggestion.of_role("attribute") if guess.name != guess.column]
    lines = []
    if numbers:
        lines.append(f"record_id = {quoted(numbers[0].column)}")
    if suggestion.date_order:
        lines.append(f'date_order = "{suggestion.date_order}"')
    if renamed:
        lines.append("[columns]")
        lines += [f"{guess.name} = {quoted(guess.column)}" for guess in renamed]
    if not lines:
        return []
    return ["", "# For this file's source.toml:", *(f"#   {line}" for line in lines)]


def _is_indonesian(suggestion: Suggestion) -> bool:
    used = [g for g in suggestion.guesses if g.role in {"attribute", "identifier"}]
    known = frozenset(_INDONESIAN.split())
    spoken = [g for g in used if known.intersection(words_of_column(g.column))]
    return len(spoken) > len(used) / 2
