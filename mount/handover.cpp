// SPDX-License-Identifier: Apache-2.0
// Saving and restoring what the kernel believes about a mount: the parts of InodeTable, Locks,
// OwnerSessions and Filesystem that an upgrade in place needs (handover.proto says what and why).
#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>

#include "ensemble/base/log.h"
#include "mount/filesystem.h"
#include "mount/handover.pb.h"

namespace zkfs::mount {

namespace {

void save(const MountSession& session, handover::Session& out) {
  const server::SessionHandover handed = session.hand_over();
  out.set_id(handed.id.value);
  out.set_timeout_ms(handed.timeout_ms);
  out.set_next_xid(handed.next_xid);
  out.set_owner(session.owner());
}

server::SessionHandover session_of(const handover::Session& in) {
  return {.id = SessionId{in.id()}, .timeout_ms = in.timeout_ms(), .next_xid = in.next_xid()};
}

void save(const Control::Entry& entry, handover::ControlEntry& out) {
  out.set_path(entry.path);
  out.set_directory(entry.directory);
  out.set_node(entry.node);
}

Control::Entry control_entry(const handover::ControlEntry& in) {
  return {.path = in.path(), .directory = in.directory(), .node = in.node()};
}

void save(const Creation& creation, handover::Creation& out) {
  out.set_parent(creation.parent.value);
  out.set_name(creation.name);
  out.set_ghost(creation.ghost);
  if (creation.marker.any) out.set_marked_name(creation.ghost);
  out.set_mode(creation.ownership.mode);
  out.set_uid(creation.ownership.uid);
  out.set_gid(creation.ownership.gid);
  out.set_make_parent_directory(creation.make_parent_directory);
}

Creation restore(const handover::Creation& in) {
  Creation creation;
  creation.parent = Ino{in.parent()};
  creation.name = in.name();
  creation.ghost = in.ghost();
  if (!in.marked_name().empty()) creation.marker = parse_marker(in.marked_name());
  creation.ownership = {.mode = in.mode(), .uid = in.uid(), .gid = in.gid()};
  creation.make_parent_directory = in.make_parent_directory();
  return creation;
}

}  // namespace

// --- inodes ---

void InodeTable::save(handover::Mount& out) const {
  for (const auto& [node, held] : held_) {
    handover::Inode& inode = *out.add_inodes();
    inode.set_node(node);
    inode.set_count(held.count);
  }
  for (const auto& [provisional, adopted] : adopted_) {
    handover::Adopted& entry = *out.add_adopted();
    entry.set_provisional(provisional);
    entry.set_node(adopted.ours);
    entry.set_count(adopted.count);
    const auto name = names_.find(adopted.ours);
    entry.set_current(name != names_.end() && name->second == provisional);
  }
}

void InodeTable::restore(const handover::Mount& in) {
  // Whoever looked it up: the workers' are few, and soon forgotten.
  for (const handover::Inode& inode : in.inodes()) held_[inode.node()] = {inode.count(), true};
  for (const handover::Adopted& entry : in.adopted()) {
    adopted_[entry.provisional()] = {.ours = entry.node(), .count = entry.count()};
    if (entry.current()) names_[entry.node()] = entry.provisional();
  }
}

// --- locks ---

bool Locks::settled() const {
  for (const auto& [request, waiting] : waiting_) {
    if (!waiting.queued || waiting.cancelled) return false;
  }
  return true;
}

void Locks::save(handover::Mount& out) const {
  out.set_last_lock_request(last_request_);
  for (const auto& [who, asked] : asked_) {
    handover::LockOwner& owner = *out.add_lock_owners();
    owner.set_ino(std::get<0>(who));
    owner.set_space(static_cast<std::uint32_t>(std::get<1>(who)));
    owner.set_owner(std::get<2>(who));
    owner.set_process(asked.process);
    owner.set_last_request(asked.last_request);
  }
  for (const auto& [request, waiting] : waiting_) {
    handover::LockWaiter& waiter = *out.add_lock_waiters();
    waiter.set_request(request);
    waiter.set_ino(waiting.who.ino.value);
    waiter.set_space(static_cast<std::uint32_t>(waiting.who.space));
    waiter.set_owner(waiting.who.owner);
    waiter.set_process(waiting.who.process);
    waiter.set_mode(static_cast<std::uint32_t>(waiting.what.mode));
    waiter.set_first(waiting.what.range.first);
    waiter.set_last(waiting.what.range.last);
  }
}

void Locks::restore(const handover::Mount& in) {
  last_request_ = in.last_lock_request();
  for (const handover::LockOwner& owner : in.lock_owners()) {
    asked_[{owner.ino(), static_cast<tree::LockSpace>(owner.space()), owner.owner()}] = {
        .process = owner.process(), .last_request = owner.last_request()};
  }
  for (const handover::LockWaiter& waiter : in.lock_waiters()) {
    Waiting& waiting = waiting_[waiter.request()];
    waiting.who = {.ino = Ino{waiter.ino()},
                   .space = static_cast<tree::LockSpace>(waiter.space()),
                   .owner = waiter.owner(),
                   .process = waiter.process()};
    waiting.what = {.mode = static_cast<tree::LockMode>(waiter.mode()),
                    .range = {.first = waiter.first(), .last = waiter.last()},
                    .wait = true};
    waiting.queued = true;
    waiting.session = session_.id();
  }
  // The kernel sends what was unanswered again at once.
  constexpr Millis kPatience{10'000};
  if (!waiting_.empty()) orphans_until_ = now_() + kPatience;
}

// --- sessions of owners ---

bool OwnerSessions::settled() const {
  if (!ending_.empty()) return false;
  for (const auto& [pid, process] : processes_) {
    if (!process.session->idle() && !process.session->over()) return false;
  }
  for (const auto& [key, session] : files_) {
    if (!session->idle() && !session->over()) return false;
  }
  return true;
}

void OwnerSessions::save(handover::Mount& out) const {
  for (const auto& [pid, process] : processes_) {
    if (process.session->over()) continue;
    handover::Process& entry = *out.add_processes();
    entry.set_pid(pid);
    const int pidfd = ::fcntl(process.pidfd->native_handle(), F_DUPFD, 0);
    entry.set_pidfd(pidfd);
    mount::save(*process.session, *entry.mutable_session());
  }
  for (const auto& [key, session] : files_) {
    if (!session->over()) mount::save(*session, *out.add_file_sessions());
  }
}

void OwnerSessions::restore(const handover::Mount& in) {
  const auto resumed = [this](const handover::Session& saved) {
    auto session = std::make_shared<MountSession>(door_, saved.timeout_ms(), saved.owner(),
                                                  MountSession::AfterLoss::kEnd);
    session->resume(session_of(saved));
    return session;
  };
  for (const handover::Process& entry : in.processes()) {
    Process process;
    process.session = resumed(entry.session());
    ::fcntl(entry.pidfd(), F_SETFD, FD_CLOEXEC);
    process.pidfd = std::make_unique<asio::posix::stream_descriptor>(context_, entry.pidfd());
    watch(entry.pid(), std::move(process));
  }
  for (const handover::Session& saved : in.file_sessions()) {
    const Shared session = resumed(saved);
    files_[session.get()] = session;
  }
}

OwnerSessions::Shared OwnerSessions::find(SessionId session) const {
  if (!session) return {};
  for (const auto& [pid, process] : processes_) {
    if (process.session->id() == session) return process.session;
  }
  for (const auto& [key, candidate] : files_) {
    if (candidate->id() == session) return candidate;
  }
  return {};
}

// --- files and directories ---

bool Filesystem::settled() {
  bool settled = true;
  files_.for_each([&](Handle, const OpenFile& file) {
    if (file.committing || file.released) settled = false;
  });
  return settled && parts_.session.idle() && parts_.owners.settled() && parts_.locks.settled();
}

void Filesystem::save(const OpenFile& file, handover::File& out) const {
  out.set_node(file.node);
  out.set_ino(file.ino.value);
  if (file.creation) mount::save(*file.creation, *out.mutable_creation());
  out.set_write_mode(static_cast<std::uint32_t>(file.mode));
  out.set_readable(file.readable);
  out.set_truncating(file.truncating);
  out.set_synchronous(file.synchronous);
  out.set_opener(file.opener);
  out.set_uid(file.identity.uid);
  for (const std::uint32_t gid : file.identity.gids) out.add_gids(gid);
  out.set_attr_mode(file.attr.st_mode);
  out.set_attr_uid(file.attr.st_uid);
  out.set_attr_gid(file.attr.st_gid);
  out.set_attr_ino(file.attr.st_ino);
  out.set_attr_size(file.attr.st_size);
  out.set_attr_mtime_ms(file.attr.st_mtim.tv_sec * 1000 + file.attr.st_mtim.tv_nsec / 1'000'000);
  out.set_snapshot(std::string(file.snapshot.view()));
  out.set_version(file.version);
  out.set_staged(file.staged);
  out.set_loaded(file.loaded);
  out.set_at_end(file.at_end);
  out.set_writes(file.writes);
  out.set_committed_writes(file.committed_writes);
  out.set_truncation_pending(file.truncation_pending);
  out.set_has_mtime(file.mtime.has_value());
  out.set_mtime(file.mtime.value_or(0));
  for (const std::uint64_t writer : file.writers) out.add_writers(writer);
  out.set_failed(file.failed);
  if (file.owner) out.set_owner_session(file.owner->id().value);
  // A session that is over, or would not be found again, must not become the mount's own.
  if (file.owner && (file.owner->over() || !file.owner->id())) out.set_failed(EIO);
  out.set_ends_owner(file.ends_owner);
  out.set_locked_in(file.locked_in.value);
  out.set_fenced(file.fenced);
  out.set_lock_ino(file.lock_ino.value);
  out.set_has_flock_owner(file.flock_owner.has_value());
  out.set_flock_owner(file.flock_owner.value_or(0));
  for (const std::uint64_t owner : file.fcntl_owners) out.add_fcntl_owners(owner);
  out.set_opener_flushes(file.opener_flushes);
}

OpenFile Filesystem::restore(const handover::File& in) const {
  OpenFile file;
  file.node = in.node();
  file.ino = Ino{in.ino()};
  if (in.has_creation()) file.creation = mount::restore(in.creation());
  file.mode = static_cast<WriteMode>(in.write_mode());
  file.readable = in.readable();
  file.truncating = in.truncating();
  file.synchronous = in.synchronous();
  file.opener = in.opener();
  file.identity.uid = in.uid();
  file.identity.gids.assign(in.gids().begin(), in.gids().end());
  file.attr.st_mode = in.attr_mode();
  file.attr.st_uid = in.attr_uid();
  file.attr.st_gid = in.attr_gid();
  file.attr.st_ino = in.attr_ino();
  file.attr.st_size = in.attr_size();
  file.attr.st_nlink = 1;
  file.attr.st_blksize = 128 * 1024;
  file.attr.st_blocks = (file.attr.st_size + 511) / 512;
  file.attr.st_mtim = {.tv_sec = in.attr_mtime_ms() / 1000,
                       .tv_nsec = in.attr_mtime_ms() % 1000 * 1'000'000};
  file.attr.st_ctim = file.attr.st_atim = file.attr.st_mtim;
  file.snapshot = Blob(in.snapshot());
  file.begun = true;
  file.version = in.version();
  file.staged = in.staged();
  file.loaded = in.loaded();
  file.at_end = in.at_end();
  file.writes = in.writes();
  file.committed_writes = in.committed_writes();
  file.truncation_pending = in.truncation_pending();
  if (in.has_mtime()) file.mtime = in.mtime();
  file.writers.assign(in.writers().begin(), in.writers().end());
  file.failed = in.failed();
  file.owner = parts_.owners.find(SessionId{in.owner_session()});
  if (in.owner_session() != 0 && !file.owner) file.failed = EIO;
  if (file.creation) file.creation->owner = file.owner;
  file.ends_owner = in.ends_owner() && file.owner;
  file.locked_in = SessionId{in.locked_in()};
  file.fenced = in.fenced();
  file.lock_ino = Ino{in.lock_ino()};
  if (in.has_flock_owner()) file.flock_owner = in.flock_owner();
  file.fcntl_owners.assign(in.fcntl_owners().begin(), in.fcntl_owners().end());
  file.opener_flushes = in.opener_flushes();
  return file;
}

void Filesystem::save(handover::Mount& out) {
  mount::save(parts_.session, *out.mutable_session());
  parts_.owners.save(out);
  parts_.locks.save(out);
  parts_.inodes.save(out);
  for (const Control::Entry& entry : parts_.control.all_held()) {
    mount::save(entry, *out.add_control());
  }
  files_.for_each([&](Handle handle, const OpenFile& file) {
    handover::File& saved = *out.add_files();
    saved.set_handle(handle);
    save(file, saved);
  });
  directories_.for_each([&](Handle handle, const DirectoryHandle& directory) {
    handover::Directory& saved = *out.add_directories();
    saved.set_handle(handle);
    saved.set_node(directory.node);
    for (const Ino child : directory.children) saved.add_children(child.value);
    saved.set_with_data(directory.with_data);
    saved.set_loaded(directory.loaded);
    for (const Control::Entry& entry : directory.control) {
      mount::save(entry, *saved.add_control());
    }
  });
  out.set_last_provisional(last_provisional_);
  for (const auto& [from, to] : followed_) {
    handover::Followed& followed = *out.add_followed();
    followed.set_from(from.value);
    followed.set_to(to.value);
  }
  for (const auto& [ino, text] : errors_) {
    handover::CommitError& error = *out.add_errors();
    error.set_ino(ino.value);
    error.set_text(text);
  }
}

void Filesystem::restore(const handover::Mount& in) {
  parts_.session.resume(session_of(in.session()));
  parts_.owners.restore(in);
  parts_.locks.restore(in);
  parts_.inodes.restore(in);
  for (const handover::ControlEntry& entry : in.control()) {
    parts_.control.hold(control_entry(entry));
  }
  for (const handover::File& saved : in.files()) {
    OpenFile file = restore(saved);
    const NodeId node = file.node;
    if (face_of(node) == Face::kProvisional && file.creation) provisional_[node] = saved.handle();
    files_.put(saved.handle(), std::move(file));
    files_of_node_.emplace(node, saved.handle());
  }
  for (const handover::Directory& saved : in.directories()) {
    DirectoryHandle directory;
    directory.node = saved.node();
    for (const std::uint64_t child : saved.children()) directory.children.emplace_back(child);
    directory.with_data = saved.with_data();
    directory.loaded = saved.loaded();
    for (const handover::ControlEntry& entry : saved.control()) {
      directory.control.push_back(control_entry(entry));
    }
    directories_.put(saved.handle(), std::move(directory));
  }
  last_provisional_ = in.last_provisional();
  for (const handover::Followed& followed : in.followed()) {
    followed_[Ino{followed.from()}] = Ino{followed.to()};
  }
  for (const handover::CommitError& error : in.errors()) {
    errors_[Ino{error.ino()}] = error.text();
  }
}

}  // namespace zkfs::mount
