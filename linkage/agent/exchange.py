"""The agent's part in making a linkage key: reads the log, posts what comes next, keeps its state.

All that is secret is `keys.exchange`'s; here it meets the log, the matcher and the disk. A
state is on disk, sealed, before what it made is posted, so that a run that was stopped
anywhere goes on, and never draws a second share.

The next step is taken only on what all parties have cosigned: else a matcher could show one of
them commitments, or a key that all have confirmed, which the others never see. Every run cosigns
while it waits.
"""

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from keys.dsse import Envelope, Signer, envelope_in
from keys.errors import KeysError
from keys.exchange import Exchange
from keys.files import replace_file
from keys.keyfile import seal_key
from keys.keystore import new_header, read_header, unsealed, write_keystore
from keys.messages import Commit, payload_type, read_message
from keys.providers import KeyProvider
from keys.terms import Terms
from keys.transcript import Step, Transcript
from linkage.agent.client import MatcherClient
from linkage.agent.config import AgentConfig
from linkage.agent.cosigning import POLL_S, Witness, Witnessed
from linkage.agent.mirror import Mirror
from linkage.agent.session import open_cosigners
from linkage.agreement.model import Agreement
from linkage.agreement.terms import STEP_TIME, terms_of
from linkage.errors import ConfigError, DeniedError, JobStateError, MalformedMessageError
from linkage.log.canonical import parse_json

_KIND = "exchange"
_LONGEST_POLL_S, _MOST_IDLE = 5.0, 50


def _now() -> datetime:
    return datetime.now(UTC)


