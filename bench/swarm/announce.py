"""A BitTorrent tracker for one network: `python3 announce.py PORT`; it ends when it is killed.

Whoever announces gets all others. /seeds says how many have everything.
"""

import http.server
import socket
import sys
import threading
import urllib.parse

from torrent import encode

INTERVAL_S = 10


class Tracker(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    peers, lock = {}, threading.Lock()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/seeds":
            with self.lock:
                self.answer(str(sum(1 for left in self.peers.values() if left == 0)).encode())
            return
        if url.path != "/announce":  # transmission asks for statistics as well
            self.send_error(404)
            return
        asked = urllib.parse.parse_qs(url.query, encoding="latin-1")
        me = (self.client_address[0], int(asked["port"][0]))
        with self.lock:
            if asked.get("event") == ["stopped"]:
                self.peers.pop(me, None)
            else:
                self.peers[me] = int(asked.get("left", ["1"])[0])
            others = [peer for peer in self.peers if peer != me]
        compact = b"".join(socket.inet_aton(a) + p.to_bytes(2, "big") for a, p in others)
        self.answer(encode({"interval": INTERVAL_S, "min interval": INTERVAL_S, "peers": compact}))

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Tracker).serve_forever()
