// SPDX-License-Identifier: Apache-2.0
// The data directory of a ZooKeeper server becomes one of zkfs: the state that its newest valid
// snapshot and its log come to, as one snapshot at the same zxid, with the same stat, data, ACLs
// and types. Sessions do not survive the move, nor do their ephemerals: they go as closing all
// sessions would make them go. /zookeeper/config is left out: it tells of the servers that were.
//
// Reading comes wholly before writing: what cannot be imported leaves nothing behind.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/storage/disk.h"
#include "ensemble/tree/data_tree.h"

namespace zkfs::zookeeper {

struct Imported {
  std::unique_ptr<tree::DataTree> tree;
  // Of the last leader of the ensemble, so that a new one goes on above it.
  Epoch accepted_epoch;
  Epoch current_epoch;
  std::size_t txns = 0;  // applied to the snapshot
  std::size_t sessions_left_out = 0;
  std::size_t ephemerals_left_out = 0;
  std::size_t quotas = 0;
  std::vector<std::string> remarks;  // each worth a line: a torn tail, an invalid snapshot
};

// Reads a data directory of ZooKeeper 3.4 to 3.9, with or without its version-2. `log_dir` is its
// dataLogDir; empty: the same directory. Changes nothing. Fails with lines that name what and the
// remedy:
// - no valid snapshot although the log does not begin at the beginning; no log at all and no
//   log_dir; damage or a hole in the log; a snapshot that holds what the log does not;
// - a server is writing it, as far as can be seen from this machine;
// - znodes that cannot be here (the first 20): names over 255 bytes, paths over 64 KiB, values over
//   limits::kFrameBytesMax, an ACL that is lost.
Expected<Imported> read_zookeeper(const std::string& data_dir, const std::string& log_dir);

// Makes it the whole content of a zkfs data directory and reads it back. Requires: `disk` holds no
// data of an ensemble.
Expected<void> write_data_dir(storage::Disk& disk, const Imported& imported);

}  // namespace zkfs::zookeeper
