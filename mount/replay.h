// SPDX-License-Identifier: Apache-2.0
// Replay: turns changes made elsewhere into pokes, and answers the requests that the pokes cause.
// Decides what anybody could be watching (inode_table), keeps the queue (per-directory order;
// modifies of one name merge; bounded, overflow counted and logged), and shows the workers the
// world that each call needs: while a create is pending their LOOKUP says ENOENT, while a delete is
// pending it still finds the old node. Nothing it does reaches the tree. No commit and no user's
// reply ever waits for it.
//
// A file that was renamed over another elsewhere (`mv tmp f`, editors, sed -i) shows as follows.
// The target's znode keeps its identity (contract section 2), so its watches live on, where a local
// rename ends them:
//   their directories        MOVED_FROM tmp, MOVED_TO f; then, if the kernel holds f: MODIFY f,
//                            OPEN f, CLOSE_WRITE f
//   a watch on f             ATTRIB, as locally; then MODIFY, OPEN, CLOSE_WRITE (locally
//   DELETE_SELF
//                            and IGNORED); further changes of f show
//   a watch on tmp           MOVE_SELF, as locally; then DELETE_SELF, IGNORED: its znode is gone
//   (by
//                            its last close, if it is open)
//   f was a symlink and is a file now, or the other way round: a watch on f gets ATTRIB,
//                            DELETE_SELF, IGNORED, as locally
// A directory moved over an empty one: MOVED_FROM, MOVED_TO, MOVE_SELF; for the replaced one
// ATTRIB, DELETE_SELF, IGNORED; all as locally.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include <asio/io_context.hpp>
#include <fuse3/fuse_lowlevel.h>

#include "ensemble/server/door.h"
#include "mount/event_helper.h"
#include "mount/inode_table.h"
#include "mount/node_id.h"
#include "mount/reply.h"

namespace zkfs::handover {
class Mount;
}

namespace zkfs::mount {

struct ReplayCounters {
  std::uint64_t queued = 0, done = 0, skipped = 0, merged = 0, overflowed = 0, failed = 0,
                prunes = 0;
};

class Replay {
 public:
  // True for a session in whose name this mount makes its users' requests.
  using OwnSession = std::function<bool(SessionId)>;

  // `helper` may be null (no capability to run it): then nothing is replayed. Without `own_session`
  // every session opened at `door` is taken for this mount's; another mount on the same door, or
  // another front door, needs it: their changes are not known to this mount's kernel.
  Replay(asio::io_context& context,
         const server::Door& door,
         InodeTable& inodes,
         EventHelper* helper,
         OwnSession own_session = nullptr);
  ~Replay();

  // From the change feed. This mount's own changes are skipped, except what the kernel could not
  // see by itself (see replay.cpp).
  void applied(const server::AppliedTxn& txn);
  // The net difference of two trees, for whatever the kernel holds.
  void replaced(const tree::DataTree& before, const tree::DataTree& after);

  // After a marker create (`job-@seq`) was answered: renames the entry `ghost` the kernel has to
  // `name`, on the kernel's side only (contract section 3). `node` is what the create answered
  // with.
  void rename_ghost(NodeId parent, std::string_view ghost, std::string_view name, NodeId node);

  void start();
  // First step of unmounting: no further pokes; those under way end by themselves.
  void stop();

  // For the daemon that takes this one's place, and there, once it has started (handover.proto).
  void save(handover::Mount& out) const;
  void restore(const handover::Mount& in);

  [[nodiscard]] const ReplayCounters& counters() const;
  // Nothing waits and nothing is under way.
  [[nodiscard]] bool idle() const;

  // True if a request with this pid is a worker's; then exactly these answer it, and nothing else
  // may.
  [[nodiscard]] bool is_worker(pid_t pid) const;
  void lookup(Reply reply, NodeId parent, std::string_view name);
  void getattr(Reply reply, NodeId node);
  void setattr(Reply reply, NodeId node);
  void open(Reply reply, NodeId node, fuse_file_info info);
  void create(Reply reply, NodeId parent, std::string_view name, mode_t mode, fuse_file_info info);
  void symlink(Reply reply, NodeId parent, std::string_view name);
  void mkdir(Reply reply, NodeId parent, std::string_view name, mode_t mode);
  void unlink(Reply reply, NodeId parent, std::string_view name);
  void rmdir(Reply reply, NodeId parent, std::string_view name);
  void rename(Reply reply,
              NodeId parent,
              std::string_view name,
              NodeId new_parent,
              std::string_view new_name);
  // Handles of the workers carry this bit in fi.fh, because RELEASE and FLUSH come without a usable
  // pid.
  static constexpr std::uint64_t kHandleBit = 1ULL << 63U;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zkfs::mount
