"""Incidents at an agent: reported, followed until persons and authority were told, and traced.

Whose records were concerned each agency finds from its own machine (`affected`): from the jobs
that a report names, its own copy of the log and its own map. No matcher takes part in it.
"""

import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from keys.dsse import Signer, sign
from linkage.agent.config import AgentConfig
from linkage.agent.mirror import Mirror
from linkage.agent.trail import read_trail
from linkage.agreement.incidents import Incident, IncidentReport, IncidentStep, Step
from linkage.agreement.payload import OfParty
from linkage.errors import NotFoundError
from linkage.log.policy import Policy
from linkage.store.log_copy import LogSource


class Matcher(LogSource, Protocol):
    """What the matcher's client does for this: `agent.client.MatcherClient`."""

    def submit_document(self, envelope: bytes) -> int:
        """Put a signed document into the log, and return its leaf index."""


@dataclass(frozen=True)
class Affected:
    """Own records that an incident concerns.

    Attributes:
        records: numbers of the own records, each once, in order.
        jobs: jobs that they went into.
        unknown: jobs of this party of which it is not known any more which records they had.
    """

    records: tuple[str, ...]
    jobs: tuple[str, ...]
    unknown: tuple[str, ...]


class Incidents:
    """Incidents under the agreement of one agent.

    Args:
        config: the agent's settings.
        mirror: its copy of the log.
        signer: signs for its party.
    """

    def __init__(self, config: AgentConfig, mirror: Mirror, signer: Signer) -> None:
        self._config, self._mirror, self._signer = config, mirror, signer

    def report(
        self, known: datetime.datetime, jobs: Sequence[str], what: str, matcher: Matcher
    ) -> str:
        """Report an incident; return its id.

        Args:
            known: when the agency knew of it, in UTC and whole seconds.
            jobs: jobs that are concerned; none where all of the agreement are.
            what: which data, when and how, and what is done; nothing of persons.
            matcher: takes the report.

        Raises:
            DeniedError: the report does not count.
        """
        self._mirror.update(matcher)
        name = os.urandom(16).hex()
        said = IncidentReport(
            log=self._mirror.state.log,
            agreement=self._config.agreement.id,
            id=name,
            party=self._config.party,
            known=known,
            jobs=tuple(jobs),
            what=what,
        )
        self._submit(said, matcher)
        return name

    def step(self, incident: str, step: Step, text: str, matcher: Matcher) -> int:
        """Say what this party did about an incident; return the leaf; raises as `report`."""
        self._mirror.update(matcher)
        said = IncidentStep(
            log=self._mirror.state.log,
            agreement=self._config.agreement.id,
            incident=incident,
            party=self._config.party,
            step=step,
            text=text,
        )
        return self._submit(said, matcher)

    def all(self, matcher: Matcher) -> list[Incident]:
        """Return the incidents under the agreement, in the order of the log."""
        state = self._mirror.update(matcher)
        own = self._config.agreement.id
        return [one for one in state.incidents.by_id.values() if one.said.agreement == own]

    def _submit(self, said: OfParty, matcher: Matcher) -> int:
        envelope = sign(said.TYPE, said.to_bytes(), [self._signer]).to_bytes()
        leaf = matcher.submit_document(envelope)
        self._mirror.update(matcher)
        return leaf


def affected(config: AgentConfig, trust: Policy, incident: str) -> Affected:
    """Return the own records that an incident concerns, from this machine alone.

    Args:
        config: the agent's settings.
        trust: the trust file.
        incident: its id, as the own copy of the log has it.

    Raises:
        NotFoundError: the copy of the log has no such incident.
        VerificationError: the copy does not hold.
    """
    found = Mirror(config.work / "log", trust).state.incidents.by_id.get(incident)
    if found is None:
        raise NotFoundError(
            f"no incident {incident} in this agent's copy of the log: run `padan agent incident "
            "list`, which brings it up to date"
        )
    trails = [
        read_trail(config, trust, job=job, agreement=found.said.agreement)
        for job in found.said.jobs or (None,)
    ]
    uses = [use for trail in trails for use in trail.uses]
    return Affected(
        tuple(sorted({use.record for use in uses if use.record is not None})),
        tuple(sorted({use.job for use in uses})),
        tuple(sorted({use.job for trail in trails for use in trail.unknown})),
    )
