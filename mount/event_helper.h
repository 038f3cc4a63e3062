// SPDX-License-Identifier: Apache-2.0
// EventHelper: the process that performs VFS calls on our own mount so that the kernel emits
// inotify events for changes made on other servers (architecture.md fact 5, reference/fuse.md
// section 2). A process of its own, forked before /dev/fuse is opened: these calls wait for our
// daemon and for directory locks held by users' requests; in the daemon they could end in a thread
// that not even SIGKILL frees.
//
// It works on a private clone of the mount (open_tree), so it neither keeps the mount busy nor
// strays into filesystems mounted on top, and reaches parents by file handle (open_by_handle_at):
// ESTALE there means that the kernel does not hold that directory, or holds it without a dentry
// (see below). It dies with the daemon (PDEATHSIG, end of the socket) and holds nothing of it: all
// descriptors but its socket are closed. Several workers (processes), forked ahead of need, because
// later it is too late: one that is stuck on a locked directory is missed, no more, as long as
// another is idle (replay_queue.h decides who gets what).
//
// A worker touches nothing but the clone it was told to attach. So with several mounts in one
// process, each with a helper of its own, no request of one's worker ever reaches another's mount,
// and is_worker need not know of the others.
//
// A watched inode may have lost its dentry (memory pressure, a prune); the kernel then cannot
// decode the handle of a directory either. So a poke carries the parent's path too, and after
// ESTALE the worker walks it and compares handles. If that path leads elsewhere by now and somebody
// may be watching, it asks for the directory by number (Poke::by_number); otherwise the poke is
// skipped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ensemble/base/error.h"
#include "mount/node_id.h"

namespace zkfs::mount {

// One set of calls to perform. `token` comes back when it is done.
struct Poke {
  enum class Kind : std::uint8_t {
    kModify,      // utimensat(mtime now), then open for writing + close: MODIFY, OPEN, CLOSE_WRITE
    kAttributes,  // utimensat(both times): ATTRIB. Not chmod, which would follow a symlink
    kCreateFile,  // openat(O_CREAT|O_EXCL), close: CREATE, OPEN, CLOSE_WRITE
    kCreateWithData,  // as kCreateFile, with the mtime set in between: CREATE, OPEN, MODIFY,
                      // CLOSE_WRITE, which is what `echo x > new` shows
    kCreateSymlink,   // symlinkat: CREATE
    kMakeDirectory,   // mkdirat: CREATE,ISDIR
    kUnlink,          // unlinkat: DELETE, DELETE_SELF
    kRemoveDirectory,
    kRename,    // renameat(parent/name -> other_parent/other_name): MOVED_FROM, MOVED_TO, MOVE_SELF
    kReplace,   // as kRename, of a node that ends with it: then looked at under its new name, which
                // leads elsewhere by now: DELETE_SELF
    kExchange,  // renameat2(RENAME_EXCHANGE)
  };
  std::uint64_t token = 0;
  Kind kind = Kind::kModify;
  NodeId parent = 0;  // directory node
  std::string name;
  NodeId other_parent = 0;
  std::string other_name;
  // Paths of the two parents from the root of the mount without a leading '/', as shown; empty if
  // not known (and for the root).
  std::string parent_path;
  std::string other_path;
  // Somebody may be watching what this is about: a directory that neither its handle nor its path
  // leads to (its dentry is gone from the kernel, or it from the tree) is asked for by number, as
  // number_name() in the root.
  bool by_number = false;
};

class EventHelper {
 public:
  // Forks the workers. Must be called while this process has one thread and no /dev/fuse open,
  // after daemonizing: the workers die with the thread that calls it.
  static Expected<std::unique_ptr<EventHelper>> spawn(int workers);

  struct Worker {
    pid_t pid = 0;    // 0 once it is dead
    int socket = -1;  // -1 once it is dead
  };

  // Takes over workers that another process forked (event_zygote.h). `over` is called with the pid
  // of each that this helper is done with: whoever forked it can reap it.
  static std::unique_ptr<EventHelper> adopt(std::vector<Worker> workers,
                                            std::function<void(pid_t)> over);
  // Closes the sockets, which ends the workers, and reaps them (they may be inside a call on the
  // mount: unmount or abort the connection first). Waits a second, kills, waits another one; a
  // worker that even SIGKILL does not free is left to init, which reaps it after this process.
  ~EventHelper();

  // Tells the workers to clone the mount at `mountpoint` (mounted and answering). Does not wait;
  // each worker reports the outcome as the completion of token 0. Without a clone each poke ends
  // with the error of the attempt.
  void attach(const std::string& mountpoint);
  // Tells them to drop the clone: first step of unmounting.
  void detach();

  // True if a request with this pid comes from a worker.
  [[nodiscard]] bool is_worker(pid_t pid) const;

  // Workers are numbered from 0; a number is not used again after its worker's death.
  [[nodiscard]] std::size_t worker_count() const;
  [[nodiscard]] std::size_t living_count() const;
  // Which one has this pid; empty if none or dead.
  [[nodiscard]] std::optional<std::size_t> worker_of(pid_t pid) const;
  // Its socket; -1 once it is dead.
  [[nodiscard]] int descriptor(std::size_t worker) const;

  // Tells the worker to prune from the kernel's cache what nobody uses of the mount, so that FORGET
  // tells of it; it reports the outcome as the completion of kPruneToken (EPERM: a worker without
  // CAP_SYS_ADMIN over the filesystem). False as send().
  static constexpr std::uint64_t kPruneToken = ~std::uint64_t{0};
  bool prune(std::size_t worker);

  // Sends a poke to this worker; false if it is gone or its socket is full (then keep it and try
  // again after a completion). A worker performs its pokes one after the other.
  bool send(std::size_t worker, const Poke& poke);

  // Descriptors to wait on for reading; for each that is readable call receive(), which calls
  // `done(token, error)` per finished poke (error 0, or an errno: ESTALE = nobody holds the
  // directory). Returns false if that worker has died.
  [[nodiscard]] std::vector<int> descriptors() const;
  bool receive(int descriptor, const std::function<void(std::uint64_t token, int error)>& done);

 private:
  struct State;
  explicit EventHelper(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace zkfs::mount
