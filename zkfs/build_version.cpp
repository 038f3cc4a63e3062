// SPDX-License-Identifier: Apache-2.0
#include "zkfs/build_version.h"

#include "ensemble/admin/version.h"

namespace zkfs {

std::string version_for_zookeeper() {
  return admin::version_text(ZKFS_VERSION, ZKFS_BUILD_DATE);
}

}  // namespace zkfs
