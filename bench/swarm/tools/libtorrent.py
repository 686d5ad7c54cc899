"""libtorrent, by a small client on its Python binding."""

import os
import subprocess
import sys
from pathlib import Path

from .base import first_line
from .bittorrent import BitTorrent

# -I: this folder, with a module of the same name, is not where the client looks.
PYTHON = [sys.executable, "-I", "-B"]
CLIENT = Path(__file__).resolve().parent / "libtorrent_client.py"


class Libtorrent(BitTorrent):
    name = "libtorrent"

    def missing(self):
        tried = subprocess.run([*PYTHON, "-c", "import libtorrent"], capture_output=True,
                               check=False)
        return [("libtorrent for Python", "python3-libtorrent")] if tried.returncode else []

    def version(self):
        return first_line(*PYTHON, "-c",
                          "import libtorrent; print('libtorrent', libtorrent.__version__)")

    def client(self, run, host, kind, folder, **more):
        command = [*PYTHON, CLIENT, kind, run.torrent_path, folder]
        return run.spawn(host, command, **more)

    def seed(self, run, host):
        self.client(run, host, "seed", host.shared)

    def wait_for_word(self, run, host):
        process = self.client(run, host, "fetch", host.output, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
        out = process.popen.stdout.fileno()
        if os.read(out, 100) != b"ready\n":
            raise RuntimeError(f"the libtorrent client did not get ready:\n{process.said()}")
        run.apis[host.name] = process.popen.stdin
        run.done_at_word_from(host, out)

    def give(self, run, host):
        run.apis[host.name].write(b"go\n")
        run.apis[host.name].flush()
