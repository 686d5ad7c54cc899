"""The processes that serve during a benchmark: parvi's tracker and nodes, nginx, socat.

Every server is a context manager: it is up when the block begins and gone when it ends. All of
them listen on loopback only.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

READY_WITHIN_S = 30
GONE_WITHIN_S = 10


def free_port(host="127.0.0.1"):
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def cpu_seconds(pids):
    """User and system seconds that the processes have used so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def peak_mib(pid):
    """The most memory the process has held so far, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Server:
    """One process that prints a line beginning with `ready`."""

    def __init__(self, command, log):
        self.log = log
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log.open("wb")
        )
        self.is_ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            if line.startswith(b"ready "):
                self.is_ready.set()

    def wait_ready(self):
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.is_ready.wait(0.05):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                said = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.process.args[:2]} did not get ready:\n{said}")
        return self

    @property
    def pids(self):
        return [self.process.pid]

    def __enter__(self):
        return self.wait_ready()

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(GONE_WITHIN_S)
        except subprocess.TimeoutExpired:
            print(f"note: {self.process.args[1]} did not end within {GONE_WITHIN_S} s of SIGTERM")
            self.process.kill()
            self.process.wait()


class Tracker(Server):
    def __init__(self, parvi, folder):
        folder.mkdir(parents=True)
        self.address = f"127.0.0.1:{free_port()}"
        super().__init__(
            [parvi, "tracker", "--listen", self.address, "--data", str(folder), "--headless"],
            folder / "stderr.log",
        )


class Node(Server):
    """A node on an address of its own; it offers clear bulk, so that each requester chooses."""

    def __init__(self, parvi, folder, name, address, tracker=None):
        self.parvi, self.folder = parvi, folder
        (folder / "shared").mkdir(parents=True, exist_ok=True)
        command = [parvi, "node", "--data", str(folder), "--name", name, "--listen", address]
        command += ["--bulk", "clear", "--headless"]
        command += ["--tracker", tracker.address] if tracker else []
        super().__init__(command, folder / "stderr.log")

    def files(self):
        """How many files it has hashed so far."""
        said = subprocess.run(
            [self.parvi, "ctl", "--data", str(self.folder), "--json", "list", "local"],
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )
        return len(json.loads(said.stdout)) if said.returncode == 0 else 0

    def wait_indexed(self, count, within_s=600):
        deadline = time.monotonic() + within_s
        while self.files() < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.folder.name} has indexed {self.files()} of {count} files")
            time.sleep(0.01)


NGINX = """
worker_processes 2;
pid {run}/nginx.pid;
error_log {run}/error.log;
daemon off;
events {{ worker_connections 64; }}
http {{
    access_log off;
    sendfile on;
    sendfile_max_chunk 2m;
    tcp_nopush on;
    client_body_temp_path {run}/body;
    proxy_temp_path {run}/proxy;
    fastcgi_temp_path {run}/fastcgi;
    uwsgi_temp_path {run}/uwsgi;
    scgi_temp_path {run}/scgi;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


class Nginx:
    """nginx with a configuration of its own; nothing of the system's is read or touched."""

    def __init__(self, folder, root):
        # Workers of a master run by root are another user: the folders must let them through.
        folder.mkdir(parents=True)
        self.port = free_port()
        self.folder = folder
        user = "user root;\n" if os.geteuid() == 0 else ""
        config = folder / "nginx.conf"
        config.write_text(user + NGINX.format(run=folder, port=self.port, root=root))
        self.command = [find("nginx"), "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(config)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    log = (self.folder / "error.log").read_text(errors="replace")
                    raise RuntimeError(f"nginx did not start:\n{log}") from error
                time.sleep(0.05)

    @property
    def pids(self):
        master = self.process.pid
        workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return [master, *map(int, workers)]

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(GONE_WITHIN_S)


def find(tool):
    """The tool's path, also where an ordinary user's PATH does not look."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    return shutil.which(tool, path=path)


def scratch():
    """A temporary folder on the file system to be measured, gone at the end."""
    return tempfile.TemporaryDirectory(prefix="parvi-bench-", dir=os.environ.get("BENCH_DIR") or None)
