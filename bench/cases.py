"""What is measured: each case moves one file, or indexes something, and says what it cost."""

import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import servers


@dataclass
class Cost:
    """One run of one case."""

    seconds: float
    client_cpu: float | None = None
    server_cpu: float | None = None
    peak_mib: float | None = None


@dataclass
class Case:
    """A row of the table; `run(round)` measures it once."""

    name: str
    bytes: int
    run: callable
    against: str | None = None
    costs: list = field(default_factory=list)
    failure: str | None = None


def timed(command, serving=()):
    """Runs `command` to its end; its own cost and that of the processes that serve it."""
    pids = [pid for server in serving for pid in server.pids]
    before = servers.cpu_seconds(pids)
    gnu_time = servers.find("time")
    wrapped = [gnu_time, "--format", "%U %S %M", "--quiet", *command] if gnu_time else command
    begun = time.perf_counter()
    done = subprocess.run(wrapped, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    seconds = time.perf_counter() - begun
    said = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{said[-2000:]}")
    cost = Cost(seconds, server_cpu=servers.cpu_seconds(pids) - before if pids else None)
    if gnu_time:
        user, system, kib = said.strip().splitlines()[-1].split()
        cost.client_cpu, cost.peak_mib = float(user) + float(system), int(kib) / 1024
    return cost, done.stdout


class Output:
    """A folder that is empty before each run, with nothing left to be written by the one before."""

    def __init__(self, folder):
        self.folder = folder

    def fresh(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        subprocess.run(["sync"], check=True)
        return self.folder


class Checked:
    """Holds each case's first output against the source."""

    def __init__(self, expected):
        self.expected, self.seen = expected, set()

    def check(self, case, path):
        b3sum = servers.find("b3sum")
        if case in self.seen or not b3sum:
            return
        self.seen.add(case)
        said = subprocess.run([b3sum, "--no-names", str(path)], capture_output=True, check=True)
        found = said.stdout.decode().strip()
        if found != self.expected[Path(path).name]:
            raise RuntimeError(f"{case}: {path} arrived with the wrong bytes ({found})")


def by_curl(nginx, name, out, checked, sync):
    """curl from nginx to a file, optionally on disk before the clock stops."""
    label = "curl from nginx, then sync" if sync else "curl from nginx"

    def run():
        path = out.fresh() / name
        url = f"http://127.0.0.1:{nginx.port}/{name}"
        command = [servers.find("curl"), "--silent", "--fail", "--output", str(path), url]
        if sync:
            command = ["sh", "-c", '"$@" && sync "$0"', str(path), *command]
        cost, _ = timed(command, [nginx])
        checked.check(label, path)
        return cost

    return label, run


def by_socat(source, out, checked):
    """socat to socat: a plain copy through a socket, without any protocol."""

    def run():
        path = out.fresh() / source.name
        port = servers.free_port()
        socat = servers.find("socat")
        listen = f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr"
        sender = subprocess.Popen([socat, "-u", "-b", "1048576", f"FILE:{source}", listen])
        try:
            dial = f"TCP:127.0.0.1:{port},retry=200,interval=0.02"
            cost, _ = timed([socat, "-u", "-b", "1048576", dial, f"CREATE:{path}"])
        finally:
            sender.wait(servers.GONE_WITHIN_S)
        checked.check("socat", path)
        return cost

    return "socat", run


def by_parvi(parvi, tracker, owners, name, out, checked, bulk, fsync):
    """One-shot `parvi get` of a file that exactly these owners have."""
    label = f"parvi get, {len(owners)} owner{'s' * (len(owners) > 1)}, {bulk}, fsync {fsync}"

    def run():
        folder = out.fresh()
        command = [parvi, "get", name, "--tracker", tracker.address, "--out", str(folder)]
        command += ["--bulk", bulk, "--fsync", fsync, "--json"]
        cost, said = timed(command, owners)
        report = json.loads(said)
        report = report[0] if isinstance(report, list) else report
        sources = len(report["sources"])
        if sources != len(owners):
            print(f"note: {label}: bytes came from {sources} of {len(owners)} owners")
        checked.check(label, report["path"])
        return cost

    return label, run


def by_index(parvi, folder, count, what):
    """A node that knows nothing of its files, from its start to the moment it lists them all."""

    def run():
        shutil.rmtree(folder / ".parvi", ignore_errors=True)
        begun = time.perf_counter()
        with servers.Node(parvi, folder, "indexer", "127.0.0.31") as node:
            node.wait_indexed(count)
            seconds = time.perf_counter() - begun
            cpu, peak = servers.cpu_seconds(node.pids), servers.peak_mib(node.pids[0])
        return Cost(seconds, client_cpu=cpu, peak_mib=peak)

    return f"parvi indexes {what}", run


def by_b3sum(paths, what):
    """b3sum over the same files."""

    def run():
        cost, _ = timed([servers.find("b3sum"), *map(str, paths)])
        return cost

    return f"b3sum {what}", run
