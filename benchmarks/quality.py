"""The quality benchmark: every contestant on every set, at its own best threshold.

Best F1 on purpose: it compares encodings, not the choice of a threshold. Pairs are
unordered record pairs after the solver, those implied by groups counted, for everyone.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.experiment import Experiment
from benchmarks.outcome import QualityResult, SchemeResult, SetResult
from benchmarks.peer_env import MissingPeerError, peer_python
from benchmarks.peers import PeerError, link_with_peer
from benchmarks.plain_text import link_plain_text
from benchmarks.records import MissingSetError, RecordSet, load_records
from benchmarks.schemes import Scheme, evaluate_scheme, similarity_of_true_pairs
from linkage.classify.quality import Quality
from linkage.errors import LinkageError


def measure_quality(
    experiments: Sequence[Experiment],
    schemes: Sequence[Scheme],
    data: Path,
    threads: int,
    keys: int,
    small: bool = False,
    install: bool = True,
    on_set: Callable[[str], None] = lambda _name: None,
) -> QualityResult:
    """Run every contestant on every set.

    Args:
        experiments: the sets.
        schemes: ours.
        data: folder of the sets that are files.
        threads: threads that compare.
        keys: number of keys that every encoding is tried under; the median one counts.
        small: use a small part of each set.
        install: make the peers' environment if it is not there.
        on_set: told the name of each set before it starts.
    """
    result = QualityResult()
    python: Path | None = None
    try:
        python = peer_python(install)
    except MissingPeerError as error:
        result.skipped["clkhash + anonlink"] = str(error)
    for experiment in experiments:
        on_set(experiment.name)
        try:
            records = load_records(experiment, data, small)
        except MissingSetError as error:
            result.skipped[experiment.name] = str(error)
            continue
        try:
            measured = _measure_set(records, schemes, python, threads, keys)
        except (LinkageError, PeerError, ValueError) as error:
            # The other sets are not lost for it; the run still ends as failed.
            result.failed[experiment.name] = str(error)
            continue
        result.sets.append(measured)
        if measured.peer is not None:
            result.peer_versions = measured.peer.versions
    return result


def _measure_set(
    records: RecordSet, schemes: Sequence[Scheme], python: Path | None, threads: int, keys: int
) -> SetResult:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        ours = {}
        for scheme in schemes:
            # Every evaluation draws a key of its own.
            tried = [evaluate_scheme(records, scheme, work, threads) for _ in range(keys)]
            done = median(tried)
            ours[scheme.text] = SchemeResult(
                done.best, done.best_threshold, done.seconds, falling(tried)
            )
        peers = (
            []
            if python is None
            else [link_with_peer(records, python, work, key) for key in range(keys)]
        )
    plain = link_plain_text(records)
    return SetResult(
        experiment=records.experiment,
        records=len(records),
        pairs_true=plain.ecm.pairs_true,
        similarity=similarity_of_true_pairs(records),
        schemes=ours,
        peer=median(peers) if peers else None,
        peer_by_key=falling(peers),
        plain=plain,
    )


class _Solved(Protocol):
    @property
    def best(self) -> Quality: ...


_Any = TypeVar("_Any", bound=_Solved)


def median(tried: Sequence[_Any]) -> _Any:
    """Return the one with the median F1; of two in the middle the lower."""
    return sorted(tried, key=lambda one: one.best.f1)[(len(tried) - 1) // 2]


def falling(tried: Sequence[_Solved]) -> list[float]:
    """Return the best F1 of all, falling."""
    return sorted((one.best.f1 for one in tried), reverse=True)
