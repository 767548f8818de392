#!/bin/sh
# Installs libfaketime for a test of wrong clocks, where none is found.
#
# Asks nothing and says what it does. Where it cannot be installed it says so, and the test is
# skipped; with HUBFERRY_REQUIRE_FAKETIME set that is a failure.
# FAKETIME_LIB names the library where it is kept elsewhere.
set -eu
needs=libfaketime require=HUBFERRY_REQUIRE_FAKETIME
. "$(dirname "$0")/lib.sh"

there() {
    for library in "${FAKETIME_LIB:-}" /usr/lib/*/faketime/libfaketime.so.1 /usr/lib*/faketime/libfaketime.so.1; do
        [ -f "$library" ] && return 0
    done
    return 1
}

there && exit 0
echo "No libfaketime on this machine: installing it for a test." >&2
apt_install libfaketime || without "It could not be installed."
there || without "It was installed and is not where it should be."
