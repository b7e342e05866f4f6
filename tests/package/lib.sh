# What both scripts that run in a root begin with: checks that are counted, and waits for states.
passed=0
failed=0

# ok WHAT COMMAND...
ok() {
    what=$1
    shift
    if "$@" >/tmp/said 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what: $*"
        cat /tmp/said
    fi
}

# The same for a command that must fail.
not() {
    ! "$@"
}

# within COMMAND...: until it goes well; how long that takes is nobody's business.
within() {
    for _ in $(seq 300); do
        ! "$@" >/tmp/within 2>&1 || return 0
        sleep 0.2
    done
    cat /tmp/within
    return 1
}

is() { # TEXT TEXT
    [ "$1" = "$2" ] || {
        echo "it is: $1; it should be: $2"
        return 1
    }
}

owner_is() { # "USER GROUP MODE" PATH
    is "$(stat -c '%U %G %a' "$2")" "$1"
}

as_herald() {
    setpriv --reuid herald --regid herald --init-groups "$@"
}

herald_does() { # WORD...: in the folder of the package
    as_herald herald -C /etc/herald "$@"
}

handled_is() { # N: rows of the store that a handler wrote
    is "$(as_herald sqlite3 -readonly /var/lib/herald/herald.db 'select count(*) from effect')" "$1"
}

install_deb() { # FILE
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends \
        -o Dpkg::Options::=--force-confold "$1"
}

write_rules() {
    mkdir -p /etc/herald/migrations
    cat >/etc/herald/migrations/001.sql <<'END'
create table effect (id integer primary key, key text);
END
    cat >/etc/herald/rules/notes.lua <<'END'
local herald = require "herald"
herald.route { type = "note", to = herald.queue "notes" }
herald.subscribe { queue = "notes" }
herald.on("note", "*", function(msg, tx)
  tx:exec("insert into effect (key) values (?)", msg.business_key1)
end)
END
}

sum() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
