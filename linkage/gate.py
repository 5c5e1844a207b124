"""The result of a risk gate as data: what was attacked, what was named, how long it counts.

An agency runs the gate on its own records (`linkage.privacy`) and keeps the result as
canonical JSON. Its digest goes into the manifest of every batch that it speaks for, and
`accepts` says whether it opens the way under an agreement. It holds figures and no values:
of the source there is the digest of how many records and values it has.

It is the agency's own statement. What makes it good is that it can be repeated: the level,
the seed and the profile of the source are in it, and an auditor may ask for a second run.
"""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar, cast

from linkage.errors import MalformedMessageError
from linkage.log.canonical import Json, format_json, parse_json_object

Verdict = Literal["passed", "exceeded", "void"]
Refusal = Literal[
    "GATE_OTHER_SCHEMA",
    "GATE_OTHER_EPOCH",
    "GATE_NOT_YET_VALID",
    "GATE_EXPIRED",
    "GATE_VOID",
    "GATE_STRUCTURE",
    "GATE_RATE",
]

VERSION = 1
DIGEST_BYTES = 32
MAX_FIGURES = 1_000
# An agreement that names this rate waives the gate, for the textbook scheme or a trial.
WAIVED = 1.0
_TEXT = re.compile(r"[\x20-\x7e\u00a0-\uffff]{1,200}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_VERDICTS = ("passed", "exceeded", "void")
_FIGURE_KEYS = frozenset(
    {"attack", "setting", "value", "limit", "verdict", "chance", "interval", "bound", "control"}
)
_KEYS = frozenset(
    {
        "v", "schema_id", "norm_version", "encoder_version", "epoch", "source_profile", "level",
        "seed", "records", "made_up", "figures", "highest", "made_at", "valid_until",
    }
)  # fmt: skip

_Any = TypeVar("_Any")


@dataclass(frozen=True)
class Figure:
    """What one attack found.

    Attributes:
        attack: which attack, beginning with its number.
        setting: under which circumstances.
        value: the figure.
        limit: the highest that the gate's own rules allow.
        verdict: `void` where the attack broke neither this scheme nor its control.
        chance: the figure by chance, where there is one.
        interval: 95 % of the value, where it is a rate.
        bound: of a rate of persons named, what is held against a limit: the upper bound of
            its interval, or the lower one where trials are too few to tell.
        control: the figure on the textbook scheme.
    """

    attack: str
    setting: str
    value: float
    limit: float
    verdict: Verdict
    chance: float | None = None
    interval: tuple[float, float] | None = None
    bound: float | None = None
    control: float | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the figure as JSON has it."""
        interval = None if self.interval is None else list(self.interval)
        return {**self.__dict__, "interval": interval}


@dataclass(frozen=True)
class GateResult:
    """A gate's result, and what it is bound to.

    Attributes:
        schema_id: of the schema under which was encoded, 32 bytes.
        norm_version: of the normaliser.
        encoder_version: of the encoder.
        epoch: the epoch of the agreement that it was made for.
        source_profile: of `profile_digest`, 32 bytes.
        level: how thorough the gate was.
        seed: of all draws but the keys.
        n_records: distinct persons that were attacked, those made up included.
        n_made_up: of these, how many were made up to fill up a small file.
        figures: what the attacks found.
        made_at: when, in UTC and whole seconds.
        valid_until: the end of the epoch, likewise.
    """

    schema_id: bytes
    norm_version: str
    encoder_version: str
    epoch: int
    source_profile: bytes
    level: str
    seed: int
    n_records: int
    n_made_up: int
    figures: tuple[Figure, ...]
    made_at: datetime
    valid_until: datetime

    @property
    def highest(self) -> Figure | None:
        """The rate of persons named with the highest bound; None if no attack names any."""
        rates = [figure for figure in self.figures if figure.bound is not None]
        return max(rates, key=lambda figure: (figure.bound or 0.0, figure.value), default=None)

    @property
    def void(self) -> bool:
        """Whether an attack did not break its control, or there was none."""
        return any(f.verdict == "void" for f in self.figures) or self.highest is None

    @property
    def rate(self) -> float:
        """The highest rate of persons named, by its bound; 1 if no attack names any."""
        highest = self.highest
        return 1.0 if highest is None or highest.bound is None else highest.bound

    @property
    def structure(self) -> bool:
        """Whether an attack that names nobody exceeded its limit."""
        return any(f.verdict == "exceeded" and f.bound is None for f in self.figures)

    @property
    def failed(self) -> bool:
        """Whether any attack exceeded its limit."""
        return any(figure.verdict == "exceeded" for figure in self.figures)

    def to_bytes(self) -> bytes:
        """Return the result as canonical JSON.

        Raises:
            MalformedMessageError: it holds something that would not be read again.
        """
        data = format_json(
            {
                "v": VERSION,
                "schema_id": self.schema_id.hex(),
                "norm_version": self.norm_version,
                "encoder_version": self.encoder_version,
                "epoch": self.epoch,
                "source_profile": self.source_profile.hex(),
                "level": self.level,
                "seed": self.seed,
                "records": self.n_records,
                "made_up": self.n_made_up,
                "figures": [figure.to_json() for figure in self.figures],
                "highest": _highest(self),
                "made_at": _written(self.made_at),
                "valid_until": _written(self.valid_until),
            }
        )
        if parse_result(data) != self:
            raise MalformedMessageError("a gate result that would be read as another one")
        return data

    def digest(self) -> bytes:
        """Return SHA-256 of `to_bytes`, 32 bytes: what manifests are bound to."""
        return hashlib.sha256(self.to_bytes()).digest()


def parse_result(data: bytes) -> GateResult:
    """Return the result that `GateResult.to_bytes` wrote.

    Raises:
        MalformedMessageError: anything that it would not write.
    """
    fields = parse_json_object(data, _KEYS)
    if fields["v"] != VERSION or isinstance(fields["v"], bool):
        raise MalformedMessageError("a gate result of unknown version")
    figures = fields["figures"]
    if not isinstance(figures, list) or not 1 <= len(figures) <= MAX_FIGURES:
        raise MalformedMessageError(f"a gate result has 1 to {MAX_FIGURES} figures")
    result = GateResult(
        _digest(fields["schema_id"]),
        _text(fields["norm_version"]),
        _text(fields["encoder_version"]),
        _count(fields["epoch"]),
        _digest(fields["source_profile"]),
        _text(fields["level"]),
        _count(fields["seed"]),
        _count(fields["records"]),
        _count(fields["made_up"]),
        tuple(_figure(figure) for figure in figures),
        _time(fields["made_at"]),
        _time(fields["valid_until"]),
    )
    if result.n_made_up > result.n_records or result.valid_until < result.made_at:
        raise MalformedMessageError("a gate result that contradicts itself")
    if fields["highest"] != _highest(result):
        raise MalformedMessageError("a gate result whose highest rate is not in its figures")
    return result


def accepts(
    result: GateResult, schema_id: bytes, epoch: int, limit: float, now: datetime
) -> Refusal | None:
    """Return why a result does not open the way under an agreement; None where it does.

    Args:
        result: the result.
        schema_id: schema of the batch.
        epoch: epoch of the batch's key.
        limit: the highest rate of persons named that the agreement accepts, by its bound;
            `WAIVED` accepts any finding, but no result that is void or bound elsewhere.
        now: the time, with its zone.
    """
    if result.schema_id != schema_id:
        return "GATE_OTHER_SCHEMA"
    if result.epoch != epoch:
        return "GATE_OTHER_EPOCH"
    if now < result.made_at:
        return "GATE_NOT_YET_VALID"
    if now >= result.valid_until:
        return "GATE_EXPIRED"
    if result.void:
        return "GATE_VOID"
    if limit >= WAIVED:
        return None
    if result.structure:
        return "GATE_STRUCTURE"
    return "GATE_RATE" if result.rate > limit else None


def profile_digest(n_records: int, columns: Mapping[str, tuple[int, int]]) -> bytes:
    """Return what tells one state of a source from another, without a value of it.

    Args:
        n_records: records of the source.
        columns: for each attribute how many records have a value, and how many distinct
            ones there are.
    """
    counts = {
        name: {"filled": filled, "distinct": distinct}
        for name, (filled, distinct) in columns.items()
    }
    return hashlib.sha256(format_json({"records": n_records, "columns": counts})).digest()


def _highest(result: GateResult) -> dict[str, Json] | None:
    figure = result.highest
    if figure is None:
        return None
    return {
        "attack": figure.attack,
        "setting": figure.setting,
        "rate": figure.value,
        "bound": figure.bound,
    }


def _figure(value: Json) -> Figure:
    if not isinstance(value, dict) or value.keys() != _FIGURE_KEYS:
        raise MalformedMessageError("a figure of a gate with other members")
    fields = cast("Mapping[str, Json]", value)
    verdict = fields["verdict"]
    if verdict not in _VERDICTS:
        raise MalformedMessageError("a figure of a gate with an unknown verdict")
    return Figure(
        _text(fields["attack"]),
        _text(fields["setting"]),
        _number(fields["value"]),
        _number(fields["limit"]),
        cast("Verdict", verdict),
        _if_any(_number, fields["chance"]),
        _if_any(_interval, fields["interval"]),
        _if_any(_number, fields["bound"]),
        _if_any(_number, fields["control"]),
    )


def _if_any(parse: Callable[[Json], _Any], value: Json) -> _Any | None:
    return None if value is None else parse(value)


def _interval(value: Json) -> tuple[float, float]:
    ends = cast("Sequence[Json]", value) if isinstance(value, list) else ()
    if len(ends) != 2:
        raise MalformedMessageError("an interval has two ends")
    low, high = (_number(end) for end in ends)
    if not 0 <= low <= high <= 1:
        raise MalformedMessageError("the interval of a rate lies between 0 and 1")
    return low, high


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise MalformedMessageError("a figure of a gate is a number")
    return float(value)


def _count(value: Json) -> int:
    if type(value) is not int or value < 0:
        raise MalformedMessageError("a count of a gate is a whole number")
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str) or _TEXT.fullmatch(value) is None:
        raise MalformedMessageError("a text of a gate is 1 to 200 visible characters")
    return value


def _digest(value: Json) -> bytes:
    if not isinstance(value, str) or re.fullmatch(r"[0-9a-f]{64}", value) is None:
        raise MalformedMessageError("a digest of a gate is 64 hexadecimal digits")
    return bytes.fromhex(value)


def _written(time: datetime) -> str:
    if time.utcoffset() != timedelta(0) or time.microsecond:
        raise MalformedMessageError("the time of a gate is not in UTC and whole seconds")
    return time.isoformat().replace("+00:00", "Z")


def _time(value: Json) -> datetime:
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise MalformedMessageError("the time of a gate is not in UTC and whole seconds")
    try:
        return datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedMessageError("the time of a gate does not exist") from error
