#!/usr/bin/env python3
"""Compares what Portcullis, nginx, HAProxy and Caddy cost, on loopback, in one run.

What is measured and how noise is handled: README.md in this folder.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import instructions
import machine
import measure
import profile_gate
import proxies
import report
from cases import CASES, COUNTED, OVER_WORKERS
from proxies import BROWSER, Origin, Unfit

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent
PROXIES = ["portcullis", "nginx", "haproxy", "caddy"]
# Without these nothing can be measured; a peer that is not installed is left out.
TOOLS = {"nginx": "nginx-light", "wrk": "wrk", "h2load": "nghttp2-client", "taskset": "util-linux",
         "openssl": "openssl"}
PARTS = ["cost", "workers", "memory", "latency", "instructions"]
IDLE_KINDS = ("http1", "tls", "http2")


class Plan:
    """What one run does."""

    def __init__(self, arguments):
        self.smoke = arguments.smoke
        self.scale = 0.01 if arguments.smoke else arguments.scale
        self.rounds = 1 if arguments.smoke else arguments.rounds
        self.connections = 8 if arguments.smoke else arguments.connections
        self.idle_connections = 200 if arguments.smoke else arguments.idle
        # Connections, and streams on each.
        self.hanging = (5, 20) if arguments.smoke else (40, 50)
        self.steady_seconds = 1 if arguments.smoke else 3
        self.browser = not arguments.bare
        self.precedence = arguments.precedence
        self.gate = arguments.gate
        self.load = arguments.gate.parent / "bench-load"
        self.parts = arguments.parts
        self.proxies = [name for name in arguments.proxies
                        if name == "portcullis" or shutil.which(name) is not None]
        self.absent = [name for name in arguments.proxies if name not in self.proxies]
        self.cases = [case for case in CASES if case.name in arguments.cases]
        allowed = sorted(os.sched_getaffinity(0))
        self.allowed = allowed
        self.load_core = allowed[-1]
        if len(allowed) < 2 and not self.smoke:
            raise Unfit("two cores are needed: one for the proxy, one for load generator and origin")
        if self.precedence and os.geteuid() != 0:
            raise Unfit("--precedence needs root; without it, wait until the machine is quiet")

    def cores(self, workers):
        """The cores of a proxy; the load's is the last, which two workers on two cores share."""
        return self.allowed[:workers]

    def headers(self):
        return BROWSER if self.browser else {}

    def whole(self):
        """Whether the run is worth a page among the results."""
        return (self.scale >= 1 and self.rounds >= 3 and not self.smoke and self.parts == PARTS
                and {"portcullis", "nginx", "haproxy"} <= set(self.proxies) and self.cases == CASES)

    def about(self):
        """How the figures of a page were measured."""
        return {
            "command": "bench/run.py " + " ".join(sys.argv[1:]),
            "rounds": self.rounds, "connections": self.connections, "browser": self.browser,
            "precedence": self.precedence, "proxies": self.proxies, "absent": self.absent,
            "cases": [case.name for case in self.cases], "hanging": self.hanging,
            "proxy_core": self.allowed[0], "load_core": self.load_core, "parts": self.parts,
        }


def listed(known):
    def parse(text):
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(known)}")
        return [name for name in known if name in names]
    return parse


def counted(least, most):
    def parse(text):
        number = float(text) if "." in text else int(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"expected {least} to {most}, not {text}")
        return number
    return parse


