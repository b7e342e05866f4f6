# In a clean root without systemd, as a container has it: OLD and NEW are two packages.
#
#   sh plain.sh OLD NEW
set -u
. "$(dirname "$0")/lib.sh"
old=$1 new=$2

start_router() {
    (
        cd /
        as_herald setsid herald -C /etc/herald run >/tmp/router.out 2>/tmp/router.log </dev/null &
        echo $! >/tmp/router.pid
    )
    ok "the router starts" within grep -q ready: /tmp/router.out
}

stop_router() {
    kill "$(cat /var/lib/herald/herald.db-lock)"
    ok "the router stops" within grep -q router.stopped /tmp/router.log
}

apt-get -qq update

# --- a first install
ok "the older package installs" install_deb "$old"
ok "its user" id herald
ok "the folder is nobody else's" owner_is 'root herald 750' /etc/herald
ok "nor are the settings" owner_is 'root herald 640' /etc/herald/herald.lua
ok "the store's folder" owner_is 'herald herald 750' /var/lib/herald
ok "the socket's folder" owner_is 'herald herald 750' /run/herald
ok "the version" is "$(herald version | sed -n 's/^herald *//p')" 0.1.99
for page in man1/herald.1 man5/herald.lua.5 man7/herald-rules.7; do
    ok "man $page" gzip -t "/usr/share/man/$page.gz"
done

# --- in use
DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends sqlite3 zsh fish \
    >/dev/null 2>&1
write_rules
sed -i 's/^return {/&\n  history = "1d", -- ours/' /etc/herald/herald.lua
ok "check" herald_does check
start_router
ok "rows" herald_does emit --type note --count 100
ok "they are handled" within handled_is 100

# --- an upgrade beside the router that runs
ok "the newer package installs over it" install_deb "$new"
ok "the version" not is "$(herald version | sed -n 's/^herald *//p')" 0.1.99
ok "our settings stay" grep -q ours /etc/herald/herald.lua
ok "theirs lie beside them" test -f /etc/herald/herald.lua.dpkg-dist
ok "our rules stay" test -f /etc/herald/rules/notes.lua
ok "the older router works on" herald_does emit --type note --count 50
ok "its rows are handled" within handled_is 150
stop_router
ok "rows while nobody runs" herald_does emit --type note --count 50
start_router
ok "the newer one handles them" within handled_is 200
ok "the store is whole" is "$(as_herald sqlite3 /var/lib/herald/herald.db 'pragma integrity_check')" ok

# --- completions, in the shells themselves
ok "bash" bash -c '. /usr/share/bash-completion/completions/herald
    COMP_WORDS=(herald outbox canc) COMP_CWORD=2 && _herald && [ "${COMPREPLY[*]}" = cancel ]'
ok "fish" fish -c 'complete -C "herald outbox canc" | string match -qr "^cancel"'
cat >/tmp/complete.zsh <<'END'
zmodload zsh/zpty
zpty shell 'zsh -f -i'
zpty -w shell 'PS1=; autoload -U compinit; compinit -u; echo re""ady'
until zpty -r -t shell said '*ready*'; do sleep 0.1; done
zpty -w -n shell $'herald outbox canc\t'
for i in {1..100}; do
    while zpty -r -t shell more; do said+=$more; done
    [[ $said != *'outbox cancel'* ]] || exit 0
    sleep 0.1
done
print -r -- $said
exit 1
END
ok "zsh" zsh -f /tmp/complete.zsh

# --- remove, install, purge
stop_router
ok "it is removed" apt-get -qq -y remove herald
ok "the program is gone" test ! -e /usr/bin/herald
ok "the settings stay" grep -q ours /etc/herald/herald.lua
ok "the store stays" test -s /var/lib/herald/herald.db
ok "it is installed again" install_deb "$new"
ok "with its store" within handled_is 200
ok "and works" herald_does status
ok "it is purged" apt-get -qq -y purge herald
ok "the settings are gone" test ! -e /etc/herald/herald.lua
ok "the store is gone" test ! -e /var/lib/herald
ok "the socket's folder is gone" test ! -e /run/herald
ok "rules that somebody wrote are not" test -f /etc/herald/rules/notes.lua
ok "nor is the user's number" id herald

# --- and one that nobody touched
rm -rf /etc/herald
ok "a first install" install_deb "$new"
ok "is purged" apt-get -qq -y purge herald
ok "without a trace" test ! -e /etc/herald
sum
