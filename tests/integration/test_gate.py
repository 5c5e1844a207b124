"""A batch goes up only with the risk gate's result that speaks for it, where one is asked for."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from in_process import TWO_ROUNDS, Service, people

from linkage.agent.run import gate_result
from linkage.audit.bundle_files import read_bundle
from linkage.cli.demo_site import DemoSite
from linkage.encode.encoder import ENCODER_VERSION, schema_id
from linkage.errors import ConfigError, DeniedError
from linkage.gate import Figure, GateResult
from linkage.normalise import NORM_VERSION

NOW = datetime.now(UTC).replace(microsecond=0)
FIGURE = Figure("A3 ridge", "all", 0.001, 0.005, "passed", 0.0002, (0.0, 0.002), 0.002, 1.0)


@pytest.fixture(scope="module")
def service(new_service: Callable[..., Service]) -> Iterator[Service]:
    """Two parties whose agreement takes no batch without a gate."""
    made = new_service(
        TWO_ROUNDS, gate_limit=0.005, dukcapil=people(60), imigrasi=people(50, skip=20)
    )
    with made.running():
        yield made


def result_for(service: Service, party: str) -> GateResult:
    session = service.session(party)
    return GateResult(
        schema_id(session.schema), NORM_VERSION, ENCODER_VERSION, session.config.agreement.epoch,
        bytes(32), "quick", 1, 5000, 0, (FIGURE,), NOW - timedelta(days=1), NOW + timedelta(days=9),
    )  # fmt: skip


def use(service: Service, party: str, result: GateResult | None, limit: float = 0.005) -> None:
    """Name a result in the settings of a party, or none."""
    folder = service.folder(party)
    settings = folder / "agent.toml"
    text = settings.read_text().partition("[gate]")[0]
    if result is not None:
        (folder / "gate.json").write_bytes(result.to_bytes())
        text += f'\n[gate]\nresult = "gate.json"\nlimit = {limit}\n'
    settings.write_text(text)


def test_without_a_gate_nothing_is_taken(service: Service) -> None:
    for party in service.site.parties:
        use(service, party, None)
    job_id = service.request("dukcapil")
    with pytest.raises(DeniedError, match="GATE_MISSING") as refused:
        service.run("dukcapil", job_id)
    assert "padan attack" in str(refused.value)


def test_with_a_gate_at_each_party_the_job_is_released_and_logged(service: Service) -> None:
    results = {party: result_for(service, party) for party in service.site.parties}
    for party, result in results.items():
        use(service, party, result)
    outcomes = service.run_all(service.request("dukcapil"))
    assert all(outcome.n_links == 40 for outcome in outcomes.values())
    site: DemoSite = service.site
    site.fetch_bundle()
    logged = b"".join(
        content for path, content in read_bundle(site.bundle).items() if "tile/data" not in path
    )
    for result in results.values():
        assert result.digest().hex().encode() in logged


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"schema_id": bytes(32)}, "GATE_OTHER_SCHEMA"),
        ({"epoch": 7}, "GATE_OTHER_EPOCH"),
        ({"valid_until": NOW - timedelta(seconds=1)}, "GATE_EXPIRED"),
        ({"made_at": NOW + timedelta(days=1)}, "GATE_NOT_YET_VALID"),
        ({"figures": (replace(FIGURE, bound=0.02),)}, "GATE_RATE"),
        ({"figures": (replace(FIGURE, verdict="void"),)}, "GATE_VOID"),
    ],
)
def test_an_agent_sends_nothing_under_a_result_that_does_not_speak_for_it(
    service: Service, change: dict[str, object], code: str
) -> None:
    use(service, "dukcapil", replace(result_for(service, "dukcapil"), **change))  # type: ignore[arg-type]
    job_id = service.request("imigrasi")
    with pytest.raises(DeniedError, match=code):
        service.run("dukcapil", job_id)
    spool = service.session("dukcapil").store
    assert not spool.names(f"spool-{job_id}")


def test_a_waiver_is_a_limit_of_one(service: Service) -> None:
    exceeded = replace(FIGURE, bound=0.9, value=0.85, verdict="exceeded", interval=(0.8, 0.9))
    result = replace(result_for(service, "dukcapil"), figures=(exceeded,))
    use(service, "dukcapil", result, limit=1.0)
    assert gate_result(service.session("dukcapil")) == result


def test_a_result_that_cannot_be_read_says_what_to_do(service: Service) -> None:
    use(service, "dukcapil", result_for(service, "dukcapil"))
    file = service.folder("dukcapil") / "gate.json"
    file.write_text(json.dumps({"v": 1}))
    with pytest.raises(ConfigError, match=r"gate\.json"):
        gate_result(service.session("dukcapil"))
    file.unlink()
    with pytest.raises(ConfigError, match="padan attack --out"):
        gate_result(service.session("dukcapil"))