def arguments():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    cases = [case.name for case in CASES]
    parser = argparse.ArgumentParser(
        description="Compare what Portcullis, nginx, HAProxy and Caddy cost.",
    )
    parser.add_argument("--smoke", action="store_true",
                        help="a few hundred requests each, to see that everything still works; writes nothing")
    parser.add_argument("--rounds", type=counted(1, 100), default=5, help="turns of each proxy (5)")
    parser.add_argument("--parts", type=listed(PARTS), default=PARTS,
                        help=f"what to measure, with commas between ({','.join(PARTS)})")
    parser.add_argument("--cases", type=listed(cases), default=cases,
                        help=f"which cases, with commas between ({','.join(cases)})")
    parser.add_argument("--proxies", type=listed(PROXIES), default=PROXIES,
                        help=f"which proxies, with commas between ({','.join(PROXIES)})")
    parser.add_argument("--connections", type=counted(1, 1000), default=64,
                        help="connections of the load generator (64)")
    parser.add_argument("--idle", type=counted(10, 13_000), default=10_000,
                        help="idle connections for the memory of each (10000)")
    parser.add_argument("--scale", type=counted(0.01, 20), default=1,
                        help="more or fewer requests per case, as a factor (1)")
    parser.add_argument("--bare", action="store_true",
                        help="requests without the headers of a browser: what a plain flood sends")
    parser.add_argument("--gate", type=pathlib.Path, default=target / "release" / "portcullis",
                        help="the binary of Portcullis, with bench-load next to it (target/release/portcullis)")
    parser.add_argument("--out", type=pathlib.Path,
                        help="the folder for the page of results (bench/results for a whole run; none for a partial one)")
    parser.add_argument("--precedence", action="store_true",
                        help="let what is measured go before everything else on a busy machine (nice -15; needs root)")
    parser.add_argument("--profile", action="store_true",
                        help="instead: sample where Portcullis spends its time in each case (needs perf)")
    parser.add_argument("--page", type=pathlib.Path, metavar="JSON",
                        help="instead: write the page of an earlier run again, from bench/out/DATE.json and notes.md")
    return parser.parse_args()


def check_tools(plan):
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise Unfit("please install what is missing: apt-get install " + " ".join(missing))
    for binary, package in ((plan.gate, "portcullis"), (plan.load, "bench-load")):
        if not binary.is_file():
            raise Unfit(f"there is no {binary}: build it with cargo build --release -p portcullis -p bench-load")
    files = machine.open_files()
    if files < plan.idle_connections + 5_000 and "memory" in plan.parts:
        raise Unfit(f"a process may open {files} files: raise it (ulimit -n 20000) or lower --idle")


def say(text):
    print(text, flush=True)


class Run:
    """Measurements one after the other. A measurement that fails twice is noted, and the rest continues."""

    def __init__(self, plan):
        self.plan = plan
        self.began = time.monotonic()
        self.results = {part: [] for part in PARTS}
        self.problems = []

    def one(self, part, what, measurement, *given, **more):
        for attempt in (1, 2):
            try:
                result = {**measurement(*given, self.plan), **more}
                break
            except (Unfit, OSError, ValueError, KeyError, subprocess.SubprocessError) as problem:
                self.say(f"{what}: attempt {attempt} failed: {problem}")
                if attempt == 2:
                    self.problems.append(f"{what}: {' '.join(str(problem).split())[:300]}")
                    return None
                time.sleep(1)
        self.results[part].append(result)
        return result

    def say(self, text):
        say(f"{time.monotonic() - self.began:5.0f} s  {text}")

    def turns(self, number):
        """The first of one round is the last of the next, so that none is favoured."""
        turn = number % len(self.plan.proxies)
        return self.plan.proxies[turn:] + self.plan.proxies[:turn]

    def cost(self, origin):
        for number in range(self.plan.rounds):
            for case in self.plan.cases:
                for proxy in filter(case.of, self.turns(number)):
                    self.one_cost("cost", number, proxy, case, origin, 1)

    def workers(self, origin):
        for number in range(min(self.plan.rounds, 3)):
            for case in self.plan.cases:
                if case.name in OVER_WORKERS:
                    for proxy in filter(case.of, self.turns(number)):
                        self.one_cost("workers", number, proxy, case, origin, 2)

    def one_cost(self, part, number, proxy, case, origin, workers):
        def measured(proxy, case, origin, plan):
            return measure.cost(proxy, case, origin, plan, workers)
        result = self.one(part, f"{case.name}, {proxy}", measured, proxy, case, origin, round=number + 1)
        if result:
            self.say(f"round {number + 1}/{self.plan.rounds}  {case.name:19} {proxy:10} {workers} "
                     f"{result['cpu_us']:8.2f} µs CPU  {result['per_second']:7} /s  "
                     f"busy {result['busy_share']:4.0%}  others {result['others_cpu_share']:4.0%}")

    def memory(self, origin):
        for proxy in self.plan.proxies:
            for kind in IDLE_KINDS:
                self.measure_memory(f"idle {kind}, {proxy}", measure.idle_memory, proxy, kind, origin)
            self.measure_memory(f"waiting streams, {proxy}", measure.stream_memory, proxy)

    def measure_memory(self, what, *measurement):
        result = self.one("memory", what, *measurement)
        if result:
            each = (result["held_bytes"] - result["before_bytes"]) / result["count"]
            self.say(f"{what}: {each / 1024:.1f} KiB each, {result['held_bytes'] / 1e6:.0f} MB in all")

    def latency(self, origin):
        rate = report.half_load(self.results["cost"]) or 2_000
        for number in range(min(self.plan.rounds, 2)):
            for proxy in [None, *self.turns(number)]:
                at = rate
                if proxy == "caddy":
                    at = min(rate, report.half_load(self.results["cost"], ["caddy"]) or 1_000)
                result = self.one("latency", f"latency, {proxy or 'origin'}", measure.latency, proxy, at, origin)
                if result:
                    self.say(f"{proxy or 'origin'} at {at} requests per second: "
                             f"p50 {result['p50_us']:.0f} µs, p99 {result['p99_us']:.0f} µs")

    def instructions(self, origin):
        if not instructions.supported():
            self.problems.append("instructions: valgrind is not installed")
            return
        for case in self.plan.cases:
            if case.name in COUNTED:
                for proxy in filter(case.of, self.plan.proxies):
                    if proxy not in instructions.CANNOT:
                        what = f"instructions, {case.name}, {proxy}"
                        result = self.one("instructions", what, instructions.count, proxy, case, origin)
                        if result:
                            self.say(f"{what}: {result['instructions']:,}")

    def all(self):
        with Origin(self.plan.load_core) as origin:
            for part in self.plan.parts:
                self.say(f"-- {part}")
                getattr(self, part)(origin)
        return {"results": self.results, "problems": self.problems,
                "seconds": round(time.monotonic() - self.began)}


