// SPDX-License-Identifier: Apache-2.0
// `zkfs ls`, `zkfs stat` and `zkfs rm`: znodes and their children. None of them follows a symbolic
// link that is the last component of a path: a link is a znode of its own.
#pragma once

#include <string>
#include <vector>

namespace zkfs {

struct LsCommand {
  std::string path = ".";
  bool details =
      false;  // -l: kind, type, version, size, mtime and ephemeral owner before each name
  bool recursive = false;  // -R: names become paths below `path`
};

struct StatCommand {
  std::string path;
};

struct RmCommand {
  std::vector<std::string> paths;
  bool recursive = false;
};

// They return the exit code.
int run_ls(const LsCommand& command);
int run_stat(const StatCommand& command);
// Goes on after a failure; the exit code is that of the first.
int run_rm(const RmCommand& command);

}  // namespace zkfs
