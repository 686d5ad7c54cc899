#!/usr/bin/env bash
# Runs everything a developer runs before a commit: tests, examples in the docs, the binary.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: ./test.sh [FILTER]

Runs all tests (with cargo-nextest where it is installed), the examples in the documentation, and
builds the binary. With a FILTER only tests whose names contain it. What needs a container engine
is skipped where there is none, and says so.
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
    cargo nextest run --locked --no-fail-fast "${filter[@]}" </dev/null
else
    echo "cargo-nextest is not installed, cargo test takes its place (faster: cargo install cargo-nextest)"
    cargo test --locked --no-fail-fast --lib --bins --tests "${filter[@]}" </dev/null
fi

if [[ ${#filter[@]} -gt 0 ]]; then
    exit 0
fi

echo "== examples in the documentation"
cargo test --locked --doc --quiet </dev/null

echo "== the binary"
cargo build --locked --bin parvi

# Tests of the containers live in tests/containers.sh and need an engine that answers.
if [[ -x tests/containers.sh ]]; then
    echo "== containers"
    if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
        tests/containers.sh </dev/null
    else
        echo "skipped: no container engine answers (Debian: apt install docker.io)"
    fi
fi
echo "all good"
