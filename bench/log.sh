#!/usr/bin/env bash
# One command: what the log of uploads costs an owner. Runs a node on loopback and a requester that
# asks with the log on (resumable) and off (once) in turn. Prints markdown tables.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    cat <<'USAGE'
usage: bench/log.sh

environment:
  BENCH_SIZE=1GiB     size of the large file (KiB, MiB, GiB)
  BENCH_FILES=10000   small files of 1 KiB
  BENCH_ROUNDS=7      rounds, log on and off in turn
  BENCH_SECONDS=3     seconds of openings in each round, and of each row of the plain log
  BENCH_DIR=/tmp      where the files go: the file system that is measured
  BENCH_BINARIES=...  a folder with parvi, requester and pace to measure instead of building them

The tables are also kept in bench/results/.
USAGE
    exit 0
fi

here=$(cd "$(dirname "$0")" && pwd)
if ! command -v python3 >/dev/null; then
    echo "bench/log.sh: python3 is missing (Debian: apt install python3)" >&2
    exit 1
fi
if [[ -z ${BENCH_BINARIES:-} ]]; then
    cd "$here/.."
    cargo build --locked --release --bin parvi --example requester
    cargo build --locked --release --package parvi-wal --example pace
    release=${CARGO_TARGET_DIR:-target}/release
    BENCH_BINARIES=$(mktemp -d)
    trap 'rm -rf "$BENCH_BINARIES"' EXIT
    cp "$release/parvi" "$release/examples/requester" "$release/examples/pace" "$BENCH_BINARIES"
fi
BENCH_BINARIES=$(realpath "$BENCH_BINARIES") python3 -B "$here/log.py" </dev/null
