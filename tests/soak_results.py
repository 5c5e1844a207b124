"""What long runs have counted: beside the benchmarks' results, with the commit that was run."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def keep_result(name: str, figures: Mapping[str, object], part: str = "") -> None:
    """Write the figures of a run to `soak-NAME.json`, or as one part of it beside the others."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(git, cwd=RESULTS, capture_output=True, text=True, check=False)
    result: dict[str, object] = {**figures, "commit": done.stdout.strip()}
    path = RESULTS / f"soak-{name}.json"
    if part:
        known = json.loads(path.read_text("utf-8")) if path.exists() else {}
        result = {**known, part: result}
    path.write_text(json.dumps(result, indent=1, sort_keys=bool(part)) + "\n", "utf-8")
