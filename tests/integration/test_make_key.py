"""The parties make their linkage key together, through a matcher that never has it."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from in_process import Service, people
from key_making import config_of, make, now, parts

from keys.derive import KEY_BYTES
from keys.dsse import sign
from keys.errors import KeysError
from keys.identity import key_digest, parse_identity
from keys.keystore import new_header, open_keystore, write_keystore
from keys.kinds import new_secret, public_half
from keys.providers import FileProvider
from linkage.agent.client import MatcherClient
from linkage.agent.config import AgentConfig, load_agent
from linkage.agent.delegating import give_key, take_key
from linkage.agent.exchange import state_of
from linkage.agent.rotation import Rotation
from linkage.agent.session import open_signer
from linkage.agreement.payload import Enrolment
from linkage.agreement.terms import STEP_TIME
from linkage.cli.demo_site import DOMAIN
from linkage.errors import (
    ConfigError,
    DeniedError,
    JobStateError,
    MalformedMessageError,
    NotFoundError,
)
from linkage.log.canonical import encode_base64


@pytest.fixture
def service(new_service: Callable[..., Service]) -> Service:
    made = new_service(dukcapil=people(3), imigrasi=people(3), kemenlu=people(3))
    made.makes_keys = False
    return made


def make_all(service: Service) -> None:
    with ThreadPoolExecutor() as pool:
        for making in [pool.submit(make, service, party) for party in service.site.parties]:
            making.result()


def secret_of(service: Service, party: str) -> bytes:
    path = service.site.linkage_key(party)
    header, secret = open_keystore(path, FileProvider(path.parent / "kek"))
    assert (header.kind, header.agreement_id, header.epoch) == ("linkage", "PKS-DEMO-1", 1)
    return secret


def everything_under(folder: Path) -> bytes:
    return b"|".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_all_parties_have_one_key_that_the_matcher_has_not(service: Service) -> None:
    with service.running():
        make_all(service)
        secrets = {secret_of(service, party) for party in service.site.parties}
        (secret,) = secrets
        assert len(secret) == KEY_BYTES
        assert secret not in everything_under(service.site.root / "matcher")
        # No state of the exchange stays behind.
        assert not list(service.site.root.rglob("*.exchange"))
        outcomes = service.run_all(service.request("dukcapil"))
        assert all(outcome.n_links for outcome in outcomes.values())
        # Again, it does nothing.
        make(service, "dukcapil")
        assert secret_of(service, "dukcapil") == secret


class Stops(MatcherClient):
    """A client whose program ends at a document, before or after it was posted."""

    at, posted = 0, False

    def submit_document(self, envelope: bytes, sealed: Sequence[bytes] = ()) -> int:
        if Stops.at == 0:
            if Stops.posted:
                super().submit_document(envelope, sealed)
            raise MemoryError
        Stops.at -= 1
        return super().submit_document(envelope, sealed)


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("posted", [False, True])
def test_an_agent_stopped_anywhere_goes_on_and_draws_no_second_share(
    service: Service, step: int, posted: bool
) -> None:
    own, *others = service.site.parties
    Stops.at, Stops.posted = step, posted
    with service.running(), ThreadPoolExecutor() as pool:
        rest = [pool.submit(make, service, party) for party in others]
        with pytest.raises(MemoryError):
            make(service, own, client=Stops)
        make(service, own)
        for making in rest:
            making.result()
    assert len({secret_of(service, party) for party in service.site.parties}) == 1


def test_settings_that_the_agreement_does_not_have_make_no_key(service: Service) -> None:
    with service.running():
        config = config_of(service, "dukcapil")
        for change in (
            {"purpose": "lain"},
            {"parties": ("dukcapil", "imigrasi")},
        ):
            wrong = config.agreement.model_copy(update=change)
            with pytest.raises(DeniedError, match="TERMS_DIFFER"):
                make(service, "dukcapil", config.model_copy(update={"agreement": wrong}))
        unknown = config.agreement.model_copy(update={"id": "PKS-LAIN"})
        with pytest.raises(DeniedError, match="AGREEMENT_NOT_ACTIVE"):
            make(service, "dukcapil", config.model_copy(update={"agreement": unknown}))
        assert not service.site.linkage_key("dukcapil").exists()


def test_a_keystore_of_another_epoch_is_not_overwritten(service: Service) -> None:
    with service.running():
        make_all(service)
        config = config_of(service, "dukcapil")
        shutil.copy(config.linkage_key, config.at(2).linkage_key)
        with pytest.raises(ConfigError, match="epoch 1"):
            make(service, "dukcapil", config.at(2))


def test_a_lost_state_makes_no_second_message(service: Service) -> None:
    Stops.at, Stops.posted = 0, True
    with service.running():
        with pytest.raises(MemoryError):
            make(service, "dukcapil", client=Stops)
        state_of(config_of(service, "dukcapil")).unlink()
        with pytest.raises(KeysError, match="state is an old one"):
            make(service, "dukcapil")


def test_who_waits_alone_is_told_so_and_may_withdraw(service: Service) -> None:
    """The time of an exchange begins with the last commit, so nothing ends for want of one."""
    ahead = iter([timedelta(), timedelta(), 2 * STEP_TIME])
    with service.running():
        with pytest.raises(JobStateError, match="imigrasi, kemenlu did not begin in 3 days"):
            make(service, "dukcapil", clock=lambda: now() + next(ahead, 2 * STEP_TIME))
        config = config_of(service, "dukcapil")
        state_of(config).unlink()
        with parts(config) as (client, mirror, provider):
            signer = open_signer(config, provider)
            rotation = Rotation(config, client, mirror, signer, provider, lambda *_: None)
            assert rotation.outlook().begun == 1
            rotation.withdraw()
            with pytest.raises(JobStateError, match="nothing to withdraw from"):
                rotation.withdraw()
        with pytest.raises(JobStateError, match="ended with leaf"):
            make(service, "imigrasi")
        configs = {party: config_of(service, party).at(2) for party in service.site.parties}
        with ThreadPoolExecutor() as pool:
            runs = [pool.submit(make, service, party, own) for party, own in configs.items()]
            for run in runs:
                run.result()
        assert all(own.linkage_key.exists() for own in configs.values())


OFFICE = f"spiffe://{DOMAIN}/office/kemenlu/tawau"


def open_office(service: Service, seal_key: bool = True) -> AgentConfig:
    """Enrol an office of Kemenlu, and return the settings of its agent."""
    head, folder = service.folder("kemenlu"), service.site.root / "agents" / "tawau"
    shutil.copytree(head, folder, ignore=shutil.ignore_patterns("work", "linkage.key"))
    credential = service.site.authority.issue(parse_identity(OFFICE))
    (folder / "certificate.pem").write_bytes(credential.certificate)
    (folder / "private-key.pem").write_bytes(credential.private_key)
    provider, secret = FileProvider(folder / "keystore" / "kek"), new_secret("seal")
    write_keystore(folder / "keystore" / "seal.key", secret, new_header("seal", provider), provider)
    public = public_half("seal", secret)
    assert public is not None
    document = Enrolment(
        log=service.site.agreement.log,
        principal=OFFICE,
        tls_keys=(key_digest(credential.certificate),),
        seal_key=encode_base64(public) if seal_key else None,
    )
    envelope = sign(Enrolment.TYPE, document.to_bytes(), [service.site.signers["kemenlu"]])
    with service.client("kemenlu") as client:
        client.submit_document(envelope.to_bytes())
    settings = folder / "agent.toml"
    text = settings.read_text().replace("[keys]", '[keys]\nseal = "keystore/seal.key"')
    settings.write_text(text)
    return load_agent(settings)


def give(service: Service, party: str = "kemenlu", office: str = OFFICE) -> int:
    config = config_of(service, party)
    with parts(config) as (client, mirror, provider):
        signer = open_signer(config, provider)
        return give_key(config, client, mirror, signer, provider, office)


def take(config: AgentConfig) -> bytes:
    with parts(config) as (client, mirror, provider):
        take_key(config, client, mirror, provider)
    return open_keystore(config.keys.linkage, provider)[1]


def test_a_head_office_gives_its_key_to_an_office_and_to_no_other(service: Service) -> None:
    with service.running():
        make_all(service)
        office = open_office(service)
        with pytest.raises(NotFoundError, match="was given to"):
            take(office)
        leaf = give(service)
        assert take(office) == secret_of(service, "kemenlu")
        with service.client("dukcapil") as client:
            state = service.session("dukcapil").mirror.update(client)
        epoch = state.epochs.get(service.site.agreement.id, 1)
        assert epoch is not None
        assert epoch.delegated == {OFFICE: leaf}
        # Another party has no offices of Kemenlu's.
        with pytest.raises(DeniedError, match="NO_SUCH_OFFICE"):
            give(service, "dukcapil")
        with pytest.raises(NotFoundError, match="not enrolled"):
            give(service, office=OFFICE.replace("tawau", "davao"))


def test_an_office_without_a_seal_key_is_given_none(service: Service) -> None:
    with service.running():
        make_all(service)
        open_office(service, seal_key=False)
        with pytest.raises(NotFoundError, match="seal key"):
            give(service)


def test_a_delegation_comes_with_its_ciphertext_or_not_at_all(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = MatcherClient.submit_document
    with service.running():
        make_all(service)
        open_office(service)
        for wrong in ((), (b"x",)):
            with monkeypatch.context() as patch:
                patch.setattr(
                    MatcherClient,
                    "submit_document",
                    lambda self, envelope, _sealed, wrong=wrong: plain(self, envelope, wrong),
                )
                with pytest.raises(MalformedMessageError, match="sealed key"):
                    give(service)
        assert give(service)
