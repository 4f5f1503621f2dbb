#!/usr/bin/env bash
# Installs the servers that Sealdav is measured beside, and what measures; `make bench` calls it after
# tests/services/install.sh, which brings rclone and curl. Does nothing when all is there.
#
# Debian packages come through apt. What is built goes into a cache outside the tree. A peer that cannot be had is no
# error: why is written where benchmarks/peers.py finds it, and stands in the table.
set -euo pipefail
cd "$(dirname "$0")"

# The Go command checks the source and every dependency against the Go checksum database before it builds, so the
# version number pins the content.
SFTPGO_MODULE=github.com/drakkan/sftpgo/v2
SFTPGO_VERSION=v2.6.6
SFTPGO_GO=go1.26.8
# Accounts in memory, files in a local folder: nothing else is measured.
SFTPGO_TAGS=nogcs,nos3,noazblob,nobolt,nomysql,nopgsql,nosqlite,nometrics

# program:package
PROGRAMS=(fusermount3:fuse3 gocryptfs:gocryptfs nginx:nginx-light wrk:wrk)
NGINX_DAV_EXT=/usr/lib/nginx/modules/ngx_http_dav_ext_module.so # PROPFIND

CACHE=${SEALDAV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sealdav}
PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin

. ../tests/services/apt.sh
. ../tests/services/go.sh

missing=()
for entry in "${PROGRAMS[@]}"; do
    command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
[ -e "$NGINX_DAV_EXT" ] || missing+=(libnginx-mod-http-dav-ext)
if [ ${#missing[@]} != 0 ]; then
    apt_install "${missing[@]}"
    # Debian starts what it installs, and nobody asked for a web server on this machine.
    if [[ " ${missing[*]} " == *" nginx-light "* && -d /run/systemd/system ]]; then
        sudo=()
        [ "$(id -u)" = 0 ] || sudo=(sudo -n)
        "${sudo[@]}" systemctl disable --quiet --now nginx
    fi
fi

mkdir -p "$CACHE/bin"
sftpgo=$CACHE/bin/sftpgo
because=$CACHE/bin/sftpgo.missing
build_sftpgo() {
    command -v go >/dev/null || apt_install golang-go ca-certificates
    use_recent_go "$SFTPGO_GO"
    local said
    if ! said=$(cd / && go mod download "$SFTPGO_MODULE@$SFTPGO_VERSION" 2>&1); then
        echo "its Go module $SFTPGO_VERSION cannot be had: ${said##*: }" | tr '\n\t' '  ' >"$because"
        return 0
    fi
    echo "Building SFTPGo $SFTPGO_VERSION into $CACHE/bin (a few minutes, once)"
    # Its module replaces others, which Go allows only where it is built as the main one: in a copy.
    local work
    work=$(mktemp --directory)
    cp --recursive --no-preserve=mode "$(go env GOMODCACHE)/$SFTPGO_MODULE@$SFTPGO_VERSION/." "$work"
    if said=$(cd "$work" && CGO_ENABLED=0 go build -trimpath -tags "$SFTPGO_TAGS" -ldflags=-s -o "$sftpgo" . 2>&1); then
        echo "$SFTPGO_VERSION" >"$sftpgo.version"
        rm -f "$because"
    else
        echo "it could not be built: $(tail -n 1 <<<"$said")" >"$because"
    fi
    rm -rf "$work"
}
[ -x "$sftpgo" ] && [ "$(cat "$sftpgo.version" 2>/dev/null)" = "$SFTPGO_VERSION" ] || build_sftpgo

tools=$CACHE/bench-tools
if ! cmp --silent requirements.txt "$tools/requirements.txt"; then
    rm -rf "$tools"
    "${PYTHON:-../.venv/bin/python}" -m pip --disable-pip-version-check --quiet install \
        --no-deps --require-hashes --requirement requirements.txt --target "$tools"
    cp requirements.txt "$tools/requirements.txt"
fi
