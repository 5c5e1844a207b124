"""Records made up of parts of real ones, for the homomorphism probe."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from linkage.encode.tokens import bigrams
from linkage.normalise.columns import FlaggedColumn
from linkage.schema import LinkageSchema

N_RECTANGLES = 60
_SIDE, _CELLS = 22, 120


def take(column: FlaggedColumn, records: NDArray[np.int64]) -> FlaggedColumn:
    """Return the words of some records of a column."""
    lengths = np.diff(column.offsets)[records]
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    starts = column.offsets[:-1][records] - offsets[:-1]
    at = np.repeat(starts, lengths) + np.arange(offsets[-1])
    return FlaggedColumn(
        column.vocabulary,
        column.word_ids[at],
        offsets,
        column.flags[records],
        column.classes,
    )


def joined(first: FlaggedColumn, second: FlaggedColumn) -> FlaggedColumn:
    """Return the records of two columns of one attribute in a row."""
    known = {
        word: number
        for number, word in enumerate(zip(first.vocabulary, first.classes.tolist(), strict=True))
    }
    theirs = list(zip(second.vocabulary, second.classes.tolist(), strict=True))
    number_of = np.array([known.setdefault(word, len(known)) for word in theirs], dtype=np.int32)
    return FlaggedColumn(
        [word for word, _ in known],
        np.concatenate([first.word_ids, number_of[second.word_ids]]),
        np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]]),
        np.concatenate([first.flags, second.flags]),
        np.array([of_word for _, of_word in known], dtype=np.uint8),
    )


def rectangles(
    schema: LinkageSchema, columns: Mapping[str, FlaggedColumn], seed: int
) -> dict[str, FlaggedColumn]:
    """Return the records of rectangles, four in a row for each.

    The attributes are shared out to two halves of like weight, for two people who differ in
    little are alike anyhow. Each rectangle takes both halves from two persons. A schema of
    one attribute has no halves: no records.
    """
    first = _half(schema)
    rng = np.random.default_rng(seed)
    n = len(columns[schema.fuzzy[0].name])
    drawn = [rng.choice(n, 2, replace=n < 2) for _ in range(N_RECTANGLES if first else 0)]
    persons = np.array(drawn, dtype=np.int64).reshape(-1, 2)
    halves = {True: persons[:, [0, 0, 1, 1]], False: persons[:, [0, 1, 0, 1]]}
    return {
        a.name: take(columns[a.name], halves[a.name in first].reshape(-1)) for a in schema.fuzzy
    }


def _half(schema: LinkageSchema) -> set[str]:
    """Return names of attributes whose tokens weigh about half of a record."""
    weight = {a.name: a.token_weight**2 * a.of_type.mean_tokens for a in schema.fuzzy}
    half: set[str] = set()
    for name in sorted(weight, key=lambda name: -weight[name]):
        if 2 * sum(weight[of] for of in half) < sum(weight.values()) - weight[name]:
            half.add(name)
    return half


def names_alone(schema: LinkageSchema) -> LinkageSchema:
    """Return the schema with its first attribute of words as the only one."""
    texts = [a for a in schema.fuzzy if a.of_type.kind in ("name", "text")]
    return LinkageSchema(
        name=schema.name,
        encoding=schema.encoding,
        language=schema.language,
        attributes=((texts or list(schema.fuzzy))[0],),
    )


def name_grid(column: FlaggedColumn, seed: int) -> tuple[FlaggedColumn, NDArray[np.int64]]:
    """Return people of two common names each: the worst case for a linear scheme.

    44 frequent words of a column, 22 as first and 22 as second names; 120 of their
    combinations. The words share no bigram, so that all rectangles cancel, and none
    shows only because two of its people are alike.

    Args:
        column: the attribute of `names_alone`.
        seed: of the draw.

    Returns:
        The names, and which words each record has, shape (n, 2).
    """
    common = _unlike_words(column, 2 * _SIDE)
    side = len(common) // 2
    firsts, seconds = common[: 2 * side : 2], common[1 : 2 * side : 2]
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.permutation(side * side)[:_CELLS])
    cell = np.stack([drawn // max(side, 1), drawn % max(side, 1)], axis=1)
    words = np.stack([firsts[cell[:, 0]], seconds[cell[:, 1]]], axis=1).astype(np.int32)
    made = FlaggedColumn(
        column.vocabulary,
        words.reshape(-1),
        np.arange(0, 2 * len(cell) + 1, 2),
        np.zeros(len(cell), np.uint32),
        column.classes,
    )
    return made, cell


def _unlike_words(column: FlaggedColumn, most: int) -> NDArray[np.int64]:
    """Return frequent words of which no two share a bigram, the first letter left aside.

    Of 4 to 8 letters: a half that outweighs the other makes two people of it alike.
    """
    counts = np.bincount(column.word_ids, minlength=len(column.vocabulary))
    chosen: list[int] = []
    taken: set[str] = set()
    for word in np.argsort(-counts, kind="stable").tolist():
        own = set(bigrams(column.vocabulary[word])[1:])
        if 3 <= len(own) <= 7 and not own & taken:
            chosen.append(word)
            taken |= own
        if len(chosen) == most:
            break
    return np.array(chosen, dtype=np.int64)


def groups(
    schema: LinkageSchema, columns: Mapping[str, FlaggedColumn], most: int = 8
) -> dict[str, NDArray[np.bool_]]:
    """Return who has each of the most frequent names, and who is of which sex.

    Args:
        schema: the linkage schema.
        columns: normalised words of all records.
        most: names of each attribute; only those of a hundredth of all or more.
    """
    found = {}
    for attribute in schema.fuzzy:
        if attribute.of_type.kind not in ("name", "sex"):
            continue
        column = columns[attribute.name]
        record = np.repeat(np.arange(len(column)), np.diff(column.offsets))
        pairs = np.unique(np.stack([column.word_ids, record]), axis=1)
        counts = np.bincount(pairs[0], minlength=len(column.vocabulary))
        for word in np.argsort(-counts, kind="stable")[:most].tolist():
            if counts[word] >= len(column) / 100:
                of_group = np.zeros(len(column), dtype=np.bool_)
                of_group[pairs[1][pairs[0] == word]] = True
                found[f"{attribute.name} {column.vocabulary[word]}"] = of_group
    return found
