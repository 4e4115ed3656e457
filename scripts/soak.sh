#!/usr/bin/env bash
# Simulates fleets that nobody has simulated before: SEEDS of them, from START on (the time, so that no two
# soaks are the same). A seed that fails is printed; FLOTA_SEED=n cargo test -p flota-testkit replays it.
# Before that, REUSES stale handles of processes whose number another one has by now are used, and hit nobody; then
# programs write lines while agent and keeper are killed (LOG_ROUNDS times five kills), and none is lost.
set -euo pipefail
cd "$(dirname "$0")/.."
first=${START:-$(date +%s)}
last=$((first + ${SEEDS:-10000}))
reuses=${REUSES:-10000}
echo "seeds $first..$last, $reuses stale handles"
FLOTA_REUSES=$reuses cargo test --release --locked --package flota-agent --lib \
    a_stale_handle_never_hits_the_process_that_has_its_number_now -- --nocapture
export FLOTA_LOG_ROUNDS=${LOG_ROUNDS:-40}
echo "logs: $((FLOTA_LOG_ROUNDS * 5)) kills, seed $first"
cargo build --release --locked --package flota-agent --example agent_harness
FLOTA_SEED=$first cargo test --release --locked --package flota-agent --test agent no_line_is_lost -- --nocapture
FLOTA_SEEDS=$first..$last exec cargo test --release --locked --package flota-testkit --test seeds -- --nocapture
