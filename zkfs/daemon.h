// SPDX-License-Identifier: Apache-2.0
// The daemon of `zkfs serve`: builds one server, runs it, takes it down. Wiring only: what happens
// when is decided below; what is done is decided in the rooms it wires.
//
// Threads. The core thread (the one that calls run_serve) runs one io_context with everything on
// it: member, peers, mount, timers, signals. The disk thread runs the store; it hands its results
// to the core by asio::post. The event helper's processes are forked first, while there is one
// thread and no /dev/fuse. Nothing else runs, so nothing here is locked.
//
// One turn of the loop. Inputs (messages, FUSE requests, disk completions, ticks) reach the member
// as they are ready; the first that has effects posts one flush, which runs after the inputs that
// were ready with it. So one turn is one log write and one message per peer.
//
// Start: configuration, helper processes, disk and lock, recovery, disk thread, peers' port, mount.
// Everything that can be refused is refused before the server can vote or answer.
//
// Stop (SIGTERM, SIGINT, SIGHUP, or somebody unmounted): the mount answers everything that waits
// and unmounts; its session's close is given half a second to reach the quorum; the member leaves;
// the peers' links close, upon which the others elect at once; the disk thread carries out what is
// queued and is joined. From the first signal on a second one has its default action: it ends the
// process at once, whatever the loop is doing.
//
// A disk that fails ends the server with status 1 after the mount is taken down: what is on the
// disk is unknown then, and a server that goes on could acknowledge what it does not have.
#pragma once

#include "zkfs/options.h"

namespace zkfs {

// Returns the exit code: kExitYes after a stop that was asked for, kExitMisuse for a wrong option,
// kExitNo, after one line on standard error, for everything else.
int run_serve(const ServeCommand& command);

}  // namespace zkfs
