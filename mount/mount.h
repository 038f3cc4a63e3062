// SPDX-License-Identifier: Apache-2.0
// Mount: one mount point of this server, put together: channel to the kernel, filesystem, session,
// replay. Runs on the core thread's io_context alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <asio/io_context.hpp>

#include "ensemble/base/clock.h"
#include "ensemble/base/error.h"
#include "ensemble/server/door.h"
#include "mount/event_helper.h"

namespace zkfs::handover {
class Mount;
}

namespace zkfs::mount {

enum class QuorumLoss : std::uint8_t { kDefault, kWait, kStrict };
enum class CommitMode : std::uint8_t { kClose, kWriter, kWrite };

// From -o; contract sections 2 and 6.
struct MountOptions {
  std::string given;            // the text, for a program that goes on with the mount
  std::string mountpoint;       // absolute
  std::string source = "zkfs";  // what /proc/mounts shows first
  bool allow_other = false;
  bool read_only = false;
  bool exec = false;       // default nosuid,nodev,noexec
  Millis timeo{10'000};    // how long opens and creates wait for an election, counted from the loss
  Millis commit_timeo{0};  // how long a commit waits; 0: for ever
  QuorumLoss quorum_loss = QuorumLoss::kDefault;
  CommitMode commit = CommitMode::kClose;
  std::string control = ".zkfs";
  std::string root = "/";  // the znode that is shown as the whole
  std::uint32_t session_timeout_ms = 10'000;
};

// Parses the text of -o ("timeo=5s,commit=writer"). Fails with a line that names the option, its
// value and what is allowed.
Expected<void> parse_mount_options(const std::string& text, MountOptions& options);

// The whole of `options` as lines of key=value, in words that parse_mount_options takes.
std::string mount_options_text(const MountOptions& options);

// What this server knows of a member of the ensemble, in words; empty: not known.
struct EnsembleMember {
  ServerId id;
  std::string address;
  std::string role;
  std::string state;
  std::string zxid;
  std::string latency_ms;
};

// What the control directory's files show; supplied by the program, which knows more than the
// mount. One that is missing shows nothing.
struct ControlFiles {
  std::function<std::string()> status{};  // for a person
  std::function<std::string()> status_json{};
  std::function<std::string()> role{};
  // Prometheus text and lines of key=value; the mount adds its own.
  std::function<std::string()> metrics{};
  std::function<std::string()> config{};
  std::function<std::vector<EnsembleMember>()> ensemble{};  // in the order of ids
};

class Mount {
 public:
  // `now` reads the monotonic clock the member is driven with.
  Mount(asio::io_context& context,
        server::Door& door,
        MountOptions options,
        ControlFiles control,
        std::unique_ptr<EventHelper> helper,
        std::function<Instant()> now);
  ~Mount();

  // Repairs a dead mount of ours at the mount point, mounts, begins to serve. Returns once the
  // kernel's INIT is answered. Fails, each with a line that names the thing and the remedy, if: the
  // mount point does not exist, is no directory, or is not empty; /dev/fuse is missing or may not
  // be opened; mount(2) is refused. `unmounted` is called if somebody else unmounts it.
  Expected<void> start(std::function<void()> unmounted);

  // --- an upgrade in place: this process is about to become another program ---

  // No further request is taken from the kernel, until go_on().
  void pause();
  void go_on();
  // True once nothing is under way that the next program could not know of.
  [[nodiscard]] bool settled();
  // What the next program needs, and descriptors that survive exec. Requires: settled(). Fails if
  // the kernel cannot do it; then go_on().
  Expected<void> hand_over(handover::Mount& out);
  // There: instead of start().
  Expected<void> resume(const handover::Mount& in, std::function<void()> unmounted);
  // Ends the event workers: the last thing before exec.
  void drop_helper();

  // Answers everything that waits (ENOTCONN), stops the replay, unmounts (lazily if in use).
  // Nothing is left hanging.
  void stop();

  // For timers: called by the program every some 20 ms.
  void tick();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zkfs::mount
