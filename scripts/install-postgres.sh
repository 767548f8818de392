#!/bin/sh
# Installs a PostgreSQL server (14 or newer) with the system's package manager, unless the script finds
# one.
#
# The script asks no questions and prints what it does. hubferry needs only the server's programs: it
# starts a private cluster, and does not touch the cluster that some packages create. If the programs are
# in an unusual place, set PG_BIN_DIR to their directory.
set -eu

oldest=14

# Sets `found` to the directory of the first installation that is new enough. Fails if there is none.
find_server() {
    if [ -n "${PG_BIN_DIR:-}" ]; then
        new_enough "$PG_BIN_DIR"
        return
    fi
    old_ifs=$IFS
    IFS=:
    # Without quotes, the shell splits the search path. That is intended.
    # shellcheck disable=SC2086
    set -- $PATH
    IFS=$old_ifs
    for dir in "$@" \
        /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* /usr/bin \
        /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
        /home/linuxbrew/.linuxbrew/opt/postgresql*/bin \
        /Applications/Postgres.app/Contents/Versions/*/bin /usr/local/pgsql/bin; do
        if new_enough "$dir"; then
            return 0
        fi
    done
    return 1
}

new_enough() {
    for program in initdb pg_ctl postgres; do
        [ -x "$1/$program" ] || return 1
    done
    major=$("$1/postgres" --version 2>/dev/null | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p')
    [ -n "$major" ] && [ "$major" -ge "$oldest" ] && found=$1
}

# Runs a command as root. It never asks for a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        echo "+ $*" >&2
        "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        echo "+ sudo $*" >&2
        sudo -n "$@"
    else
        echo "The installation needs root, and sudo is missing or would ask for a password. Run:" >&2
        echo "    sudo $*" >&2
        exit 1
    fi
}

install_server() {
    if command -v apt-get >/dev/null 2>&1; then
        as_root apt-get update -q
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends postgresql
    elif command -v dnf >/dev/null 2>&1; then
        # Some systems have a default version older than 14. Other systems do not have this module.
        as_root dnf -q -y module enable postgresql:16 || true
        as_root dnf -q -y install postgresql-server
    elif command -v apk >/dev/null 2>&1; then
        as_root apk add --no-progress postgresql
    elif command -v brew >/dev/null 2>&1; then
        echo "+ brew install postgresql@17" >&2
        HOMEBREW_NO_AUTO_UPDATE=1 brew install -q postgresql@17
    else
        echo "This system has no apt-get, dnf, apk or brew. Install PostgreSQL $oldest or newer yourself," >&2
        echo "or set PG_BIN_DIR to the directory of its programs." >&2
        exit 1
    fi
}

found=
if find_server; then
    exit 0
fi
if [ -n "${PG_BIN_DIR:-}" ]; then
    echo "PG_BIN_DIR is set to $PG_BIN_DIR, which lacks initdb, pg_ctl or postgres of version $oldest or newer." >&2
    exit 1
fi
echo "No PostgreSQL server of version $oldest or newer was found. Installing one." >&2
install_server
if ! find_server; then
    echo "The package manager's PostgreSQL is missing or older than $oldest." >&2
    echo "Install a newer one, or set PG_BIN_DIR to the directory of its programs." >&2
    exit 1
fi
echo "The programs of PostgreSQL are in $found." >&2
