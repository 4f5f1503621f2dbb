# Go programs for tests and benchmarks; sourced by the scripts that build one, never run.

# Debian's Go is older than these programs need. Go's own releases are modules, too: checked like any other, but
# unpacked without the right to be run. Takes the version to build with, unless the machine has a newer one.
use_recent_go() {
    [ "$(printf '%s\n' "$1" "$(go env GOVERSION)" | sort -V | head -n 1)" != "$1" ] || return 0
    local module
    module=golang.org/toolchain@v0.0.1-$1.$(go env GOOS)-$(go env GOARCH)
    echo "Fetching $1 to build with"
    (cd / && go mod download "$module")
    GOROOT=$(go env GOMODCACHE)/$module
    find "$GOROOT/bin" "$GOROOT/pkg/tool" -type f -exec chmod a+x {} +
    export GOROOT PATH="$GOROOT/bin:$PATH"
}
