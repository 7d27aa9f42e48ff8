set(gradwalk_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/gradwalk)
install(TARGETS gradwalk EXPORT gradwalkTargets)
# Not loop.hpp, which is for our sources only: it warns where their flags are missing.
install(DIRECTORY core layers optim DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gradwalk
        FILES_MATCHING PATTERN "*.hpp" PATTERN loop.hpp EXCLUDE PATTERN debugger EXCLUDE PATTERN see EXCLUDE)
install(EXPORT gradwalkTargets NAMESPACE gradwalk:: DESTINATION ${gradwalk_cmake_dir})
configure_package_config_file(cmake/gradwalkConfig.cmake.in gradwalkConfig.cmake INSTALL_DESTINATION ${gradwalk_cmake_dir})
export(EXPORT gradwalkTargets NAMESPACE gradwalk:: FILE gradwalkTargets.cmake)  # for ./run check
write_basic_package_version_file(gradwalkConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/gradwalkConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/gradwalkConfigVersion.cmake
        DESTINATION ${gradwalk_cmake_dir})
if(GRADWALK_INSTALL_PROGRAMS)
  if(NOT GRADWALK_BUILD_EXAMPLES)
    message(FATAL_ERROR "GRADWALK_INSTALL_PROGRAMS needs GRADWALK_BUILD_EXAMPLES=ON")
  endif()
  foreach(program sentiment word2vec translate char_lm)
    install(PROGRAMS $<TARGET_FILE:${program}> TYPE BIN RENAME gradwalk-${program})
  endforeach()
endif()

# ---- the .deb: ./run package ----
if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "The gradwalk authors")
set(GRADWALK_MAINTAINER "${CPACK_PACKAGE_VENDOR} <nobody@gradwalk.invalid>"
    CACHE STRING "Who maintains the package. The default is a placeholder: the project has no address")
set(CPACK_PACKAGE_CONTACT "${GRADWALK_MAINTAINER}")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Tensors, reverse-mode differentiation, layers, optimizers and sparse
gradients of embeddings: the library, its headers and CMake files, and
programs that train models.")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)  # what the programs need
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "g++, cmake")
# What users of the library compile and link against: xtensor, whose containers are part of the interface, stays the one it was
# built with; no header of ours includes nlohmann-json.
string(REGEX MATCH "^([0-9]+)\\.([0-9]+)" minor "${xtensor_VERSION}")
math(EXPR next "${CMAKE_MATCH_2} + 1")
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libxtensor-dev (>= ${minor}), libxtensor-dev (<< ${CMAKE_MATCH_1}.${next})")
if(gradwalk_blas STREQUAL "onednn")
  string(APPEND CPACK_DEBIAN_PACKAGE_DEPENDS ", libdnnl-dev")
elseif(gradwalk_blas STREQUAL "cblas")
  string(APPEND CPACK_DEBIAN_PACKAGE_DEPENDS ", libopenblas-dev")
endif()
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_CURRENT_SOURCE_DIR}/cmake/packaging/check.cmake)
set(CPACK_GRADWALK_NATIVE ${GRADWALK_NATIVE})
include(CPack)

# What Debian asks of every package.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)  # of SOURCE_DATE_EPOCH, if that is set
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/deb/changelog
  "gradwalk (${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium\n\n"
  "  * Version ${PROJECT_VERSION}.\n\n -- ${GRADWALK_MAINTAINER}  ${date}\n")
file(ARCHIVE_CREATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/deb/changelog.Debian.gz FORMAT raw COMPRESSION GZip COMPRESSION_LEVEL 9
     PATHS ${CMAKE_CURRENT_BINARY_DIR}/deb/changelog)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/deb/changelog.Debian.gz TYPE DOC)
install(FILES LICENSE TYPE DOC RENAME copyright)
