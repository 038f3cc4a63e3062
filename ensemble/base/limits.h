// SPDX-License-Identifier: Apache-2.0
// Every cap of the system, with its unit and its reason. A queue without an entry here is a bug.
#pragma once

#include <cstddef>
#include <cstdint>

namespace zkfs::limits {

// The largest frame of a ZooKeeper client (jute.maxbuffer, 0xfffff) less the request around the
// data: path, ACL, header.
inline constexpr std::size_t kFrameBytesMax = 0xfffff;
inline constexpr std::size_t kDataBytesMax = kFrameBytesMax - 4096;
// NAME_MAX of Linux: a name that is longer cannot be shown by the mount.
inline constexpr std::size_t kNameBytesMax = 255;
// A path must fit one frame with its request; Linux hands a mount at most PATH_MAX at once anyhow.
inline constexpr std::size_t kPathBytesMax = 64 * 1024;

// One log entry: a multi is bounded by the client's frame, plus what each of its operations gets on
// top of that (for small creates, three times their size).
inline constexpr std::size_t kEntryBytesMax = 4 * 1024 * 1024;
// One PROPOSAL or INFORM message between members; a batch is cut here so that a ping never waits
// long behind one.
inline constexpr std::size_t kProposalBatchBytesMax = 1024 * 1024;
// One write+fdatasync of the log takes at most this much, so that one flush stays in the order of
// milliseconds.
inline constexpr std::size_t kLogBatchBytesMax = 4 * 1024 * 1024;

// History kept in memory so that a returning member is brought up by DIFF instead of SNAP.
inline constexpr std::size_t kHistoryEntriesMax = 20'000;
inline constexpr std::size_t kHistoryBytesMax = 32 * 1024 * 1024;

// History kept because a learner that is being brought up has yet to be sent it; beyond it the
// learner begins again, with a newer snapshot.
inline constexpr std::size_t kHistoryHeldBytesMax = 1024 * 1024 * 1024;

// Proposals a leader has out without a commit; beyond it requests wait in the member's queue.
inline constexpr std::size_t kOutstandingProposalsMax = 20'000;
// Requests of this server's own front doors that wait for their commit.
inline constexpr std::size_t kPendingRequestsMax = 20'000;

// Advisory locks that a session holds and waits for, by weight (tree/lock_table.h): they are copied
// when a snapshot begins, and all let go by the one txn that ends the session.
inline constexpr std::size_t kLocksPerSessionMax = 65'536;

// A snapshot travels and is written in pieces of about this size.
inline constexpr std::size_t kSnapshotChunkBytes = 256 * 1024;
// Bytes of snapshot on their way to one learner, or to the disk, before the iteration pauses.
inline constexpr std::size_t kSnapshotWindowBytes = 4 * 1024 * 1024;
// Bytes of txns on their way to a learner that is being brought up.
inline constexpr std::size_t kCatchUpWindowBytes = 8 * 1024 * 1024;

// Bytes queued for one peer. At the cap the link is dropped: a peer that far behind is brought up
// again by synchronisation.
inline constexpr std::size_t kPeerQueueBytesMax = 128 * 1024 * 1024;
// One message between peers.
inline constexpr std::size_t kPeerMessageBytesMax = 8 * 1024 * 1024;

// What a client has proven about itself (addauth): it travels with each of its writes, and each
// `auth` entry of an ACL stands for all of it.
inline constexpr std::size_t kIdentityBytesMax = 16 * 1024;
// A ZooKeeper client's connection. Requests are taken while less than this waits to be written to
// it ...
inline constexpr std::size_t kClientOutputWantedMax = 1024 * 1024;
// ... and it is cut off when events have added this much.
inline constexpr std::size_t kClientOutputBytesMax = 16 * 1024 * 1024;
// What an empty output buffer may keep of its memory.
inline constexpr std::size_t kClientOutputKept = 16 * 1024;
// Frames of reads that wait for the writes before them.
inline constexpr std::size_t kClientUnstartedBytesMax = 1024 * 1024;
// Such reads before a write that is handed to the ensemble: they are answered before it is applied,
// whether the client reads or not.
inline constexpr std::size_t kClientReadsBeforeWriteMax = 64;

// Changes waiting to be replayed as inotify events; beyond it they merge per path, then the oldest
// go and are counted.
inline constexpr std::size_t kReplayQueueMax = 65'536;

// A rename tells ZooKeeper clients of each znode that it moves, by its old path and by its new one.
// Beyond these, those who watch recursively are disconnected instead, and read anew: the core
// thread must not make events for a second, nor hold gigabytes of them.
inline constexpr std::size_t kRenameWatchZnodesMax = 100'000;
inline constexpr std::size_t kRenameWatchPathBytesMax = 16 * 1024 * 1024;

}  // namespace zkfs::limits
