"""Times on the command line."""

from datetime import UTC, datetime

import click


def parse_time(ctx: click.Context, option: click.Parameter, text: str) -> datetime:
    """Return the time of an option; in UTC if no zone is given.

    Raises:
        click.BadParameter: it is none.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        problem = "not a time such as 2026-12-31T08:00:00Z"
        raise click.BadParameter(problem, ctx, option) from error
    return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
