# embed - turns files into one C file with a table and embedded_find()
# (core/script/builtin.h).
#
#   herald_embed(target out_name file...)
#
# A file below scripts/ is named after its path, without .lua: "herald.rules",
# "init.gitignore"; any other after its base name. The file is its own generator: called by
# the build in script mode.

function(herald_embed target out_name)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${out_name}.c)
  set(pairs "")
  foreach(file ${ARGN})
    file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/scripts ${file})
    if(name MATCHES "^\\.\\./")
      get_filename_component(name ${file} NAME)
    endif()
    string(REGEX REPLACE "\\.lua$" "" name ${name})
    string(REPLACE "/" "." name ${name})
    list(APPEND pairs "${name}=${file}")
  endforeach()
  string(REPLACE ";" "|" pairs "${pairs}")
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -D "EMBED_OUT=${out}" -D "EMBED_FILES=${pairs}" -P
            ${PROJECT_SOURCE_DIR}/scripts/embed.cmake
    DEPENDS ${ARGN} ${PROJECT_SOURCE_DIR}/scripts/embed.cmake
    COMMENT "Embedding files into ${out_name}.c"
    VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE)
  return()
endif()

string(REPLACE "|" ";" files "${EMBED_FILES}")
set(arrays "")
set(rows "")
set(number 0)
foreach(pair ${files})
  string(REGEX MATCH "^([^=]*)=(.*)$" matched "${pair}")
  set(name "${CMAKE_MATCH_1}")
  file(READ "${CMAKE_MATCH_2}" hex HEX)
  string(REGEX REPLACE "(................................)" "\\1\n    " hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1, " hex "${hex}")
  string(APPEND arrays "/* ${name} */\nstatic const unsigned char file_${number}[] = {\n    ${hex}0x00};\n\n")
  string(APPEND rows
         "    {\"${name}\", (const char *)file_${number}, sizeof file_${number} - 1},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${EMBED_OUT}" "/* Generated from scripts/ by scripts/embed.cmake. */
#include \"script/builtin.h\"

#include <string.h>

${arrays}static const struct embedded files[] = {
${rows}};

const struct embedded *embedded_find(const char *name)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strcmp(files[i].name, name) == 0)
            return &files[i];
    return NULL;
}
")
