# Functions for the scripts that install what a test needs. A script sets two variables, then sources this
# file: `needs` is the name of the program, and `require` is the variable that makes its absence a failure.

# Ends the script without the program.
without() {
    echo "$*" >&2
    eval "required=\${$require:-}"
    if [ -n "$required" ]; then
        echo "$require is set, so this is a failure." >&2
        exit 1
    fi
    echo "Tests that need $needs will be skipped. All other tests run." >&2
    exit 0
}

# Runs a command as root. It never asks for a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        echo "+ $*" >&2
        "$@" >&2
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        echo "+ sudo $*" >&2
        sudo -n "$@" >&2
    else
        without "The installation needs root, and sudo is missing or would ask for a password. Run: sudo $*"
    fi
}

# Installs Debian packages.
apt_install() {
    command -v apt-get >/dev/null 2>&1 || without "This system has no apt-get. Install $needs yourself."
    as_root apt-get update -q || without "apt-get could not fetch the package lists."
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}
