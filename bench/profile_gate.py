"""Samples of where a proxy spends its CPU time, by `perf record`, under the same load."""

import re
import shutil
import signal
import subprocess
import time

from loads import send
from proxies import Origin, Unfit, start

SAMPLES_PER_SECOND = 1999
SYMBOLS = 25


def run(plan, out, say):
    """Writes one text file of symbols for each case and proxy into `out`."""
    if shutil.which("perf") is None:
        raise Unfit("please install what is missing: apt-get install linux-perf")
    out.mkdir(exist_ok=True)
    # Most virtual machines have no hardware counters: samples follow the clock.
    event = "cpu-clock"
    with Origin(plan.load_core) as origin:
        for case in plan.cases:
            for name in filter(case.of, plan.proxies):
                text = sample(name, case, origin, plan, out / "perf.data", event)
                (out / f"profile-{case.name}-{name}.txt").write_text(text, encoding="utf-8")
                say(f"\n{case.title}: {name}, share of samples ({event})\n{top(text)}")


def sample(name, case, origin, plan, data, event):
    count = int(case.requests * plan.scale)
    with start(name, plan.cores(1), origin.port, case.limits, plan.gate) as proxy:
        send(case, proxy, count // 10, plan)
        recording = subprocess.Popen(
            ["perf", "record", "-q", "-e", event, "-F", str(SAMPLES_PER_SECOND), "-o", str(data),
             "-p", ",".join(map(str, proxy.pids()))], stderr=subprocess.DEVNULL)
        time.sleep(0.3)  # it attaches before it prints anything
        send(case, proxy, count, plan)
        recording.send_signal(signal.SIGINT)
        recording.wait(30)
        done = subprocess.run(
            ["perf", "report", "-i", str(data), "--stdio", "--no-children", "-g", "none",
             "--fields", "overhead,dso,symbol", "--field-separator", "|", "--percent-limit", "0.05"],
            capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unfit(f"perf report failed:\n{done.stderr[-2000:]}")
    return done.stdout


def top(text):
    """The costliest symbols, with where they are."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    rows = [row for row in rows if re.fullmatch(r"\d+\.\d+%", row[0])]
    return "\n".join(f"{share:>7}  {where:20} {symbol}" for share, where, symbol, *_ in rows[:SYMBOLS])
