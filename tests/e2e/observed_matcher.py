"""A matcher that is watched: `observed_matcher.py FOLDER [options of padan matcher serve]`.

Writes into the folder: every serialised message of every call in both
directions (`messages`), every path that was opened (`opened`), and the modules that
were imported (`modules`). The watching itself is a plain list of bytes in memory.
"""

import sys
from pathlib import Path
from typing import Any

OUT = Path(sys.argv.pop(1))
sys.argv[1:1] = ["matcher", "serve"]
opened: list[str] = []


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(args[0], str | bytes):
        opened.append(args[0] if isinstance(args[0], str) else args[0].decode())
    elif event == "sqlite3.connect":
        opened.append(str(args[0]))


sys.addaudithook(_watch)

import grpc.aio  # noqa: E402 -- the hook must be there first

messages: list[bytes] = []


class Recorder(grpc.aio.ServerInterceptor):
    """Keeps the bytes of every message before they are parsed and after they are made."""

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)
        if handler is None:
            return None
        parse, serialise = handler.request_deserializer, handler.response_serializer

        def parsed(content: bytes) -> Any:
            messages.append(content)
            return parse(content)

        def serialised(message: Any) -> bytes:
            content = serialise(message)
            messages.append(content)
            return content

        return handler._replace(request_deserializer=parsed, response_serializer=serialised)


def _server(*args: Any, interceptors: Any = (), **options: Any) -> Any:
    return _plain_server(*args, interceptors=[*interceptors, Recorder()], **options)


_plain_server = grpc.aio.server
grpc.aio.server = _server  # type: ignore[assignment]

from linkage.cli import main  # noqa: E402 -- after the server was wrapped

try:
    main()
finally:
    OUT.mkdir(parents=True, exist_ok=True)
    framed = b"".join(len(m).to_bytes(8, "big") + m for m in messages)
    (OUT / "messages").write_bytes(framed)
    (OUT / "opened").write_text("\n".join(opened), "utf-8")
    (OUT / "modules").write_text("\n".join(sorted(sys.modules)), "utf-8")
