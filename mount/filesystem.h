// SPDX-License-Identifier: Apache-2.0
// Filesystem: what each FUSE request means for the tree; one method per operation. Reads answer at
// once from this server's tree. Changes pass the quorum gate, go to the ensemble as one request,
// and are answered with its outcome; whatever waits does so in Parking. Nothing here blocks, and
// nothing here touches the mount (a daemon that waits for itself cannot even be killed).
//
// Names: `node` is the kernel's number (node_id.h), `ino` the znode's. A node resolves to a znode
// by its number, unless a rename put that znode's value into another (then that one: `followed_`),
// or it is provisional: a file made here by a non-exclusive create whose znode comes into being
// with its first commit (contract section 2); until then nobody but its opener finds its name.
//
// Owned by Mount, lives on the core thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "ensemble/server/door.h"
#include "mount/barriers.h"
#include "mount/control.h"
#include "mount/inode_table.h"
#include "mount/locks.h"
#include "mount/mount.h"
#include "mount/mount_session.h"
#include "mount/open_file.h"
#include "mount/owner_sessions.h"
#include "mount/parking.h"
#include "mount/quorum_gate.h"
#include "mount/replay.h"
#include "mount/reply.h"
#include "mount/view.h"
#include "mount/xattr.h"

namespace zkfs::handover {
class Directory;
class File;
class Mount;
}  // namespace zkfs::handover

namespace zkfs::mount {

class Filesystem {
 public:
  // What it works with; all outlive it.
  struct Parts {
    asio::io_context& context;
    server::Door& door;
    MountSession& session;
    OwnerSessions& owners;
    Locks& locks;
    Parking& parking;
    QuorumGate& gate;
    InodeTable& inodes;
    Replay& replay;
    Control& control;
    const MountOptions& options;
    std::function<Instant()> now;
  };

  using Handle = std::uint64_t;
  using Name = std::string_view;

  explicit Filesystem(Parts parts);
  ~Filesystem();
  Filesystem(const Filesystem&) = delete;
  Filesystem& operator=(const Filesystem&) = delete;

  // --- from the change feed ---
  void applied(const server::AppliedTxn& txn);
  void quorum_changed(bool in_quorum);
  // The mount's session was lost, and all locks with it.
  void session_lost(SessionId session);
  // Finds the znode that is shown as the whole (option root), if it is there by now. Until then the
  // mount is an empty directory in which nothing can be made.
  void find_root(const tree::DataTree& tree);
  // --- for the daemon that takes this one's place, and there (handover.cpp) ---
  // False: a commit is under way.
  [[nodiscard]] bool settled();
  void save(handover::Mount& out);
  void restore(const handover::Mount& in);

  // No further commit, timer or completion of this filesystem's does anything.
  void stop();

  // --- look-ups (filesystem_lookup.cpp) ---
  void lookup(Reply reply, NodeId parent, Name name);
  // `theirs`: as the kernel numbers it (inode_table.h).
  void forget(NodeId theirs, std::uint64_t count);
  void getattr(Reply reply, NodeId node, std::optional<Handle> handle);
  void readlink(Reply reply, NodeId node);
  void statfs(Reply reply);

  // --- directories (filesystem_dir.cpp) ---
  void opendir(Reply reply, NodeId node, fuse_file_info info);
  void readdir(Reply reply, Handle handle, std::size_t size, off_t offset, bool plus);
  void releasedir(Reply reply, Handle handle);
  void mkdir(Reply reply, NodeId parent, Name name, mode_t mode);
  void rmdir(Reply reply, NodeId parent, Name name);

  // --- files (filesystem_file.cpp) ---
  void open(Reply reply, NodeId node, fuse_file_info info);
  void create(Reply reply, NodeId parent, Name name, mode_t mode, fuse_file_info info);
  void read(Reply reply, Handle handle, std::size_t size, off_t offset);
  void write(Reply reply, std::string_view bytes, off_t offset, const fuse_file_info& info);
  void flush(Reply reply, const fuse_file_info& info);
  void release(Reply reply, const fuse_file_info& info);
  // Of a file with something to commit: commits it. Otherwise, and of a directory: ZooKeeper's
  // sync.
  void fsync(Reply reply, std::optional<Handle> handle);

