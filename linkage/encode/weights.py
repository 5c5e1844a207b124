"""How many filter positions each token sets: its weight in every similarity.

The base of an attribute is c w^2, w its weight: a token with k positions counts k
times in the overlap of two filters. The base is multiplied by how rare the word is,
where the schema weighs rarity, and by what normalising says of the word: an initial
agrees with too many names, and a placeholder birthday with too many people.
"""

import math
from collections.abc import Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from linkage.encode.public import HIGHEST_RARITY, UNKNOWN_RARITY, word_shares
from linkage.encode.tokenids import TokenIds, speaks_of_day, speaks_of_month
from linkage.normalise.columns import FlaggedColumn, WordColumn
from linkage.normalise.dates import Precision
from linkage.normalise.flags import WordClass
from linkage.schema import Attribute, LinkageSchema

# Positions of a token of weight 1 in a filter under saul. Many more gain little
# quality and leak more to a learner with known pairs; see docs/adr/0002.
SAUL_POSITIONS = 10
# A filter of n tokens with k positions each is half full at n k = m ln 2: most
# information per bit, and the least that the number of set bits tells.
_HALF_FULL = math.log(2)
_REFERENCE_BITS = 4096

_CLASS_FACTOR = {
    WordClass.FULL: 1.0,
    WordClass.LIGHT: 0.5,
    WordClass.FAINT: 0.1,
    WordClass.INITIAL: 0.4,
}
_DOUBTFUL_FACTOR = 0.4


def base_positions(schema: LinkageSchema) -> dict[str, float]:
    """Return c w^2 for each attribute.

    For `saul`, c is fixed for a filter of 4,096 bits. For `clk` and `diffused` it is
    such that a usual record fills half of the filter; the usual numbers of tokens
    come from the table of types, not from data, so all parties get the same.
    """
    squares = {a.name: a.token_weight**2 for a in schema.fuzzy}
    if schema.encoding.scheme == "saul":
        unit = SAUL_POSITIONS * schema.encoding.filter_length / _REFERENCE_BITS
    else:
        usual = sum(squares[a.name] * a.of_type.mean_tokens for a in schema.fuzzy)
        unit = _HALF_FULL * schema.encoding.filter_length / usual
    return {name: unit * square for name, square in squares.items()}


def most_positions(base: float) -> int:
    """Return the greatest number of positions of any token of an attribute."""
    return max(1, round(base * HIGHEST_RARITY))


def rarities(words: Sequence[str], attribute: Attribute) -> NDArray[np.float64]:
    """Return the rarity factor of each word of an attribute, 1 where it is not weighed."""
    if not attribute.weighs_rarity:
        return np.ones(len(words))
    known = word_shares(attribute.language).rarities
    found = map(known.get, words, repeat(UNKNOWN_RARITY))
    return np.fromiter(found, dtype=np.float64, count=len(words))


def token_positions(
    column: WordColumn, tokens: TokenIds, attribute: Attribute, base: float
) -> NDArray[np.uint16]:
    """Return the number of positions of every token of a vocabulary.

    Args:
        column: the normalised words.
        tokens: their tokens.
        attribute: whose words they are.
        base: positions of a token of an average word.
    """
    factor = rarities(column.vocabulary, attribute)
    kind = attribute.of_type.kind
    if isinstance(column, FlaggedColumn) and kind == "name":
        factor = factor * np.array([_CLASS_FACTOR[c] for c in WordClass])[column.classes]
    per_word = np.maximum(1, np.rint(base * factor)).astype(np.uint16)
    per_token = np.repeat(per_word, np.diff(tokens.offsets))
    if isinstance(column, FlaggedColumn) and kind == "date":
        classes = np.repeat(column.classes, np.diff(tokens.offsets))
        no_month = classes == Precision.MONTH_DOUBTFUL
        no_day = no_month | (classes == Precision.DAY_DOUBTFUL)
        doubtful = (no_day & speaks_of_day(tokens.ids)) | (no_month & speaks_of_month(tokens.ids))
        per_token[doubtful] = max(1, round(base * _DOUBTFUL_FACTOR))
    return per_token
