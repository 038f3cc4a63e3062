// SPDX-License-Identifier: Apache-2.0
// What of this mount's own changes is replayed. The kernel fired the event itself, except where it
// did not ask for the change: a znode that became a directory (it was asked for a child) or a file
// (it was asked for an attribute); the ephemerals of a session that ended. And except where an
// older poke about the same name is still pending: it comes after the kernel's own event, so that
// the last event would tell of the state before the last change; then the local change is shown
// once more, behind it.
#include "mount/replay.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <time.h>

#include "ensemble/base/limits.h"
#include "ensemble/base/log.h"
#include "mount/event_worker.h"
#include "mount/handover.pb.h"
#include "mount/net_difference.h"
#include "mount/replay_plan.h"
#include "mount/replay_queue.h"
#include "mount/view.h"

namespace zkfs::mount {

namespace {

using tree::Change;

// Pokes after which the kernel is made to tell what is in use still, if it holds fewer nodes.
constexpr std::size_t kPruneMin = 1'024;
constexpr std::uint64_t kReplayHandle = Replay::kHandleBit | 1U;

bool creates(Poke::Kind kind) {
  return kind == Poke::Kind::kCreateFile || kind == Poke::Kind::kCreateWithData ||
         kind == Poke::Kind::kCreateSymlink || kind == Poke::Kind::kMakeDirectory;
}

bool removes(Poke::Kind kind) {
  return kind == Poke::Kind::kUnlink || kind == Poke::Kind::kRemoveDirectory;
}

bool moves(Poke::Kind kind) {
  return kind == Poke::Kind::kRename || kind == Poke::Kind::kReplace ||
         kind == Poke::Kind::kExchange;
}

// Of what the tree does not have; then only a directory is ever asked for, as some poke's parent.
ReplaySubject subject_of(NodeId node) {
  const Face face = face_of(node);
  const mode_t type =
      face == Face::kDirectory ? S_IFDIR : (face == Face::kLink ? S_IFLNK : S_IFREG);
  return {.node = node, .type = type};
}

// Attributes of what the tree does not have (any more).
struct stat tombstone(const ReplaySubject& subject) {
  struct stat attr {};

  attr.st_ino = ino_of(subject.node).value;
  attr.st_mode = subject.type | (S_ISDIR(subject.type) ? 0755U : 0644U);
  attr.st_nlink = S_ISDIR(subject.type) ? 2 : 1;
  attr.st_size = static_cast<off_t>(subject.size);
  return attr;
}

// At most one line a second.
class Throttle {
 public:
  bool allow() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (now.tv_sec == last_) return false;
    last_ = now.tv_sec;
    return true;
  }

 private:
  time_t last_ = -1;
};

}  // namespace

struct Replay::State {
  State(asio::io_context& io,
        const server::Door& the_door,
        InodeTable& table,
        EventHelper* workers,
        OwnSession own)
      : context(io),
        door(the_door),
        inodes(table),
        helper(workers),
        own_session(std::move(own)),
        queue(workers == nullptr ? 0 : workers->worker_count(), limits::kReplayQueueMax) {}

  asio::io_context& context;
  const server::Door& door;
  InodeTable& inodes;
  EventHelper* helper;
  OwnSession own_session;
  ReplayQueue queue;
  ReplayCounters counters;
  bool running = false;
  Zxid seen_to;  // the daemon before this one has dealt with what came up to here
  std::vector<std::unique_ptr<asio::posix::stream_descriptor>> descriptors;
  // Handlers that outlive this object find it gone.
  std::shared_ptr<State*> self = std::make_shared<State*>(this);
  Throttle overflow_log;
  Throttle failure_log;
  // See prune_if_due().
  std::size_t shown_since_prune = 0;
  std::optional<std::size_t> pruning;  // which worker
  bool can_prune = true;

  // --- from changes to the queue ---
  void add_all(std::span<const Change> changes, const tree::DataTree& tree, auto&& wanted);
  void push(ReplayItem item);
  [[nodiscard]] bool unseen_by_kernel(const server::AppliedTxn& txn, const Change& change) const;
  void note_overflow();

  // --- to the workers and back ---
  void arm(std::size_t worker);
  bool drain(std::size_t worker);
  void pump();
  bool send_next(std::size_t worker);
  void done(std::size_t worker, std::uint64_t token, int error);
  void show_halves(const ReplayItem& move);
  void prune_if_due(std::size_t worker);
  void pruned(int error);
  void attached(int error);
  void buried(std::size_t worker);
  void turn_off();

