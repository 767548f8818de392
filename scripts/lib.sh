# For the scripts that get what a test needs. Sourced, with `needs` set to what is got and `require`
# to the variable that makes its absence a failure.

# Ends without it.
without() {
    echo "$*" >&2
    eval "required=\${$require:-}"
    if [ -n "$required" ]; then
        echo "$require is set: this is a failure." >&2
        exit 1
    fi
    echo "The tests that need $needs will be skipped; all others run." >&2
    exit 0
}

# Runs a command as root, without ever asking for a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        echo "+ $*" >&2
        "$@" >&2
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        echo "+ sudo $*" >&2
        sudo -n "$@" >&2
    else
        without "Installing needs root, and sudo is missing or would ask for a password: run sudo $*"
    fi
}

# Installs Debian packages.
apt_install() {
    command -v apt-get >/dev/null 2>&1 || without "No apt-get here: install $needs by hand."
    as_root apt-get update -q || without "The package lists could not be fetched."
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}
