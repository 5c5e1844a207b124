"""What is publicly known of how often name words occur, and what follows for weights.

A shared *Muhammad* says little, a shared rare name much. How rare a word is comes
from public tables, the same at all parties, and never from an agency's own data:
weights made of that would tell about it, and would differ between the parties.
"""

import csv
import gzip
import io
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

from linkage.normalise.text import fold_words
from linkage.resources import read_resource

INDONESIAN_TABLE = "name_words.csv.gz"
WESTERN_TABLE = "encode_western_names.csv.gz"
TABLES = (INDONESIAN_TABLE, WESTERN_TABLE)

LOWEST_RARITY = 0.35
HIGHEST_RARITY = 1.0
UNKNOWN_RARITY = 0.8


@dataclass(frozen=True)
class WordShares:
    """How often words occur among all name words of a population.

    Attributes:
        share: of each word of the table; they sum to 1.
        mean_information: -log of the share, in the mean over all occurrences, in nats.
    """

    share: dict[str, float]
    mean_information: float

    @cached_property
    def rarities(self) -> dict[str, float]:
        """Return the rarity of every word of the table; others have `UNKNOWN_RARITY`."""
        return {word: self.rarity(word) for word in self.share}

    def rarity(self, word: str) -> float:
        """Return how much a word tells against the average one: less if it is common.

        A rare word weighs no more than the average, and one that is in no table a
        little less: most such words are typing errors, and an error must not weigh
        more than what it spoils.
        """
        share = self.share.get(word)
        if share is None:
            return UNKNOWN_RARITY
        rarity = -math.log(share) / self.mean_information
        return min(max(rarity, LOWEST_RARITY), HIGHEST_RARITY)


@lru_cache(maxsize=8)
def word_shares(language: str) -> WordShares:
    """Return the shares of name words.

    Args:
        language: `indonesian` for names of Indonesians alone; any other mixes them
            half and half with names of the Western countries in the table.
    """
    indonesian = _normalised(_read(INDONESIAN_TABLE, "count"))
    if language == "indonesian":
        share = indonesian
    else:
        western = _normalised(_read(WESTERN_TABLE, "per_million"))
        share = {
            word: (indonesian.get(word, 0.0) + western.get(word, 0.0)) / 2
            for word in sorted(indonesian.keys() | western.keys())
        }
    information = -sum(p * math.log(p) for p in share.values())
    return WordShares(share, information)


def _read(name: str, column: str) -> dict[str, float]:
    text = gzip.decompress(read_resource(name)).decode("utf-8")
    weights: dict[str, float] = {}
    for row in csv.DictReader(io.StringIO(text)):
        for word in fold_words(row["word"]):
            weights[word] = weights.get(word, 0.0) + float(row[column])
    return weights


def _normalised(weights: dict[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()}
