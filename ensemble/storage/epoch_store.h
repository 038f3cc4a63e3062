// SPDX-License-Identifier: Apache-2.0
// EpochStore: acceptedEpoch (the highest epoch promised to a leader) and currentEpoch (of the last
// leader whose history was adopted). Two files of decimal text, each replaced as a whole: written
// aside, synced, renamed, directory synced. A crash leaves the old value or the new one, and
// perhaps a *.tmp, which remove_temporaries() discards (ZOOKEEPER-2307, 4269). A missing file means
// 0. The disk is changed first, memory second. Epochs never go back.
#pragma once

#include "ensemble/base/ids.h"
#include "ensemble/storage/disk.h"

namespace zkfs::storage {

class EpochStore {
 public:
  // Reads both. Fails with: a file that is not a decimal number below 2^32; acceptedEpoch <
  // currentEpoch; the disk's problems.
  static Expected<EpochStore> open(Disk& disk);

  // Requires: not lower than the present one.
  Expected<void> save_accepted(Epoch epoch);
  // Requires: not lower than the present one, not above accepted().
  Expected<void> save_current(Epoch epoch);

  [[nodiscard]] Epoch accepted() const { return accepted_; }

  [[nodiscard]] Epoch current() const { return current_; }

 private:
  explicit EpochStore(Disk& disk) : disk_(&disk) {}

  Disk* disk_;  // never null; outlives this
  Epoch accepted_;
  Epoch current_;
};

}  // namespace zkfs::storage
