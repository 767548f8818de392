#!/bin/sh
# Installs Chromium for the tests with the system's package manager, unless the script finds a browser.
#
# The script asks no questions and prints what it does. If it cannot install Chromium, it says so, and the
# tests that need it are skipped. If HUBFERRY_REQUIRE_BROWSER is set, the script fails instead. If the
# program is in an unusual place, set CHROMIUM to its path.
set -eu

# Succeeds if the tests will find a browser. They look in the same places.
find_browser() {
    if [ -n "${CHROMIUM:-}" ]; then
        runs "$CHROMIUM"
        return
    fi
    for name in chromium chromium-browser google-chrome-stable google-chrome chrome; do
        old_ifs=$IFS
        IFS=:
        # Without quotes, the shell splits the search path. That is intended.
        # shellcheck disable=SC2086
        set -- $PATH
        IFS=$old_ifs
        for dir in "$@"; do
            if runs "$dir/$name"; then
                return 0
            fi
        done
    done
    runs "/Applications/Chromium.app/Contents/MacOS/Chromium" ||
        runs "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
}

# Rejects snaps. A snap has its own folder for temporary files, so it cannot see the tests' profile.
runs() {
    [ -f "$1" ] && [ -x "$1" ] || return 1
    case $(readlink -f "$1" 2>/dev/null || echo "$1") in
        /snap/* | */bin/snap) return 1 ;;
    esac
    ! head -c 4096 "$1" 2>/dev/null | grep -q -a '/snap/bin/'
}

# Ends the script without a browser.
without() {
    echo "$*" >&2
    if [ -n "${HUBFERRY_REQUIRE_BROWSER:-}" ]; then
        echo "HUBFERRY_REQUIRE_BROWSER is set, so this is a failure." >&2
        exit 1
    fi
    echo "Tests that need a browser will be skipped. All other tests run." >&2
    exit 0
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
        without "The installation needs root, and sudo is missing or would ask for a password. To install a browser, run: sudo $*"
    fi
}

install_browser() {
    if command -v apt-get >/dev/null 2>&1; then
        as_root apt-get update -q || return
        # Ubuntu's package only installs a snap.
        if ! apt-cache show --no-all-versions chromium 2>/dev/null | grep -q '^Depends:.*libc6'; then
            echo "This system has Chromium only as a snap, which the tests cannot use. Install Google Chrome." >&2
            return 1
        fi
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core
    elif command -v dnf >/dev/null 2>&1; then
        as_root dnf -q -y install chromium
    elif command -v apk >/dev/null 2>&1; then
        as_root apk add --no-progress chromium font-dejavu
    elif command -v brew >/dev/null 2>&1; then
        echo "+ brew install --cask chromium" >&2
        HOMEBREW_NO_AUTO_UPDATE=1 brew install -q --cask chromium
    else
        echo "This system has no apt-get, dnf, apk or brew. Install Chromium or Chrome yourself." >&2
        return 1
    fi
}

if find_browser; then
    exit 0
fi
if [ -n "${CHROMIUM:-}" ]; then
    echo "CHROMIUM is set to $CHROMIUM, which is not a program that the tests can run." >&2
    exit 1
fi
echo "No Chromium was found. Installing it for the tests." >&2
install_browser || without "Chromium could not be installed. Install Chromium or Chrome, or set CHROMIUM to its path."
find_browser || without "The package manager's Chromium is missing or a snap. Install Chrome, or set CHROMIUM to its path."
