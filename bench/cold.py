"""Measures how a node starts with files it does not know, and with files it knows; called by cold.sh.

The node is asked over its control socket, which costs it next to nothing, how many files it shares.
Everything is in the page cache: what is measured is work, not a disk.
"""

import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import run as bench
import servers

SMALL_BYTES = 4096
TINY_BYTES = 1024
MANY = 200
NODE = "127.0.0.51"
ASK_EVERY_S = 0.01
INDEXED_WITHIN_S = 600
# Files that were written within the last second are left alone by a node.
SETTLED_AFTER_S = 1.5


def stats(folder):
    """What a node or tracker on `folder` counts; None while it does not answer."""
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.connect(str(folder / ".parvi" / "ctl.sock"))
            asked.sendall(b'{"words":["stats"],"json":true,"folder":null}\n')
            said = b"".join(iter(lambda: asked.recv(65536), b""))
        except OSError:
            return None
    answers = [json.loads(line) for line in said.splitlines()]
    document = "".join(answer["out"] for answer in answers if "out" in answer)
    return json.loads(document) if document else None


def wait_files(folder, count, begun):
    """Seconds since `begun` when the daemon on `folder` has `count` files."""
    while True:
        said = stats(folder)
        seconds = time.perf_counter() - begun
        if said and said["files"] == count:
            return seconds
        if seconds > INDEXED_WITHIN_S:
            raise RuntimeError(f"{folder} has {said} instead of {count} files")
        time.sleep(ASK_EVERY_S)


