"""`padan keys recovery`: the ceremony in which officers get, and bring back, shares of a key."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click

from linkage.cli.signer import signing_options, signing_with

if TYPE_CHECKING:
    from keys.dsse import Envelope

_PATH = click.Path(path_type=Path)
_TRANSCRIPT_TYPE = "application/vnd.padan.recovery+json"
_MAX_SHARE_FILE_BYTES = 2048
_ASK = "share {} (an empty line: that was all)"


@click.group()
def recovery() -> None:
    """Share out the key that opens a keystore among officers, and put it together again.

    Only ever the key-encryption key of one agency; a linkage key is not recovered but
    replaced (`padan keys loss`). Run it offline, on a machine without other users.
    """


@recovery.command()
@click.option(
    "--key-file", required=True, type=_PATH, help="The key-encryption key: 32 bytes in a file."
)
@click.option("--opens", required=True, type=_PATH, help="A keystore file that it opens, as proof.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    default=("3of5",),
    show_default=True,
    help="Shares needed and made, such as 3of5; once for each group.",
)
@click.option("--groups-needed", default=1, show_default=True, help="How many of the groups.")
@click.option(
    "--holder", "holders", multiple=True, help="Office of a holder; once for each share, in order."
)
@click.option("--out", type=_PATH, help="New folder for one file a share; else the terminal.")
@click.option("--transcript", type=_PATH, help="File for the transcript that the officers sign.")
@click.option("--dry-run", is_flag=True, help="Rehearse, with a key that is drawn and forgotten.")
def split(
    key_file: Path,
    opens: Path,
    groups: tuple[str, ...],
    groups_needed: int,
    holders: tuple[str, ...],
    out: Path | None,
    transcript: Path | None,
    dry_run: bool,
) -> None:
    """Make the shares of a key-encryption key.

    Shares of an earlier splitting go on giving the same key: collect and destroy them, or
    rewrap the keystore under a new key first.
    """
    from keys.dsse import sign
    from keys.files import write_new_file
    from keys.process import shield_process
    from keys.recovery import (
        Plan,
        format_transcript,
        named_shares,
        parse_group,
        read_splittable_key,
        split_key,
    )

    plan = Plan(tuple(map(parse_group, groups)), groups_needed)
    n_shares = sum(group.shares for group in plan.groups)
    if holders and len(holders) != n_shares:
        raise click.UsageError(f"{len(holders)} holders for {n_shares} shares: name one for each")
    if out is None and not dry_run:
        _require_terminal()
    shield_process()
    key = read_splittable_key(key_file, opens)
    try:
        if dry_run:
            key[:] = os.urandom(len(key))
        shares = split_key(key, plan)
        time = datetime.now(UTC).isoformat(timespec="seconds")
        record = format_transcript(plan, shares, holders, key, time, dry_run)
    finally:
        key[:] = bytes(len(key))
    if out is not None:
        out.mkdir(mode=0o700)
        for place, share in named_shares(shares):
            write_new_file(out / f"share-{place}.txt", f"{share}\n".encode())
        click.echo(
            f"{out}: {n_shares} shares: hand each file to its holder, then delete it", err=True
        )
    elif not dry_run:
        _show_one_by_one(named_shares(shares))
    if dry_run:
        click.echo("dry run: these shares are of a key that opens nothing", err=True)
    envelope = sign(_TRANSCRIPT_TYPE, record, [])
    if transcript is not None:
        write_new_file(transcript, envelope.to_bytes())
    _print_transcript(envelope)


@recovery.command()
@click.option("--share", "files", multiple=True, type=_PATH, help="File of a share; else typed.")
@click.option("--opens", required=True, type=_PATH, help="A keystore file that the key must open.")
@click.option("--out", required=True, type=_PATH, help="File to write the key-encryption key to.")
def join(files: tuple[Path, ...], opens: Path, out: Path) -> None:
    """Put a key-encryption key together again; it is kept only if it opens the keystore."""
    from keys.errors import KeysError
    from keys.files import write_new_file
    from keys.process import shield_process
    from keys.providers import FileProvider
    from keys.recovery import join_shares, key_fingerprint, verify_opens

    shield_process()
    if os.path.lexists(out):
        raise KeysError(f"{out}: exists; a key file is never overwritten")
    if not files:
        _require_terminal()
    key = join_shares([_share_in(path) for path in files] if files else _ask_for_shares())
    try:
        write_new_file(out, key)
        fingerprint = key_fingerprint(key)
    finally:
        key[:] = bytes(len(key))
    try:
        verify_opens(FileProvider(out), opens)
    except KeysError:
        out.unlink()
        raise
    click.echo(f"{out}: key {fingerprint}; it opens {opens}", err=True)


@recovery.command("sign")
@click.argument("transcript", type=_PATH)
@signing_options
@click.option("--share", "share_file", type=_PATH, help="The own share: it must be one of these.")
def sign_transcript(transcript: Path, key: Path, setting: str, share_file: Path | None) -> None:
    """Sign the transcript of a splitting; every officer does, with a key of their own."""
    from keys.dsse import parse_envelope
    from keys.errors import KeysError
    from keys.files import replace_file
    from keys.process import shield_process
    from keys.recovery import share_digest

    envelope = parse_envelope(transcript.read_bytes())
    if envelope.payload_type != _TRANSCRIPT_TYPE:
        raise KeysError(f"{transcript}: no transcript of a splitting")
    shield_process()
    if share_file is not None:
        digest = share_digest(_share_in(share_file))
        if digest not in [one["sha256"] for one in json.loads(envelope.payload)["shares"]]:
            raise KeysError(f"{share_file}: not a share of this transcript: do not sign it")
    with signing_with(key, setting) as signer:
        signed = envelope.with_signature(signer)
    replace_file(transcript, signed.to_bytes())
    _print_transcript(signed)


def _print_transcript(envelope: "Envelope") -> None:
    signers = [key_id for key_id, _ in envelope.signatures]
    digest = sha256(envelope.payload).hexdigest()
    click.echo(json.dumps({**json.loads(envelope.payload), "digest": digest, "signed": signers}))


def _share_in(path: Path) -> str:
    from keys.errors import KeysError
    from keys.files import read_private_file

    try:
        return read_private_file(path, _MAX_SHARE_FILE_BYTES).decode("ascii")
    except UnicodeDecodeError:
        raise KeysError(f"{path}: not a share: one is a line of English words") from None


def _require_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("words go to a terminal, or one file a share: name --out or --share")


def _show_one_by_one(shares: Sequence[tuple[str, str]]) -> None:
    for place, share in shares:
        _wait_for_enter(f"share {place}: only its holder looks at the screen; press Enter")
        click.echo(f"\n{share}\n")
        _wait_for_enter("written down, and read back word by word? press Enter")
        click.clear()


def _wait_for_enter(text: str) -> None:
    click.prompt(text, default="", show_default=False, prompt_suffix=" ", err=True)


def _ask_for_shares() -> list[str]:
    from keys.errors import KeysError
    from keys.recovery import verify_share

    shares: list[str] = []
    while words := str(click.prompt(_ASK.format(len(shares) + 1), default="", show_default=False)):
        click.clear()
        try:
            verify_share(words)
        except KeysError as error:
            click.echo(f"{error}: type it again", err=True)
        else:
            shares.append(words)
    return shares
