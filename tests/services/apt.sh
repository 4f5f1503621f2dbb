# Debian packages for the tests; sourced by the scripts of this folder, never run.

# In CI everything must be there. Elsewhere the tests that need a missing program are skipped, and say so.
give_up() {
    echo "${0##*/}: $1" >&2
    [ "${CI:-}" != true ] || exit 1
    exit 0
}

# Through apt, as root or with a password-free sudo.
apt_install() {
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    command -v apt-get >/dev/null || give_up "no apt-get here; install by hand: $*"
    "${sudo[@]}" true 2>/dev/null || give_up "not root and no password-free sudo; run: apt-get install $*"
    echo "Installing Debian packages: $*"
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install --yes --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >/dev/null
}
