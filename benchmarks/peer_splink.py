"""Runs Splink inside its own environment; imports nothing of ours, never learns the truth.

Reads a job as JSON from stdin: a file of records for each source, what each column is,
and the blocking rules; answers in JSON on stdout, pairs and their weights in a file.

One model for all sets, by type of attribute, put together as in Splink's guides: names
by exact match and Jaro-Winkler levels; dates by edits and by months and years between;
e-mail by its parts; texts by Jaro-Winkler; numbers by edits; codes by exact match; term
frequencies wherever values are equal, but in dates. Strangers' rates from random pairs,
matches' by expectation maximisation in up to three sessions, one blocked on the date, one
on names, one on what else has the most values. Given name and surname in one comparison
that knows of swaps, as its guides offer too, found no more on the sets that it was tried on.
"""

import json
import sys
from importlib.metadata import version
from itertools import chain
from typing import Any

import duckdb
import numpy as np
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on
from splink.internals.exceptions import SplinkException

RANDOM_PAIRS = 5e6
TRAINING_PAIRS = 2e6
# What the rules by which the prior is guessed are assumed to find.
DETERMINISTIC_RECALL = 0.7
LOWEST_WEIGHT = -15.0
SEED = 1


def comparison_of(column: dict[str, str]) -> Any:
    """Return the comparison of one attribute by its type."""
    name, kind = column["name"], column["type"]
    if kind in ("name", "given_name", "surname", "alias", "mother_name", "father_name"):
        return cl.NameComparison(name)
    if kind == "date":
        return cl.DateOfBirthComparison(
            name, input_is_string=True, datetime_format="%Y%m%d", invalid_dates_as_null=False
        )
    if kind == "email":
        return cl.EmailComparison(name)
    if kind in ("place", "address", "text"):
        compared = cl.JaroWinklerAtThresholds(name, [0.92, 0.8])
    elif kind in ("postcode", "phone", "number"):
        compared = cl.DamerauLevenshteinAtThresholds(name, [1, 2])
    else:
        compared = cl.ExactMatch(name)
    return compared.configure(term_frequency_adjustments=True)


def sessions_of(columns: list[dict[str, str]]) -> list[list[str]]:
    """Return the columns that each session of expectation maximisation blocks on."""
    dates = [c["name"] for c in columns if c["type"] == "date"]
    names = [c["name"] for c in columns if c["type"] in ("given_name", "surname", "name")]
    others = [c["name"] for c in columns if c["name"] not in {*dates, *names}]
    return [session for session in (dates[:1], names[:2], others[:1]) if session]


def link(job: dict[str, Any]) -> dict[str, Any]:
    """Train the model, and weigh all pairs that the blocking leaves."""
    connection = duckdb.connect()
    api = DuckDBAPI(connection)
    sources = []
    for number, path in enumerate(job["sources"]):
        table = connection.read_parquet(path)
        sources.append(api.register(table, dataset_display_name=f"source_{number}"))
    many = len(sources) > 1
    # The columns with the most values first: what a session blocks on should tell.
    columns = sorted(job["columns"], key=lambda column: -column["values"])
    settings = SettingsCreator(
        link_type="link_only" if many else "dedupe_only",
        unique_id_column_name="number",
        comparisons=[comparison_of(column) for column in columns],
        blocking_rules_to_generate_predictions=[block_on(*keys) for keys in job["blocking"]],
        retain_matching_columns=False,
    )
    linker = Linker(sources if many else sources[0], settings, log_level="ERROR")
    sessions = sessions_of(columns)
    notes = []
    # Whoever agrees on the date and the names, or on them and what tells the most else.
    certain = [
        block_on(*chain.from_iterable(some)) for some in (sessions[:2], sessions[1:], sessions[::2])
    ]
    try:
        linker.training.estimate_probability_two_random_records_match(
            certain, recall=DETERMINISTIC_RECALL
        )
    except ValueError as error:
        notes.append(str(error))
    linker.training.estimate_u_using_random_sampling(max_pairs=RANDOM_PAIRS, seed=SEED)
    for session in sessions:
        try:
            linker.training.estimate_parameters_using_expectation_maximisation(
                block_on(*session), max_pairs=TRAINING_PAIRS, record_sample_proportion=1.0
            )
        except (SplinkException, ValueError) as error:
            # It refuses rates that have become 0; then the other sessions must do.
            notes.append(f"session on {', '.join(session)}: {error}".splitlines()[0])
    predicted = linker.inference.predict(threshold_match_weight=LOWEST_WEIGHT)
    weighed = predicted.as_duckdbpyrelation()
    found = weighed.project("number_l, number_r, match_weight").fetchnumpy()
    np.savez(
        job["output"],
        left=np.asarray(found["number_l"], dtype=np.int64),
        right=np.asarray(found["number_r"], dtype=np.int64),
        weight=np.asarray(found["match_weight"], dtype=np.float64),
    )
    return {"notes": notes, "sessions": sessions}


def main() -> None:
    """Run the job on stdin."""
    job = json.load(sys.stdin)
    answer = link(job)
    answer["versions"] = {name: version(name) for name in ("splink", "duckdb")}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
