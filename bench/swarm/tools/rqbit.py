"""rqbit: its server, which is not in Debian; measured where somebody has installed it."""

import json
import os
import threading
import time
import urllib.parse

from .base import find
from .bittorrent import API_PORT, BitTorrent

POLL_EVERY_S = 0.005
# As variables, since an older rqbit passes over those that it does not know.
SETTINGS = {
    "RQBIT_DHT_DISABLE": "true", "RQBIT_LSD_DISABLE": "true", "RQBIT_PEER_LIMIT": "1000",
    "RQBIT_UPNP_PORT_FORWARD_DISABLE": "true", "RQBIT_SESSION_PERSISTENCE_DISABLE": "true",
}


class Rqbit(BitTorrent):
    name = "rqbit"
    programs = {"rqbit": "none: cargo install rqbit"}

    def server(self, run, host, folder):
        run.spawn(host, [
            find("rqbit"), "--http-api-listen-addr", f"127.0.0.1:{API_PORT}", "--disable-dht",
            "-v", "warn", "server", "start", "--disable-persistence", folder,
        ], env=os.environ | SETTINGS)
        self.reach(run, host, lambda api: api.ask("GET", "/torrents")[0] == 200)

    def seed(self, run, host):
        self.server(run, host, host.shared)
        self.add(run, host, host.shared)

    def wait_for_word(self, run, host):
        self.server(run, host, host.output)
        out, into = os.pipe()
        run.opened += [out, into]
        run.done_at_word_from(host, out)
        run.apis[host.name].word = into

    def add(self, run, host, folder):
        # A torrent of many files is put into the very folder that is named here.
        folder = folder / run.payload.name if run.payload.is_folder else folder
        query = urllib.parse.urlencode({"overwrite": "true", "output_folder": str(folder)})
        status, _, answer = run.apis[host.name].ask("POST", f"/torrents?{query}", run.torrent)
        if status != 200:
            raise RuntimeError(f"rqbit did not take the torrent: {status} {answer[:500]!r}")

    def give(self, run, host):
        self.add(run, host, host.output)
        # Its own connection is used by this thread alone from now on.
        threading.Thread(target=self.watch, args=(run.apis[host.name],), daemon=True).start()

    def watch(self, api):
        try:
            while not json.loads(api.ask("GET", "/torrents/0/stats/v1")[2]).get("finished"):
                time.sleep(POLL_EVERY_S)
            os.write(api.word, b"done\n")
        except (OSError, ValueError):
            pass