class KeyMaking:
    """One party's making of the linkage key of its agreement and epoch.

    Args:
        config: the agent's settings.
        client: calls of the party.
        mirror: the agent's copy of the log.
        signer: signs with the key that the agreement names for the party.
        provider: seals the state, and at the end the linkage key; opens the keys to cosign with.
        on_step: told each time how far the exchange is, and who is awaited.
        sleep: waits until the log may have more.
        clock: the time, with its zone.

    Raises:
        ConfigError: the settings name no key to cosign with.
        KeystoreError: it cannot be opened.
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
        self._witness = Witness(mirror, open_cosigners(config, provider))
        self._path = state_of(config)

    def run(self) -> None:
        """Make the key and write it into its keystore file; one that is there stays.

        Raises:
            DeniedError: the agreement is not in force, or not what the settings say.
            JobStateError: the exchange failed; the message names who was at fault.
            KeysError: the own state does not fit the log.
            KeystoreError: a keystore file cannot be written or opened.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Two runs of one party would draw and post twice.
        with self._path.with_name(f"{self._path.name}.lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise JobStateError("this party makes the key already: let that run end") from error
            self._run()

    def _run(self) -> None:
        own, witnessed, began = self._config.agreement, None, self._clock()
        last, posted, opened, n_idle = None, None, False, 0
        if self._config.linkage_key.exists():
            header = read_header(self._config.linkage_key)
            if (header.agreement_id, header.epoch) != (own.id, own.epoch):
                problem = f"holds the key of {header.agreement_id}, epoch {header.epoch}"
                raise ConfigError(str(self._config.linkage_key), [f"{problem}: name a new file"])
            self._path.unlink(missing_ok=True)
            return
        while True:
            self._mirror.update(self._client)
            terms = terms_in(self._config, self._mirror)
            self._check_open(terms)
            witnessed = witnessed or self._witnessed(terms)
            now = self._clock()
            self._cosign(witnessed, now)
            seen = transcript_of(self._mirror, terms, now)
            settled = transcript_of(self._mirror, terms, now, witnessed.size)
            due = len(seen.sent_by(self._config.party)) < settled.step
            # Not in every round: a provider may ask an HSM, or hash a passphrase for a second.
            if due or seen.broken or not opened:
                with self._exchange(terms) as exchange:
                    posting = exchange.advance(seen, settled, self._sealed(settled))
                    self._keep(exchange)
                    opened = True
                    if exchange.done:
                        self._finish(exchange)
                        return
                if posting is not None and posting != posted:
                    self._client.submit_document(posting.envelope.to_bytes(), posting.ciphertexts)
                    posted, n_idle = posting, 0
                    continue
            silent = self._silent(terms, seen, settled, witnessed)
            self._stop_if_failed(seen, settled, silent, now)
            if seen.step is Step.COMMIT and now >= began + STEP_TIME:
                raise JobStateError(
                    f"{', '.join(_awaited(seen))} did not begin in {STEP_TIME.days} days: ask them "
                    "to, and run this again; nothing is lost"
                )
            cosign = tuple(f"{party} to cosign" for party in silent)
            told = settled.step, cosign or _awaited(seen)
            if told != last:
                self._on_step(*told)
                last, n_idle = told, 0
            # A quick party is waited for with quick looks; one that sleeps, not for days.
            self._sleep(min(POLL_S * 1.1**n_idle, _LONGEST_POLL_S))
            n_idle = min(n_idle + 1, _MOST_IDLE)

    def _witnessed(self, terms: Terms) -> Witnessed:
        """Return how far the parties have cosigned the log, from the first message on."""
        first = next((index for index, _, _ in _messages(self._mirror, terms)), 0)
        return Witnessed(self._mirror, terms.names, first)

    def _cosign(self, witnessed: Witnessed, now: datetime) -> None:
        # The checkpoint's turn may be over when the line arrives: the next round cosigns again.
        with suppress(MalformedMessageError):
            self._witness.cosign(self._client)
        witnessed.update(self._client, now)

    def _silent(
        self, terms: Terms, seen: Transcript, settled: Transcript, witnessed: Witnessed
    ) -> tuple[str, ...]:
        """Return who has not cosigned the messages of a step that all have taken."""
        if settled.step == seen.step:
            return ()
        kind = payload_type(settled.step.name.lower())
        said = (
            index for index, one, _ in _messages(self._mirror, terms) if one.payload_type == kind
        )
        return witnessed.lacking(max(said) + 1)

    def _sealed(self, transcript: Transcript) -> list[bytes]:
        wanted = list(transcript.sealed_for(self._config.party).values())
        if not wanted:
            return []
        terms = transcript.terms
        return self._client.sealed(terms.agreement_id, terms.epoch, wanted)

    @contextmanager
    def _exchange(self, terms: Terms) -> Iterator[Exchange]:
        """Open the state, or begin, and overwrite what is secret at the end."""
        if self._path.exists():
            with unsealed(self._path, self._provider) as (_, state):
                exchange = Exchange.resume(state, terms, self._signer)
        else:
            exchange = Exchange.begin(terms, self._config.party, self._signer)
        try:
            yield exchange
        finally:
            exchange.wipe()

    def _keep(self, exchange: Exchange) -> None:
        own, state = self._config.agreement, exchange.state()
        header = new_header(_KIND, self._provider, own.id, own.epoch)
        try:
            if self._path.exists():
                replace_file(self._path, seal_key(state, header, self._provider))
            else:
                write_keystore(self._path, state, header, self._provider)
        finally:
            state[:] = bytes(len(state))

    def _finish(self, exchange: Exchange) -> None:
        own, secret = self._config.agreement, exchange.linkage_secret()
        header = new_header("linkage", self._provider, own.id, own.epoch)
        try:
            write_keystore(self._config.linkage_key, secret, header, self._provider)
        finally:
            secret[:] = bytes(len(secret))
        self._path.unlink()

    def _check_open(self, terms: Terms) -> None:
        """Check that the epoch has not ended in the log.

        Raises:
            JobStateError: it has, and no key of it will ever be used.
        """
        epoch = self._mirror.state.epochs.get(terms.agreement_id, terms.epoch)
        if epoch is not None and epoch.ended is not None:
            self._path.unlink(missing_ok=True)
            raise JobStateError(
                f"epoch {terms.epoch} ended with leaf {epoch.ended} of the log: begin the next one"
            )

    def _stop_if_failed(
        self, seen: Transcript, settled: Transcript, silent: Sequence[str], now: datetime
    ) -> None:
        # By the own clock: the log's stands still where nothing is logged.
        who = [f"{blame.party} ({blame.fault.name})" for blame in seen.blame(now)]
        if silent and not seen.broken:
            # Who waits for their lines is absent from the log itself, and not to blame.
            late = now >= seen.closes(Step(settled.step + 1))
            who = [f"{party} (NOT_COSIGNED)" for party in silent] if late else []
        if who or seen.broken:
            ended = "; ".join(who) or "a party ended it"
            advice = "Begin the next epoch"
            if seen.step is Step.COMPLETE and not seen.broken:
                advice = "Give it up (`padan agent rotate --lost`), and begin the next epoch"
            raise JobStateError(
                f"the exchange for epoch {seen.terms.epoch} gives no key: {ended}. {advice}"
            )


def _awaited(transcript: Transcript) -> tuple[str, ...]:
    sent = {party: len(transcript.sent_by(party)) for party in transcript.terms.names}
    return tuple(party for party, n in sent.items() if n < transcript.step)


def state_of(config: AgentConfig) -> Path:
    """Return where the state of an exchange is kept until its key is made."""
    return config.linkage_key.with_name(f"{config.linkage_key.name}.exchange")


def terms_in(config: AgentConfig, mirror: Mirror) -> Terms:
    """Return what the parties exchange under, if it is what the settings say.

    Raises:
        DeniedError: the agreement is not in force, or not what the settings say.
    """
    own = config.agreement
    standing = mirror.state.agreements.get(own.id)
    if standing is None or standing.terminated is not None:
        raise DeniedError(
            "AGREEMENT_NOT_ACTIVE", f"{own.id} is not in force: have all parties sign it"
        )
    _check_settings(config, standing.agreement)
    return terms_of(standing.agreement, own.epoch)


def transcript_of(
    mirror: Mirror, terms: Terms, now: datetime, size: int | None = None
) -> Transcript:
    """Return what the log holds of an exchange.

    Its clock starts when the last party has committed: before that there is nothing to be late
    with, and who comes early sets nobody a time.

    Args:
        mirror: the own copy of the log.
        terms: of the exchange.
        now: the time.
        size: of its entries, only so many.
    """
    messages = list(_messages(mirror, terms))
    transcript = Transcript(terms, _all_committed(terms, messages) or now, STEP_TIME)
    for index, envelope, at in messages:
        if size is not None and index >= size:
            break
        # One of another version of the agreement, or a late one, does not count.
        with suppress(KeysError):
            transcript.add(envelope, at)
    return transcript


def _all_committed(
    terms: Terms, messages: Iterable[tuple[int, Envelope, datetime]]
) -> datetime | None:
    """Return when the last party had committed; None if not all have."""
    awaited = set(terms.names)
    for _, envelope, at in messages:
        with suppress(KeysError):
            message = read_message(terms, envelope)
            if isinstance(message, Commit):
                awaited.discard(message.party)
                if not awaited:
                    return at
    return None


def _messages(mirror: Mirror, terms: Terms) -> Iterator[tuple[int, Envelope, datetime]]:
    """Yield the messages of an exchange that count in the log, each with its leaf and time."""
    for index, entry in mirror.documents.items():
        if entry.agreement != terms.agreement_id or not entry.type.startswith("epoch."):
            continue
        envelope = envelope_in((entry.body or {})["env"])
        fields = parse_json(envelope.payload)
        if isinstance(fields, dict) and fields.get("epoch") == terms.epoch:
            yield index, envelope, entry.time


def _check_settings(config: AgentConfig, agreement: Agreement) -> None:
    """Check that an agreement is the one that the settings are for."""
    own = config.agreement
    wrong = {
        f"parties: the agreement has {', '.join(agreement.by_id)}": set(own.parties)
        != agreement.by_id.keys(),
        f"purpose: the agreement has {agreement.purpose.code}": own.purpose
        != agreement.purpose.code,
        f"{config.party} is no party of it": config.party not in agreement.by_id,
    }
    if any(wrong.values()):
        terms = "; ".join(term for term, differs in wrong.items() if differs)
        raise DeniedError("TERMS_DIFFER", f"{own.id} is not what the settings say: {terms}")
