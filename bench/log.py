"""Measures what the log of uploads costs; called by log.sh.

One owner, a real node. The requester asks for the same with the log on and off; both take turns
within each round, and which is first changes from round to round, so that a machine that gets
slower or faster meanwhile does so for both.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import run as bench
import servers

OWNER = "127.0.0.41"
SMALL_BYTES = 1024
WAYS = (("on", "resumable"), ("off", "once"))


class LoggedNode(servers.Node):
    """A node that tells where its chunks are."""

    def _read(self):
        for line in self.process.stdout:
            if line.startswith(b"ready "):
                said = dict(word.split("=", 1) for word in line.decode().split() if "=" in word)
                self.chunk = said["chunk"]
                self.is_ready.set()


def cpu_seconds(owner):
    """What the owner and all requesters that have ended used of the processors so far."""
    # The number of another process's clock: clock_getcpuclockid(3) as Linux forms it.
    clock = (~owner.process.pid << 3) | 2
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.clock_gettime(clock) + ended.ru_utime + ended.ru_stime


class Row:
    """One thing that is measured with the log on and off: `parse` takes its figures."""

    def __init__(self, name, command, figures, bound=None):
        self.name, self.command, self.figures, self.bound = name, command, figures, bound
        self.found = {way: {figure: [] for figure in figures} for way, _ in WAYS}

    def measure(self, requester, owner, turn):
        for way, how in WAYS if turn % 2 == 0 else WAYS[::-1]:
            before = cpu_seconds(owner)
            done = subprocess.run(
                [requester, *self.command(how)], stdin=subprocess.DEVNULL, capture_output=True,
                check=False,
            )
            if done.returncode != 0:
                raise RuntimeError(f"{self.name}, log {way}: {done.stderr.decode()[-2000:]}")
            said = {**json.loads(done.stdout), "cpu": cpu_seconds(owner) - before}
            for figure in self.figures:
                self.found[way][figure].append(said[figure])
            print(f"round {turn + 1}: {self.name}, log {way}: {said}", file=sys.stderr)

    def lines(self):
        for figure in self.figures:
            on, off = self.found["on"][figure], self.found["off"][figure]
            pairs = [a / b for a, b in zip(on, off)]
            bound = self.bound if self.bound else "-"
            yield (
                f"| {self.name}, {figure} | {bench.spread(on, 3)} | {bench.spread(off, 3)} "
                f"| {statistics.median(on) / statistics.median(off):.3f} "
                f"| {bench.spread(pairs, 3)} | {bound} |"
            )


def make_files(folder, size, count):
    shared = folder / "owner" / "shared"
    (shared / "small").mkdir(parents=True)
    bench.write_random(shared / "tiny", 100)
    bench.write_random(shared / "large", size)
    for number in range(count):
        bench.write_random(shared / "small" / f"{number:06}", SMALL_BYTES)
    return shared


def rows(address, shared, size, count, seconds):
    def opening(threads):
        return lambda how: ["open", address, how, str(shared / "tiny"), str(seconds), str(threads)]

    def fetching(path):
        return lambda how: ["fetch", address, how, str(path)]

    figures = ("rate", "p50", "p99")
    return [
        Row("openings, 1 requester", opening(1), figures),
        Row("openings, 64 requesters", opening(64), figures),
        Row(f"{size / (1 << 20):.0f} MiB", fetching(shared / "large"), ("seconds", "cpu"), "1.02"),
        Row(f"{count} small files", fetching(shared / "small"), ("seconds", "cpu"), "1.10"),
    ]


NOTES = """\
Medians with min–max. `rate` is openings a second, each on a fresh connection; `p50` and `p99` are
the milliseconds from Open to Opened: with the log on they hold its write and its sync. `on / off` is
the ratio of the medians, `pairs` that of each round's two. `cpu` is the processor time of owner and requester
together, in seconds: other processes disturb it less than the clock on the wall. The requester throws
all bytes away and syncs nothing, so a real download, which does, has a smaller share of the log in
its time.
The first table is the log alone on the same disk in the same run."""


def main():
    binaries = Path(os.environ["BENCH_BINARIES"])
    size = bench.size_of(os.environ.get("BENCH_SIZE", "1GiB"))
    count = int(os.environ.get("BENCH_FILES", "10000"))
    rounds = int(os.environ.get("BENCH_ROUNDS", "7"))
    seconds = float(os.environ.get("BENCH_SECONDS", "3"))
    for name in [n for n in os.environ if n.startswith("PARVI")]:
        del os.environ[name]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(servers.scratch())).resolve()
        alone = subprocess.run(
            [binaries / "pace", folder, str(seconds)], capture_output=True, check=True, text=True
        ).stdout
        shared = make_files(folder, size, count)
        owner = stack.enter_context(
            LoggedNode(str(binaries / "parvi"), folder / "owner", "owner", OWNER)
        )
        owner.wait_indexed(count + 2)
        table = rows(owner.chunk, shared, size, count, seconds)
        for turn in range(rounds):
            for row in table:
                row.measure(str(binaries / "requester"), owner, turn)
        head = "| what | log on | log off | on / off | pairs | bound |\n|---|---:|---:|---:|---:|---:|"
        body = "\n".join(line for row in table for line in row.lines())
        where = f"{rounds} rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end"
        text = "\n\n".join([where, "```text\n" + alone.rstrip() + "\n```", f"{head}\n{body}", NOTES])
        print(text)
        results = Path(__file__).resolve().parent / "results"
        results.mkdir(exist_ok=True)
        (results / "log.md").write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
