"""Answers that break off, come in drops, or never come."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_BAD_GATEWAY = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
)
_JSON = "application/json;charset=utf-8"
_LOOK = 0.05  # seconds between two looks whether the reader or the server has ended
_ARRIVAL = 0.02  # seconds until what was sent has arrived


class Connections:
    """The server's open connections, by the reader's address, so that one can be broken."""

    def __init__(self) -> None:
        self._transports: dict[Any, asyncio.Transport] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """uvicorn's protocol, entering its connections here."""
        transports = self._transports

        class Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
            def connection_made(self, transport: asyncio.Transport) -> None:
                self.peer = transport.get_extra_info("peername")
                transports[self.peer] = transport
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                transports.pop(self.peer, None)
                super().connection_lost(error)

        return Protocol

    def reset(self, reader: Any) -> None:
        """Break a connection off: its reader gets `connection reset by peer`.

        Raises:
            ConnectionResetError: there is no such connection, as in tests without a socket.
        """
        transport = self._transports.get(tuple(reader or ()))
        if transport is None:
            raise ConnectionResetError("the connection cannot be broken otherwise")
        # Closing without lingering sends RST in place of FIN.
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        transport.abort()


class SpoiledResponse(Response):
    """An answer of which only what `parts` gives is sent; then its connection is reset.

    Args:
        answer: the good answer: its status, headers and length are announced.
        parts: the pieces of body sent one after the other, from the whole body.
        connections: where to break the connection.
        sends_headers: whether anything at all is sent.
    """

    def __init__(
        self,
        answer: Response,
        parts: Callable[[Request, bytes], AsyncIterator[bytes]],
        connections: Connections,
        sends_headers: bool = True,
    ) -> None:
        super().__init__(answer.body, answer.status_code, dict(answer.headers))
        self._parts, self._connections, self._sends_headers = parts, connections, sends_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is to be sent, then reset, unless the reader has gone before."""
        request = Request(scope, receive)
        whole = bytes(self.body)
        if self._sends_headers:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
        sent = 0
        async for part in self._parts(request, whole):
            sent += len(part)
            is_all = sent == len(whole)
            await send({"type": "http.response.body", "body": part, "more_body": not is_all})
            if is_all:
                return
        if not await request.is_disconnected():
            self._connections.reset(scope["client"])
            while not await request.is_disconnected():
                await asyncio.sleep(0)


def html_error() -> Response:
    """A page of the kind a load balancer shows."""
    return Response(_BAD_GATEWAY, 502, media_type="text/html")


def truncated(answer: Response) -> Response:
    """Half of an answer, announced as the whole."""
    return Response(
        bytes(answer.body)[: len(answer.body) // 2], answer.status_code, media_type=_JSON
    )


def empty(answer: Response) -> Response:
    """An answer without its body."""
    return Response(b"", answer.status_code, media_type=_JSON)


def reset(answer: Response, connections: Connections) -> Response:
    """Half of an answer, then a reset."""

    async def half(request: Request, body: bytes) -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        await asyncio.sleep(_ARRIVAL)

    return SpoiledResponse(answer, half, connections)


def drip(
    answer: Response, connections: Connections, seconds: float, is_ending: Callable[[], bool]
) -> Response:
    """An answer byte by byte, until the reader goes or the server ends."""

    async def drops(request: Request, body: bytes) -> AsyncIterator[bytes]:
        for number in range(len(body)):
            yield body[number : number + 1]
            if await _ended(request, seconds, is_ending):
                return

    return SpoiledResponse(answer, drops, connections)


def hang(connections: Connections, is_ending: Callable[[], bool]) -> Response:
    """Nothing, until the reader goes or the server ends."""

    async def nothing(request: Request, body: bytes) -> AsyncIterator[bytes]:
        while not await _ended(request, 60, is_ending):
            pass
        return
        yield b""

    return SpoiledResponse(Response(), nothing, connections, sends_headers=False)


async def _ended(request: Request, seconds: float, is_ending: Callable[[], bool]) -> bool:
    """Wait; whether the reader or the server ended meanwhile."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        if is_ending() or await request.is_disconnected():
            return True
        left = until - loop.time()
        if left <= 0:
            return False
        await asyncio.sleep(min(_LOOK, left))
