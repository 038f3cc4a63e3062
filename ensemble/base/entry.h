// SPDX-License-Identifier: Apache-2.0
// Entry: one transaction as ZAB, storage and the network see it: a position and opaque bytes. Only
// `tree` knows what the bytes say.
#pragma once

#include "ensemble/base/blob.h"
#include "ensemble/base/ids.h"

namespace zkfs {

struct Entry {
  Zxid zxid;
  Blob bytes;

  friend bool operator==(const Entry&, const Entry&) = default;
};

}  // namespace zkfs
