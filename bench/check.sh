#!/bin/sh
# Does every scenario once, small, and checks the counts: records, bytes, sums, files. Times are printed and
# not judged.
#   check.sh BENCH_DIR    the folder that holds mockvendor/ and measure.py
#   CARGO_TARGET_DIR      where to build (default: target/check/ beside this file)
set -eu
bench=$(cd "${1:?usage: check.sh BENCH_DIR}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$here/target/check}"
# Counts do not depend on how hard the compiler tries.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1
for manifest in "$bench/mockvendor/Cargo.toml" "$here/Cargo.toml"; do
    cargo build --quiet --release --locked --manifest-path "$manifest"
done

report=$(mktemp)
trap 'rm -f "$report"' EXIT
last_cpu=$(($(nproc) - 1))
status=0
# No peers: only the groups' own clients are chosen.
python3 "$bench/measure.py" \
    --server "$CARGO_TARGET_DIR/release/mockvendor" \
    --rust-peers /bin/false \
    --acople "$CARGO_TARGET_DIR/release/acople-bench" \
    --client-cpu "$((last_cpu > 0 ? 1 : 0))" \
    --only '/acople$' --scale 0.05 --runs 1 >"$report" || status=$?
cat "$report"

scenarios=$(grep -c '^acople .*  ok$' "$report" || true)
if [ "$status" -ne 0 ] || [ "$scenarios" -ne 8 ] || grep -Eq 'BAD|no sum' "$report"; then
    echo "check.sh: $scenarios of 8 scenarios are right" >&2
    exit 1
fi
echo "check.sh: all 8 scenarios are right"
