"""Measures parvi beside other tools on this machine's loopback; called by run.sh.

All cases of one round run one after the other, the rounds after each other, so that a machine
that gets slower or faster meanwhile does so for all of them.
"""

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import cases
import servers

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
SMALL_FILE_BYTES = 16 * 1024
DEBIAN = {"nginx": "nginx", "curl": "curl", "socat": "socat", "b3sum": "b3sum", "time": "time"}


def size_of(text):
    found = re.fullmatch(r"(\d+)\s*([KMG]?)(iB)?", text.strip())
    if not found:
        sys.exit(f"BENCH_SIZE is a size like 256MiB or 1GiB, not {text!r}")
    return int(found[1]) * UNITS[found[2]]


def write_random(path, size):
    with path.open("wb") as file:
        for at in range(0, size, 4 << 20):
            file.write(os.urandom(min(4 << 20, size - at)))


def missing_tools():
    missing = {tool for tool in DEBIAN if not servers.find(tool)}
    for tool in sorted(missing):
        print(f"left out: {tool} is not installed (Debian: apt install {DEBIAN[tool]})")
    return missing


class Bench:
    def __init__(self, stack):
        self.parvi = os.environ["PARVI"]
        # No person's settings get into the measurement.
        for name in [n for n in os.environ if n.startswith("PARVI")]:
            del os.environ[name]
        self.size = size_of(os.environ.get("BENCH_SIZE", "1GiB"))
        self.rounds = max(3, int(os.environ.get("BENCH_ROUNDS", "3")))
        self.missing = missing_tools()
        self.stack = stack
        self.folder = Path(stack.enter_context(servers.scratch())).resolve()
        self.cases = []

    def make_files(self):
        """Two different files, so that the number of owners can differ, and two folders to index.

        Owners share by hard links, all made before a node starts: a link changes the file's ctime,
        and a node that has hashed it would have to do so again.
        """
        self.files = self.folder / "files"
        self.files.mkdir()
        self.solo, self.trio = self.files / "solo.bin", self.files / "trio.bin"
        for path in (self.solo, self.trio):
            write_random(path, self.size)
        for number, paths in ((1, (self.solo, self.trio)), (2, (self.trio,)), (3, (self.trio,))):
            shared = self.folder / f"owner{number}" / "shared"
            shared.mkdir(parents=True)
            for path in paths:
                os.link(path, shared / path.name)
        self.large = [self.folder / "index-large" / "shared" / "large.bin"]
        count = int(os.environ.get("BENCH_FILES", "1000"))
        tree = self.folder / "index-tree" / "shared"
        self.tree = [tree / f"{i % 10}" / f"{i:05}.txt" for i in range(count)]
        for path in self.large + self.tree:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_random(path, self.size if path in self.large else SMALL_FILE_BYTES)
        self.expected = {p.name: self.b3sum(p) for p in (self.solo, self.trio)}
        self.checked = cases.Checked(self.expected)
        self.out = cases.Output(self.folder / "out")

    def b3sum(self, path):
        if "b3sum" in self.missing:
            return None
        command = [servers.find("b3sum"), "--no-names", str(path)]
        return subprocess.run(command, capture_output=True, check=True).stdout.decode().strip()

    def start_swarm(self):
        tracker = self.stack.enter_context(servers.Tracker(self.parvi, self.folder / "tracker"))
        owners = []
        for number in (1, 2, 3):
            name, address = f"owner{number}", f"127.0.0.{20 + number}"
            node = servers.Node(self.parvi, self.folder / name, name, address, tracker)
            owners.append(self.stack.enter_context(node))
        for owner, count in zip(owners, (2, 1, 1)):
            owner.wait_indexed(count)
        self.tracker, self.owners = tracker, owners

    def add(self, made, size, against=None):
        self.cases.append(cases.Case(made[0], size, made[1], against))

    def add_copies(self):
        curl = {}
        if not {"nginx", "curl"} & self.missing:
            nginx = self.stack.enter_context(servers.Nginx(self.folder / "nginx", self.files))
            for fsync in ("no", "yes"):
                made = cases.by_curl(nginx, "solo.bin", self.out, self.checked, fsync == "yes")
                curl[fsync] = made[0]
                self.add(made, self.size, curl[fsync])
        if "socat" not in self.missing:
            self.add(cases.by_socat(self.solo, self.out, self.checked), self.size, curl.get("no"))
        for owners, name in ((self.owners[:1], "solo.bin"), (self.owners, "trio.bin")):
            for bulk in ("private", "clear"):
                for fsync in ("no", "yes"):
                    made = cases.by_parvi(
                        self.parvi, self.tracker, owners, name, self.out, self.checked, bulk, fsync
                    )
                    self.add(made, self.size, curl.get(fsync))

    def add_indexing(self):
        subjects = [
            ("index-large", self.large, "one large file", self.size),
            ("index-tree", self.tree, f"{len(self.tree)} small files",
             len(self.tree) * SMALL_FILE_BYTES),
        ]
        for folder, paths, what, size in subjects:
            against = None
            if "b3sum" not in self.missing:
                made = cases.by_b3sum(paths, what)
                against = made[0]
                self.add(made, size, against)
            made = cases.by_index(self.parvi, self.folder / folder, len(paths), what)
            self.add(made, size, against)

    def measure(self):
        for number in range(self.rounds):
            # Each round begins elsewhere: no case always runs behind the same other one.
            turn = number * len(self.cases) // self.rounds
            for case in self.cases[turn:] + self.cases[:turn]:
                if case.failure:
                    continue
                try:
                    cost = case.run()
                except (RuntimeError, ValueError, KeyError, OSError) as error:
                    case.failure = f"round {number + 1}: {error!r}"
                    print(f"failed: {case.name}: {case.failure}", file=sys.stderr)
                    continue
                case.costs.append(cost)
                print(f"round {number + 1}: {case.name}: {cost.seconds:.3f} s", file=sys.stderr)


