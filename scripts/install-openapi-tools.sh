#!/bin/sh
# Installs a linter and two client generators in target/openapi for the test of the OpenAPI document,
# unless they are already there.
#
# The script asks no questions and prints what it does. If it cannot install them, it says so, and the
# test that needs them is skipped. If HUBFERRY_REQUIRE_OPENAPI is set, the script fails instead.
set -eu
cd "$(dirname "$0")/.."
needs='the OpenAPI tools' require=HUBFERRY_REQUIRE_OPENAPI
. scripts/lib.sh
home=target/openapi
wanted='redocly 1.34.5, openapi-typescript 7.9.1, typescript 5.9.2, openapi-python-client 0.26.0'

if [ "$(cat "$home/installed" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
echo "Installing a linter and client generators in $home: $wanted." >&2
mkdir -p "$home"
if ! command -v npm >/dev/null 2>&1; then
    apt_install nodejs npm || without "The OpenAPI tools need Node.js and npm, which could not be installed."
fi
npm install --silent --no-audit --no-fund --no-update-notifier --ignore-scripts --prefix "$home" \
    @redocly/cli@1.34.5 openapi-typescript@7.9.1 typescript@5.9.2 >&2 ||
    without "npm could not install the OpenAPI tools."
command -v python3 >/dev/null 2>&1 || without "The OpenAPI tools need Python 3, which is not installed."
if ! python3 -m venv "$home/python" >/dev/null 2>&1; then
    # Debian has a separate package for this module.
    apt_install python3-venv || without "python3-venv could not be installed."
    python3 -m venv "$home/python" >&2 || without "Python's venv does not work on this machine."
fi
"$home/python/bin/pip" install -q --disable-pip-version-check openapi-python-client==0.26.0 >&2 ||
    without "pip could not install openapi-python-client."
echo "$wanted" >"$home/installed"
