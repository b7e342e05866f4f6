#!/bin/sh
# Another release of Debian in a folder, and commands in it. Root only.
#
#   sh tests/lib/root.sh make SUITE DIR [PACKAGE...]          trixie, sid, ... by debootstrap
#   sh tests/lib/root.sh run [--share PATH] DIR COMMAND...    on a fresh machine: nothing of the
#                                                             caller's environment, processes of
#                                                             its own of which none is left (also
#                                                             when root.sh itself is killed, by -9)
#   sh tests/lib/root.sh enter [--share PATH] DIR COMMAND...  the same, but what it starts may
#                                                             outlive it and is seen from outside
#   sh tests/lib/root.sh remove DIR
#
# The mirror is the one that this machine's own package sources name. What is mounted is mounted
# for the command alone and gone with it. PATH is a folder that both see under one name.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

usage() {
    echo "usage: root.sh make SUITE DIR [PACKAGE...] | run|enter [--share PATH] DIR COMMAND... |" \
        "remove DIR" >&2
    exit 2
}

fail() {
    echo "root.sh: $*" >&2
    exit 1
}

# --- making ----------------------------------------------------------------------------------

named_mirrors() {
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' |
        sed -n 's/^Debian|Debian|main|//p' | sort -u
}

# What apt has not looked at yet says nothing of its origin.
find_mirror() {
    [ -n "$(named_mirrors)" ] || apt-get -qq update || :
    mirror=$(named_mirrors | head -n 1)
    [ -n "$mirror" ] || fail "the package sources of this machine name no mirror of Debian"
}

# In a mount namespace, since debootstrap mounts things and may be ended in the middle. The name
# of the release is written last: a folder without it was never finished.
make() { # SUITE DIR [PACKAGE...]
    suite=$1
    dir=$2
    shift 2
    packages=ca-certificates
    for package in "$@"; do
        packages=$packages,$package
    done
    [ ! -e "$dir" ] || [ -z "$(ls -A "$dir")" ] || {
        [ "$(cat "$dir/etc/herald-suite" 2>/dev/null)" = "$suite" ] ||
            fail "$dir is there, and no finished root of $suite: take another folder"
        echo "root.sh: $dir is a root of $suite already"
        return 0
    }
    sh "$here/packages.sh" debootstrap
    find_mirror
    log=$(mktemp)
    echo "root.sh: making a root of $suite in $dir"
    unshare -m debootstrap --variant=minbase --include="$packages" "$suite" "$dir" "$mirror" \
        >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        rm -f "$log"
        fail "debootstrap failed"
    }
    rm -f "$log"
    # A mirror that stands still is none the worse for it.
    echo 'Acquire::Check-Valid-Until "false";' >"$dir/etc/apt/apt.conf.d/90-herald"
    echo "$suite" >"$dir/etc/herald-suite"
}

# --- entering --------------------------------------------------------------------------------

# Runs in the new namespaces: ROOT SHARE COMMAND... The devices are those that a program may
# need, and nothing else of the machine's.
prepare_and_go='
set -eu
root=$1 share=$2
shift 2
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
for name in null zero full random urandom tty; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for name in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${name%%:*}" "$root/dev/${name#*:}"
done
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
if [ -n "$share" ]; then
    mkdir -p "$root$share"
    mount --bind "$share" "$root$share"
fi
exec chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
'

in_root() { # OPTIONS [--share PATH] DIR COMMAND...
    options=$1
    shift
    share=
    [ "${1:-}" != --share ] || {
        [ $# -ge 2 ] || usage
        share=$(cd "$2" && pwd)
        shift 2
    }
    [ $# -ge 2 ] || usage
    dir=$(cd "$1" && pwd)
    [ -f "$dir/etc/herald-suite" ] || fail "no finished root in $dir"
    shift
    exec unshare $options sh -c "$prepare_and_go" sh "$dir" "$share" "$@"
}

[ $# -ge 2 ] || usage
[ "$(id -u)" = 0 ] || fail "must be run as root"
verb=$1
shift
case $verb in
make)
    [ $# -ge 2 ] || usage
    make "$@"
    ;;
run) in_root '-m -p -f --kill-child' "$@" ;;
enter) in_root -m "$@" ;;
remove) rm -rf --one-file-system "$1" ;;
*) usage ;;
esac
