# What must not be packaged. cpack reads this before it begins.
if(CPACK_GRADWALK_NATIVE)
  message(FATAL_ERROR "gradwalk: this build is tuned for the machine that built it (GRADWALK_NATIVE=ON) and would crash on "
                      "others; ./run package, or cmake --preset package, makes one to be packaged")
endif()
