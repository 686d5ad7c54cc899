#!/usr/bin/env bash
# Runs what draws at random again and again, with new seeds each time, until the time is over.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: ./soak.sh [MINUTES]       (default 30)

Round after round, each with new seeds: the log's random lives, the simulation, processes that are
killed, paused and cut off, hostile peers, and the fuzz targets where a C++ compiler is installed.
At least one round is run, however long its builds take (the fuzz targets' own: many minutes on
two cores); a step that has begun is finished. What failed is kept in soak/failures, with its seeds.
Ends with 0 when all that was run held, 1 when something failed.

SOAK_STEPS="log kills" runs only these steps, of: log simulation kills faults fuzz.
USAGE
}

cd "$(dirname "$0")"
case ${1:-} in
    -h | --help)
        usage
        exit 0
        ;;
esac
minutes=${1:-30}
if [[ $# -gt 1 || ! $minutes =~ ^[1-9][0-9]{0,5}$ ]]; then
    usage >&2
    exit 2
fi
read -r -a steps <<<"${SOAK_STEPS:-log simulation kills faults fuzz}"
for step in "${steps[@]}"; do
    [[ $step =~ ^(log|simulation|kills|faults|fuzz)$ ]] || {
        echo "soak.sh: no step is called $step: take some of log, simulation, kills, faults, fuzz" >&2
        exit 2
    }
done
for tool in cargo cargo-nextest; do
    command -v "$tool" >/dev/null || {
        echo "soak.sh: $tool is missing: install Rust from https://rustup.rs, then cargo install cargo-nextest" >&2
        exit 1
    }
done

# No step takes that long; one that does hangs, which is a failure.
STEP_SECONDS_MAX=3600
# What one round of a step draws.
SIMULATIONS=2000
FUZZ_SECONDS=10

here=$PWD/soak
failures=$here/failures
log=$here/last.log
mkdir -p "$failures"
begun=$SECONDS
# Seeds of this soak are others than those of an earlier one.
base=$((($(date +%s) % 100000) * 10000))
declare -A held failed

# The time is over, but for the first round.
is_over() { ((round > 1 && SECONDS - begun >= minutes * 60)); }

# Why a step cannot run here; nothing if it can.
missing() {
    case $1 in
        simulation) [[ -d tests/simulation ]] || echo "there is no tests/simulation" ;;
        fuzz) command -v c++ >/dev/null || echo "a C++ compiler is missing (Debian: apt install g++)" ;;
    esac
}

# Sets `command` to what this round does for a step, and `first` to the seed it begins with, if it
# begins with one.
prepare() {
    local tests=(cargo nextest run --locked --no-fail-fast --success-output final)
    first=""
    case $1 in
        log)
            first="WAL_FIRST=$((base + round * 1000000))"
            # What draws nothing is the same in every round.
            if ((round == 1)); then
                command=(env "$first" "${tests[@]}" -p parvi-wal)
            else
                command=(env "$first" PARVI_SOAK=4 "${tests[@]}" -p parvi-wal random crash)
            fi
            ;;
        simulation)
            first="SIM_FIRST=$((base + round * 1000000)) SIM_RUNS=$SIMULATIONS"
            # shellcheck disable=SC2206
            command=(env $first "${tests[@]}" -p parvi --test simulation)
            ;;
        kills) command=("${tests[@]}" -p parvi --test process kills:: pauses:: cuts:: clocks::) ;;
        faults)
            command=("${tests[@]}" -p parvi --test faults)
            ((round == 1)) || command+=(random edited symlinks)
            ;;
        fuzz) command=(fuzz/run.sh --time "$FUZZ_SECONDS") ;;
    esac
}

# The seeds that a step has told.
seeds() {
    grep --only-matching --extended-regexp '(PARVI|WAL|SIM)_SEED=[0-9]+|^ *seed [0-9]+' "$log" |
        awk '{ $1 = $1 } !seen[$0]++' | paste --serial --delimiters=' '
}

run_step() {
    local step=$1 since=$SECONDS verdict=ok kept=""
    rounds=$round
    prepare "$step"
    # Waited for in the background, so that an interruption is heard at once.
    timeout --kill-after=30 "$STEP_SECONDS_MAX" "${command[@]}" >"$log" 2>&1 </dev/null &
    child=$!
    if wait "$child"; then
        held[$step]=$((${held[$step]:-0} + 1))
    else
        failed[$step]=$((${failed[$step]:-0} + 1))
        verdict=FAILED
        kept=$failures/$(date +%Y%m%d-%H%M%S)-$step.log
        { echo "round $round: ${command[*]}" && cat "$log"; } >"$kept"
    fi
    printf '%5d min  round %-4d %-11s %-7s %4d s  %s\n' "$(((SECONDS - begun) / 60))" "$round" "$step" \
        "$verdict" "$((SECONDS - since))" "$(fold_words "$first" "$(seeds)")"
    [[ -z $kept ]] || echo "           see $kept"
}

# Words side by side, without the empty ones.
fold_words() { echo "$*" | awk '{ $1 = $1 } 1'; }

interrupted() {
    trap - INT TERM
    echo "interrupted"
    kill -TERM "$child" 2>/dev/null || true
    wait "$child" || true
    summary
}

summary() {
    local step code=0
    echo "== $(((SECONDS - begun) / 60)) minutes, rounds begun: $rounds"
    for step in "${steps[@]}"; do
        printf '%-11s %4d held  %4d failed\n' "$step" "${held[$step]:-0}" "${failed[$step]:-0}"
        [[ -z ${failed[$step]:-} ]] || code=1
    done
    if ((code == 0)); then echo "all that was run held"; else echo "what failed is in $failures"; fi
    exit "$code"
}

round=0
rounds=0
able=()
for step in "${steps[@]}"; do
    why=$(missing "$step")
    if [[ -n $why ]]; then echo "left out: $step: $why"; else able+=("$step"); fi
done
steps=("${able[@]}")
[[ ${#steps[@]} -gt 0 ]] || { echo "soak.sh: nothing is left to run" >&2; exit 1; }
child=""
trap interrupted INT TERM

while :; do
    round=$((round + 1))
    for step in "${steps[@]}"; do
        if is_over; then
            summary
        fi
        run_step "$step"
    done
done
