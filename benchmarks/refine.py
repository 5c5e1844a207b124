"""The refine benchmark: two rounds on every set, against one round and plain text.

The default scheme under schemas of names and types; everyone at the best threshold, and
two rounds also at the one that the schema sets without any truth. Pairs are counted as
by the quality benchmark.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.experiment import Experiment
from benchmarks.peer_env import MissingPeerError, peer_python
from benchmarks.peers import PeerError
from benchmarks.plain_splink import link_with_splink
from benchmarks.plain_text import link_plain_text
from benchmarks.quality import falling, median
from benchmarks.records import MissingSetError, RecordSet, load_records
from benchmarks.refine_outcome import RefinedSet, RefineResult, TwoRounds
from benchmarks.schemes import Scheme, evaluate_scheme, parse_scheme
from benchmarks.subgroups import recall_by_group
from linkage.agent.evaluate import Evaluation
from linkage.errors import LinkageError


def measure_refine(
    experiments: Sequence[Experiment],
    scheme: Scheme,
    candidates: int,
    data: Path,
    threads: int,
    keys: int,
    small: bool = False,
    install: bool = True,
    on_set: Callable[[str], None] = lambda _name: None,
) -> RefineResult:
    """Run two rounds and everyone they are held against on every set.

    Args:
        experiments: the sets.
        scheme: how records are encoded.
        candidates: most candidates of a record in the second round.
        data: folder of the sets that are files.
        threads: threads that compare.
        keys: number of keys that every encoding is tried under; the median one counts.
        small: use a small part of each set.
        install: make Splink's environment if it is not there.
        on_set: told the name of each set before it starts.
    """
    result = RefineResult(scheme.text, candidates)
    python: Path | None = None
    try:
        python = peer_python(install, "splink")
    except MissingPeerError as error:
        result.skipped["Splink"] = str(error)
    for experiment in experiments:
        on_set(experiment.name)
        try:
            records = load_records(experiment, data, small)
        except MissingSetError as error:
            result.skipped[experiment.name] = str(error)
            continue
        try:
            result.sets.append(_measure_set(records, scheme, candidates, python, threads, keys))
        except (LinkageError, PeerError, ValueError) as error:
            # The other sets are not lost for it; the run still ends as failed.
            result.failed[experiment.name] = str(error)
    return result


def _measure_set(
    records: RecordSet,
    scheme: Scheme,
    candidates: int,
    python: Path | None,
    threads: int,
    keys: int,
) -> RefinedSet:
    two_rounds = scheme.refined(candidates)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)

        def tried(one: Scheme) -> list[Evaluation]:
            # Every evaluation draws a key of its own.
            return [evaluate_scheme(records, one, work, threads) for _ in range(keys)]

        clk, one_round, refined = tried(parse_scheme("clk")), tried(scheme), tried(two_rounds)
        splink = None if python is None else link_with_splink(records, python, work)
    grouped = records.experiment.set.grade is not None
    return RefinedSet(
        experiment=records.experiment,
        records=len(records),
        clk=median(clk).best,
        one_round=median(one_round).best,
        two_rounds=TwoRounds.of(median(refined), falling(refined)),
        plain=link_plain_text(records),
        splink=splink,
        groups=recall_by_group(records, two_rounds, range(keys)) if grouped else None,
    )
