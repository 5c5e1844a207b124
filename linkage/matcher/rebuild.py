"""A matcher made again from copies of its log, after its data were lost or restored.

Signing on from an older state would be a fork; the log goes on from the last checkpoint that
anybody has instead. From the copies come all entries, the bodies that somebody may read, and with
them what was used of agreements and which jobs there were. What only the matcher had does not come
back: results that nobody fetched, uploads, registers for lookups, running jobs. Those end by name.

Nothing is overwritten: new data are made beside the old ones, which are kept under another name.
Nothing is signed here, either; the matcher does that when it starts.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from keys.dsse import envelope_in
from keys.errors import KeysError
from keys.identity import parse_identity
from linkage.agreement.denial import DENIALS, outward
from linkage.agreement.request import parse_request, request_digest
from linkage.agreement.state import State
from linkage.errors import (
    CheckpointError,
    ConfigError,
    InputError,
    MalformedMessageError,
    SignatureError,
)
from linkage.job import Job, JobSpec, JobState
from linkage.log.bundle import CHECKPOINT
from linkage.log.canonical import JsonObject
from linkage.log.entry import Entry
from linkage.matcher.config import MatcherConfig
from linkage.matcher.copies import Copies, Head
from linkage.matcher.head_record import HeadRecord
from linkage.matcher.jobs import MATCHER
from linkage.matcher.journal import Clock, Journal, time_of
from linkage.matcher.lock import locked
from linkage.matcher.log_keys import open_log_signers
from linkage.matcher.match_log import MatchLog
from linkage.matcher.offline import check_genesis
from linkage.matcher.opened import DATABASE, empty_metadata
from linkage.store.log_files import Disk, LogFiles
from linkage.store.metadata import Metadata, NewEntry, RequestRow, Transaction
from linkage.store.registers import LookupRow, LookupRows
from linkage.store.salvage import salvage_bodies, salvage_cosigned

CODE = "MATCHER_REBUILT"
_REASON = "the matcher was made again from copies of its log: ask for the job again"
# What is no part of the log and serves again, if it is still there.
_CARRIED = ("artefacts", "pair-keys")
# What parties do again without a word.
_CARRIED_QUIETLY = ("cosigned",)
# Families and types of leaves that belong to a job where they name one.
_OF_JOBS = frozenset({"job", "gate", "batch", "refine", "result", "release"})
_ENDS = {f"job.{state.value}": state for state in JobState if state.final}


@dataclass(frozen=True)
class Rebuilt:
    """What was made.

    Attributes:
        size: entries that came from the copies.
        root: the root over them, in hexadecimal.
        jobs: how many jobs are known again.
        ended: those that ran, and were ended.
        missing: bodies that no copy has, by agreement.
        kept: where the old data are; None where there were none.
        lost: what the old data lacked, of what would have served again.
    """

    size: int
    root: str
    jobs: int
    ended: tuple[str, ...]
    missing: Mapping[str, int]
    kept: Path | None
    lost: tuple[str, ...]


@dataclass
class _Known:
    """What the log says of one job."""

    job: Job
    request: RequestRow
    result_leaf: int | None = None


def rebuild(
    config: MatcherConfig,
    folders: Sequence[Path],
    *,
    seen: Mapping[str, bytes] | None = None,
    all_asked: bool = False,
    without_bodies: bool = False,
    clock: Clock = time.time,
) -> Rebuilt:
    """Make the data of a matcher again, which does not run.

    Args:
        config: its settings.
        folders: copies of its log.
        seen: checkpoints that others have, by where they are.
        all_asked: whether every party and auditor was asked for its copy.
        without_bodies: whether to go on though some bodies are in no copy.
        clock: the matcher's clock.

    Raises:
        ConfigError: the matcher runs, a folder is no copy, or its PostgreSQL database is not empty.
        KeystoreError: the log's signing key cannot be opened.
        VerificationError: a copy is forged, forked or damaged, or older than what was signed.
        InputError: bodies are missing.
    """
    signers = open_log_signers(config.log)
    with ExitStack() as stack:
        if config.data.exists():
            stack.enter_context(locked(config.data / "lock"))
        copies = Copies(folders, [signer.key for signer in signers])
        check_genesis(config, copies.leaves[0])
        copies.check([copies.seen(where, note) for where, note in (seen or {}).items()])
        record = HeadRecord(config.log.signing_key)
        copies.check(_remembered(config, copies, record, all_asked=all_asked), all_asked=all_asked)
        copies.add_bodies(salvage_bodies(config.data / DATABASE))
        cosigned = salvage_cosigned(config.data / DATABASE)
        missing = copies.missing()
        if missing and not without_bodies:
            raise _incomplete(missing)
        new = stack.enter_context(_new_folder(config.data))
        with empty_metadata(config, new) as metadata:
            known = _fill(metadata, copies, cosigned, Journal(clock), missing)
            files = LogFiles(new / "log")
            files.write_checkpoint(copies.note)
            MatchLog(metadata, files, signers, config.log.origin).recover()
        kept = _take_place(config.data, new, clock)
    record.replace(copies.head.size, copies.head.root)
    lost = tuple(name for name in _CARRIED if not (config.data / name).exists())
    ended = tuple(name for name, one in known.items() if one.job.reason_code == CODE)
    return Rebuilt(
        copies.head.size, copies.head.root.hex(), len(known), ended, dict(missing), kept, lost
    )


@contextmanager
def _new_folder(data: Path) -> Iterator[Path]:
    """Make a folder beside the data, which is gone at the end if it has not taken their place."""
    new = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
    try:
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _incomplete(missing: Mapping[str, int]) -> InputError:
    of_each = ", ".join(f"{name or 'no agreement'}: {n}" for name, n in sorted(missing.items()))
    return InputError(
        f"{sum(missing.values())} bodies of confidential leaves are in no copy ({of_each}): give "
        "the copies of all parties, or an auditor's bundle; --without-bodies goes on without "
        "them, and counts less than was used"
    )


def _remembered(
    config: MatcherConfig, copies: Copies, record: HeadRecord, *, all_asked: bool
) -> Iterator[Head]:
    """Yield the heads that the matcher itself still remembers.

    Raises:
        CheckpointError: one cannot be read, and not all were asked what they have seen.
    """
    path = config.data / "log" / CHECKPOINT

    def recorded() -> Head | None:
        head = record.read()
        return None if head is None else Head("the record beside the signing key", *head, own=True)

    def published() -> Head | None:
        if not path.exists():
            return None
        return replace(copies.seen(str(path), path.read_bytes()), own=True)

    # Each for itself: what one cannot tell any more, the other still may.
    for remembered in (recorded, published):
        try:
            head = remembered()
        except (CheckpointError, SignatureError) as error:
            if not all_asked:
                raise CheckpointError(
                    f"what this matcher signed last cannot be read ({error}): ask every party and "
                    "auditor for a copy, give the newest, and say so by --all-asked"
                ) from error
            continue
        if head is not None:
            yield head


def _fill(
    metadata: Metadata,
    copies: Copies,
    cosigned: Mapping[str, bytes],
    journal: Journal,
    missing: Mapping[str, int],
) -> dict[str, _Known]:
    """Write entries and jobs into a new database, end what ran, and say so in the log."""
    jobs: dict[str, _Known] = {}
    state = State()
    with metadata.write() as transaction:
        for index, entry, body in copies.opened():
            state = state.after(index, entry, body)
            name = _text(body, "job") if body is not None and _is_of_job(entry) else None
            opening, content = copies.bodies.get(index, (None, None))
            new = NewEntry(copies.leaves[index], entry.agreement, name, opening, content)
            transaction.append(new)
            if body is not None and name is not None:
                _follow(jobs, state, index, entry, name, body)
            elif body is not None and entry.type == "lookup.minute":
                _count_on(transaction, index, entry, body)
        for name, one in jobs.items():
            if not one.job.state.final:
                one.job = replace(one.job, state=JobState.FAILED, reason_code=CODE, reason=_REASON)
                body = {"job": name, "code": CODE}
                agreement = one.job.spec.agreement_id
                journal.record(transaction, "job.failed", MATCHER, agreement, body, (), name)
            transaction.add_job(one.job, one.request)
            if one.result_leaf is not None:
                transaction.set_result_leaf(name, one.result_leaf)
            note = cosigned.get(name) if one.job.state is JobState.RELEASED else None
            if note is not None and _belongs(copies, note):
                transaction.set_cosigned(name, note)
        said: JsonObject = {
            "size": copies.head.size,
            "root": copies.head.root.hex(),
            "missing_bodies": sum(missing.values()),
        }
        journal.record(transaction, "admin.rebuild", MATCHER, None, said)
    metadata.save_signed_head(copies.head.size, copies.head.root)
    return jobs


def _is_of_job(entry: Entry) -> bool:
    """Return whether a leaf's body is for the parties of a job; others may name one, too."""
    return entry.type.partition(".")[0] in _OF_JOBS


