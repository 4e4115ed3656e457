#!/usr/bin/env bash
# dist.sh FILE: builds the release binary as one static file.
set -euo pipefail
cd "$(dirname "$0")/.."
file=${1:?where to put it}

host=$(rustc -vV | sed -n 's/^host: //p')
musl=${host/-gnu/-musl}
if rustc --print target-libdir --target "$musl" >/dev/null 2>&1 \
    && [ -d "$(rustc --print target-libdir --target "$musl")" ] && command -v musl-gcc >/dev/null; then
    target=$musl
else
    target=$host
fi
# The target is named also where it is the host: else the flags would reach build scripts and procedural
# macros, which cannot be static.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
    cargo build --release --locked --package flota --target "$target"

mkdir -p "$(dirname "$file")"
install -m 755 "${CARGO_TARGET_DIR:-target}/$target/release/flota" "$file"
if readelf -l "$file" 2>/dev/null | grep -q INTERP; then
    echo "dist: $file asks for a dynamic loader, so it is not static" >&2
    exit 1
fi
"$file" version
ls -l "$file"
(cd "$(dirname "$file")" && sha256sum "$(basename "$file")" >"$(basename "$file").sha256")
