"""What the log says: principals, agreements, keys and use, added up from its entries in order.

The state is a value: an entry gives the next one. It is total: an entry that is not validly
signed, repeats an earlier one, or comes out of order changes nothing and is reported in
`rejected`. The matcher keeps it beside its log, agents and auditors make the same one from
their copies; `decide` reads nothing else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from linkage.agreement.epochs import WORDS, Epochs
from linkage.agreement.grants import with_grant
from linkage.agreement.incidents import Incidents
from linkage.agreement.payload import KeyChange, KeyRevocation, envelope_of, parse_payload
from linkage.agreement.principals import Principals, principals_of
from linkage.agreement.refusal import Refused, Rejected
from linkage.agreement.rights import Rights
from linkage.agreement.standing import Agreements
from linkage.agreement.usage import Usage
from linkage.errors import MalformedMessageError
from linkage.log.canonical import JsonObject
from linkage.log.entry import Entry, is_confidential

_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class State:
    """What holds after the first `size` entries of a log.

    Attributes:
        log: origin of the log, from its genesis; "" before it.
        size: number of entries.
        time: the latest time that an entry has.
        principals: who is enrolled, with which keys.
        agreements: what was registered, and what is in force.
        epochs: which linkage keys there are.
        usage: what was used, as far as bodies were given.
        rights: what parties told each other of persons' rights, likewise.
        incidents: what was reported, likewise.
        rejected: entries that changed nothing, and why.
    """

    log: str = ""
    size: int = 0
    time: datetime = _START
    principals: Principals = field(default_factory=Principals)
    agreements: Agreements = field(default_factory=Agreements)
    epochs: Epochs = field(default_factory=Epochs)
    usage: Usage = field(default_factory=Usage)
    rights: Rights = field(default_factory=Rights)
    incidents: Incidents = field(default_factory=Incidents)
    rejected: tuple[Rejected, ...] = ()

    def after(self, index: int, entry: Entry, body: JsonObject | None = None) -> "State":
        """Return the state with one entry more; never raises on a parsed entry.

        Args:
            index: its leaf index: the size so far, or the entry is out of order.
            entry: the entry.
            body: of a confidential leaf, what it committed to (`verify_body` has checked it);
                None where the reader has it not.
        """
        if index != self.size:
            return _rejected(self, index, entry, "OUT_OF_ORDER")
        moved = replace(self, size=index + 1, time=max(self.time, entry.time))
        try:
            if entry.ref and entry.ref[-1] >= index:
                raise Refused("OUT_OF_ORDER")
            return _changed(moved, index, entry, body)
        except Refused as refused:
            return _rejected(moved, index, entry, refused.code)
        except MalformedMessageError:
            return _rejected(moved, index, entry, "MALFORMED")


def replay(entries: Iterable[Entry], bodies: Mapping[int, JsonObject] | None = None) -> State:
    """Return the state after all of some entries, from the first of a log.

    Args:
        entries: in the order of the log.
        bodies: of confidential leaves, by index, each checked against its commitment.
    """
    state, opened = State(), bodies or {}
    for index, entry in enumerate(entries):
        state = state.after(index, entry, opened.get(index))
    return state


def _changed(state: State, index: int, entry: Entry, body: JsonObject | None) -> State:
    family, _, word = entry.type.partition(".")
    if entry.type == "lookup.grant" and body is not None:
        granted = with_grant(
            state.usage, state.log, index, entry, body, state.agreements, state.principals
        )
        return replace(state, usage=granted)
    if family in ("rights", "incident") and body is not None:
        return _with_told(state, index, entry, body)
    if is_confidential(entry.type):
        return replace(state, usage=state.usage.after(index, entry, body))
    if entry.type == "genesis":
        return _opened(state, index, entry)
    if entry.type == "key.state":
        return _with_key_state(state, index, entry)
    if entry.type == "enrol" or family == "key":
        return _with_key(state, index, entry, word)
    if family == "agreement":
        return _with_agreement(state, index, entry, word)
    if family == "epoch":
        return _with_epoch(state, index, entry, word)
    return state


def _with_told(state: State, index: int, entry: Entry, body: JsonObject) -> State:
    known = state.log, index, entry, body, state.agreements, state.principals
    if entry.type.startswith("rights."):
        return replace(state, rights=state.rights.after(*known))
    return replace(state, incidents=state.incidents.after(*known))


def _opened(state: State, index: int, entry: Entry) -> State:
    origin = (entry.body or {}).get("origin")
    if index:
        raise Refused("OUT_OF_ORDER")
    if not isinstance(origin, str):
        raise Refused("MALFORMED")
    return replace(state, log=origin, principals=principals_of(entry.body))


def _with_key(state: State, index: int, entry: Entry, word: str) -> State:
    envelope, known = envelope_of(entry.body), state.principals
    changes = {"": known.enrol, "rotate": known.rotate, "revoke": known.revoke}
    if word not in changes:
        raise Refused("UNKNOWN_TYPE")
    principals = changes[word](state.log, index, entry.time, envelope)
    epochs = state.epochs
    if word == "revoke":
        revoked = parse_payload(KeyRevocation, envelope)
        keys = principals.by_uri[revoked.principal].keys
        # Whoever has the principal or its seal key may have what was sealed to it.
        if not revoked.keys or any(keys[key].kind == "seal" for key in revoked.keys):
            epochs = epochs.without_holder(index, entry.time, revoked.principal)
    return replace(state, principals=principals, epochs=epochs)


def _with_key_state(state: State, index: int, entry: Entry) -> State:
    envelope = envelope_of(entry.body)
    change = parse_payload(KeyChange, envelope)
    if change.log != state.log:
        raise Refused("OTHER_LOG")
    if change.agreement != entry.agreement:
        raise Refused("OTHER_AGREEMENT")
    if not state.principals.speaks_for(change.principal, entry.time, envelope):
        raise Refused("NOT_SIGNED")
    return replace(state, epochs=state.epochs.changed(index, entry.time, change))


def _with_agreement(state: State, index: int, entry: Entry, word: str) -> State:
    known = state.agreements
    changes = {
        "register": known.register,
        "amend": known.register,
        "terminate": known.terminate,
        "stop": known.stop,
        "hold": known.hold,
    }
    if word not in changes:
        raise Refused("UNKNOWN_TYPE")
    envelope = envelope_of(entry.body)
    agreements = changes[word](state.log, index, entry, envelope, state.principals)
    return replace(state, agreements=agreements)


def _with_epoch(state: State, index: int, entry: Entry, word: str) -> State:
    if word not in WORDS:
        raise Refused("UNKNOWN_TYPE")
    standing = state.agreements.get(entry.agreement or "")
    envelope = envelope_of(entry.body)
    epochs = state.epochs.after(index, entry.time, word, envelope, standing, state.principals)
    return replace(state, epochs=epochs)


def _rejected(state: State, index: int, entry: Entry, code: str) -> State:
    return replace(state, rejected=(*state.rejected, Rejected(index, entry.type, code)))