def _follow(
    jobs: dict[str, _Known], state: State, index: int, entry: Entry, name: str, body: JsonObject
) -> None:
    """Move a job on by one leaf of it."""
    if entry.type == "job.request":
        made = _requested(state, entry, name, body)
        if made is not None:
            jobs.setdefault(name, made)
        return
    one = jobs.get(name)
    if one is None:
        return
    code = _text(body, "code") or ""
    if entry.type == "job.authorise":
        one.job = replace(one.job, state=JobState.COLLECTING)
    elif entry.type == "job.deny":
        told = outward(code) if code in DENIALS else (code, "")
        one.job = replace(one.job, state=JobState.DENIED, reason_code=told[0], reason=told[1])
    elif entry.type in _ENDS:
        one.job = replace(one.job, state=_ENDS[entry.type], reason_code=code)
    elif entry.type == "result":
        one.result_leaf = index
    elif entry.type == "release":
        one.job = replace(one.job, state=JobState.RELEASED)


def _requested(state: State, entry: Entry, name: str, body: JsonObject) -> _Known | None:
    """Return the job that a request made; None of a form that this version does not know."""
    try:
        spec = JobSpec.from_json(cast("Mapping[str, Any]", body.get("spec")))
        envelope = envelope_in(body.get("request"))
        uri = state.principals.by_path[entry.actor]
        request_id = parse_request(envelope).id
    except (MalformedMessageError, KeysError, KeyError):
        return None
    asked, who = int(entry.time.timestamp()), parse_identity(uri)
    job = Job(
        job_id=name,
        requester=who.party,
        spec=spec,
        state=JobState.REQUESTED,
        requested_at=asked,
        collect_until=asked + spec.collect_timeout_s,
        office=who.office,
    )
    key = _text(body, "key") or ""
    return _Known(job, RequestRow(request_id, request_digest(envelope), uri, key))