  // --- what the workers see ---
  ReplayItem* current(pid_t pid);
  std::optional<tree::Znode> znode_of(NodeId node) const;
  fuse_entry_param entry_of(const ReplaySubject& subject) const;
  std::optional<ReplaySubject> seen_at(const ReplayItem& item,
                                       NodeId parent,
                                       std::string_view name) const;
  std::optional<ReplaySubject> seen_at(NodeId parent, std::string_view name) const;
  struct stat attributes_of(const ReplayItem* item, NodeId node) const;
  fuse_entry_param hand_out(const ReplaySubject& subject);
  ReplayItem* creating(const Reply& reply, NodeId parent, std::string_view name);
  void used_with(NodeId child, NodeId parent);
  void look_up_number(Reply reply, const ReplayItem* item, std::string_view name);
  void create_entry(Reply reply, NodeId parent, std::string_view name);
  void remove(Reply reply, NodeId parent, std::string_view name);
};

// --- from changes to the queue ---

// Those of the changes that `wanted` says, as they show in `tree`.
void Replay::State::add_all(std::span<const Change> changes,
                            const tree::DataTree& tree,
                            auto&& wanted) {
  while (!changes.empty()) {
    std::size_t shown = 1;
    if (wanted(changes.front())) {
      ReplayPlan plan = plan_replay(changes, {tree, inodes});
      if (plan.items.empty()) ++counters.skipped;
      for (ReplayItem& item : plan.items) push(std::move(item));
      shown = plan.shown;
    }
    changes = changes.subspan(shown);
  }
}

void Replay::State::push(ReplayItem item) {
  if (queue.push(std::move(item)) == ReplayQueue::Pushed::kMerged) {
    ++counters.merged;
  } else {
    ++counters.queued;
  }
  if (queue.overflowed() != counters.overflowed) note_overflow();
}

void Replay::State::note_overflow() {
  counters.overflowed = queue.overflowed();
  if (overflow_log.allow())
    ZKFS_LOG_WARN(mount,
                  "inotify replay: more than {} changes wait, some are not shown lost_total={}",
                  limits::kReplayQueueMax, counters.overflowed);
}

bool Replay::State::unseen_by_kernel(const server::AppliedTxn& txn, const Change& change) const {
  const bool own = txn.local && (!own_session || own_session(txn.session));
  if (!own || change.kind == Change::Kind::kBecameDirectory) return true;
  if (change.kind == Change::Kind::kAttributes && change.directory != change.was_directory)
    return true;
  if (change.kind == Change::Kind::kDeleted && !door.tree().find_session(txn.session)) return true;
  const auto pending = [&](Ino parent, std::string_view name) {
    return parent && queue.pending(directory_node(parent), shown_name(name));
  };
  if (change.kind == Change::Kind::kData && change.directory) return pending(change.ino, kDataName);
  return pending(change.parent, change.name) || pending(change.old_parent, change.old_name);
}

// --- to the workers and back ---

void Replay::State::arm(std::size_t worker) {
  if (helper->descriptor(worker) < 0) return;
  descriptors[worker]->async_wait(
      asio::posix::stream_descriptor::wait_read,
      [weak = std::weak_ptr(self), worker](const asio::error_code& error) {
        const auto state = weak.lock();
        if (error || !state) return;
        (*state)->drain(worker);
        (*state)->pump();
        (*state)->arm(worker);
      });
}

// Takes in what the worker has finished; true if anything. Done before each of its requests is
// looked at: it tells of a poke's end before it begins the next one, so the request then belongs to
// queue.current().
bool Replay::State::drain(std::size_t worker) {
  const int descriptor = helper->descriptor(worker);
  if (descriptor < 0) return false;
  bool any = false;
  const bool alive = helper->receive(descriptor, [&](std::uint64_t token, int error) {
    any = true;
    done(worker, token, error);
  });
  if (!alive) buried(worker);
  return any || !alive;
}

void Replay::State::pump() {
  // One each in turn, so that the work is spread before anybody is sent things ahead.
  for (bool sent = running; sent;) {
    sent = false;
    for (std::size_t worker = 0; worker < descriptors.size(); ++worker)
      sent |= helper->descriptor(worker) >= 0 && send_next(worker);
  }
}

