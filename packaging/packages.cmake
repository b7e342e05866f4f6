# Packages, by CPack. Configure with -DCMAKE_INSTALL_PREFIX=/usr -DHERALD_PACKAGE=deb|rpm.
set(HERALD_CONTACT "the herald authors <herald@packages.invalid>" CACHE STRING
    "who maintains the package")

set(CPACK_PACKAGE_NAME herald)
set(CPACK_PACKAGE_VENDOR "the herald authors")
set(CPACK_PACKAGE_CONTACT "${HERALD_CONTACT}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "router that moves business events between services")
set(CPACK_PACKAGE_DESCRIPTION
    "herald takes events from an outbox table in a service's own database,
publishes them to RabbitMQ with publisher confirms, and on the other side
runs Lua handlers whose SQL, bookkeeping and follow-up messages commit in
one transaction. Effects in the database happen exactly once, whoever
crashes; what cannot be handled is kept as a dead letter with its reason.")
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR ON) # /etc is no part of the prefix
set(CPACK_VERBATIM_VARIABLES ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS sqlite3)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libcurl4, lua-busted, lua-check, rabbitmq-server")
set(scripts ${CMAKE_CURRENT_SOURCE_DIR}/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${scripts}/conffiles ${scripts}/postinst ${scripts}/prerm
                                       ${scripts}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_RELEASE 1)
set(CPACK_RPM_PACKAGE_LICENSE MIT)
set(CPACK_RPM_PACKAGE_GROUP "System Environment/Daemons")
set(CPACK_RPM_PRE_INSTALL_SCRIPT_FILE ${CMAKE_CURRENT_SOURCE_DIR}/rpm/pre.sh)
set(CPACK_RPM_POST_INSTALL_SCRIPT_FILE ${CMAKE_CURRENT_SOURCE_DIR}/rpm/post.sh)
set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE ${CMAKE_CURRENT_SOURCE_DIR}/rpm/preun.sh)
set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE ${CMAKE_CURRENT_SOURCE_DIR}/rpm/postun.sh)
set(CPACK_RPM_PACKAGE_SUMMARY "Router that moves business events between services")
set(CPACK_RPM_PACKAGE_DESCRIPTION "${CPACK_PACKAGE_DESCRIPTION}")
set(CPACK_RPM_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_USER_FILELIST
    "%config(noreplace) %attr(0640,root,herald) /etc/herald/herald.lua"
    "%dir %attr(0750,root,herald) /etc/herald" "%dir %attr(0750,root,herald) /etc/herald/rules"
    "%dir %attr(0750,herald,herald) /var/lib/herald")
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION
    /etc /usr/lib/systemd /usr/lib/systemd/system /usr/lib/sysusers.d /usr/lib/tmpfiles.d
    /usr/share/bash-completion /usr/share/bash-completion/completions /usr/share/fish
    /usr/share/fish/vendor_completions.d /usr/share/man /usr/share/man/man1 /usr/share/man/man5
    /usr/share/man/man7 /usr/share/pkgconfig /usr/share/zsh /usr/share/zsh/site-functions /var
    /var/lib)
include(CPack)

# What a distribution wants beside what anybody installs.
install(FILES ${CMAKE_CURRENT_SOURCE_DIR}/etc/herald.lua DESTINATION /etc/herald)
install(DIRECTORY DESTINATION /etc/herald/rules)
install(CODE "${given}set(HERALD_PACKAGE ${HERALD_PACKAGE})
set(HERALD_CONTACT [[${HERALD_CONTACT}]])
include([[${CMAKE_CURRENT_SOURCE_DIR}/distribution.cmake]])")
