"""What is forgotten in time, what is held, and what a restored backup gives back."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from in_process import Service, links, people

from keys.dsse import Envelope, sign
from linkage.agreement.payload import Hold
from linkage.audit.replay import Replay
from linkage.cli import padan
from linkage.errors import DeniedError, NotFoundError, UnavailableError
from linkage.log.entry import parse_entry
from linkage.log.hashing import leaf_hash
from linkage.matcher.config import MatcherConfig, load_config
from linkage.matcher.journal import Journal
from linkage.matcher.ledger import Ledger
from linkage.matcher.offline import offline_documents, open_log
from linkage.matcher.opened import opened_metadata
from linkage.matcher.retention import Destroyer
from linkage.store.artefacts import ArtefactStore

DAY_S = 86_400.0
# Later than the last day of anything.
LATER_S = 4000 * DAY_S
WAIT_S = 30.0


@pytest.fixture
def done(new_service: Callable[..., Service]) -> tuple[Service, str]:
    """A service whose matcher has released a job, and does not run any more; and the job."""
    service = new_service(dukcapil=people(12), imigrasi=people(10, skip=4))
    with service.running():
        job_id = service.request("dukcapil")
        outcomes = service.run_all(job_id)
    assert len(links(outcomes["dukcapil"])) == 8
    return service, job_id


def config_of(service: Service) -> MatcherConfig:
    return load_config(service.site.root / "matcher" / "matcher.toml")


def artefacts_of(config: MatcherConfig) -> ArtefactStore:
    return ArtefactStore(config.data / "artefacts", config.keystore / "artefacts")


@contextmanager
def destroyer(service: Service, ahead_s: float = LATER_S) -> Iterator[Destroyer]:
    """What the matcher has to destroy artefacts, without the matcher."""
    config = config_of(service)

    def clock() -> float:
        return datetime.now(UTC).timestamp() + ahead_s

    with opened_metadata(config) as metadata:
        journal = Journal(clock)
        log, ledger = open_log(config, metadata, journal), Ledger(metadata, clock)
        ledger.refresh()
        yield Destroyer(metadata, artefacts_of(config), ledger, journal, log)


def records(service: Service) -> list[dict[str, Any]]:
    """The records of destruction in the matcher's database."""
    with opened_metadata(config_of(service)) as metadata, metadata.read() as transaction:
        entries = transaction.entries(0, transaction.entry_count())
    return [
        json.loads(entry.body or b"")
        for entry in entries
        if parse_entry(entry.leaf).type == "destruction"
    ]


def hold(service: Service, *parties: str, held: bool = True, serial: int = 1) -> Envelope:
    agreement = service.site.agreement
    payload = Hold(
        log=agreement.log,
        agreement=agreement.id,
        digest=agreement.digest(),
        serial=serial,
        held=held,
        reason="perkara 1/2026",
    )
    return sign(Hold.TYPE, payload.to_bytes(), [service.site.signers[p] for p in parties])


def submit(service: Service, envelope: Envelope, ahead_s: float = 0.0) -> int:
    with offline_documents(
        config_of(service), lambda: datetime.now(UTC).timestamp() + ahead_s
    ) as documents:
        return documents.submit("party/dukcapil", envelope.to_bytes())


def back_up(service: Service) -> Path:
    """Copy what a backup has, and return settings of the copy."""
    matcher, copy = service.site.root / "matcher", service.site.root / "backup"
    shutil.copytree(matcher / "data", copy / "data")
    shutil.copy(matcher / "matcher.toml", copy / "matcher.toml")
    return copy / "matcher.toml"


def drill(service: Service, restored: Path) -> tuple[Result, dict[str, Any]]:
    config = service.site.root / "matcher" / "matcher.toml"
    command = ["matcher", "drill", "--config", str(config), "--restored", str(restored)]
    result = CliRunner().invoke(padan, [*command, "--trust", str(service.site.trust), "--json"])
    return result, json.loads(result.stdout) if result.stdout else {}


