"""Hosts that are network namespaces, joined by a bridge in a namespace of its own.

Nothing is made in the machine's own network: bridge and cables lie inside namespaces whose names
begin with the prefix, and go with them. A network lasts one run, so that no run inherits another's
TCP metrics or connections.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

CLONE_NEWNET = 0x40000000
SUBNET = "10.213.0"
PORT_IN_HOST = "eth0"


def ip(*arguments, batch=None, check=True):
    """Runs `ip`, with several commands at once where `batch` has them."""
    command = ["ip", *arguments, *(["-batch", "-"] if batch else [])]
    text = "\n".join(batch) + "\n" if batch else None
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}\n{text or ''}")
    return done.stdout


def shaper(rate):
    """The words of tc for a rate in bit/s: 50 ms of queue, more where that would be a few packets.

    Bursts of 10 ms: a smaller bucket makes tc cut up what TCP hands over in one piece, which costs the
    machine more than what is measured.
    """
    burst = max(16 << 10, min(256 << 10, rate // 8 // 100))
    limit = max(64 << 10, rate // 8 // 20)
    return ["tbf", "rate", f"{rate}bit", "burst", str(burst), "limit", str(limit)]


def namespaces(prefix):
    listed = ip("netns", "list").splitlines()
    return [line.split()[0] for line in listed if line.startswith(prefix + "-")]


def remove(prefix):
    """Removes every namespace with the prefix, and ends what still runs in it."""
    for name in namespaces(prefix):
        for pid in ip("netns", "pids", name, check=False).split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        ip("netns", "del", name, check=False)


class Network:
    """`build` makes the hosts in the order given; `remove` takes everything away."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.switch = f"{prefix}-sw"
        self.addresses = {}

    def namespace(self, host):
        return f"{self.prefix}-{host}"

    def build(self, rates):
        """`rates` has for each host's name its rate in bit/s in each direction, or None."""
        ip("netns", "add", self.switch)
        ip("-n", self.switch, batch=["link add br0 type bridge stp_state 0 forward_delay 0",
                                     "link set br0 addrgenmode none", "link set br0 up"])
        for number, (host, rate) in enumerate(rates.items(), 1):
            self.addresses[host] = f"{SUBNET}.{number}"
            self._add(host, rate)

    def _add(self, host, rate):
        name, address = self.namespace(host), self.addresses[host]
        ip("netns", "add", name)
        ip("-n", self.switch, batch=[
            f"link add dev {host} type veth peer name {PORT_IN_HOST} netns {name}",
            f"link set dev {host} addrgenmode none", f"link set dev {host} master br0 up",
        ])
        ip("-n", name, batch=[
            "link set lo up", f"link set {PORT_IN_HOST} addrgenmode none",
            f"addr add {address}/24 dev {PORT_IN_HOST}", f"link set {PORT_IN_HOST} up",
        ])
        if rate:
            for where, device in ((name, PORT_IN_HOST), (self.switch, host)):
                subprocess.run(["tc", "-n", where, "qdisc", "add", "dev", device, "root",
                                *shaper(rate)], check=True)

    def counters(self):
        """Bytes that each host has sent and received so far, headers included."""
        ports = json.loads(ip("-n", self.switch, "-s", "-j", "link", "show"))
        counted = {port["ifname"]: port["stats64"] for port in ports}
        return {host: {"sent": counted[host]["rx"]["bytes"], "received": counted[host]["tx"]["bytes"]}
                for host in self.addresses}

    def connect(self, host, port, timeout=10, address="127.0.0.1"):
        """A connection that begins inside the host; it stays there whoever uses it later.

        A thread's namespace is its own, so a thread goes there, dials and ends.
        """
        outcome = []

        def dial():
            try:
                enter(self.namespace(host))
                outcome.append(socket.create_connection((address, port), timeout))
            except OSError as error:
                outcome.append(error)

        thread = threading.Thread(target=dial)
        thread.start()
        thread.join()
        if isinstance(outcome[0], OSError):
            raise outcome[0]
        outcome[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return outcome[0]

    def remove(self):
        remove(self.prefix)
        self.addresses = {}


def enter(namespace):
    """Puts the calling thread into the namespace (Python has os.setns only since 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    file = os.open(Path("/run/netns") / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(file, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"entering network namespace {namespace}: {os.strerror(code)}")
    finally:
        os.close(file)