def memory_mib(pid, field):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def make_tree(folder, count, size, spare=0):
    """`count` different files, a thousand in each folder; returns their paths."""
    paths = []
    for number in range(count):
        path = folder / f"{number // 1000:03}" / f"file-{number:06}.txt"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        text = f"{number + spare:016}\n".encode()
        path.write_bytes(text * (size // len(text)))
        paths.append(path)
    return paths


class First:
    """A node's first start on some files, beside b3sum of them."""

    def __init__(self, name, folder, paths):
        self.name, self.folder, self.paths = name, folder, [str(path) for path in paths]
        self.bytes = sum(path.stat().st_size for path in paths)
        # One argument for each file: a list in a file would be another program's work.
        self.b3sum = servers.find("b3sum")
        self.found = {"b3sum": [], "b3sum_cpu": [], "parvi": [], "parvi_cpu": [], "peak": []}

    def measure(self, parvi, turn):
        ways = [self.by_b3sum, lambda: self.by_parvi(parvi)]
        for way in ways if turn % 2 == 0 else ways[::-1]:
            way()

    def by_b3sum(self):
        if not self.b3sum:
            return
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([self.b3sum, *self.paths], stdout=subprocess.DEVNULL, check=True)
        self.found["b3sum"].append(time.perf_counter() - begun)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.found["b3sum_cpu"].append(cpu)

    def by_parvi(self, parvi):
        shutil.rmtree(self.folder / ".parvi", ignore_errors=True)
        begun = time.perf_counter()
        with servers.Node(parvi, self.folder, "first", NODE) as node:
            seconds = wait_files(self.folder, len(self.paths), begun)
            self.found["parvi"].append(seconds)
            self.found["parvi_cpu"].append(cpu_seconds(node))
            self.found["peak"].append(servers.peak_mib(node.pids[0]))

    def line(self):
        found = self.found
        beside, ratios, cpu = "-", "-", "-"
        if found["b3sum"]:
            beside = bench.spread(found["b3sum"], 3)
            ratios = bench.spread([a / b for a, b in zip(found["parvi"], found["b3sum"])], 2)
            cpu = bench.spread([a / b for a, b in zip(found["parvi_cpu"], found["b3sum_cpu"])], 2)
        rate = self.bytes / statistics.median(found["parvi"]) / (1 << 20)
        peak = statistics.median(found["peak"])
        return (
            f"| {self.name} | {bench.spread(found['parvi'], 3)} | {beside} | {ratios} | {cpu} "
            f"| {rate:.0f} | {peak:.0f} |"
        )


class Again:
    """A node that starts again with files that have not changed, at a tracker."""

    def __init__(self, folder, count):
        self.folder, self.count = folder, count
        self.figures = ("ready", "indexed", "told", "looked up", "cpu", "memory", "peak")
        self.found = {figure: [] for figure in self.figures}

    def prepare(self, parvi, tracker):
        """The first start, which hashes everything."""
        with servers.Node(parvi, self.folder, "again", NODE, tracker):
            wait_files(self.folder, self.count, time.perf_counter())

    def measure(self, parvi, tracker, tracker_folder, last):
        wait_files(tracker_folder, 0, time.perf_counter())
        begun = time.perf_counter()
        with servers.Node(parvi, self.folder, "again", NODE, tracker) as node:
            self.keep("ready", time.perf_counter() - begun)
            self.keep("indexed", wait_files(self.folder, self.count, begun))
            self.keep("cpu", cpu_seconds(node))
            self.keep("told", wait_files(tracker_folder, self.count, begun))
            asked = time.perf_counter()
            looked_up(parvi, self.folder, last)
            self.keep("looked up", time.perf_counter() - asked)
            self.keep("memory", memory_mib(node.pids[0], "VmRSS:"))
            self.keep("peak", servers.peak_mib(node.pids[0]))

    def keep(self, figure, value):
        self.found[figure].append(value)
        print(f"{self.count} unchanged files: {figure} {value:.3f}", file=sys.stderr)

    def table(self):
        cells = " | ".join(bench.spread(self.found[figure], 3) for figure in self.figures[:5])
        sizes = " | ".join(bench.spread(self.found[figure], 0) for figure in self.figures[5:])
        return "\n".join([
            "| unchanged files | ready, s | indexed, s | tracker has all, s | lookup, s | CPU s "
            "| memory MiB | peak MiB |",
            "|---:|---:|---:|---:|---:|---:|---:|---:|",
            f"| {self.count} | {cells} | {sizes} |",
        ])


def looked_up(parvi, folder, name):
    """A lookup through the tracker; the node itself answers."""
    command = [parvi, "ctl", "--data", str(folder), "--json", "lookup", name]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def cpu_seconds(node):
    """What the process has used of the processors, to the nanosecond."""
    # The number of another process's clock: clock_getcpuclockid(3) as Linux forms it.
    return time.clock_gettime((~node.process.pid << 3) | 2)


NOTES = """\
Medians with min–max of the rounds, in each of which parvi and b3sum take turns on the same files, in
the page cache. Seconds are from the start of the process until all files are shared. `× time` and
`× CPU` are parvi's over b3sum's, round by round: other processes disturb the second less.

Second table: from the start of the process until it prints `ready`, until all files that it had before
are shared again, until the tracker lists all of them, and what a lookup through the tracker takes
then. Nothing is hashed; every file is asked for its size, times and inode."""


def make_first(folder, size, small):
    """The three cases of a first start."""
    large = folder / "large" / "shared" / "large.bin"
    large.parent.mkdir(parents=True)
    bench.write_random(large, size)
    some = folder / "some" / "shared"
    some.mkdir(parents=True)
    parts = [some / f"part-{number:03}.bin" for number in range(MANY)]
    for path in parts:
        bench.write_random(path, size // MANY)
    tree = make_tree(folder / "small" / "shared", small, SMALL_BYTES)
    mib = size / (1 << 20)
    return [
        First(f"{mib:.0f} MiB in one file", folder / "large", [large]),
        First(f"{mib:.0f} MiB in {MANY} files", folder / "some", parts),
        First(f"{small} files of {SMALL_BYTES // 1024} KiB", folder / "small", tree),
    ]


def main():
    parvi = os.environ["PARVI"]
    size = bench.size_of(os.environ.get("BENCH_SIZE", "2GiB"))
    small = int(os.environ.get("BENCH_SMALL", "20000"))
    count = int(os.environ.get("BENCH_FILES", "100000"))
    rounds = int(os.environ.get("BENCH_ROUNDS", "5"))
    for name in [n for n in os.environ if n.startswith("PARVI")]:
        del os.environ[name]
    if not servers.find("b3sum"):
        print("left out: b3sum is not installed (Debian: apt install b3sum)")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(servers.scratch())).resolve()
        cases = make_first(folder, size, small)
        paths = make_tree(folder / "again" / "shared", count, TINY_BYTES, spare=small)
        time.sleep(SETTLED_AFTER_S)
        for turn in range(rounds):
            for case in cases:
                case.measure(parvi, turn)
                print(f"round {turn + 1}: {case.line()}", file=sys.stderr)
        again = Again(folder / "again", count)
        tracker = stack.enter_context(servers.Tracker(parvi, folder / "tracker"))
        again.prepare(parvi, tracker)
        last = str(paths[-1].relative_to(folder / "again" / "shared"))
        for _ in range(rounds):
            again.measure(parvi, tracker, folder / "tracker", last)
        head = "| first start | parvi, s | b3sum, s | × time | × CPU | MiB/s | peak MiB |\n"
        head += "|---|---:|---:|---:|---:|---:|---:|"
        body = "\n".join(case.line() for case in cases)
        where = f"{rounds} rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end"
        text = "\n\n".join([where, f"{head}\n{body}", again.table(), NOTES])
        print(text)
        results = Path(__file__).resolve().parent / "results"
        results.mkdir(exist_ok=True)
        (results / "cold.md").write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
