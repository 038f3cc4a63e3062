// SPDX-License-Identifier: Apache-2.0
// Upgrade in place (SIGUSR2): the process becomes the program that lies where its own was started
// from, and that one goes on with the same mounts: open files, working directories, watches, locks
// and sessions survive, and whoever has a request under way only waits.
//
// What it takes over comes in two ways: descriptors (of /dev/fuse, and pidfds) are inherited by
// exec; the rest is a message (mount/handover.proto) in a memfd, whose number is in the
// environment. The data directory is closed before and opened after, like at any start.
//
// Crash story: until exec succeeds this process can go on, and does (upgrade given up, said in the
// log). From then on the new one has the descriptors; if it fails before it serves, they close with
// it and the mounts are dead, as after any crash: starting again takes the mount points over.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ensemble/base/error.h"
#include "zkfs/options.h"

namespace zkfs::handover {
class Daemon;
}

namespace zkfs {

// The file this process was started from, and how to start it so again. Call it early: relative
// paths are resolved against the present directory.
struct SelfStart {
  std::string program;
  std::vector<std::string> arguments;
};

SelfStart how_to_start(const ServeCommand& command);

// Runs `program --version` to see that it starts at all, without waiting for it.
class ProgramProbe {
 public:
  ~ProgramProbe();
  // Fails if there is nothing to run.
  Expected<void> start(const std::string& program);
  // Nothing while it runs; then whether it ended well.
  std::optional<bool> ended();

 private:
  pid_t pid_ = 0;
};

// Becomes the other program; returns only if that fails. Closes everything but the standard
// streams and what `state` names.
Problem become(const SelfStart& self, const handover::Daemon& state);

// What the process before this one left; null if there was none. Fails if it cannot be read.
Expected<std::unique_ptr<handover::Daemon>> inheritance();

}  // namespace zkfs
