"""The state of the machine: CPU time of processes, versions, and how quiet it is."""

import datetime
import os
import platform
import re
import resource
import subprocess

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _stat_fields(pid):
    """Fields of /proc/PID/stat from the third on; the second may hold spaces and brackets."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def process_tree(root):
    """`root` and everything that descends from it."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children.setdefault(int(_stat_fields(name)[1]), []).append(int(name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    tree, queue = [], [root]
    while queue:
        pid = queue.pop()
        tree.append(pid)
        queue.extend(children.get(pid, []))
    return tree


def cpu_seconds(pids):
    """User and system seconds that processes (all their threads) have used: utime, stime."""
    user = system = 0
    for pid in pids:
        fields = _stat_fields(pid)
        user += int(fields[11])
        system += int(fields[12])
    return user / TICKS_PER_SECOND, system / TICKS_PER_SECOND


def run_seconds(pids):
    """Seconds on a core of all threads that are alive, to the nanosecond; None if the kernel does not say."""
    total = 0
    try:
        for pid in pids:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0])
    except FileNotFoundError:
        return None
    return total / 1e9


def memory_bytes(pids):
    """What processes hold of the machine's memory; pages that several share count once."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.MULTILINE).group(1))
    return total * 1024


def machine_cpu_seconds():
    """Busy seconds of all cores together since boot, and seconds stolen by the hypervisor."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(value) for value in file.readline().split()[1:]]
    # user nice system idle iowait irq softirq steal; guest time is part of user already
    busy = sum(fields[:3]) + fields[5] + fields[6]
    return busy / TICKS_PER_SECOND, fields[7] / TICKS_PER_SECOND


def load_average():
    return os.getloadavg()[0]


def _output(command, pattern):
    """The first group of `pattern` in the output of `command` on either stream."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return "unknown"
    found = re.search(pattern, done.stdout + done.stderr)
    return found.group(1) if found else "unknown"


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"model name\s*:\s*(.+)", file.read())
    return found.group(1).strip() if found else platform.machine()


def commit(repository):
    """The commit of the repository, marked if the work tree differs from it."""
    short = _output(["git", "-C", repository, "rev-parse", "--short=12", "HEAD"], r"(\w+)")
    dirty = subprocess.run(
        ["git", "-C", repository, "status", "--porcelain", "--", "crates", "Cargo.toml", "Cargo.lock"],
        capture_output=True, text=True, check=False,
    ).stdout.strip()
    return f"{short} and uncommitted changes" if dirty else short


def facts(repository, gate, proxies):
    """Everything about this run that a reader needs to judge the figures."""
    said = {
        "portcullis": ([gate, "--version"], r"(\d\S*)"),
        "nginx": (["nginx", "-v"], r"nginx/(\S+)"),
        "haproxy": (["haproxy", "-v"], r"version (\S+)"),
        "caddy": (["caddy", "version"], r"(\S+)"),
    }
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": commit(repository),
        "versions": {name: _output(*said[name]) for name in proxies},
        "openssl": _output(["nginx", "-V"], r"running with OpenSSL (\S+)") if "nginx" in proxies else "unknown",
        "origin": _output(["nginx", "-v"], r"nginx/(\S+)"),
        "wrk": _output(["wrk", "-v"], r"wrk (\S+)"),
        "h2load": _output(["h2load", "--version"], r"nghttp2/(\S+)"),
        "valgrind": _output(["valgrind", "--version"], r"valgrind-(\S+)"),
        "kernel": f"{platform.system()} {platform.release()}",
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "virtual": "hypervisor" in open("/proc/cpuinfo", encoding="utf-8").read(),
    }


def open_files():
    """How many files a process may open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
