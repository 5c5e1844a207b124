"""The matcher's settings, from one TOML file, checked as a whole at start."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from linkage.engine.executor import ExecutorName
from linkage.errors import ConfigError, MalformedMessageError
from linkage.log.canonical import decode_base64
from linkage.rpc.limits import CALLS_AT_HAND, MAX_CALLS, MAX_MESSAGE_BYTES
from linkage.rpc.rates import BURST, BYTES_AT_HAND, OFFICE_BYTES, PARTY_BYTES, PER_S
from linkage.schema import problems_of

_MAX_PORT, _ED25519_BYTES = 65_535, 32


def _check_port(address: str) -> str:
    # The library would take the port modulo 65,536, and listen somewhere else.
    if int(address.rpartition(":")[2]) > _MAX_PORT:
        raise ValueError(f"a port is at most {_MAX_PORT}")
    return address


def _check_key(text: str) -> str:
    try:
        data = decode_base64(text)
    except MalformedMessageError:
        data = b""
    if len(data) != _ED25519_BYTES:
        raise ValueError(f"a key is the base64 of {_ED25519_BYTES} bytes (Ed25519)")
    return text


_Ed25519 = Annotated[str, AfterValidator(_check_key)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Strict):
    """PEM files, as paths relative to the settings file."""

    certificate: Path
    private_key: Path
    authority: Path


class Log(_Strict):
    """The match log.

    Attributes:
        origin: the log's name in every checkpoint.
        signing_key: keystore file of its Ed25519 key.
        key_encryption_key: file that opens the keystore.
        administrators: Ed25519 keys, base64, of those who enrol parties and auditors; a new log
            begins with them and never changes them.
        threshold: how many of them sign together.
    """

    origin: Annotated[str, Field(pattern=r"^[a-zA-Z0-9./-]{1,128}$")]
    signing_key: Path
    key_encryption_key: Path
    administrators: Annotated[tuple[_Ed25519, ...], Field(min_length=1, max_length=32)]
    threshold: Annotated[int, Field(ge=1, le=32)] = 1

    @model_validator(mode="after")
    def _enough_administrators(self) -> "Log":
        if len(set(self.administrators)) < len(self.administrators):
            raise ValueError("administrators: one is listed twice")
        if self.threshold > len(self.administrators):
            raise ValueError("threshold: more than there are administrators")
        return self


class Store(_Strict):
    """The database.

    Attributes:
        url: of PostgreSQL, `postgresql+pg8000://USER@HOST/DATABASE`; None for SQLite in the
            folder of the data.
        password_file: file with the user's password, readable by its owner alone.
        authority: PEM file of who signs the server's certificate; only a server on this machine
            may be without.
    """

    url: str | None = None
    password_file: Path | None = None
    authority: Path | None = None

    @model_validator(mode="after")
    def _reachable_safely(self) -> "Store":
        if self.url is None:
            if self.password_file is not None or self.authority is not None:
                raise ValueError("password_file and authority go with a url")
            return self
        try:
            url = make_url(self.url)
        except ArgumentError as error:
            raise ValueError("url: write it as postgresql+pg8000://USER@HOST/DATABASE") from error
        if url.drivername != "postgresql+pg8000" or not (url.username and url.database):
            raise ValueError("url: write it as postgresql+pg8000://USER@HOST/DATABASE")
        if url.password is not None:
            raise ValueError("url: no password belongs here: name a password_file")
        # The driver would take any of its settings from here, another host among them.
        if not url.query.keys() <= {"unix_sock"}:
            raise ValueError("url: nothing but unix_sock=/PATH goes after the ?")
        local = "unix_sock" in url.query or url.host in ("localhost", "127.0.0.1", "::1")
        if not local and self.authority is None:
            raise ValueError("authority: a server on another machine is reached by TLS alone")
        return self


class Watch(_Strict):
    """Metrics, liveness and readiness for those who watch the matcher.

    Attributes:
        listen: host and port; beyond this machine a certificate of the authority is asked for.
    """

    listen: Annotated[str, Field(pattern=r"^\S+:\d{1,5}$"), AfterValidator(_check_port)]


class AnchorSettings(_Strict):
    """An authority that timestamps the log (RFC 3161), from time to time.

    Attributes:
        tsa: its address; it sees a hash of a checkpoint.
        authority: PEM file of who issued its certificate.
        hours: how often, where the log has grown.
    """

    tsa: Annotated[str, Field(pattern=r"^https?://\S{1,500}$")]
    authority: Path
    hours: Annotated[float, Field(gt=0, le=8_760)] = 24.0


class Limits(_Strict):
    """What callers may make of the matcher, each by identity.

    Attributes:
        calls_per_s: calls a second, for ever.
        calls_burst: calls at once, after a pause.
        calls_at_hand: calls of one caller that have not ended, of all its connections.
        party_bytes: bytes that a party and its offices send on a day (UTC).
        office_bytes: bytes of these that one office sends.
        bytes_at_hand: bytes of one caller that are in memory at once, of all its calls; a
            message is 4 MiB at most.
    """

    calls_per_s: Annotated[float, Field(gt=0)] = PER_S
    calls_burst: Annotated[float, Field(ge=1)] = BURST
    calls_at_hand: Annotated[int, Field(ge=1, le=MAX_CALLS)] = CALLS_AT_HAND
    party_bytes: Annotated[int, Field(ge=1)] = PARTY_BYTES
    office_bytes: Annotated[int, Field(ge=1)] = OFFICE_BYTES
    bytes_at_hand: Annotated[int, Field(ge=MAX_MESSAGE_BYTES)] = BYTES_AT_HAND


class MatcherConfig(_Strict):
    """All settings of a matcher.

    Attributes:
        trust_domain: the service it belongs to; certificates of others are refused.
        listen: host and port; port 0 takes a free one.
        data: folder of database, log files and artefacts.
        keystore: folder of the keys to the artefacts; leave it out of backups.
        tls: PEM files.
        log: the match log.
        metrics: where metrics are told; nowhere without it.
        store: the database.
        anchors: who timestamps the log; nobody without it.
        executor: who compares: `local` threads, or a `ray` cluster.
        threads: threads that compare, of the local executor.
        ray_address: host and port of the Ray cluster's head, "auto" for one on this machine.
        artefact_days: days after which encodings are destroyed, if the agreement does not
            have it earlier; results go by the agreement alone.
        max_candidates: most candidate pairs of one job.
        max_comparisons: most comparisons of one job; where all pairs are more, only
            records that share a block or exact token are compared.
        screen_loss: highest probability that a pair of hardened codes just at the
            threshold is overlooked in a job of one round, for speed; 0 for none.
        max_records: most records of one batch.
        limits: what callers may make of the matcher.
        lookup_loss: highest probability that a lookup overlooks a record whose code alone
            is just a match, for speed; 0 for none.
        lookup_request_days: days for which auditors can ask for signed lookup requests.
    """

    trust_domain: Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,64}$")]
    listen: Annotated[str, Field(pattern=r"^\S+:\d{1,5}$"), AfterValidator(_check_port)]
    data: Path
    keystore: Path
    tls: Tls
    log: Log
    metrics: Watch | None = None
    store: Store = Store()
    anchors: AnchorSettings | None = None
    executor: ExecutorName = "local"
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    ray_address: Annotated[str, Field(pattern=r"^(auto|\S+:\d{1,5})$")] = "auto"
    artefact_days: Annotated[int, Field(ge=1, le=3650)] = 30
    max_candidates: Annotated[int, Field(ge=1)] = 50_000_000
    max_comparisons: Annotated[int, Field(ge=1)] = 5_000_000_000
    screen_loss: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    max_records: Annotated[int, Field(ge=1)] = 5_000_000
    limits: Limits = Limits()
    lookup_loss: Annotated[float, Field(ge=0, lt=0.5)] = 0.02
    lookup_request_days: Annotated[int, Field(ge=1, le=3650)] = 365


def load_config(path: Path) -> MatcherConfig:
    """Read the settings; relative paths count from the file's folder.

    Raises:
        ConfigError: the file cannot be read or breaks a rule; lists every problem.
    """
    try:
        settings: Any = tomllib.loads(path.read_text("utf-8"))
        config = MatcherConfig.model_validate(settings)
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"not valid TOML: {error}"]) from error
    except ValidationError as error:
        raise ConfigError(str(path), problems_of(error)) from error
    base = path.resolve().parent
    return config.model_copy(
        update={
            "data": base / config.data,
            "keystore": base / config.keystore,
            "tls": Tls(**{name: base / value for name, value in config.tls}),
            "log": config.log.model_copy(
                update={
                    "signing_key": base / config.log.signing_key,
                    "key_encryption_key": base / config.log.key_encryption_key,
                }
            ),
            "anchors": config.anchors
            and config.anchors.model_copy(update={"authority": base / config.anchors.authority}),
            "store": config.store.model_copy(
                update={
                    name: base / path
                    for name in ("password_file", "authority")
                    if (path := getattr(config.store, name)) is not None
                }
            ),
        }
    )
