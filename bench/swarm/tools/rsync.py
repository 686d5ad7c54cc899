"""rsync from its daemon, without encryption."""

from .base import OneSource, find

PORT = 873
CONFIG = """
use chroot = no
uid = 0
gid = 0
max connections = 0
pid file = {run}/rsyncd.pid
log file = {run}/rsyncd.log
[shared]
path = {root}
read only = yes
"""


class Rsync(OneSource):
    name = "rsync"
    programs = {"rsync": "rsync"}

    def prepare(self, run):
        owner = run.owners[0]
        config = owner.folder / "rsyncd.conf"
        config.write_text(CONFIG.format(run=owner.folder, root=owner.shared))
        run.spawn(owner, [find("rsync"), "--daemon", "--no-detach", "--config", config,
                          "--address", owner.address, "--port", PORT])

        def answers():
            try:
                run.network.connect(owner.name, PORT, address=owner.address).close()
                return True
            except OSError:
                return False

        run.until("rsync's daemon", answers)

    def start(self, run):
        for host in run.requesters:
            source = f"rsync://{run.owners[0].address}:{PORT}/shared/{run.payload.name}"
            run.done_at_end_of(host, run.spawn(host, [
                find("rsync"), "--recursive", "--whole-file", source, f"{host.output}/",
            ]))
