#!/usr/bin/env bash
# Runs everything a developer runs before a commit: tests, examples in the docs, the binary.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: ./test.sh [FILTER]

Runs all tests (with cargo-nextest where it is installed), the examples in the documentation, the
program with fail points (killed, and failed, at every step of a transfer), and builds the binary, then starts swarms of containers, of their own and beside a running one. With a
FILTER only tests whose names contain it. What needs a container engine is skipped where there is
none, and says so; PARVI_TEST_ENGINE=required makes that an error.
USAGE
}

cd "$(dirname "$0")"
case ${1:-} in
    -h | --help)
        usage
        exit 0
        ;;
    -*)
        usage >&2
        exit 2
        ;;
esac
filter=("$@")

if ! command -v cargo >/dev/null; then
    echo "test.sh: cargo is missing: install Rust from https://rustup.rs" >&2
    exit 1
fi

echo "== tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast "${filter[@]}" </dev/null
else
    echo "cargo-nextest is not installed, cargo test takes its place (faster: cargo install cargo-nextest)"
    cargo test --workspace --locked --no-fail-fast --lib --bins --tests "${filter[@]}" </dev/null
fi

if [[ ${#filter[@]} -gt 0 ]]; then
    exit 0
fi

echo "== examples in the documentation"
cargo test --workspace --locked --doc --quiet </dev/null

echo "== fail points: every step between two disks, once crashed and once failed"
# Mostly waiting, so more at once than there are cores.
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast --features failpoints --test failpoints \
        --test-threads 8 </dev/null
else
    cargo test --workspace --locked --no-fail-fast --features failpoints --test failpoints \
        -- --test-threads 8 </dev/null
fi

echo "== the binary"
cargo build --locked --bin parvi

echo "== containers"
# shellcheck source=scripts/common.sh
source scripts/common.sh
# shellcheck source=scripts/containers.sh
source scripts/containers.sh
problem=$(engine_problem)
if [[ -z $problem ]] && ! find_compose; then problem="docker is here, but Compose is not"; fi
if [[ -z $problem ]]; then
    tests/containers.sh
elif [[ ${PARVI_TEST_ENGINE:-optional} == required ]]; then
    echo "test.sh: the container tests must run: $problem (Debian: apt install docker.io docker-compose)" >&2
    exit 1
else
    echo "skipped: $problem (Debian: apt install docker.io docker-compose)"
fi
echo "all good"
