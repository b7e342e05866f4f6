#!/bin/sh
# Fuzzes what reads bytes of other people: envelopes, header tables, TLS.
#
#   sh tests/fuzz/run.sh [SECONDS]     each for so long (60 by default), one after the other
#
# Installs clang and its runtime where they are missing. What it finds stays in build-fuzz/; exit
# code 0 when that is nothing.
set -eu
cd "$(dirname "$0")/../.."

seconds=${1:-60}
sh tests/lib/packages.sh build clang libclang-rt-dev
cmake -S . -B build-fuzz -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DHERALD_TESTS=OFF -DHERALD_FUZZ=ON >build-fuzz.log 2>&1 &&
    cmake --build build-fuzz -j2 --target fuzz_envelope fuzz_table fuzz_tls >>build-fuzz.log 2>&1 || {
    tail -n 30 build-fuzz.log >&2
    exit 1
}
rm -f build-fuzz.log
bad=0
for name in envelope table tls; do
    mkdir -p "build-fuzz/corpus/$name"
    if (cd build-fuzz && "tests/fuzz/fuzz_$name" -max_total_time="$seconds" -max_len=4096 \
        -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$name-" \
        "corpus/$name") >"build-fuzz/$name.log" 2>&1; then
        echo "fuzz: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "build-fuzz/$name.log") inputs," \
            "nothing found"
    else
        bad=$((bad + 1))
        tail -n 40 "build-fuzz/$name.log" >&2
        echo "fuzz: $name: FAILED, build-fuzz/$name.log" >&2
    fi
done
echo "$((3 - bad)) passed, $bad failed"
[ "$bad" -eq 0 ]
