// SPDX-License-Identifier: Apache-2.0
// The worker process of EventHelper and what it says over its SOCK_SEQPACKET socket: one message
// from the daemon per poke (or attach, detach, prune), one back when it is done, in the same order.
// The completion is sent before the next message is read, so whoever gets a request of the worker
// and then empties the socket knows which poke the request belongs to.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "mount/event_helper.h"

namespace zkfs::mount {

// Daemon to worker: this, then four strings each ended by a NUL: name, other name, path of the
// parent, path of the other parent. Both ends are the same program, so it is sent as it lies in
// memory.
struct WorkerOrder {
  enum class Action : std::uint32_t {
    kPoke,
    kAttach,  // `name` is the mount point
    kDetach,
    kPrune,  // done when it is done, like a poke
  };
  std::uint64_t token = 0;
  NodeId parent = 0;
  NodeId other_parent = 0;
  Action action = Action::kPoke;
  Poke::Kind kind = Poke::Kind::kModify;
  bool by_number = false;
};

// The name in the root by which a worker asks for a directory that no path leads to. No znode can
// have it. Without allocation: the workers use it.
using NumberName = std::array<char, 20>;
NumberName number_name(NodeId directory);

// Worker to daemon.
struct WorkerDone {
  std::uint64_t token = 0;
  std::int32_t error = 0;
};

// The largest order: four strings of PATH_MAX at most.
inline constexpr std::size_t kOrderBytesMax = sizeof(WorkerOrder) + 4 * 4096;

// Empty if a string is too long for the kernel (ENAMETOOLONG anyhow) or holds a NUL. A path that is
// too long is left out, because it only serves as the second try.
std::string encode_order(const Poke& poke);
std::string encode_attach(std::string_view mountpoint);
std::string encode_detach();
std::string encode_prune();

// The life of a worker, in the forked child. `daemon` is the pid it dies with.
[[noreturn]] void run_event_worker(int socket, pid_t daemon);

}  // namespace zkfs::mount
