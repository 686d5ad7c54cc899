"""transmission: its daemon, controlled as its own client does."""

import base64
import json

from .base import find, first_line
from .bittorrent import API_PORT, BitTorrent, as_json

SETTINGS = {
    "rpc-enabled": True, "rpc-port": API_PORT, "rpc-bind-address": "127.0.0.1",
    "rpc-authentication-required": False, "rpc-whitelist-enabled": False,
    "rpc-host-whitelist-enabled": False, "dht-enabled": False, "lpd-enabled": False,
    "pex-enabled": False, "utp-enabled": False, "encryption": 0, "peer-limit-global": 2000,
    "peer-limit-per-torrent": 1000, "upload-slots-per-torrent": 1000,
    "speed-limit-up-enabled": False, "speed-limit-down-enabled": False, "alt-speed-enabled": False,
    "ratio-limit-enabled": False, "idle-seeding-limit-enabled": False,
    "download-queue-enabled": False, "seed-queue-enabled": False, "queue-stalled-enabled": False,
    "preallocation": 0, "rename-partial-files": True, "cache-size-mb": 64,
    "port-forwarding-enabled": False, "peer-port": 51413, "peer-port-random-on-start": False,
    "start-added-torrents": True, "message-level": 1, "blocklist-enabled": False,
    "scrape-paused-torrents-enabled": False, "trash-original-torrent-files": False,
    "peer-congestion-algorithm": "", "peer-socket-tos": "default",
}
SESSION = "X-Transmission-Session-Id"


class Transmission(BitTorrent):
    name = "transmission"
    programs = {"transmission-daemon": "transmission-daemon"}

    def version(self):
        return first_line(find("transmission-daemon"), "--version")

    def daemon(self, run, host, folder, more):
        home = host.folder / "transmission"
        home.mkdir()
        settings = SETTINGS | {"download-dir": str(folder)} | more
        (home / "settings.json").write_text(json.dumps(settings))
        run.spawn(host, [find("transmission-daemon"), "--foreground", "--config-dir", home])
        self.reach(run, host, self.learn)

    def learn(self, api):
        """The first answer only says which session this is."""
        status, headers, _ = api.ask("POST", "/transmission/rpc", b"{}")
        api.session = headers.get(SESSION)
        return status == 409 and api.session

    def seed(self, run, host):
        self.daemon(run, host, host.shared, {})
        self.give(run, host)

    def wait_for_word(self, run, host):
        self.daemon(run, host, host.output, {
            "script-torrent-done-enabled": True,
            "script-torrent-done-filename": str(run.hook(host)),
        })

    def give(self, run, host):
        body = {"method": "torrent-add",
                "arguments": {"metainfo": base64.b64encode(run.torrent).decode()}}
        api = run.apis[host.name]
        _, _, answer = api.ask("POST", "/transmission/rpc", as_json(body), {SESSION: api.session})
        if json.loads(answer)["result"] != "success":
            raise RuntimeError(f"transmission did not take the torrent: {answer[:500]!r}")
