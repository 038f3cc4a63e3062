// SPDX-License-Identifier: Apache-2.0
// `zkfs dump`: what the log segments and snapshots of a server say, readably, one line a record.
// Verifies all checksums. Changes nothing and takes no lock, so the server may be running.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ensemble/base/ids.h"

namespace zkfs {

struct DumpCommand {
  enum class Show : std::uint8_t {
    kTxns,      // the records of the log
    kSnapshot,  // sessions and znodes of the newest snapshot
    kTree,      // of the newest snapshot with the committed log applied to it
  };
  std::string data_dir;            // empty: that of zkfs serve without a configuration
  std::vector<std::string> files;  // instead of a data directory
  std::optional<Show> show;        // default: the log; of files whatever they are
  std::optional<Zxid> from;        // kTxns
  std::optional<Zxid> to;          // kTxns, kTree
};

// Returns the exit code: kExitNo if anything is damaged or cannot be read.
int run_dump(const DumpCommand& command);

}  // namespace zkfs
