# In a clean root: the last stage of examples/container/Dockerfile, played without a container
# engine. Its RUN lines are run, the program is put where COPY would; then it runs as USER says, on
# a root that is read-only, and HEALTHCHECK is asked. /packages has Dockerfile, herald and shop/.
set -u
. /packages/lib.sh

# A line an instruction, of the last stage.
awk '/^#/ { next } { line = line $0 } /\\$/ { sub(/\\$/, "", line); next } { print line; line = "" }' \
    /packages/Dockerfile | awk '/^FROM / { text = ""; next } { text = text $0 "\n" } END { printf "%s", text }' \
    >/tmp/stage

said_by() { # WORD: what stands behind it
    sed -n "s/^$1 //p" /tmp/stage
}

said_by RUN | while read -r line; do
    DEBIAN_FRONTEND=noninteractive sh -ec "$line" || exit
done >/tmp/run.log 2>&1
ok "the RUN lines" test $? -eq 0
ok "the program's place" is "$(said_by COPY)" "--from=build /out/usr/bin/herald /usr/bin/herald"
install -m 755 /packages/herald /usr/bin/herald
user=$(said_by USER)
folder=$(said_by WORKDIR)
volume=$(said_by VOLUME)
ok "nobody is root" not is "${user%%:*}" 0
ok "a store that is its alone" is "$(stat -c '%u:%g %a' "$volume")" "$user 700"
ok "all libraries are there" not sh -c 'ldd /usr/bin/herald | grep "not found"'

mkdir /image /volume
cp -a "$volume/." /volume
chown "$user" /volume
mount --rbind / /image
mount -o remount,ro,bind /image
mount --bind /volume "/image$volume"
mount --bind /packages/shop "/image$folder"

# As an engine would: nothing of the environment, no capability, the working folder.
in_image() {
    chroot --userspec="$user" /image env -i PATH=/usr/bin:/bin $(said_by ENV) \
        sh -c 'cd "$1" && shift && exec "$@"' sh "$folder" "$@"
}

health() {
    in_image sh -c "$(sed -n 's/^HEALTHCHECK .* CMD //p' /tmp/stage)"
}

ok "the entry point" is "$(said_by ENTRYPOINT) $(said_by CMD)" '["herald"] ["run"]'
ok "unhealthy without a router" not health
in_image herald run >/tmp/router.out 2>/tmp/router.log &
router=$!
ok "it runs on a root that is read-only" within grep -q ready: /tmp/router.out
ok "the root is" not in_image touch /usr/new
ok "healthy" within health
ok "a command from outside" in_image herald emit --type order_placed --key1 7
ok "it is in the volume" test -s /volume/herald.db
kill "$(cat /volume/herald.db-lock)"
wait "$router"
ok "it stops in order" test $? -eq 0
ok "unhealthy again" not health
sum
