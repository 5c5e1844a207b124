"""How the keys of an agreement stand, for `padan agent status` and `rotate`."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linkage.agent.rotation import EpochView, Outlook


def outlook_lines(outlook: "Outlook") -> Iterator[str]:
    """Yield a line for each epoch, and what is due."""
    for view in outlook.epochs:
        own = view.own.value if view.own else "not here"
        yield (
            f"epoch {view.number:<3} {view.stage.value:10}  own key {own:11}  "
            f"made {_day(view.made)}  new one due {_day(view.due)}  until {_day(view.until)}"
        )
    yield from _due_lines(outlook)


def cost_lines(outlook: "Outlook") -> Iterator[str]:
    """Yield what is due and why, and what a new epoch costs."""
    yield from _due_lines(outlook)
    cost = outlook.cost
    yield f"the next is epoch {cost.epoch}: {cost.messages} signed messages in the log, done by"
    yield f"  {_time(cost.latest)} even if all parties take the time they have"
    for party, n_records in cost.records.items():
        if n_records:
            about = f"{n_records} records again, with new references ({cost.encode_s[party]:.0f} s)"
            yield f"  {party} encodes {about}"
        if cost.registers[party]:
            yield f"  {party} builds its register again; the old one answers lookups meanwhile"
        for office in cost.delegations[party]:
            yield f"  {office} is given the new key"
    yield "  the risk gate is run again where the agreement asks for it"
    for job_id in cost.jobs_to_finish:
        yield f"  job {job_id} goes on under the old key"
    for job_id in cost.jobs_to_repeat:
        yield f"  job {job_id} ends: request it anew under the new key"


def outlook_to_dict(outlook: "Outlook") -> dict[str, Any]:
    """Return the same for programs."""
    cost = outlook.cost
    return {
        "epochs": [_view_to_dict(view) for view in outlook.epochs],
        "due": [
            {"reason": due.reason.value, "since": _time(due.since), "holder": due.holder}
            for due in outlook.due
        ],
        "begun": outlook.begun,
        "cost": {
            "epoch": cost.epoch,
            "messages": cost.messages,
            "latest": _time(cost.latest),
            "records": cost.records,
            "encode_s": cost.encode_s,
            "registers": cost.registers,
            "delegations": {party: list(names) for party, names in cost.delegations.items()},
            "jobs_to_finish": list(cost.jobs_to_finish),
            "jobs_to_repeat": list(cost.jobs_to_repeat),
        },
    }


def _due_lines(outlook: "Outlook") -> Iterator[str]:
    for due in outlook.due:
        whose = f" ({due.holder})" if due.holder else ""
        yield f"due since {_time(due.since)}: {due.reason.value}{whose}"
    if outlook.begun is not None:
        yield f"epoch {outlook.begun}: its making has begun, and waits for this party"
    if not outlook.due and outlook.begun is None:
        yield "no new key is due"


def _view_to_dict(view: "EpochView") -> dict[str, Any]:
    return {
        "number": view.number,
        "stage": view.stage.value,
        "began": _time(view.began),
        "made": _time(view.made),
        "due": _time(view.due),
        "until": _time(view.until),
        "own": view.own.value if view.own else None,
        "why": None
        if view.why is None
        else {"reason": view.why.reason.value, "holder": view.why.holder},
    }


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _day(time: datetime | None) -> str:
    return "-" * 10 if time is None else time.date().isoformat()
