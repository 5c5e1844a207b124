"""A server of one method behind a guard, and channels to it."""

from typing import Any

import grpc
import grpc.aio
from members import Members

from keys.identity import Credential
from linkage.rpc.guard import Guard
from linkage.rpc.tls import TlsFiles, server_credentials


async def guarded_server(
    members: Members, guard: Guard, method: str, handler: Any
) -> tuple[grpc.aio.Server, str]:
    """Serve a method, as `/service/name`, as the matcher; return the address too."""
    service, name = method[1:].split("/")
    folder = members.root / "matcher"
    tls = TlsFiles(*(folder / f"{n}.pem" for n in ("certificate", "private-key", "authority")))
    server = grpc.aio.server(interceptors=[guard])
    handlers = grpc.method_handlers_generic_handler(service, {name: handler})
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(tls))
    await server.start()
    return server, f"127.0.0.1:{port}"


def aio_channel(members: Members, credential: Credential, address: str) -> Any:
    credentials = grpc.ssl_channel_credentials(
        members.authority.certificate, credential.private_key, credential.certificate
    )
    return grpc.aio.secure_channel(address, credentials)
