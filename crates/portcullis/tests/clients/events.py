"""Server-sent events by the package `httpx-sse`. Usage: events.py URL

Prints each event as it comes; the origin sends the next one only after this one has arrived."""

import json
import sys

import httpx
from httpx_sse import connect_sse

with httpx.Client(verify=False, timeout=20, trust_env=False) as client:
    with connect_sse(client, "GET", sys.argv[1]) as source:
        for event in source.iter_sse():
            print(json.dumps([event.event, event.id, event.data]), flush=True)
