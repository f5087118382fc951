"""Figures of a run as text: medians, spreads, ratios; Markdown, and the same on the terminal."""

from statistics import median

AIMS = {"forwarded": 1.0, "refused": 0.8}
PEER = "haproxy"
LABELS = {"portcullis": "Portcullis", "nginx": "nginx", "haproxy": "HAProxy"}
# From here on other processes took so much of the machine that a reader has to know.
NOISY_SHARE = 0.10


def of(results, case, proxy, key):
    return [r[key] for r in results if r["case"] == case and r["proxy"] == proxy]


def ratios(results, case, proxy):
    """CPU time per request over HAProxy's, round by round: what disturbs a round disturbs both."""
    ours = of(results, case, proxy, "cpu_us_per_request")
    peers = of(results, case, PEER, "cpu_us_per_request")
    return [mine / peer for mine, peer in zip(ours, peers)]


def spread(values, form):
    return f"{form.format(median(values))} ({form.format(min(values))}–{form.format(max(values))})"


def table(results, case, proxies):
    """One case as a Markdown table."""
    instructions = any(r["instructions_per_request"] for r in results)
    head = ["", "CPU µs per request", "of it system", "ratio to HAProxy", "requests/s", "core busy",
            "p50 / p99 latency", "answer: head + body"]
    if instructions:
        head.insert(4, "instructions per request")
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for proxy in proxies:
        pick = lambda key: of(results, case, proxy, key)  # noqa: E731
        system = median(s / (u + s) if u + s else 0
                        for u, s in zip(pick("cpu_user_seconds"), pick("cpu_system_seconds")))
        row = [
            LABELS[proxy],
            spread(pick("cpu_us_per_request"), "{:.2f}"),
            f"{system:.0%}",
            spread(ratios(results, case, proxy), "{:.2f}") if PEER in proxies else "",
            f"{median(pick('requests_per_second')):,.0f}",
            f"{median(pick('busy_share')):.0%}",
            f"{median(pick('p50_us')) / 1000:.2f} / {median(pick('p99_us')) / 1000:.2f} ms",
            f"{median(pick('answer_head_bytes')):.0f} + {median(pick('answer_body_bytes')):.0f} bytes",
        ]
        if instructions:
            row.insert(4, spread(pick("instructions_per_request"), "{:,.0f}"))
        lines.append("| " + " | ".join(row) + " |")
    return lines


def verdict(results, case):
    """Whether the aim of a case was met, in one sentence."""
    if case not in AIMS or not of(results, case, "portcullis", "proxy"):
        return []
    if not of(results, case, PEER, "proxy"):
        return []
    measured, aim = median(ratios(results, case, "portcullis")), AIMS[case]
    answer = "met" if measured <= aim else "missed"
    return ["", f"Aim: at most {aim:.1f} of HAProxy. Measured: {measured:.2f}, so the aim is **{answer}**."]


def noise(results):
    """How quiet the machine was."""
    others = [r["others_cpu_share"] for r in results]
    loads = [r["load_average"] for r in results]
    stolen = max(r["stolen_share"] for r in results)
    noisy = sum(share > NOISY_SHARE for share in others)
    text = (f"Other processes used {median(others):.0%} of one core in the median measurement and "
            f"{max(others):.0%} in the worst; the load average lay between {min(loads):.1f} and "
            f"{max(loads):.1f}; the hypervisor took at most {stolen:.0%} of one core.")
    if noisy:
        text += (f" In {noisy} of {len(results)} measurements others used more than "
                 f"{NOISY_SHARE:.0%} of a core: look at the spreads before you quote a median.")
    return text


def answers(results, cases, proxies):
    """What was answered, so that nobody has to believe that the right thing was measured."""
    lines = ["| case | proxy | requests | answers | of them refused |", "|---|---|---:|---:|---:|"]
    for case in cases:
        for proxy in proxies:
            total = [sum(of(results, case.name, proxy, key)) for key in ("requests", "answers", "refusals")]
            cells = " | ".join(f"{count:,}" for count in total)
            lines.append(f"| {case.name} | {LABELS[proxy]} | {cells} |")
    return lines


def markdown(facts, results, cases, proxies, plan):
    place = f"{facts['cores']} cores, " + ("a virtual machine" if facts["virtual"] else "no hypervisor seen")
    lines = [
        f"# Cost per request, {facts['date'][:10]}",
        "",
        "Made by `bench/run.py`; [README](../README.md) says what is equal between the proxies, what is not, and how to run it.",
        "",
        "| | |", "|---|---|",
        f"| date | {facts['date']} |",
        f"| commit | {facts['commit']} |",
        f"| Portcullis | {facts['portcullis']} |",
        f"| nginx | {facts['nginx']} |",
        f"| HAProxy | {facts['haproxy']} |",
        f"| wrk | {facts['wrk']} |",
        f"| kernel | {facts['kernel']} |",
        f"| CPU | {facts['cpu']}, {place} |",
        f"| rounds | {plan.rounds}, proxies taking turns; {plan.connections} connections; "
        f"{'headers of a browser' if plan.browser else 'no headers but Host'} |",
        f"| cores | {pinning(plan)} |",
        "",
        "Each figure is the median over the rounds, with minimum and maximum in brackets. Ratios are taken within a round.",
    ]
    for case in cases:
        count = max(of(results, case.name, proxies[0], "requests"))
        lines += ["", f"## {case.title}", "", f"{count:,} requests in each measurement.", ""]
        lines += table(results, case.name, proxies) + verdict(results, case.name)
    lines += ["", "## Noise", "", noise(results), ""]
    if not any(r["instructions_per_request"] for r in results):
        lines += [f"Instructions per request: not supported here ({no_counters(facts)}).", ""]
    lines += ["## What was answered", "",
              "All rounds together. A rate of one request per second lets that one through; what was under way when the "
              "load generator stopped is not among the answers.", ""]
    return "\n".join(lines + answers(results, cases, proxies)) + "\n"


def pinning(plan):
    text = f"the proxy on core {plan.proxy_core}, load generator and origin on core {plan.load_core}"
    if plan.precedence:
        text += "; all of them with precedence over everything else (nice -15)"
    return text


def no_counters(facts):
    if facts["perf"] == "not installed":
        return "`perf` is not installed"
    return "`perf stat -e instructions` has no hardware counter on this machine"
