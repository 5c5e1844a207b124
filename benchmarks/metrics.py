"""What the metrics of a matcher say of the time that lookups took there.

The client of a benchmark shares its processors with the matcher, and waits for them itself; the
matcher counts from a call that has come to an answer that is ready to go.
"""

import socket
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from linkage.cli.demo_site import DemoSite

_LOOKUP = "/linkage.v1.LookupService/Lookup"
_TIMEOUT_S = 60.0
_SLOW_MS = 1_000.0


def with_metrics(site: DemoSite) -> str:
    """Let the matcher of a site tell its metrics, and return where; before it is started."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (site.root / "matcher" / "matcher.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'\n[metrics]\nlisten = "{address}"\n')
    return f"http://{address}/metrics"


def answered_within(metrics: str) -> dict[str, float]:
    """Return how many lookups a matcher has answered within so many milliseconds."""
    with urllib.request.urlopen(metrics, timeout=_TIMEOUT_S) as response:  # noqa: S310 -- our own
        text = response.read().decode()
    return {
        f"{1e3 * float(sample.labels['le']):g}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "padan_call_duration_seconds_bucket"
        and sample.labels["method"] == _LOOKUP
    }


def shares_between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return of the lookups between two looks which share took at most so many milliseconds."""
    counts = {ms: n - before.get(ms, 0.0) for ms, n in after.items()}
    asked = max([1.0, *counts.values()])
    return {ms: n / asked for ms, n in counts.items()}


def share_rows(at_matcher: dict[str, float]) -> list[list[str]]:
    """Return the rows of a table that tell these shares, up to a second."""
    return [
        [f"answered at the matcher within {ms} ms", f"{share:.2%}"]
        for ms, share in at_matcher.items()
        if float(ms) <= _SLOW_MS
    ]
