"""All tools, in the order of the tables."""

from .aria2 import Aria2
from .curl import Curl
from .libtorrent import Libtorrent
from .parvi import Parvi
from .rqbit import Rqbit
from .rsync import Rsync
from .socat import Socat
from .transmission import Transmission


def every():
    return [
        Parvi("private", "no"), Parvi("clear", "no"), Parvi("private", "yes"), Libtorrent(),
        Transmission(), Aria2(), Rqbit(), Curl(), Rsync(), Socat(),
    ]
