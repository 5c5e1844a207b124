"""The agent's part in making a linkage key: reads the log, posts what comes next, keeps its state.

All that is secret is `keys.exchange`'s; here it meets the log, the matcher and the disk. A
state is on disk, sealed, before what it made is posted, so that a run that was stopped
anywhere goes on, and never draws a second share.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from keys.dsse import Envelope, Signer, envelope_in
from keys.errors import KeysError
from keys.exchange import Exchange
from keys.files import replace_file
from keys.keyfile import seal_key
from keys.keystore import new_header, read_header, unsealed, write_keystore
from keys.providers import KeyProvider
from keys.terms import Terms
from keys.transcript import Step, Transcript
from linkage.agent.client import MatcherClient
from linkage.agent.config import AgentConfig
from linkage.agent.mirror import Mirror
from linkage.agreement.model import Agreement
from linkage.agreement.terms import STEP_TIME, terms_of
from linkage.errors import ConfigError, DeniedError, JobStateError
from linkage.log.canonical import parse_json

_KIND = "exchange"
_POLL_S = 0.5


class KeyMaking:
    """One party's making of the linkage key of its agreement and epoch.

    Args:
        config: the agent's settings.
        client: calls of the party.
        mirror: the agent's copy of the log.
        signer: signs with the key that the agreement names for the party.
        provider: seals the state, and at the end the linkage key.
        on_step: told each time how far the exchange is, and who is awaited.
        sleep: waits until the log may have more.
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
    ) -> None:
        self._config, self._client, self._mirror = config, client, mirror
        self._signer, self._provider = signer, provider
        self._on_step, self._sleep = on_step, sleep
        linkage = config.linkage_key
        self._path = linkage.with_name(f"{linkage.name}.exchange")

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
        last, own = None, self._config.agreement
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
            transcript = transcript_of(self._mirror, terms)
            with self._exchange(terms) as exchange:
                posting = exchange.advance(transcript, self._sealed(transcript))
                self._keep(exchange)
                if exchange.done:
                    self._finish(exchange)
                    return
            if posting is not None:
                self._client.submit_document(posting.envelope.to_bytes(), posting.ciphertexts)
                continue
            self._stop_if_failed(transcript)
            now = transcript.step, self._awaited(transcript)
            if now != last:
                self._on_step(*now)
                last = now
            self._sleep(_POLL_S)

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
            raise JobStateError(
                f"epoch {terms.epoch} ended with leaf {epoch.ended} of the log: begin the next one"
            )

    def _stop_if_failed(self, transcript: Transcript) -> None:
        # By the own clock: the log's stands still where nothing is logged.
        blamed = transcript.blame(datetime.now(UTC))
        if blamed or transcript.broken:
            who = "; ".join(f"{blame.party} ({blame.fault.name})" for blame in blamed)
            raise JobStateError(
                f"the exchange for epoch {transcript.terms.epoch} gives no key: "
                f"{who or 'a party ended it'}. Begin the next epoch"
            )

    def _awaited(self, transcript: Transcript) -> tuple[str, ...]:
        sent = {party: len(transcript.sent_by(party)) for party in transcript.terms.names}
        return tuple(party for party, n in sent.items() if n < transcript.step)


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


def transcript_of(mirror: Mirror, terms: Terms) -> Transcript:
    """Return what the log holds of an exchange."""
    messages = list(_messages(mirror, terms))
    opens = messages[0][1] if messages else datetime.now(UTC)
    transcript = Transcript(terms, opens, STEP_TIME)
    for envelope, at in messages:
        try:
            transcript.add(envelope, at)
        except KeysError:
            continue  # of another version of the agreement, or late: it does not count
    return transcript


def _messages(mirror: Mirror, terms: Terms) -> Iterator[tuple[Envelope, datetime]]:
    """Yield the messages of an exchange that count in the log, in its order."""
    for entry in mirror.documents:
        if entry.agreement != terms.agreement_id or not entry.type.startswith("epoch."):
            continue
        envelope = envelope_in((entry.body or {})["env"])
        fields = parse_json(envelope.payload)
        if isinstance(fields, dict) and fields.get("epoch") == terms.epoch:
            yield envelope, entry.time


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