  // --- locks (filesystem_lock.cpp) ---
  // `operation` as flock(2) takes it.
  void flock(Reply reply, const fuse_file_info& info, int operation);
  void getlk(Reply reply, const fuse_file_info& info, const struct flock& lock);
  // `wait`: F_SETLKW.
  void setlk(Reply reply, const fuse_file_info& info, const struct flock& lock, bool wait);
  void ioctl(Reply reply, Handle handle, unsigned request);

  // --- links and names (filesystem_link.cpp) ---
  void mknod(Reply reply, NodeId parent, Name name, mode_t mode);
  void symlink(Reply reply, Name target, NodeId parent, Name name);
  void unlink(Reply reply, NodeId parent, Name name);

  struct RenameNames {
    NodeId parent = 0;
    Name name;
    NodeId new_parent = 0;
    Name new_name;
    unsigned flags = 0;  // of renameat2
  };

  void rename(Reply reply, const RenameNames& names);

  // --- attributes (filesystem_meta.cpp, filesystem_xattr.cpp) ---
  struct Wanted {
    struct stat attr {};

    int to_set = 0;  // FUSE_SET_ATTR_*
  };

  void setattr(Reply reply, NodeId node, const Wanted& wanted, std::optional<Handle> handle);
  void getxattr(Reply reply, NodeId node, Name name, std::size_t size);
  void listxattr(Reply reply, NodeId node, std::size_t size);
  void setxattr(Reply reply, NodeId node, Name name, std::string_view value);
  void removexattr(Reply reply, Name name);

 private:
  using Outcome = tree::Outcome;
  // `outcome.error` is kOk.
  using Done = std::move_only_function<void(Reply, const Outcome&)>;
  using Again = std::move_only_function<void(Reply)>;

  // A name in a directory, read: what it stands for.
  struct Place {
    enum class Kind : std::uint8_t {
      kChild,      // `name` below `parent`
      kData,       // the data of the directory `parent` (`.@data`, `dir@data`)
      kDirectory,  // the znode `parent` as a directory (`leaf@dir`)
      kControl,    // the control directory, or a file in it
      kRefused,    // none; `error`
    };
    Kind kind = Kind::kRefused;
    Ino parent;
    std::string name;  // the znode's, unescaped and without markers
    Marker marker;     // for names to be created
    int error = 0;
    Control::Entry control;
  };

  struct IdleCreator {
    Handle handle = 0;
    bool slept = false;  // its opener, at the last look
  };

  struct DirectoryHandle {
    NodeId node = 0;
    std::vector<Ino> children;
    bool with_data = false;
    bool loaded = false;
    std::vector<Control::Entry> control;  // instead of the children, in the control directory
  };

  // --- names ---
  // For look-ups: markers stand for nothing.
  Place find_place(NodeId parent, Name name) const;
  // For names to create: markers are read; the name must be one a znode may have.
  Place new_place(NodeId parent, Name name) const;
  std::optional<Place> special_place(Ino directory, Name name) const;

  // --- nodes ---
  void follow(Ino from, Ino to);
  // The znode number behind a node; 0 for a control file or an uncommitted provisional one.
  Ino resolve(NodeId node) const;
  std::optional<tree::Znode> znode_of(NodeId node) const;

  const tree::DataTree& tree() const { return parts_.door.tree(); }

  // An entry that counts as a look-up.
  fuse_entry_param enter(const tree::Znode& znode, NodeId node);
  struct stat provisional_attributes(NodeId node) const;
  struct stat gone_attributes(NodeId node) const;
  OpenFile* creator_of(NodeId node);
  NodeId own_provisional(const Reply& reply, const Place& place);
  void commit_own(Reply reply, NodeId own, Again again);
  void finish_lookup(Reply reply, const Place& place);
  struct stat attributes_for(NodeId node, const Reply& reply, std::optional<Handle> handle);
  void show_own_writes(const Reply& reply,
                       const tree::Znode& znode,
                       NodeId node,
                       OpenFile& reader);
  void begin_reading(const tree::Znode& znode, NodeId node, const Reply& reply);
  void add_uncommitted_size(struct stat& attr, NodeId node, pid_t caller);

