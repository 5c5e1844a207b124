"""`padan agent rights`: requests of persons about their records, from receipt to answer."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linkage.cli.connection import connected, with_agent_config

if TYPE_CHECKING:
    from linkage.agent.client import MatcherClient
    from linkage.agent.rights import Rights, Synced
    from linkage.agent.tickets import Ground, Kind, Step, Ticket
    from linkage.agreement.rights import Notice

# Those of linkage.agent.tickets, which no command but these needs to load.
_KINDS = ("access", "rectification", "restriction", "objection", "erasure")
_GROUNDS = ("identity", "no-record", "exemption", "article-33")
_TICKET = click.option("--ticket", required=True, help="Number of the ticket.")
_OFFICER = click.option("--officer", required=True, help="Id of the official who does this.")
_REASON = click.option("--reason", required=True, help="Why; it stands in the ticket.")
_ZONE = click.option(
    "--zone", "zone_name", default="WIB", show_default=True,
    help="WIB, WITA, WIT, or that of a mission, such as Asia/Riyadh.",
)  # fmt: skip
_EXEMPTION = click.option(
    "--exemption",
    type=click.IntRange(0, 15),
    help="Number of an exemption of the agreement, from 0, that lifts this duty.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def rights() -> None:
    """Requests of persons about their records (UU 27/2022), with their clocks."""


@rights.command("open")
@with_agent_config
@click.option("--kind", required=True, type=click.Choice(_KINDS), help="What is asked for.")
@click.option(
    "--record",
    "record_id",
    required=True,
    help="Own number of the record; - reads it from standard input, where it is a person's.",
)
@click.option("--received", help="When it came in, such as 2026-11-22T09:30; now if absent.")
@_ZONE
@_OFFICER
@_REASON
@_JSON
def open_ticket(
    config_path: Path,
    kind: "Kind",
    record_id: str,
    received: str | None,
    zone_name: str,
    officer: str,
    reason: str,
    as_json: bool,
) -> None:
    """Record a request, and print its ticket. Its 72 hours run from its receipt."""
    from linkage.agent.config import load_agent
    from linkage.agent.tickets import Tickets
    from linkage.deadlines import parse_moment, zone
    from linkage.store.artefacts import ArtefactStore

    where, config, now = zone(zone_name), load_agent(config_path), _now()
    if record_id == "-":
        record_id = sys.stdin.readline().strip()
    if not record_id:
        raise click.UsageError("--record is empty: name the record")
    moment = parse_moment(received, where) if received is not None else now
    store = ArtefactStore(config.work / "artefacts", config.work / "keystore")
    ticket = Tickets(store).open(kind, record_id, moment, now, officer, reason)
    if config.keys.witness is None:  # as of an office, which speaks to no other party
        words = "kept here alone: have the head office record it too, which tells the other parties"
        click.echo(words, err=True)
    if as_json:
        click.echo(json.dumps(_ticket_to_dict(ticket)))
        return
    click.echo(ticket.number)
    due = ticket.deadline.due.astimezone(where)
    click.echo(f"due {due:%Y-%m-%d %H:%M} {zone_name}", err=True)


@rights.command()
@with_agent_config
@_TICKET
@_OFFICER
@_REASON
@_JSON
def apply(config_path: Path, ticket: str, officer: str, reason: str, as_json: bool) -> None:
    """Grant a request: it has its effect here, and every other party is told.

    Correct the source before a rectification. The standing register, where there is one, is
    brought up to date at once.
    """
    with _rights(config_path) as (held, client):
        granted = held.apply(ticket, officer, reason)
        synced = held.sync(client)
        revision = _refresh_register(config_path)
    if as_json:
        done = {"ticket": _ticket_to_dict(granted), **_synced_to_dict(synced)}
        click.echo(json.dumps({**done, "register_revision": revision}))
        return
    _say_synced(synced)
    if revision is not None:
        click.echo(f"register: revision {revision}", err=True)


@rights.command()
@with_agent_config
@_TICKET
@_OFFICER
@_REASON
@_JSON
def lift(config_path: Path, ticket: str, officer: str, reason: str, as_json: bool) -> None:
    """End a restriction or an objection: its links count again, and every party is told."""
    with _rights(config_path) as (held, client):
        lifted = held.tickets.move(ticket, _step("lifted", officer, reason))
        synced = held.sync(client)
    if as_json:
        click.echo(json.dumps({"ticket": _ticket_to_dict(lifted), **_synced_to_dict(synced)}))
    else:
        _say_synced(synced)


@rights.command()
@with_agent_config
@_TICKET
@_OFFICER
@_REASON
@_JSON
def fulfil(config_path: Path, ticket: str, officer: str, reason: str, as_json: bool) -> None:
    """Say that the person has the answer: the result, or the copy and the processing trail."""
    _moved(config_path, ticket, _step("fulfilled", officer, reason), as_json)


@rights.command()
@with_agent_config
@_TICKET
@_OFFICER
@_REASON
@click.option("--ground", required=True, type=click.Choice(_GROUNDS), help="Why in law.")
@_EXEMPTION
@_JSON
def refuse(
    config_path: Path,
    ticket: str,
    officer: str,
    reason: str,
    ground: "Ground",
    exemption: int | None,
    as_json: bool,
) -> None:
    """Refuse a request; by an exemption only where the agreement has one that holds."""
    from linkage.agent.tickets import Step

    step = Step("refused", _now(), officer, reason, ground, exemption)
    if exemption is None:
        _moved(config_path, ticket, step, as_json)
        return
    with _rights(config_path) as (held, client):
        refused = held.refuse(ticket, step, client)
    _say_ticket(refused, as_json)


@rights.command()
@with_agent_config
@_JSON
def sync(config_path: Path, as_json: bool) -> None:
    """Heed what other parties told, answer them, and tell them what is due.

    Every `padan agent run` does this too. Run it by a timer, at least every few hours:
    answers are due within 72 hours of the request at the other party. Exit 1 where the log did
    not take a notice or an answer.
    """
    from linkage.cli import REFUSED

    with _rights(config_path) as (held, client):
        synced = held.sync(client)
    if as_json:
        click.echo(json.dumps(_synced_to_dict(synced)))
    else:
        _say_synced(synced)
    if synced.refused:
        sys.exit(REFUSED)


@rights.command()
@with_agent_config
@click.option("--notice", required=True, help="Id of the notice.")
@_EXEMPTION
def answer(config_path: Path, notice: str, exemption: int | None) -> None:
    """Answer a notice that an official had to decide on: done, or refused by an exemption."""
    with _rights(config_path) as (held, client):
        leaf = held.answer(notice, exemption, client)
        held.mark()
    click.echo(f"answered: leaf {leaf}", err=True)


@rights.command("list")
@with_agent_config
@_ZONE
@_JSON
def list_all(config_path: Path, zone_name: str, as_json: bool) -> None:
    """List requests and notices with their clocks; exit 1 where one has run out."""
    from linkage.cli import REFUSED
    from linkage.deadlines import zone

    where, now = zone(zone_name), _now()
    with _rights(config_path) as (held, client):
        held.update(client)
        tickets, sent, received = held.tickets.all(), held.sent(), held.received()
        withheld = held.withheld()
    late = [
        *(t for t in tickets if t.overdue(now)),
        *(n for n in sent + received if n.overdue(now)),
    ]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "tickets": [{**_ticket_to_dict(t), "overdue": t.overdue(now)} for t in tickets],
                    "sent": [_notice_to_dict(one, now) for one in sent],
                    "received": [_notice_to_dict(one, now) for one in received],
                    "withheld": withheld,
                }
            )
        )
    else:
        for ticket in tickets:
            due = _clock(ticket.deadline.due.astimezone(where), ticket.overdue(now))
            click.echo(f"ticket  {ticket.number}  {ticket.kind:13} {ticket.state:9} {due}")
        for word, notices in (("sent", sent), ("came", received)):
            for notice in notices:
                said, answered = notice.said, notice.answer
                other = said.to if word == "sent" else said.party
                due = _clock(notice.deadline.due.astimezone(where), notice.overdue(now))
                outcome = answered.outcome if answered else "open"
                click.echo(f"{word:6}  {said.id}  {said.kind:8} {other:12} {outcome:8} {due}")
        if withheld:
            click.echo(
                f"{withheld} leaves about rights or incidents came without their bodies: the "
                "matcher keeps them back; tell the auditors",
                err=True,
            )
    if late or withheld:
        sys.exit(REFUSED)


@rights.command()
@click.option("--received", required=True, help="When the request came in.")
@click.option("--hours", type=click.IntRange(0, 10_000), help="Clock hours, such as 72.")
@click.option("--working-days", type=click.IntRange(0, 1_000), help="Working days of Indonesia.")
@_ZONE
@_JSON
def deadline(
    received: str, hours: int | None, working_days: int | None, zone_name: str, as_json: bool
) -> None:
    """Compute a deadline of the law from the receipt of a request."""
    from linkage.deadlines import after_hours, after_working_days, parse_moment, zone

    if (hours is None) == (working_days is None):
        raise click.UsageError("give --hours or --working-days, one of both")
    where = zone(zone_name)
    moment = parse_moment(received, where)
    if hours is not None:
        end = after_hours(moment, hours)
    else:
        end = after_working_days(moment, working_days or 0, where)
    due = end.due.astimezone(where)
    if as_json:
        click.echo(json.dumps({"due": due.isoformat(), "provisional": end.provisional}))
        return
    click.echo(f"{due:%Y-%m-%d %H:%M} {zone_name}")
    if end.provisional:
        click.echo("provisional: the holidays of that year have no decree yet", err=True)


@contextmanager
def _rights(config_path: Path) -> Iterator[tuple["Rights", "MatcherClient"]]:
    from linkage.agent.client import MatcherClient
    from linkage.agent.rights import Rights

    with connected(config_path) as (session, channel):
        client = MatcherClient(channel, session.config.patience_s, session.requests)
        yield Rights(session, _now()), client


def _refresh_register(config_path: Path) -> int | None:
    """Bring the standing register up to date, if there is one; return its revision."""
    from linkage.agent.lookup import LookupClient
    from linkage.agent.register import RegisterUpload
    from linkage.cli.progress import UploadBar, progress_bar

    with connected(config_path) as (session, channel), progress_bar() as bar:
        client = LookupClient(channel, session.config.patience_s)
        upload = RegisterUpload(session, client, _now().date())
        return upload.refresh(UploadBar(bar)).revision if upload.is_kept else None


def _moved(config_path: Path, number: str, step: "Step", as_json: bool) -> None:
    from linkage.agent.config import load_agent
    from linkage.agent.tickets import Tickets
    from linkage.store.artefacts import ArtefactStore

    config = load_agent(config_path)
    store = ArtefactStore(config.work / "artefacts", config.work / "keystore")
    _say_ticket(Tickets(store).move(number, step), as_json)


def _step(state: Any, officer: str, reason: str) -> "Step":
    from linkage.agent.tickets import Step

    return Step(state, _now(), officer, reason)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _say_ticket(ticket: "Ticket", as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_ticket_to_dict(ticket)))
    else:
        click.echo(f"ticket {ticket.number}: {ticket.state}", err=True)


def _say_synced(synced: "Synced") -> None:
    click.echo(f"{len(synced.told)} notices sent, {len(synced.answered)} answered", err=True)
    for state, n_rows in sorted(synced.marked.items()):
        click.echo(f"rows of results that are {state}: {n_rows}", err=True)
    for notice in synced.waiting:
        click.echo(f"notice {notice}: an official answers, `padan agent rights answer`", err=True)
    for notice in synced.unreadable:
        click.echo(f"notice {notice}: sealed under another key; ask its sender", err=True)
    for notice in synced.refused:
        click.echo(f"notice {notice}: the log did not take it or its answer: tried again", err=True)


def _synced_to_dict(synced: "Synced") -> dict[str, Any]:
    return {**asdict(synced), "marked": dict(synced.marked)}


def _clock(due: datetime, overdue: bool) -> str:
    return f"due {due:%Y-%m-%d %H:%M}{'  OVERDUE' if overdue else ''}"


def _ticket_to_dict(ticket: "Ticket") -> dict[str, Any]:
    return {
        "ticket": ticket.number,
        "kind": ticket.kind,
        "record_id": ticket.record_id,
        "state": ticket.state,
        "received": ticket.received.isoformat(),
        "due": ticket.deadline.due.isoformat(),
        "steps": [{**asdict(step), "time": step.time.isoformat()} for step in ticket.steps],
        "notices": [one.notice for one in ticket.told],
    }


def _notice_to_dict(notice: "Notice", now: datetime) -> dict[str, Any]:
    answered = notice.answer
    return {
        "notice": notice.said.id,
        "kind": notice.said.kind,
        "from": notice.said.party,
        "to": notice.said.to,
        "received": notice.said.received.isoformat(),
        "told": notice.told.isoformat(),
        "due": notice.deadline.due.isoformat(),
        "answer": answered.outcome if answered else None,
        "answered": answered.time.isoformat() if answered else None,
        "exemption": answered.exemption.model_dump(mode="json")
        if answered and answered.exemption
        else None,
        "overdue": notice.overdue(now),
        "leaf": notice.leaf,
    }
