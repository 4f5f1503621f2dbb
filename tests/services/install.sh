#!/usr/bin/env bash
# Installs the real clients and tools that the tests drive; `make test` calls it. Does nothing when all are there.
# Debian packages come through apt (root or password-free sudo); rclone is built once into a cache outside the tree.
set -euo pipefail

# Debian's rclone is years old, and people run a current one. The Go command checks the source and every dependency
# against the Go checksum database before it builds, so the version number pins the content.
RCLONE_VERSION=v1.76.0
RCLONE_GO=go1.26.8 # The Go to build it with, unless the machine has a newer one.

# program:package
PROGRAMS=(cadaver:cadaver chromium:chromium curl:curl fusermount3:fuse3 git:git litmus:litmus mount.davfs:davfs2 strace:strace
    systemd-analyze:systemd unzip:unzip vim:vim)

CACHE=${SEALDAV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sealdav}
PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin

. "$(dirname "$0")/apt.sh"
. "$(dirname "$0")/go.sh"

missing=()
for entry in "${PROGRAMS[@]}"; do
    command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
[ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"

rclone=$CACHE/bin/rclone
if [ "$("$rclone" version 2>/dev/null | head -n 1)" != "rclone $RCLONE_VERSION-DEV" ]; then
    command -v go >/dev/null || apt_install golang-go ca-certificates
    use_recent_go "$RCLONE_GO"
    echo "Building rclone $RCLONE_VERSION into $CACHE/bin (a few minutes, once)"
    mkdir -p "$CACHE/bin"
    GOBIN=$CACHE/bin CGO_ENABLED=0 go install -trimpath -ldflags=-s \
        "github.com/rclone/rclone@$RCLONE_VERSION" 2> >(grep --invert-match '^go: downloading' >&2)
fi

"$(dirname "$0")/keycloak.sh"
