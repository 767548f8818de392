#!/bin/sh
# Installs libfaketime for a test with wrong clocks, unless the script finds the library.
#
# The script asks no questions and prints what it does. If it cannot install libfaketime, it says so, and
# the test is skipped. If HUBFERRY_REQUIRE_FAKETIME is set, the script fails instead. If the library is in
# an unusual place, set FAKETIME_LIB to its path.
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
echo "No libfaketime was found. Installing it for a test." >&2
apt_install libfaketime || without "libfaketime could not be installed."
there || without "libfaketime was installed, but the library is not in any of the usual places."
