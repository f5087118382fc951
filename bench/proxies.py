"""Starting and stopping the servers under measurement, one at a time, each pinned to a core."""

import http.client
import os
import pathlib
import shutil
import socket
import string
import subprocess
import tempfile
import time

import machine

TEMPLATES = pathlib.Path(__file__).resolve().parent / "templates"
START_DEADLINE_SECONDS = 15
STOP_DEADLINE_SECONDS = 40

SMALL_BYTES = 1024
LARGE_BYTES = 100 * 1024

# What an ordinary browser sends for a page; `Host` comes from wrk.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    "Cookie": "consent=essential; session=6f1c0e5b2f6f4c5d9f0b7a1e3d2c4b5a",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
}


class Unfit(Exception):
    """Something is not as the measurement needs it; the text says what and how to mend it."""


# Whether what is measured goes before everything else; run.py sets it.
precedence = False


def launch(core, command, **how):
    """Starts a command on one core, in a session of its own."""
    before = ["taskset", "-c", str(core)]
    if precedence:
        before = ["nice", "-n", "-15", *before]
    process = subprocess.Popen(before + command, start_new_session=True, **how)
    if precedence:
        try:
            # Kernels that schedule by session compare niceness within a session only.
            pathlib.Path(f"/proc/{process.pid}/autogroup").write_text("-15", encoding="ascii")
        except OSError:
            pass
    return process


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server process with a folder of its own."""

    def __init__(self, name, core, template, command, values):
        self.name = name
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"portcullis-bench-{name}-"))
        self.folder.chmod(0o755)  # workers of nginx are another user when root starts it
        suffix = pathlib.Path(template).suffix
        file = self.folder / f"server{suffix}"
        text = string.Template((TEMPLATES / template).read_text(encoding="utf-8"))
        values = {"folder": self.folder, "port": self.port, **values}
        file.write_text(text.substitute(values), encoding="utf-8")
        self.said = open(self.folder / "said", "wb+")
        command = [str(part).format(file=file, folder=self.folder) for part in command]
        self.prepare()
        environment = {**os.environ, "PORTCULLIS_LOG": "warn"}
        self.process = launch(
            core, command, stdout=self.said, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, env=environment, cwd=self.folder,
        )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def prepare(self):
        """What has to be in the folder before the start."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.said.seek(0)
        said = self.said.read().decode(errors="replace")[-2000:]
        raise Unfit(f"{self.name} did not start; it said:\n{said}")

    def pids(self):
        return machine.process_tree(self.process.pid)

    def answer(self, path="/small.html", headers=None):
        """One answer: status, and bytes of head and body."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            client.request("GET", path, headers=headers or BROWSER)
            response = client.getresponse()
            body = response.read()
            head = sum(len(name) + len(value) + 4 for name, value in response.getheaders())
            return response.status, head + len(f"HTTP/1.1 {response.status} {response.reason}") + 4, len(body)
        finally:
            client.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.said.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Origin(Server):
    """The origin: nginx with two static files."""

    def __init__(self, core):
        command = ["nginx", "-p", "{folder}", "-c", "{file}", "-e", "{folder}/early.log"]
        super().__init__("origin", core, "origin.conf", command, {})

    def prepare(self):
        site = self.folder / "site"
        site.mkdir()
        for name, size in (("small.html", SMALL_BYTES), ("large.html", LARGE_BYTES)):
            line = b"<p>The same line again and again.</p>\n"
            (site / name).write_bytes((line * (size // len(line) + 1))[:size])


# Rate and burst that no run reaches, and ones that the second request exceeds.
OPEN = {"rate": 1_000_000, "burst": 1_000_000, "connections": 2_000}
CLOSED = {"rate": 1, "burst": 1, "connections": 2_000}


def start(name, core, origin, limits, gate):
    """Starts a proxy in front of `origin`."""
    values = {"origin": origin.port, **limits}
    if name == "nginx":
        command = ["nginx", "-p", "{folder}", "-c", "{file}", "-e", "{folder}/early.log"]
        return Server(name, core, "nginx.conf", command, values)
    if name == "haproxy":
        return Server(name, core, "haproxy.cfg", ["haproxy", "-db", "-f", "{file}"], values)
    values["operator"] = free_port()
    return Server(name, core, "portcullis.toml", [gate, "run", "--config", "{file}"], values)
