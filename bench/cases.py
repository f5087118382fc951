"""What is measured: the rows of the table of CPU time, in its order."""

from dataclasses import dataclass

from proxies import CLOSED, OPEN

# Caddy has no limits by source, so it refuses no request.
NEVER_REFUSES = ("caddy",)


@dataclass(frozen=True)
class Case:
    """A kind of request, how it is made, and what the answers to it have to be."""

    name: str
    title: str
    # What makes the load (loads.py): wrk, h2load, visits or handshakes.
    tool: str
    requests: int
    # "http1", "tls" (HTTP/1.1 over TLS) or "http2" (over TLS).
    protocol: str = "http1"
    path: str = "/small.html"
    status: int = 200
    # A new connection for each request.
    close: bool = False
    resumed: bool = False
    # The limit relative to HAProxy; the limit relative to the best proxy is the same for every row.
    of_haproxy: float = 1.0

    @property
    def limits(self):
        return CLOSED if self.status == 429 else OPEN

    def of(self, proxy):
        """Whether a proxy can be measured."""
        return not (self.status == 429 and proxy in NEVER_REFUSES)


CASES = [
    Case("forwarded", "forwarded 1 KiB, HTTP/1.1", "wrk", 60_000),
    Case("forwarded-tls", "forwarded 1 KiB, HTTP/1.1 over TLS", "h2load", 40_000, "tls"),
    Case("forwarded-h2", "forwarded 1 KiB, HTTP/2", "h2load", 50_000, "http2"),
    Case("large", "forwarded 100 KiB, HTTP/1.1", "wrk", 12_000, path="/large.html"),
    Case("large-h2", "forwarded 100 KiB, HTTP/2", "h2load", 6_000, "http2", path="/large.html"),
    Case("refused", "refused (429), HTTP/1.1", "wrk", 100_000, status=429, of_haproxy=0.8),
    Case("refused-h2", "refused (429), HTTP/2", "h2load", 100_000, "http2", status=429),
    Case("connections", "forwarded 1 KiB, HTTP/1.1, a new connection each", "wrk", 15_000, close=True),
    Case("connections-h2", "forwarded 1 KiB, HTTP/2, a new connection each", "visits", 2_500, "http2", close=True),
    Case("refused-connections", "refused (429), HTTP/1.1, a new connection each", "wrk", 20_000,
         status=429, close=True),
    Case("full", "TLS 1.3 handshake, full", "handshakes", 3_000, "tls", close=True),
    Case("resumed", "TLS 1.3 handshake, resumed", "handshakes", 3_000, "tls", close=True, resumed=True),
]

# With one worker and with two.
OVER_WORKERS = ("forwarded", "refused")
# Instructions are counted in these; the others spend most of theirs in OpenSSL or the kernel.
COUNTED = ("forwarded", "forwarded-h2", "large", "refused", "refused-h2", "connections")
