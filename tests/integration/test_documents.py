"""Signed documents on their way into the log: what counts, what does not, and what is kept."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result
from in_process import SCHEMA
from members import DOMAIN, ORIGIN, Members, new_signer, signed, uri

from keys.dsse import Envelope
from keys.exchange import Exchange
from keys.identity import key_digest
from keys.kinds import new_secret, public_half
from keys.messages import Posting
from keys.transcript import Transcript
from linkage.agreement.envelope import sign_agreement
from linkage.agreement.payload import Enrolment, KeyRevocation, Stop, Termination
from linkage.agreement.state import State
from linkage.agreement.terms import terms_of
from linkage.agreement.usage import day_of
from linkage.cli import padan
from linkage.cli.demo_agreement import DemoKeys, demo_agreement
from linkage.encode.encoder import resolve_schema, schema_id
from linkage.errors import (
    ConfigError,
    DeniedError,
    LinkageError,
    MalformedMessageError,
    NotFoundError,
)
from linkage.log.canonical import encode_base64
from linkage.matcher.offline import offline_documents
from linkage.matcher.server import Matcher
from linkage.rpc.channel import translated
from linkage.schema import parse_schema
from linkage.v1 import document_pb2, document_pb2_grpc, log_pb2, log_pb2_grpc

NAMES = ("party/dukcapil", "party/imigrasi", "party/ahu", "office/imigrasi/tawau", "auditor/bpk")
BY = "auditor/bpk"


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    made = Members(tmp_path_factory.mktemp("members"))
    made.prepare()
    made.submit(*(made.enrolment(path) for path in NAMES))
    with made.running():
        yield made


@contextmanager
def calling(members: Members, path: str = BY) -> Iterator[grpc.Channel]:
    with members.channel(members.credentials[path]) as channel:
        yield channel


def submit(members: Members, content: bytes, *sealed: bytes, by: str = BY) -> int:
    request = document_pb2.SubmitDocumentRequest(envelope=content, sealed=sealed)
    with calling(members, by) as channel, translated():
        stub = document_pb2_grpc.DocumentServiceStub(channel)
        return stub.SubmitDocument(request, timeout=20).leaf_index


def checkpoint(members: Members) -> bytes:
    with calling(members) as channel:
        stub = log_pb2_grpc.LogServiceStub(channel)
        return stub.GetCheckpoint(log_pb2.GetCheckpointRequest()).checkpoint


@contextmanager
def leaving_the_log_as_it_is(members: Members) -> Iterator[None]:
    before = checkpoint(members)
    yield
    assert checkpoint(members) == before


# What does not count


def newcomer(members: Members, **own: Any) -> Envelope:
    """A right enrolment of somebody new, or one with other fields."""
    path = f"party/baru-{os.urandom(4).hex()}"
    return members.enrolment(path, **own)


WRONG: dict[str, tuple[str, Callable[[Members], Envelope]]] = {
    "unsigned": ("NOT_SIGNED", lambda m: replace(newcomer(m), signatures=())),
    "signed by itself alone": (
        "NOT_SIGNED",
        lambda m: without(newcomer(m), m.admin.key_id),
    ),
    "signed by a stranger": (
        "NOT_SIGNED",
        lambda m: without(newcomer(m), m.admin.key_id).with_signature(new_signer()),
    ),
    "signed by another party": (
        "NOT_SIGNED",
        lambda m: without(newcomer(m), m.admin.key_id).with_signature(m.signers["party/ahu"]),
    ),
    "signed by the administrator of another log": (
        "NOT_SIGNED",
        lambda m: forged(newcomer(m), m),
    ),
    "without the new key's signature": (
        "KEY_NOT_SHOWN",
        lambda m: replace(newcomer(m), signatures=()).with_signature(m.admin),
    ),
    "another log": ("OTHER_LOG", lambda m: newcomer(m, log="other.test/log")),
    "enrolled already": (
        "ALREADY_ENROLLED",
        lambda m: newcomer(m, principal=uri("party/dukcapil")),
    ),
    "enrolled in another domain": (
        "ALREADY_ENROLLED",
        lambda m: newcomer(m, principal=uri("party/dukcapil", "other.domain")),
    ),
    "the key of another": (
        "KEY_IN_USE",
        lambda m: newcomer(m, tls_keys=(key_digest(m.credentials["party/dukcapil"].certificate),)),
    ),
    "an office of nobody": (
        "NO_SUCH_PARTY",
        lambda m: newcomer(m, principal=uri("office/nobody/tawau")),
    ),
    "revokes nobody": ("NO_SUCH_PRINCIPAL", lambda m: m.revocation("party/nobody")),
    "revokes a key that there is not": (
        "NO_SUCH_KEY",
        lambda m: m.revocation("party/ahu", m.credentials["party/dukcapil"]),
    ),
    "another serial": ("REPLAYED", lambda m: m.revocation("party/ahu", serial=7)),
    "revoked by another party": (
        "NOT_SIGNED",
        lambda m: without(m.revocation("party/ahu"), m.admin.key_id).with_signature(
            m.signers["party/imigrasi"]
        ),
    ),
    "ends an agreement that there is not": (
        "NOT_IN_FORCE",
        lambda m: signed(
            Termination(log=ORIGIN, agreement="PKS-0", digest="0" * 64, reason="x"),
            m.signers["party/ahu"],
        ),
    ),
    "stops an agreement that there is not": (
        "NOT_IN_FORCE",
        lambda m: signed(
            Stop(
                log=ORIGIN, agreement="PKS-0", digest="0" * 64, serial=1, stopped=True, reason="x"
            ),
            m.signers["party/ahu"],
        ),
    ),
    "a message of no exchange": (
        "NOT_IN_FORCE",
        lambda _: Envelope(
            "application/vnd.padan.epoch.commit+json",
            b'{"agreement":"PKS-0","agreement_digest":"","epoch":1,"party":"ahu","v":1}',
            (),
        ),
    ),
}


def without(document: Envelope, key_id: str) -> Envelope:
    kept = tuple(pair for pair in document.signatures if pair[0] != key_id)
    return replace(document, signatures=kept)


def forged(document: Envelope, members: Members) -> Envelope:
    """The document with a signature that names the administrator's key and is another's."""
    other = new_signer()
    made = dict(document.with_signature(other).signatures)[other.key_id]
    signatures = {**dict(document.signatures), members.admin.key_id: made}
    return replace(document, signatures=tuple(sorted(signatures.items())))


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_count_is_refused_by_its_code_and_leaves_no_entry(
    members: Members, what: str
) -> None:
    code, make = WRONG[what]
    document = make(members)
    with leaving_the_log_as_it_is(members), pytest.raises(DeniedError) as caught:
        submit(members, document.to_bytes())
    assert caught.value.code == code
    # The same for whoever brings it: nobody learns more by another certificate.
    with pytest.raises(DeniedError) as again:
        submit(members, document.to_bytes(), by="party/ahu")
    assert str(again.value) == str(caught.value)


GOOD = Enrolment(log=ORIGIN, principal=uri("party/x"), tls_keys=())
MALFORMED = {
    "nothing": b"",
    "noise": bytes(range(256)),
    "JSON": b"{}",
    "white space": signed(GOOD, new_signer()).to_bytes() + b"\n",
    "unknown member": signed(GOOD, new_signer()).to_bytes()[:-1] + b',"x":1}',
    "deep": b'{"payload":' * 5_000,
    "unknown type": Envelope("application/vnd.padan.request+json", b"{}", ()).to_bytes(),
    "not ours": Envelope("application/vnd.in-toto+json", b"{}", ()).to_bytes(),
    "almost a type": Envelope("application/vnd.padan.epoch.forge+json", b"{}", ()).to_bytes(),
    "no agreement": Envelope("application/vnd.padan.agreement+json", b"{}", ()).to_bytes(),
    "no message": Envelope("application/vnd.padan.epoch.seal+json", b"[]", ()).to_bytes(),
    "message of nothing": Envelope("application/vnd.padan.epoch.seal+json", b"{}", ()).to_bytes(),
    "an agreement's name with a space": Envelope(
        "application/vnd.padan.epoch.commit+json", b'{"agreement":"a b"}', ()
    ).to_bytes(),
    "an agreement's name without end": Envelope(
        "application/vnd.padan.epoch.commit+json", b'{"agreement":"%s"}' % (b"a" * 300), ()
    ).to_bytes(),
    "a termination of nothing": Envelope(Termination.TYPE, b"{}", ()).to_bytes(),
    "a revocation in a second spelling": Envelope(KeyRevocation.TYPE, b'{ "v":1}', ()).to_bytes(),
    "too long for a leaf": Envelope(Enrolment.TYPE, b"x" * 49_000, ()).to_bytes(),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_document_is_refused_and_leaves_no_entry(members: Members, what: str) -> None:
    with leaving_the_log_as_it_is(members), pytest.raises(LinkageError) as caught:
        submit(members, MALFORMED[what])
    # Some parse as far as the state, which refuses them by its own word for it.
    code = getattr(caught.value, "code", None)
    assert isinstance(caught.value, MalformedMessageError) or code == "MALFORMED", caught.value


# What counts


def test_a_document_counts_whoever_brings_it(members: Members) -> None:
    for by in ("party/ahu", "office/imigrasi/tawau", "auditor/bpk"):
        submit(members, newcomer(members).to_bytes(), by=by)


def test_an_enrolled_newcomer_is_admitted_at_once(members: Members) -> None:
    document = members.enrolment("party/setneg")
    with pytest.raises(DeniedError, match="NOT_ADMITTED"):
        submit(members, document.to_bytes(), by="party/setneg")
    index = submit(members, document.to_bytes())
    assert submit(members, document.to_bytes(), by="party/setneg") == index


def test_the_same_bytes_again_give_the_same_leaf(members: Members) -> None:
    documents = [newcomer(members).to_bytes() for _ in range(3)]
    indexes = [submit(members, document) for document in documents]
    assert indexes == list(range(indexes[0], indexes[0] + 3))
    with leaving_the_log_as_it_is(members):
        again = [submit(members, document, by="party/ahu") for document in documents]
    assert again == indexes


def test_the_same_bytes_at_once_give_one_leaf(members: Members) -> None:
    content = newcomer(members).to_bytes()
    begin = threading.Barrier(8)

    def bring(_: int) -> int:
        begin.wait()
        return submit(members, content)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(bring, range(8)))) == 1


def test_the_same_document_with_another_signature_changes_nothing(members: Members) -> None:
    document = newcomer(members)
    submit(members, document.to_bytes())
    signed_again = document.with_signature(members.signers["party/ahu"])
    with leaving_the_log_as_it_is(members), pytest.raises(DeniedError, match="ALREADY_ENROLLED"):
        submit(members, signed_again.to_bytes())


def test_what_a_leaf_holds_is_what_was_signed(members: Members) -> None:
    document = newcomer(members)
    index = submit(members, document.to_bytes())
    with calling(members) as channel:
        asked = log_pb2.GetEntriesRequest(start=index, end=index + 1)
        (entry,) = log_pb2_grpc.LogServiceStub(channel).GetEntries(asked)
    assert document.to_bytes() in entry.leaf
    assert b'"actor":"auditor/bpk"' in entry.leaf


# Restarts


def state_of(members: Members) -> State:
    """What the log of a matcher that does not run says."""
    with offline_documents(members.config) as documents:
        return documents._ledger.refresh()


def test_a_matcher_that_was_restarted_knows_the_same(tmp_path: Path) -> None:
    members = Members(tmp_path)
    members.prepare()
    first = members.submit(*(members.enrolment(path) for path in NAMES))
    assert first == [1, 2, 3, 4, 5]
    document = newcomer(members)
    with members.running():
        index = submit(members, document.to_bytes())
        submit(members, members.revocation("party/ahu").to_bytes())
    before = state_of(members)
    with members.running(), leaving_the_log_as_it_is(members):
        assert submit(members, document.to_bytes()) == index
        with pytest.raises(DeniedError, match="NOT_ADMITTED"):
            submit(members, document.to_bytes(), by="party/ahu")
        with pytest.raises(DeniedError, match="NO_SUCH_PRINCIPAL"):
            submit(members, members.revocation("party/ahu", serial=2).to_bytes())
    assert state_of(members) == before
    assert members.submit(document) == [index]


def test_whoever_begins_the_log_stays_its_administrator(tmp_path: Path) -> None:
    members = Members(tmp_path)
    members.prepare()
    members.submit(members.enrolment("party/ahu"))
    # Who has the settings, and not the key, does not get in.
    settings = tmp_path / "matcher" / "matcher.toml"
    thief, first = new_signer(), members.admin
    content = settings.read_text()
    settings.write_text(content.replace(encode_base64(first.public), encode_base64(thief.public)))
    members.admin = thief
    with pytest.raises((DeniedError, ConfigError)):
        members.submit(members.enrolment("party/penyusup"))


# Without a running matcher


def submit_offline(members: Members, *paths: Path) -> Result:
    config = members.root / "matcher" / "matcher.toml"
    words = ["matcher", "submit", "--config", str(config), *map(str, paths)]
    return CliRunner().invoke(padan, words)


@pytest.fixture
def resting(tmp_path: Path) -> Members:
    made = Members(tmp_path)
    made.prepare()
    return made


def written(members: Members, *documents: Envelope) -> list[Path]:
    paths = [members.root / f"{number}.json" for number in range(len(documents))]
    for path, document in zip(paths, documents, strict=True):
        path.write_bytes(document.to_bytes())
    return paths


def test_the_first_enrolments_get_in_before_the_matcher_ever_ran(resting: Members) -> None:
    paths = written(resting, *(resting.enrolment(path) for path in NAMES))
    done = submit_offline(resting, *paths)
    assert done.exit_code == 0, done.exception
    assert done.stderr.splitlines() == [f"{p}: leaf {n}" for n, p in enumerate(paths, 1)]
    again = submit_offline(resting, *paths)
    assert again.stderr == done.stderr


def test_a_matcher_that_runs_keeps_its_data_to_itself(members: Members) -> None:
    (path,) = written(members, newcomer(members))
    with leaving_the_log_as_it_is(members):
        done = submit_offline(members, path)
    assert isinstance(done.exception, ConfigError)
    assert "another matcher runs on this data: stop it" in str(done.exception)
    with pytest.raises(ConfigError, match="another matcher runs"):
        Matcher(members.config)


def test_offline_too_what_does_not_count_is_refused(resting: Members) -> None:
    good, bad = resting.enrolment("party/ahu"), resting.enrolment("party/x", log="other.test/log")
    done = submit_offline(resting, *written(resting, good, bad))
    assert isinstance(done.exception, DeniedError)
    assert done.exception.code == "OTHER_LOG"
    # What stood before it counts, as its line says, and is not lost.
    assert done.stderr.endswith("0.json: leaf 1\n")
    assert state_of(resting).principals.by_uri.keys() == {uri("party/ahu")}


def test_a_document_that_cannot_be_read_stops_before_the_first_is_taken(resting: Members) -> None:
    (path,) = written(resting, resting.enrolment("party/ahu"))
    done = submit_offline(resting, path, resting.root / "none.json")
    assert isinstance(done.exception, ConfigError)
    assert "none.json" in str(done.exception)
    assert not state_of(resting).principals.by_uri


# The ciphertexts of a key exchange


class KeyMaking:
    """A key exchange of two parties, whose messages the test brings one by one."""

    PARTIES = ("dukcapil", "imigrasi")

    def __init__(self, members: Members) -> None:
        schema = parse_schema(SCHEMA, "schema")
        signers = {name: members.signers[f"party/{name}"] for name in self.PARTIES}
        self.agreement = demo_agreement(
            "PKS-1",
            "demo",
            ORIGIN,
            DOMAIN,
            {
                name: DemoKeys(signer.public, public_half("seal", new_secret("seal")) or b"")
                for name, signer in signers.items()
            },
            schema_id(schema),
            resolve_schema(schema),
            day_of(datetime.now(UTC)),
        )
        self.terms = terms_of(self.agreement, 1)
        self.document = sign_agreement(self.agreement, list(signers.values()))
        self.exchanges = {
            name: Exchange.begin(self.terms, name, signer) for name, signer in signers.items()
        }
        self.said: list[Envelope] = []

    def next_of(self, party: str, sealed: list[bytes]) -> Posting:
        seen = self.transcript()
        posting = self.exchanges[party].advance(seen, seen, sealed)
        assert posting is not None
        self.said.append(posting.envelope)
        return posting

    def transcript(self) -> Transcript:
        now = datetime.now(UTC)
        transcript = Transcript(self.terms, now, timedelta(days=1))
        for envelope in self.said:
            transcript.add(envelope, now)
        return transcript


def fetch(
    members: Members, by: str, agreement: str, *digests: bytes, epoch: int = 1
) -> list[bytes]:
    request = document_pb2.FetchSealedRequest(agreement_id=agreement, epoch=epoch, sha256=digests)
    with calling(members, by) as channel, translated():
        stub = document_pb2_grpc.DocumentServiceStub(channel)
        return [one.sealed for one in stub.FetchSealed(request, timeout=20)]


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def test_sealed_shares_are_kept_whole_or_not_at_all_and_go_to_the_parties_only(
    tmp_path: Path,
) -> None:
    members = Members(tmp_path)
    members.prepare()
    members.submit(*(members.enrolment(path) for path in NAMES))
    making = KeyMaking(members)
    name = making.agreement.id
    with members.running():
        submit(members, making.document.to_bytes())
        for party in making.PARTIES:
            submit(members, making.next_of(party, []).envelope.to_bytes(), b"no share")
        # What no message names is not kept, and the days of what is begin with the first share.
        assert not list((members.config.data / "artefacts").glob("sealed-*"))
        seals = {party: making.next_of(party, []) for party in making.PARTIES}
        first = seals[making.PARTIES[0]]
        (ciphertext,) = first.ciphertexts

        # Incomplete: refused whole, so that no entry says of a share that it can be had.
        for wrong in ((), (ciphertext[:-1],), (bytes(len(ciphertext)),)):
            with leaving_the_log_as_it_is(members), pytest.raises(MalformedMessageError):
                submit(members, first.envelope.to_bytes(), *wrong)
        assert fetch(members, "party/dukcapil", name, digest(ciphertext)) == []

        for posting in seals.values():
            submit(members, posting.envelope.to_bytes(), *posting.ciphertexts)
        shares = {digest(one): one for seal in seals.values() for one in seal.ciphertexts}
        for party in making.PARTIES:
            assert fetch(members, f"party/{party}", name, *shares) == list(shares.values())
            assert fetch(members, f"party/{party}", name, bytes(32), b"", b"..") == []

        # Who takes no part is told the same as of an agreement that there is not.
        told = set()
        for by, wanted in (
            ("party/ahu", name),
            ("party/ahu", "PKS-0"),
            ("party/imigrasi", "PKS-0"),
        ):
            with pytest.raises(NotFoundError) as caught:
                fetch(members, by, wanted, *shares)
            told.add(str(caught.value))
        assert len(told) == 1
        with pytest.raises(DeniedError, match="NOT_ADMITTED"):
            fetch(members, "auditor/bpk", name, *shares)
        # An office fetches what is sealed to it there; what is not it cannot open.
        assert fetch(members, "office/imigrasi/tawau", name, *shares) == list(shares.values())
        assert fetch(members, "party/imigrasi", name, *shares, epoch=2) == []

    with members.running():  # again: shares and messages are where they were
        assert fetch(members, "party/dukcapil", name, *shares) == list(shares.values())
        for party in making.PARTIES:
            posting = making.next_of(party, list(shares.values()))
            submit(members, posting.envelope.to_bytes())
    epoch = state_of(members).epochs.get(name, 1)
    assert epoch is not None
    assert epoch.confirmed is not None
