# Run by the installation, which knows the prefix.
string(RANDOM made)
set(made ${PROJECT_BINARY_DIR}/packaging/${made}) # others may install at the same time
set(BINDIR ${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR})
set(DOCDIR ${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DOCDIR})
file(READ ${PROJECT_SOURCE_DIR}/packaging/systemd/service.conf SERVICE)
string(STRIP "${SERVICE}" SERVICE)

function(herald_put template folder)
  get_filename_component(name ${template} NAME)
  string(REGEX REPLACE "\\.in$" "" name ${name})
  configure_file(${PROJECT_SOURCE_DIR}/packaging/${template} ${made}/${name} @ONLY)
  file(INSTALL ${made}/${name} DESTINATION ${CMAKE_INSTALL_PREFIX}/${folder})
endfunction()

herald_put(systemd/herald.service.in ${HERALD_UNITDIR})
herald_put(systemd/herald@.service.in ${HERALD_UNITDIR})
herald_put(herald.pc.in ${CMAKE_INSTALL_DATADIR}/pkgconfig)
file(INSTALL ${PROJECT_SOURCE_DIR}/packaging/systemd/sysusers.conf
     DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/sysusers.d RENAME herald.conf)
file(INSTALL ${PROJECT_SOURCE_DIR}/packaging/systemd/tmpfiles.conf
     DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/tmpfiles.d RENAME herald.conf)
file(REMOVE_RECURSE ${made})
