"""Notices and incidents in the world of the agreement tests."""

from datetime import timedelta
from typing import Any

from agreement_world import LOG, World

from linkage.agreement.incidents import (
    PROCESSOR,
    Incident,
    IncidentReport,
    IncidentStep,
    processor_body,
)
from linkage.agreement.model import Agreement
from linkage.agreement.payload import OfParty
from linkage.agreement.rights import Notice, RightsAnswer, RightsNotice
from linkage.log.canonical import encode_base64

ID, OTHER = "0" * 32, "1" * 32


def exempted(article: str = "Pasal 50 ayat (1)", until: str = "2027-12-31") -> dict[str, Any]:
    return {
        "article": article, "law": "UU 2/2002 Pasal 14", "balancing_sha256": "ab" * 32,
        "letter": "SKET-1/2027", "expires_on": until,
    }  # fmt: skip


class Told:
    """What parties of one agreement tell each other.

    Args:
        world: the log.
        document: the agreement, in force.
    """

    def __init__(self, world: World, document: Agreement) -> None:
        self.world, self.document = world, document

    def say(self, leaf: str, form: type[OfParty], by: str, /, **own: Any) -> str | None:
        """Write a document into the log; return the code with which it was rejected."""
        agreement = own.pop("entry_agreement", self.document.id)
        said = form(**{"log": LOG, "agreement": self.document.id, **own})
        self.world.signed(leaf, said, [by], agreement)
        return self.world.refused

    def notice(self, by: str = "", **own: Any) -> str | None:
        fields = {
            "id": ID, "party": "imigrasi", "to": "dukcapil", "kind": "object", "epoch": 1,
            "received": self.world.now - timedelta(hours=5), "sealed": encode_base64(b"?"),
        }  # fmt: skip
        said = {**fields, **own}
        return self.say("rights.notice", RightsNotice, by or f"party/{said['party']}", **said)

    def answer(self, by: str = "", **own: Any) -> str | None:
        said = {"notice": ID, "party": "dukcapil", "outcome": "done", **own}
        return self.say("rights.answer", RightsAnswer, by or f"party/{said['party']}", **said)

    def incident(self, by: str = "", **own: Any) -> str | None:
        fields = {
            "id": ID, "party": "imigrasi", "known": self.world.now - timedelta(hours=5),
            "jobs": ("j1",), "what": "A folder of spools was copied.",
        }  # fmt: skip
        said = {**fields, **own}
        return self.say("incident.report", IncidentReport, by or f"party/{said['party']}", **said)

    def processor(self, actor: str = PROCESSOR, **own: Any) -> str | None:
        fields = {
            "log": LOG, "agreement": self.document.id, "id": ID, "party": PROCESSOR,
            "known": self.world.now - timedelta(minutes=5), "what": "A disk was stolen.",
        }  # fmt: skip
        report = IncidentReport(**{**fields, **own})
        self.world.add("incident.report", processor_body(report), self.document.id, actor)
        return self.world.refused

    def step(self, party: str, step: str, by: str = "", **own: Any) -> str | None:
        said = {"incident": ID, "party": party, "step": step, "text": "Surat 1/2027", **own}
        return self.say("incident.step", IncidentStep, by or f"party/{party}", **said)

    @property
    def noticed(self) -> Notice:
        return self.world.state.rights.notices[ID]

    @property
    def happened(self) -> Incident:
        return self.world.state.incidents.by_id[ID]
