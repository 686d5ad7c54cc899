# Names, folders and words that config.sh, run.sh and reset.sh share. Sourced, never run.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# A swarm of another name beside this one: other containers, another network.
PROJECT=${PARVI_PROJECT:-parvi}
IMAGE=${PARVI_IMAGE:-parvi}
# The static binary: in the image, and on this machine for --local.
BINARY=$ROOT/docker/parvi
VOLUMES=$ROOT/volumes
LOGS=$ROOT/logs
KEYS=$ROOT/keys
FIRST_FILES=$ROOT/.volumes_start
# What a run leaves for the next command: whose this folder is, the compose file with all nodes.
STATE=$ROOT/.run

# Exit codes as those of parvi itself.
readonly OTHER=1 USAGE=2 NETWORK=6 EXISTS=13
export OTHER USAGE NETWORK EXISTS

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
# die CODE WORDS...: what was wrong and what to do.
die() {
    local code=$1
    shift
    warn "$*"
    exit "$code"
}

# hint COMMAND WORDS: what to type next.
hint() { printf '  %-42s %s\n' "$1" "$2"; }

have() { command -v "$1" >/dev/null 2>&1; }

# What the scripts are made of.
check_tools() {
    ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) ||
        die "$OTHER" "bash $BASH_VERSION is too old: 4.4 or later is needed"
    local tool
    for tool in awk find flock mktemp numfmt sort stat tail; do
        have "$tool" || die "$OTHER" "the command $tool is missing (Debian: apt install coreutils findutils gawk util-linux)"
    done
}

check_project() {
    [[ $PROJECT =~ ^[a-z0-9][a-z0-9_-]{0,40}$ ]] ||
        die "$USAGE" "PARVI_PROJECT=$PROJECT: expected lower-case letters, digits, - and _"
}

# One script at a time works in this folder, and for one project only: another one's files would
# be taken for its own. The lock is on the folder itself, so there is no file to remove.
take_folder() {
    local owner
    exec 9<"$ROOT"
    flock --nonblock 9 || { say "another script is at work here, waiting for it" && flock 9; }
    owner=$(cat "$STATE/project" 2>/dev/null || true)
    [[ -z $owner || $owner == "$PROJECT" ]] || die "$EXISTS" "this folder has the files of the" \
        "swarm $owner, not of $PROJECT: end that one (PARVI_PROJECT=$owner ./reset.sh), or take another copy of this folder"
}

# Whose the files in volumes/ and logs/ are: the person's, or whose they have been so far. Root's
# containers run as somebody else.
person() {
    local uid gid
    uid=$(id -u) gid=$(id -g)
    if [[ -e $KEYS/swarm.key ]]; then
        read -r uid gid < <(stat --format '%u %g' "$KEYS/swarm.key")
    fi
    if ((uid == 0)); then
        uid=${SUDO_UID:-1000} gid=${SUDO_GID:-1000}
        if ((uid == 0)); then uid=1000 gid=1000; fi
    fi
    PARVI_UID=${PARVI_UID:-$uid} PARVI_GID=${PARVI_GID:-$gid}
    export PARVI_UID PARVI_GID
}

address_to_number() {
    local a b c d
    IFS=. read -r a b c d <<<"$1"
    printf '%d' $(((10#$a << 24) | (10#$b << 16) | (10#$c << 8) | 10#$d))
}

number_to_address() {
    printf '%d.%d.%d.%d' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255))
}

# From PARVI_SUBNET: the tracker's address and the half of the network that nodes get theirs from.
# Sets SUBNET_FIRST and SUBNET_SIZE too.
network() {
    PARVI_SUBNET=${PARVI_SUBNET:-172.20.0.0/16}
    local octet='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
    [[ $PARVI_SUBNET =~ ^$octet\.$octet\.$octet\.$octet/([0-9]+)$ ]] ||
        die "$USAGE" "PARVI_SUBNET=$PARVI_SUBNET: expected a network like 172.20.0.0/16"
    local bits=${PARVI_SUBNET#*/}
    ((bits >= 8 && bits <= 28)) ||
        die "$USAGE" "PARVI_SUBNET=$PARVI_SUBNET: expected between /8 and /28"
    SUBNET_SIZE=$((1 << (32 - bits)))
    SUBNET_FIRST=$(($(address_to_number "${PARVI_SUBNET%/*}") / SUBNET_SIZE * SUBNET_SIZE))
    PARVI_SUBNET=$(number_to_address "$SUBNET_FIRST")/$bits
    PARVI_TRACKER_IP=$(number_to_address $((SUBNET_FIRST + 2)))
    PARVI_IP_RANGE=$(number_to_address $((SUBNET_FIRST + SUBNET_SIZE / 2)))/$((bits + 1))
    export PARVI_SUBNET PARVI_TRACKER_IP PARVI_IP_RANGE
}

# Files that the binary is built from and that are newer than it; nothing where there is no source.
newer_sources() {
    local all=()
    for source in src wal Cargo.toml Cargo.lock build.sh; do
        if [[ -e $ROOT/$source ]]; then all+=("$ROOT/$source"); fi
    done
    if ((${#all[@]})); then find "${all[@]}" -type f -newer "$BINARY" -print -quit; fi
}

# Whether a name can be a node's: it becomes part of a container's name and of paths.
is_node_name() { [[ $1 =~ ^[a-z0-9][a-z0-9_-]{0,30}$ && $1 != tracker && $1 != prepare ]]; }

check_node_name() {
    is_node_name "$1" || die "$USAGE" \
        "$1 cannot be a node's name: lower-case letters, digits, - and _, and neither tracker nor prepare"
}

# The tracker and nodes that have a folder below volumes/.
known_names() {
    local folder name
    for folder in "$VOLUMES"/*/; do
        name=$(basename "$folder")
        if [[ -d $folder ]] && { [[ $name == tracker ]] || is_node_name "$name"; }; then say "$name"; fi
    done
}

# The name of somebody who uses a data directory here, whoever started him; nothing when nobody does.
name_in_use() {
    local lock
    for lock in "$VOLUMES"/*/.parvi/lock; do
        if [[ -e $lock ]] && ! flock --nonblock "$lock" true; then
            basename "${lock%/.parvi/lock}"
            return
        fi
    done
}
