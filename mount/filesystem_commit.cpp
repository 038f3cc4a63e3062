// SPDX-License-Identifier: Apache-2.0
// How the bytes of an open file become one transaction.
#include <algorithm>
#include <cerrno>
#include <chrono>

#include <fmt/core.h>

#include "ensemble/base/log.h"
#include "mount/errno_map.h"
#include "mount/filesystem.h"
#include "mount/task_state.h"

namespace zkfs::mount {

namespace {

// How often a file with a marker that is neither written nor closed is looked at: soon, because a
// script asks for its name next; then less and less.
constexpr std::chrono::microseconds kIdleLookMin{250};
constexpr std::chrono::microseconds kIdleLookMax{20'000};
// Beyond it they are made when written or closed.
constexpr std::size_t kWatchedCreatorsMax = 4096;

}  // namespace

// --- requests ---

server::CreateRequest Filesystem::create_request(const Creation& creation) const {
  server::CreateRequest request;
  request.target = {.ino = creation.parent, .path = creation.name};
  request.acl = acl_for(creation.ownership, false, {});
  request.type = creation.marker.type;
  request.kind = tree::NodeKind::kFile;
  request.sequential = creation.marker.sequential;
  request.executable = (creation.ownership.mode & 0111U) != 0;
  request.ttl_ms = creation.marker.ttl_ms;
  return request;
}

server::Operation Filesystem::with_parent_made(const Creation& creation,
                                               std::vector<server::SubRequest> operations) {
  if (creation.make_parent_directory) {
    operations.insert(operations.begin(),
                      server::SetAttributesRequest{.target = {.ino = creation.parent, .path = {}},
                                                   .mtime = {},
                                                   .kind = tree::NodeKind::kDirectory,
                                                   .executable = {}});
  }
  return one_or_multi(std::move(operations));
}

server::Operation Filesystem::one_or_multi(std::vector<server::SubRequest> operations) {
  if (operations.size() > 1) return server::MultiRequest{std::move(operations)};
  return std::visit(
      [](auto& request) -> server::Operation {
        using Request = std::decay_t<decltype(request)>;
        if constexpr (std::is_same_v<Request, server::CheckRequest>) {
          return server::MultiRequest{{request}};
        } else {
          return std::move(request);
        }
      },
      operations.front());
}

bool Filesystem::is_leaf_as_directory(NodeId node) const {
  if (face_of(node) != Face::kDirectory) return false;
  const auto znode = znode_of(node);
  return znode && znode->kind == tree::NodeKind::kFile && !znode->is_directory();
}

// What is asked for and what it covers; made when the commit begins.
struct Filesystem::CommitPlan {
  server::Operation operation;
  std::size_t index = 0;  // of the request that carries the data, in a multi
  Blob data;
  std::uint64_t writes = 0;
  std::optional<Creation> creation;
};

Filesystem::CommitPlan Filesystem::plan_commit(OpenFile& file) const {
  CommitPlan plan;
  plan.writes = file.writes;
  plan.creation = file.creation;
  plan.data = Blob(file.mode == WriteMode::kAppend || file.loaded ? std::string_view(file.staged)
                                                                  : file.snapshot.view());
  if (file.mode == WriteMode::kAppend) file.staged.clear();
  const server::Target target = file.creation
                                    ? server::Target{file.creation->parent, file.creation->name}
                                    : server::Target{file.ino, {}};
  std::vector<server::SubRequest> operations;
  if (file.creation) {
    server::CreateRequest create = create_request(*file.creation);
    create.data = plan.data;
    // Read and write: what another made meanwhile is not the value this descriptor opened.
    create.or_set = file.mode != WriteMode::kCompareAndSet || !file.dirty();
    // Nothing written, and not asked to truncate: what another made meanwhile stays.
    create.append = file.mode == WriteMode::kAppend || (!file.dirty() && !file.truncating);
    operations.emplace_back(std::move(create));
  } else if (file.mode == WriteMode::kAppend) {
    operations.emplace_back(server::AppendRequest{target, plan.data});
  } else {
    const bool compare = file.mode == WriteMode::kCompareAndSet || file.mode == WriteMode::kOverlay;
    operations.emplace_back(
        server::SetDataRequest{target, plan.data, compare ? file.version : server::kAnyVersion});
  }
  if (file.mtime && !(file.creation && file.creation->marker.sequential)) {
    operations.emplace_back(server::SetAttributesRequest{
        .target = target, .mtime = file.mtime, .kind = {}, .executable = {}});
  }
  const bool parent = file.creation && file.creation->make_parent_directory;
  plan.index = parent ? 1 : 0;
  plan.operation = parent ? with_parent_made(*file.creation, std::move(operations))
                          : one_or_multi(std::move(operations));
  return plan;
}

// --- one commit ---

void Filesystem::commit(Handle handle, Committed done) {
  OpenFile* file = files_.find(handle);
  if (file == nullptr) return done(EIO);
  if (file->committing) {
    file->after_commit.push_back([this, handle, done = std::move(done)](int error) mutable {
      const OpenFile* later = files_.find(handle);
      // The commit that was under way had what there was to commit.
      if (later == nullptr || !later->needs_commit()) return done(error);
      commit(handle, std::move(done));
    });
    return;
  }
  if (!file->needs_commit()) return done(file->failed);
  file->committing = true;
  file->after_commit.push_back(std::move(done));
  auto plan = std::make_shared<CommitPlan>(plan_commit(*file));
  server::Operation operation = std::move(plan->operation);
  MountSession& session = file->owner ? *file->owner : parts_.session;
  session.submit(
      file->identity, std::move(operation),
      [this, alive = alive_, handle, plan](const Outcome& o) {
        if (*alive) commit_finished(handle, *plan, o);
      },
      file->locked_in);
}

void Filesystem::commit_and_answer(Reply reply, Handle handle, Again answer) {
  const Parking::Id id = parts_.parking.park(
      std::move(reply),
      [this, handle](Parking::Why why) {
        const OpenFile* file = files_.find(handle);
        if (why == Parking::Why::kDeadline && file != nullptr) note_error(*file, EIO, {});
      },
      commit_terms());
  commit(handle, [this, id, answer = std::move(answer)](int error) mutable {
    Reply parked = parts_.parking.take(id);
    if (!parked.pending()) return;
    if (error != 0) return parked.error(error);
    answer(std::move(parked));
  });
}

void Filesystem::commit_finished(Handle handle, const CommitPlan& plan, const Outcome& outcome) {
  OpenFile* file = files_.find(handle);
  if (file == nullptr) return;
  const int error = outcome.error == Error::kOk ? commit_succeeded(*file, plan, outcome)
                                                : commit_failed(*file, plan, outcome);
  // What they do may drop the file.
  file->committing = false;
  for (auto& waiter : std::exchange(file->after_commit, {})) waiter(error);
}

int Filesystem::commit_succeeded(OpenFile& file, const CommitPlan& plan, const Outcome& outcome) {
  const Outcome& made = outcome.operations.empty() ? outcome : outcome.operations[plan.index];
  file.committed_writes = plan.writes;
  file.truncation_pending = false;
  if (!file.dirty()) {
    file.mtime.reset();
    file.writers.clear();
  }
  file.version = made.version;
  file.snapshot = plan.data;
  const auto znode = tree().find(made.ino);
  if (file.mode == WriteMode::kAppend && znode) file.snapshot = znode->data;
  if (file.mode == WriteMode::kCompareAndSet) file.loaded = false;
  if (znode) file.attr = attributes(*znode, file_node(znode->ino));
  if (plan.creation) {
    file.creation.reset();
    file.identity = server::Identity{};  // as in open_znode()
    file.ino = made.ino;
    adopt(file, made.ino);
    if (znode) announce_name(*plan.creation, file.node, std::string(znode->name));
  }
  errors_.erase(file.ino);
  return 0;
}

// The file that the kernel knows by a provisional number has a znode.
void Filesystem::adopt(OpenFile& creator, Ino ino) {
  const NodeId provisional = creator.node;
  const NodeId node = file_node(ino);
  if (face_of(provisional) != Face::kProvisional) return;
  provisional_.erase(provisional);
  parts_.inodes.adopt(provisional, node);
  std::vector<Handle> handles;
  const auto [first, last] = files_of_node_.equal_range(provisional);
  for (auto it = first; it != last; ++it) handles.push_back(it->second);
  files_of_node_.erase(provisional);
  for (const Handle handle : handles) {
    files_.find(handle)->node = node;
    files_of_node_.emplace(node, handle);
  }
}

int Filesystem::commit_failed(OpenFile& file, const CommitPlan& plan, const Outcome& outcome) {
  int error = errno_of(outcome.error);
  // Final: it has not happened and never will, so it is not tried again behind the caller's back.
  file.committed_writes = plan.writes;
  file.truncation_pending = false;
  if (file.mode == WriteMode::kCompareAndSet) file.loaded = false;
  if (plan.creation) {
    if (file.mode == WriteMode::kCompareAndSet && outcome.error == Error::kNodeExists) {
      error = ESTALE;
    }
    file.failed = error;
    file.creation.reset();
  }
  if (file.mode != WriteMode::kCompareAndSet) note_error(file, error, outcome.zxid);
  return error;
}

// user.zk.error, for whoever could not be told by close.
void Filesystem::note_error(const OpenFile& file, int error, Zxid zxid) {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  ZKFS_LOG_WARN(mount, "commit failed ino={} errno={} zxid={}", file.ino, error, zxid);
  if (file.ino && tree().find(file.ino)) {
    errors_[file.ino] = fmt::format("errno={} zxid={} time={}", error, zxid, now.count());
  }
}

// The last close: before any later open sees the file.
void Filesystem::release_commit(Handle handle) {
  const OpenFile& file = *files_.find(handle);
  const Barriers::Key key = file.creation ? Barriers::of(file.creation->parent, file.creation->name)
                                          : Barriers::of(file.ino);
  // Whoever lists the directory next must find the new name there.
  const Barriers::Key listing = file.creation ? Barriers::of(file.creation->parent) : key;
  barriers_.begin(key);
  barriers_.begin(listing);
  commit(handle, [this, key, listing, handle](int) {
    drop_file(handle);
    barriers_.end(key);
    barriers_.end(listing);
  });
}

bool Filesystem::commit_provisional_first(Reply& reply, NodeId node, Again again) {
  if (face_of(node) != Face::kProvisional) return false;
  const auto it = provisional_.find(node);
  if (it == provisional_.end()) return false;
  const OpenFile* creator = files_.find(it->second);
  if (creator == nullptr || (!creator->needs_commit() && !creator->committing)) return false;
  commit_and_answer(std::move(reply), it->second, std::move(again));
  return true;
}

// --- names of marked files ---

void Filesystem::announce_name(const Creation& creation, NodeId node, std::string_view name) {
  if (!creation.marker.any) return;
  parts_.replay.rename_ghost(directory_node(creation.parent), creation.ghost, shown_name(name),
                             node);
}

// `echo x > job-@seq` must be one transaction: consumers never see an empty entry. But
// `exec 3> job-@seq; name=$(readlink /proc/$$/fd/3)` must find the name although nothing is
// written. The two cannot be told apart as the file is created, only by what the opener does next:
// whoever redirects a command's output makes the file a standard stream and writes; an opener that
// goes to sleep with the file under another number, and nothing written, keeps it for its name.
void Filesystem::watch_idle_creator(Handle handle) {
  if (idle_creators_.size() >= kWatchedCreatorsMax) return;
  idle_creators_.push_back({handle});
  idle_look_ = kIdleLookMin;
  if (idle_creators_.size() == 1) look_at_idle_creators_later();
}

void Filesystem::look_at_idle_creators_later() {
  idle_timer_.expires_after(idle_look_);
  idle_look_ = std::min(idle_look_ * 2, kIdleLookMax);
  idle_timer_.async_wait([this, alive = alive_](const asio::error_code& error) {
    if (!error && *alive) look_at_idle_creators();
  });
}

void Filesystem::look_at_idle_creators() {
  for (IdleCreator idle : std::exchange(idle_creators_, {})) {
    const OpenFile* file = files_.find(idle.handle);
    if (file == nullptr || !file->creation || file->dirty() || file->committing || file->released) {
      continue;
    }
    const auto state = read_task_state(file->opener);
    if (!state) continue;  // gone: what it left open is somebody else's standard stream
    // Asleep twice: once may be in a request to us that we have not read yet.
    if (!state->sleeping || !std::exchange(idle.slept, true)) {
      idle.slept = state->sleeping;
      idle_creators_.push_back(idle);
    } else if (!is_standard_stream(file->opener, file->node)) {
      commit(idle.handle, [](int) {});
    }
  }
  if (!idle_creators_.empty()) look_at_idle_creators_later();
}

}  // namespace zkfs::mount
