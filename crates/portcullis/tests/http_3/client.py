"""An HTTP/3 visitor by aioquic: one connection, a few requests. Prints a JSON line for each answer, and one at the end
that reports whether a Retry came. Usage: client.py PORT [METHOD PATH [BYTES]]..."""

import asyncio
import hashlib
import json
import ssl
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration


class Visitor(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = H3Connection(self._quic)
        self.answers = {}

    def quic_event_received(self, event):
        for received in self.http.handle_event(event):
            answer = self.answers.get(received.stream_id)
            if answer is None:
                continue
            if isinstance(received, HeadersReceived):
                answer["head"].update({k.decode(): v.decode() for k, v in received.headers})
            elif isinstance(received, DataReceived):
                answer["body"] += received.data
            if received.stream_ended and not answer["over"].done():
                answer["over"].set_result(None)

    async def ask(self, method, path, body):
        stream = self._quic.get_next_available_stream_id()
        over = asyncio.get_running_loop().create_future()
        self.answers[stream] = answer = {"head": {}, "body": bytearray(), "over": over}
        headers = [(b":method", method.encode()), (b":scheme", b"https"), (b":authority", b"example.org"),
                   (b":path", path.encode())]
        if body is not None:
            headers.append((b"content-length", str(len(body)).encode()))
        self.http.send_headers(stream, headers, end_stream=body is None)
        if body is not None:
            self.http.send_data(stream, body, end_stream=True)
        self.transmit()
        await asyncio.wait_for(over, 30)
        received = bytes(answer["body"])
        return {"status": int(answer["head"][":status"]), "length": len(received), "head": answer["head"],
                "sha256": hashlib.sha256(received).hexdigest(), "start": received[:200].decode("latin-1")}


async def main(port, wishes):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE,
                                      server_name="example.org")
    async with connect("127.0.0.1", port, configuration=configuration, create_protocol=Visitor) as visitor:
        for method, path, body in wishes:
            print(json.dumps(await visitor.ask(method, path, body)), flush=True)
        print(json.dumps({"retried": visitor._quic._retry_count > 0}), flush=True)


def wished(words):
    wishes = []
    while words:
        method, path = words[:2]
        words = words[2:]
        body = None
        if words and words[0].isdigit():
            body = bytes(n % 251 for n in range(int(words[0])))
            words = words[1:]
        wishes.append((method, path, body))
    return wishes


asyncio.run(main(int(sys.argv[1]), wished(sys.argv[2:])))