def test_what_was_destroyed_cannot_be_read_from_a_backup_either(
    done: tuple[Service, str],
) -> None:
    service, job_id = done
    restored = back_up(service)
    result, before = drill(service, restored)
    assert result.exit_code == 0, result.exception
    assert before["files"] == before["readable"] > 0
    assert (before["destroyed"], before["keys"], before["jobs"]) == (0, [], 1)

    service.now = LATER_S
    with service.running(), service.client("imigrasi") as client:
        given_up = time.monotonic() + WAIT_S
        told: list[dict[str, Any]] = []
        while not told:
            assert time.monotonic() < given_up
            size = int(client.checkpoint().split(b"\n")[1])
            told = [
                json.loads(entry.body)
                for entry in client.entries(0, size)
                if entry.body and parse_entry(entry.leaf).type == "destruction"
            ]
            time.sleep(0.1)
        with pytest.raises(NotFoundError):
            client.results(job_id)

    # A party reads what was destroyed, by which rule, for which job.
    assert {record["rule"] for record in told} == {"TIME_OVER"}
    assert {job for record in told for job in record["jobs"]} == {job_id}
    kinds = {
        kind: names for record in records(service) for kind, names in record["datasets"].items()
    }
    assert set(kinds) == {"upload", "work", "result", "sealed"}
    assert len(kinds["upload"]) == 2
    config = config_of(service)
    assert [p for p in (config.keystore / "artefacts").rglob("*") if p.is_file()] == []
    assert artefacts_of(config).datasets() == []

    result, after = drill(service, restored)
    assert result.exit_code == 0, result.exception
    assert (after["readable"], after["survivors"]) == (0, [])
    assert after["destroyed"] == after["files"] == before["files"]
    kept = ("entries", "root", "bodies", "jobs")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    with destroyer(service) as again:
        assert again.run() == 0


def test_a_drill_finds_keys_in_a_backup_and_what_they_open(done: tuple[Service, str]) -> None:
    service, _ = done
    restored = back_up(service)
    config = config_of(service)
    # Somebody backed the keystore up as well, and restored it where it was.
    kept = service.site.root / "kept"
    shutil.copytree(config.keystore / "artefacts", kept)
    with destroyer(service) as due:
        assert due.run() > 0
    shutil.rmtree(config.keystore / "artefacts")
    shutil.copytree(kept, config.keystore / "artefacts")
    result, found = drill(service, restored)
    assert found["survivors"]
    assert "gives back what must be gone" in str(result.exception)
    shutil.rmtree(config.keystore / "artefacts")
    shutil.copytree(kept, restored.parent / "data" / "keys")
    result, found = drill(service, restored)
    assert found["survivors"] == []
    assert any(name.startswith("keys/expires-") for name in found["keys"])
    assert not found["passed"]
    # Or beside the data, where the settings of the copy name it.
    shutil.rmtree(restored.parent / "data" / "keys")
    shutil.copytree(kept, restored.parent / "keystore" / "artefacts")
    result, found = drill(service, restored)
    assert any(name.startswith("keystore/artefacts/expires-") for name in found["keys"])
    assert result.exit_code != 0


def test_a_drill_refuses_a_log_that_is_another(done: tuple[Service, str]) -> None:
    service, _ = done
    restored = back_up(service)
    with opened_metadata(load_config(restored)) as metadata, metadata.write() as transaction:
        transaction.connection.exec_driver_sql(
            'UPDATE entries SET leaf = (SELECT leaf FROM entries WHERE "index" = 1) '
            'WHERE "index" = 2'
        )
    result, _ = drill(service, restored)
    assert "another log" in str(result.exception)


