#!/usr/bin/env bash
# One command: how long a node is busy with its files when it starts. First with files that it has
# never seen, beside b3sum of the same files; then again with many that have not changed. Prints
# markdown tables.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    cat <<'USAGE'
usage: bench/cold.sh

environment:
  BENCH_SIZE=2GiB       bytes of the one large file, and of the 200 together (KiB, MiB, GiB)
  BENCH_SMALL=20000     small files of 4 KiB
  BENCH_FILES=100000    files of 1 KiB that a node is started with again, unchanged
  BENCH_ROUNDS=5        rounds, all cases in turn; the tables have medians and min-max
  BENCH_DIR=/tmp        where the files go: the file system that is measured; needs 3 times the size
  PARVI=...             a binary to measure instead of building one

Files are in the page cache. b3sum (Debian: apt install b3sum) may be missing: then there is nothing
to compare with. The tables are also kept in bench/results/.
USAGE
    exit 0
fi

here=$(cd "$(dirname "$0")" && pwd)
if ! command -v python3 >/dev/null; then
    echo "bench/cold.sh: python3 is missing (Debian: apt install python3)" >&2
    exit 1
fi
if [[ -z ${PARVI:-} ]]; then
    cargo build --locked --release --bin parvi --manifest-path "$here/../Cargo.toml"
    PARVI=${CARGO_TARGET_DIR:-$here/../target}/release/parvi
fi
PARVI=$(realpath "$PARVI")
export PARVI
exec python3 -B "$here/cold.py" </dev/null
