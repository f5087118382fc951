"""What makes the load: wrk, h2load and bench/load, each with a fixed number of requests and an end."""

import json
import os
import re
import signal
import subprocess
import time

from proxies import BROWSER, TEMPLATES, Unfit, launch

LOAD_DEADLINE_SECONDS = 120
# Concurrent streams on each HTTP/2 connection.
STREAMS = 8


class Sent:
    """The result of a load: answers by kind, connections that broke, and the times it took."""

    def __init__(self, answers, refusals, broken, seconds, cpu, p50_us=None, p99_us=None):
        self.answers = answers
        self.refusals = refusals
        self.broken = broken
        self.seconds = seconds
        self.cpu = cpu
        self.p50_us = p50_us
        self.p99_us = p99_us


def send(case, server, count, plan, when_sent=lambda: None):
    """Sends `count` requests of a case to a server, and calls `when_sent` as the last is answered."""
    if case.tool == "wrk":
        return _wrk(case, server.port, count, plan, when_sent)
    if case.tool == "h2load":
        return _h2load(case, server, count, plan, when_sent)
    return _own(case, server, count, plan, when_sent)


def _finish(process):
    """Waits for a process whose output was read; returns its CPU seconds."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def _wrk(case, port, count, plan, when_sent):
    fields = [f"{name}: {value}" for name, value in plan.headers().items()]
    if case.close:
        fields.append("Connection: close")
    command = ["wrk", "-t", "1", "-c", str(plan.connections), "-d", f"{LOAD_DEADLINE_SECONDS}s",
               "--timeout", "10s", "-s", str(TEMPLATES / "load.lua")]
    for field in fields:
        command += ["-H", field]
    command += [f"http://127.0.0.1:{port}{case.path}", "--", str(count)]
    began = time.monotonic()
    process = launch([plan.load_core], command, stdout=subprocess.PIPE, text=True)
    lines = []
    seconds = 0
    try:
        for line in process.stdout:
            if line.strip() == "sent":
                seconds = time.monotonic() - began
                time.sleep(0.02)  # the last requests are still being answered
                when_sent()
                os.kill(process.pid, signal.SIGINT)
            lines.append(line)
    except BaseException:
        process.kill()
        raise
    cpu = _finish(process)
    printed = next((line for line in lines if line.startswith("{")), None)
    if printed is None or "sent\n" not in lines:
        raise Unfit("wrk did not send everything in time:\n" + "".join(lines))
    printed = json.loads(printed)
    # Requests in flight when wrk stopped are not among the answers.
    if printed["answers"] < count - plan.connections:
        raise Unfit(f"{printed['answers']} answers to {count} requests")
    return Sent(printed["answers"], printed["refusals"], printed["broken"], seconds, cpu,
                printed["p50_us"], printed["p99_us"])


def _run(command, core):
    """Runs a load to its end; returns what it printed, the seconds and its CPU seconds."""
    began = time.monotonic()
    process = launch([core], command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        text = process.stdout.read()
    except BaseException:
        process.kill()
        raise
    seconds = time.monotonic() - began
    cpu = _finish(process)
    if process.returncode != 0:
        raise Unfit(f"{command[0]} failed:\n{text[-1000:]}")
    return text, seconds, cpu


def _h2load(case, server, count, plan, when_sent):
    clients = plan.connections if case.protocol == "tls" else max(plan.connections // STREAMS, 1)
    streams = 1 if case.protocol == "tls" else STREAMS
    command = ["timeout", str(LOAD_DEADLINE_SECONDS), "h2load", "-t", "1", "-n", str(count),
               "-c", str(clients), "-m", str(streams)]
    command += ["--h1"] if case.protocol == "tls" else []
    for name, value in plan.headers().items():
        command += ["-H", f"{name.lower()}: {value}"]
    command += [f"https://localhost:{server.tls_port}{case.path}"]
    text, seconds, cpu = _run(command, plan.load_core)
    when_sent()
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", text)
    if not codes or not failed:
        raise Unfit(f"h2load printed nothing about answers:\n{text[-1000:]}")
    good, other, refused, bad = map(int, codes.groups())
    # What has a status of 4xx also counts as failed.
    broken = int(failed.group(2)) + int(failed.group(3)) + other + bad
    return Sent(good + refused, refused, broken, seconds, cpu)


def _own(case, server, count, plan, when_sent):
    port = server.port if case.protocol == "http1" else server.tls_port
    kind = ("resumed" if case.resumed else "full") if case.tool == "handshakes" else case.protocol
    command = ["timeout", str(LOAD_DEADLINE_SECONDS), str(plan.load), case.tool, str(port), str(count), kind]
    _, seconds, cpu = _run(command, plan.load_core)
    when_sent()
    # It ends with an error if a single one goes wrong.
    return Sent(count, 0, 0, seconds, cpu)


def steady(port, per_second, seconds, plan):
    """Requests at a steady rate; what visitors waited, in microseconds: p50 and p99."""
    text, _, _ = _run(["timeout", str(LOAD_DEADLINE_SECONDS), str(plan.load), "steady", str(port),
                       str(per_second), str(seconds), str(plan.connections)], plan.load_core)
    printed = json.loads(text)
    if printed["answers"] < per_second * seconds * 0.98:
        raise Unfit(f"{printed['answers']} answers at {per_second} requests per second")
    return printed["p50_us"], printed["p99_us"]


class Held:
    """bench/load, holding connections or streams, or acting as an origin that never responds."""

    def __init__(self, plan, *words):
        command = [str(plan.load), *map(str, words)]
        self.process = launch([plan.load_core], command, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.first = self.process.stdout.readline()
        if not self.first:
            printed = self.process.stderr.read()
            self.process.wait()
            raise Unfit(f"bench-load {' '.join(map(str, words))} failed: {printed[-500:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


__all__ = ["BROWSER", "Held", "Sent", "send", "steady"]