def test_a_legal_hold_beats_the_agreed_time(done: tuple[Service, str]) -> None:
    service, _ = done
    config = config_of(service)
    store = artefacts_of(config)
    datasets = store.datasets()
    files = {(one, name) for one in datasets for name in store.names(one)}
    with pytest.raises(DeniedError, match="NOT_SIGNED"):
        submit(service, hold(service, "dukcapil"))
    submit(service, hold(service, "dukcapil", "imigrasi"))
    with pytest.raises(DeniedError, match="NO_CHANGE"):
        submit(service, hold(service, "dukcapil", "imigrasi", serial=2))
    with destroyer(service) as due:
        assert due.run() == 0
        assert due.run() == 0
    assert records(service) == []
    # The days' keys are gone, and all of it is there: as evidence, and for nothing else.
    assert not list((config.keystore / "artefacts").glob("expires-*"))
    again = artefacts_of(config)
    for dataset, name in sorted(files):
        again.read_held(dataset, name)
        with pytest.raises(NotFoundError, match="it is held"):
            again.read(dataset, name)
    with pytest.raises(DeniedError, match="NOT_SIGNED"):
        submit(service, hold(service, "imigrasi", held=False, serial=2), LATER_S)
    with pytest.raises(DeniedError, match="REPLAYED"):
        submit(service, hold(service, "dukcapil", "imigrasi", held=False), LATER_S)
    submit(service, hold(service, "dukcapil", "imigrasi", held=False, serial=2), LATER_S)
    with destroyer(service) as due:
        assert due.run() == len(datasets)
    assert {record["rule"] for record in records(service)} == {"HOLD_ENDED"}
    assert [p for p in (config.keystore / "artefacts").rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("step", ["destroy", "record"])
def test_a_destruction_cut_short_is_finished_and_recorded_once(
    done: tuple[Service, str], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, _ = done

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    target = (ArtefactStore, "destroy") if step == "destroy" else (Journal, "record")
    with destroyer(service) as due, monkeypatch.context() as patch:
        patch.setattr(*target, fail)
        with pytest.raises((UnavailableError, OSError)):
            due.run()
    assert records(service) == []
    # The clock does not matter: what was written down is done.
    with destroyer(service) as due:
        assert due.run() > 0
        assert due.run() == 0
    names = [
        name
        for record in records(service)
        for listed in record["datasets"].values()
        for name in listed
    ]
    assert len(names) == len(set(names)) > 0


def test_a_hold_stops_a_destruction_that_was_written_down_and_not_done(
    done: tuple[Service, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, _ = done
    datasets = artefacts_of(config_of(service)).datasets()

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with destroyer(service) as due, monkeypatch.context() as patch:
        patch.setattr(ArtefactStore, "destroy", fail)
        with pytest.raises(UnavailableError):
            due.run()
    submit(service, hold(service, "dukcapil", "imigrasi"))
    with destroyer(service) as due:
        assert due.run() == 0
    assert records(service) == []
    assert artefacts_of(config_of(service)).datasets() == datasets
    submit(service, hold(service, "dukcapil", "imigrasi", held=False, serial=2), LATER_S)
    with destroyer(service) as due:
        assert due.run() == len(datasets)
    assert {record["rule"] for record in records(service)} == {"HOLD_ENDED"}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, "DESTROYED_UNDER_HOLD"),
        ({"expired": ["2999-12-31"]}, "DESTROYED_TOO_EARLY"),
        ({"datasets": {"upload": ["batch-1", "batch-1"]}}, "DESTROYED_TWICE"),
        ({"rule": "MERCY"}, "DESTRUCTION_INVALID"),
    ],
)
def test_auditors_see_what_was_destroyed_against_the_rules(
    done: tuple[Service, str], changed: dict[str, Any], code: str
) -> None:
    service, _ = done
    if not changed:
        submit(service, hold(service, "dukcapil", "imigrasi"))
    body = {
        "rule": "TIME_OVER",
        "expired": ["2026-01-01"],
        "datasets": {"upload": ["batch-1"]},
        "jobs": [],
    }
    with opened_metadata(config_of(service)) as metadata, metadata.write() as transaction:
        agreement_id = service.site.agreement.id
        journal = Journal(lambda: datetime.now(UTC).timestamp())
        journal.record(transaction, "destruction", "matcher", agreement_id, body | changed)
    with opened_metadata(config_of(service)) as metadata, metadata.read() as transaction:
        run = Replay()
        for entry in transaction.entries(0, transaction.entry_count()):
            own = None if entry.body is None else json.loads(entry.body)
            found = run.add(parse_entry(entry.leaf), leaf_hash(entry.leaf), own)
    assert [one.code for one in found] == [code]
    assert run.report().verdict == code


def test_each_class_ends_when_the_agreement_says(done: tuple[Service, str]) -> None:
    service, job_id = done
    agreed = service.site.agreement.retention
    config = config_of(service)
    store = artefacts_of(config)
    today = datetime.now(UTC).date()
    days = {
        header.owner.kind: (header.expires - today).days
        for key in (path.name for path in (config.keystore / "artefacts").glob("expires-*"))
        for header in store.under(key).values()
        if header.owner is not None
    }
    work = min(agreed.artefact_days, config.artefact_days)
    expected = {"upload": work, "work": work, "result": agreed.result_days, "sealed": 30}
    # Midnight may have been in between.
    assert {kind: n in (days[kind], days[kind] + 1) for kind, n in expected.items()} == (
        dict.fromkeys(days, True)
    )
    before = store.datasets()
    with destroyer(service, 0.0) as due:
        assert due.run() == 0
    assert artefacts_of(config).datasets() == before
    with destroyer(service, (agreed.result_days - 1) * DAY_S) as due:
        due.run()
    assert f"result-{job_id}" in artefacts_of(config).datasets()
    with destroyer(service, (agreed.result_days + 1) * DAY_S) as due:
        due.run()
    assert f"result-{job_id}" not in artefacts_of(config).datasets()
