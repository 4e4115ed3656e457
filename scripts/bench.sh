#!/usr/bin/env bash
# Measures what can be measured today. Figures of one machine and one run: compare within, not across.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo run --release --locked --quiet --package flota-kernels --example julia_rate

flota=${CARGO_TARGET_DIR:-target}/release/flota
if "$flota" bench --help >/dev/null 2>&1; then
    exec "$flota" bench all
fi
echo "flota bench is not there yet"
