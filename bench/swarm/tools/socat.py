"""socat: bytes through a socket and nothing else; among several, a chain of socat and tee.

The chain is the shortest possible way where everybody is there and equally fast. It knows its order
beforehand: a slow requester is its last member.
"""

import subprocess

from .base import OneSource, find

PORT = 9000
BLOCK = ["-u", "-b", "1048576"]


class Socat(OneSource):
    name = "socat"
    programs = {"socat": "socat", "tar": "tar", "tee": "coreutils"}

    def version(self):
        done = subprocess.run([find("socat"), "-V"], capture_output=True, text=True, check=False)
        return next((" ".join(line.split()[:3]) for line in done.stdout.splitlines()
                     if line.startswith("socat version")), "?")

    def prepare(self, run):
        owner = run.owners[0]
        listen = f"TCP-LISTEN:{PORT},reuseaddr"
        if run.payload.is_folder:
            tar = run.spawn(owner, [find("tar"), "--create", "--file=-", "-C", owner.shared,
                                    run.payload.name], stdout=subprocess.PIPE)
            run.spawn(owner, [find("socat"), *BLOCK, "-", listen], stdin=tar.popen.stdout)
        else:
            source = owner.shared / run.payload.name
            run.spawn(owner, [find("socat"), *BLOCK, f"FILE:{source}", listen])

    def start(self, run):
        before = run.owners[0]
        for host in run.requesters:
            dial = f"TCP:{before.address}:{PORT},retry=10000,interval=0.005"
            last = host is run.requesters[-1]
            run.done_at_end_of(host, self.fetch(run, host, dial, last))
            before = host

    def fetch(self, run, host, dial, last):
        """The process whose end says that the host has everything."""
        if last and not run.payload.is_folder:
            target = f"CREATE:{host.output / run.payload.name}"
            return run.spawn(host, [find("socat"), *BLOCK, dial, target])
        got = run.spawn(host, [find("socat"), *BLOCK, dial, "-"], stdout=subprocess.PIPE)
        if run.payload.is_folder:
            command = [find("tar"), "--extract", "--file=-", "-C", host.output]
            return run.spawn(host, command, stdin=got.popen.stdout)
        tee = run.spawn(host, [find("tee"), host.output / run.payload.name],
                        stdin=got.popen.stdout, stdout=subprocess.PIPE)
        run.spawn(host, [find("socat"), *BLOCK, "-", f"TCP-LISTEN:{PORT},reuseaddr"],
                  stdin=tee.popen.stdout)
        return tee
