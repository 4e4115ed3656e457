#!/usr/bin/env bash
# Simulates fleets that nobody has simulated before: SEEDS of them, from START on (the time, so that no two
# soaks are the same). A seed that fails is printed; FLOTA_SEED=n cargo test -p flota-testkit replays it.
set -euo pipefail
cd "$(dirname "$0")/.."
first=${START:-$(date +%s)}
last=$((first + ${SEEDS:-10000}))
echo "seeds $first..$last"
FLOTA_SEEDS=$first..$last exec cargo test --release --locked --package flota-testkit --test seeds -- --nocapture
