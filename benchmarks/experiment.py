"""Experiments as data: which sets there are, and what every contestant is told of them.

One TOML file in `experiments/` describes a family of sets with equal columns: the
attributes with our type and the peer's feature, the blocking of the plain-text peer,
and the sets. What a set's records are is left to `records`.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from linkage.schema import Cardinality
from linkage.types import ATTRIBUTE_TYPES

FOLDER = Path(__file__).parent / "experiments"

Feature = Literal["bigram", "digits", "exact"]
Comparison = Literal["text", "date", "code"]

# Types whose values are codes to the plain-text peer: equal or not.
_CODES = frozenset({"sex", "year", "age", "postcode", "phone", "code", "number"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """One attribute, as each contestant is told of it.

    Attributes:
        name: name of the attribute and of its column.
        type: our type of it, all that our schema says.
        feature: clkhash's kind of it: bigrams, positional unigrams, or the whole value.
        bits: insertions that clkhash spreads over its tokens (`bitsPerFeature`).
    """

    name: str
    type: str
    feature: Feature
    bits: Annotated[int, Field(ge=1, le=1024)]

    @field_validator("type")
    @classmethod
    def _type_exists(cls, name: str) -> str:
        if name not in ATTRIBUTE_TYPES or ATTRIBUTE_TYPES[name].kind == "identifier":
            raise ValueError("no type of attribute that a code may hold")
        return name

    @property
    def comparison(self) -> Comparison:
        """How the plain-text peer compares it."""
        if self.type == "date":
            return "date"
        return "code" if self.type in _CODES else "text"


class Neighbourhood(_Strict):
    """A sorted-neighbourhood pass of the plain-text peer.

    Attributes:
        on: the columns whose joined values are sorted.
        window: records on each side and the record itself; odd.
    """

    on: tuple[str, ...]
    window: Annotated[int, Field(ge=3, le=41)]


class Set(_Strict):
    """One set of a family.

    Attributes:
        name: how it is called in tables and in `--sets`.
        files: files in the set's folder under the data directory.
        folder: that folder.
        febrl: number of a FEBRL set instead of files.
        grade: grade of a synthetic pair of registers instead of files.
        seed: its seed.
        cardinality: what is known of how often a person occurs.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    folder: str = ""
    files: tuple[str, ...] = ()
    febrl: Annotated[int, Field(ge=1, le=4)] | None = None
    grade: str | None = None
    seed: int = 0
    cardinality: Cardinality = "many-to-many"


class Experiment(_Strict):
    """One set with all that is told of it.

    Attributes:
        set: the set.
        truth: column that names the person; no contestant sees it.
        columns: the attributes.
        values: what a file's codes mean, by file and column.
        reference_year: year that ages in the files are counted from.
        language: whose names the records hold, as a schema may say it; ablation alone does.
        blocking: passes of equal keys, each a list of keys; see `blocking`.
        neighbourhoods: passes of sorted neighbourhood.
    """

    set: Set
    truth: str
    columns: tuple[Column, ...]
    values: dict[str, dict[str, dict[str, str]]] = {}
    reference_year: int | None = None
    language: Literal["indonesian", "foreign"] = "foreign"
    blocking: tuple[tuple[str, ...], ...]
    neighbourhoods: tuple[Neighbourhood, ...] = ()

    @property
    def name(self) -> str:
        """The name of the set."""
        return self.set.name

    @property
    def blocking_text(self) -> str:
        """The blocking in words, for the table."""
        passes = [" + ".join(keys) for keys in self.blocking]
        passes += [f"{' '.join(n.on)} in a window of {n.window}" for n in self.neighbourhoods]
        return "; ".join(passes)


def load_experiments(folder: Path = FOLDER) -> list[Experiment]:
    """Return the experiments of all files of a folder, in the order of names of files.

    Raises:
        ValueError: a file is no experiment, or a set's name occurs twice.
    """
    experiments: list[Experiment] = []
    for path in sorted(folder.glob("*.toml")):
        family = tomllib.loads(path.read_text("utf-8"))
        sets = family.pop("sets")
        experiments += [Experiment.model_validate({**family, "set": entry}) for entry in sets]
    names = [experiment.name for experiment in experiments]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"sets named twice: {', '.join(twice)}")
    return experiments
