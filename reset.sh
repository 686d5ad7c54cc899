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

# The contents of a folder that is ours. Files of another user (an engine's, or of a run as root)
# need more rights than we have.
empty_folder() {
    [[ -d $1 ]] || return 0
    if ! find "$1" -mindepth 1 -delete 2>/dev/null; then
        die "$OTHER" "some files in $1 belong to somebody else: sudo $ROOT/reset.sh $arguments"
    fi
}

check_project
person
network
local_reset
problem=$(engine_problem)
if [[ -z $problem ]]; then
    containers_reset
elif [[ -f $STATE/compose.yml ]]; then
    warn "containers were not looked at: $problem"
fi
if $volumes; then
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
rmdir "$STATE" "${STATE%/*}" 2>/dev/null || true
say "nothing runs any more"
