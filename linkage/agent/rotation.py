"""The keys of an agreement over the years, at one holder: due, made, given up, destroyed.

Everything can be repeated: what a run that was stopped has left, the next one does. The log
is told of each change after the keystore file has it; of a suspected loss before, for nothing
must go on while a token is looked for.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from keys.dsse import Signer, sign
from keys.errors import KeystoreError
from keys.identity import identity_in
from keys.keystore import change_state, read_header
from keys.messages import Withdrawal, sign_message
from keys.providers import KeyProvider
from keys.rotation import (
    Cost,
    Due,
    Event,
    Holding,
    JobUnder,
    KeyedEpoch,
    Reason,
    cost_of_new,
    destroy_from,
    end_of,
    reasons_for_new,
    usable_epochs,
)
from keys.states import KeyState, Transition
from keys.transcript import Step
from linkage.agent.client import MatcherClient
from linkage.agent.config import AgentConfig, Agreement
from linkage.agent.delegating import give_key, take_key
from linkage.agent.exchange import KeyMaking, state_of, terms_in, transcript_of
from linkage.agent.mirror import Mirror
from linkage.agent.references import References, references_of
from linkage.agent.register import register_of
from linkage.agreement.epochs import Custody, Epoch, Held, custody_of
from linkage.agreement.jobs import JobRecord, read_jobs
from linkage.agreement.model import Agreement as Signed
from linkage.agreement.payload import KeyChange
from linkage.agreement.standing import Standing
from linkage.agreement.terms import STEP_TIME
from linkage.agreement.values import path_of
from linkage.errors import ConfigError, DeniedError, JobStateError
from linkage.log.entry import parse_entry
from linkage.store.artefacts import ArtefactStore

# A cautious figure, for a cost that is told beforehand.
_RECORDS_PER_S = 5_000.0


def _now() -> datetime:
    return datetime.now(UTC)


class Stage(Enum):
    """Where an epoch is in its life, as the log has it."""

    MAKING = "being made"
    CURRENT = "in use"
    FINISHING = "finishing"
    OVER = "over"
    ENDED = "given up"


@dataclass(frozen=True)
class EpochView:
    """One epoch as its holder sees it.

    Attributes:
        number: of the epoch.
        stage: where it is.
        began: time of the first message of its exchange.
        made: when all had confirmed it.
        due: when a newer key is due.
        until: when nothing more is done under it, as far as it is known.
        own: state of the own keystore file; None where there is none.
        why: of one that was given up, why.
    """

    number: int
    stage: Stage
    began: datetime
    made: datetime | None
    due: datetime | None
    until: datetime | None
    own: KeyState | None
    why: Event | None


@dataclass(frozen=True)
class Outlook:
    """How it stands with the keys of an agreement.

    Attributes:
        epochs: all that were ever begun, the oldest first.
        due: why a new one is due; empty if it is not.
        begun: number of an epoch whose making others have begun, and which waits for this party.
        cost: what a new epoch asks for.
    """

    epochs: tuple[EpochView, ...]
    due: tuple[Due, ...]
    begun: int | None
    cost: Cost


class Rotation:
    """One holder's part in the keys of its agreement: a party's, or an office's.

    Args:
        config: the agent's settings.
        client: calls of the holder.
        mirror: the agent's copy of the log.
        signer: signs for the holder.
        provider: opens its keystore.
        on_step: told how far an exchange is, and who is awaited.
        sleep: waits until the log may have more.
        clock: the time, with its zone.
    """

    def __init__(
        self,
        config: AgentConfig,
        client: MatcherClient,
        mirror: Mirror,
        signer: Signer,
        provider: KeyProvider,
        on_step: Callable[[Step, tuple[str, ...]], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._config, self._client, self._mirror = config, client, mirror
        self._signer, self._provider = signer, provider
        self._on_step, self._sleep, self._clock = on_step, sleep, clock
        self._identity = identity_in(config.tls.certificate.read_bytes())
        self._store = ArtefactStore(config.work / "artefacts", config.work / "keystore")
        # The jobs, and the size of the log when they were read out of it: once for all epochs.
        self._known_jobs: list[JobRecord] = []
        self._jobs_at = -1

    def outlook(self) -> Outlook:
        """Return how it stands with the keys.

        Raises:
            DeniedError: the agreement is not in force.
        """
        standing, now = self._standing(), self._clock()
        epochs = self._epochs()
        custody = custody_of(standing.agreement)
        jobs = [job for job in self._jobs() if not job.over]
        keyed = [one for epoch in epochs if (one := epoch.keyed())]
        usable = usable_epochs(keyed, _events(epochs), now, custody.period, custody.overlap)
        due = tuple(_due(standing.agreement, epochs, now))
        begun = self._open(epochs)
        waits = begun is not None and self._config.party not in begun.confirms
        return Outlook(
            epochs=tuple(self._view(epoch, epochs, custody, now) for epoch in epochs),
            due=due,
            begun=begun.number if begun and waits else None,
            cost=cost_of_new(
                epochs[-1].number if epochs else 0,
                due,
                [self._holding(epochs, party) for party in standing.agreement.by_id],
                [JobUnder(job.job, job.epoch) for job in jobs],
                usable,
                now,
                STEP_TIME,
            ),
        )

    def renew(self, *, early: bool = False) -> int | None:
        """Make the next key with the other parties if it is due or begun, or take it.

        Args:
            early: make it although it is not due.

        Returns:
            The number of the epoch whose key is now in the keystore; None if none was due, or
            the head office has given none.

        Raises:
            DeniedError: the agreement is not in force.
            JobStateError: the exchange failed; the message names who was at fault.
        """
        standing, epochs = self._standing(), self._epochs()
        if self._identity.role == "office":
            return self._take(epochs)
        begun, now = self._open(epochs), self._clock()
        newest = epochs[-1] if epochs else None
        if begun is not None:
            number = begun.number
        elif newest is not None and self._is_unfinished(newest):
            number = newest.number
        elif early or newest is None or _due(standing.agreement, epochs, now):
            number = newest.number + 1 if newest else 1
        else:
            number = None
        if number is not None:
            KeyMaking(
                self._config.at(number),
                self._client,
                self._mirror,
                self._signer,
                self._provider,
                self._on_step,
                self._sleep,
                self._clock,
            ).run()
        self._give()
        return number

    def tend(self) -> list[Transition]:
        """Bring the own keys into the states that follow from the log, and tell the log.

        Returns:
            What has changed now.

        Raises:
            KeystoreError: a keystore file cannot be opened or changed.
        """
        self._mirror.update(self._client)
        done: list[Transition] = []
        for epoch in self._epochs():
            config = self._config.at(epoch.number)
            if not config.linkage_key.exists():
                continue
            for state in self._wanted(epoch):
                if state is KeyState.DESTROYED:
                    # First, and again where the key is gone: a run may have been stopped here.
                    self._store.delete(references_of(config.agreement))
                    self._store.delete(register_of(config.agreement))
                before = read_header(config.linkage_key).state
                if before in (state, KeyState.DESTROYED):
                    continue
                if state is KeyState.DEACTIVATED and before is KeyState.COMPROMISED:
                    continue
                now = self._clock()
                done.append(change_state(config.linkage_key, state, self._provider, now))
            self._tell(epoch, config)
        return done

    def lose(self) -> int:
        """Say that the key of the newest epoch may be known to others: it ends at once.

        Returns:
            The leaf that says so.

        Raises:
            JobStateError: there is no key that serves.
            DeniedError: the matcher refuses; the message says why.
        """
        self._mirror.update(self._client)
        epoch = next((one for one in reversed(self._epochs()) if one.confirmed is not None), None)
        if epoch is None or epoch.ended is not None:
            raise JobStateError("no key of this agreement is in use: there is none to give up")
        path = self._config.at(epoch.number).linkage_key
        known = self._held(epoch)
        key_id, revision = "", known.revision
        with contextlib.suppress(KeystoreError):  # the file is lost, and that is why
            header = read_header(path)
            key_id, revision = header.key_id, max(header.revision, revision)
        leaf = self._submit(epoch, key_id, known.state, KeyState.COMPROMISED, revision + 1)
        if path.exists():
            change_state(path, KeyState.COMPROMISED, self._provider, self._clock())
        return leaf

    def withdraw(self) -> int:
        """End the exchange that has begun, and blame nobody: the own state of it is lost.

        Returns:
            The leaf that says so; the next exchange has the next number.

        Raises:
            JobStateError: none has begun that could still succeed.
            DeniedError: the matcher refuses; the message says why.
        """
        self._standing()
        begun = self._open(self._epochs())
        if begun is None:
            raise JobStateError("no key is being made: there is nothing to withdraw from")
        config = self._config.at(begun.number)
        terms = terms_in(config, self._mirror)
        envelope = sign_message(terms, Withdrawal(config.party), self._signer)
        leaf = self._client.submit_document(envelope.to_bytes())
        state_of(config).unlink(missing_ok=True)
        return leaf

    def _standing(self) -> Standing:
        own = self._config.agreement
        standing = self._mirror.update(self._client).agreements.get(own.id)
        if standing is None or standing.terminated is not None:
            raise DeniedError(
                "AGREEMENT_NOT_ACTIVE", f"{own.id} is not in force: have all parties sign it"
            )
        return standing

    def _epochs(self) -> list[Epoch]:
        return self._mirror.state.epochs.of(self._config.agreement.id)

    def _jobs(self) -> list[JobRecord]:
        """Return all jobs of the agreement that the log has told this party of."""
        copy, own = self._mirror.copy, self._config.agreement.id
        if self._jobs_at != copy.size:
            entries = [parse_entry(leaf) for leaf in copy.leaves(copy.size)]
            found = read_jobs(entries, copy.bodies())
            self._known_jobs = [job for job in found if job.agreement == own]
            self._jobs_at = copy.size
        return self._known_jobs

    def _open(self, epochs: list[Epoch]) -> Epoch | None:
        """Return the newest epoch, if its exchange has begun and may still succeed."""
        newest = epochs[-1] if epochs else None
        if newest is None or newest.confirmed is not None or newest.ended is not None:
            return None
        standing = self._mirror.state.agreements.get(self._config.agreement.id)
        if standing is None or not newest.is_of(standing.agreement):
            return None
        config = self._config.at(newest.number)
        now = self._clock()
        transcript = transcript_of(self._mirror, terms_in(config, self._mirror), now)
        failed = transcript.broken or transcript.blame(now)
        return None if failed else newest

    def _is_unfinished(self, epoch: Epoch) -> bool:
        """Whether the log has a key whole that this party was stopped short of writing."""
        path = self._config.at(epoch.number).linkage_key
        if epoch.confirmed is None or epoch.ended is not None or path.exists():
            return False
        if not state_of(self._config.at(epoch.number)).exists():
            problem = (
                f"the key of epoch {epoch.number} was made, and is not in this keystore: give it "
                "up with `padan agent rotate --lost`, and make the next"
            )
            raise ConfigError(str(path), [problem])
        return True

    def _take(self, epochs: list[Epoch]) -> int | None:
        """Take the newest key that was given to this office, if it is not here."""
        given = [one.number for one in epochs if self._identity.uri in one.delegated]
        config = self._config.at(given[-1]) if given else None
        if config is None or config.linkage_key.exists():
            return None
        take_key(config, self._client, self._mirror, self._provider)
        return config.agreement.epoch

    def _give(self) -> None:
        """Give the newest key to the own offices that had the one before."""
        self._mirror.update(self._client)
        made = [one for one in self._epochs() if one.confirmed is not None]
        if len(made) < 2 or made[-1].ended is not None:
            return
        before, new = made[-2:]
        config = self._config.at(new.number)
        for office in sorted(before.delegated.keys() - new.delegated.keys()):
            principal = self._mirror.state.principals.get(office)
            # One that was revoked, or has no seal key, gets none.
            seals = principal.counting("seal", self._clock()) if principal else ()
            if principal and principal.party == config.party and seals:
                give_key(config, self._client, self._mirror, self._signer, self._provider, office)

    def _wanted(self, epoch: Epoch) -> Iterator[KeyState]:
        """Yield the states that an own key is to be in, one after another."""
        if self._held(epoch).state is KeyState.COMPROMISED:
            yield KeyState.COMPROMISED
        successor = self._successor(epoch)
        if epoch.ended is not None or successor is not None:
            yield KeyState.DEACTIVATED
        if successor is not None and self._may_go(epoch, successor):
            yield KeyState.DESTROYED

    def _successor(self, epoch: Epoch) -> KeyedEpoch | None:
        """Return the key after one, once it is in this keystore too."""
        later = (one for one in self._epochs() if one.number > epoch.number)
        keyed = (one.keyed() for one in later if self._config.at(one.number).linkage_key.exists())
        return next((one for one in keyed if one is not None), None)

    def _may_go(self, epoch: Epoch, successor: KeyedEpoch) -> bool:
        standing = self._mirror.state.agreements.get(epoch.agreement)
        # What is held stays evidence only as long as it can be explained with the key.
        if standing is None or standing.held is not None:
            return False
        own = [job for job in self._jobs() if job.epoch == epoch.number]
        if not all(job.over for job in own):
            return False
        # The encodings of a job lie at the matcher so long, and can be explained with the key.
        kept = timedelta(days=standing.agreement.retention.artefact_days)
        ends = (job.released + kept for job in own if job.released is not None)
        overlap = custody_of(standing.agreement).overlap
        return destroy_from(successor, ends, overlap) <= self._clock()

    def _held(self, epoch: Epoch) -> Held:
        return epoch.held.get(self._identity.uri, Held(KeyState.ACTIVE, -1, epoch.leaf))

    def _tell(self, epoch: Epoch, config: AgentConfig) -> None:
        """Tell the log of the state of a key, if it has another."""
        header, known = read_header(config.linkage_key), self._held(epoch)
        if epoch.confirmed is not None and header.state != known.state:
            revision = max(header.revision, known.revision + 1)
            self._submit(epoch, header.key_id, known.state, header.state, revision)

    def _submit(
        self, epoch: Epoch, key_id: str, before: KeyState, after: KeyState, revision: int
    ) -> int:
        change = KeyChange(
            log=self._mirror.state.log,
            principal=self._identity.uri,
            agreement=epoch.agreement,
            epoch=epoch.number,
            key_id=key_id,
            before=before,
            after=after,
            revision=revision,
        )
        envelope = sign(KeyChange.TYPE, change.to_bytes(), [self._signer])
        leaf = self._client.submit_document(envelope.to_bytes())
        self._mirror.update(self._client)
        return leaf

    def _holding(self, epochs: list[Epoch], party: str) -> Holding:
        """Return what a party has under the newest key, as far as it is known here."""
        newest = next((one for one in reversed(epochs) if one.confirmed is not None), None)
        paths = [path_of(office) for office in newest.delegated] if newest else []
        offices = tuple(path for path in paths if path.split("/")[1] == party)
        if newest is None or party != self._config.party:
            return Holding(party, 0, 0, offices, _RECORDS_PER_S)
        own = self._config.at(newest.number).agreement
        registers = int(self._store.exists(register_of(own)))
        return Holding(party, self._n_records(own), registers, offices, _RECORDS_PER_S)

    def _n_records(self, own: Agreement) -> int:
        if not self._store.exists(references_of(own)):
            return 0
        return len(References(self._store, own, self._clock().date()))

    def _view(
        self, epoch: Epoch, epochs: list[Epoch], custody: Custody, now: datetime
    ) -> EpochView:
        keyed = epoch.keyed()
        successor = self._mirror.state.epochs.successor(epoch)
        made = keyed.completed if keyed else None
        until = None
        if made is not None:
            until = end_of(made, successor, custody.longest, custody.overlap)
        if epoch.ended is not None:
            stage = Stage.ENDED
        elif until is None:
            stage = Stage.MAKING if epoch is epochs[-1] else Stage.OVER
        elif now >= until:
            stage = Stage.OVER
        else:
            stage = Stage.FINISHING if successor else Stage.CURRENT
        path = self._config.at(epoch.number).linkage_key
        return EpochView(
            number=epoch.number,
            stage=stage,
            began=epoch.began,
            made=made,
            due=made + custody.period if made and not successor else None,
            until=until,
            own=read_header(path).state if path.exists() else None,
            why=epoch.lost,
        )


def _events(epochs: list[Epoch]) -> list[Event]:
    return [epoch.lost for epoch in epochs if epoch.lost is not None]


def _due(agreement: Signed, epochs: list[Epoch], now: datetime) -> list[Due]:
    """Return why a new key is due; a first one always is, and needs no reason."""
    newest = next((one for one in reversed(epochs) if one.confirmed is not None), None)
    keyed = newest.keyed() if newest else None
    if newest is None or keyed is None:
        return []
    events = _events([newest])
    if not newest.is_of(agreement):
        events.append(Event(Reason.ALGORITHM, now))
    return reasons_for_new(keyed, events, now, custody_of(agreement).period)