bool Replay::State::send_next(std::size_t worker) {
  ReplayItem* item = queue.next(worker);
  if (item == nullptr) return false;
  Poke& poke = item->poke;
  // The worker goes by the kernel's numbers.
  Poke order = poke;
  order.parent = inodes.theirs(poke.parent);
  order.parent_path = shown_path(door.tree(), poke.parent, inodes.root());
  if (poke.other_parent != 0) {
    order.other_parent = inodes.theirs(poke.other_parent);
    order.other_path = shown_path(door.tree(), poke.other_parent, inodes.root());
  }
  // Of a move between directories that nobody watches two halves are shown, if it comes to that.
  order.by_number = inodes.watchable(item->subject.node) || inodes.watchable(item->target.node) ||
                    (poke.other_parent == 0 && inodes.watchable(poke.parent));
  const bool taken = helper->send(worker, order);
  if (taken) queue.sent(worker);
  return taken;
}

void Replay::State::done(std::size_t worker, std::uint64_t token, int error) {
  if (token == 0) return attached(error);
  if (token == EventHelper::kPruneToken) return pruned(error);
  const auto item = queue.finish(worker, token);
  if (!item) return;
  prune_if_due(worker);
  if (error == ESTALE && moves(item->poke.kind) && !item->second_choice) {
    ++counters.skipped;
    return show_halves(*item);
  }
  switch (error) {
    case 0:
      ++counters.done;
      return;
    // Nobody holds the directory, or the name in it is gone from the kernel's view.
    case ESTALE:
    case ENOENT:
      ++counters.skipped;
      return;
    // The mount is going away.
    case ENODEV:
    case ENOTCONN:
    case ECONNABORTED:
      ++counters.skipped;
      return turn_off();
    default:
      ++counters.failed;
      if (failure_log.allow())
        ZKFS_LOG_WARN(
            mount, "inotify replay: a change is not shown name={} kind={}: {} failed_total={}",
            item->poke.name, static_cast<int>(item->poke.kind), ::strerror(error), counters.failed);
  }
}

// The kernel holds what anybody has ever looked at until memory is short, and does not say what of
// it is watched. So as not to show for ever the changes of a tree that was once listed, what nobody
// uses is pruned after as many pokes as it holds nodes: that costs a small part of what those did.
void Replay::State::prune_if_due(std::size_t worker) {
  if (++shown_since_prune < std::max(kPruneMin, inodes.size())) return;
  if (pruning || !can_prune || !running || !helper->prune(worker)) return;
  shown_since_prune = 0;
  pruning = worker;
}

void Replay::State::pruned(int error) {
  pruning.reset();
  if (error == 0) {
    ++counters.prunes;
  } else if (running) {
    can_prune = false;
    ZKFS_LOG_INFO(mount,
                  "inotify replay shows changes also where nobody watches any more: the kernel's "
                  "unused entries cannot be pruned: {}",
                  ::strerror(error));
  }
}

// One of the two directories is gone from the tree and from the kernel; the other may be watched.
void Replay::State::show_halves(const ReplayItem& move) {
  if (!running || move.poke.parent == move.poke.other_parent) return;
  for (ReplayItem& half : plan_halves(move, {door.tree(), inodes})) {
    half.second_choice = true;
    ++counters.queued;
    // In the move's place.
    if (half.poke.other_parent == 0) {
      queue.push_urgent(std::move(half));
    } else {
      queue.push(std::move(half));
    }
  }
}

void Replay::State::attached(int error) {
  if (error == 0 || !running) return;
  ZKFS_LOG_ERROR(mount,
                 "inotify replay is off: the mount cannot be cloned: {}; changes made elsewhere "
                 "show no events (CAP_SYS_ADMIN is needed)",
                 ::strerror(error));
  turn_off();
}

void Replay::State::turn_off() {
  running = false;
  queue.clear();
}

void Replay::State::buried(std::size_t worker) {
  descriptors[worker]->release();
  if (pruning == worker) pruning.reset();
  // What had fired its event is not fired again.
  if (const ReplayItem* item = queue.current(worker); item != nullptr && item->effected) {
    queue.finish(worker, item->poke.token);
    ++counters.done;
  }
  queue.worker_ended(worker);
  if (helper->living_count() == 0) {
    if (running)
      ZKFS_LOG_ERROR(mount,
                     "inotify replay is off: all event workers are dead; changes made elsewhere "
                     "show no events");
    return turn_off();
  }
  ZKFS_LOG_WARN(mount, "event worker died, the others take over worker={}", worker);
}

// --- what the workers see ---

ReplayItem* Replay::State::current(pid_t pid) {
  const auto worker = helper == nullptr ? std::nullopt : helper->worker_of(pid);
  if (!worker) return nullptr;
  if (drain(*worker)) pump();
  return queue.current(*worker);
}

