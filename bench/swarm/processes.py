"""Processes inside hosts: started, measured, ended by their id.

CPU is user and system time of a process, its children and what it has waited for; a process that has
ended is counted by what the kernel says when it is reaped. Peak memory is read while it runs, since
the figure at the end would contain the program that started it.
"""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_EVERY_S = 0.2
ENDS_WITHIN_S = 8


class Process:
    """One process of one host; `role` says whose cost it is: seed, requester or other."""

    def __init__(self, command, host, role, log, stdin=subprocess.DEVNULL, stdout=None, env=None):
        self.command, self.host, self.role, self.log = command, host, role, log
        self.usage, self.peak_kib, self.anonymous_kib = None, 0, 0
        self.lock = threading.Lock()
        with log.open("ab") as file:
            self.popen = subprocess.Popen(
                command, stdin=stdin, stdout=file if stdout is None else stdout, stderr=file,
                start_new_session=True, env=env,
            )

    @property
    def pid(self):
        return self.popen.pid

    def code(self):
        """The exit code, or None while it runs."""
        with self.lock:
            if self.popen.returncode is None:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
                if pid:
                    self.popen.returncode = os.waitstatus_to_exitcode(status)
                    self.usage = usage.ru_utime + usage.ru_stime
            return self.popen.returncode

    def family(self):
        """This process and all below it that run now."""
        found, left = [], [self.pid]
        while left:
            pid = left.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                left += map(int, read(task).split())
        return found

    def cpu(self):
        if self.code() is not None:
            return self.usage
        total = 0
        for pid in self.family():
            fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) if fields else 0
        return total / TICKS

    def sample(self):
        """The sum over the family of each member's highest memory, and of memory no file backs."""
        if self.popen.returncode is not None:
            return
        peak = anonymous = 0
        for pid in self.family():
            for line in read(f"/proc/{pid}/status").splitlines():
                if line.startswith("VmHWM:"):
                    peak += int(line.split()[1])
                elif line.startswith("RssAnon:"):
                    anonymous += int(line.split()[1])
        self.peak_kib = max(self.peak_kib, peak)
        self.anonymous_kib = max(self.anonymous_kib, anonymous)

    def said(self):
        return self.log.read_text(errors="replace")[-1500:]

    def signal(self, number, all_below=False):
        if self.code() is not None:
            return
        for pid in self.family() if all_below else [self.pid]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # one below it that has ended meanwhile


def read(path):
    """What a file in /proc says; nothing when the process has ended meanwhile."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def machine_cpu():
    """All that the machine has done so far, also what the kernel bills to no process."""
    spent = list(map(int, read("/proc/stat").splitlines()[0].split()[1:8]))
    user, nice, system, _idle, _waiting, irq, softirq = spent
    return (user + nice + system + irq + softirq) / TICKS


def inside(namespace, command):
    return ["ip", "netns", "exec", namespace, *command]


class Crew:
    """All processes of one run, with a thread that looks at their memory."""

    def __init__(self):
        self.members, self.stop = [], threading.Event()
        self.sampler = threading.Thread(target=self._watch, daemon=True)
        self.sampler.start()

    def _watch(self):
        while not self.stop.wait(SAMPLE_EVERY_S):
            self.sample()

    def sample(self):
        for process in list(self.members):
            process.sample()

    def add(self, process):
        self.members.append(process)
        return process

    def cpu(self, role):
        return sum(p.cpu() for p in self.members if p.role == role)

    def peak(self, role, what):
        """MiB of the host that needed most: its processes of that role together."""
        hosts = {}
        for process in self.members:
            if process.role == role:
                hosts[process.host] = hosts.get(process.host, 0) + getattr(process, what)
        return max(hosts.values(), default=0) / 1024

    def freeze(self):
        """Nobody does anything any more: what is not in its file now was not there in time."""
        for process in self.members:
            process.signal(signal.SIGSTOP, all_below=True)

    def end(self):
        """Ends all of them, last started first; those that do not listen are killed."""
        self.stop.set()
        self.sampler.join()
        for process in reversed(self.members):
            process.signal(signal.SIGTERM)
            process.signal(signal.SIGCONT, all_below=True)
        deadline = time.monotonic() + ENDS_WITHIN_S
        for process in self.members:
            while process.code() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            process.signal(signal.SIGKILL)
        for process in self.members:
            while process.code() is None:
                time.sleep(0.01)
            for stream in (process.popen.stdin, process.popen.stdout):
                if stream:
                    try:
                        stream.close()
                    except OSError:
                        pass