  // --- waiting ---
  // True if `reply` was parked until the commit that raised `key` is over; then `again` is called.
  bool wait_behind(Reply& reply, Barriers::Key key, Again again);
  // Answers EIO and returns true if reading is refused (quorum_loss=strict).
  bool refuse_read(Reply& reply) const;
  // Gate, submit, `done`; or the errno.
  // `owner`: in whose session; the mount's if null.
  using Owner = OwnerSessions::Shared;
  void change(Reply reply, server::Operation operation, Done done, Owner owner = {});
  // The same past the gate.
  void submit(Reply reply, server::Operation operation, Done done, Owner owner = {});
  // As submit, but failures come to `done` as well.
  void submit_any(Reply reply, server::Operation operation, Done done, Owner owner = {});
  // The session for what `marker` makes; null: the mount's. Errors, as an errno: EINVAL.
  std::expected<Owner, int> owner_of(const Reply& reply, const Marker& marker);
  static server::Identity identity_of(const Reply& reply);
  Parking::Terms commit_terms() const;

  // --- files ---
  OpenFile make_file(const Reply& reply, const fuse_file_info& info) const;
  OpenFile open_znode(const Reply& reply,
                      const tree::Znode& znode,
                      const fuse_file_info& info) const;
  Handle add_file(OpenFile file, NodeId node, fuse_file_info& info);
  void drop_file(Handle handle);
  void open_now(Reply reply, NodeId node, fuse_file_info info);
  void open_control(Reply reply, NodeId node, fuse_file_info info);
  void create_admitted(Reply reply, Creation creation, fuse_file_info info);
  void create_existing(Reply reply,
                       const tree::Znode& znode,
                       const Creation& creation,
                       fuse_file_info info);
  void create_data(Reply reply, Ino directory, fuse_file_info info);
  void end_owner(const Creation& creation);
  void read_on(OpenFile& file, std::size_t at);
  void create_now(Reply reply, Creation creation, fuse_file_info info);
  void create_later(Reply reply, Creation creation, fuse_file_info info);
  void write_admitted(Reply reply,
                      std::string_view bytes,
                      off_t offset,
                      const fuse_file_info& info);
  [[nodiscard]] bool has_quota_room(const OpenFile& file) const;
  void write_compare_and_set(Reply reply, Handle handle, std::string_view bytes, off_t offset);
  bool flush_commits(const Reply& reply, OpenFile& file, std::uint64_t lock_owner) const;
  static bool is_opener(const Reply& reply, const OpenFile& file);

  // --- locks ---
  void lock_file(Reply reply, Handle handle, Locks::Who who, Locks::What what);
  void read_anew(OpenFile& file);
  void commit_and_unlock(Reply reply, Handle handle, const Locks::Who& who);
  void unlock_file(Reply reply, Handle handle, Locks::Who who, tree::LockRange range);
  static Ino lock_number(const OpenFile& file);
  void release_asked(const OpenFile& file);
  void release_locks(const OpenFile& file, const fuse_file_info& info);

  // --- handover ---
  void save(const OpenFile& file, handover::File& out) const;
  OpenFile restore(const handover::File& in) const;

