// SPDX-License-Identifier: Apache-2.0
// The daemon of `zkfs serve`: builds one server, runs it, takes it down. Wiring only: what happens
// when is decided below; what is done is decided in the rooms it wires.
//
// Threads. The core thread (the one that calls run_serve) runs one io_context with everything on
// it: member, peers, mounts, control socket, timers, signals. The disk thread runs the store; it
// hands its results to the core by asio::post. The process that forks event workers is forked
// first, while there is one thread and no /dev/fuse. Nothing else runs, so nothing here is locked.
//
// One turn of the loop. Inputs (messages, FUSE requests, disk completions, ticks) reach the member
// as they are ready; the first that has effects posts one flush, which runs after the inputs that
// were ready with it. So one turn is one log write and one message per peer.
//
// Start: configuration, event zygote, disk and lock, recovery, disk thread, control socket, peers'
// port, mounts.
// Everything that can be refused is refused before the server can vote or answer.
//
// A mount that somebody unmounts ends alone; the last one ends the server, unless it is to be kept.
//
// Stop (SIGTERM, SIGINT, SIGHUP, or the last mount is gone): the mounts answer everything that
// waits and unmount; their sessions' close is given half a second to reach the quorum; the member
// leaves; the peers' links close, upon which the others elect at once; the disk thread carries out
// what is queued and is joined. From the first signal on a second one has its default action: it
// ends the process at once, whatever the loop is doing.
//
// A disk that fails ends the server with status 1 after the mount is taken down: what is on the
// disk is unknown then, and a server that goes on could acknowledge what it does not have.
#pragma once

#include <functional>
#include <string>

#include "zkfs/options.h"

namespace zkfs {

// Told once whether the server could start: empty, or the line that says why not.
using Started = std::function<void(const std::string& problem)>;

// Returns the exit code: kExitYes after a stop that was asked for, kExitMisuse for a wrong option,
// kExitNo, after one line on standard error, for everything else. `started` may be empty; its
// success is told when the mounts are usable and show everything that is committed, or there is no
// quorum in sight.
int run_serve(const ServeCommand& command, Started started = {});

}  // namespace zkfs
