#!/bin/sh
# Provides a PgBouncer of version 1.21 or newer for the tests, where none is found.
#
# Debian 12 has an older one, which knows no prepared statements in transaction mode: there the
# source package of a newer Debian is built in target/, without touching the system's own sources.
# Asks nothing and says what it does. Where it cannot be had it says so, and the tests that need it
# are skipped; with HUBFERRY_REQUIRE_PGBOUNCER set that is a failure.
# PGBOUNCER names the programme where it is kept elsewhere.
set -eu
cd "$(dirname "$0")/.."
needs=PgBouncer require=HUBFERRY_REQUIRE_PGBOUNCER
. scripts/lib.sh
built=target/pgbouncer/pgbouncer

# Says whether `$1` is a PgBouncer that the tests can use.
fits() {
    "$1" --version 2>/dev/null | awk '
        /^PgBouncer / { split($2, v, "."); fits = v[1] > 1 || (v[1] == 1 && v[2] >= 21) }
        END { exit !fits }'
}

# apt-get with the source packages of Debian 13 from this machine's own mirror, kept in `$work`.
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
        echo "PGBOUNCER is $PGBOUNCER, which is no PgBouncer of version 1.21 or newer." >&2
        exit 1
    fi
done
echo "No PgBouncer of version 1.21 or newer on this machine: getting one for the tests." >&2
command -v apt-get >/dev/null 2>&1 || without "No apt-get here: install PgBouncer by hand."
as_root apt-get update -q || without "The package lists could not be fetched."
candidate=$(apt-cache policy pgbouncer | awk '$1 == "Candidate:" && $2 ~ /^[0-9]/ { print $2 }')
if dpkg --compare-versions "${candidate:-0}" ge 1.21; then
    apt_install pgbouncer || without "PgBouncer could not be installed."
    fits pgbouncer || without "PgBouncer is there and does not run."
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    build || without "PgBouncer could not be built."
    fits "$built" || without "PgBouncer was built and does not run."
fi
