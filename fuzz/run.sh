#!/usr/bin/env bash
# Builds the fuzz targets on stable Rust (no nightly, no cargo-fuzz) and runs them one after the other.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: fuzz/run.sh [-t SECONDS] [-b] [TARGET...]

  -t, --time SECONDS   how long each target runs (default 60)
  -b, --build-only     build and write the seeds, run nothing
  -l, --list           name the targets

Without a TARGET all of them run. New inputs are kept in fuzz/corpus/TARGET, crashes in
fuzz/artifacts/TARGET. Ends with 1 when a target crashed; the way to see it again is printed.
USAGE
}

cd "$(dirname "$0")"

all_targets() {
    find fuzz_targets -name '*.rs' -printf '%f\n' | sed 's/\.rs$//' | grep --invert-match --line-regexp seeds | sort
}

seconds=60
build_only=no
targets=()
while [[ $# -gt 0 ]]; do
    case $1 in
        -t | --time)
            seconds=${2:?"-t needs a number of seconds"}
            shift
            ;;
        -b | --build-only) build_only=yes ;;
        -l | --list)
            all_targets
            exit 0
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        -*)
            usage >&2
            exit 2
            ;;
        *) targets+=("$1") ;;
    esac
    shift
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "-t needs a number of seconds, not '$seconds'" >&2; exit 2; }
if [[ ${#targets[@]} -eq 0 ]]; then
    mapfile -t targets < <(all_targets)
fi
for target in "${targets[@]}"; do
    [[ -f fuzz_targets/$target.rs ]] || { echo "no target '$target'; fuzz/run.sh --list names them" >&2; exit 2; }
done

command -v cargo >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs" >&2; exit 1; }
command -v c++ >/dev/null || { echo "a C++ compiler is missing (Debian: apt install g++); libFuzzer needs one" >&2; exit 1; }

# Coverage counters by LLVM's own pass. A named --target keeps them out of build scripts.
host=$(rustc --version --verbose | sed -n 's/^host: //p')
flags=(
    --cfg fuzzing
    -C passes=sancov-module
    -C llvm-args=-sanitizer-coverage-level=4
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters
    -C llvm-args=-sanitizer-coverage-pc-table
    -C llvm-args=-sanitizer-coverage-trace-compares
    -C codegen-units=1
)
build=(cargo build --release --target "$host" --bin seeds)
for target in "${targets[@]}"; do
    build+=(--bin "$target")
done
RUSTFLAGS="${flags[*]}" CARGO_TARGET_DIR="$PWD/target" "${build[@]}"

built=target/$host/release
mkdir -p corpus artifacts
SEEDS_INTO=$PWD/corpus "$built/seeds" 2>/dev/null
if [[ $build_only == yes ]]; then
    echo "built: $PWD/$built"
    exit 0
fi

crashed=0
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    log=artifacts/$target/last.log
    begun=$SECONDS
    # No input takes a second of work; ten by the clock, since a busy machine may stall one. None
    # may make the process grow beyond 512 MiB.
    if "$built/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target/" "corpus/$target" >"$log" 2>&1; then
        verdict=ok
    else
        verdict=CRASHED
        crashed=1
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail --lines=1)
    first=$(sed -n 's/.*INITED cov: \([0-9]*\).*/\1/p' "$log" | head --lines=1)
    last=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail --lines=1)
    inputs=$(find "corpus/$target" -type f | wc --lines)
    printf '%-18s %-8s %10s runs in %4s s   coverage %5s -> %5s   corpus %5s\n' \
        "$target" "$verdict" "${executions:-?}" "$((SECONDS - begun))" "${first:-?}" "${last:-?}" "$inputs"
    if [[ $verdict == CRASHED ]]; then
        grep --max-count=5 --extended-regexp 'panicked|ERROR|SUMMARY' --after-context=1 "$log" | sed 's/^/    /'
        find "artifacts/$target" -type f ! -name last.log -newermt "@$(($(date +%s) - SECONDS + begun - 1))" \
            -printf "    again: fuzz/$built/$target fuzz/%p\n"
    fi
done
exit "$crashed"
