if [ -x /usr/bin/systemctl ] && [ -d /run/systemd/system ]; then
    systemd-tmpfiles --create herald.conf || :
    systemctl --system daemon-reload || :
    [ "$1" -lt 2 ] || systemctl try-restart herald.service 'herald@*.service' || :
fi
