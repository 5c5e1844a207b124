"""`padan enrol`: signed documents about who takes part, and with which keys."""

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from linkage.cli.signer import signing_options, signing_with
from linkage.cli.times import parse_time
from linkage.log.vkey import COSIGNATURE_ED25519, COSIGNATURE_ML_DSA_44

if TYPE_CHECKING:
    from keys.dsse import Ed25519Signer, Envelope
    from linkage.agreement.payload import Payload

P = TypeVar("P", bound="Payload")

_FILE = click.Path(path_type=Path)
_LOG = click.option("--log", "origin", required=True, help="Origin of the match log.")
_OUT = click.option("--out", required=True, type=_FILE, help="Document to write.")
_PRINCIPAL = click.option(
    "--principal", required=True, help="spiffe://DOMAIN/party/NAME, .../office/PARTY/NAME, ..."
)
_CERTIFICATES = click.option(
    "--certificate", "certificates", multiple=True, type=_FILE,
    help="Certificate (PEM) that it shows; only its public key is taken.",
)  # fmt: skip
_SEAL = click.option("--seal-key", help="Base64 that `padan keys new seal` printed.")
_WITNESS = click.option("--witness-key", help="Base64 that `padan keys new witness` printed.")
_WITNESS_ML_DSA = click.option(
    "--witness-ml-dsa-key", help="Base64 that `padan keys new witness-ml-dsa-44` printed."
)


@click.group()
def enrol() -> None:
    """Enrol parties, offices and auditors in the match log; renew and revoke their keys.

    Each command writes a signed document. Administrators of the log sign for parties and
    auditors, a party for its offices (`padan enrol sign`); then `padan matcher submit` or
    `padan agent submit` brings it into the log.
    """


@enrol.command()
@_LOG
@_PRINCIPAL
@_CERTIFICATES
@_SEAL
@_WITNESS
@_WITNESS_ML_DSA
@signing_options
@_OUT
def new(
    origin: str,
    principal: str,
    certificates: tuple[Path, ...],
    seal_key: str | None,
    witness_key: str | None,
    witness_ml_dsa_key: str | None,
    key: Path,
    setting: str,
    out: Path,
) -> None:
    """Write the enrolment of a principal that signs for itself; its own key signs it."""
    from linkage.agreement.payload import Enrolment

    problems = _problems_of_new(out)
    payload = _checked(
        Enrolment,
        problems,
        log=origin,
        principal=principal,
        tls_keys=_digests(certificates, principal, problems),
        seal_key=seal_key,
        witness_key=_vkey(witness_key, principal),
        witness_ml_dsa_key=_vkey(witness_ml_dsa_key, principal, COSIGNATURE_ML_DSA_44),
    )
    with signing_with(key, setting) as signer:
        _write(payload.model_copy(update={"sign_key": _base64(signer.public)}), out, signer)


@enrol.command()
@_LOG
@_PRINCIPAL
@click.option("--list", "path", required=True, type=_FILE, help="CSV: office, certificate, ...")
@click.option("--folder", required=True, type=_FILE, help="Folder for the documents.")
@signing_options
def offices(origin: str, principal: str, path: Path, folder: Path, key: Path, setting: str) -> None:
    """Write the enrolments of many offices of a party; the party's key signs them.

    The list has the columns `office` and `certificate` (a path, counted from the list), and
    may have `seal_key`, `sign_key` (each as `padan keys new` printed it), and all of
    `records_per_day`, `jobs_per_day`, `lookups_per_day`. An office with a signing key, without
    which it looks nothing up, adds its own signature: `padan enrol sign`. Nothing is written
    before the whole list is right.
    """
    from linkage.agreement.payload import Enrolment
    from linkage.cli.office_list import quota_in, read_offices, uri_of_office
    from linkage.errors import ConfigError

    problems, documents, owners = list[str](), dict[Path, Enrolment](), dict[str, str]()
    for number, row in enumerate(read_offices(path), 2):
        office, out = row["office"], folder / f"{row['office']}.json"
        uri, wrong = uri_of_office(principal, office), _problems_of_new(out)
        digests = _digests((path.parent / row["certificate"],), uri, wrong)
        wrong += [f"has the key of {owners[one]}" for one in digests if one in owners]
        if out in documents:
            wrong.append("is listed twice")
        try:
            documents[out] = _checked(
                Enrolment,
                wrong,
                log=origin,
                principal=uri,
                tls_keys=digests,
                seal_key=row.get("seal_key") or None,
                sign_key=row.get("sign_key") or None,
                quota=quota_in(row, wrong),
            )
        except ConfigError as error:
            problems.append(f"line {number}, office {office!r}: {'; '.join(error.problems)}")
        owners.update(dict.fromkeys(digests, office))
    if problems:
        raise ConfigError(str(path), problems)
    with signing_with(key, setting) as signer:
        folder.mkdir(parents=True, exist_ok=True)
        for out, document in documents.items():
            _write(document, out, signer)


