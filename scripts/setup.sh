#!/usr/bin/env bash
# Installs what building and testing need and is missing. Does nothing, quickly, where all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "setup: '$*' needs root, and there is no sudo: run it as root, then repeat" >&2
        return 1
    fi
}

# A C compiler builds SQLite, which is part of the binary.
missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v make >/dev/null || missing+=(make)
if [ "${#missing[@]}" -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        echo "setup: install these with the package manager of this system: ${missing[*]}" >&2
        exit 1
    fi
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

if ! command -v cargo >/dev/null; then
    echo "setup: there is no cargo; install Rust from https://rustup.rs" >&2
    exit 1
fi
wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
found=$(rustc --version | cut -d' ' -f2)
if [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "setup: Rust $wanted or newer is needed, this is $found: rustup update" >&2
    exit 1
fi
for component in rustfmt clippy; do
    if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
        rustup component add "$component"
    fi
done

# Where it cannot be installed the tests run under `cargo test`.
if ! cargo nextest --version >/dev/null 2>&1; then
    echo "setup: installing cargo-nextest (some minutes, once)"
    cargo install --locked --quiet cargo-nextest || echo "setup: no cargo-nextest; using cargo test" >&2
fi
