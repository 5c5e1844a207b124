"""The key of an epoch on its way to an office: given by its head office, taken by itself.

Both go through the match log, so that who holds a key can be read there; the ciphertext lies
at the matcher, which cannot open it.
"""

from datetime import UTC, datetime
from hashlib import sha256

from keys.delegated import read_delegation
from keys.delegation import delegate, open_delegation
from keys.dsse import Signer, envelope_in
from keys.errors import KeysError
from keys.identity import identity_in
from keys.keystore import new_header, unsealed, write_keystore
from keys.providers import KeyProvider
from keys.sealing import SealKey
from keys.states import KeyUse
from keys.terms import Terms
from linkage.agent.client import MatcherClient
from linkage.agent.config import AgentConfig
from linkage.agent.exchange import terms_in, transcript_of
from linkage.agent.mirror import Mirror
from linkage.errors import ConfigError, DeniedError, NotFoundError


def give_key(
    config: AgentConfig,
    client: MatcherClient,
    mirror: Mirror,
    signer: Signer,
    provider: KeyProvider,
    office: str,
) -> int:
    """Give the linkage key to an office of one's own party; return the leaf that says so.

    Args:
        config: settings of the head office's agent.
        client: its calls.
        mirror: its copy of the log.
        signer: the party's.
        provider: opens its keystore.
        office: the principal, as it is enrolled.

    Raises:
        NotFoundError: no such office is enrolled, or it has no seal key.
        DeniedError: the agreement is not in force, or the matcher refuses.
        KeysError: the key cannot be sealed.
        KeystoreError: the linkage key cannot be opened.
    """
    principal = mirror.update(client).principals.get(office)
    keys = principal.counting("seal", datetime.now(UTC)) if principal else ()
    if not keys:
        raise NotFoundError(
            f"{office} is not enrolled with a seal key: enrol it (`padan enrol`), and try again"
        )
    terms, whole = _exchanged(config, mirror)
    with unsealed(config.linkage_key, provider, use=KeyUse.PROCESS) as (_, secret):
        posting = delegate(terms, config.party, signer, office, keys[-1].public, secret, whole)
    return client.submit_document(posting.envelope.to_bytes(), posting.ciphertexts)


def take_key(
    config: AgentConfig, client: MatcherClient, mirror: Mirror, provider: KeyProvider
) -> None:
    """Take the linkage key that the head office gave to this one, into its keystore file.

    Args:
        config: settings of the office's agent; `[keys] seal` has its seal key.
        client: its calls.
        mirror: its copy of the log.
        provider: opens its keystore.

    Raises:
        ConfigError: the settings name no seal key.
        NotFoundError: no key was given to this office, or it is at the matcher no more.
        KeysError: what was given does not belong to this office, agreement or epoch.
        KeystoreError: a keystore file cannot be opened or written.
    """
    if config.keys.seal is None:
        raise ConfigError("[keys]", ["seal: name the keystore file of this office's seal key"])
    mirror.update(client)
    terms, whole = _exchanged(config, mirror)
    identity = identity_in(config.tls.certificate.read_bytes())
    office, own_party = identity.uri, identity.party
    for entry in reversed(mirror.documents.values()):
        if (entry.type, entry.agreement) != ("epoch.delegate", terms.agreement_id):
            continue
        envelope = envelope_in((entry.body or {})["env"])
        try:
            found = read_delegation(terms, envelope)
        except KeysError:
            continue  # of another epoch
        given = mirror.state.epochs.get(terms.agreement_id, terms.epoch)
        if found.office != office or found.party != own_party:
            continue
        if given is None or office not in given.delegated:
            continue  # the log does not count it
        sealed = client.sealed(terms.agreement_id, terms.epoch, [found.ciphertext])
        if not sealed or sha256(sealed[0]).digest() != found.ciphertext:
            raise NotFoundError("the key is at the matcher no more: ask the head office again")
        with unsealed(config.keys.seal, provider) as (_, seal_secret):
            own = SealKey(seal_secret)
            secret = open_delegation(terms, envelope, sealed[0], own, office, whole)
        header = new_header("linkage", provider, terms.agreement_id, terms.epoch)
        try:
            write_keystore(config.linkage_key, secret, header, provider)
        finally:
            secret[:] = bytes(len(secret))
            own.wipe()
        return
    raise NotFoundError(
        f"no key of {terms.agreement_id}, epoch {terms.epoch}, was given to {office}: ask the head "
        "office for `padan agent give-key`"
    )


def _exchanged(config: AgentConfig, mirror: Mirror) -> tuple[Terms, bytes]:
    """Return the terms of a complete exchange, and what names it.

    Raises:
        DeniedError: the exchange is not complete.
    """
    terms = terms_in(config, mirror)
    transcript = transcript_of(mirror, terms, datetime.now(UTC))
    whole = transcript.hash
    if whole is None or transcript.confirms is None:
        raise DeniedError(
            "EPOCH_NOT_CONFIRMED",
            f"the key of epoch {terms.epoch} is not made: `padan agent make-key`",
        )
    return terms, whole
