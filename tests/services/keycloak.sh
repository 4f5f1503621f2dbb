#!/usr/bin/env bash
# Makes a real Keycloak ready to be started by tests/services/keycloak.py: fetched once through Maven, checked, built,
# with a database that already has its tables, in a cache outside the tree. Does nothing when it is there.
# Called by install.sh and by `make keycloak`. Prints only what takes long.
set -euo pipefail

KEYCLOAK_VERSION=26.7.3
KEYCLOAK_SHA256=27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f
READY_SECONDS=240 # A first start on a busy machine was seen to take 76.

. "$(dirname "$0")/apt.sh"
CACHE=${SEALDAV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sealdav}
home=$CACHE/keycloak-$KEYCLOAK_VERSION

# What another edition of this recipe has built is built anew: the stamp is this script's own checksum.
stamp=$(sha256sum <"$0")
is_ready() { [ "$(cat "$home/ready" 2>/dev/null)" = "$stamp" ]; }

missing=()
command -v java >/dev/null || missing+=(default-jre-headless)
command -v mvn >/dev/null || missing+=(maven)
command -v curl >/dev/null || missing+=(curl)
! is_ready || [ ${#missing[@]} != 0 ] || exit 0
[ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"

mkdir -p "$CACHE"
exec 9>"$CACHE/keycloak.lock"
flock 9
! is_ready || exit 0

# Beside its final place, so that one rename publishes it.
work=$(mktemp --directory "$CACHE/keycloak.XXXXXX")
server=
trap '[ -z "$server" ] || kill -KILL -- -"$server" 2>/dev/null || true; rm -rf "$work"' EXIT

fail() {
    cat "$work/log" >&2
    exit 1
}

echo "Fetching Keycloak $KEYCLOAK_VERSION (177 MB, once)"
mvn --batch-mode --quiet dependency:copy -Dmdep.useBaseVersion=true -DoutputDirectory="$work" \
    -Dartifact="org.keycloak:keycloak-quarkus-dist:$KEYCLOAK_VERSION:zip" >"$work/log" 2>&1 || fail
archive=$work/keycloak-quarkus-dist-$KEYCLOAK_VERSION.zip
echo "$KEYCLOAK_SHA256  $archive" | sha256sum --check --quiet
python3 -m zipfile -e "$archive" "$work"
rm "$archive"
built=$work/keycloak-$KEYCLOAK_VERSION
chmod +x "$built/bin/kc.sh" # zipfile leaves the right to run behind

echo "Building Keycloak into $home (a minute, once)"
while read -r name; do unset "$name"; done < <(compgen -e | grep -E '^(KC_|KEYCLOAK_|JAVA_OPTS)')
export JAVA_OPTS_KC_HEAP="-Xms64m -Xmx256m"
export JAVA_OPTS_APPEND="-XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC"
"$built/bin/kc.sh" build --db=dev-file --health-enabled=true >"$work/log" 2>&1 || fail

# One start makes the tables and the first administrator; later starts copy that database.
read -r port health < <(python3 -c 'import socket
both = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in both))')
umask 077
head --bytes=18 /dev/urandom | base64 >"$built/password"
KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=$(cat "$built/password") \
    setsid "$built/bin/kc.sh" start --optimized --cache=local --http-enabled=true --http-host=127.0.0.1 \
    --http-port="$port" --http-management-port="$health" --hostname="http://127.0.0.1:$port" >"$work/log" 2>&1 9>&- &
server=$!
for ((waited = 0; ; waited++)); do
    ! curl --silent --fail --output /dev/null "http://127.0.0.1:$health/health/ready" || break
    kill -0 "$server" && [ "$waited" -lt "$READY_SECONDS" ] || fail
    sleep 1
done
kill -TERM "$server"
wait "$server" || true
server=

rm -rf "$built/data/tmp" "$home"
echo "$stamp" >"$built/ready"
mv "$built" "$home"
