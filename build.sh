#!/usr/bin/env bash
# Builds the static release binary: no shared libraries, so it runs in an empty container image.
set -euo pipefail

cd "$(dirname "$0")"
if [[ $# -gt 0 ]]; then
    echo "usage: ./build.sh       builds target/HOST/release/parvi and says where it is"
    [[ $1 == -h || $1 == --help ]] && exit 0
    exit 2
fi
if ! command -v cargo >/dev/null; then
    echo "build.sh: cargo is missing: install Rust from https://rustup.rs" >&2
    exit 1
fi

# A named --target keeps build scripts and macros, which cannot be static, out of the flags.
host=$(rustc --version --verbose | sed -n 's/^host: //p')
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
    cargo build --locked --release --bin parvi --target "$host"

binary=${CARGO_TARGET_DIR:-target}/$host/release/parvi
printf 'static binary: %s (%s)\n' "$binary" "$(du --human-readable --apparent-size "$binary" | cut --fields=1)"
