"""The public mean filter: how often each position is set in a usual record.

Uncentred, common tokens dominate the sums of a majority code: on 20,000 codes the
leading principal vector told people named Muhammad from all others. Both sides
therefore subtract the mean filter. It is computed from public facts alone (how
often name words occur, that days and months are spread evenly), so that it is
equal at all parties and tells nothing of anyone's data.
"""

import datetime
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from linkage.encode.bloom import PositionTable
from linkage.encode.public import word_shares
from linkage.encode.tokenids import N_BIGRAMS, n_tokens, token_ids
from linkage.encode.weights import most_positions, rarities
from linkage.schema import Attribute, LinkageSchema

# Means are whole numbers of this unit, so that sums are exact on every machine.
UNIT = 1 << 16
_LETTERS_PER_WORD = 6.5
_BIRTH_YEARS = (1940, 2019)


def token_occupancy(attribute: Attribute, base: float) -> NDArray[np.float64]:
    """Return how likely a usual record sets the j-th position of each token.

    Args:
        attribute: an attribute.
        base: positions of a token of an average word.

    Returns:
        Probabilities, shape (n_tokens, most positions of a token).
    """
    most = most_positions(base)
    match attribute.of_type.kind:
        case "name" | "text":
            per_word = _of_words(attribute, base)
        case "date":
            return _flat(_of_dates(), base, most)
        case "year":
            years = [f"{year}------" for year in range(_BIRTH_YEARS[0], _BIRTH_YEARS[1] + 1)]
            return _flat(_share_of_tokens(years, attribute), base, most)
        case "sex":
            return _flat(_share_of_tokens(["L", "P"], attribute), base, most)
        case _:
            return _flat(_of_digits(attribute.of_type.mean_tokens), base, most)
    n_words = attribute.of_type.mean_tokens / _LETTERS_PER_WORD
    occupied: NDArray[np.float64] = 1 - (1 - np.minimum(per_word, 1)) ** n_words
    return occupied


def mean_filter(
    schema: LinkageSchema,
    bases: Mapping[str, float],
    tables: Mapping[str, PositionTable],
    n_bits: int,
) -> NDArray[np.int64]:
    """Return the mean filter, in whole numbers of 1 / UNIT, shape (n_bits,).

    Args:
        schema: the linkage schema.
        bases: positions of a token of an average word, by attribute.
        tables: positions of tokens, by token space.
        n_bits: length of the filter.
    """
    empty = np.ones(n_bits)
    for space, table in tables.items():
        absent = np.ones(table.positions.shape)
        for attribute in schema.fuzzy:
            if attribute.of_type.space == space:
                occupied = token_occupancy(attribute, bases[attribute.name])
                absent[:, : occupied.shape[1]] *= 1 - occupied
        likely = absent < 1
        table.draw(np.flatnonzero(likely.any(axis=1)).astype(np.int32))
        np.multiply.at(empty, table.positions[likely], absent[likely])
    return np.rint((1 - empty) * UNIT).astype(np.int64)


def _of_words(attribute: Attribute, base: float) -> NDArray[np.float64]:
    """Return how often one word sets the j-th position of each bigram, in the mean.

    For text that is no name the words of the table count alike: they stand for how
    letters follow each other.
    """
    shares = word_shares(attribute.language)
    words = list(shares.share)
    if attribute.of_type.kind == "name":
        share = np.fromiter(shares.share.values(), dtype=np.float64, count=len(words))
    else:
        share = np.full(len(words), 1 / len(words))
    tokens = token_ids(words, "name")
    k = np.maximum(1, np.rint(base * rarities(words, attribute)))
    lengths = np.diff(tokens.offsets)
    k_of_token, share_of_token = np.repeat(k, lengths), np.repeat(share, lengths)
    out = np.zeros((N_BIGRAMS, most_positions(base)))
    for j in range(out.shape[1]):
        sets = k_of_token > j
        out[:, j] = np.bincount(tokens.ids[sets], share_of_token[sets], N_BIGRAMS)
    return out


def _of_dates() -> NDArray[np.float64]:
    first = datetime.date(_BIRTH_YEARS[0], 1, 1).toordinal()
    last = datetime.date(_BIRTH_YEARS[1], 12, 31).toordinal()
    dates = [datetime.date.fromordinal(day).isoformat() for day in range(first, last + 1)]
    tokens = token_ids(dates, "date")
    return np.bincount(tokens.ids, minlength=n_tokens("date")) / len(dates)


def _share_of_tokens(words: list[str], attribute: Attribute) -> NDArray[np.float64]:
    kind = attribute.of_type.kind
    tokens = token_ids(words, kind)
    return np.bincount(tokens.ids, minlength=n_tokens(kind)) / len(words)


def _of_digits(mean_tokens: float) -> NDArray[np.float64]:
    digits = [str(digit) for digit in range(10)]
    out = np.zeros(N_BIGRAMS)
    out[token_ids(digits, "code").ids] = 0.1
    inner = token_ids([a + b for a in digits for b in digits], "code").ids[1::2]
    out[inner] = 1 - 0.99 ** max(mean_tokens - 1, 0)
    return out


def _flat(share: NDArray[np.float64], base: float, most: int) -> NDArray[np.float64]:
    """Give every position of a token up to the base the token's own probability."""
    out = np.zeros((len(share), most))
    out[:, : max(1, round(base))] = share[:, None]
    return out