@enrol.command()
@_LOG
@_PRINCIPAL
@click.option("--serial", required=True, type=int, help="Number of changes before, plus one.")
@_CERTIFICATES
@_SEAL
@_WITNESS
@_WITNESS_ML_DSA
@click.option("--new-key", type=_FILE, help="Keystore file of a new signing key, same provider.")
@click.option(
    "--old-until",
    required=True,
    callback=parse_time,
    help="The old ones count until then; in UTC if no zone is given.",
)
@signing_options
@_OUT
def rotate(
    origin: str,
    principal: str,
    serial: int,
    certificates: tuple[Path, ...],
    seal_key: str | None,
    witness_key: str | None,
    witness_ml_dsa_key: str | None,
    new_key: Path | None,
    old_until: datetime,
    key: Path,
    setting: str,
    out: Path,
) -> None:
    """Write new keys of a principal, which count beside the old ones until a time."""
    from keys.door import open_provider
    from linkage.agreement.payload import KeyRotation

    problems = _problems_of_new(out)
    if not (certificates or seal_key or witness_key or witness_ml_dsa_key or new_key):
        problems.append(
            "names no new key: give --certificate, --seal-key, --witness-key, "
            "--witness-ml-dsa-key or --new-key"
        )
    payload = _checked(
        KeyRotation,
        problems,
        log=origin,
        principal=principal,
        serial=serial,
        tls_keys=_digests(certificates, principal, problems),
        seal_key=seal_key,
        witness_key=_vkey(witness_key, principal),
        witness_ml_dsa_key=_vkey(witness_ml_dsa_key, principal, COSIGNATURE_ML_DSA_44),
        old_until=old_until,
    )
    # One provider for both keys: a passphrase is asked for, or read, once.
    provider = open_provider(setting)
    with ExitStack() as stack:
        signers = [
            stack.enter_context(signing_with(one, provider)) for one in (key, new_key) if one
        ]
        if new_key is not None:
            payload = payload.model_copy(update={"sign_key": _base64(signers[-1].public)})
        _write(payload, out, *signers)


@enrol.command()
@_LOG
@_PRINCIPAL
@click.option("--serial", required=True, type=int, help="Number of changes before, plus one.")
@click.option("--revoked", multiple=True, help="SHA-256 of a key; none for the whole principal.")
@click.option(
    "--reason", required=True, type=click.Choice(["compromised", "superseded", "left", "error"])
)
@signing_options
@_OUT
def revoke(
    origin: str,
    principal: str,
    serial: int,
    revoked: tuple[str, ...],
    reason: str,
    key: Path,
    setting: str,
    out: Path,
) -> None:
    """Write the revocation of keys, or of a principal as a whole, at once and for ever."""
    from linkage.agreement.payload import KeyRevocation

    payload = _checked(
        KeyRevocation,
        _problems_of_new(out),
        log=origin,
        principal=principal,
        serial=serial,
        keys=revoked,
        reason=reason,
    )
    with signing_with(key, setting) as signer:
        _write(payload, out, signer)


