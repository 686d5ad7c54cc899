#!/usr/bin/env bash
# One command: what the tracker's index costs. A real tracker, and the load beside it on the same
# machine, over loopback: memory a name, how long questions take while others ask, what is written to
# the disk, how many heartbeats a second. Prints a page of Markdown.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    cat <<'USAGE'
usage: bench/index.sh [NAMES=1000000 NODES=1000]        > docs/benchmarks/index.md

environment:
  BENCH_SECONDS=30          seconds of questions, twice
  BENCH_BEATS=10            seconds of heartbeats for each number of nodes
  BENCH_SWARMS="100 1000 10000"   these numbers
  BENCH_DIR=/tmp            where the tracker's data goes: the file system that is measured
  BENCH_BINARIES=...        a folder with parvi, index_load and index_scale instead of building them
USAGE
    exit 0
fi

names=${1:-1000000} nodes=${2:-1000}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d "${BENCH_DIR:-/tmp}/parvi-index-XXXXXX")
tracker=
# Ends the tracker that was started here, and removes what it wrote.
end() {
    if [[ -n $tracker ]]; then
        kill "$tracker" 2>/dev/null || true
        wait "$tracker" 2>/dev/null || true
        tracker=
    fi
}
trap 'end; rm -rf "$work"' EXIT

if [[ -z ${BENCH_BINARIES:-} ]]; then
    cargo build --locked --release --quiet --bin parvi --example index_load --example index_scale
    release=${CARGO_TARGET_DIR:-target}/release
    BENCH_BINARIES=$work/bin
    mkdir "$BENCH_BINARIES"
    cp "$release/parvi" "$release"/examples/index_{load,scale} "$BENCH_BINARIES"
fi
# A connection is a descriptor at both ends.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"

# Starts a tracker on a new data directory: sets $tracker and $addr.
start() {
    rm -rf "$work/data"
    PARVI_LOG=tracker=debug "$BENCH_BINARIES/parvi" tracker --headless --listen 127.0.0.1:0 \
        --data "$work/data" >"$work/out" 2>"$work/log" &
    tracker=$!
    until addr=$(sed -n 's/^ready tracker listen=//p' "$work/out") && [[ -n $addr ]]; do
        kill -0 "$tracker" || { cat "$work/log" >&2; exit 1; }
        sleep 0.1
    done
}

cpu=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)
memory=$(awk '/MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)
read -r load _ </proc/loadavg
cat <<PAGE
# The tracker's index

$cpu, $(nproc) cores, $memory, $(uname -s) $(uname -r), load before $load.
$("$BENCH_BINARIES/parvi" --version). Tracker and load share these cores and talk over loopback, encrypted as always;
the data directory is on $(df --output=fstype "$work" | tail -1). Made by \`bench/index.sh $names $nodes\`.
PAGE

start
"$BENCH_BINARIES/index_load" names "$addr" "$tracker" "$nodes" "$((names / nodes))" "${BENCH_SECONDS:-30}"
echo
echo "Writing the index down, beside these questions:"
echo
sed -n 's/.*the index is on the disk: \(.*\) bytes in \(.*\)$/* \1 bytes in \2/p' "$work/log" | tail -3
end

cat <<PAGE

## Heartbeats

All nodes beat at once, as fast as they are answered, from 16 threads (bar: 5,000 a second). The load takes
as much of the processor as the tracker. The fifth column is computed: what nodes that beat every 10 s cost.

| nodes | beats a second | p99 ms | tracker's processor time a beat, µs | every 10 s: % of a core | tracker's memory MiB |
|---:|---:|---:|---:|---:|---:|
PAGE
for count in ${BENCH_SWARMS:-100 1000 10000}; do
    start
    "$BENCH_BINARIES/index_load" beats "$addr" "$tracker" "$count" "${BENCH_BEATS:-10}"
    end
done
cat <<PAGE

More than 10,000 nodes a tracker does not list. Extrapolated, not measured: at the processor time of the
last row, 100,000 nodes on ten trackers cost ten times its fifth column, on ten machines.

## The decisions alone

No network, one process: \`examples/index_scale\`.

\`\`\`text
$("$BENCH_BINARIES/index_scale" "$nodes" "$((names / nodes))")
\`\`\`
PAGE
