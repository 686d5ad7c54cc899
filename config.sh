#!/usr/bin/env bash
# Builds what run.sh needs: the static binary, and the image where there is a container engine.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"
# shellcheck source=scripts/containers.sh
source "$ROOT/scripts/containers.sh"

usage() {
    cat <<'USAGE'
usage: ./config.sh [-nr] [--in-container]

Builds the binary when it is missing or older than its sources, then the image `parvi`.

  -nr, --no-remove   keep the image that the new one replaces (otherwise it is removed)
  --in-container     build the binary in a container, for machines without Rust; the builder's
                     image can be named: PARVI_BUILDER=rust:1.95-slim-bookworm
  -h, --help         this text

PARVI_IMAGE names another image than parvi.
USAGE
}

remove_old=true in_container=false
while (($#)); do
    case $1 in
        -nr | --no-remove) remove_old=false ;;
        --in-container) in_container=true ;;
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

image_id() { docker image inspect --format '{{.Id}}' "$IMAGE" 2>/dev/null || true; }

# Builds with the words that the classic builder and BuildKit both take; what they say only when
# they fail.
build_image() {
    local log
    log=$(mktemp)
    if ! docker build --file "$ROOT/docker/Dockerfile" --tag "$IMAGE" "$@" "$ROOT" >"$log" 2>&1; then
        tail --lines=30 "$log" >&2
        rm -f "$log"
        die "$OTHER" "the image could not be built"
    fi
    rm -f "$log"
}

build_binary() {
    if [[ -x $BINARY && -z $(newer_sources) ]]; then
        say "binary: docker/parvi is as new as its sources"
        return
    fi
    have cargo || die "$OTHER" "cargo is missing: install Rust from https://rustup.rs, or, with a" \
        "container engine and its registry, ./config.sh --in-container"
    say "building the binary; this takes minutes the first time"
    local built
    built=$("$ROOT/build.sh" | sed -n 's/^static binary: \(.*\) (.*)$/\1/p')
    [[ $built == /* ]] || built=$ROOT/$built
    # Under its name only when it is whole.
    install --mode=755 "$built" "$BINARY.new"
    mv "$BINARY.new" "$BINARY"
    say "binary: docker/parvi, $("$BINARY" --version)"
}

# The image from the sources, and the binary out of it, for --local and the next ./config.sh.
build_in_container() {
    say "building from the sources in ${PARVI_BUILDER:-the default builder image}; this takes minutes"
    local arguments=() container
    # See docker/Dockerfile: an engine without BuildKit wants to see the file.
    [[ -e $BINARY ]] || : >"$BINARY"
    if [[ -n ${PARVI_BUILDER:-} ]]; then arguments=(--build-arg "BUILDER=$PARVI_BUILDER"); fi
    build_image --target source ${arguments[@]+"${arguments[@]}"}
    container=$(docker create "$IMAGE")
    docker cp "$container:/parvi" "$BINARY.new" >/dev/null
    docker rm "$container" >/dev/null
    # What the compiler left behind, some GB.
    docker image prune --force --filter label=parvi.image=builder >/dev/null
    mv "$BINARY.new" "$BINARY"
    touch "$BINARY"
}

check_tools
problem=$(engine_problem)
old=
if [[ -z $problem ]]; then old=$(image_id); fi
if [[ -n $old && $(docker image inspect --format '{{index .Config.Labels "parvi.image"}}' "$old") != yes ]]; then
    die "$EXISTS" "there is an image $IMAGE that is not parvi's: remove it (docker rmi $IMAGE), or give another" \
        "name, PARVI_IMAGE=NAME"
fi
if $in_container; then
    [[ -z $problem ]] || die "$OTHER" "--in-container needs a container engine: $problem"
    build_in_container
else
    build_binary
    if [[ -n $problem ]]; then
        say "no image: $problem. ./run.sh starts processes on this machine instead"
        exit 0
    fi
    build_image --target prebuilt
fi

new=$(image_id)
size=$(docker image inspect --format '{{.Size}}' "$IMAGE" | numfmt --to=iec-i --suffix=B)
if [[ $new == "$old" ]]; then
    say "image: $IMAGE, $size, as before"
else
    say "image: $IMAGE, $size"
fi
if [[ -n $old && $new != "$old" ]] && $remove_old; then
    # Never one that has another name as well, and not by force: containers may need it.
    if [[ $(docker image inspect --format '{{len .RepoTags}}' "$old") != 0 ]]; then
        say "kept the image it replaces: it has another name, too"
    elif docker rmi "$old" >/dev/null 2>&1; then
        say "removed the image it replaces"
    else
        say "kept the image it replaces: containers use it; ./reset.sh removes those"
    fi
fi
