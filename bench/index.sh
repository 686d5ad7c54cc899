#!/usr/bin/env bash
# What the tracker's index costs: memory a name, and how long questions take, with a million names of
# a thousand nodes (or NODES and NAMES of each, as arguments). No network: the tracker's decisions.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec cargo run --release --locked --quiet --example index_scale -- "$@"
