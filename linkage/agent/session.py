"""What an agent works with: its settings, schema, source, linkage key and store."""

import time
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from keys.derive import KeyContext, LinkageKey
from keys.door import open_provider
from keys.dsse import Ed25519Signer
from keys.errors import KeysError
from keys.identity import Identity, identity_in
from keys.keystore import unsealed
from keys.kinds import WITNESS, WITNESS_ML_DSA
from keys.providers import KeyProvider
from keys.states import KeyUse
from linkage.agent.config import AgentConfig, load_schema, load_source
from linkage.agent.cosigning import Witness
from linkage.agent.mirror import Mirror
from linkage.agent.requests import Requests
from linkage.encode.encoder import schema_id
from linkage.errors import ConfigError
from linkage.job import CodeId, Refinement
from linkage.log.cosignature import Clock, Cosigner
from linkage.log.policy import Policy, parse_policy
from linkage.rpc.tls import TlsFiles
from linkage.schema import LinkageSchema
from linkage.store.artefacts import ArtefactStore


class Session:
    """One agent at work under one agreement and epoch, on one thread.

    Args:
        config: the agent's settings.

    Attributes:
        mirror: its copy of the match log.
        signer: signs for its party.

    Raises:
        VerificationError: the copy of the log on disk does not hold.
        ConfigError: schema, source or trust file is refused, or the keystore is of
            another agreement or epoch.
        KeystoreError: the linkage key cannot be opened.
    """

    def __init__(self, config: AgentConfig) -> None:
        self.config = config
        self.schema = load_schema(config.schema_file)
        self.source = load_source(config.source)
        self.trust = load_trust(config.trust)
        self._provider = provider = open_provider(config.keys.provider)
        self.key = open_linkage_key(config, provider, schema_id(self.schema))
        self.codes = CodeId(
            schema_id=schema_id(self.schema),
            epoch=config.agreement.epoch,
            key_check=self.key.key_check(),
            scheme=self.schema.encoding.scheme,
            code_bits=self.schema.encoding.code_bits,
            **block_form(self.schema),
        )
        self.refinement = refinement_of(self.schema)
        self.store = ArtefactStore(config.work / "artefacts", config.work / "keystore")
        self.tls = TlsFiles(**dict(config.tls))
        # One for all: to open it, the whole log is read and hashed.
        self.mirror = mirror_of(config, self.trust)
        self.signer = open_signer(config, provider)
        self.requests = Requests(
            config.agreement.id, config.agreement.epoch, self.signer, self.mirror
        )
        self._witness = None
        if config.keys.witness is not None:
            self._witness = Witness(self.mirror, open_cosigners(config, provider))

    @cached_property
    def identity(self) -> Identity:
        """Who the agent is, by its certificate: its party, or an office of it.

        Raises:
            ConfigError: the certificate cannot be read, or names nobody.
        """
        path = self.config.tls.certificate
        try:
            return identity_in(path.read_bytes())
        except (OSError, KeysError) as error:
            raise ConfigError(str(path), [f"not a certificate of an agent: {error}"]) from error

    @property
    def witness(self) -> Witness:
        """The agent as a witness of the log.

        Raises:
            ConfigError: the settings name no key for it, as those of offices.
        """
        if self._witness is None:
            raise ConfigError("[keys]", ["witness: name the key that the party cosigns with"])
        return self._witness

    def key_of(self, epoch: int) -> LinkageKey | None:
        """Return the linkage key of an epoch, for the caller to wipe; None if it is not here."""
        try:
            return open_linkage_key(self.config.at(epoch), self._provider, self.codes.schema_id)
        except (ConfigError, KeysError):
            return None


def block_form(schema: LinkageSchema) -> dict[str, int]:
    """Return how many block and exact tokens a record has, and how long the former are."""
    n_entries = len(schema.entries)
    return {
        "block_entries": n_entries,
        "block_copies": schema.match.block_copies if n_entries else 0,
        "block_bytes": schema.match.block_bytes if n_entries else 0,
        # With two rounds exact attributes are entries of their own.
        "exact_slots": len(schema.exact.names) if schema.match.rounds == 1 else 0,
    }


