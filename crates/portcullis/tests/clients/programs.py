"""Public HTTP/1.1 clients at work through the gate. Usage: programs.py LIBRARY BASE

Each library is made to do the same work; a wrong response is an error of this program.
"""

import asyncio
import hashlib
import http.client
import itertools
import json
import ssl
import sys
import urllib.parse

MIB = 1024 * 1024


def pattern(size):
    return bytes(n % 251 for n in range(251)) * (size // 251) + bytes(range(size % 251))


def chunks():
    """A body of unknown length, in chunks of many sizes: 300 000 bytes."""
    body = pattern(300_000)
    at = 0
    for size in itertools.cycle([1, 10_000, 16_384, 3, 65_537]):
        if at >= len(body):
            return
        yield body[at : at + size]
        at += size


def same(is_, should, what):
    if is_ != should:
        raise SystemExit(f"{what}: {str(is_)[:500]!r} is not {str(should)[:500]!r}")


def same_echo(content, method, path, body, what):
    """Compares the request that the origin received."""
    got = json.loads(content)
    same((got["method"], got["path"]), (method, path), what)
    same((got["length"], got["sha256"]), (len(body), hashlib.sha256(body).hexdigest()), what)


def work(ask, broken):
    """`ask(method, path, body, headers)` gives status, headers (any mapping without regard to case) and content."""
    for n in range(20):
        status, _, content = ask("GET", f"/echo?n={n}", None, {})
        same(status, 200, "keep-alive")
        same_echo(content, "GET", f"/echo?n={n}", b"", "keep-alive")
    for size in [0, 1, 8192, 65_537, MIB + 1]:
        status, _, content = ask("POST", f"/echo/{size}", pattern(size), {})
        same_echo(content, "POST", f"/echo/{size}", pattern(size), f"{size} up")
        for form in ["length", "chunked", "close"]:
            status, _, content = ask("GET", f"/{form}/{size}", None, {})
            same((status, len(content)), (200, size), f"{form} {size}")
            same(content, pattern(size), f"{form} {size}")
    status, _, content = ask("PUT", "/echo/chunks", chunks(), {})
    same_echo(content, "PUT", "/echo/chunks", pattern(300_000), "chunks up")
    status, headers, content = ask("HEAD", "/length/5000", None, {})
    same((status, headers["content-length"], content), (200, "5000", b""), "HEAD")
    status, _, content = ask("GET", "/204", None, {})
    same((status, content), (204, b""), "204")
    status, headers, content = ask("GET", "/304", None, {"If-None-Match": '"a"'})
    same((status, headers["etag"], content), (304, '"a"', b""), "304")
    status, headers, content = ask("GET", "/range/1000", None, {"Range": "bytes=10-19"})
    same((status, content), (206, pattern(20)[10:]), "Range")
    same(headers["content-range"], "bytes 10-19/1000", "Range")
    status, _, content = ask("GET", "/hints", None, {})
    same((status, content), (200, b"behind the hints"), "1xx")
    status, _, content = ask("DELETE", "/404", None, {})
    same((status, content), (404, b"not here"), "404")
    for path in ["/cut/length", "/cut/chunked"]:
        try:
            status, _, content = ask("GET", path, None, {})
        except broken:
            pass
        else:
            raise SystemExit(f"{path}: half an answer was taken for whole: {status}, {len(content)} bytes")
    status, _, content = ask("GET", "/echo", None, {})
    same_echo(content, "GET", "/echo", b"", "after the broken ones")


def trusting():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def by_http_client(base):
    url = urllib.parse.urlsplit(base)
    if url.scheme == "https":
        connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=20, context=trusting())
    else:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)

    def ask(method, path, body, headers):
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except http.client.HTTPException:
            connection.close()
            raise

    work(ask, http.client.IncompleteRead)


def by_requests(base):
    import requests
    import urllib3

    urllib3.disable_warnings()
    session = requests.Session()
    session.trust_env = False
    session.verify = False

    def ask(method, path, body, headers):
        answer = session.request(method, base + path, data=body, headers=headers, timeout=20)
        return answer.status_code, answer.headers, answer.content

    work(ask, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError))


def by_httpx(base):
    import httpx

    with httpx.Client(verify=False, timeout=20, trust_env=False) as client:

        def ask(method, path, body, headers):
            answer = client.request(method, base + path, content=body, headers=headers)
            return answer.status_code, answer.headers, answer.content

        work(ask, httpx.RemoteProtocolError)


def by_aiohttp(base):
    import aiohttp

    async def main():
        loop = asyncio.get_running_loop()
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(timeout=timeout) as session:

            async def exchange(method, path, body, headers):
                if hasattr(body, "__next__"):
                    body = in_time(body)
                async with session.request(method, base + path, data=body, headers=headers, ssl=False) as answer:
                    return answer.status, answer.headers, await answer.read()

            def ask(*wish):
                return asyncio.run_coroutine_threadsafe(exchange(*wish), loop).result(30)

            await asyncio.to_thread(work, ask, aiohttp.ClientError)

            # Thirty at a time, over connections that stay open.
            async def one(n):
                status, _, content = await exchange("POST", f"/echo/{n}", pattern(n * 1000), {})
                same(status, 200, "concurrent")
                same_echo(content, "POST", f"/echo/{n}", pattern(n * 1000), "concurrent")

            for _ in range(3):
                await asyncio.gather(*(one(n) for n in range(30)))

    async def in_time(body):
        for piece in body:
            yield piece

    asyncio.run(main())


libraries = {"http.client": by_http_client, "requests": by_requests, "httpx": by_httpx, "aiohttp": by_aiohttp}
libraries[sys.argv[1]](sys.argv[2])
print("all as it should be")
