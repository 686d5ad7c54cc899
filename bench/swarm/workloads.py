"""What is moved, from how many to how many, over which lines."""

import hashlib
import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from . import torrent

MIB = 1 << 20
GIB = 1 << 30
MBIT = 1_000_000


@dataclass(frozen=True)
class Workload:
    name: str
    says: str
    payload: str
    owners: int = 1
    requesters: int = 1
    rate: int | None = None
    slow_owners: int = 0
    slow_requesters: int = 0

    def rates(self):
        """The rate of each host; those that are slow have 1 % and come last of their kind."""
        slow = self.rate // 100 if self.rate else None
        made = {"tracker": None}
        for kind, count, slows in (("o", self.owners, self.slow_owners),
                                   ("r", self.requesters, self.slow_requesters)):
            for number in range(count):
                made[f"{kind}{number + 1}"] = slow if number >= count - slows else self.rate
        return made

    def counted(self):
        return self.requesters - self.slow_requesters


WORKLOADS = [
    Workload("loop-1to1", "1 GiB from one owner to one requester, unshaped", "large"),
    Workload("loop-3to1", "1 GiB from three complete owners to one requester, unshaped",
             "large", owners=3),
    Workload("loop-1to8", "256 MiB from one owner to eight requesters, unshaped",
             "middle", requesters=8),
    Workload("shaped-1to8", "64 MiB from one owner to eight requesters, every host 100 Mbit/s "
             "in each direction", "small", requesters=8, rate=100 * MBIT),
    Workload("shaped-1to16", "64 MiB from one owner to sixteen requesters, every host 100 Mbit/s "
             "in each direction", "small", requesters=16, rate=100 * MBIT),
    Workload("slow-owner", "1 GiB from four owners to one requester, every host 1 Gbit/s in each "
             "direction, one owner 10 Mbit/s", "large", owners=4, rate=1000 * MBIT, slow_owners=1),
    Workload("slow-requester", "64 MiB from one owner to eight requesters, every host 100 Mbit/s "
             "in each direction, one requester 1 Mbit/s: the time of the seven others",
             "small", requesters=8, rate=100 * MBIT, slow_requesters=1),
    Workload("small-10000", "a folder of 10,000 files of 1 to 10 KiB from one owner to an empty "
             "host, unshaped", "folder"),
]


@dataclass
class Payload:
    """`parts` are paths below `source`; a folder's begin with its name."""

    name: str
    source: Path
    parts: list = field(default_factory=list)
    digests: dict = field(default_factory=dict)
    size: int = 0
    is_folder: bool = False
    info: bytes = b""

    def give(self, folder):
        """Puts the payload into an owner's folder, by hard links."""
        for part in self.parts:
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            os.link(self.source / part, folder / part)

    def check(self, folder):
        """What is wrong with a copy; None when every byte is right."""
        for part, digest in self.digests.items():
            path = folder / part
            if not path.is_file():
                return f"{path} is not there"
            if hashed(path) != digest:
                return f"{path} has wrong bytes"
        return None


def hashed(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fill(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for at in range(0, size, 4 * MIB):
            file.write(os.urandom(min(4 * MIB, size - at)))


SIZES = {"large": GIB, "middle": 256 * MIB, "small": 64 * MIB}
FILES = 10_000


class Payloads:
    """Makes each payload when it is first asked for."""

    def __init__(self, folder, scale=1.0):
        self.folder, self.scale, self.made = folder, scale, {}

    def get(self, kind):
        if kind not in self.made:
            self.made[kind] = self._make(kind)
        return self.made[kind]

    def _make(self, kind):
        source = self.folder / kind
        if kind == "folder":
            payload = Payload("files", source, is_folder=True)
            draw = random.Random(1)
            for number in range(max(1, int(FILES * self.scale))):
                part = f"files/{number // 100:03}/{number:05}.dat"
                fill(source / part, draw.randint(1024, 10 * 1024))
                payload.parts.append(part)
        else:
            payload = Payload(f"{kind}.bin", source, [f"{kind}.bin"])
            fill(source / payload.name, max(1, int(SIZES[kind] * self.scale)))
        payload.size = sum((source / part).stat().st_size for part in payload.parts)
        payload.digests = {part: hashed(source / part) for part in payload.parts}
        payload.info = torrent.info(payload)
        return payload

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
