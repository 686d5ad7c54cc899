#!/usr/bin/env bash
# Starts a tracker and nodes, each with a prompt: in containers, or as processes on this machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"
# shellcheck source=scripts/terminals.sh
source "$ROOT/scripts/terminals.sh"
# shellcheck source=scripts/containers.sh
source "$ROOT/scripts/containers.sh"
# shellcheck source=scripts/local.sh
source "$ROOT/scripts/local.sh"

usage() {
    cat <<'USAGE'
usage: ./run.sh [-s 1] [-n N] [-nn NAME] [-d] [--local] [--logs]

  ./run.sh -s 1 -n 4     a tracker and four nodes; builds what is missing
  ./run.sh -n 1          one node more
  ./run.sh -nn node2     the node node2, for instance after it was killed

  -s, --servers 1   start the tracker, when it does not run (0: not even for the nodes)
  -n, --nodes N     start N nodes more than run now, under the lowest free numbers
  -nn, --node NAME  start the node NAME; refused when it runs
  -d, --detached    open no terminals
  --local           processes on loopback instead of containers (so it is done anyway where there
                    is no container engine); prompts in tmux, or none
  --logs            afterwards, show what all write to their logs instead of opening terminals;
                    Ctrl-C ends that alone
  -h, --help        this text

Nodes keep everything in volumes/NAME, logs are in logs/NAME. ./reset.sh ends it all. Settings of
nodes go along: PARVI_UP=5MiB ./run.sh -n 1 starts one that sends slowly. PARVI_PROJECT=NAME and
PARVI_SUBNET=NETWORK make a swarm beside another one.
USAGE
}

servers='' more=0 named=() terminals=true local=false logs=false
# number FLAG VALUE MOST
number() {
    if ! [[ ${2:-} =~ ^[0-9]{1,4}$ ]] || ((10#$2 > $3)); then
        die "$USAGE" "$1 wants a number from 0 to $3${2:+, not $2}"
    fi
}
if (($# == 0)); then
    usage >&2
    exit "$USAGE"
fi
while (($#)); do
    case $1 in
        -s | --servers)
            number "$1" "${2:-}" 1
            servers=$((10#$2))
            shift
            ;;
        -n | --nodes)
            number "$1" "${2:-}" 1000
            more=$((10#$2))
            shift
            ;;
        -nn | --node)
            [[ -n ${2:-} ]] || die "$USAGE" "$1 wants a name, like node5"
            check_node_name "$2"
            named+=("$2")
            shift
            ;;
        -d | --detached) terminals=false ;;
        --local) local=true ;;
        --logs) logs=true ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            warn "unknown argument $1"
            usage >&2
            exit "$USAGE"
            ;;
    esac
    shift
done

check_tools
check_project
take_folder
person
network
mode=containers
if $local; then
    mode=local
else
    problem=$(engine_problem)
    if [[ -n $problem ]]; then
        say "no containers: $problem; starting processes on this machine"
        mode=local
    fi
fi

# Builds what is missing; what is only old is named.
ready_to_run() {
    if [[ ! -x $BINARY ]] || { [[ $mode == containers ]] && ! docker image inspect "$IMAGE" >/dev/null 2>&1; }; then
        "$ROOT/config.sh" -nr 9>&-
    elif [[ -n $(newer_sources) ]]; then
        say "the sources are newer than what runs: ./config.sh builds it anew"
    fi
    if [[ $mode == containers ]]; then
        find_compose || die "$OTHER" "docker is here, but neither 'docker compose' nor" \
            "'docker-compose' is: install docker-compose-plugin or docker-compose, or give --local"
        check_folder
        check_network
        rootless_person
    fi
}

# Containers and processes would share their folders.
refuse_other_mode() {
    local others
    if [[ $mode == containers ]]; then
        others=$(local_running)
        [[ -z $others ]] || die "$EXISTS" "${others//$'\n'/, } run as processes: go on with --local, or ./reset.sh first"
    elif [[ -z $(engine_problem) ]]; then
        others=$(containers_running)
        [[ -z $others ]] || die "$EXISTS" "${others//$'\n'/, } run in containers: leave --local out, or ./reset.sh first"
    fi
}

# Sets NAMES to what is to be started: the tracker, the named, the lowest free numbers.
choose_names() {
    local name i
    declare -A runs=()
    while read -r name; do runs[$name]=1; done < <("${mode}_running")
    refuse_other_mode
    NAMES=()
    if [[ $servers != 0 && -z ${runs[tracker]:-} ]]; then
        NAMES+=(tracker)
    elif [[ $servers == 1 ]]; then
        say "the tracker runs already"
    fi
    for name in ${named[@]+"${named[@]}"}; do
        [[ -z ${runs[$name]:-} ]] || die "$EXISTS" "$name runs already; ./run.sh -n 1 starts another"
        runs[$name]=1
        NAMES+=("$name")
    done
    for ((i = 1; more > 0; i++)); do
        if [[ -z ${runs[node$i]:-} ]]; then
            NAMES+=("node$i")
            more=$((more - 1))
        fi
    done
}

# Nodes get their addresses from the upper half of the network, but for the first and last ones.
check_room() {
    local count
    count=$(($("${mode}_running" | wc --lines) + ${#NAMES[@]}))
    ((count <= SUBNET_SIZE / 2 - 3)) || die "$USAGE" "$PARVI_SUBNET has no room for $count containers:" \
        "choose a larger one, like PARVI_SUBNET=${PARVI_SUBNET%/*}/16"
}

start_all() {
    mkdir -p "$STATE"
    say "$PROJECT" >"$STATE/project"
    if [[ $mode == containers ]]; then
        check_room
        mkdir -p "$VOLUMES" "$LOGS" "$KEYS"
        # shellcheck disable=SC2046  # names have no spaces
        write_compose_file $(printf '%s\n' "${NAMES[@]}" $(known_names) | sort --unique --version-sort)
    fi
    say "starting ${NAMES[*]}"
    "${mode}_prepare" "${NAMES[@]}"
    "${mode}_start" "${NAMES[@]}"
}

report() {
    local first
    first=$("${mode}_running" | grep --invert-match --line-regexp tracker | head --lines=1 || true)
    say "running:"
    "${mode}_table"
    say "what next:"
    "${mode}_hints" "${first:-tracker}"
    hint ./reset.sh "end it; the files stay, with -v they become the first ones again"
}

show_prompts() {
    local name line
    if [[ $mode == local ]]; then
        if have tmux; then tmux_show; else say "tmux is not installed, so the nodes have no prompt"; fi
        return
    fi
    local in_tmux=false
    for name in "${NAMES[@]}"; do
        line=$(containers_attach_command "$name")
        if ! $in_tmux && open_window "$name" "$line"; then
            continue
        elif have tmux; then
            tmux_place "exec $line"
            in_tmux=true
        else
            say "no terminal to open: install tmux, or attach by hand as said above"
            return
        fi
    done
    if $in_tmux; then tmux_show; fi
}

ready_to_run
choose_names
if ((${#NAMES[@]})); then start_all; fi
# What was started does not have the lock, and what follows may last.
exec 9>&-
report
if $logs; then
    say "logs of all, Ctrl-C ends:"
    exec tail --lines=5 --follow=name --retry "$LOGS"/*/parvi.log
fi
if $terminals && ((${#NAMES[@]})); then show_prompts; fi