def main():
    given = arguments()
    try:
        if given.page:
            return again(given)
        plan = Plan(given)
        if plan.precedence:
            proxies.precedence = True
        plan.gate, plan.load = plan.gate.resolve(), plan.load.resolve()
        check_tools(plan)
        for name in plan.absent:
            say(f"{name} is not installed, and is left out")
        if given.profile:
            profile_gate.run(plan, HERE / "out", say)
            return 0
        facts = machine.facts(REPOSITORY, plan.gate, plan.proxies)
        measured = {"facts": facts, "plan": plan.about(), **Run(plan).all()}
    except Unfit as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    for problem in measured["problems"]:
        print(f"bench: not measured: {problem}", file=sys.stderr)
    if plan.smoke:
        report.markdown(measured, notes())
        say("Everything answers as it should." if not measured["problems"] else "Something does not answer as it should.")
        say("These figures mean nothing; run without --smoke for some.")
        return 1 if measured["problems"] else 0
    out = HERE / "out"
    out.mkdir(exist_ok=True)
    file = out / f"{facts['date'].replace(':', '')}.json"
    file.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    keep(measured, given.out or (HERE / "results" if plan.whole() else None))
    say(f"Every measurement: {os.path.relpath(file)}; --page writes the page again from it.")
    return 1 if measured["problems"] else 0


def again(given):
    try:
        measured = json.loads(given.page.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise Unfit(f"{given.page} is not what a run has left: {problem}") from problem
    keep(measured, given.out or HERE / "results")
    return 0


def notes():
    return (HERE / "notes.md").read_text(encoding="utf-8")


def keep(measured, folder):
    """Shows the page, and writes it into `folder` if there is one."""
    page = report.markdown(measured, notes())
    say("\n" + page)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        name = measured["facts"]["date"][:10] + ("" if measured["plan"]["browser"] else "-bare")
        (folder / f"{name}.md").write_text(page, encoding="utf-8")
        say(f"Written to {folder / name}.md")


if __name__ == "__main__":
    sys.exit(main())
