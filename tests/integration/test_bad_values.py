"""Bad values in a whole job: they stop nothing, and what the schema refuses is left out."""

from collections.abc import Callable

import pytest
from in_process import SCHEMA, TWO_ROUNDS, Service, links, people

# Of the persons that both have: one whose date is none at dukcapil, one at imigrasi.
BAD = {"dukcapil": "00025", "imigrasi": "00030"}


def with_bad_dates(party: str, skip: int = 0) -> list[dict[str, str]]:
    rows = people(80, skip=skip)
    for row in rows:
        if row["record_id"] == BAD[party]:
            row["tgl_lahir"] = "45-45-45-45"
    return rows


@pytest.mark.parametrize("schema", [SCHEMA, TWO_ROUNDS], ids=["one round", "two rounds"])
@pytest.mark.parametrize("invalid", ["missing", "refuse"])
def test_a_job_goes_on_whatever_a_date_says(
    new_service: Callable[..., Service], schema: str, invalid: str
) -> None:
    service = new_service(
        schema=schema.replace('type = "date"', f'type = "date"\ninvalid = "{invalid}"'),
        dukcapil=with_bad_dates("dukcapil"),
        imigrasi=with_bad_dates("imigrasi", skip=20),
    )
    with service.running():
        outcomes = service.run_all(service.request("dukcapil"))
    linked = {row["record_id"] for row in links(outcomes["dukcapil"])}
    if invalid == "missing":
        assert all(outcome.refused is None for outcome in outcomes.values())
        assert {outcome.n_records for outcome in outcomes.values()} == {80}
        # All are encoded; whether a name and a place are enough, the job decides.
        assert len(linked) >= 58
        return
    assert len(linked) == 58
    assert not linked & set(BAD.values())
    for party, outcome in outcomes.items():
        assert outcome.n_records == 79
        assert outcome.refused is not None
        header, line = outcome.refused.read_text().splitlines()
        assert header == "row,record_id,attribute,rule"
        assert line.split(",")[1:] == [BAD[party], "tgl_lahir", "D01"]
