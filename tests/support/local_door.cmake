# The mount's tests put this behind the mount instead of a member.
if(NOT TARGET zkfs_test_door)
  add_library(zkfs_test_door STATIC ${CMAKE_CURRENT_LIST_DIR}/local_door.cpp)
  target_link_libraries(zkfs_test_door PUBLIC zkfs_server)
endif()
