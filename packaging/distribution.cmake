# Run by the installation of a package, at its end: what distributions ask of its papers.
set(root $ENV{DESTDIR}${CMAKE_INSTALL_PREFIX})
set(papers ${root}/${CMAKE_INSTALL_DOCDIR})

function(herald_pack)
  execute_process(COMMAND gzip -9nf ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(GLOB pages ${root}/share/man/man*/*)
herald_pack(${pages})
if(HERALD_PACKAGE STREQUAL "deb")
  string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)
  file(WRITE ${papers}/changelog.Debian
       "herald (${PROJECT_VERSION}-1) unstable; urgency=medium

  * Version ${PROJECT_VERSION}: changelog.gz says what is new.

 -- ${HERALD_CONTACT}  ${now}
")
  file(READ ${PROJECT_SOURCE_DIR}/LICENSE license)
  file(WRITE ${papers}/copyright "herald\n\n${license}")
  file(REMOVE ${papers}/LICENSE) # the same
  file(RENAME ${papers}/CHANGELOG.md ${papers}/changelog)
  herald_pack(${papers}/changelog ${papers}/changelog.Debian)
else()
  file(MAKE_DIRECTORY $ENV{DESTDIR}/var/lib/herald)
endif()