std::optional<tree::Znode> Replay::State::znode_of(NodeId node) const {
  if (!is_of_znode(node)) return std::nullopt;
  auto znode = door.tree().find(ino_of(node));
  if (znode && !has_face(*znode, face_of(node))) znode.reset();
  return znode;
}

// As it is now, unless it has become something of another type since.
fuse_entry_param Replay::State::entry_of(const ReplaySubject& subject) const {
  if (const auto znode = znode_of(subject.node)) return mount::entry(*znode, subject.node);
  fuse_entry_param entry{};
  entry.ino = subject.node;
  entry.attr = tombstone(subject);
  return entry;
}

// The name in the world that the poke needs. Empty: not there. Requires: the poke is about it.
std::optional<ReplaySubject> Replay::State::seen_at(const ReplayItem& item,
                                                    NodeId parent,
                                                    std::string_view name) const {
  const Poke& poke = item.poke;
  const bool source = parent == poke.parent && name == poke.name;
  if (creates(poke.kind) && !item.effected) return std::nullopt;
  if (removes(poke.kind) && item.effected) return std::nullopt;
  if (!moves(poke.kind)) return item.subject;
  const ReplaySubject& before = source ? item.subject : item.target;
  const ReplaySubject& after = source ? item.target : item.subject;
  const bool vacated = source && item.effected && poke.kind != Poke::Kind::kExchange;
  const ReplaySubject& now = item.effected ? after : before;
  if (vacated || now.node == 0) return std::nullopt;
  return now;
}

// The name in the tree.
std::optional<ReplaySubject> Replay::State::seen_at(NodeId parent, std::string_view name) const {
  if (face_of(parent) != Face::kDirectory) return std::nullopt;
  const Ino directory = ino_of(parent);
  if (name == kDataName) {
    if (!door.tree().find(directory)) return std::nullopt;
    return subject_of(file_node(directory));
  }
  const auto child = door.tree().find_child(directory, real_name(name));
  if (!child) return std::nullopt;
  return subject_of(natural_node(*child));
}

struct stat Replay::State::attributes_of(const ReplayItem* item, NodeId node) const {
  const bool concerned = item != nullptr && item->subject.node == node;
  const bool target = item != nullptr && item->target.node == node;
  const ReplaySubject subject = concerned ? item->subject
                                : target  ? item->target
                                          : subject_of(node);
  struct stat attr = entry_of(subject).attr;
  // Otherwise the inode would get its link back, and never tell of its end.
  const bool gone = concerned ? removes(item->poke.kind) && item->effected : !znode_of(node);
  if (gone) attr.st_nlink = 0;
  return attr;
}

fuse_entry_param Replay::State::hand_out(const ReplaySubject& subject) {
  fuse_entry_param entry = entry_of(subject);
  entry.ino = inodes.looked_up_by_worker(subject.node);
  return entry;
}

// The kernel is shown `child` in `parent`. From a directory that users hold `..` leads them there,
// and further up, without a look-up.
void Replay::State::used_with(NodeId child, NodeId parent) {
  if (face_of(child) != Face::kDirectory || !inodes.watchable(child)) return;
  while (!inodes.watchable(parent)) {
    inodes.used(parent);
    const auto znode = door.tree().find(ino_of(parent));
    if (!znode || !znode->parent) return;
    parent = directory_node(znode->parent);
  }
}

// A directory of the poke's that no path leads to, as long as the poke is to be done.
void Replay::State::look_up_number(Reply reply, const ReplayItem* item, std::string_view name) {
  if (item == nullptr || item->effected) return reply.error(ENOENT);
  for (const NodeId directory : {item->poke.parent, item->poke.other_parent}) {
    if (directory != 0 && name == number_name(inodes.theirs(directory)).data())
      return reply.entry(hand_out(subject_of(directory)));
  }
  reply.error(ENOENT);
}

ReplayItem* Replay::State::creating(const Reply& reply, NodeId parent, std::string_view name) {
  ReplayItem* item = current(reply.pid());
  const bool asked = item != nullptr && creates(item->poke.kind) && !item->effected &&
                     item->poke.parent == parent && item->poke.name == name;
  return asked ? item : nullptr;
}

void Replay::State::create_entry(Reply reply, NodeId parent, std::string_view name) {
  ReplayItem* item = creating(reply, parent, name);
  if (item == nullptr) return reply.error(EIO);
  item->effected = true;
  reply.entry(hand_out(item->subject));
}