def refinement_of(schema: LinkageSchema) -> Refinement | None:
    """Return the second round that a schema agrees on, None for one round."""
    if schema.match.rounds == 1:
        return None
    return Refinement(
        candidates=schema.match.candidates,
        decoys=schema.match.decoys,
        types=tuple(a.type for a in schema.fuzzy),
        identifiers=tuple(a.type for a in schema.identifiers),
    )


def load_trust(path: Path) -> Policy:
    """Read the trust file of the match log.

    Raises:
        ConfigError: it cannot be read, or a line of it is refused; lists every problem.
    """
    try:
        return parse_policy(path.read_bytes())
    except OSError as error:
        problem = f"cannot be read: {error.strerror}: name the trust file of the match log"
        raise ConfigError(str(path), [problem]) from error
    except ConfigError as error:
        raise ConfigError(str(path), error.problems) from error


def mirror_of(config: AgentConfig, trust: Policy) -> Mirror:
    """Return an agent's copy of the match log.

    Raises:
        VerificationError: what is on disk does not hold.
    """
    return Mirror(config.work / "log", trust)


def open_signer(config: AgentConfig, provider: KeyProvider) -> Ed25519Signer:
    """Open the key that an agent signs with for its party.

    Raises:
        ConfigError: the keystore holds another kind of key.
        KeystoreError: it cannot be opened.
    """
    with unsealed(config.keys.sign, provider) as (header, secret):
        if header.kind != "sign":
            problem = f"holds a {header.kind} key: name one that `padan keys new sign` made"
            raise ConfigError(str(config.keys.sign), [problem])
        return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(secret))


def open_cosigners(config: AgentConfig, provider: KeyProvider) -> tuple[Cosigner, ...]:
    """Open the keys that an agent cosigns the log with: Ed25519, and ML-DSA-44 if it has one.

    Raises:
        ConfigError: a keystore holds another kind of key, or the settings name none.
        KeystoreError: one cannot be opened.
    """
    if config.keys.witness is None:
        raise ConfigError("[keys]", ["witness: name the key that the party cosigns with"])
    cosigners = [_cosigner(config, config.keys.witness, WITNESS, provider)]
    if config.keys.witness_ml_dsa is not None:
        cosigners.append(_cosigner(config, config.keys.witness_ml_dsa, WITNESS_ML_DSA, provider))
    return tuple(cosigners)


def _cosigner(config: AgentConfig, path: Path, kind: str, provider: KeyProvider) -> Cosigner:
    with unsealed(path, provider) as (header, secret):
        if header.kind != kind:
            problem = f"holds a {header.kind} key: name one that `padan keys new {kind}` made"
            raise ConfigError(str(path), [problem])
        return cosigner_of(config.party, kind, secret)


def cosigner_of(
    party: str, kind: str, secret: bytes | bytearray, clock: Clock = time.time
) -> Cosigner:
    """Return a party's witness with a key of a kind of `keys.kinds`."""
    private: Ed25519PrivateKey | MLDSA44PrivateKey
    if kind == WITNESS_ML_DSA:
        private = MLDSA44PrivateKey.from_seed_bytes(secret)
    else:
        private = Ed25519PrivateKey.from_private_bytes(secret)
    return Cosigner(witness_name(party), private, clock)


def witness_name(party: str) -> str:
    """Return the name under which a party cosigns."""
    return f"party/{party}"


def open_linkage_key(config: AgentConfig, provider: KeyProvider, schema: bytes) -> LinkageKey:
    """Open the linkage key of the configured agreement and epoch.

    Raises:
        ConfigError: the keystore is of another agreement or epoch.
        KeystoreError: it cannot be opened.
    """
    agreement = config.agreement
    # A key whose time is over may still finish what it began.
    with unsealed(config.linkage_key, provider, use=KeyUse.PROCESS) as (header, secret):
        if (header.kind, header.agreement_id, header.epoch) != (
            "linkage",
            agreement.id,
            agreement.epoch,
        ):
            problem = (
                f"holds the {header.kind} key of {header.agreement_id or 'no agreement'}, epoch "
                f"{header.epoch}; needed is the linkage key of {agreement.id}, epoch "
                f"{agreement.epoch}"
            )
            raise ConfigError(str(config.linkage_key), [problem])
        context = KeyContext(agreement.id, schema, agreement.purpose, agreement.epoch)
        return LinkageKey(secret, context)
