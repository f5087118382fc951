"""WebSockets by the package `websockets`, at both ends. Usage: websocket.py serve, or websocket.py visit URI"""

import asyncio
import http
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

MIB = 1024 * 1024
LARGEST = 4 * MIB


def same(is_, should, what):
    if is_ != should:
        raise SystemExit(f"{what}: {str(is_)[:300]!r} is not {str(should)[:300]!r}")


async def echo(socket):
    path = socket.request.path
    if path.startswith("/close/"):
        await socket.close(int(path.rsplit("/", 1)[1]), "as you wish")
    elif path == "/abort":
        await socket.recv()
        socket.transport.abort()
    elif path == "/talks-first":
        for n in range(50):
            await socket.send(f"message {n}")
    elif path == "/pings":
        await (await socket.ping(b"are you there"))
        await socket.send("you are")
    else:
        async for message in socket:
            await socket.send(message)


def refuse(connection, request):
    if request.path == "/refused":
        return connection.respond(http.HTTPStatus.FORBIDDEN, "not you\n")
    return None


async def origin():
    async with serve(echo, "127.0.0.1", 0, process_request=refuse, max_size=LARGEST, ping_interval=None,
                     subprotocols=["chat"]) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        # Until the test that started this has ended.
        await asyncio.to_thread(sys.stdin.read)


async def visit(base):
    context = None
    if base.startswith("wss:"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

    def to(path, **more):
        return connect(base + path, ssl=context, proxy=None, max_size=LARGEST, ping_interval=None, open_timeout=20,
                       subprotocols=["chat"], **more)

    for compression in [None, "deflate"]:
        async with to("/echo", compression=compression) as socket:
            same(socket.subprotocol, "chat", "subprotocol")
            for message in ["text", "", "gr\u00fc\u00dfe \U0001f3f0", b"binary\0\xff", b"", bytes(range(256)) * (MIB // 256),
                            "x" * (MIB + 1)]:
                await socket.send(message)
                same(await socket.recv(), message, "echo")
            # In fragments, with a ping among them.
            async def fragments():
                for n in range(10):
                    yield f"fragment {n}, "

            await socket.send(fragments())
            same(await socket.recv(), "".join(f"fragment {n}, " for n in range(10)), "fragments")
            await asyncio.wait_for(await socket.ping(b"ping"), 20)
            # Many messages, both ways at the same time.
            wishes = [f"{n} " * n for n in range(300)]

            async def send():
                for wish in wishes:
                    await socket.send(wish)

            sending = asyncio.create_task(send())
            for wish in wishes:
                same(await socket.recv(), wish, "many")
            await sending
            await socket.close(4001, "enough")
            same((socket.close_code, socket.close_reason), (4001, "enough"), "our close")
    for code in [1000, 1001, 1011, 4999]:
        async with to(f"/close/{code}") as socket:
            try:
                await socket.recv()
            except ConnectionClosed as closed:
                same((closed.rcvd.code, closed.rcvd.reason), (code, "as you wish"), "their close")
            else:
                raise SystemExit("no close came")
    async with to("/talks-first") as socket:
        for n in range(50):
            same(await socket.recv(), f"message {n}", "talks first")
    async with to("/pings") as socket:
        same(await socket.recv(), "you are", "pings")
    async with to("/abort") as socket:
        await socket.send("go")
        try:
            await asyncio.wait_for(socket.recv(), 20)
        except ConnectionClosed as closed:
            same(closed.rcvd, None, "an end without a close")
    try:
        async with to("/refused"):
            raise SystemExit("it was accepted")
    except InvalidStatus as refused:
        same((refused.response.status_code, refused.response.body), (403, b"not you\n"), "refused")
    # Many side by side.
    async def one(n):
        async with to("/echo") as socket:
            for m in range(5):
                await socket.send(f"{n} {m}")
                same(await socket.recv(), f"{n} {m}", "side by side")

    await asyncio.gather(*(one(n) for n in range(20)))
    print("all as it should be")


asyncio.run(origin() if sys.argv[1] == "serve" else visit(sys.argv[2]))
