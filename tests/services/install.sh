#!/usr/bin/env bash
# Installs the real clients and tools that the tests drive; `make test` calls it. Does nothing when all are there.
# Debian packages come through apt (root or password-free sudo); rclone is built once into a cache outside the tree.
set -euo pipefail

# Debian's rclone is years old, and people run a current one. The Go command checks the source and every dependency
# against the Go checksum database before it builds, so the version number pins the content.
RCLONE_VERSION=v1.76.0

# program:package
PROGRAMS=(cadaver:cadaver curl:curl fusermount3:fuse3 git:git litmus:litmus mount.davfs:davfs2 strace:strace
    systemd-analyze:systemd)

CACHE=${SEALDAV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sealdav}
PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin

# In CI everything must be there. Elsewhere the tests that need a missing program are skipped, and say so.
give_up() {
    echo "install.sh: $1" >&2
    [ "${CI:-}" != true ] || exit 1
    exit 0
}

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

missing=()
for entry in "${PROGRAMS[@]}"; do
    command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
[ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"

rclone=$CACHE/bin/rclone
if [ "$("$rclone" version 2>/dev/null | head -n 1)" != "rclone $RCLONE_VERSION-DEV" ]; then
    command -v go >/dev/null || apt_install golang-go ca-certificates
    echo "Building rclone $RCLONE_VERSION into $CACHE/bin (a few minutes, once)"
    mkdir -p "$CACHE/bin"
    GOBIN=$CACHE/bin CGO_ENABLED=0 go install -trimpath -ldflags=-s \
        "github.com/rclone/rclone@$RCLONE_VERSION" 2> >(grep --invert-match '^go: downloading' >&2)
fi
