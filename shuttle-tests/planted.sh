#!/bin/sh
# Plants the bugs that Shuttle's models have to reject (loom-tests/planted.sh): shuttle-tests/planted.sh [PREFIX].
set -eu
export CHECKER=shuttle ARCHIPELAGO_SHUTTLE_SCHEDULES="${ARCHIPELAGO_SHUTTLE_SCHEDULES:-1000}"
exec "$(dirname "$0")/../loom-tests/planted.sh" "$@"
