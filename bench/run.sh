#!/usr/bin/env bash
# One command: builds parvi, serves a file on loopback, and measures parvi beside nginx + curl and
# socat, and its indexing beside b3sum. Prints a markdown table.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    cat <<'USAGE'
usage: bench/run.sh

environment:
  BENCH_SIZE=1GiB     size of the file (KiB, MiB, GiB)
  BENCH_FILES=1000    small files of 16 KiB in the tree that is indexed
  BENCH_ROUNDS=3      rounds, interleaved; the table has medians and min-max
  BENCH_DIR=/tmp      where the files go: the file system that is measured; needs 4 times the size
  PARVI=...           a binary to measure instead of building one

Optional tools, each row is left out without its own: nginx, curl, socat, b3sum, time (Debian
packages of the same names). The table is also kept in bench/results/.
USAGE
    exit 0
fi

here=$(cd "$(dirname "$0")" && pwd)
if ! command -v python3 >/dev/null; then
    echo "bench/run.sh: python3 is missing (Debian: apt install python3)" >&2
    exit 1
fi
if [[ -z ${PARVI:-} ]]; then
    cargo build --locked --release --bin parvi --manifest-path "$here/../Cargo.toml"
    PARVI=${CARGO_TARGET_DIR:-$here/../target}/release/parvi
fi
PARVI=$(realpath "$PARVI")
export PARVI
exec python3 -B "$here/run.py" </dev/null
