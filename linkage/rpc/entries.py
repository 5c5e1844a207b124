"""What a matcher answers to a question for entries of its log."""

from collections.abc import Iterable

from linkage.errors import MalformedMessageError
from linkage.v1 import log_pb2


def entries_in(
    answers: Iterable[log_pb2.GetEntriesResponse], start: int, end: int
) -> list[log_pb2.GetEntriesResponse]:
    """Return the entries from start up to end, in their order.

    Args:
        answers: the stream; no more is read of it than was asked for.
        start: index of the first.
        end: index after the last; as large as a checkpoint may say.

    Raises:
        MalformedMessageError: the matcher sent others than were asked for.
    """
    found = []
    for index, entry in enumerate(answers, start):
        if entry.index != index or index >= end:
            break
        found.append(entry)
    else:
        if len(found) == end - start:
            return found
    raise MalformedMessageError("the matcher sent other leaves than were asked for")
