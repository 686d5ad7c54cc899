"""parvi as its users run it: a tracker, and a node on every host; requesters serve one another."""

import json
import os
import subprocess

from .base import Tool, first_line

TRACKER_PORT = 12345


class Parvi(Tool):
    def __init__(self, bulk, fsync):
        self.bulk, self.fsync = bulk, fsync
        self.name = f"parvi-{bulk}" + ("-fsync" if fsync == "yes" else "")
        self.program = os.environ["PARVI_BIN"]
        # No person's settings get into the measurement.
        self.env = {n: v for n, v in os.environ.items() if not n.startswith("PARVI")}

    def missing(self):
        usable = os.access(self.program, os.X_OK)
        return [] if usable else [(self.program, "none: cargo build --release, or PARVI_BIN")]

    def version(self):
        return first_line(self.program, "--version")

    def prepare(self, run):
        data = run.tracker.folder / "data"
        address = f"{run.tracker.address}:{TRACKER_PORT}"
        tracker = run.spawn(run.tracker, [self.program, "tracker", "--listen", address, "--data",
                                          data, "--headless"], env=self.env)
        run.until("parvi's tracker", lambda: b"ready " in tracker.log.read_bytes())
        for host in run.owners + run.requesters:
            (host.folder / "downloaded").mkdir()
            run.spawn(host, [
                self.program, "node", "--data", host.folder, "--name", host.name, "--listen",
                host.address, "--tracker", address, "--bulk", self.bulk, "--fsync", self.fsync,
                "--headless",
            ], env=self.env)
        run.until("the tracker's list", lambda: self.is_listed(run, data))

    def is_listed(self, run, data):
        """Whether the tracker knows all nodes, and each owner's every file."""
        peers = self.ask(data, "peers")
        if peers is None or len(peers) < len(run.owners) + len(run.requesters):
            return False
        owned = [p["files"] for p in peers if p["node"][0] == "o"]
        return all(count == len(run.payload.parts) for count in owned)

    def ask(self, data, *words):
        """What a running program answers; None when it does not yet."""
        done = subprocess.run([self.program, "ctl", "--data", str(data), "--json", *words],
                              capture_output=True, check=False, env=self.env)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def start(self, run):
        for host in run.requesters:
            run.done_at_end_of(host, run.spawn(host, [
                self.program, "ctl", "--data", host.folder, "request", run.payload.name, "--wait",
            ], outside=True, env=self.env))

    def output(self, host):
        return host.folder / "downloaded"
