// SPDX-License-Identifier: Apache-2.0
// PathWatch: tells when something may have changed about a path, whether it exists or not, by
// inotify. It watches each directory that there is on the way from the mount point to the path, and
// what the path names. The order in which it does so loses nothing: a name is looked up only after
// its directory is watched, and the caller looks at the path only after arm().
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ensemble/base/clock.h"
#include "zkfs/commands/client.h"

namespace zkfs {

class PathWatch {
 public:
  // `path` is absolute and normal, and lies below `root`, the mount point, or is it.
  static Answer<PathWatch> open(const std::string& root, const std::string& path);

  // Watches what there is now. To be called before each look at the path.
  Answer<void> arm();

  // Waits for an event that concerns the path; false after `limit`.
  Answer<bool> wait(Millis limit);

 private:
  PathWatch(Descriptor inotify, const std::string& root, const std::string& path);

  // True if one of the events waiting concerns the path.
  Answer<bool> drain();
  Answer<int> add(const std::string& path, std::uint32_t mask);

  Descriptor inotify_;
  std::string root_;
  std::string path_;
  std::vector<std::string> names_;      // from the root to the path
  std::map<int, std::string> awaited_;  // watch -> the name in that directory; empty: any
};

}  // namespace zkfs
