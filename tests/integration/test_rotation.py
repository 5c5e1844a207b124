"""Keys of an agreement over the years: the next is made, the old finishes, and is destroyed."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any

import pytest
from click.testing import CliRunner
from in_process import Service, people
from test_make_key import OFFICE, config_of, give, open_office, secret_of, take
from test_retention import hold

from keys.errors import KeystoreError
from keys.keystore import open_keystore, read_header
from keys.providers import FileProvider
from keys.rotation import Reason
from keys.states import KeyState, Transition
from linkage.agent.client import MatcherClient
from linkage.agent.config import AgentConfig, load_agent
from linkage.agent.references import references_of
from linkage.agent.rotation import Outlook, Rotation, Stage
from linkage.agent.run import request_job
from linkage.agent.session import load_trust, mirror_of, open_signer
from linkage.agreement.state import State
from linkage.cli import padan
from linkage.errors import DeniedError, JobStateError
from linkage.job import JobState
from linkage.rpc.channel import open_channel
from linkage.rpc.tls import TlsFiles
from linkage.store.artefacts import ArtefactStore

YEARS = timedelta(days=800)


@pytest.fixture
def service(new_service: Callable[..., Service]) -> Service:
    return new_service(dukcapil=people(5), imigrasi=people(5))


@contextmanager
def rotation(config: AgentConfig, ahead: timedelta = timedelta(0)) -> Iterator[Rotation]:
    provider = FileProvider(config.keys.linkage.parent / "kek")
    with open_channel(config.matcher, TlsFiles(**dict(config.tls))) as channel:
        yield Rotation(
            config,
            MatcherClient(channel, 5.0),
            mirror_of(config, load_trust(config.trust)),
            open_signer(config, provider),
            provider,
            lambda _step, _awaited: None,
            lambda _s: sleep(0.02),
            lambda: datetime.now(UTC) + ahead,
        )


def renew(service: Service, party: str, early: bool = False) -> int | None:
    with rotation(config_of(service, party)) as own:
        return own.renew(early=early)


def renew_all(service: Service) -> None:
    """The first party begins; the others find that it has."""
    with ThreadPoolExecutor() as pool:
        first, *others = service.site.parties
        making = [pool.submit(renew, service, first, early=True)]
        while outlook(service, others[0]).begun is None:
            sleep(0.02)
        making += [pool.submit(renew, service, party) for party in others]
        assert {one.result() for one in making} == {config_of(service, first).agreement.epoch}


def outlook(service: Service, party: str) -> Outlook:
    with rotation(config_of(service, party)) as own:
        return own.outlook()


def tend(service: Service, party: str, ahead: timedelta = timedelta(0)) -> list[Transition]:
    with rotation(config_of(service, party), ahead) as own:
        return own.tend()


def state(service: Service, party: str = "dukcapil") -> State:
    config = config_of(service, party)
    with open_channel(config.matcher, TlsFiles(**dict(config.tls))) as channel:
        return mirror_of(config, load_trust(config.trust)).update(MatcherClient(channel, 5.0))


def held(service: Service, epoch: int = 1) -> dict[str, KeyState]:
    found = state(service).epochs.get(service.site.agreement.id, epoch)
    assert found is not None
    return {uri.rpartition("/")[2]: one.state for uri, one in found.held.items()}


def links_all(service: Service, job_id: str) -> None:
    assert {outcome.n_links for outcome in service.run_all(job_id).values()} == {5}


def test_a_new_key_is_made_and_the_old_one_finishes_and_is_destroyed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service.running():
        old, waiting = service.request("dukcapil"), service.request("imigrasi")
        assert outlook(service, "dukcapil").due == ()
        assert renew(service, "dukcapil") is None
        renew_all(service)
        views = {view.number: view for view in outlook(service, "imigrasi").epochs}
        assert (views[1].stage, views[2].stage) == (Stage.FINISHING, Stage.CURRENT)
        # Both have the second key, and it is another than the first.
        paths = [config_of(service, party).linkage_key for party in service.site.parties]
        assert {path.name for path in paths} == {"linkage-2.key"}
        new = {open_keystore(path, FileProvider(path.parent / "kek"))[1] for path in paths}
        assert len(new) == 1
        assert secret_of(service, "dukcapil") not in new

        (changed,) = tend(service, "dukcapil")
        assert (changed.epoch, changed.before, changed.after) == (1, "active", "deactivated")
        assert tend(service, "dukcapil") == []
        assert held(service) == {"dukcapil": KeyState.DEACTIVATED}

        # What was begun under the old key is finished; nothing more begins under it.
        links_all(service, old)
        session = service.session("dukcapil", 1)
        with service.client("dukcapil", 1) as client, pytest.raises(DeniedError, match="REPLACED"):
            request_job(session, client, service.site.parties, 600, "R3")
        links_all(service, service.request("dukcapil"))

        # A job that waits keeps the old key, however late it is, and however many came after it.
        with monkeypatch.context() as patch:
            patch.setattr(MatcherClient, "jobs", lambda *_: [])
            assert tend(service, "dukcapil", YEARS) == []
        with service.client("dukcapil") as client:
            client.cancel(waiting)
            # So does a legal hold: evidence is explained with the key.
            client.submit_document(hold(service, *service.site.parties).to_bytes())
            assert tend(service, "dukcapil", YEARS) == []
            over = hold(service, *service.site.parties, held=False, serial=2)
            client.submit_document(over.to_bytes())
        store = service.session("dukcapil").store
        config = config_of(service, "dukcapil")
        assert store.exists(references_of(config.at(1).agreement))
        # Stopped in between, it leaves nothing that the next run does not find.
        with monkeypatch.context() as patch:
            patch.setattr(ArtefactStore, "delete", Stops.submit_document)
            with pytest.raises(MemoryError):
                tend(service, "dukcapil", YEARS)
        (gone,) = tend(service, "dukcapil", YEARS)
        assert (gone.epoch, gone.after) == (1, "destroyed")
        assert held(service) == {"dukcapil": KeyState.DESTROYED}
        with pytest.raises(KeystoreError, match="destroyed"):
            service.session("dukcapil", 1)
        fresh = ArtefactStore(config.work / "artefacts", config.work / "keystore")
        assert not fresh.exists(references_of(config.at(1).agreement))
        assert fresh.exists(references_of(config.agreement))


def test_a_key_that_may_be_lost_ends_at_once_and_so_do_its_jobs(service: Service) -> None:
    with service.running():
        job = service.request("dukcapil")
        with rotation(config_of(service, "imigrasi")) as own:
            own.lose()
        with service.client("dukcapil") as client:
            while not client.job(job).state.final:
                sleep(0.05)
            ended = client.job(job)
        assert (ended.state, ended.reason_code) == (JobState.CANCELLED, "EPOCH_ENDED")
        with pytest.raises(DeniedError, match="EPOCH_ENDED"):
            service.request("dukcapil")
        with rotation(config_of(service, "imigrasi")) as own, pytest.raises(JobStateError):
            own.lose()
        assert read_header(service.site.linkage_key("imigrasi")).state is KeyState.COMPROMISED
        (due,) = outlook(service, "dukcapil").due
        assert (due.reason, due.holder) == (Reason.LOSS, "party/imigrasi")
        # It is due now: nobody has to ask for it.
        with ThreadPoolExecutor() as pool:
            making = [pool.submit(renew, service, party) for party in service.site.parties]
            assert {one.result() for one in making} == {2}
        assert [one.after for one in tend(service, "dukcapil")] == ["deactivated"]
        assert tend(service, "imigrasi") == []
        assert held(service) == {
            "dukcapil": KeyState.DEACTIVATED,
            "imigrasi": KeyState.COMPROMISED,
        }
        links_all(service, service.request("dukcapil"))


def test_a_lost_file_can_be_given_up_too(service: Service) -> None:
    with service.running():
        service.site.linkage_key("dukcapil").unlink()
        with rotation(config_of(service, "dukcapil")) as own:
            own.lose()
        assert outlook(service, "imigrasi").epochs[0].stage is Stage.ENDED


class Stops(MatcherClient):
    """A client whose program ends when it has something to tell the log."""

    def submit_document(self, *_document: Any) -> int:
        raise MemoryError


@pytest.mark.parametrize("lost", [True, False])
def test_what_a_stopped_run_has_left_the_next_one_does(
    service: Service, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service.running():
        if lost:
            # The log knows, and the file does not.
            with monkeypatch.context() as patch, rotation(config_of(service, "dukcapil")) as own:
                patch.setattr("linkage.agent.rotation.change_state", Stops.submit_document)
                with pytest.raises(MemoryError):
                    own.lose()
            (done,) = tend(service, "dukcapil")
            assert done.after == "compromised"
        else:
            # The file knows, and the log does not.
            renew_all(service)
            with monkeypatch.context() as patch:
                patch.setattr(MatcherClient, "submit_document", Stops.submit_document)
                with pytest.raises(MemoryError):
                    tend(service, "dukcapil")
            assert held(service) == {}
            assert tend(service, "dukcapil") == []
        path = service.site.linkage_key("dukcapil")
        assert held(service) == {"dukcapil": read_header(path).state}


def test_an_office_that_had_the_key_is_given_the_next(new_service: Callable[..., Service]) -> None:
    service = new_service(dukcapil=people(5), kemenlu=people(5))
    with service.running():
        office = open_office(service)
        give(service)
        old = take(office)
        with rotation(office) as own:
            assert own.renew() is None
        renew_all(service)
        with rotation(office) as own:
            assert own.renew() == 2
            assert own.renew() is None
        office = load_agent(service.site.root / "agents" / "tawau" / "agent.toml")
        assert office.agreement.epoch == 2
        provider = FileProvider(office.keys.linkage.parent / "kek")
        head = config_of(service, "kemenlu").linkage_key
        new = open_keystore(office.linkage_key, provider)[1]
        assert new == open_keystore(head, FileProvider(head.parent / "kek"))[1] != old
        epoch = state(service).epochs.get(service.site.agreement.id, 2)
        assert epoch is not None
        assert list(epoch.delegated) == [OFFICE]


def padan_json(service: Service, *arguments: str) -> dict[str, Any]:
    settings = str(service.folder("dukcapil") / "agent.toml")
    done = CliRunner().invoke(padan, ["agent", *arguments, "--config", settings, "--json"])
    assert done.exit_code == 0, done.exception
    # The matcher of this process writes there too.
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


def test_the_commands_say_what_is_due_and_what_it_costs(service: Service) -> None:
    with service.running():
        service.run_all(service.request("dukcapil"))
        service.request("dukcapil")
        status = padan_json(service, "status")
        assert [view["stage"] for view in status["epochs"]] == ["in use"]
        assert status["due"] == []
        dry = padan_json(service, "rotate", "--lost", "--yes")
        assert dry["due"][0]["reason"] == "suspected-loss"
        assert dry["cost"]["epoch"] == 2
        assert dry["cost"]["messages"] == 6
        assert dry["cost"]["records"] == {"dukcapil": 5, "imigrasi": 0}
        settings = str(service.folder("dukcapil") / "agent.toml")
        done = CliRunner().invoke(padan, ["agent", "rotate", "--dry-run", "--config", settings])
        assert "due since" in done.stderr
        assert "encodes 5 records again" in done.stderr
        assert state(service).epochs.get(service.site.agreement.id, 2) is None
