"""Figures of a run as text: medians, spreads, ratios; Markdown, and the same on the terminal."""

from statistics import median

from cases import CASES

LABELS = {"portcullis": "Portcullis", "nginx": "nginx", "haproxy": "HAProxy", "caddy": "Caddy"}
OURS, HAPROXY = "portcullis", "haproxy"
# Never more than this of the best peer, in any row.
NEVER_OVER = 1.1
# 10,000 idle TLS connections.
IDLE_TLS_BYTES = 200e6
# From here on other processes took so much of the machine that a reader has to know.
NOISY_SHARE = 0.10
KINDS = {
    "idle-http1": "idle connection, HTTP/1.1",
    "idle-tls": "idle connection, HTTP/1.1 over TLS",
    "idle-http2": "idle connection, HTTP/2",
    "streams": "stream that waits for the origin, HTTP/2",
}


def of(results, key, **wanted):
    """The values of `key` in the results that are as wanted."""
    return [r[key] for r in results if all(r[name] == value for name, value in wanted.items())]


def middle(values):
    return median(values) if values else None


def half_load(costs, proxies=("portcullis", "nginx", "haproxy")):
    """Half of the rate of small forwarded requests that the slowest of them sustained, in whole hundreds a second."""
    sustained = [middle(of(costs, "per_second", case="forwarded", proxy=proxy)) for proxy in proxies]
    sustained = [rate for rate in sustained if rate]
    return max(round(min(sustained) / 200) * 100, 100) if sustained else None


def spread(values, form):
    return f"{form.format(median(values))} ({form.format(min(values))}–{form.format(max(values))})"


def row(cells):
    return "| " + " | ".join(cells) + " |"


def head(first, columns):
    return [row([first, *columns]), "|---" + "|---:" * len(columns) + "|"]


def ratio(mine, peers):
    """Ours over the least of the peers', and whose that is."""
    peers = {name: value for name, value in peers.items() if value}
    if not mine or not peers:
        return None, None
    best = min(peers, key=peers.get)
    return mine / peers[best], best


def judged(share, aim=1.0):
    """A ratio, with a word if it is beyond the aim."""
    if share is None:
        return "—"
    if share <= aim:
        return f"{share:.2f}"
    return f"**{share:.2f}** behind" if share <= NEVER_OVER else f"**{share:.2f}** over {NEVER_OVER}"


def against(figures, proxies, form):
    """Cells of one row: each proxy's figure, ours over the best peer's, and the peer's name."""
    share, best = ratio(figures.get(OURS), {name: figures.get(name) for name in proxies if name != OURS})
    cells = [form(figures[name]) if figures.get(name) is not None else "—" for name in proxies]
    return [*cells, judged(share), LABELS.get(best, "—")]


def costs(measured, proxies):
    """CPU time of every case, a row each."""
    results = measured["results"]["cost"]
    lines = head("CPU µs per request", [*(LABELS[name] for name in proxies), "of the best peer", "who that is",
                                         "of HAProxy", "aim"])
    for case in cases(measured):
        figures = {name: middle(of(results, "cpu_us", case=case.name, proxy=name)) for name in proxies}
        same, _ = ratio(figures.get(OURS), {HAPROXY: figures.get(HAPROXY)})
        aim = "—" if same is None else f"{case.of_haproxy:.1f} of HAProxy: " + (
            "met" if same <= case.of_haproxy else "missed")
        lines.append(row([case.title, *against(figures, proxies, "{:.1f}".format),
                          f"{same:.2f}" if same else "—", aim]))
    return lines


def handshakes(measured, proxies):
    results = measured["results"]["cost"]
    lines = head("handshakes per CPU second", [LABELS[name] for name in proxies])
    for name, title in (("full", "full"), ("resumed", "resumed")):
        figures = [middle(of(results, "cpu_us", case=name, proxy=proxy)) for proxy in proxies]
        lines.append(row([title, *(f"{1e6 / figure:,.0f}" if figure else "—" for figure in figures)]))
    return lines


