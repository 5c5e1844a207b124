"""The emergency stop of an agreement, by one party, in one step."""

from keys.dsse import Signer, sign
from linkage.agent.client import MatcherClient
from linkage.agent.mirror import Mirror
from linkage.agreement.payload import Stop
from linkage.errors import DeniedError


def stop_agreement(
    agreement_id: str, reason: str, client: MatcherClient, mirror: Mirror, signer: Signer
) -> int:
    """Stop an agreement; return the leaf that says so.

    Running jobs are cancelled, lookups refused and no result is given out, until all parties
    have signed that it goes on (`padan agreement stop --resume`).

    Args:
        agreement_id: the agreement.
        reason: why; it stands in the log.
        client: calls of the party.
        mirror: its copy of the log.
        signer: signs for the party.

    Raises:
        DeniedError: it is not in force, or was stopped already.
    """
    state = mirror.update(client)
    standing = state.agreements.get(agreement_id)
    if standing is None or standing.terminated is not None:
        raise DeniedError("NOT_IN_FORCE", f"{agreement_id} is not in force")
    if standing.stopped is not None:
        raise DeniedError(
            "NO_CHANGE", f"{agreement_id} was stopped already: leaf {standing.stopped}"
        )
    stop = Stop(
        log=state.log,
        agreement=agreement_id,
        digest=standing.version.digest,
        serial=standing.stops + 1,
        stopped=True,
        reason=reason,
    )
    return client.submit_document(sign(Stop.TYPE, stop.to_bytes(), [signer]).to_bytes())
