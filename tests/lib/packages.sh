#!/bin/sh
# Installs the Debian packages that are missing, and starts no service with them.
#
#   sh tests/lib/packages.sh NAME...
#
# A NAME is a package, or one of the lists below: build (to build herald), test (to test it), long
# (to test it for long), broker (a RabbitMQ server for examples).
set -eu

packages_build() {
    echo gcc libc6-dev make cmake pkg-config libcurl4-openssl-dev liblua5.4-dev lua5.4 libmicrohttpd-dev librabbitmq-dev \
        libssl-dev libsqlite3-dev libuv1-dev libyajl-dev lua-argparse sqlite3 zlib1g-dev
}

# libgcc-12-dev, which gcc brings, holds the sanitizers' libraries.
packages_test() {
    packages_build
    packages_broker
    echo libcmocka-dev lua-busted lua-check lua-filesystem clang clang-format clang-tidy git mandoc \
        openssl prometheus python3 python3-pika procps
}

packages_long() {
    echo valgrind gcovr
}

packages_broker() {
    echo rabbitmq-server
}

expand() {
    for name in "$@"; do
        case $name in
        build | test | long | broker) "packages_$name" ;;
        -*) echo "packages.sh: not a package: $name" >&2 && return 1 ;;
        *) echo "$name" ;;
        esac
    done
}

# Prints those of its arguments that are not installed.
missing_of() {
    for name in "$@"; do
        status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null) || status=
        case $status in
        ii* | hi*) ;;
        *) printf ' %s' "$name" ;;
        esac
    done
}

# invoke-rc.d asks this file before a package starts its service.
POLICY=/usr/sbin/policy-rc.d
made_policy=no

forbid_services() {
    trap 'tidy; exit 130' INT
    trap 'tidy; exit 143' TERM
    trap 'tidy; exit 129' HUP
    trap tidy EXIT
    [ ! -e "$POLICY" ] && [ ! -L "$POLICY" ] || return 0
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$POLICY" && chmod 755 "$POLICY"
}

tidy() {
    [ "$made_policy" = no ] || rm -f "$POLICY"
    rm -f "$apt_log"
}

# What apt says is read only when it fails.
apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >"$apt_log" 2>&1 || {
        cat "$apt_log" >&2
        return 1
    }
}

install_as_root() {
    apt_log=$(mktemp) && forbid_services && apt_get update &&
        apt_get -y install --no-install-recommends "$@"
}

explain() {
    echo "packages.sh: could not install them; as root, run:" >&2
    echo "    apt-get update && apt-get install --no-install-recommends$missing" >&2
    exit 1
}

[ $# -gt 0 ] || {
    echo "usage: packages.sh NAME..." >&2
    exit 2
}
wanted=$(expand "$@")
command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 || {
    echo "packages.sh: this system has no apt-get; install what these Debian packages hold:" >&2
    echo "   " $wanted >&2
    exit 1
}
missing=$(missing_of $wanted)
if [ -z "$missing" ]; then
    echo "packages: all there"
elif [ "$(id -u)" = 0 ]; then
    echo "packages: installing with apt-get:$missing"
    install_as_root $missing || explain
elif command -v sudo >/dev/null 2>&1; then
    echo "packages: installing with sudo apt-get:$missing"
    sudo sh "$0" $missing || explain
else
    explain
fi