void Replay::State::remove(Reply reply, NodeId parent, std::string_view name) {
  ReplayItem* item = current(reply.pid());
  const bool asked = item != nullptr && removes(item->poke.kind) && item->poke.parent == parent &&
                     item->poke.name == name;
  if (!asked) return reply.error(EIO);
  item->effected = true;
  reply.ok();
}

// --- Replay ---

Replay::Replay(asio::io_context& context,
               const server::Door& door,
               InodeTable& inodes,
               EventHelper* helper,
               OwnSession own_session)
    : state_(std::make_unique<State>(context, door, inodes, helper, std::move(own_session))) {}

Replay::~Replay() {
  // The sockets are the helper's.
  for (const auto& descriptor : state_->descriptors)
    if (descriptor->is_open()) descriptor->release();
}

void Replay::applied(const server::AppliedTxn& txn) {
  State& state = *state_;
  if (!state.running || txn.zxid <= state.seen_to) return;
  state.add_all(txn.changes, state.door.tree(),
                [&](const Change& change) { return state.unseen_by_kernel(txn, change); });
  state.pump();
}

void Replay::replaced(const tree::DataTree& before, const tree::DataTree& after) {
  State& state = *state_;
  if (!state.running) return;
  state.add_all(net_difference(before, after, state.inodes), after,
                [](const Change&) { return true; });
  // Not pumped here: the paths must be those of the new tree, which becomes current on return.
  asio::post(state.context, [weak = std::weak_ptr(state.self)] {
    if (const auto self = weak.lock()) (*self)->pump();
  });
}

void Replay::rename_ghost(NodeId parent,
                          std::string_view ghost,
                          std::string_view name,
                          NodeId node) {
  State& state = *state_;
  if (!state.running || ghost == name) return;
  ReplayItem item;
  item.poke.kind = Poke::Kind::kRename;
  item.poke.parent = parent;
  item.poke.name = ghost;
  item.poke.other_parent = parent;
  item.poke.other_name = name;
  item.subject = subject_of(node);
  state.queue.push_urgent(std::move(item));
  ++state.counters.queued;
  state.pump();
}

void Replay::start() {
  State& state = *state_;
  if (state.helper == nullptr || state.running || state.helper->living_count() == 0) return;
  state.running = true;
  for (std::size_t worker = 0; worker < state.helper->worker_count(); ++worker) {
    if (state.descriptors.size() <= worker)
      state.descriptors.push_back(std::make_unique<asio::posix::stream_descriptor>(state.context));
    const int descriptor = state.helper->descriptor(worker);
    if (descriptor < 0 || state.descriptors[worker]->is_open()) continue;
    state.descriptors[worker]->assign(descriptor);
    state.arm(worker);
  }
}

void Replay::stop() {
  state_->turn_off();
}

void Replay::save(handover::Mount& out) const {
  out.set_shown(state_->door.tree().last_applied().value);
  state_->queue.for_each_pending([&](const ReplayItem& item, bool urgent) {
    handover::Event& event = *out.add_events();
    event.set_kind(static_cast<std::uint32_t>(item.poke.kind));
    event.set_parent(item.poke.parent);
    event.set_name(item.poke.name);
    event.set_other_parent(item.poke.other_parent);
    event.set_other_name(item.poke.other_name);
    event.set_node(item.subject.node);
    event.set_type(item.subject.type);
    event.set_size(item.subject.size);
    event.set_target(item.target.node);
    event.set_target_type(item.target.type);
    event.set_target_size(item.target.size);
    event.set_target_lives(item.target_lives);
    event.set_second_choice(item.second_choice);
    event.set_urgent(urgent);
  });
}

void Replay::restore(const handover::Mount& in) {
  State& state = *state_;
  state.seen_to = Zxid{in.shown()};
  if (!state.running) return;
  for (const handover::Event& event : in.events()) {
    ReplayItem item;
    item.poke.kind = static_cast<Poke::Kind>(event.kind());
    item.poke.parent = event.parent();
    item.poke.name = event.name();
    item.poke.other_parent = event.other_parent();
    item.poke.other_name = event.other_name();
    item.subject = {event.node(), static_cast<mode_t>(event.type()), event.size()};
    item.target = {event.target(), static_cast<mode_t>(event.target_type()), event.target_size()};
    item.target_lives = event.target_lives();
    item.second_choice = event.second_choice();
    if (event.urgent()) {
      state.queue.push_urgent(std::move(item));
      ++state.counters.queued;
    } else {
      state.push(std::move(item));
    }
  }
  state.pump();
}

