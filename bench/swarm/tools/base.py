"""What a tool has to say of itself, and how its programs are found."""

import os
import shutil
import subprocess

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin"


def find(program):
    """The program's path, also where an ordinary user's PATH does not look."""
    return shutil.which(program, path=PATH)


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    return ((done.stdout or done.stderr).decode(errors="replace").splitlines() or ["?"])[0]


class Tool:
    """`programs` maps what it needs to Debian's package of that."""

    name = ""
    programs = {}

    def missing(self):
        """(what, Debian's package) for all that is not there."""
        return [(program, package) for program, package in self.programs.items()
                if not find(program)]

    def version(self):
        return first_line(find(next(iter(self.programs))), "--version")

    def unfit(self, workload):
        """Why it cannot do this workload; None when it can."""
        return None

    def prepare(self, run):
        """Starts owners and whatever requesters need before the clock; all of it ready at return."""

    def start(self, run):
        """Starts the requesters: the clock runs."""
        raise NotImplementedError

    def output(self, host):
        """The folder that a requester's copy lies in."""
        return host.output


class OneSource(Tool):
    """A tool that fetches from one server only."""

    def unfit(self, workload):
        return "fetches from one owner only" if workload.owners > 1 else None