def spreads(measured, proxies):
    """Everything about CPU time that the first table leaves out."""
    results = measured["results"]["cost"]
    lines = []
    for case in cases(measured):
        lines += ["", f"### {case.title}", ""]
        lines += head("", ["CPU µs: median (least–most)", "of it system", "per second", "core busy",
                           "answer: head + body over HTTP/1.1"])
        for name in proxies:
            mine = [r for r in results if r["case"] == case.name and r["proxy"] == name]
            if not mine:
                continue
            system = middle([r["system_share"] for r in mine if r["system_share"] is not None]) or 0
            lines.append(row([
                LABELS[name], spread([r["cpu_us"] for r in mine], "{:.2f}"), f"{system:.0%}",
                f"{median(r['per_second'] for r in mine):,.0f}", f"{median(r['busy_share'] for r in mine):.0%}",
                f"{median(r['answer_head_bytes'] for r in mine):.0f} + "
                f"{median(r['answer_body_bytes'] for r in mine):.0f} bytes"]))
        requests = sum(r["requests"] for r in results if r["case"] == case.name)
        answers = sum(r["answers"] for r in results if r["case"] == case.name)
        refused = sum(r["refusals"] for r in results if r["case"] == case.name)
        lines += ["", f"All together: {requests:,} requests, {answers:,} answers that were counted, {refused:,} of them refusals."]
    return lines


def memory(measured, proxies):
    results = measured["results"]["memory"]
    lines = head("KiB for each", [*(LABELS[name] for name in proxies), "of the best peer", "who that is"])
    for what, title in KINDS.items():
        figures = {}
        for r in results:
            if r["what"] == what:
                figures[r["proxy"]] = (r["held_bytes"] - r["before_bytes"]) / r["count"] / 1024
        lines.append(row([title, *against(figures, proxies, "{:.1f}".format)]))
    lines += ["", *head("MB of the whole process", [LABELS[name] for name in proxies])]
    for what, title in KINDS.items():
        count = max(of(results, "count", what=what), default=0)
        cells = []
        for name in proxies:
            held = of(results, "held_bytes", what=what, proxy=name)
            cells.append(f"{held[0] / 1e6:.0f}" if held else "—")
        lines.append(row([f"{count:,} times: {title}", *cells]))
    held = of(results, "held_bytes", what="idle-tls", proxy=OURS)
    count = of(results, "count", what="idle-tls", proxy=OURS)
    if held and count[0] >= 10_000:
        answer = "met" if held[0] <= IDLE_TLS_BYTES else "missed"
        lines += ["", f"Aim: 10,000 idle TLS connections under {IDLE_TLS_BYTES / 1e6:.0f} MB: **{answer}**."]
    return lines


def latency(measured, proxies):
    results = measured["results"]["latency"]
    pick = lambda key, name: middle(of(results, key, proxy=name))  # noqa: E731
    lines = head("", ["requests per second", "p50 µs", "p99 µs", "added p50 µs", "added p99 µs",
                      "added p50, ours of this peer's"])
    base = {key: pick(key, "origin") for key in ("p50_us", "p99_us")}
    if base["p50_us"] is None:
        return ["Not measured."]
    ours = (pick("p50_us", OURS) or 0) - base["p50_us"]
    for name in ["origin", *proxies]:
        if pick("p50_us", name) is None:
            continue
        more = {key: pick(key, name) - base[key] for key in base}
        cells = [f"{pick('per_second', name):,.0f}", *(f"{pick(key, name):.0f}" for key in base)]
        cells += ["", ""] if name == "origin" else [f"{more[key]:.0f}" for key in base]
        same_rate = name not in ("origin", OURS) and pick("per_second", name) == pick("per_second", OURS)
        cells.append(f"{ours / more['p50_us']:.2f}" if same_rate and more["p50_us"] > 0 else "")
        lines.append(row([LABELS.get(name, "the origin alone"), *cells]))
    return lines


def workers(measured, proxies):
    one, two = measured["results"]["cost"], measured["results"]["workers"]
    lines = head("", ["CPU µs, 1 worker", "CPU µs, 2 workers", "ratio", "per second, 1", "per second, 2", "ratio",
                      "cores busy, 1", "cores busy, 2"])
    for case in cases(measured):
        for name in proxies:
            pairs = []
            for key in ("cpu_us", "per_second", "busy_share"):
                pair = [middle(of(results, key, case=case.name, proxy=name)) for results in (one, two)]
                pairs.append(pair)
            if all(value for pair in pairs for value in pair):
                (a, b), (c, d), (e, f) = pairs
                lines.append(row([f"{case.title}: {LABELS[name]}", f"{a:.1f}", f"{b:.1f}", f"{b / a:.2f}",
                                  f"{c:,.0f}", f"{d:,.0f}", f"{d / c:.2f}", f"{e:.2f}", f"{f:.2f}"]))
    return lines


def instructions(measured, proxies):
    results = measured["results"]["instructions"]
    names = [name for name in proxies if of(results, "instructions", proxy=name)]
    if not names:
        return ["Not measured."]
    lines = head("instructions per request", [*(LABELS[name] for name in names), "of the best peer", "who that is"])
    for case in cases(measured):
        figures = {name: middle(of(results, "instructions", case=case.name, proxy=name)) for name in names}
        if any(figures.values()):
            lines.append(row([case.title, *against(figures, names, "{:,.0f}".format)]))
    return lines


