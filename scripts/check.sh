#!/usr/bin/env bash
# check.sh all|quick|pure: what `make test`, `make check` and `make fast` run.
set -euo pipefail
cd "$(dirname "$0")/.."
scope=${1:?all, quick or pure}

step() {
    echo "== $*"
    "$@"
}

# Tests that start the real binary or real programs; named in .config/nextest.toml too.
real='kind(test) & (package(flota) + package(flota-agent) + package(flota-server))'

tests() {
    if ! cargo nextest --version >/dev/null 2>&1; then
        case $scope in
            all) step cargo test --locked --workspace --no-fail-fast ;;
            quick) step cargo test --locked --workspace --no-fail-fast --lib --bins ;;
            pure) step cargo test --locked --no-fail-fast -p flota-model -p flota-engine -p flota-wire ;;
        esac
        return
    fi
    case $scope in
        all) step cargo nextest run --locked --workspace --no-tests=fail ;;
        quick) step cargo nextest run --locked --workspace --no-tests=fail -E "not ($real)" ;;
        pure) step cargo nextest run --locked -p flota-model -p flota-engine -p flota-wire ;;
    esac
}

if [ "$scope" = pure ]; then
    tests
    exit
fi

step cargo fmt --all --check
if command -v taplo >/dev/null; then step taplo fmt --check; fi
if command -v typos >/dev/null; then step typos; fi
step cargo clippy --locked --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" step cargo doc --locked --workspace --no-deps --document-private-items --quiet
# Last, so that the summary of the tests closes the output.
tests
