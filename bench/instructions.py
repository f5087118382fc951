"""Instructions for each request, counted by valgrind: no clock, and no neighbour disturbs it.

What the kernel does is not among them. A program runs some fifty times slower under valgrind, so
that a few thousand requests have to do; what it does by the clock (the gate's control loop runs
four times a second) is part of the figure, and counts more than it would at full speed.
"""

import re
import shutil
import subprocess
import time

import loads
import machine
from measure import check
from proxies import Unfit, start

# Go programs do not run under valgrind.
CANNOT = ("caddy",)
# Enough for two digits.
REQUESTS = 3_000


def supported():
    return shutil.which("valgrind") is not None and shutil.which("callgrind_control") is not None


def count(name, case, origin, plan):
    """Instructions for each request of a case."""
    requests = min(max(int(case.requests * plan.scale), plan.connections * 2), REQUESTS)
    if case.path == "/large.html":
        requests //= 4
    with start(name, plan.cores(1), origin.port, case.limits, plan.gate,
               under=["valgrind", "--tool=callgrind", "--callgrind-out-file={folder}/callgrind"]) as proxy:
        loads.send(case, proxy, max(requests // 4, plan.connections * 2), plan)
        pids = machine.process_tree(proxy.process.pid)
        _control("--zero", pids[-1])
        sent = loads.send(case, proxy, requests, plan)
        _control("--dump", pids[-1])
        file = proxy.folder / "callgrind.1"
        deadline = time.monotonic() + 10
        total = None
        while total is None and time.monotonic() < deadline:
            time.sleep(0.1)
            if file.exists():
                found = re.search(r"^totals: (\d+)", file.read_text(errors="replace"), re.MULTILINE)
                total = int(found.group(1)) if found else None
    check(case, sent, requests)
    if total is None:
        raise Unfit("callgrind wrote no totals")
    return {"proxy": name, "case": case.name, "requests": requests, "instructions": round(total / requests)}


def _control(what, pid):
    done = subprocess.run(["callgrind_control", what, str(pid)], capture_output=True, text=True,
                          timeout=30, check=False)
    if done.returncode != 0 or "OK" not in done.stdout:
        raise Unfit(f"callgrind_control {what} failed:\n{done.stdout}{done.stderr}")