def _count_on(transaction: Transaction, index: int, entry: Entry, body: JsonObject) -> None:
    """Let the numbers of answers go on after those that the log has."""
    minute, counts = body.get("minute"), body.get("counts")
    if entry.agreement is None or not isinstance(minute, int) or not isinstance(counts, list):
        return
    table = LookupRows(transaction.connection)
    for one in counts:
        match one:
            case {
                "grant": str(grant),
                "caller": str(caller),
                "register": str(register),
                "answered": int(answered),
                "last": int(last),
            }:
                row = LookupRow(entry.agreement, minute // 60, caller, register, grant)
                table.count(replace(row, answered=answered, sequence=last))
                table.set_logged(row, index)
            case _:  # of a form that this version does not know
                pass


def _belongs(copies: Copies, note: bytes) -> bool:
    try:
        head = copies.seen("", note)
    except (SignatureError, CheckpointError):
        return False
    return copies.root_at(head.size) == head.root


def _take_place(data: Path, new: Path, clock: Clock) -> Path | None:
    """Put new data where the old ones were, which keep a name of their own."""
    kept = None
    if data.exists():
        kept = data.with_name(f"{data.name}.before-{time_of(clock):%Y%m%dT%H%M%SZ}")
        if kept.exists():
            raise ConfigError(str(kept), ["is there already: move it away"])
        for name in (*_CARRIED, *_CARRIED_QUIETLY):
            if (data / name).exists():
                shutil.copytree(data / name, new / name, copy_function=_link)
        data.rename(kept)
    new.rename(data)
    Disk().sync_directory(data.parent)
    return kept


def _link(source: str, target: str) -> None:
    # Neither is ever changed in place, and an artefact may be as large as a register.
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _text(body: JsonObject, name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None