  // --- commits (filesystem_commit.cpp) ---
  using Committed = std::move_only_function<void(int error)>;
  // Commits what `handle` holds uncommitted, after the commit under way. `done` is called exactly
  // once, never if the filesystem is stopped.
  void commit(Handle handle, Committed done);
  // The same, answering `reply`.
  void commit_and_answer(Reply reply, Handle handle, Again answer);
  struct CommitPlan;
  CommitPlan plan_commit(OpenFile& file) const;
  void adopt(OpenFile& creator, Ino ino);
  void commit_finished(Handle handle, const CommitPlan& plan, const Outcome& outcome);
  int commit_succeeded(OpenFile& file, const CommitPlan& plan, const Outcome& outcome);
  int commit_failed(OpenFile& file, const CommitPlan& plan, const Outcome& outcome);
  void release_commit(Handle handle);
  void note_error(const OpenFile& file, int error, Zxid zxid);
  // Runs `again` once the file `node`, if provisional, is committed. False if there is nothing to
  // wait for.
  bool commit_provisional_first(Reply& reply, NodeId node, Again again);
  server::CreateRequest create_request(const Creation& creation) const;
  static server::Operation with_parent_made(const Creation& creation,
                                            std::vector<server::SubRequest> operations);
  static server::Operation one_or_multi(std::vector<server::SubRequest> operations);
  // Has the kernel's entry of a marker renamed to the znode's name.
  void announce_name(const Creation& creation, NodeId node, std::string_view name);
  // Files with a marker whose opener neither writes nor closes (see the .cpp).
  void watch_idle_creator(Handle handle);
  void look_at_idle_creators_later();
  void look_at_idle_creators();

  // --- directories and names ---
  void make_node(
      Reply reply, Place place, NodeId parent, Name ghost, server::CreateRequest request);
  [[nodiscard]] bool is_system_at(Ino parent, const std::string& name) const;
  void remove(Reply reply, Ino parent, const std::string& name, bool directory);
  void data_is_absent_for(Ino directory, pid_t caller);
  void fill(DirectoryHandle& directory);
  fuse_entry_param entry_of(const tree::Znode& znode, NodeId node) const;
  void read_control_directory(
      Reply reply, DirectoryHandle& directory, std::size_t size, off_t offset, bool plus);
  // True for `leaf@dir` of a znode that was made as a file: a child needs its kind changed first.
  bool is_leaf_as_directory(NodeId node) const;
  static Creation target_of(const Place& place, Name ghost);
  void rename_onto_data(Reply reply, const Place& from, Ino directory);
  void rename_retyped(
      Reply reply, const Place& from, const Place& to, const RenameNames& names, unsigned attempt);

  // --- attributes ---
  void answer_attributes(Reply reply, NodeId node, std::optional<Handle> handle);
  void setattr_admitted(Reply reply, NodeId node, Wanted wanted, std::optional<Handle> handle);
  void truncate_handle(Reply reply, NodeId node, const Wanted& wanted, Handle handle);
  void remember_on_open_files(NodeId node, pid_t caller, Wanted& wanted);
  void set_data(
      Reply reply, NodeId node, std::optional<std::uint64_t> size, unsigned attempt, Again done);
  std::vector<server::SubRequest> attribute_changes(const tree::Znode& znode,
                                                    NodeId node,
                                                    const Wanted& wanted) const;
  void change_attributes(Reply reply,
                         NodeId node,
                         const Wanted& wanted,
                         std::optional<Handle> handle);
  XattrContext xattr_context(const tree::Znode& znode, NodeId node) const;

  Parts parts_;
  bool stopped_ = false;
  Ino root_;  // 0: not there yet
  Barriers barriers_;
  Handles<OpenFile> files_;
  Handles<DirectoryHandle> directories_;
  std::unordered_multimap<NodeId, Handle> files_of_node_;
  std::unordered_map<NodeId, Handle> provisional_;  // not committed; by whom it was made
  std::uint64_t last_provisional_ = 0;
  std::unordered_map<Ino, Ino> followed_;  // a rename put the first one's value into the second
  std::unordered_map<Ino, std::string> errors_;  // user.zk.error
  // Who just made the directory or removed its `.@data` (thread), by directory: to him it does not
  // exist until he makes it, so that cp -r's mkdir + O_EXCL and tar's unlink + O_EXCL work,
  // although it always resolves.
  std::unordered_map<Ino, pid_t> data_absent_for_;
  std::vector<IdleCreator> idle_creators_;  // to be looked at
  std::chrono::microseconds idle_look_{};
  asio::steady_timer idle_timer_;
  std::string scratch_;  // for readdir
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zkfs::mount
