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
#   sh tests/lib/root.sh boot [--share PATH] DIR SCRIPT       systemd as process 1 of a root that has
#                                                             it, and the script once it is up; its
#                                                             output and its exit code
#   sh tests/lib/root.sh remove DIR
#
# The mirror is the one that this machine's own package sources name. What is mounted is mounted
# for the command alone and gone with it. PATH is a folder that both see under one name.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

usage() {
    echo "usage: root.sh make SUITE DIR [PACKAGE...] | run|enter [--share PATH] DIR COMMAND... |" \
        "boot [--share PATH] DIR SCRIPT | remove DIR" >&2
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

# --- booting ---------------------------------------------------------------------------------

# Runs in the new namespaces: ROOT SHARE. systemd remounts the root, so it must be a mount of its
# own, and has no other process above it. What it would set of the machine, modes of devices and the
# kernel's settings, it cannot reach. Control groups are what the machine has: version 2 alone, or
# beside version 1.
boot_and_go='
set -eu
root=$1 share=$2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    numbers=${device#*:}
    mknod -m 666 "$root/dev/${device%%:*}" c "${numbers%:*}" "${numbers#*:}"
done
: >"$root/dev/console"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs -o mode=755 cgroup "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
fi
if [ -n "$share" ]; then
    mkdir -p "$root$share"
    mount --bind "$share" "$root$share"
fi
cd "$root"
mkdir -p machine
pivot_root . machine
umount -l machine
exec env -i container=herald PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd \
    --show-status=no --log-target=null
'

boot() { # [--share PATH] DIR SCRIPT
    share=
    [ "$1" != --share ] || {
        [ $# -eq 4 ] || usage
        share=$(cd "$2" && pwd)
        shift 2
    }
    [ $# -eq 2 ] || usage
    dir=$(cd "$1" && pwd)
    [ -x "$dir/lib/systemd/systemd" ] || fail "no systemd in $dir"
    cp "$2" "$dir/root/booted.sh"
    rm -f "$dir/root/booted.out" "$dir/root/booted.status"
    cat >"$dir/etc/systemd/system/booted.target" <<'END'
[Unit]
Requires=multi-user.target booted.service
After=multi-user.target
END
    cat >"$dir/etc/systemd/system/booted.service" <<'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
TimeoutStartSec=infinity
StandardOutput=file:/root/booted.out
StandardError=file:/root/booted.out
Environment=HOME=/root LC_ALL=C.UTF-8
ExecStart=/bin/sh -c 'sh /root/booted.sh; echo $$? >/root/booted.status; systemctl poweroff -ff >/dev/null 2>&1'
END
    ln -sf booted.target "$dir/etc/systemd/system/default.target"
    unshare -m -p -i -u -C -f --kill-child sh -c "$boot_and_go" sh "$dir" "$share" \
        </dev/null >"$dir/root/booted.log" 2>&1 || : # it ends by a signal
    [ -f "$dir/root/booted.status" ] || {
        cat "$dir/root/booted.log" >&2
        fail "systemd did not come up in $dir"
    }
    cat "$dir/root/booted.out"
    return "$(cat "$dir/root/booted.status")"
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
boot) boot "$@" ;;
remove) rm -rf --one-file-system "$1" ;;
*) usage ;;
esac
