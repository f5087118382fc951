"""One measurement: a proxy and a case, and what it cost."""

import json
import time

import loads
import machine
from proxies import HANGING, OPEN, ROOMY, Unfit, start

# The share of the requests that the others get: enough for a figure several times theirs.
REQUEST_SHARE = {"caddy": 0.3}
# How long a proxy has to release memory before it is read.
SETTLE_SECONDS = 1.5


def check(case, sent, count):
    """Checks that the responses are those of the case; otherwise the figure would mean nothing."""
    if sent.broken:
        raise Unfit(f"{sent.broken} broken connections or wrong answers")
    # A rate of one per second lets one through per second.
    wanted = sent.refusals if case.status == 429 else sent.answers - sent.refusals
    if wanted < sent.answers * 0.995 - 2:
        raise Unfit(f"{sent.refusals} of {sent.answers} answers were refusals")


def probe(case, proxy):
    """Sends one request, checks its status, and returns the size of the response."""
    # A rate of one per second may let the first one through.
    for _ in range(3):
        status, head_bytes, body_bytes = proxy.answer(case.path)
        if status == case.status:
            return head_bytes, body_bytes
    raise Unfit(f"an answer with status {status} instead of {case.status}")


def cost(name, case, origin, plan, workers=1):
    """CPU time of a proxy for one case: warmed up, then a fixed number of requests."""
    count = max(int(case.requests * plan.scale * REQUEST_SHARE.get(name, 1)), plan.connections * 2)
    warm_up = max(count // 10, plan.connections * 2)
    with start(name, plan.cores(workers), origin.port, case.limits, plan.gate, workers) as proxy:
        check(case, loads.send(case, proxy, warm_up, plan), warm_up)
        head_bytes, body_bytes = probe(case, proxy)
        pids = proxy.pids()
        ours = pids + origin.pids()
        load_average = machine.load_average()
        busy, stolen = machine.machine_cpu_seconds()
        ours_before = sum(machine.cpu_seconds(ours))
        user, system = machine.cpu_seconds(pids)
        run = machine.run_seconds(pids)
        after = {}

        def when_sent():
            after["cpu"] = machine.cpu_seconds(pids)
            after["run"] = machine.run_seconds(pids)

        sent = loads.send(case, proxy, count, plan, when_sent)
        ours_after = sum(machine.cpu_seconds(ours))
        busy_after, stolen_after = machine.machine_cpu_seconds()
        if pids != proxy.pids():
            raise Unfit("its processes changed while it was measured")
        probe(case, proxy)
    check(case, sent, count)
    user, system = after["cpu"][0] - user, after["cpu"][1] - system
    # To the nanosecond where the kernel reports it; otherwise in ticks of 10 ms.
    seconds = user + system if run is None else after["run"] - run
    others = busy_after - busy - (ours_after - ours_before) - sent.cpu
    return {
        "proxy": name,
        "case": case.name,
        "workers": workers,
        "requests": count,
        "answers": sent.answers,
        "refusals": sent.refusals,
        "answer_head_bytes": head_bytes,
        "answer_body_bytes": body_bytes,
        "seconds": round(sent.seconds, 4),
        "cpu_us": round(seconds / count * 1e6, 3),
        "system_share": round(system / (user + system), 3) if user + system else None,
        "per_second": round(count / sent.seconds),
        "busy_share": round(seconds / sent.seconds, 3),
        "load_average": load_average,
        "others_cpu_share": round(max(others, 0) / sent.seconds, 3),
        "stolen_share": round((stolen_after - stolen) / sent.seconds, 3),
    }


def idle_memory(name, kind, origin, plan):
    """What a proxy holds for idle connections that have each made one request."""
    count = plan.idle_connections
    with start(name, plan.cores(1), origin.port, ROOMY, plan.gate) as proxy:
        port = proxy.port if kind == "http1" else proxy.tls_port
        # Allocations of the first requests of each kind are made before.
        with loads.Held(plan, "idle", port, 50, kind):
            pass
        time.sleep(SETTLE_SECONDS / 3)
        before = machine.memory_bytes(proxy.pids())
        with loads.Held(plan, "idle", port, count, kind):
            time.sleep(SETTLE_SECONDS)
            held = machine.memory_bytes(proxy.pids())
    return {"proxy": name, "what": f"idle-{kind}", "count": count, "before_bytes": before, "held_bytes": held}


def stream_memory(name, plan):
    """What a proxy holds for requests that wait for an origin that never answers."""
    connections, streams = plan.hanging
    with loads.Held(plan, "origin") as silent:
        port = json.loads(silent.first)["port"]
        with start(name, plan.cores(1), port, HANGING, plan.gate) as proxy:
            before = machine.memory_bytes(proxy.pids())
            with loads.Held(plan, "streams", proxy.tls_port, connections, streams):
                time.sleep(SETTLE_SECONDS)
                held = machine.memory_bytes(proxy.pids())
    return {"proxy": name, "what": "streams", "count": connections * streams,
            "before_bytes": before, "held_bytes": held}


def latency(name, per_second, origin, plan):
    """The latency at a steady rate; `name` is None for the origin alone."""
    def measured(port):
        loads.steady(port, per_second // 4, 1, plan)
        return loads.steady(port, per_second, plan.steady_seconds, plan)

    if name is None:
        p50, p99 = measured(origin.port)
    else:
        with start(name, plan.cores(1), origin.port, OPEN, plan.gate) as proxy:
            p50, p99 = measured(proxy.port)
    return {"proxy": name or "origin", "per_second": per_second, "p50_us": p50, "p99_us": p99}
