# An overlay port for vcpkg: vcpkg install gradwalk --overlay-ports=cmake/packaging/vcpkg
# vcpkg was not tried; vcpkg.json was read as JSON. The port builds the repository that it is in: the project names no host.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS -DGRADWALK_NATIVE=OFF -DGRADWALK_BLAS=cblas -DGRADWALK_BUILD_TESTS=OFF -DGRADWALK_BUILD_EXAMPLES=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/gradwalk)
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