def noise(results):
    """How quiet the machine was."""
    if not results:
        return "Not measured."
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


def cases(measured):
    return [case for case in CASES if case.name in measured["plan"]["cases"]]


def behind(measured, proxies):
    """The rows in which a peer costs less than we do, in one sentence."""
    results = measured["results"]["cost"]
    worse, over = [], []
    for case in cases(measured):
        figures = {name: middle(of(results, "cpu_us", case=case.name, proxy=name)) for name in proxies}
        share, best = ratio(figures.get(OURS), {name: figures[name] for name in proxies if name != OURS})
        if share and share > 1:
            (over if share > NEVER_OVER else worse).append(f"{case.title} ({share:.2f} of {LABELS[best]})")
    if not worse and not over:
        return "No peer spends less CPU time than Portcullis in any row."
    text = []
    if over:
        text.append(f"More than {NEVER_OVER} of the best peer: " + "; ".join(over) + ".")
    if worse:
        text.append(f"Behind the best peer, by less than {NEVER_OVER}: " + "; ".join(worse) + ".")
    return " ".join(text)


def markdown(measured, notes):
    facts, plan = measured["facts"], measured["plan"]
    proxies = plan["proxies"]
    place = f"{facts['cores']} cores, {facts['memory_gib']} GiB, " + (
        "a virtual machine" if facts["virtual"] else "no hypervisor seen")
    versions = ", ".join(f"{LABELS[name]} {facts['versions'][name]}" for name in proxies)
    lines = [
        f"# What a request costs, {facts['date'][:10]}",
        "",
        "Made by `bench/run.py`; [README](../README.md) states what is equal between the proxies, what is not, and how to run it.",
        "",
        "| | |", "|---|---|",
        f"| date | {facts['date']}, {measured['seconds'] / 60:.0f} minutes |",
        f"| command | `{plan['command'].strip()}` |",
        f"| Portcullis's commit | {facts['commit']} |",
        f"| proxies | {versions} |",
        f"| TLS | Portcullis by rustls with ring, nginx and HAProxy by OpenSSL {facts['openssl']}, Caddy by Go; "
        "TLS 1.3, AES-128-GCM, X25519, a P-256 certificate for all |",
        f"| load and origin | wrk {facts['wrk']}, h2load {facts['h2load']}, bench/load; nginx {facts['origin']} as the origin |",
        f"| machine | {facts['kernel']}; {facts['cpu']}, {place} |",
        f"| rounds | {plan['rounds']}, proxies taking turns; {plan['connections']} connections (HTTP/2: an eighth, "
        f"with eight streams each); {'headers of a browser' if plan['browser'] else 'no headers but Host'} |",
        f"| cores | {pinning(plan)} |",
    ]
    if plan["absent"]:
        lines += ["", "Not installed, and left out: " + ", ".join(LABELS[name] for name in plan["absent"]) + "."]
    if measured["problems"]:
        lines += ["", "Not measured, because it failed twice:", ""] + [f"- {problem}" for problem in measured["problems"]]
    lines += [
        "", "## CPU time", "",
        "User and system time of the proxy for each request; each figure is the median over the rounds.",
        "A ratio in bold is above 1: a peer is cheaper.", "",
        *costs(measured, proxies), "", behind(measured, proxies),
        "", *handshakes(measured, proxies),
        "", "## Why", "", notes.strip(),
        "", "## Instructions", "",
        "In the program itself, by valgrind; the kernel's are not among them.", "", *instructions(measured, proxies),
        "", "## Memory", "",
        "What the proxy's processes hold (Pss), over what they held before; the kernel's socket buffers are not among it.",
        "", *memory(measured, proxies),
        "", "## Latency at half load", "",
        "Small forwarded requests over HTTP/1.1 at a steady rate, half of what the slowest of Portcullis, nginx and HAProxy "
        "sustained; Caddy at half of the rate that it sustained.", "",
        *latency(measured, proxies),
        "", "## One worker and two", "", *workers(measured, proxies),
        "", "## Spreads", *spreads(measured, proxies),
        "", "## Noise", "", noise(measured["results"]["cost"]),
    ]
    return "\n".join(lines) + "\n"


def pinning(plan):
    text = f"the proxy on core {plan['proxy_core']}, load generator and origin on core {plan['load_core']}"
    if plan["precedence"]:
        text += "; all of them with precedence over everything else (nice -15)"
    return text
