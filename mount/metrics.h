// SPDX-License-Identifier: Apache-2.0
// Metrics: what a mount counts. Counting costs an addition; everything else happens when somebody
// reads `.zkfs/metrics`. Core thread only.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "ensemble/base/metrics_text.h"

namespace zkfs::mount {

enum class FuseOperation : std::uint8_t {
  kLookup,
  kForget,
  kGetattr,
  kSetattr,
  kReadlink,
  kMknod,
  kMkdir,
  kUnlink,
  kRmdir,
  kSymlink,
  kRename,
  kLink,
  kOpen,
  kCreate,
  kRead,
  kWrite,
  kFlush,
  kRelease,
  kFsync,
  kOpendir,
  kReaddir,
  kReleasedir,
  kStatfs,
  kSetxattr,
  kGetxattr,
  kListxattr,
  kRemovexattr,
  kLock,
  kIoctl,
};
inline constexpr std::size_t kFuseOperations = static_cast<std::size_t>(FuseOperation::kIoctl) + 1;

std::string_view name_of(FuseOperation operation);

struct MountMetrics {
  std::array<std::uint64_t, kFuseOperations> requests{};
  Histogram commits;  // of requests to the ensemble, from submit to outcome

  void count(FuseOperation operation) { ++requests[static_cast<std::size_t>(operation)]; }
};

}  // namespace zkfs::mount
