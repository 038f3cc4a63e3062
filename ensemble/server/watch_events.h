// SPDX-License-Identifier: Apache-2.0
// What ZooKeeper's clients are told of an applied txn: its changes as a sequence of events on
// paths, in ZooKeeper's order (reference/zookeeper.md 4.1), each with the ACL that says who may
// hear it (4.6). Whom to tell, the WatchTable knows:
//
//   if (!table.empty()) watch_events(txn.changes, tree, table, sink);
//   sink.event(e): table.fire(e.type, e.path, to);
//                  for each of `to`: if it may kRead by *e.acl, queue the event for it.
//
// A one-shot watch is used up by fire(), whether its owner may hear of it or not.
//
// Each change of a multi or closeSession is told by the paths that were right at that moment, even
// if a later one moved or removed what is above.
//
// Renames exist for the mount only; clients see them as what they know:
// - moved: the deletion of the old subtree, children before parents, and the creation of the new,
//   parents before children: NodeDeleted and NodeCreated for each znode, NodeChildrenChanged once
//   for each that has children, and for the old and the new parent;
// - exchanged: both subtrees deleted, then both created;
// - data put into another znode (a temporary file renamed over a value): NodeDataChanged there,
//   NodeDeleted of the source, NodeChildrenChanged of its parent.
// Of a large subtree only znodes that somebody watches are told of; recursive watches want all, and
// where that would be more than RenameLimits, who has them must be disconnected. A rename costs the
// time of the moved subtree's size or of table.paths(), whichever is less, unless recursive watches
// reach it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "ensemble/base/limits.h"
#include "ensemble/server/watch_table.h"
#include "ensemble/tree/acl.h"
#include "ensemble/tree/change.h"
#include "ensemble/tree/data_tree.h"

namespace zkfs::server {

// Valid during the call that hands it over.
struct WatchEvent {
  EventType type = EventType::kCreated;
  std::string_view path;
  // Who may read by it may hear of the event: of kChildrenChanged and kDataChanged the ACL of the
  // znode at `path`, of kCreated the new one's, of kDeleted the one that the znode had. Empty:
  // everybody.
  const tree::AclList* acl = nullptr;
};

class WatchEventSink {
 public:
  virtual ~WatchEventSink() = default;
  // May change the watch table.
  virtual void event(const WatchEvent& event) = 0;
  // A rename moved more znodes than a recursive watch of `watcher` can be told of: its connection
  // must be closed. A client that connects again reads anew, for it knows that persistent watches
  // hear nothing of the time between.
  virtual void overflow(WatcherId watcher) = 0;
};

// How much of a subtree is told of znode by znode.
struct RenameLimits {
  std::size_t znodes = limits::kRenameWatchZnodesMax;
  std::size_t path_bytes = limits::kRenameWatchPathBytesMax;  // of old and new paths together
};

// The events of a txn with these changes, in order. `after` is the tree right after that txn.
void watch_events(std::span<const tree::Change> changes,
                  const tree::DataTree& after,
                  const WatchTable& table,
                  WatchEventSink& sink,
                  RenameLimits limits = {});

}  // namespace zkfs::server