def spread(values, digits):
    values = [v for v in values if v is not None]
    if not values:
        return "-"
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def median_of(case, what):
    values = [getattr(c, what) for c in case.costs if getattr(c, what) is not None]
    return statistics.median(values) if values else None


def shown(value, form):
    return "-" if value is None else format(value, form)


def table(bench):
    """Medians with min–max; `ratio` is the median time over that of the tool it stands beside."""
    by_name = {case.name: case for case in bench.cases}
    lines = [
        "| case | seconds | MiB/s | × time | client CPU s | server CPU s | peak RSS MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case in bench.cases:
        if case.failure:
            lines.append(f"| {case.name} | failed | - | - | - | - | - |")
            continue
        seconds = median_of(case, "seconds")
        beside = by_name.get(case.against)
        ratio = seconds / median_of(beside, "seconds") if beside and beside.costs else None
        lines.append(
            f"| {case.name} | {spread([c.seconds for c in case.costs], 3)} "
            f"| {case.bytes / seconds / (1 << 20):.0f} | {shown(ratio, '.2f')} "
            f"| {shown(median_of(case, 'client_cpu'), '.2f')} "
            f"| {shown(median_of(case, 'server_cpu'), '.2f')} "
            f"| {shown(median_of(case, 'peak_mib'), '.0f')} |"
        )
    return "\n".join(lines)


def first_line(*command):
    done = subprocess.run(command, capture_output=True, check=False)
    return ((done.stdout or done.stderr).decode(errors="replace").splitlines() or ["?"])[0]


def where(bench):
    """What one has to know to compare the numbers with others."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    disk = first_line("stat", "--file-system", "--format", "%T", str(bench.folder))
    return "\n".join([
        f"{first_line(bench.parvi, '--version')}, {bench.rounds} rounds, "
        f"file of {bench.size / (1 << 20):.0f} MiB, warm page cache, loopback",
        f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, "
        f"{int(memory[1]) >> 20} GiB, {disk}, Linux {platform.release()}",
    ])


def owners_peak(bench):
    peaks = ", ".join(f"{servers.peak_mib(o.pids[0]):.0f}" for o in bench.owners)
    return f"Peak memory of the three owners over all rounds: {peaks} MiB."


NOTES = """\
Seconds are medians with min–max. `× time` is the median time as a multiple of the tool's
it stands beside: curl without or with sync for copies, b3sum for indexing. parvi's time contains
finding the file, the handshake, checking every chunk, and with fsync the sync; curl and socat check
nothing. Indexing contains the start of the node."""


def keep(bench, text):
    results = Path(__file__).resolve().parent / "results"
    results.mkdir(exist_ok=True)
    stem = datetime.datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    (results / f"{stem}.md").write_text(text + "\n")
    raw = {case.name: [vars(cost) for cost in case.costs] for case in bench.cases}
    (results / f"{stem}.json").write_text(json.dumps(raw, indent=1) + "\n")
    print(f"kept: {results / stem}.md and .json", file=sys.stderr)


def main():
    with ExitStack() as stack:
        bench = Bench(stack)
        bench.make_files()
        bench.start_swarm()
        bench.add_copies()
        bench.add_indexing()
        bench.measure()
        text = "\n\n".join([where(bench), table(bench), owners_peak(bench), NOTES])
        print(text)
        keep(bench, text)
        return any(case.failure for case in bench.cases)


if __name__ == "__main__":
    sys.exit(main())
