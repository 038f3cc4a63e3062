// SPDX-License-Identifier: Apache-2.0
// The directory `locks` of the control directory: a file for each znode that somebody holds or
// waits for a lock of, by its path as the mount shows it. Made from the tree as of now; keep none.
//
// A locked znode with locked ones below it shows as the directory that leads to them; its own locks
// are the file `.@lock` in it. A znode that was removed while it was locked has no path: it is
// `.@removed/<number>`.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/tree/data_tree.h"

namespace zkfs::mount {

class LockListing {
 public:
  // Of the znodes below `root`, from where paths count.
  LockListing(const tree::DataTree& tree, Ino root);

  // Paths are without `locks/` and without a leading '/'; empty: the directory `locks`. True for a
  // directory, false for a file, nothing if there is none.
  [[nodiscard]] std::optional<bool> is_directory(std::string_view path) const;

  struct Name {
    std::string name;
    bool directory = false;
  };

  // What is in a directory, in order.
  [[nodiscard]] std::vector<Name> list(std::string_view path) const;

  // A line for each who holds and then for each who waits, in the order in which they will get it:
  // `held exclusive flock zxid=0x100000007 node=2 pid=4711 session=0x200000000000001 owner=node 2
  // mount /zk`. A byte range is `range=0-99` or `range=100-end`. Empty if there is no such file.
  [[nodiscard]] std::string text(std::string_view path) const;

 private:
  [[nodiscard]] std::optional<Ino> locked_at(std::string_view path) const;
  [[nodiscard]] bool has_below(std::string_view path) const;

  const tree::DataTree& tree_;
  std::map<std::string, Ino, std::less<>> locked_;  // by path as shown; the root's is empty
};

struct LockCounts {
  std::uint64_t held = 0;
  std::uint64_t waiting = 0;
};

LockCounts count_locks(const tree::DataTree& tree);

}  // namespace zkfs::mount
