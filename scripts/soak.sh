#!/usr/bin/env bash
# Looks for what nobody has seen before, for a long time. SEED (the time, unless given) makes a run another
# one, and repeats it; each part has a count of its own. docs/faults.md tells what each part is.
#   SEEDS       fleets that are simulated, from SEED on
#   REUSES      stale handles of processes whose number another one has by now
#   LOG_ROUNDS  times five kills of agent and keeper while programs write lines
#   COUNT       kills of agent, keeper and both while programs start, run and end
#   SERVICES    services on one node, whose agent is killed
#   COMMANDS    short commands, each with a status of its own
# A seed that fails is printed; FLOTA_SEED=n cargo test -p flota-testkit replays a simulated one.
set -euo pipefail
cd "$(dirname "$0")/.."
seed=${SEED:-${START:-$(date +%s)}}
last=$((seed + ${SEEDS:-10000}))
export FLOTA_SEED=$seed
export FLOTA_REUSES=${REUSES:-10000}
export FLOTA_LOG_ROUNDS=${LOG_ROUNDS:-40}
export FLOTA_FAULT_RUNS=${COUNT:-1000}
export FLOTA_SERVICES=${SERVICES:-1000}
export FLOTA_COMMANDS=${COMMANDS:-10000}
echo "SEED=$seed SEEDS=${SEEDS:-10000} REUSES=$FLOTA_REUSES LOG_ROUNDS=$FLOTA_LOG_ROUNDS" \
    "COUNT=$FLOTA_FAULT_RUNS SERVICES=$FLOTA_SERVICES COMMANDS=$FLOTA_COMMANDS"

# agent TARGET… TEST: one test of the agent's crate, with all that it prints.
agent() {
    cargo test --release --locked --package flota-agent "$@" -- --nocapture
}

cargo build --release --locked --package flota-agent --example agent_harness
agent --lib a_stale_handle_never_hits_the_process_that_has_its_number_now
agent --test agent no_line_is_lost
agent --test agent no_program_is_lost_or_started_twice
agent --test agent no_status_of_many_short_commands_is_lost
agent --test agent many_services_on_one_node_are_taken_over
unset FLOTA_SEED
FLOTA_SEEDS=$seed..$last exec cargo test --release --locked --package flota-testkit --test seeds -- --nocapture
