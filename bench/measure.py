"""One measurement: a proxy, a case, a fixed number of requests, and what they cost."""

import json
import os
import re
import signal
import subprocess
import time

import machine
from proxies import BROWSER, CLOSED, OPEN, TEMPLATES, Unfit, launch, start

LOAD_DEADLINE_SECONDS = 120


class Case:
    """A kind of request, and what the answers to it have to be."""

    def __init__(self, name, title, path, requests, status, limits=OPEN, close=False):
        self.name = name
        self.title = title
        self.path = path
        self.requests = requests
        self.status = status
        self.limits = limits
        self.close = close


CASES = [
    Case("forwarded", "Forwarded, 1 KiB answers, keep-alive", "/small.html", 100_000, 200),
    Case("refused", "Refused with 429 by the rate of the source, keep-alive", "/small.html",
         150_000, 429, limits=CLOSED),
    Case("large", "Forwarded, 100 KiB answers, keep-alive", "/large.html", 20_000, 200),
    Case("connections", "Forwarded, 1 KiB answers, a new connection for each request",
         "/small.html", 20_000, 200, close=True),
]


class Load:
    """wrk, sending a fixed number of requests."""

    def __init__(self, port, case, count, core, connections, headers, counting):
        fields = [f"{name}: {value}" for name, value in headers.items()]
        if case.close:
            fields.append("Connection: close")
        command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{LOAD_DEADLINE_SECONDS}s",
                   "--timeout", "10s", "-s", str(TEMPLATES / "load.lua")]
        for field in fields:
            command += ["-H", field]
        command += [f"http://127.0.0.1:{port}{case.path}", "--", str(count)]
        command += ["count"] if counting else []
        self.began = time.monotonic()
        self.process = launch(core, command, stdout=subprocess.PIPE, text=True)

    def finish(self, when_sent=lambda: None):
        """Waits until all was sent; returns wrk's summary, seconds taken and its CPU seconds."""
        lines = []
        try:
            for line in self.process.stdout:
                if line.strip() == "sent":
                    seconds = time.monotonic() - self.began
                    when_sent()
                    os.kill(self.process.pid, signal.SIGINT)
                lines.append(line)
        except BaseException:
            self.process.kill()
            raise
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        said = next((line for line in lines if line.startswith("{")), None)
        if said is None or "sent\n" not in lines:
            raise Unfit("wrk did not send everything in time; it said:\n" + "".join(lines))
        return json.loads(said), seconds, usage.ru_utime + usage.ru_stime


class Counters:
    """Instructions of processes by `perf stat`, where the machine has the counters."""

    supported = None

    @classmethod
    def probe(cls):
        if cls.supported is None:
            try:
                done = subprocess.run(
                    ["perf", "stat", "-x", ";", "-e", "instructions", "true"],
                    capture_output=True, text=True, check=False,
                )
                cls.supported = cls._read(done.stderr) is not None
            except OSError:
                cls.supported = False
        return cls.supported

    @staticmethod
    def _read(text):
        found = re.search(r"^(\d+);[^;]*;instructions", text, re.MULTILINE)
        return int(found.group(1)) if found else None

    def __init__(self, pids):
        self.process = None
        if self.probe():
            self.process = subprocess.Popen(
                ["perf", "stat", "-x", ";", "-e", "instructions", "-p", ",".join(map(str, pids))],
                stderr=subprocess.PIPE, text=True,
            )
            time.sleep(0.3)  # it attaches before it says anything

    def stop(self):
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGINT)
        return self._read(self.process.communicate(timeout=10)[1])


def check_answers(name, case, said, count, connections):
    """The answers have to be what the case is about, or the figure would mean nothing."""
    answers, refusals = said["answers"], said["refusals"]
    # What was still under way when wrk stopped is not among the answers.
    if said["broken"] or not count - connections <= answers <= count + 1:
        raise Unfit(f"{name}, {case.name}: {answers} answers to {count} requests, "
                    f"{said['broken']} broken connections")
    # A rate of one per second lets one through per second.
    wanted = refusals if case.status >= 400 else answers - refusals
    if wanted < answers * 0.995:
        raise Unfit(f"{name}, {case.name}: {refusals} of {answers} answers were refusals")
    for status, seen in said["statuses"].items():
        if int(status) not in (200, case.status):
            raise Unfit(f"{name}, {case.name}: {seen} answers with status {status}")


def probe(name, case, proxy):
    """Asks once, sees that the status is the case's, and returns the answer's size."""
    # A rate of one per second may let the first one through.
    for _ in range(3):
        status, head_bytes, body_bytes = proxy.answer(case.path)
        if status == case.status:
            return head_bytes, body_bytes
    raise Unfit(f"{name}, {case.name}: answered {status} instead of {case.status}")


def measure(name, case, origin, plan):
    """Measures once, with a proxy started for it and warmed up."""
    with start(name, plan.proxy_core, origin, case.limits, plan.gate) as proxy:
        count = max(int(case.requests * plan.scale), 50 * plan.connections if plan.scale >= 1 else 200)
        headers = BROWSER if plan.browser else {}
        load = (proxy.port, case)
        rest = (plan.load_core, plan.connections, headers)
        warm_up = max(count // 10, 200)
        warm, _, _ = Load(*load, warm_up, *rest, counting=True).finish()
        if case.status == 200:
            check_answers(name, case, warm, warm_up, plan.connections)
        head_bytes, body_bytes = probe(name, case, proxy)
        pids = proxy.pids()
        counters = Counters(pids)
        ours = pids + origin.pids()
        load_average = machine.load_average()
        busy, stolen = machine.machine_cpu_seconds()
        ours_before = sum(machine.cpu_seconds(ours))
        user, system = machine.cpu_seconds(pids)
        after = {}

        def when_sent():
            time.sleep(0.02)  # the last requests are still being answered
            after["cpu"] = machine.cpu_seconds(pids)

        said, seconds, load_cpu = Load(*load, count, *rest, counting=False).finish(when_sent)
        ours_after = sum(machine.cpu_seconds(ours))
        busy_after, stolen_after = machine.machine_cpu_seconds()
        instructions = counters.stop()
        if pids != proxy.pids():
            raise Unfit(f"{name}, {case.name}: its processes changed while it was measured")
        probe(name, case, proxy)
    check_answers(name, case, {**said, "statuses": {}}, count, plan.connections)
    user, system = after["cpu"][0] - user, after["cpu"][1] - system
    others = busy_after - busy - (ours_after - ours_before) - load_cpu
    return {
        "proxy": name,
        "case": case.name,
        "requests": count,
        "answers": said["answers"],
        "refusals": said["refusals"],
        "warm_up_statuses": warm["statuses"],
        "answer_head_bytes": head_bytes,
        "answer_body_bytes": body_bytes,
        "seconds": round(seconds, 4),
        "cpu_user_seconds": round(user, 2),
        "cpu_system_seconds": round(system, 2),
        "cpu_us_per_request": round((user + system) / count * 1e6, 3),
        "requests_per_second": round(count / seconds),
        "busy_share": round((user + system) / seconds, 3),
        "p50_us": said["p50_us"],
        "p99_us": said["p99_us"],
        "instructions_per_request": round(instructions / count) if instructions else None,
        "load_average": load_average,
        "others_cpu_share": round(max(others, 0) / seconds, 3),
        "stolen_share": round((stolen_after - stolen) / seconds, 3),
    }
