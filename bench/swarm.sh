#!/usr/bin/env bash
# One command, as root: measures parvi beside aria2, libtorrent, transmission, rqbit, curl, rsync and
# socat between network namespaces. It installs nothing; a tool that is missing is named and left out.
# Whatever happens, its namespaces, processes and files are gone at the end.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-/usr/bin/python3} # Debian's own, which is whom python3-libtorrent is for

say_missing() {
    echo "bench/swarm.sh: $1 is missing (Debian: apt install $2)" >&2
    exit 1
}
[[ -x $PYTHON ]] || PYTHON=$(command -v python3) || say_missing python3 python3
export PYTHONPATH=$here
export PARVI_BIN=${PARVI_BIN:-}
for word in "$@"; do
    if [[ $word == -h || $word == --help ]]; then
        exec "$PYTHON" -B -m swarm --help
    fi
done
if [[ $(id -u) != 0 ]]; then
    echo "bench/swarm.sh: needs root, to make network namespaces; run it with sudo" >&2
    exit 1
fi
command -v ip >/dev/null || say_missing ip iproute2
command -v tc >/dev/null || say_missing tc iproute2

if [[ -z $PARVI_BIN ]]; then
    cargo build --locked --release --bin parvi --manifest-path "$here/../Cargo.toml"
    PARVI_BIN=${CARGO_TARGET_DIR:-$here/../target}/release/parvi
fi
PARVI_BIN=$(realpath "$PARVI_BIN")

# The folder for all files must be known here, so that it can be removed here.
dir=/tmp
previous=
for word in "$@"; do
    [[ $previous == --dir ]] && dir=$word
    [[ $word == --dir=* ]] && dir=${word#--dir=}
    previous=$word
done
export PV_PREFIX=pv-$$
PV_SCRATCH=$(realpath "$dir")/$PV_PREFIX
export PV_SCRATCH
mkdir "$PV_SCRATCH"

child=
# shellcheck disable=SC2317 # reached through the trap
finish() {
    status=$?
    trap '' INT TERM HUP
    if [[ -n $child ]] && kill -TERM "$child" 2>/dev/null; then
        wait "$child" || true
    fi
    # What is left if Python was killed: only namespaces with our own prefix and what runs in them.
    for name in $(ip netns list | cut -d' ' -f1); do
        [[ $name == "$PV_PREFIX"-* ]] || continue
        for pid in $(ip netns pids "$name"); do
            kill -KILL "$pid" 2>/dev/null || true
        done
        ip netns del "$name" || true
    done
    rm -rf "$PV_SCRATCH"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

"$PYTHON" -B -m swarm "$@" </dev/null &
child=$!
status=0
wait "$child" || status=$?
child=
exit "$status"
