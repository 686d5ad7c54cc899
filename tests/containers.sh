#!/usr/bin/env bash
# The tests that need a container engine: builds the static binary and an image for them, runs
# them, and removes the image.
set -euo pipefail
cd "$(dirname "$0")/.."

export PARVI_IMAGE=parvi-test
trap 'docker rmi --force "$PARVI_IMAGE" >/dev/null 2>&1 || true' EXIT
./config.sh -nr

filter=("$@")
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --no-fail-fast --run-ignored only --test swarm "${filter[@]}" </dev/null
else
    cargo test --locked --no-fail-fast --test swarm -- --ignored "${filter[@]}" </dev/null
fi
