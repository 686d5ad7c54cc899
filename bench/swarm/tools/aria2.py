"""aria2: its BitTorrent side, with every bound that can be lifted lifted."""

import base64
import json

from .base import find
from .bittorrent import API_PORT, BitTorrent, as_json

OPTIONS = [
    "--no-conf", "--enable-rpc", f"--rpc-listen-port={API_PORT}", "--rpc-max-request-size=64M",
    "--seed-ratio=0.0", "--bt-max-peers=0", "--bt-request-peer-speed-limit=100000M",
    "--bt-min-crypto-level=plain", "--bt-require-crypto=false", "--enable-dht=false",
    "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
    "--bt-max-open-files=1000", "--max-upload-limit=0", "--max-overall-upload-limit=0",
    "--max-download-limit=0", "--disk-cache=64M", "--file-allocation=none", "--follow-torrent=mem",
    "--bt-seed-unverified=true", "--listen-port=6881",
    "--allow-overwrite=true", "--auto-file-renaming=false", "--summary-interval=0",
    "--console-log-level=warn", "--disable-ipv6=true", "--save-session-interval=0",
    "--bt-save-metadata=false", "--bt-load-saved-metadata=false",
]


class Aria2(BitTorrent):
    name = "aria2"
    programs = {"aria2c": "aria2"}

    def seed(self, run, host):
        run.spawn(host, [find("aria2c"), *OPTIONS, f"--dir={host.shared}", run.torrent_path])

    def wait_for_word(self, run, host):
        hook = run.hook(host)
        run.spawn(host, [find("aria2c"), *OPTIONS, f"--dir={host.output}",
                         f"--on-bt-download-complete={hook}"])
        self.reach(run, host, lambda api: self.call(api, "aria2.getVersion"))

    def give(self, run, host):
        packed = base64.b64encode(run.torrent).decode()
        self.call(run.apis[host.name], "aria2.addTorrent", packed)

    def call(self, api, method, *arguments):
        body = {"jsonrpc": "2.0", "id": "1", "method": method, "params": list(arguments)}
        status, _, answer = api.ask("POST", "/jsonrpc", as_json(body),
                                    {"Content-Type": "application/json"})
        if status != 200:
            raise RuntimeError(f"aria2 answered {method} with {status}: {answer[:500]!r}")
        return json.loads(answer)["result"]
