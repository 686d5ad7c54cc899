#!/usr/bin/env bash
# Ends the swarm and cleans up after it: containers, processes, logs, run state. Nothing else.
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
usage: ./reset.sh [-v]

Stops the tracker and all nodes that run.sh started, and removes their containers, network and
logs. The nodes' files in volumes/ stay, and so do the image and the swarm key.

  -v, --volumes   give the nodes their first files again (from .volumes_start), new identities and
                  a new swarm key: everything they downloaded or were given is lost
  -h, --help      this text
USAGE
}

arguments=$*
volumes=false
while (($#)); do
    case $1 in
        -v | --volumes) volumes=true ;;
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

# Files of another user (an engine's, or of a run as root) need more rights than we have. Told before
# anything is removed.
check_owner() {
    local folder
    for folder in "$@"; do
        if [[ -d $folder && -n $(find "$folder" -type d ! -writable -print -quit 2>/dev/null) ]]; then
            die "$OTHER" "some folders in $folder belong to somebody else:" \
                "sudo PARVI_PROJECT=$PROJECT $(printf '%q' "$ROOT/reset.sh") $arguments"
        fi
    done
}

empty_folder() {
    if [[ -d $1 ]]; then find "$1" -mindepth 1 -delete; fi
}

check_tools
check_project
take_folder
person
network
problem=$(engine_problem)
if [[ -z $problem ]]; then
    check_folder
    containers_reset
elif [[ -f $STATE/compose.yml ]]; then
    warn "containers were not looked at: $problem"
fi
local_reset
check_owner "$LOGS" "$STATE"
if $volumes; then
    check_owner "$VOLUMES" "$KEYS"
    in_use=$(name_in_use)
    [[ -z $in_use ]] || die "$EXISTS" "$in_use still runs, but it was not started by this user's run.sh or cannot" \
        "be asked now: end it, then ./reset.sh -v again. Its files were left as they are"
    empty_folder "$VOLUMES"
    empty_folder "$KEYS"
    first=()
    for folder in "$FIRST_FILES"/*/; do first+=("$(basename "$folder")"); done
    if [[ -x $BINARY ]]; then
        local_prepare --owner "$PARVI_UID:$PARVI_GID" "${first[@]}"
    else
        say "the first files come with the next ./run.sh"
    fi
fi
if [[ -d $LOGS ]]; then
    empty_folder "$LOGS"
    rmdir "$LOGS"
    say "removed the logs"
fi
empty_folder "$STATE"
rmdir "$STATE" 2>/dev/null || true
say "nothing runs any more"
