if [ "$1" -eq 0 ] && [ -d /run/systemd/system ]; then
    systemctl stop herald.service 'herald@*.service' || :
fi
