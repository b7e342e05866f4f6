getent group herald >/dev/null || groupadd -r herald
getent passwd herald >/dev/null ||
    useradd -r -g herald -d /var/lib/herald -s /sbin/nologin -c 'herald, a router of business events' herald
exit 0