@enrol.command()
@click.argument("paths", nargs=-1, required=True, type=_FILE)
@signing_options
def sign(paths: tuple[Path, ...], key: Path, setting: str) -> None:
    """Add a signature to documents: an administrator's, or a party's for its offices."""
    from keys.files import replace_file

    envelopes = _read(paths)
    with signing_with(key, setting) as signer:
        for path, envelope in zip(paths, envelopes, strict=True):
            replace_file(path, envelope.with_signature(signer).to_bytes())
            click.echo(f"{path}: signed with {signer.key_id[:16]}", err=True)


@enrol.command()
@click.argument("path", type=_FILE)
def show(path: Path) -> None:
    """Show what a document says, and which keys signed it; the signatures are not checked."""
    (envelope,) = _read((path,))
    shown = {
        "type": envelope.payload_type,
        "document": json.loads(envelope.payload),
        "signed_by": [key_id for key_id, _ in envelope.signatures],
    }
    click.echo(json.dumps(shown, indent=2))


def _checked(kind: type[P], problems: Sequence[str], **fields: Any) -> P:
    """Return a payload.

    Args:
        kind: its class.
        problems: what was found wrong before.
        fields: of the payload.

    Raises:
        ConfigError: with these problems, and every field that is refused.
    """
    from pydantic import ValidationError

    from linkage.errors import ConfigError
    from linkage.schema import problems_of

    try:
        payload = kind(**fields)
    except ValidationError as error:
        raise ConfigError("document", [*problems, *problems_of(error)]) from error
    if problems:
        raise ConfigError("document", problems)
    return payload


def _vkey(public: str | None, principal: str, algorithm: int = COSIGNATURE_ED25519) -> str | None:
    """Return the verifier key of a witness, by the name under which its agent cosigns.

    What is no key is returned as it is, to be refused with all other fields.
    """
    from linkage.agreement.values import path_of
    from linkage.errors import LinkageError
    from linkage.log.canonical import decode_base64
    from linkage.log.vkey import VerifierKey, format_vkey

    if public is None:
        return None
    try:
        raw = decode_base64(public)
        return format_vkey(VerifierKey(path_of(principal), algorithm, raw))
    except LinkageError:
        return public


def _problems_of_new(out: Path) -> list[str]:
    return [f"{out}: exists; a document is never overwritten"] if os.path.lexists(out) else []


def _write(payload: "Payload", out: Path, *signers: "Ed25519Signer") -> None:
    from keys.dsse import sign as signed
    from keys.files import write_new_file

    write_new_file(out, signed(payload.TYPE, payload.to_bytes(), signers).to_bytes())
    click.echo(f"{out}: {payload.TYPE.partition('.')[2]}", err=True)


def _read(paths: Sequence[Path]) -> list["Envelope"]:
    """Return documents of enrolment; nobody signs another kind by the way.

    Raises:
        ConfigError: naming every file that holds none.
    """
    from keys.dsse import parse_envelope
    from keys.errors import KeysError
    from linkage.agreement.payload import Enrolment, KeyRevocation, KeyRotation, parse_payload
    from linkage.errors import ConfigError, MalformedMessageError

    kinds: dict[str, type[Payload]]
    kinds = {kind.TYPE: kind for kind in (Enrolment, KeyRotation, KeyRevocation)}
    envelopes, problems = [], []
    for path in paths:
        try:
            envelope = parse_envelope(path.read_bytes())
            if envelope.payload_type not in kinds:
                raise MalformedMessageError("not an enrolment, nor a change of keys")
            parse_payload(kinds[envelope.payload_type], envelope)
            envelopes.append(envelope)
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
        except (KeysError, MalformedMessageError) as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise ConfigError("documents", problems)
    return envelopes


def _digests(certificates: Sequence[Path], principal: str, problems: list[str]) -> tuple[str, ...]:
    """Return the names of the keys of certificates that name a principal; else add a problem."""
    from keys.errors import KeysError
    from keys.identity import identity_in, key_digest

    digests = []
    for path in certificates:
        try:
            content = path.read_bytes()
            if (named := identity_in(content).uri) != principal:
                problems.append(f"{path}: names {named}, not {principal}")
            digests.append(key_digest(content))
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
        except KeysError as error:
            problems.append(f"{path}: {error}")
    return tuple(digests)


def _base64(data: bytes) -> str:
    from linkage.log.canonical import encode_base64

    return encode_base64(data)
