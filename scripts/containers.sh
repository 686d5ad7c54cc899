# A swarm in containers. Sourced after common.sh.
#
# What is ours carries the label parvi.swarm=PROJECT; nothing else is ever stopped or removed.
# shellcheck shell=bash disable=SC2153

# Why there is no container engine; silent when there is one.
engine_problem() {
    if ! have docker; then
        say "docker is not installed"
    elif ! docker version >/dev/null 2>&1; then
        if docker version 2>&1 | grep --quiet --ignore-case 'permission denied'; then
            say "docker does not let you in (sudo usermod --append --groups docker $(id -un), then log in again)"
        else
            say "the docker engine does not answer (sudo systemctl start docker)"
        fi
    fi
}

# Sets COMPOSE to the command found here, new or old; fails where there is none.
find_compose() {
    if docker compose version >/dev/null 2>&1; then
        COMPOSE=(docker compose)
    elif have docker-compose; then
        COMPOSE=(docker-compose)
    else
        return 1
    fi
}

# Under an engine that runs without root, the root of a container is the person.
rootless_person() {
    if docker info --format '{{.SecurityOptions}}' 2>/dev/null | grep --quiet rootless; then
        export PARVI_UID=0 PARVI_GID=0
    fi
}

compose() {
    PARVI_PROJECT=$PROJECT PARVI_IMAGE=$IMAGE COMPOSE_IGNORE_ORPHANS=1 \
        "${COMPOSE[@]}" --project-name "$PROJECT" --project-directory "$ROOT" \
        --file "$STATE/compose.yml" "$@"
}

# docker-compose.yml with its last service repeated for every other NAME.
write_compose_file() {
    mkdir -p "$STATE"
    awk -v names="$*" '
        /^  node4:/ { template = 1 }
        template && /^networks:/ {
            count = split(names, name, " ")
            for (i = 1; i <= count; i++) {
                if (name[i] ~ /^(tracker|node[1-4])$/) continue
                copy = block
                gsub(/node4/, name[i], copy)
                printf "%s", copy
            }
            template = 0
        }
        template { block = block $0 "\n" }
        { print }
    ' "$ROOT/docker-compose.yml" >"$STATE/compose.yml.new"
    mv "$STATE/compose.yml.new" "$STATE/compose.yml"
}

# ours FORMAT [FILTER...]: our containers that run, or all with --all.
ours() {
    local format=$1
    shift
    docker ps --filter "label=parvi.swarm=$PROJECT" --format "$format" "$@"
}

containers_running() { ours '{{.Label "parvi.name"}}' | grep . | sort --version-sort || true; }

# The clock's zone as POSIX writes it: the last line of a compiled zone file.
posix_zone() { tail --lines=1 /etc/localtime 2>/dev/null | tr --delete --complement '[:print:]' || true; }

# Another network in the way is told before compose fails on it.
check_network() {
    local id name subnet first size
    if [[ -n $(docker network ls --quiet --filter "label=parvi.swarm=$PROJECT") ]]; then
        id=$(docker network ls --quiet --filter "label=parvi.swarm=$PROJECT" | head --lines=1)
        subnet=$(docker network inspect --format '{{range .IPAM.Config}}{{.Subnet}}{{end}}' "$id")
        [[ $subnet == "$PARVI_SUBNET" ]] || die "$EXISTS" "the swarm $PROJECT has the network" \
            "$subnet, not $PARVI_SUBNET: leave PARVI_SUBNET as it was, or ./reset.sh first"
        return
    fi
    while read -r id; do
        read -r name subnet < <(docker network inspect \
            --format '{{.Name}} {{range .IPAM.Config}}{{.Subnet}} {{end}}' "$id")
        [[ $subnet == *.*/* ]] || continue
        subnet=${subnet%% *}
        first=$(address_to_number "${subnet%/*}") size=$((1 << (32 - ${subnet#*/})))
        if ((first < SUBNET_FIRST + SUBNET_SIZE && SUBNET_FIRST < first + size)); then
            die "$EXISTS" "$PARVI_SUBNET is taken: the docker network $name has $subnet." \
                "Choose another, like PARVI_SUBNET=172.29.0.0/16 ./run.sh ..."
        fi
    done < <(docker network ls --quiet)
}

# Makes folders, first files and the key, as root in a container, for the person.
containers_prepare() {
    compose run --rm -T prepare prepare --volumes /volumes --logs /logs --keys /keys \
        --first-files /first-files --owner "$PARVI_UID:$PARVI_GID" "$@" </dev/null 2>&1 |
        { grep 'first files\|parvi:' || true; }
}

# Starts NAMES (tracker first) and waits until they answer.
containers_start() {
    local name
    export PARVI_TZ=${PARVI_TZ:-$(posix_zone)}
    # A stopped container of an older image would start the older parvi.
    for name in "$@"; do remove_outdated "$PROJECT-$name"; done
    local log=$STATE/compose.log
    if ! compose up --detach --no-recreate --no-build "$@" >"$log" 2>&1; then
        tail --lines=20 "$log" >&2
        for name in "$@"; do last_words "$name"; done
        die "$OTHER" "the containers did not start; all of it is in $log"
    fi
    for name in "$@"; do wait_for_container "$name"; done
}

remove_outdated() {
    local running image
    read -r running image < <(docker inspect --format '{{.State.Running}} {{.Image}}' "$1" 2>/dev/null) || return 0
    if [[ $running == false && $image != $(docker image inspect --format '{{.Id}}' "$IMAGE") ]]; then
        docker rm "$1" >/dev/null
    fi
}

wait_for_container() {
    local container=$PROJECT-$1 deadline=$((SECONDS + 60))
    until docker exec "$container" /parvi health >/dev/null 2>&1; do
        if ((SECONDS > deadline)) || [[ $(docker inspect --format '{{.State.Running}}' "$container") != true ]]; then
            last_words "$1"
            die "$OTHER" "$container does not answer"
        fi
        sleep 0.2
    done
}

# What a container that does not run said last.
last_words() {
    local container=$PROJECT-$1
    if [[ $(docker inspect --format '{{.State.Running}}' "$container" 2>/dev/null) == false ]]; then
        warn "$container said:"
        docker logs --tail 5 "$container" >&2
    fi
}

containers_table() {
    local name
    while read -r name; do
        printf '  %-22s %s\n' "$PROJECT-$name" "$(docker inspect --format \
            '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$PROJECT-$name")"
    done < <(containers_running)
}

# The command that brings NAME's prompt to a terminal.
containers_attach_command() { printf 'docker attach %q' "$PROJECT-$1"; }

containers_hints() {
    hint "docker attach $PROJECT-$1" "its prompt; Ctrl-P Ctrl-Q leaves it running"
    hint "docker exec $PROJECT-$1 /parvi ctl peers" "one command, from a script"
    hint "./run.sh -n 1" "one node more"
}

# Stops and removes all that is ours.
containers_reset() {
    local ids=() networks=()
    mapfile -t ids < <(ours '{{.ID}}' --all)
    if ((${#ids[@]})); then
        docker stop --time 10 "${ids[@]}" >/dev/null
        docker rm --force --volumes "${ids[@]}" >/dev/null
        say "removed ${#ids[@]} containers"
    fi
    mapfile -t networks < <(docker network ls --quiet --filter "label=parvi.swarm=$PROJECT")
    if ((${#networks[@]})); then
        docker network rm "${networks[@]}" >/dev/null
        say "removed the network"
    fi
}
