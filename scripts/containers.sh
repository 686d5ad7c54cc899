# A swarm in containers. Sourced after common.sh.
#
# What is ours carries the label parvi.swarm=PROJECT; nothing else is ever stopped or removed.
# shellcheck shell=bash disable=SC2153

# Why there is no container engine; silent when there is one.
engine_problem() {
    local said
    if ! have docker; then
        say "docker is not installed"
    elif ! said=$(docker version 2>&1); then
        case ${said,,} in
            *"permission denied"*)
                say "docker does not let you in (sudo usermod --append --groups docker $(id -un), then log in again)"
                ;;
            *) say "the docker engine does not answer (sudo systemctl start docker)" ;;
        esac
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
    COMPOSE_PROJECT_NAME=$PROJECT PARVI_IMAGE=$IMAGE COMPOSE_IGNORE_ORPHANS=1 \
        "${COMPOSE[@]}" --project-name "$PROJECT" --project-directory "$ROOT" \
        --file "$STATE/compose.yml" "$@"
}

# docker-compose.yml with its last service repeated for every other NAME.
write_compose_file() {
    mkdir -p "$STATE"
    awk -v names="$*" '
        /^  "node4":/ { template = 1 }
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

# The same swarm may run from another copy of this folder, with other files.
check_folder() {
    local folder
    while read -r folder; do
        [[ -z $folder || $folder == "$ROOT" ]] || die "$EXISTS" "the swarm $PROJECT runs from" \
            "$folder: go there, or start another: PARVI_PROJECT=other PARVI_SUBNET=172.21.0.0/16"
    done < <(ours '{{.Label "com.docker.compose.project.working_dir"}}' --all)
}

# Another network in the way is told before compose fails on it.
check_network() {
    local id name subnet subnets first size
    if [[ -n $(docker network ls --quiet --filter "label=parvi.swarm=$PROJECT") ]]; then
        id=$(docker network ls --quiet --filter "label=parvi.swarm=$PROJECT" | head --lines=1)
        subnet=$(docker network inspect --format '{{range .IPAM.Config}}{{.Subnet}}{{end}}' "$id")
        [[ $subnet == "$PARVI_SUBNET" ]] || die "$EXISTS" "the swarm $PROJECT has the network" \
            "$subnet, not $PARVI_SUBNET: leave PARVI_SUBNET as it was, or ./reset.sh first"
        return
    fi
    while read -r id; do
        read -r name subnets < <(docker network inspect \
            --format '{{.Name}} {{range .IPAM.Config}}{{.Subnet}} {{end}}' "$id" 2>/dev/null) || continue
        for subnet in $subnets; do
            [[ $subnet == *.*.*.*/* ]] || continue
            first=$(address_to_number "${subnet%/*}") size=$((1 << (32 - ${subnet#*/})))
            if ((first < SUBNET_FIRST + SUBNET_SIZE && SUBNET_FIRST < first + size)); then
                die "$EXISTS" "$PARVI_SUBNET is taken: the docker network $name has $subnet." \
                    "Choose another, like PARVI_SUBNET=172.29.0.0/16 ./run.sh ..."
            fi
        done
    done < <(docker network ls --quiet)
}

# Makes folders, first files and the key, as root in a container, for the person.
containers_prepare() {
    local log=$STATE/prepare.log
    if ! compose run --rm -T --no-deps prepare prepare --volumes /volumes --logs /logs --keys /keys \
        --first-files /first-files --owner "$PARVI_UID:$PARVI_GID" "$@" </dev/null >"$log" 2>&1; then
        tail --lines=20 "$log" >&2
        die "$OTHER" "the folders of $* could not be made ready; all of it is in $log"
    fi
    grep 'first files' "$log" || true
}

# Starts NAMES and waits until they answer; the tracker before all others.
containers_start() {
    local name nodes=()
    export PARVI_TZ=${PARVI_TZ:-$(posix_zone)}
    for name in "$@"; do
        clear_the_way "$PROJECT-$name"
        if [[ $name == tracker ]]; then compose_up tracker; else nodes+=("$name"); fi
    done
    if ((${#nodes[@]})); then compose_up "${nodes[@]}"; fi
}

compose_up() {
    local name log=$STATE/compose.log
    if ! compose up --detach --no-recreate --no-build --no-deps "$@" >"$log" 2>&1; then
        tail --lines=20 "$log" >&2
        for name in "$@"; do last_words "$name"; done
        die "$OTHER" "the containers did not start; all of it is in $log"
    fi
    for name in "$@"; do wait_for_container "$name"; done
}

# Our own stopped container is made anew, from the image and with the settings of now: all that it
# had is in its volume. Anybody else's stays, and is told.
clear_the_way() {
    local swarm running
    IFS=' ' read -r running swarm < <(docker inspect --type container \
        --format '{{.State.Running}} {{index .Config.Labels "parvi.swarm"}}' "$1" 2>/dev/null) || true
    [[ -n $running ]] || return 0
    [[ $swarm == "$PROJECT" ]] ||
        die "$EXISTS" "a container $1 that is not of this swarm is in the way: docker rm it, or choose another name"
    if [[ $running == false ]]; then docker rm "$1" >/dev/null; fi
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
    if [[ $(docker inspect --format '{{.State.Status}}' "$container" 2>/dev/null) == exited ]]; then
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
