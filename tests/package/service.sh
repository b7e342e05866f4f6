# In a root with systemd as process 1; /packages has old.deb and new.deb.
set -u
. /packages/lib.sh

property() { # NAME [UNIT]
    systemctl show -p "$1" --value "${2:-herald}"
}

status_has() { # TEXT
    case $(property StatusText) in *"$1"*) ;; *)
        property StatusText
        return 1
        ;;
    esac
}

property_is() { # NAME VALUE [UNIT]
    is "$(property "$1" "${3:-herald}")" "$2"
}

restarted_beyond() { # N
    [ "$(property NRestarts)" -gt "$1" ]
}

ok "the older package installs" install_deb /packages/old.deb
ok "nothing runs by itself" property_is ActiveState inactive
ok "it is not enabled" not systemctl is-enabled herald
write_rules
printf 'secret\n' >/etc/herald/password
chmod 600 /etc/herald/password
mkdir -p /etc/systemd/system/herald.service.d
cat >/etc/systemd/system/herald.service.d/test.conf <<'END'
[Service]
LoadCredential=password:/etc/herald/password
WatchdogSec=3
END
# Some kernels' file systems in memory lack what systemd hands them over by.
if systemd-run -q --wait -p User=herald -p LoadCredential=password:/etc/herald/password \
    sh -c 'test -r "$CREDENTIALS_DIRECTORY/password"'; then
    echo 'ExecStartPre=/usr/bin/test -r ${CREDENTIALS_DIRECTORY}/password' \
        >>/etc/systemd/system/herald.service.d/test.conf
else
    echo "left out: no unit reads a credential on this machine"
fi
systemctl daemon-reload

# --- told of
ok "it starts, and is ready" systemctl start herald
ok "it says so" status_has "running; broker embedded"
ok "rows" herald_does emit --type note --count 20
ok "they are handled" within handled_is 20
ok "the line has figures" within status_has "handled 20, confirmed 20, failed 0, dead 0"
ok "a reload" systemctl reload herald
echo nonsense >/etc/herald/rules/broken.lua
ok "one that is refused" not systemctl reload herald
ok "it works on" property_is ActiveState active
ok "and says so" within status_has "the files on disk are refused"
rm /etc/herald/rules/broken.lua
ok "the watchdog hears it" sh -c 'sleep 5' # longer than it waits
ok "so that nothing was started again" property_is NRestarts 0

# --- several
mkdir -p /etc/herald/shop/rules
cat >/etc/herald/shop/herald.lua <<'END'
return { store = "/var/lib/herald/shop/herald.db", socket = "/run/herald/shop/herald.sock" }
END
ok "another router" systemctl start herald@shop
ok "has a store of its own" owner_is 'herald herald 600' /var/lib/herald/shop/herald.db

# --- an upgrade
before=$(property MainPID)
ok "the newer package installs over it" install_deb /packages/new.deb
ok "the router was started again" not property_is MainPID "$before"
ok "and is ready" property_is ActiveState active
ok "the other one, too" property_is ActiveState active herald@shop
ok "rows" herald_does emit --type note --count 20
ok "they are handled" within handled_is 40

# --- trouble
count=$(property NRestarts)
kill -STOP "$(property MainPID)"
ok "one that stands still is ended" within restarted_beyond "$count"
ok "and comes back" within property_is ActiveState active
echo 'return { nonsense = true }' >/etc/herald/herald.lua
systemctl restart herald 2>/dev/null
ok "one whose settings are wrong is not tried again" within property_is ActiveState failed
install -m 640 -o root -g herald /packages/herald.lua /etc/herald/herald.lua
systemctl reset-failed herald
ok "when they are right" systemctl start herald

# --- the end
ok "a stop" systemctl stop herald
ok "is orderly" property_is Result success
ok "and leaves the other one its socket" test -S /run/herald/shop/herald.sock
ok "the unit is sound" systemd-analyze verify --man=no /lib/systemd/system/herald.service
ok "and closed" systemd-analyze security --threshold=15 herald.service
systemctl start herald
ok "it is removed" apt-get -qq -y remove herald
ok "nothing runs any more" not pgrep -x herald
sum
