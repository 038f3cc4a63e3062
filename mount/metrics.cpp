// SPDX-License-Identifier: Apache-2.0
#include "mount/metrics.h"

namespace zkfs::mount {

std::string_view name_of(FuseOperation operation) {
  static constexpr std::array<std::string_view, kFuseOperations> kNames{
      "lookup",   "forget",    "getattr",     "setattr",    "readlink", "mknod",
      "mkdir",    "unlink",    "rmdir",       "symlink",    "rename",   "link",
      "open",     "create",    "read",        "write",      "flush",    "release",
      "fsync",    "opendir",   "readdir",     "releasedir", "statfs",   "setxattr",
      "getxattr", "listxattr", "removexattr", "lock",       "ioctl"};
  return kNames.at(static_cast<std::size_t>(operation));
}

}  // namespace zkfs::mount
