#!/bin/sh
# Installs Schemathesis for a test, in an environment of its own under target/, where none is found.
#
# Asks nothing and says what it does. Where it cannot be installed it says so, and the test that
# needs it is skipped; with HUBFERRY_REQUIRE_SCHEMATHESIS set that is a failure.
# SCHEMATHESIS names the programme where it is kept elsewhere.
set -eu
cd "$(dirname "$0")/.."
needs=Schemathesis require=HUBFERRY_REQUIRE_SCHEMATHESIS
. scripts/lib.sh
home=target/schemathesis
version=4.32.5

for program in "${SCHEMATHESIS:-schemathesis}" "$home/bin/schemathesis"; do
    if "$program" --version >/dev/null 2>&1; then
        exit 0
    fi
done
echo "No Schemathesis on this machine: installing $version in $home." >&2
command -v python3 >/dev/null 2>&1 || without "It needs Python 3, which is not here."
if ! python3 -m venv "$home" >/dev/null 2>&1; then
    # Debian keeps the module in a package of its own.
    apt_install python3-venv || without "python3-venv could not be installed."
    python3 -m venv "$home" >&2 || without "Python's venv does not work here."
fi
"$home/bin/pip" install -q --disable-pip-version-check "schemathesis==$version" >&2 ||
    without "It could not be installed."
