"""`padan agreement`: draft agreements, check, read and sign them, on files and offline."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from linkage.cli.agreement_grants import countersign, grant, revoke_grant
from linkage.cli.files import read_file
from linkage.cli.signer import signing_options, signing_with

if TYPE_CHECKING:
    from keys.dsse import Envelope
    from linkage.agreement.finding import Finding
    from linkage.agreement.model import Agreement
    from linkage.agreement.payload import Payload

_PATH = click.Path(path_type=Path)
_LANGUAGE = click.option(
    "--lang",
    "language",
    type=click.Choice(["id", "en"]),
    default="id",
    show_default=True,
    help="Language of texts.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_REASON = click.option("--reason", required=True, help="Why; it stands in the log.")
_OUT = click.option("--out", required=True, type=_PATH, help="Envelope to write (JSON).")


@click.group()
def agreement() -> None:
    """Draft agreements between agencies, check, read and sign them."""


agreement.add_command(grant)
agreement.add_command(revoke_grant)
agreement.add_command(countersign)


@agreement.command()
@click.argument("process", type=click.Choice(["P1", "P2", "P3", "P4", "P5", "P6", "P7"]))
def new(process: Literal["P1", "P2", "P3", "P4", "P5", "P6", "P7"]) -> None:
    """Print the draft of a process (TOML), with the places to fill in marked <ISI: ...>."""
    from linkage.agreement.draft import draft

    click.echo(draft(process), nl=False)


@agreement.command()
@click.argument("path", type=_PATH)
@click.option("--schema", "schema_file", type=_PATH, help="Linkage schema that it must agree with.")
@click.option("--on", "day", type=click.DateTime(["%Y-%m-%d"]), help="As of this day, not today.")
@_LANGUAGE
@_JSON
def check(
    path: Path,
    schema_file: Path | None,
    day: datetime | None,
    language: Literal["id", "en"],
    as_json: bool,
) -> None:
    """Check a draft or an envelope; exit 1 for findings, 2 with every problem of a draft."""
    from linkage.agreement.lint import lint
    from linkage.agreement.usage import day_of
    from linkage.cli import REFUSED

    document, envelope = _load(path)
    findings = lint(document, day.date() if day else day_of(datetime.now(UTC)))
    if schema_file is not None:
        findings += _with_schema(document, schema_file)
    refused = any(finding.refuses for finding in findings)
    if as_json:
        found = [
            {"code": f.code, "where": f.where, "refuses": f.refuses, "text": f.text(language)}
            for f in findings
        ]
        click.echo(json.dumps({**_summary(document, envelope), "findings": found}))
    else:
        for finding in findings:
            kind = "" if finding.refuses else "(warning) "
            click.echo(f"{finding.code:22} {kind}{finding.text(language)}")
        click.echo(_in_words(document, envelope), err=True)
    if refused:
        sys.exit(REFUSED)


@agreement.command()
@click.argument("path", type=_PATH)
@signing_options
@_OUT
@click.option("--digest", help="Refuse to sign anything else than the document of this digest.")
@_JSON
def sign(path: Path, key: Path, setting: str, out: Path, digest: str | None, as_json: bool) -> None:
    """Sign a draft, or add a signature to an envelope; findings are refused before.

    Read it first: `padan agreement show`. With --digest only what was read is signed.
    """
    from linkage.agreement.envelope import add_signature, sign_agreement

    document, envelope = _load(path)
    if digest is not None and digest.lower() != document.digest():
        raise click.UsageError(f"the document has digest {document.digest()}, not the one given")
    _refuse_findings(document)
    with signing_with(key, setting) as signer:
        signed = add_signature(envelope or sign_agreement(document, []), signer)
    _write(out, signed)
    _report(document, signed, out, as_json)


@agreement.command()
@click.argument("path", type=_PATH)
@_LANGUAGE
@_JSON
def show(path: Path, language: Literal["id", "en"], as_json: bool) -> None:
    """Print the text that people read before they sign (Markdown), with the digest on it."""
    from linkage.agreement.render import render

    document, envelope = _load(path)
    if as_json:
        click.echo(json.dumps({**_summary(document, envelope), "agreement": document.to_json()}))
        return
    click.echo(render(document, language), nl=False)
    click.echo(_in_words(document, envelope), err=True)


@agreement.command()
@click.argument("left", type=_PATH)
@click.argument("right", type=_PATH)
@_JSON
def diff(left: Path, right: Path, as_json: bool) -> None:
    """Print what differs between two agreements; exit 0 when they are the same, 1 when not."""
    from linkage.agreement.difference import differences
    from linkage.cli import REFUSED

    (one, _), (other, _) = _load(left), _load(right)
    found = differences(one, other)
    if as_json:
        rows = [{"where": where, "left": old, "right": now} for where, old, now in found]
        click.echo(json.dumps(rows))
    else:
        for where, old, now in found:
            click.echo(f"{where}: {json.dumps(old)} -> {json.dumps(now)}")
    if found:
        sys.exit(REFUSED)
    click.echo(f"the same agreement: {one.digest()}", err=True)


@agreement.command()
@click.argument("path", type=_PATH)
@_OUT
@_JSON
def register(path: Path, out: Path, as_json: bool) -> None:
    """Write the document that registers an agreement, with the signatures that it has so far.

    `padan agent submit` brings it into the log.
    """
    _write_registered(path, out, as_json, amends=False)


@agreement.command()
@click.argument("path", type=_PATH)
@_OUT
@_JSON
def amend(path: Path, out: Path, as_json: bool) -> None:
    """Write the document that registers an amendment: version 2 or later."""
    _write_registered(path, out, as_json, amends=True)


@agreement.command()
@click.argument("path", type=_PATH)
@_REASON
@signing_options
@_OUT
@_JSON
def terminate(path: Path, reason: str, key: Path, setting: str, out: Path, as_json: bool) -> None:
    """Sign the end of an agreement, for ever; one party is enough."""
    from linkage.agreement.payload import Termination

    document, _ = _load(path)
    _write_payload(Termination, document, out, key, setting, reason=reason)
    if as_json:
        click.echo(json.dumps({"agreement": document.id, "reason": reason, "out": str(out)}))
    else:
        click.echo(f"{out}: the end of {document.id}, once it is in the log", err=True)


@agreement.command()
@click.argument("path", type=_PATH)
@_REASON
@click.option(
    "--serial",
    default=1,
    show_default=True,
    help="Number of stops and resumptions before, plus one.",
)
@click.option("--resume", is_flag=True, help="Go on again: all parties and who stopped it sign.")
@signing_options
@_OUT
@_JSON
def stop(
    path: Path,
    reason: str,
    serial: int,
    resume: bool,
    key: Path,
    setting: str,
    out: Path,
    as_json: bool,
) -> None:
    """Sign the emergency stop of an agreement; one party or auditor is enough.

    Others add their signatures with `padan agreement countersign`.
    """
    from linkage.agreement.payload import Stop

    document, _ = _load(path)
    _write_payload(
        Stop, document, out, key, setting, reason=reason, serial=serial, stopped=not resume
    )
    if as_json:
        shown = {"agreement": document.id, "stopped": not resume, "serial": serial}
        click.echo(json.dumps({**shown, "out": str(out)}))
    else:
        word = "goes on" if resume else "is stopped"
        click.echo(f"{out}: {document.id} {word}, once it is in the log", err=True)


@agreement.command()
@click.argument("path", type=_PATH)
@_REASON
@click.option(
    "--serial",
    default=1,
    show_default=True,
    help="Holds and their ends so far, plus one.",
)
@click.option("--release", is_flag=True, help="End it: everybody who signed the hold signs.")
@signing_options
@_OUT
@_JSON
def hold(
    path: Path,
    reason: str,
    serial: int,
    release: bool,
    key: Path,
    setting: str,
    out: Path,
    as_json: bool,
) -> None:
    """Sign a legal hold: nothing that is kept under an agreement is destroyed until it ends.

    Two of its parties and auditors sign; the second with `padan agreement countersign`.
    """
    from linkage.agreement.payload import Hold

    document, _ = _load(path)
    _write_payload(
        Hold, document, out, key, setting, reason=reason, serial=serial, held=not release
    )
    if as_json:
        shown = {"agreement": document.id, "held": not release, "serial": serial}
        click.echo(json.dumps({**shown, "out": str(out)}))
    else:
        word = "is held no more" if release else "is held"
        click.echo(f"{out}: {document.id} {word}, once it is in the log", err=True)


def load_agreement(path: Path) -> "Agreement":
    """Return the agreement in a TOML draft or in an envelope.

    Raises:
        ConfigError: the file cannot be read, or has neither.
    """
    return _load(path)[0]


def load_envelope(path: Path) -> "Envelope":
    """Return the envelope in a file; its signatures are not checked here.

    Raises:
        ConfigError: the file cannot be read, or has none.
    """
    from keys.dsse import parse_envelope
    from keys.errors import KeysError
    from linkage.errors import ConfigError

    try:
        return parse_envelope(read_file(path))
    except KeysError as error:
        raise ConfigError(str(path), [str(error)]) from error


def _load(path: Path) -> "tuple[Agreement, Envelope | None]":
    """Return the agreement in a TOML draft or in an envelope, and the envelope."""
    from keys.dsse import parse_envelope
    from keys.errors import KeysError
    from linkage.agreement.envelope import agreement_in
    from linkage.agreement.model import parse_draft
    from linkage.errors import ConfigError, MalformedMessageError

    content = read_file(path)
    try:
        if not content.startswith(b"{"):
            return parse_draft(content.decode(), str(path)), None
        envelope = parse_envelope(content)
        return agreement_in(envelope), envelope
    except (UnicodeDecodeError, KeysError, MalformedMessageError) as error:
        raise ConfigError(str(path), [f"neither a draft nor an envelope: {error}"]) from error


def _refuse_findings(document: "Agreement") -> None:
    from linkage.agreement.lint import lint
    from linkage.agreement.usage import day_of
    from linkage.errors import DeniedError

    refusing = [one for one in lint(document, day_of(datetime.now(UTC))) if one.refuses]
    if refusing:
        text = f"{refusing[0].text()} 'padan agreement check' shows all {len(refusing)}"
        raise DeniedError(refusing[0].code, text, [one.code for one in refusing])


def _write_registered(path: Path, out: Path, as_json: bool, *, amends: bool) -> None:
    from linkage.agreement.envelope import signed_by

    document, envelope = _load(path)
    if envelope is None or not signed_by(document, envelope):
        raise click.UsageError(f"{path}: no party has signed it: run 'padan agreement sign' first")
    if (document.version > 1) != amends:
        word = "amend" if document.version > 1 else "register"
        raise click.UsageError(f"version {document.version}: use 'padan agreement {word}'")
    _write(out, envelope)
    _report(document, envelope, out, as_json)


def _write_payload(
    kind: "type[Payload]", document: "Agreement", out: Path, key: Path, setting: str, **own: Any
) -> None:
    """Sign and write a document about an agreement; raises as `payload_of`."""
    from keys.dsse import sign as signed

    fields: dict[str, Any] = {"log": document.log, "agreement": document.id, **own}
    payload = payload_of(kind, **fields, digest=document.digest())
    with signing_with(key, setting) as signer:
        _write(out, signed(kind.TYPE, payload.to_bytes(), [signer]))


def payload_of(kind: "type[Payload]", **fields: Any) -> "Payload":
    """Return a payload with some fields.

    Raises:
        ConfigError: with every field that is refused.
    """
    from pydantic import ValidationError

    from linkage.agreement.model import problems_of
    from linkage.errors import ConfigError

    try:
        return kind(**fields)
    except ValidationError as error:
        raise ConfigError("document", problems_of(error)) from error


def _with_schema(document: "Agreement", schema_file: Path) -> "list[Finding]":
    from linkage.agent.config import load_schema
    from linkage.agreement.lint import lint_schema
    from linkage.encode.encoder import resolve_schema, schema_id

    loaded = load_schema(schema_file)
    return lint_schema(document, schema_id(loaded), resolve_schema(loaded))


def _summary(document: "Agreement", envelope: "Envelope | None") -> dict[str, Any]:
    from keys.words import words_of
    from linkage.agreement.envelope import signed_by

    signed = [party.id for party in signed_by(document, envelope)] if envelope else []
    return {
        "id": document.id,
        "version": document.version,
        "digest": document.digest(),
        "words": words_of(bytes.fromhex(document.digest())),
        "signed": signed,
        "missing": [party.id for party in document.parties if party.id not in signed],
    }


def _in_words(document: "Agreement", envelope: "Envelope | None") -> str:
    summary = _summary(document, envelope)
    signed, missing = (", ".join(summary[name]) or "nobody" for name in ("signed", "missing"))
    return (
        f"{document.id} version {document.version}\ndigest   {summary['digest']}\n"
        f"in words {summary['words']}\nsigned by {signed}; missing {missing}"
    )


def _report(document: "Agreement", envelope: "Envelope", out: Path, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**_summary(document, envelope), "out": str(out)}))
    else:
        click.echo(f"{out}: {_in_words(document, envelope)}", err=True)


def _write(path: Path, envelope: "Envelope") -> None:
    """Write an envelope over an older one, which may have the signatures of others."""
    from linkage.errors import ConfigError

    new = path.with_name(f".{path.name}.new")
    try:
        new.write_bytes(envelope.to_bytes())
        new.replace(path)
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be written: {error.strerror}"]) from error
