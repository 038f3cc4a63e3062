// SPDX-License-Identifier: Apache-2.0
// `zkfs import`: makes a data directory of zkfs out of one of ZooKeeper, which it only reads.
#pragma once

#include <string>

namespace zkfs {

struct ImportCommand {
  std::string data_dir;  // to be made; empty: that of zkfs serve without a configuration
  std::string log_dir;   // dataLogDir of the ZooKeeper server; empty: as `source`
  std::string source;    // its dataDir, or version-2 in it
};

// Prints what was imported and what was left out. Returns the exit code: kExitNo, with nothing
// written, if the source cannot be imported or the target holds data already.
int run_import(const ImportCommand& command);

}  // namespace zkfs
