"""What all BitTorrent clients share: one tracker, a torrent, owners that it knows as complete.

Requesters are programs that run already and are given the torrent when the clock starts.
"""

import http.client
import json
import sys
from pathlib import Path

from .. import torrent
from .base import Tool

ANNOUNCE_PORT = 6969
API_PORT = 7777


class Http(http.client.HTTPConnection):
    """HTTP to a program inside a host, over that host's own loopback."""

    def __init__(self, network, host, port=API_PORT, address="127.0.0.1"):
        super().__init__(address, port)
        self.network, self.inside, self.at = network, host, address

    def connect(self):
        self.sock = self.network.connect(self.inside.name, self.port, 60, self.at)

    def ask(self, method, path, body=None, headers=None):
        self.request(method, path, body, headers or {})
        answer = self.getresponse()
        return answer.status, answer.headers, answer.read()


class BitTorrent(Tool):
    def prepare(self, run):
        run.torrent = torrent.torrent(
            run.payload.info, f"http://{run.tracker.address}:{ANNOUNCE_PORT}/announce"
        )
        run.torrent_path = run.folder / f"{run.payload.name}.torrent"
        run.torrent_path.write_bytes(run.torrent)
        run.apis = {}
        script = Path(__file__).resolve().parent.parent / "announce.py"
        run.spawn(run.tracker, [sys.executable, "-B", script, ANNOUNCE_PORT])
        run.until("the BitTorrent tracker", lambda: self.seeds(run) is not None)
        for owner in run.owners:
            self.seed(run, owner)
        for requester in run.requesters:
            self.wait_for_word(run, requester)
        run.until("owners that the tracker knows", lambda: self.seeds(run) == len(run.owners))

    def seeds(self, run):
        api = Http(run.network, run.tracker, ANNOUNCE_PORT)
        try:
            return int(api.ask("GET", "/seeds")[2])
        except OSError:
            return None
        finally:
            api.close()

    def reach(self, run, host, asks):
        """Waits until the host's program answers, and keeps the connection open."""
        api = Http(run.network, host)

        def answers():
            try:
                return asks(api)
            except (OSError, http.client.HTTPException):
                api.close()
                return False

        run.until(f"{self.name}'s programming interface on {host.name}", answers)
        run.apis[host.name] = api
        return api

    def seed(self, run, host):
        """Starts an owner with its complete copy."""
        raise NotImplementedError

    def wait_for_word(self, run, host):
        """Starts a requester's program, without the torrent."""
        raise NotImplementedError

    def give(self, run, host):
        """Gives it the torrent."""
        raise NotImplementedError

    def start(self, run):
        for host in run.requesters:
            self.give(run, host)


def as_json(value):
    return json.dumps(value).encode()
