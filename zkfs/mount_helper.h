// SPDX-License-Identifier: Apache-2.0
// mount.zkfs: what mount(8) runs for `mount -t zkfs SOURCE DIR -o OPTIONS` and for fstab. The same
// program, by its name.
//
// SOURCE is which server: a zoo.cfg, a data directory, or the word `zkfs` for the standalone server
// with its defaults. If that server runs, it is asked for one more mount through the socket in its
// data directory; if not, it is started, detached from whoever called, with its log in
// DATA_DIR/zkfs.log, and ends with its last mount. Either way the mount is usable on return, or
// there is one line that says why not.
//
// Helpers for one data directory go one after the other (flock on it), so that `mount -a` with two
// lines starts one server.
#pragma once

#include <string>
#include <variant>

#include "ensemble/base/error.h"
#include "zkfs/config.h"

namespace zkfs {

// Exit codes of mount(8).
enum MountExit : int {
  kMountDone = 0,
  kMountMisuse = 1,
  kMountFailed = 32,
};

struct MountHelperLine {
  std::string source;
  std::string mountpoint;
  std::string options;  // for the mount, without what is mount(8)'s own
  bool fake = false;
  bool verbose = false;
  bool sloppy = false;  // unknown options are left out
};

// Fails with the line to print.
Expected<MountHelperLine> parse_mount_helper_line(int argc, const char* const* argv);

// Which configuration SOURCE means. Fails if there is no such file or directory.
Expected<ConfigSource> config_source_of(const std::string& source);

// True if the program was called as the helper.
bool is_mount_helper(const char* program);

// Returns a MountExit.
int run_mount_helper(int argc, const char* const* argv);

}  // namespace zkfs
