#!/bin/sh
# Instructions of each operation, counted by callgrind, against callgrind.tsv: a regression of more than 5 % is
# a failure, and so is an improvement of more than 5 % that is not written down. A count does not depend on what
# else the machine does; it does depend on the compiler, which rust-toolchain.toml names.
#
# usage: callgrind.sh [--update]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
table=$here/callgrind.tsv
few=1000
many=11000

cd "$here/.."
cargo build --release --quiet --package archipelago-bench --bin counts
counts=${CARGO_TARGET_DIR:-target}/release/counts
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# All instructions of one run.
total() {
    valgrind --tool=callgrind --callgrind-out-file="$scratch/out" "$counts" "$1" "$2" >"$scratch/log" 2>&1 || {
        cat "$scratch/log" >&2
        return 1
    }
    sed -n 's/^summary: //p; s/^totals: //p' "$scratch/out" | tail -n 1
}

# The difference between many and few leaves start and end out.
for name in $("$counts" --list); do
    less=$(total "$name" $few)
    more=$(total "$name" $many)
    awk -v name="$name" -v less="$less" -v more="$more" -v rounds=$((many - few)) \
        'BEGIN { printf "%s\t%.1f\n", name, (more - less) / rounds }'
done >"$scratch/now"

if [ "${1:-}" = --update ]; then
    cp "$scratch/now" "$table"
    cat "$table"
    exit
fi

awk -F '\t' '
    NR == FNR { expected[$1] = $2; next }
    {
        known = ($1 in expected)
        change = known ? ($2 / expected[$1] - 1) * 100 : 0
        verdict = !known ? "new" : (change > 5 || change < -5) ? "changed" : "same"
        printf "%s\t%s\t%s\t%+.1f %%\t%s\n", $1, $2, known ? expected[$1] : "-", change, verdict
        if (verdict != "same") failed = 1
        delete expected[$1]
    }
    END {
        for (name in expected) { printf "%s\t-\t%s\t-\tgone\n", name, expected[name]; failed = 1 }
        exit failed
    }
' "$table" "$scratch/now"
