"""An office looks up under its own grant, certificate, keys and quota, until it is removed."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from grants import give, grant
from in_process import SCHEMA, Service, people, person
from test_lookup import FAST, refresh, send

from keys.door import open_provider
from keys.dsse import sign
from keys.identity import key_digest, parse_identity
from keys.keystore import new_header, write_keystore
from keys.kinds import new_secret, public_half
from keys.providers import FileProvider
from linkage.agent import delegating
from linkage.agent.client import MatcherClient
from linkage.agent.config import AgentConfig, load_agent
from linkage.agent.lookup import Lookup, LookupAnswer, LookupClient
from linkage.agent.session import Session, load_trust, mirror_of, open_signer
from linkage.agreement.payload import Enrolment, KeyRevocation, OfficeQuota
from linkage.cli.demo_site import DOMAIN
from linkage.errors import ConfigError, DeniedError
from linkage.log.canonical import encode_base64
from linkage.rpc.channel import open_channel
from linkage.rpc.tls import TlsFiles

OFFICE = "office/imigrasi/tawau"
URI = f"spiffe://{DOMAIN}/{OFFICE}"


@contextmanager
def parts(config: AgentConfig) -> Iterator[MatcherClient]:
    with open_channel(config.matcher, TlsFiles(**dict(config.tls))) as channel:
        yield MatcherClient(channel, 5.0)


def open_office(service: Service, name: str = "tawau", jobs_per_day: int = 1) -> AgentConfig:
    """Enrol an office with its own keys, and return the settings of its agent."""
    head, folder = service.folder("imigrasi"), service.site.root / "agents" / name
    uri = URI.replace("tawau", name)
    shutil.copytree(
        head, folder, ignore=shutil.ignore_patterns("work", "linkage*.key", "witness*.key")
    )
    credential = service.site.authority.issue(parse_identity(uri))
    (folder / "certificate.pem").write_bytes(credential.certificate)
    (folder / "private-key.pem").write_bytes(credential.private_key)
    keystore, provider = folder / "keystore", FileProvider(folder / "keystore" / "kek")
    public: dict[str, bytes] = {}
    for kind in ("seal", "sign"):
        secret = new_secret(kind)
        (keystore / f"{kind}.key").unlink(missing_ok=True)
        write_keystore(keystore / f"{kind}.key", secret, new_header(kind, provider), provider)
        public[kind] = public_half(kind, secret) or b""
    settings = folder / "agent.toml"
    text = settings.read_text().replace("[keys]", '[keys]\nseal = "keystore/seal.key"')
    settings.write_text(text.replace('witness = "keystore/witness.key"', ""))
    config = load_agent(settings)
    own = open_signer(config, provider)
    document = Enrolment(
        log=service.site.agreement.log,
        principal=uri,
        tls_keys=(key_digest(credential.certificate),),
        sign_key=encode_base64(own.public),
        seal_key=encode_base64(public["seal"]),
        quota=OfficeQuota(records_per_day=500, jobs_per_day=jobs_per_day, lookups_per_day=5),
    )
    signers = [service.site.signers["imigrasi"], own]
    envelope = sign(Enrolment.TYPE, document.to_bytes(), signers)
    with service.client("imigrasi") as client:
        client.submit_document(envelope.to_bytes())
    return config


def take_key(service: Service, office: AgentConfig, name: str = "tawau") -> None:
    head = service.session("imigrasi").config
    with parts(head) as client:
        provider = open_provider(head.keys.provider)
        signer, mirror = open_signer(head, provider), mirror_of(head, load_trust(head.trust))
        delegating.give_key(head, client, mirror, signer, provider, URI.replace("tawau", name))
    with parts(office) as client:
        mirror = mirror_of(office, load_trust(office.trust))
        delegating.take_key(office, client, mirror, open_provider(office.keys.provider))


def ask(office: AgentConfig, number: int) -> LookupAnswer:
    session, row = Session(office), person(number)
    del row["record_id"]
    keys = [line.key for line in session.trust.logs]
    with open_channel(office.matcher, session.tls) as channel:
        client = LookupClient(channel, 5.0, session.requests, keys)
        return client.find(Lookup(session).question("dukcapil", row))


def remove(service: Service, office: str = URI) -> None:
    wanted = KeyRevocation(
        log=service.site.agreement.log, principal=office, serial=1, keys=(), reason="left"
    )
    envelope = sign(wanted.TYPE, wanted.to_bytes(), [service.site.signers["imigrasi"]])
    with service.client("imigrasi") as client:
        client.submit_document(envelope.to_bytes())


def test_an_office_looks_up_under_its_own_grant_until_it_is_removed(
    new_service: Callable[..., Service],
) -> None:
    service = new_service(SCHEMA + FAST, dukcapil=people(30), imigrasi=people(5))
    with service.running():
        refresh(service)
        office = open_office(service)
        take_key(service, office)
        with pytest.raises(ConfigError, match="witness"):
            _ = Session(office).witness
        # What its head office was given is not the office's.
        give(service, grant(service))
        with pytest.raises(DeniedError, match="GRANT_UNKNOWN"):
            ask(office, 3)
        with pytest.raises(DeniedError, match="QUOTA_OFFICE"):
            give(service, grant(service, OFFICE, number=6))
        wanted = grant(service, OFFICE, number=2)
        give(service, wanted)
        answers = [ask(office, number) for number in (3, 40)]
        assert [answer.answer for answer in answers] == ["yes", "no"]
        assert [answer.sequence for answer in answers] == [1, 2]
        with pytest.raises(DeniedError, match="GRANT_EXHAUSTED"):
            ask(office, 3)
        remove(service)
        with pytest.raises(DeniedError, match="NOT_ADMITTED"):
            ask(office, 3)
        # Who was removed had the key: nobody goes on with it.
        row = person(3)
        del row["record_id"]
        question = Lookup(service.session("imigrasi")).question("dukcapil", row)
        with pytest.raises(DeniedError, match="EPOCH_ENDED"):
            send(service, question)
