"""The compliance matrix names evidence in every row, and all of it is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "compliance.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith(("| article", "| ---"))
]
EVIDENCE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
# Articles of section "duty, mechanism, audit" that rest on a control of the product.
ARTICLES = {
    "4", "5", "6", "7", "8", "10", "11", "14", "15", "16", "18", "20", "27", "29", "30", "31", "32",
    "34", "35", "36", "37", "38", "39", "41", "43", "44", "46", "47", "50", "51", "52", "56", "57",
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_row_has_evidence_that_is_there(row: list[str]) -> None:
    article, duty, control, tests = row
    assert article
    assert duty
    assert control
    named = EVIDENCE.findall(tests)
    assert named
    assert not EVIDENCE.sub("", tests).strip()
    for path, test in named:
        code = (ROOT / path).read_text("utf-8")
        assert re.search(rf"^(async )?def {test}\(", code, re.MULTILINE), f"{path}::{test}"


def test_every_article_with_a_control_has_a_row() -> None:
    assert {article for row in ROWS for article in re.findall(r"\d+", row[0])} >= ARTICLES
