#!/bin/sh
# Debian's package and the RPM: built, judged, installed, upgraded, removed. Root only.
#
#   sh tests/package/run.sh [DIR]
#
# Builds in build-package/, from the files as they are. Then lintian and rpmlint; and in clean roots
# that debootstrap makes (some 2 GiB, in DIR, which is kept, or in a folder of its own): plain.sh
# without systemd, service.sh with systemd as process 1, both from an older package to this one;
# container.sh plays the last stage of examples/container/Dockerfile.
# The last line is the sum. The RPM is not installed: Debian has no repository for that.
set -eu
cd "$(dirname "$0")/../.."

fail() {
    echo "run.sh: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "must be run as root"
suite=bookworm
made=
trap '[ -z "$made" ] || sh tests/lib/root.sh remove "$made"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ $# -gt 0 ]; then
    dir=$1
else
    made=$(mktemp -d "${TMPDIR:-/tmp}/herald-package.XXXXXX")
    dir=$made
fi
mkdir -p "$dir" build-package
dir=$(cd "$dir" && pwd)
build=$PWD/build-package

sh tests/lib/packages.sh build dpkg-dev fakeroot file lintian rpm rpmlint debootstrap
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

passed=0
failed=0
check() { # WHAT COMMAND...
    what=$1
    shift
    if "$@" >"$build/log" 2>&1; then
        passed=$((passed + 1))
        echo "run.sh: well: $what"
    else
        failed=$((failed + 1))
        cat "$build/log"
        echo "run.sh: FAILED: $what"
    fi
}

# package KIND SOURCE FOLDER: as distributions build
package() {
    env CFLAGS="$(dpkg-buildflags --get CFLAGS) $(dpkg-buildflags --get CPPFLAGS)" \
        LDFLAGS="$(dpkg-buildflags --get LDFLAGS) -Wl,-z,now" \
        cmake -S "$2" -B "$3" -DCMAKE_BUILD_TYPE=None -DCMAKE_INSTALL_PREFIX=/usr \
        -DHERALD_TESTS=OFF -DHERALD_PACKAGE="$1" \
        -DHERALD_ZSHDIR=share/zsh/$([ "$1" = deb ] && echo vendor-completions || echo site-functions) &&
        cmake --build "$3" -j "$(nproc)" --target herald &&
        rm -f "$3"/herald*."$1" &&
        (cd "$3" && cpack -G "$(echo "$1" | tr a-z A-Z)")
}

# An older version of the same, with other settings than ours has.
older() {
    rm -rf "$build/older"
    mkdir -p "$build/older"
    git ls-files -co --exclude-standard -z | tar -c --null -T - | tar -x -C "$build/older"
    sed -i 's/^project(herald VERSION [0-9.]*/project(herald VERSION 0.1.99/' "$build/older/CMakeLists.txt"
    echo '-- As it was.' >>"$build/older/packaging/etc/herald.lua"
    package deb "$build/older" "$build/old"
}

check "Debian's package is built" package deb "$PWD" "$build/new"
check "lintian" lintian --fail-on error --profile debian "$build"/new/herald_*.deb
tail -n 5 "$build/log"
check "an older one is built" older
check "the RPM is built" package rpm "$PWD" "$build/new"
check "rpmlint" rpmlint -c packaging/rpm/rpmlint.toml "$build"/new/herald-*.rpm
tail -n 2 "$build/log"

share=$build/share
rm -rf "$share"
mkdir -p "$share"
# "package rpm" has left the other one where it was.
cp "$build"/new/herald_*.deb "$share/new.deb"
cp "$build"/old/herald_*.deb "$share/old.deb"
cp tests/package/*.sh packaging/etc/herald.lua "$share"

# Counts what a script in a root has counted.
count() { # WHAT LOG
    last=$(tail -n 1 "$2")
    case $last in
    [0-9]*' passed, '[0-9]*' failed')
        ok=${last%% *} bad=${last##*, }
        bad=${bad%% *}
        ;;
    *) ok=0 bad=1 ;;
    esac
    [ "$bad" -eq 0 ] || cat "$2"
    grep '^left out: ' "$2" || :
    echo "run.sh: $1: $ok passed, $bad failed"
    passed=$((passed + ok))
    failed=$((failed + bad))
}

sh tests/lib/root.sh make "$suite" "$dir/base"
fresh() { # NAME: a root that nobody has touched
    rm -rf --one-file-system "${dir:?}/$1"
    cp -a "$dir/base" "$dir/$1"
}

fresh plain
sh tests/lib/root.sh run --share "$share" "$dir/plain" \
    sh "$share/plain.sh" "$share/old.deb" "$share/new.deb" >"$build/plain.log" 2>&1 || :
count "without systemd" "$build/plain.log"

fresh service
sh tests/lib/root.sh run "$dir/service" sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y install --no-install-recommends systemd dbus procps sqlite3' >/dev/null
mkdir -p "$dir/service/packages"
cp "$share"/* "$dir/service/packages"
sh tests/lib/root.sh boot "$dir/service" tests/package/service.sh >"$build/service.log" 2>&1 || :
count "with systemd" "$build/service.log"

fresh container
mkdir -p "$dir/container/packages"
cp "$share/lib.sh" examples/container/Dockerfile tests/package/container.sh "$build/new/herald" \
    "$dir/container/packages"
cp -r examples/unpaid-order "$dir/container/packages/shop"
sh tests/lib/root.sh run "$dir/container" sh /packages/container.sh >"$build/container.log" 2>&1 || :
count "as a container" "$build/container.log"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
