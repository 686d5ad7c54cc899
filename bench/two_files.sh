#!/usr/bin/env bash
# One command, as root: what a file that one node fetches gets of its owner's line while eight others
# fetch another from the same owner. Ten hosts in network namespaces, each with 100 Mbit/s in each
# direction. Argument: how many rounds. PARVI_BIN is the binary; without it the project's is built.
#
# Fair is half of the line each, until the small file is out: its 16 MiB take 1.4 s alone, so 2.8 s.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rounds=${1:-3}
if [[ $(id -u) != 0 ]]; then
    echo "bench/two_files.sh: needs root, to make network namespaces; run it with sudo" >&2
    exit 1
fi
if [[ -z ${PARVI_BIN:-} ]]; then
    cargo build --locked --release --bin parvi --manifest-path "$here/../Cargo.toml"
    PARVI_BIN=${CARGO_TARGET_DIR:-$here/../target}/release/parvi
fi
bin=$(realpath "$PARVI_BIN")
prefix=pv2-$$
dir=$(mktemp -d)
pids=()

clean() {
    trap '' INT TERM HUP
    local pid host
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    pids=()
    for host in bridge {0..9}; do ip netns del "$prefix-$host" 2>/dev/null || true; done
    rm -rf "${dir:?}"/*
}
finish() {
    clean
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

inside() { ip netns exec "$prefix-$1" "${@:2}"; }
shape() { inside "$1" tc qdisc add dev "$2" root tbf rate 100mbit burst 128kb latency 50ms; }

hosts() {
    ip netns add "$prefix-bridge"
    inside bridge ip link add br0 type bridge
    inside bridge ip link set br0 up
    local host
    for host in {0..9}; do
        ip netns add "$prefix-$host"
        inside "$host" ip link add eth0 type veth peer name "to$host" netns "$prefix-bridge"
        inside bridge ip link set "to$host" master br0 up
        inside "$host" ip addr add "10.77.0.$((host + 1))/24" dev eth0
        inside "$host" ip link set eth0 up
        inside "$host" ip link set lo up
        shape "$host" eth0
        shape bridge "to$host"
    done
}

# Host 0 has both files; 1 to 8 fetch the large one, 9 the small one.
nodes() {
    mkdir -p "$dir/0/shared"
    head -c $((64 << 20)) /dev/urandom >"$dir/0/shared/large"
    head -c $((16 << 20)) /dev/urandom >"$dir/0/shared/small"
    inside 0 "$bin" tracker --listen 10.77.0.1:12345 --data "$dir/tracker" --headless >"$dir/tracker.log" 2>&1 &
    pids+=($!)
    local host
    for host in {0..9}; do
        inside "$host" "$bin" node --tracker 10.77.0.1:12345 --data "$dir/$host" --name "n$host" \
            --listen "10.77.0.$((host + 1))" --fsync no --headless >"$dir/$host.log" 2>&1 &
        pids+=($!)
    done
    for host in {1..9}; do
        for try in {1..150}; do
            "$bin" ctl --data "$dir/$host" lookup small >"$dir/$host.found" 2>&1 && break
            [[ $try == 150 ]] && { cat "$dir/$host.log" "$dir/$host.found" >&2; exit 1; }
            sleep 0.2
        done
    done
}

# fetch HOST FILE: its seconds, when the copy is right.
fetch() {
    local begun=$EPOCHREALTIME
    timeout 120 "$bin" ctl --data "$dir/$1" download "$2" --wait >"$dir/$1.said" 2>&1 || {
        cat "$dir/$1.said" >&2
        return 1
    }
    local ended=$EPOCHREALTIME
    cmp "$dir/0/shared/$2" "$dir/$1/downloaded/$2"
    echo $(((${ended/./} - ${begun/./}) / 1000)) >"$dir/$1.ms"
}

for ((round = 1; round <= rounds; round++)); do
    hosts
    nodes
    fetching=()
    for host in {1..8}; do
        fetch "$host" large &
        fetching+=($!)
    done
    sleep 0.7 # the eight are served at full speed by then
    fetch 9 small &
    fetching+=($!)
    for one in "${fetching[@]}"; do wait "$one"; done
    echo "round $round: small after $(<"$dir/9.ms") ms, the last large after $(sort -n "$dir"/[1-8].ms | tail -n 1) ms"
    clean
done
