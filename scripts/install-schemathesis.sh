#!/bin/sh
# Installs Schemathesis for a test, in a separate Python environment in target/, unless the script finds
# it.
#
# The script asks no questions and prints what it does. If it cannot install Schemathesis, it says so, and
# the test that needs it is skipped. If HUBFERRY_REQUIRE_SCHEMATHESIS is set, the script fails instead. If
# the program is in an unusual place, set SCHEMATHESIS to its path.
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
echo "No Schemathesis was found. Installing version $version in $home." >&2
command -v python3 >/dev/null 2>&1 || without "Schemathesis needs Python 3, which is not installed."
if ! python3 -m venv "$home" >/dev/null 2>&1; then
    # Debian has a separate package for this module.
    apt_install python3-venv || without "python3-venv could not be installed."
    python3 -m venv "$home" >&2 || without "Python's venv does not work on this machine."
fi
"$home/bin/pip" install -q --disable-pip-version-check "schemathesis==$version" >&2 ||
    without "Schemathesis could not be installed."
