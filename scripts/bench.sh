#!/usr/bin/env bash
# Measures what can be measured today. Figures of one machine and one run: compare within, not across.
# Options are passed on: `scripts/bench.sh -o json --data /a/folder/on/a/disk`.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo run --release --locked --quiet --package flota-kernels --example julia_rate

cargo build --release --locked --quiet --package flota
exec "${CARGO_TARGET_DIR:-target}/release/flota" bench all "$@"
