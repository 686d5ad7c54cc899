# Brings prompts in front of a person: a window each where there is a desktop, else tmux panes.
# Sourced after common.sh.
# shellcheck shell=bash disable=SC2153

# A tmux server of our own: the person's is never touched.
# It lives on when run.sh has ended, so it must not have run.sh's lock, 9.
tmux_ours() { tmux -L "$PROJECT" "$@" 9>&-; }

tmux_session_there() { tmux_ours has-session -t "=$PROJECT" 2>/dev/null; }

# tmux_place LINE: runs LINE in a pane, as many a window as fit.
tmux_place() {
    if ! tmux_session_there; then
        tmux_ours new-session -d -s "$PROJECT" -x 160 -y 48 "$1"
    elif ! tmux_ours split-window -t "=$PROJECT:" "$1" 2>/dev/null; then
        tmux_ours new-window -t "=$PROJECT:" "$1"
    fi
    tmux_ours select-layout -t "=$PROJECT:" tiled >/dev/null 2>&1 || true
}

# Hands this terminal over to the panes, or says how.
tmux_show() {
    if [[ -t 0 && -t 1 && -z ${TMUX:-} ]]; then
        tmux_ours attach -t "=$PROJECT"
    else
        say "the prompts are in tmux: tmux -L $PROJECT attach    (Ctrl-B and an arrow moves, Ctrl-B D leaves)"
    fi
}

# open_window TITLE LINE: a terminal window; fails where there is no desktop, or none that can be
# reached.
open_window() {
    [[ -n ${DISPLAY:-}${WAYLAND_DISPLAY:-} ]] || return 1
    if have konsole; then
        konsole --separate -p tabtitle="$1" -e bash -c "$2" >/dev/null 2>&1 &
    elif have gnome-terminal; then
        gnome-terminal --title="$1" -- bash -c "$2" >/dev/null 2>&1 &
    elif have xterm && [[ -n ${DISPLAY:-} ]]; then
        xterm -T "$1" -e bash -c "$2" >/dev/null 2>&1 &
    else
        return 1
    fi
    # One that cannot reach its desktop is gone by now; one that hands over to another has ended well.
    sleep 0.5
    kill -0 $! 2>/dev/null || wait $! || return 1
    disown 2>/dev/null || true
}
