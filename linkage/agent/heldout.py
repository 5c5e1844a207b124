"""How far to follow learned weights: tried on persons that they were not learned from.

Persons are parted into two halves. Weights learned from the one link the other, under one
key, at some steps between the default weights and the learned ones; then the halves change
places. A step is taken only where it links both halves better than the defaults do.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keys.derive import KeyContext, LinkageKey
from linkage.agent.labelled import Labelled
from linkage.agent.trial import best_quality
from linkage.encode.encoder import Encoder
from linkage.schema import LinkageSchema

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
# Less than this may be chance, and is not worth another schema.
_LEAST_GAIN = 0.001
# Records of one half that are linked, about: all pairs of them are compared.
_TRIED_RECORDS = 10_000


@dataclass(frozen=True)
class Trial:
    """How well one step links.

    Attributes:
        step: 0 for the default weights, 1 for the learned ones.
        best_f1: of either half of the persons, linked with what the other half taught.
    """

    step: float
    best_f1: tuple[float, ...]


def weight_at(step: float, default: float, learned: float) -> float:
    """Return the weight some way from the default to the learned one, in equal ratios."""
    return float(default ** (1 - step) * learned**step)


def try_steps(
    schema: LinkageSchema,
    records: Labelled,
    learn: Callable[[Labelled], Mapping[str, float]],
    seed: int,
    threads: int,
) -> tuple[Trial, ...]:
    """Link either half of the persons with weights that the other half taught.

    Args:
        schema: the linkage schema; its codes are tried as they are in one round.
        records: records of known persons.
        learn: returns the weights that some records teach, by attribute.
        seed: of the choice of persons and of the key.
        threads: threads that compare.
    """
    draw = np.random.default_rng(seed).random(int(records.person.max(initial=0)) + 1)
    of_record = draw[records.person]
    share = min(0.5, _TRIED_RECORDS / max(1, len(records)))
    halves = ((of_record >= 0.5, of_record < share), (of_record < 0.5, of_record >= 1 - share))
    taught = [(learn(records.tokens_of(teach)), linked) for teach, linked in halves]
    one_round = schema.with_rounds(1)
    defaults = {a.name: a.of_type.weight for a in schema.fuzzy}

    def f1_at(step: float, learned: Mapping[str, float], linked: NDArray[np.bool_]) -> float:
        weights = {name: weight_at(step, defaults[name], learned[name]) for name in defaults}
        weighted = with_weights(one_round, weights)
        codes = _codes(weighted, records, linked, seed)
        return best_quality(codes, records.person[linked], weighted, threads).f1

    return tuple(Trial(step, tuple(f1_at(step, *half) for half in taught)) for step in STEPS)


def best_step(trials: tuple[Trial, ...]) -> float:
    """Return the step that links best in the mean of both halves, 0 where none gains in both."""
    defaults = np.array(trials[0].best_f1)
    chosen, most = 0.0, _LEAST_GAIN
    for trial in trials[1:]:
        gains = np.array(trial.best_f1) - defaults
        if gains.min() > 0 and gains.mean() > most:
            chosen, most = trial.step, float(gains.mean())
    return chosen


def with_weights(schema: LinkageSchema, weights: Mapping[str, float]) -> LinkageSchema:
    """Return the schema with other weights; attributes that are not named keep theirs."""
    attributes = tuple(
        a.model_copy(update={"weight": weights[a.name]}) if a.name in weights else a
        for a in schema.attributes
    )
    return schema.model_copy(update={"attributes": attributes})


def _codes(
    schema: LinkageSchema, records: Labelled, kept: NDArray[np.bool_], seed: int
) -> list[NDArray[np.uint8]]:
    """Return the codes of some records, file by file."""
    # One key for all weights; it protects nothing, since no code leaves this process.
    secret = hashlib.sha256(f"tune {seed}".encode()).digest()
    key = LinkageKey(secret, KeyContext("tune", bytes(32), "tune", 1))
    # Codes alone are made: no noise is drawn.
    encoder = Encoder(schema, key, bytes)
    codes = np.concatenate([encoder.codes(columns) for columns in records.columns])
    return [codes[kept & (records.file == file)] for file in np.unique(records.file)]
