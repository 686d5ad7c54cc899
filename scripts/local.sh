# The same swarm as processes on loopback, for machines without a container engine. Sourced after
# common.sh and terminals.sh.
#
# Prompts live in a tmux server of our own, or, without tmux, nodes run headless in the background.
# A process is ours when it runs our binary on one of our data directories.
# shellcheck shell=bash

# The loopback twin of the swarm's address number N: 172.20.0.2 becomes 127.20.0.2.
local_address() { number_to_address $(((127 << 24) | ((SUBNET_FIRST + $1 % SUBNET_SIZE) & 0xffffff))); }

address_of_name() {
    case $1 in
        tracker) local_address 2 ;;
        node[1-9] | node[1-9][0-9] | node[1-9][0-9][0-9]) local_address $((10 + ${1#node})) ;;
        *) local_address $((1024 + $(cksum <<<"$1" | cut --delimiter=' ' --fields=1) % 1024)) ;;
    esac
}

# The process of NAME, when it runs.
local_pid() {
    local pid
    pid=$(cat "$VOLUMES/$1/.parvi/lock" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ && -r /proc/$pid/cmdline ]] || return 1
    { tr '\0' '\n' <"/proc/$pid/cmdline"; } 2>/dev/null | grep --quiet --line-regexp --fixed-strings -- "$VOLUMES/$1" || return 1
    [[ $(readlink "/proc/$pid/exe") == "$BINARY"* ]] && say "$pid"
}

local_running() {
    local name
    while read -r name; do
        if local_pid "$name" >/dev/null; then say "$name"; fi
    done < <(known_names) | sort --version-sort
}

local_prepare() {
    "$BINARY" prepare --volumes "$VOLUMES" --logs "$LOGS" --keys "$KEYS" \
        --first-files "$FIRST_FILES" "$@"
}

# The command line of NAME, into the array COMMAND.
local_command() {
    local name=$1 tracker
    tracker=$(address_of_name tracker):${PARVI_PORT:-12345}
    COMMAND=("$BINARY")
    if [[ $name == tracker ]]; then
        COMMAND+=(tracker --listen "$tracker")
    else
        COMMAND+=(node --tracker "$tracker" --listen "$(address_of_name "$name")" --name "$name")
        if [[ ${PARVI_GENERATE_IF_EMPTY:-yes} == yes ]]; then COMMAND+=(--generate-if-empty); fi
    fi
    COMMAND+=(--data "$VOLUMES/$name" --swarm-key-file "$KEYS/swarm.key" --log-file "$LOGS/$name/parvi.log")
}

# Starts NAMES (tracker first) and waits until each answers.
local_start() {
    local name
    export PARVI_LOG=${PARVI_LOG:-info}
    # These name one node each and come as flags.
    unset PARVI_NAME PARVI_DATA PARVI_LISTEN PARVI_TRACKER PARVI_LOG_FILE PARVI_SWARM_KEY_FILE
    unset PARVI_GENERATE
    for name in "$@"; do
        local_command "$name"
        if have tmux; then
            start_in_tmux "$name"
        else
            setsid "${COMMAND[@]}" --headless </dev/null >"$LOGS/$name/console.log" 2>&1 9>&- &
        fi
        wait_for_process "$name"
    done
}

# A pane for each. The server may have been started with another environment: ours is given along.
start_in_tmux() {
    local name=$1 variables=() variable
    while read -r variable; do variables+=("$variable=${!variable}"); done < <(compgen -e | grep '^PARVI_')
    # What a process says before it has a prompt would vanish with its pane.
    tmux_place "exec $(printf '%q ' env "${variables[@]}" "${COMMAND[@]}") 2>$(printf '%q' "$LOGS/$name/console.log")"
}

wait_for_process() {
    local name=$1 deadline=$((SECONDS + 30))
    # A container on the same directory would answer as well.
    until local_pid "$name" >/dev/null && "$BINARY" health --data "$VOLUMES/$name" >/dev/null 2>&1; do
        if ((SECONDS > deadline)) || grep --quiet '^parvi: ' "$LOGS/$name/console.log" 2>/dev/null; then
            if [[ -s $LOGS/$name/console.log ]]; then tail --lines=5 "$LOGS/$name/console.log" >&2; fi
            die "$OTHER" "$name did not start; its log is $LOGS/$name/parvi.log"
        fi
        sleep 0.1
    done
}

local_table() {
    local name
    while read -r name; do
        printf '  %-10s %-16s process %s\n' "$name" "$(address_of_name "$name")" "$(local_pid "$name")"
    done < <(local_running)
}

local_hints() {
    if have tmux; then hint "tmux -L $PROJECT attach" "the prompts; Ctrl-B D leaves them running"; fi
    hint "docker/parvi ctl --data volumes/$1 peers" "one command, from a script"
    hint "./run.sh --local -n 1" "one node more"
}

# Ends all that is ours: in order, and for good after that.
local_reset() {
    local name pid count=0 deadline
    while read -r name; do
        pid=$(local_pid "$name") || continue
        kill -TERM "$pid" 2>/dev/null || true
        deadline=$((SECONDS + 10))
        while local_pid "$name" >/dev/null; do
            if ((SECONDS > deadline)); then kill -KILL "$pid" 2>/dev/null || true; fi
            sleep 0.05
        done
        count=$((count + 1))
    done < <(local_running)
    if have tmux; then tmux_ours kill-session -t "=$PROJECT" 2>/dev/null || true; fi
    if ((count)); then say "ended $count processes"; fi
}
