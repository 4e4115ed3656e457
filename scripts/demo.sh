#!/usr/bin/env bash
# A server and three agents as separate processes, two jobs, and a picture. Stays until Ctrl-C, and then
# leaves no process behind; with ONCE=1 it ends by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
picture=$PWD/demo-julia.png
built=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")/release
flota=$built/flota

# What the person has set for a fleet of their own has no part in this one.
for name in "${!FLOTA_@}"; do unset "$name"; done
data=$(mktemp -d "${TMPDIR:-/tmp}/flota-demo.XXXXXX")
: >"$data/none.toml"
export FLOTA_CONFIG=$data/none.toml
names=(n1 n2 n3)
agents=()
stops=()
server=

# Processes whose command line names our folder: server, agents, keepers. That of grep does not.
ours() {
    grep -lsF -f - /proc/[0-9]*/cmdline <<<"$data/" | tr -dc '0-9\n' || true
}

finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM
    echo
    echo "demo: stopping"
    # An agent that only gets a signal would leave its programs and its keeper running.
    for name in "${names[@]}"; do
        [ ! -d "$data/$name" ] || "$flota" agent stop --all --data "$data/$name" >>"$data/stop.log" 2>&1 &
        stops+=($!)
    done
    wait "${stops[@]}" || true
    # shellcheck disable=SC2086
    [ -z "$server${agents[*]}" ] || kill -TERM $server "${agents[@]}" 2>/dev/null || true
    for _ in {1..100}; do
        left=$(ours)
        [ -n "$left" ] || break
        read -r -t 0.1 <> <(:) || true
    done
    if [ -n "$left" ]; then
        echo "demo: these processes are left (logs in $data):" $left >&2
        exit 1
    fi
    if [ "$status" != 0 ] && [ "$status" != 130 ]; then
        echo "demo: failed; the logs are in $data" >&2
        tail -n 5 "$data"/*.log >&2 || true
        exit "$status"
    fi
    rm -rf "$data"
    echo "demo: all stopped"
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
# In sessions of their own, so that a Ctrl-C reaches this script alone.
setsid "$flota" server --listen "$listen" --data "$data/server" >"$data/server.log" 2>&1 &
server=$!
served() { [ -s "$data/server/addresses.json" ] || ! kill -0 "$server" 2>/dev/null; }
until_true 30 "the server" served
url=http://$(sed -n 's/.*"http": "\(.*\)".*/\1/p' "$data/server/addresses.json")

for name in "${names[@]}"; do
    setsid "$flota" agent --server "$url" --token-file "$data/server/token" --name "$name" --data "$data/$name" \
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
# A file: nodes start no shells unless their policy says so.
printf '%s\n' '#!/bin/sh' 'echo "task $1 ran as process $$ on $FLOTA_NODE"' >"$data/command"
chmod +x "$data/command"
"$flota" submit --name commands --array 1-200 --cpus 0.25 --wait -- \
    "$data/command" '{index}'
"$flota" job logs last --task 200

echo
echo "== a Julia set in 64 tiles"
"$flota" submit --name julia --kernel julia --array 0-63 --cpus 0.5 --wait -p tile='{index}' \
    -p columns=8 -p rows=8 -p width=1536 -p height=1536 -p iterations=600 \
    -p c_re=-0.79 -p c_im=0.15 -p x0=-1.6 -p x1=1.6 -p y0=-1.6 -p y1=1.6
"$flota" job results last -d "$data/tiles"
tiles=()
for tile in {0..63}; do tiles+=("$data/tiles/$tile.result"); done
"$built/examples/stitch" "$picture" 8 "${tiles[@]}"

echo
"$flota" node ls
echo
"$flota" job ls
echo
echo "picture    $picture"
echo "dashboard  $url"
grep -o 'http://[^ ]*login[^ ]*' "$data/server.log" | head -n 1 | sed 's/^/log in     /' || true
if [ "${ONCE:-}" = 1 ]; then exit 0; fi
trap 'exit 0' INT TERM
echo "Ctrl-C ends the server, the agents and all that they run"
wait -n "$server" "${agents[@]}" || true
echo "demo: a process of the fleet ended by itself" >&2
exit 1
