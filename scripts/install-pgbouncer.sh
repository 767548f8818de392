#!/bin/sh
# Installs PgBouncer 1.21 or newer for the tests, unless the script finds it.
#
# Debian 12 has an older version, which does not support prepared statements in transaction mode. On such
# a system the script builds the source package of a newer Debian in target/. It does not change the
# system's package sources.
#
# The script asks no questions and prints what it does. If it cannot install PgBouncer, it says so, and
# the tests that need it are skipped. If HUBFERRY_REQUIRE_PGBOUNCER is set, the script fails instead. If
# the program is in an unusual place, set PGBOUNCER to its path.
set -eu
cd "$(dirname "$0")/.."
needs=PgBouncer require=HUBFERRY_REQUIRE_PGBOUNCER
. scripts/lib.sh
built=target/pgbouncer/pgbouncer

# Succeeds if `$1` is a PgBouncer that the tests can use.
fits() {
    "$1" --version 2>/dev/null | awk '
        /^PgBouncer / { split($2, v, "."); fits = v[1] > 1 || (v[1] == 1 && v[2] >= 21) }
        END { exit !fits }'
}

# Runs apt-get with the source packages of Debian 13 from this machine's mirror. Its files are in `$work`.
newer() {
    apt-get -q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/parts" \
        -o "Dir::State::lists=$work/lists" -o APT::Sandbox::User="$(id -un)" "$@"
}

build() {
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep '/debian/*$' | head -n 1)
    [ -n "$mirror" ] || return 1
    mkdir -p "$work/parts" "$work/lists/partial" "$(dirname "$built")"
    printf 'Types: deb-src\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' \
        "$mirror" /usr/share/keyrings/debian-archive-keyring.gpg >"$work/parts/newer.sources"
    newer update || return 1
    (cd "$work" && newer source --download-only pgbouncer && tar xzf pgbouncer_*.orig.tar.gz) || return 1
    if ! { command -v cc && command -v make && pkg-config --exists libevent openssl; } >/dev/null 2>&1; then
        apt_install gcc make pkg-config libevent-dev libssl-dev || return 1
    fi
    (cd "$work"/pgbouncer-*/ && ./configure --without-cares >/dev/null && make -j2 pgbouncer >/dev/null) &&
        cp "$work"/pgbouncer-*/pgbouncer "$built"
}

for program in "${PGBOUNCER:-pgbouncer}" "$built"; do
    if fits "$program"; then
        exit 0
    fi
    if [ -n "${PGBOUNCER:-}" ]; then
        echo "PGBOUNCER is set to $PGBOUNCER, which is not PgBouncer 1.21 or newer." >&2
        exit 1
    fi
done
echo "PgBouncer 1.21 or newer was not found. Installing it for the tests." >&2
command -v apt-get >/dev/null 2>&1 || without "This system has no apt-get. Install PgBouncer yourself."
as_root apt-get update -q || without "apt-get could not fetch the package lists."
candidate=$(apt-cache policy pgbouncer | awk '$1 == "Candidate:" && $2 ~ /^[0-9]/ { print $2 }')
if dpkg --compare-versions "${candidate:-0}" ge 1.21; then
    apt_install pgbouncer || without "PgBouncer could not be installed."
    fits pgbouncer || without "PgBouncer was installed but does not run."
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    build || without "PgBouncer could not be built."
    fits "$built" || without "PgBouncer was built but does not run."
fi
