#!/usr/bin/env bash
# A server and three agents as separate processes, two jobs, and a picture. Stays until Ctrl-C, and then
# leaves no process behind; with ONCE=1 it ends by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
picture=$PWD/demo-julia.png
flota=$PWD/${CARGO_TARGET_DIR:-target}/release/flota
case ${CARGO_TARGET_DIR:-} in /*) flota=$CARGO_TARGET_DIR/release/flota ;; esac

# What the person has set for a fleet of their own has no part in this one.
for name in "${!FLOTA_@}"; do unset "$name"; done
data=$(mktemp -d "${TMPDIR:-/tmp}/flota-demo.XXXXXX")
: >"$data/none.toml"
export FLOTA_CONFIG=$data/none.toml
names=(n1 n2 n3)
agents=()
server=

# Processes whose command line names our folder: server, agents, keepers. This shell's does not.
ours() {
    local file
    for file in /proc/[0-9]*/cmdline; do
        if tr '\0' ' ' <"$file" 2>/dev/null | grep -qF -- "$data/"; then
            file=${file%/cmdline}
            echo "${file#/proc/}"
        fi
    done
}

finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM
    echo
    echo "demo: stopping"
    # An agent detaches from its programs; so they are ended by name, then what they were started by.
    [ "${#agents[@]}" = 0 ] || kill -TERM "${agents[@]}" 2>/dev/null || true
    [ "${#agents[@]}" = 0 ] || wait "${agents[@]}" 2>/dev/null || true
    for name in "${names[@]}"; do
        [ ! -d "$data/$name" ] || "$flota" agent stop --all --data "$data/$name" >/dev/null 2>>"$data/stop.log" || true
    done
    [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    for _ in {1..100}; do
        left=$(ours)
        [ -n "$left" ] || break
        read -r -t 0.1 <> <(:) || true
    done
    if [ -n "$left" ]; then
        echo "demo: these processes are left: $left (logs in $data)" >&2
        exit 1
    fi
    if [ "$status" != 0 ] && [ "$status" != 130 ]; then
        echo "demo: failed; the logs are in $data" >&2
        tail -n 5 "$data"/*.log >&2 || true
        exit "$status"
    fi
    rm -rf "$data"
}
trap finish EXIT
trap 'exit 130' INT TERM

# until_true SECONDS WHAT COMMAND…: tries four times a second.
until_true() {
    local tries=$(($1 * 4)) what=$2
    shift 2
    while ! "$@"; do
        tries=$((tries - 1))
        if [ "$tries" = 0 ]; then
            echo "demo: waited too long for $what" >&2
            return 1
        fi
        read -r -t 0.25 <> <(:) || true
    done
}

listen=127.0.0.1:7070
if (exec 3<>/dev/tcp/127.0.0.1/7070) 2>/dev/null; then
    listen=127.0.0.1:0
    echo "demo: port 7070 is in use, taking a free one"
fi
"$flota" server --listen "$listen" --data "$data/server" >"$data/server.log" 2>&1 &
server=$!
served() { [ -s "$data/server/addresses.json" ] || ! kill -0 "$server" 2>/dev/null; }
until_true 30 "the server" served
url=http://$(sed -n 's/.*"http": "\(.*\)".*/\1/p' "$data/server/addresses.json")

for name in "${names[@]}"; do
    "$flota" agent --server "$url" --token-file "$data/server/token" --name "$name" --data "$data/$name" \
        >"$data/$name.log" 2>&1 &
    agents+=($!)
done

# From here on every command finds the server by these.
export FLOTA_SERVER=$url FLOTA_TOKEN_FILE=$data/server/token
three_up() {
    [ "$("$flota" node ls -o csv --no-headers 2>/dev/null | grep -cw up)" = "${#names[@]}" ]
}
until_true 30 "three nodes" three_up
"$flota" node ls

echo
echo "== 200 commands"
"$flota" submit --name commands --array 1-200 --cpus 0.25 --wait -- \
    sh -c 'echo "task $1 ran as process $$ on $FLOTA_NODE"' task '{index}'
"$flota" job logs last --task 200

echo
echo "== a Julia set in 64 tiles"
"$flota" submit --name julia --kernel julia --array 0-63 --cpus 0.5 --wait -p tile='{index}' \
    -p columns=8 -p rows=8 -p width=1536 -p height=1536 -p iterations=600 \
    -p c_re=-0.79 -p c_im=0.15 -p x0=-1.6 -p x1=1.6 -p y0=-1.6 -p y1=1.6
"$flota" job results last -d "$data/tiles"
tiles=()
for tile in {0..63}; do tiles+=("$data/tiles/$tile.result"); done
cargo run --release --locked --quiet --package flota-kernels --example stitch -- "$picture" 8 "${tiles[@]}"

echo
"$flota" node ls
echo
"$flota" job ls
echo
echo "picture    $picture"
echo "dashboard  $url"
grep -o 'http://[^ ]*login[^ ]*' "$data/server.log" | head -n 1 | sed 's/^/log in     /' || true
if [ "${ONCE:-}" = 1 ]; then exit 0; fi
echo "Ctrl-C ends the server, the agents and all that they run"
wait -n "$server" "${agents[@]}" || true
echo "demo: a process of the fleet ended by itself" >&2
exit 1
