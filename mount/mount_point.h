// SPDX-License-Identifier: Apache-2.0
// MountPoint: mount(2), or fusermount3 for who is not root, and what surrounds it: checks
// beforehand, taking over the mount point of a daemon that died, noticing that somebody else
// unmounted it, unmounting. Asks /proc/self/mountinfo rather than the mount itself: a daemon must
// not wait for its own mount.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "ensemble/base/error.h"
#include "mount/mount.h"

namespace zkfs::mount {

// A line of /proc/self/mountinfo.
struct MountEntry {
  int id = 0;
  std::string device;  // major:minor: the same for all places where one filesystem is mounted
  std::string path;
  std::string type;
  std::string source;
};

std::vector<MountEntry> parse_mountinfo(std::string_view text);
// As of now.
std::vector<MountEntry> mounts_of_this_process();

inline constexpr std::string_view kFilesystemType = "fuse.zkfs";

class MountPoint {
 public:
  explicit MountPoint(asio::io_context& context);
  ~MountPoint();
  MountPoint(const MountPoint&) = delete;
  MountPoint& operator=(const MountPoint&) = delete;

  // Checks, repairs, opens /dev/fuse, mounts. Returns the descriptor. Fails as Mount::start says.
  Expected<int> mount(const MountOptions& options);
  // The mount is there already (of a daemon before this one). Fails if it is not.
  Expected<void> take_over(const std::string& path);
  // Calls `gone` once when the mount is no longer there.
  void watch(std::function<void()> gone);
  // Unmounts, lazily if it is in use. Nothing if it is not mounted.
  void unmount();

 private:
  Expected<void> prepare(const std::string& path, bool taken_over = false);
  [[nodiscard]] std::optional<MountEntry> find() const;
  void wait();

  asio::posix::stream_descriptor mountinfo_;
  std::string path_;
  int id_ = 0;  // of the mount; 0: not mounted
  std::function<void()> gone_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zkfs::mount
