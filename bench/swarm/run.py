"""One run of one tool on one workload: everything new before, everything gone after.

The clock runs from the first requester's start until the last one that counts has said that it is
done. Then all processes are frozen, and what lies in the files is compared with its source: a tool
that still keeps bytes to itself when it says that it is done has failed.
"""

import os
import select
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .processes import Crew, Process, inside, machine_cpu

LOOKS_EVERY_S = 1
# Memory touched before a run, bytes at most.
TOUCHED_MAX = 4 << 30


@dataclass
class Host:
    name: str
    address: str
    folder: Path
    role: str
    counts: bool = True

    @property
    def output(self):
        """Where a requester's copy arrives, unless its tool says otherwise."""
        return self.folder / "out"

    @property
    def shared(self):
        return self.folder / "shared"


class Run:
    def __init__(self, network, folder, workload, payload, limit):
        self.network, self.folder, self.workload, self.payload = network, folder, workload, payload
        self.limit = limit
        self.waiting, self.finished, self.opened = {}, {}, []

    def __enter__(self):
        # The same names each time; nothing of the run before is still being written meanwhile.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.crew = Crew()
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        subprocess.run(["sync", "--file-system", str(self.folder)], check=True)
        return self

    def _build(self):
        rates = self.workload.rates()
        self.network.build(rates)
        roles = {"o": "seed", "r": "requester", "t": "other"}
        self.hosts = []
        for name in rates:
            host = Host(name, self.network.addresses[name], self.folder / name, roles[name[0]])
            host.output.mkdir(parents=True)
            self.hosts.append(host)
        self.tracker = self.hosts[0]
        self.owners = [h for h in self.hosts if h.role == "seed"]
        self.requesters = [h for h in self.hosts if h.role == "requester"]
        for number, host in enumerate(self.requesters):
            host.counts = number < self.workload.counted()
        for owner in self.owners:
            self.payload.give(owner.shared)

    def __exit__(self, *_):
        self.crew.end()
        for file in self.opened:
            os.close(file)
        self.network.remove()

    def spawn(self, host, command, outside=False, **more):
        """Starts a process in the host; `outside` is for those that only speak to a local socket."""
        command = [str(word) for word in command]
        if not outside:
            command = inside(self.network.namespace(host.name), command)
        log = host.folder / f"{len(self.crew.members)}.log"
        return self.crew.add(Process(command, host.name, host.role, log, **more))

    # How a requester says that it is done: its process ends, or a line comes out of a file.

    def done_at_end_of(self, host, process):
        file = os.pidfd_open(process.pid)
        self.opened.append(file)
        self.waiting[file] = (host, process)

    def done_at_word_from(self, host, file):
        self.waiting[file] = (host, None)

    def hook(self, host):
        """A program that a tool can call when it is done; the pipe is open before that."""
        pipe, script = host.folder / "done", host.folder / "done.sh"
        os.mkfifo(pipe)
        script.write_text(f"#!/bin/sh\necho done >'{pipe}'\n")
        script.chmod(0o755)
        file = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.opened.append(file)
        self.done_at_word_from(host, file)
        return script

    def until(self, what, is_so, within_s=300):
        """Waits for something before the clock runs."""
        deadline = time.monotonic() + within_s
        while not is_so():
            self._nobody_failed()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what}: not within {within_s} s")
            time.sleep(0.05)

    def measure(self, tool):
        """Prepares, starts, waits; the figures of the run."""
        tool.prepare(self)
        self._touch_memory()
        sent = self.network.counters()
        cpu = {role: self.crew.cpu(role) for role in ("seed", "requester")}
        machine = machine_cpu()
        begun = time.perf_counter()
        tool.start(self)
        self._wait(begun)
        over = time.perf_counter() - begun
        self.crew.freeze()
        self.crew.sample()
        figures = {
            f"cpu_{role}": round(self.crew.cpu(role) - before, 3) for role, before in cpu.items()
        }
        figures["cpu_machine"] = round(machine_cpu() - machine, 3)
        now = self.network.counters()
        moved = {h.name: now[h.name]["sent"] - sent[h.name]["sent"] for h in self.hosts}
        counted = [self.finished.get(h.name) for h in self.requesters if h.counts]
        complete = None not in counted
        figures |= {
            "complete": complete, "seconds": max(counted) if complete else None,
            "waited": over, "finished": dict(self.finished), "sent": moved,
            "seed_sent": sum(moved[h.name] for h in self.owners),
            "seed_ratio": sum(moved[h.name] for h in self.owners) / self.payload.size,
        }
        for role in cpu:
            figures[f"peak_{role}"] = round(self.crew.peak(role, "peak_kib"), 1)
            figures[f"anonymous_{role}"] = round(self.crew.peak(role, "anonymous_kib"), 1)
        self._check(tool)
        return figures

    def _touch_memory(self):
        """Uses and frees as much memory as the copies will take, so that the system has it at hand.

        Under a hypervisor that lends memory page by page the first use of each costs ten times a
        later one (seen: 2.0 against 0.2 s of processor time for a GiB), whichever tool comes first.
        """
        left = min(self.payload.size * len(self.requesters), TOUCHED_MAX)
        zeros, path = bytes(4 << 20), self.folder / "touched"
        with path.open("wb", buffering=0) as file:
            path.unlink()
            while left > 0:
                left -= file.write(zeros)

    def _wait(self, begun):
        poll = select.poll()
        for file in self.waiting:
            poll.register(file, select.POLLIN)
        deadline = begun + self.limit
        while any(h.counts and h.name not in self.finished for h in self.requesters):
            left = deadline - time.perf_counter()
            if left <= 0:
                return
            events = poll.poll(min(left, LOOKS_EVERY_S) * 1000)
            now = time.perf_counter() - begun
            for file, _ in events:
                poll.unregister(file)
                host, process = self.waiting[file]
                if process is None and b"done" not in os.read(file, 4096):
                    raise RuntimeError(f"{host.name} is gone without a word:\n{self.said_by(host)}")
                self.finished[host.name] = now
            self._nobody_failed()

    def _nobody_failed(self):
        for process in self.crew.members:
            if process.code() not in (None, 0):
                words = process.command
                program = words[4] if words[:3] == ["ip", "netns", "exec"] else words[0]
                raise RuntimeError(f"{Path(program).name} on {process.host} ended with "
                                   f"{process.code()}\n{process.said()}\n{' '.join(words)}")

    def said_by(self, host):
        return "".join(p.said() for p in self.crew.members if p.host == host.name)

    def _check(self, tool):
        for host in self.requesters:
            if host.counts and host.name in self.finished:
                wrong = self.payload.check(tool.output(host))
                if wrong:
                    raise RuntimeError(f"{tool.name} says that it is done, but {wrong}")
