"""A matcher with two views of the log, and a party that works with it, while a key is made."""

import copy
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from in_process import Service, people
from key_making import config_of, make, now, parts

from keys.dsse import parse_envelope
from keys.messages import Withdrawal, payload_type, sign_message
from linkage.agent.client import MatcherClient
from linkage.agreement.epochs import Epoch
from linkage.agreement.terms import STEP_TIME, terms_of
from linkage.errors import JobStateError

# One is honest and sees the first view, one the second; the third lies, with the matcher.
FIRST, SECOND, LIAR = "dukcapil", "imigrasi", "kemenlu"


@pytest.fixture
def service(new_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr("linkage.matcher.cosignatures._HOLD_S", 0.1)
    made = new_service(**{party: people(3) for party in (FIRST, SECOND, LIAR)})
    made.makes_keys = False
    return made


def split(service: Service) -> Service:
    """Return a second view: all that there is, once more, with the same key of the log."""
    site = copy.copy(service.site)
    site.root = service.site.root.with_name(f"{service.site.root.name}-again")
    shutil.copytree(service.site.root, site.root)
    site.trust = site.root / "trust" / "trust.txt"
    other = Service(site)
    other.makes_keys = False
    return other


def carrying(other: Service) -> Callable[..., MatcherClient]:
    """Clients whose documents the matcher shows in the other view too."""

    class Carrying(MatcherClient):
        def submit_document(self, envelope: bytes, sealed: Sequence[bytes] = ()) -> int:
            with parts(config_of(other, LIAR)) as (client, _, _):
                client.submit_document(envelope, sealed)
            return super().submit_document(envelope, sealed)

    return Carrying


class Clock:
    """Stands still until all have said what they will, and is then far ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return now() + self.ahead


@contextmanager
def making(
    clock: Clock, *runs: tuple[Service, str, Service | None]
) -> Iterator[list[Future[None]]]:
    """Let parties make their key in the view that each sees."""
    with ThreadPoolExecutor() as pool:
        futures = [
            pool.submit(make, view, party, None, carrying(other) if other else MatcherClient, clock)
            for view, party, other in runs
        ]
        try:
            yield futures
        finally:
            clock.ahead = 5 * STEP_TIME


def epoch_in(view: Service) -> Epoch | None:
    with parts(config_of(view, LIAR)) as (client, mirror, _):
        return mirror.update(client).epochs.get(view.site.agreement.id, 1)


def wait_for_messages(view: Service, word: str, n: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        epoch = epoch_in(view)
        if epoch is not None and sum(kind == word for kind, _ in epoch.messages) >= n:
            return
        time.sleep(0.05)
    raise AssertionError(f"no {n} {word}s")


def test_no_share_leaves_a_party_before_all_have_seen_the_same_commitments(
    service: Service,
) -> None:
    other, clock = split(service), Clock()
    with service.running(), other.running():
        runs = (
            (service, FIRST, other),
            (other, SECOND, service),
            # Of these two commitments, each view has one.
            (service, LIAR, None),
            (other, LIAR, None),
        )
        with making(clock, *runs) as made:
            for view in (service, other):
                wait_for_messages(view, "commit", 3)
            time.sleep(1)
        for future, honest in zip(made, (SECOND, FIRST, SECOND, FIRST), strict=True):
            with pytest.raises(JobStateError, match=rf"{honest} \(NOT_COSIGNED\)"):
                future.result()
        for view in (service, other):
            epoch = epoch_in(view)
            assert epoch is not None
            assert not [said for said in epoch.messages if said[0] != "commit"]


class StopsToConfirm(MatcherClient):
    """A client whose program ends before it says that it has the key."""

    def submit_document(self, envelope: bytes, sealed: Sequence[bytes] = ()) -> int:
        if parse_envelope(envelope).payload_type == payload_type("confirm"):
            raise MemoryError
        return super().submit_document(envelope, sealed)


def test_no_key_is_used_that_one_party_was_told_is_given_up(service: Service) -> None:
    parties = (FIRST, SECOND, LIAR)
    with service.running(), ThreadPoolExecutor() as pool:
        for run in [pool.submit(make, service, one, None, StopsToConfirm) for one in parties]:
            with pytest.raises(MemoryError):
                run.result()
    other, clock = split(service), Clock()
    terms = terms_of(service.site.agreement, 1)
    # Such as one that opens all shares, and so the key: here the matcher shows it to one only.
    ended = sign_message(terms, Withdrawal(LIAR), service.site.signers[LIAR])
    with service.running(), other.running():
        runs = ((other, SECOND, service), (service, FIRST, None), (service, LIAR, None))
        with making(clock, *runs) as made:
            wait_for_messages(service, "confirm", 3)
            with parts(config_of(other, LIAR)) as (client, _, _):
                client.submit_document(ended.to_bytes())
            with pytest.raises(JobStateError, match=r"ended with leaf|WITHDRAWN"):
                made[0].result()
            time.sleep(0.5)
        for future in made[1:]:
            with pytest.raises(JobStateError, match=rf"{SECOND} \(NOT_COSIGNED\).*--lost"):
                future.result()
        assert not service.site.linkage_key(FIRST).exists()
