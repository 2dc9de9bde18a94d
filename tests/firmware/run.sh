#!/usr/bin/env bash
# Builds the images, runs them under QEMU, and checks exit status and figures. The images that must fail are run too.
set -uo pipefail
cd "$(dirname "$0")"
out="${CARGO_TARGET_DIR:-$PWD/target}/images"
limit="${FIRMWARE_TIME_LIMIT:-120}"
passed=0 failed=0
log="$(mktemp -d)"
trap 'rm -rf "$log"' EXIT

check() { # check WHAT COMMAND...
    local what="$1"
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
    fi
}

build() { # build BOARD TARGET PROFILE FEATURES
    BOARD="$1" cargo build --quiet --locked --target "$2" --profile "$3" --features "$4" --target-dir "$out"
}

image() { # image TARGET PROFILE NAME
    local folder="$2"
    [ "$folder" = dev ] && folder=debug
    echo "$out/$1/$folder/$3"
}

# Instructions are counted instead of timed, and sleeping takes no time, so that a run can be repeated to the last
# figure.
emulate() { # emulate BOARD IMAGE LOG [LIMIT]
    (
        timeout "${4:-$limit}" qemu-system-arm -M "$1" -nographic -icount shift=6,sleep=off \
            -semihosting-config enable=on,target=native -kernel "$2" >"$3" 2>"$3.err" </dev/null
        exit $?
    ) 2>/dev/null
}

has() { # has TIMES LINE FILE
    [ "$(grep -cxF -- "$2" "$3")" = "$1" ]
}

# Both rounds of an image must print these.
figures=(
    "own: 1000 + 1000 slices, main's GIL switched 0, interpreters 0 + 0"
    "shared: 1000 + 1000 slices, main's GIL switched 2000, interpreters 1000 + 1000"
    "entered: 1000 + 1000 slices, main's GIL switched 4001, interpreters 1000 + 1000"
)

must_pass() { # must_pass BOARD TARGET PROFILE FEATURES
    local name="$1 $3 ${4:-plain}" line
    echo "== $name"
    build "$@" || { check "$name: build" false; return; }
    local elf
    elf="$(image "$2" "$3" archipelago-firmware)"
    emulate "$1" "$elf" "$log/first"
    check "$name: exit status $?, wanted 0" [ $? -eq 0 ]
    check "$name: last line" [ "$(tail -n 1 "$log/first")" = PASS ]
    for line in "${figures[@]}"; do
        check "$name: twice '$line'" has 2 "$line" "$log/first"
    done
    emulate "$1" "$elf" "$log/second"
    check "$name: a second run prints the same" cmp -s "$log/first" "$log/second"
    grep -E '^(handler|memory|stack|deadline|instructions)|pending' "$log/first" | sort -u | sed 's/^/   /'
    grep -vE '^(Timer with period zero|PASS)' "$log/first.err" | sed 's/^/   stderr: /'
    if command -v llvm-size >/dev/null; then
        llvm-size "$elf" | awk 'NR == 2 { print "   image: text " $1 ", data " $2 ", bss " $3 }'
    fi
}

must_fail() { # must_fail STATUS FEATURE TEXT [LIMIT]: STATUS may be "any", but for 0
    local name="control-$2" status
    build lm3s6965evb thumbv7m-none-eabi release "$name" || { check "$name: build" false; return; }
    emulate lm3s6965evb "$(image thumbv7m-none-eabi release archipelago-firmware)" "$log/control" "${4:-$limit}"
    status=$?
    echo "== $name: exit status $status"
    if [ "$1" = any ]; then
        check "$name: exit status $status, wanted another" [ "$status" -ne 0 ]
    else
        check "$name: exit status $status, wanted $1" [ "$status" -eq "$1" ]
    fi
    check "$name: '$3'" grep -qF -- "$3" "$log/control" "$log/control.err"
    check "$name: does not say PASS" [ "$(grep -cx PASS "$log/control")" = 0 ]
}

must_pass lm3s6965evb thumbv7m-none-eabi release ""
must_pass lm3s6965evb thumbv7m-none-eabi release spin
must_pass lm3s6965evb thumbv7m-none-eabi dev ""
must_pass lm3s6965evb thumbv7m-none-eabi dev spin
# Also the proof that kernel and slab link without a global allocator: tests/checks.sh sees that no crate of it has one.
must_pass mps2-an386 thumbv7em-none-eabihf release ""
must_pass microbit thumbv6m-none-eabi release no-cas
must_pass microbit thumbv6m-none-eabi release no-cas,pools

must_fail 101 lost-call "calls run as often as they were added"
must_fail 101 missed-slice "assertion"
must_fail 101 leak "takes no more memory"
must_fail 101 blind "a handler is answered InInterrupt"
must_fail 102 hard-fault "HARD FAULT"
# The dead stack takes no handler: QEMU gives up, with a status that depends on its version.
must_fail any stack-overflow "Lockup"
must_fail 124 hang "" 20

for name in floor size; do
    elf="$(image thumbv7m-none-eabi release $name)"
    build lm3s6965evb thumbv7m-none-eabi release "" && emulate lm3s6965evb "$elf" "$log/$name"
    check "$name: exit status $?, wanted 0" [ $? -eq 0 ]
    if command -v llvm-size >/dev/null; then
        llvm-size "$elf" | awk -v name="$name" 'NR == 2 { print "== " name ": text " $1 ", data " $2 ", bss " $3 }'
    fi
done

echo "firmware: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