const ReplayCounters& Replay::counters() const {
  return state_->counters;
}

bool Replay::idle() const {
  State& state = *state_;
  for (std::size_t worker = 0; worker < state.descriptors.size(); ++worker)
    if (state.queue.under_way(worker) != 0) return false;
  return state.queue.waiting() == 0;
}

bool Replay::is_worker(pid_t pid) const {
  return state_->helper != nullptr && state_->helper->is_worker(pid);
}

void Replay::lookup(Reply reply, NodeId parent, std::string_view name) {
  State& state = *state_;
  const ReplayItem* item = state.current(reply.pid());
  const Poke* poke = item == nullptr ? nullptr : &item->poke;
  if (parent == state.inodes.root() && name.starts_with('\1'))
    return state.look_up_number(std::move(reply), item, name);
  const bool source = poke != nullptr && poke->parent == parent && poke->name == name;
  const bool target = poke != nullptr && poke->other_parent == parent && poke->other_name == name;
  // A replacement that was made is looked at once more, so that the kernel finds who is there now.
  const bool looks_back = target && item->effected && poke->kind == Poke::Kind::kReplace;
  const auto found = (source || target) && !looks_back ? state.seen_at(*item, parent, name)
                                                       : state.seen_at(parent, name);
  if (!found) return reply.error(ENOENT);
  fuse_entry_param entry = state.hand_out(*found);
  state.used_with(found->node, parent);
  // The source of a replacement ends with it, and tells of that when the kernel lets go of it.
  if (source && poke->kind == Poke::Kind::kReplace) entry.attr.st_nlink = 0;
  // The kernel takes a link from what a rename replaces. A target that lives on (its znode got the
  // data) keeps one, so that its watches are not told of its end.
  if (target && item->target_lives && !item->effected && entry.attr.st_nlink < 2)
    entry.attr.st_nlink = 2;
  reply.entry(entry);
}

void Replay::getattr(Reply reply, NodeId node) {
  const ReplayItem* item = state_->current(reply.pid());
  reply.attr(state_->attributes_of(item, node));
}

void Replay::setattr(Reply reply, NodeId node) {
  ReplayItem* item = state_->current(reply.pid());
  if (item != nullptr && item->poke.kind == Poke::Kind::kAttributes) item->effected = true;
  reply.attr(state_->attributes_of(item, node));
}

void Replay::open(Reply reply, NodeId node, fuse_file_info info) {
  ReplayItem* item = state_->current(reply.pid());
  if (item != nullptr && item->subject.node == node && item->poke.kind == Poke::Kind::kModify)
    item->effected = true;
  info.fh = kReplayHandle;
  info.direct_io = 1;
  info.keep_cache = 1;
  info.noflush = 1;
  reply.open(info);
}

void Replay::create(
    Reply reply, NodeId parent, std::string_view name, mode_t mode, fuse_file_info info) {
  (void)mode;
  ReplayItem* item = state_->creating(reply, parent, name);
  if (item == nullptr) return reply.error(EIO);
  item->effected = true;
  info.fh = kReplayHandle;
  info.direct_io = 1;
  info.keep_cache = 1;
  info.noflush = 1;
  reply.create(state_->hand_out(item->subject), info);
}

void Replay::symlink(Reply reply, NodeId parent, std::string_view name) {
  state_->create_entry(std::move(reply), parent, name);
}

void Replay::mkdir(Reply reply, NodeId parent, std::string_view name, mode_t mode) {
  (void)mode;
  state_->create_entry(std::move(reply), parent, name);
}

void Replay::unlink(Reply reply, NodeId parent, std::string_view name) {
  state_->remove(std::move(reply), parent, name);
}

void Replay::rmdir(Reply reply, NodeId parent, std::string_view name) {
  state_->remove(std::move(reply), parent, name);
}

void Replay::rename(Reply reply,
                    NodeId parent,
                    std::string_view name,
                    NodeId new_parent,
                    std::string_view new_name) {
  ReplayItem* item = state_->current(reply.pid());
  const bool asked = item != nullptr && moves(item->poke.kind) && item->poke.parent == parent &&
                     item->poke.name == name && item->poke.other_parent == new_parent &&
                     item->poke.other_name == new_name;
  if (!asked) return reply.error(EIO);
  item->effected = true;
  state_->used_with(item->subject.node, new_parent);
  if (item->poke.kind == Poke::Kind::kExchange) state_->used_with(item->target.node, parent);
  reply.ok();
}

}  // namespace zkfs::mount
