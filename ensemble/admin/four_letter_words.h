// SPDX-License-Identifier: Apache-2.0
// Four-letter words: what an administrator or a monitor sends as the first four bytes of a
// connection to the client port, and the text it gets before the connection is closed
// (reference/zookeeper.md 7.1, 7.2). Shapes are ZooKeeper's to the byte, because scripts take them
// apart. Sockets are the client port's affair.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "ensemble/admin/admin_source.h"

namespace zkfs::admin {

// The words that are answered if they are allowed: 4lw.commands.whitelist.
class Whitelist {
 public:
  // `text`: words separated by commas, blanks around them ignored, "*" for all; empty: none beyond
  // those that ZooKeeper's own tools need, which are always in it: srvr (zkServer.sh), and isro
  // where servers may serve read-only (clients that look for one).
  explicit Whitelist(std::string_view text = {}, bool read_only_mode = false);

  [[nodiscard]] bool allows(std::string_view word) const;

 private:
  bool all_ = false;
  std::set<std::string, std::less<>> words_;
};

// True if `bytes`, the first four of a connection, are a word; otherwise they are a frame's length.
bool is_four_letter_word(std::string_view bytes);

// The answer to `word`, whole; nothing if it is none. `rest`: what came after it (stmk takes a mask
// of 8 bytes from there; everything else ignores it, for `echo ruok | nc` sends a line feed). The
// trace mask is answered as ZooKeeper does, but nothing here is traced by it. crst and srst reset.
std::optional<std::string> answer(std::string_view word,
                                  std::string_view rest,
                                  AdminSource& source,
                                  const Whitelist& whitelist);

}  // namespace zkfs::admin
