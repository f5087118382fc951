#!/usr/bin/env python3
"""Compares the CPU time per request of Portcullis, nginx and HAProxy, on loopback, in one run.

What is measured and how noise is handled: README.md in this folder.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys

sys.dont_write_bytecode = True

import machine
import measure
import profile_gate
import proxies
import report
from proxies import Origin, Unfit

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent
PROXIES = ["portcullis", "nginx", "haproxy"]
PACKAGES = {"nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk", "taskset": "util-linux"}


class Plan:
    """What one run does."""

    def __init__(self, arguments):
        self.smoke = arguments.smoke
        self.scale = 0.003 if arguments.smoke else arguments.scale
        self.rounds = 1 if arguments.smoke else arguments.rounds
        self.connections = 8 if arguments.smoke else arguments.connections
        self.browser = not arguments.bare
        self.precedence = arguments.precedence
        self.gate = arguments.gate
        self.proxies = arguments.proxies
        self.cases = [case for case in measure.CASES if case.name in arguments.cases]
        allowed = sorted(os.sched_getaffinity(0))
        self.proxy_core, self.load_core = allowed[0], allowed[-1]
        if len(allowed) < 2 and not self.smoke:
            raise Unfit("two cores are needed: one for the proxy, one for load generator and origin")
        if self.precedence and os.geteuid() != 0:
            raise Unfit("--precedence needs root; without it, wait until the machine is quiet")

    def whole(self):
        """Whether the run is worth a page among the results."""
        return (self.scale >= 1 and self.rounds >= 5
                and self.proxies == PROXIES and self.cases == measure.CASES)


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
    cases = [case.name for case in measure.CASES]
    parser = argparse.ArgumentParser(
        description="Compare the CPU time per request of Portcullis, nginx and HAProxy.",
    )
    parser.add_argument("--smoke", action="store_true",
                        help="a few hundred requests each, to see that everything still works; writes nothing")
    parser.add_argument("--rounds", type=counted(1, 100), default=7, help="turns of each proxy (7)")
    parser.add_argument("--cases", type=listed(cases), default=cases,
                        help=f"which cases, with commas between ({','.join(cases)})")
    parser.add_argument("--proxies", type=listed(PROXIES), default=PROXIES,
                        help=f"which proxies, with commas between ({','.join(PROXIES)})")
    parser.add_argument("--connections", type=counted(1, 1000), default=64,
                        help="connections of the load generator (64)")
    parser.add_argument("--scale", type=counted(0.01, 20), default=1,
                        help="more or fewer requests than each case has by itself, as a factor (1)")
    parser.add_argument("--bare", action="store_true",
                        help="requests without the headers of a browser: what a plain flood sends")
    parser.add_argument("--gate", type=pathlib.Path, default=target / "release" / "portcullis",
                        help="the binary of Portcullis (target/release/portcullis)")
    parser.add_argument("--out", type=pathlib.Path,
                        help="the folder for the page of results (bench/results for a whole run; none for a partial one)")
    parser.add_argument("--precedence", action="store_true",
                        help="let what is measured go before everything else on a busy machine (nice -15; needs root)")
    parser.add_argument("--profile", action="store_true",
                        help="instead: sample where Portcullis spends its time in each case (needs perf)")
    return parser.parse_args()


def check_tools(plan):
    missing = [package for tool, package in PACKAGES.items()
               if shutil.which(tool) is None and (tool in ("wrk", "nginx", "taskset") or tool in plan.proxies)]
    if missing:
        raise Unfit("please install what is missing: apt-get install " + " ".join(missing))
    if "portcullis" in plan.proxies and not plan.gate.is_file():
        raise Unfit(f"there is no {plan.gate}: build it with cargo build --release, or name it with --gate")


def say(text):
    print(text, flush=True)


def run(plan):
    """All measurements, the proxies taking turns."""
    results = []
    with Origin(plan.load_core) as origin:
        for number in range(plan.rounds):
            for case in plan.cases:
                # The first of one round is the last of the next, so that none is favoured.
                turn = number % len(plan.proxies)
                for proxy in plan.proxies[turn:] + plan.proxies[:turn]:
                    result = measure.measure(proxy, case, origin, plan)
                    results.append({"round": number + 1, **result})
                    say(f"round {number + 1}/{plan.rounds}  {case.name:11} {proxy:10} "
                        f"{result['cpu_us_per_request']:8.2f} µs CPU  {result['requests_per_second']:7} /s  "
                        f"busy {result['busy_share']:4.0%}  others {result['others_cpu_share']:4.0%}")
    return results


def main():
    given = arguments()
    try:
        plan = Plan(given)
        if plan.precedence:
            proxies.precedence = True
        plan.gate = plan.gate.resolve()
        check_tools(plan)
        facts = machine.facts(REPOSITORY, plan.gate if "portcullis" in plan.proxies else None)
        if given.profile:
            profile_gate.run(plan, HERE / "out", say)
            return 0
        results = run(plan)
    except Unfit as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    if plan.smoke:
        say("Everything answers as it should. These figures mean nothing; run without --smoke for some.")
        return 0
    page = report.markdown(facts, results, plan.cases, plan.proxies, plan)
    keep(facts, results, page, given.out or (HERE / "results" if plan.whole() else None), given.bare)
    say("\n" + page)
    return 0


def keep(facts, results, page, folder, bare):
    """Writes every measurement into bench/out, and the page into `folder` if there is one."""
    out = HERE / "out"
    out.mkdir(exist_ok=True)
    stamp = facts["date"].replace(":", "")
    text = json.dumps({"facts": facts, "results": results}, indent=1) + "\n"
    (out / f"{stamp}.json").write_text(text, encoding="utf-8")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        name = facts["date"][:10] + ("-bare" if bare else "")
        (folder / f"{name}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
