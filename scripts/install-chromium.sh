#!/bin/sh
# Installs Chromium for the tests with the system's package manager, where no such browser is found.
#
# Asks nothing and says what it does. Where it cannot be installed it says so, and the tests that
# need it are skipped; with HUBFERRY_REQUIRE_BROWSER set that is a failure.
# CHROMIUM names the programme where it is kept elsewhere.
set -eu

# Says whether the tests will find a browser. They look in the same places.
find_browser() {
    if [ -n "${CHROMIUM:-}" ]; then
        runs "$CHROMIUM"
        return
    fi
    for name in chromium chromium-browser google-chrome-stable google-chrome chrome; do
        old_ifs=$IFS
        IFS=:
        # The search path's words are split on purpose.
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

# A snap has a folder for temporary files of its own, and could not see the tests' profile.
runs() {
    [ -f "$1" ] && [ -x "$1" ] || return 1
    case $(readlink -f "$1" 2>/dev/null || echo "$1") in
        /snap/* | */bin/snap) return 1 ;;
    esac
    ! head -c 4096 "$1" 2>/dev/null | grep -q -a '/snap/bin/'
}

# Ends without a browser.
without() {
    echo "$*" >&2
    if [ -n "${HUBFERRY_REQUIRE_BROWSER:-}" ]; then
        echo "HUBFERRY_REQUIRE_BROWSER is set: this is a failure." >&2
        exit 1
    fi
    echo "The tests that need a browser will be skipped; all others run." >&2
    exit 0
}

# Runs a command as root, without ever asking for a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        echo "+ $*" >&2
        "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        echo "+ sudo $*" >&2
        sudo -n "$@"
    else
        without "Installing needs root, and sudo is missing or would ask for a password. To have a browser, run: sudo $*"
    fi
}

install_browser() {
    if command -v apt-get >/dev/null 2>&1; then
        as_root apt-get update -q || return
        # Ubuntu's package is nothing but a snap.
        if ! apt-cache show --no-all-versions chromium 2>/dev/null | grep -q '^Depends:.*libc6'; then
            echo "This system has Chromium as a snap only, which the tests cannot use: install Google Chrome." >&2
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
        echo "No apt-get, dnf, apk or brew here: install Chromium or Chrome by hand." >&2
        return 1
    fi
}

if find_browser; then
    exit 0
fi
if [ -n "${CHROMIUM:-}" ]; then
    echo "CHROMIUM is $CHROMIUM, which is no programme that the tests can run." >&2
    exit 1
fi
echo "No Chromium on this machine: installing one for the tests." >&2
install_browser || without "Chromium could not be installed: install it or Chrome, or name one in CHROMIUM."
find_browser || without "The package manager's Chromium is missing or a snap: install Chrome, or name one in CHROMIUM."
