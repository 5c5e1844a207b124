"""The keys that a matcher signs its log with: Ed25519, and ML-DSA-44 beside it.

Both sign every checkpoint under the log's origin, so that whoever breaks one of them can forge
nothing. A log that was begun before there were two goes on with the one it has, until its
operator makes the other: from then on it is never left out again.
"""

import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from keys.keystore import new_header, open_keystore, write_keystore
from keys.kinds import LOG_SIGNING, LOG_SIGNING_ML_DSA
from keys.providers import FileProvider, create_key_file
from linkage.errors import ConfigError
from linkage.log.cosignature import Cosigner
from linkage.log.note import Ed25519Signer, Signer
from linkage.matcher.config import Log
from linkage.matcher.head_record import HeadRecord

_NEW_SEED: dict[str, Callable[[], bytes]] = {
    LOG_SIGNING: lambda: Ed25519PrivateKey.generate().private_bytes_raw(),
    LOG_SIGNING_ML_DSA: lambda: MLDSA44PrivateKey.generate().private_bytes_raw(),
}


def ml_dsa_path(log: Log) -> Path:
    """Return where the ML-DSA-44 key of a log is: beside the other, `log-ml-dsa.key`."""
    path = log.signing_key
    return path.with_name(f"{path.stem}-ml-dsa{path.suffix}")


def open_log_signers(log: Log) -> tuple[Signer, ...]:
    """Return the signers of a log, in the order of their lines.

    Returns:
        Ed25519, and ML-DSA-44 where the log has such a key.

    Raises:
        ConfigError: a keystore file holds another kind of key.
        KeystoreError: one cannot be opened.
    """
    classic = Ed25519PrivateKey.from_private_bytes(_open(log, log.signing_key, LOG_SIGNING))
    signers: list[Signer] = [Ed25519Signer(log.origin, classic)]
    if (path := ml_dsa_path(log)).exists():
        lattice = MLDSA44PrivateKey.from_seed_bytes(_open(log, path, LOG_SIGNING_ML_DSA))
        signers.append(Cosigner(log.origin, lattice, time.time))
    return tuple(signers)


def make_log_keys(log: Log) -> dict[Path, bool]:
    """Make the keys of a log that are not there yet.

    Returns:
        By keystore file, whether it was made now; what was there is kept.

    Raises:
        KeystoreError: a file cannot be written.
    """
    if not log.key_encryption_key.exists():
        log.key_encryption_key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        create_key_file(log.key_encryption_key)
    provider, made = FileProvider(log.key_encryption_key), dict[Path, bool]()
    for kind, path in {LOG_SIGNING: log.signing_key, LOG_SIGNING_ML_DSA: ml_dsa_path(log)}.items():
        made[path] = not path.exists()
        if made[path]:
            write_keystore(path, _NEW_SEED[kind](), new_header(kind, provider), provider)
    if made[log.signing_key]:
        HeadRecord(log.signing_key).begin()
    return made


def _open(log: Log, path: Path, kind: str) -> bytes:
    header, seed = open_keystore(path, FileProvider(log.key_encryption_key))
    if header.kind != kind:
        raise ConfigError(str(path), [f"holds a {header.kind} key, not the {kind} key of a log"])
    return seed
