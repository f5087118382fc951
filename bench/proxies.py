"""Starting and stopping the servers under measurement, one at a time, each pinned to a core."""

import functools
import http.client
import os
import pathlib
import shutil
import signal
import socket
import string
import subprocess
import tempfile
import time

import machine

TEMPLATES = pathlib.Path(__file__).resolve().parent / "templates"
START_DEADLINE_SECONDS = 60
STOP_DEADLINE_SECONDS = 5

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
    """Something is not as the measurement needs it; the text names it, and how to correct it."""


# Whether what is measured goes before everything else; run.py sets it.
precedence = False


def launch(cores, command, **how):
    """Starts a command on some cores, in a separate session."""
    before = ["taskset", "-c", ",".join(map(str, cores))]
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
    """A server process with a separate folder."""

    def __init__(self, name, cores, template, command, values, under=()):
        self.name = name
        self.port, self.tls_port = free_port(), free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"portcullis-bench-{name}-"))
        self.folder.chmod(0o755)  # workers of nginx are another user when root starts it
        file = self.folder / f"server{pathlib.Path(template).suffix}"
        text = string.Template((TEMPLATES / template).read_text(encoding="utf-8"))
        values = {"folder": self.folder, "port": self.port, "tls_port": self.tls_port, **values}
        file.write_text(text.substitute(values), encoding="utf-8")
        self.output = open(self.folder / "output", "wb+")
        command = [str(part).format(file=file, folder=self.folder) for part in (*under, *command)]
        self.prepare()
        environment = {**os.environ, "PORTCULLIS_LOG": "warn", "HOME": str(self.folder),
                       "XDG_CONFIG_HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
        # Go takes one concurrent thread per core; its workers are these.
        environment["GOMAXPROCS"] = str(values.get("workers", 1))
        self.process = launch(
            cores, command, stdout=self.output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, env=environment, cwd=self.folder,
        )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def prepare(self):
        """What has to be in the folder before the start: a certificate and its key."""
        for file, text in certificate().items():
            (self.folder / file).write_text(text, encoding="ascii")

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
                time.sleep(0.02)
        raise Unfit(f"{self.name} did not start:\n{self.last_words()}")

    def last_words(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")[-2000:]

    def pids(self):
        return machine.process_tree(self.process.pid)

    def answer(self, path="/small.html", headers=None):
        """One answer: status, and bytes of head and body."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
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
                for pid in self.pids():
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                self.process.wait()
        self.output.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def certificate():
    """One self-signed certificate of P-256 for all, made for each run."""
    with tempfile.TemporaryDirectory() as folder:
        chain, key = pathlib.Path(folder) / "chain.pem", pathlib.Path(folder) / "key.pem"
        done = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", str(key), "-out", str(chain)],
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unfit(f"openssl could not make a certificate:\n{done.stderr}")
        chain, key = chain.read_text(encoding="ascii"), key.read_text(encoding="ascii")
        return {"chain.pem": chain, "key.pem": key, "both.pem": chain + key}


class Origin(Server):
    """The origin: nginx with two static files."""

    def __init__(self, core):
        command = ["nginx", "-p", "{folder}", "-c", "{file}", "-e", "{folder}/early.log"]
        super().__init__("origin", [core], "origin.conf", command, {})

    def prepare(self):
        site = self.folder / "site"
        site.mkdir()
        for name, size in (("small.html", SMALL_BYTES), ("large.html", LARGE_BYTES)):
            line = b"<p>The same line again and again.</p>\n"
            (site / name).write_bytes((line * (size // len(line) + 1))[:size])


# Rate and burst that no run reaches, and ones that the second request exceeds; connections of one
# source, of all, and to the origin.
OPEN = {"rate": 1_000_000, "burst": 1_000_000, "connections": 2_000, "capacity": 4_096, "pool": 64}
CLOSED = {**OPEN, "rate": 1, "burst": 1}
ROOMY = {**OPEN, "capacity": 14_000}
# What hangs at the origin needs a connection to it each.
HANGING = {**OPEN, "pool": 4_000}


def start(name, cores, origin_port, limits, gate, workers=1, under=()):
    """Starts a proxy in front of the origin at `origin_port`, as a child of the command `under`."""
    files = limits["capacity"] + limits["pool"] + 200
    values = {"origin": origin_port, "workers": workers, "files": files, **limits}
    if name == "nginx":
        command = ["nginx", "-p", "{folder}", "-c", "{file}", "-e", "{folder}/early.log"]
        # One process is enough to count instructions in.
        command += ["-g", "master_process off;"] if under else []
        return Server(name, cores, "nginx.conf", command, values, under)
    if name == "haproxy":
        return Server(name, cores, "haproxy.cfg", ["haproxy", "-db", "-f", "{file}"], values, under)
    if name == "caddy":
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", "{file}"]
        return Server(name, cores, "Caddyfile", command, values, under)
    values["admin"] = free_port()
    return Server(name, cores, "portcullis.toml", [gate, "run", "--config", "{file}"], values, under)
