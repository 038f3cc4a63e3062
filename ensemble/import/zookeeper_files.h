// SPDX-License-Identifier: Apache-2.0
// Readers of what a ZooKeeper server of 3.4 to 3.9 leaves in its data directory
// (reference/zookeeper.md 9.9):
//   log.<hex zxid>               header {int 'ZKLG', int 2, long 0}, then records {long Adler-32,
//                                buffer, byte 'B'}; a buffer is a TxnHeader, a txn and from 3.6 on
//                                a digest. Zeros to the end: the file is extended ahead.
//   snapshot.<hex zxid>[.gz]     header {int 'ZKSN', int 2, long}, sessions, ACLs, znodes, a seal
//                                {long Adler-32 of all before it, string "/"}; from 3.6 on a digest
//                                and a seal, from 3.9 on the last zxid and a seal.
// They check form and checksums; what the records mean is zookeeper_tree.h's affair.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/jute/jute.h"
#include "ensemble/tree/acl.h"

namespace zkfs::zookeeper {

struct DataFile {
  std::string path;
  Zxid zxid;  // in its name
};

struct DataFiles {
  std::string data_dir;             // where the snapshots are: DIR or DIR/version-2
  std::string log_dir;              // where the log is
  std::vector<DataFile> snapshots;  // newest first
  std::vector<DataFile> logs;       // oldest first
};

// Each directory may be given with or without its version-2; an empty `log_dir` means `data_dir`.
// Fails with: a directory cannot be listed; it is one of zkfs; it holds neither log nor snapshot.
Expected<DataFiles> list_data_files(const std::string& data_dir, const std::string& log_dir);

// The whole file. Fails with a line that names it.
Expected<std::string> read_file(const std::string& path);

// As ZooKeeper keeps it: `cversion` counts the children ever created, `ephemeral_owner` also tells
// of containers and TTL znodes.
struct StatPersisted {
  std::int64_t czxid = 0, mzxid = 0, ctime = 0, mtime = 0;
  std::int32_t version = 0, cversion = 0, aversion = 0;
  std::int64_t ephemeral_owner = 0, pzxid = 0;
};

// What a snapshot says, in its order.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  virtual void add_session(std::int64_t id) = 0;
  virtual void add_acl(std::int64_t number, tree::AclList acl) = 0;
  // `path` is "" for the root, and parents come before their children. False: it cannot be.
  virtual bool add_znode(std::string_view path,
                         Blob data,
                         std::int64_t acl,
                         const StatPersisted& stat) = 0;
};

// Reads a snapshot to its end. Fails if it is not whole and valid, with a line that names the file;
// the sink has then been told a part.
Expected<void> read_snapshot(const DataFile& file, SnapshotSink& sink);

// Null means {world:anyone:cdrwa}, as for ZooKeeper.
tree::AclList read_acl(jute::Reader& reader);

// A record of the log; `body` is what follows the TxnHeader, valid during the call.
struct LogRecord {
  std::int64_t client_id = 0;
  Zxid zxid;
  std::int64_t time = 0;
  std::int32_t type = 0;
  ByteView body;
  std::uint64_t offset = 0;  // in the file
};

// Calls `record` with each record of a log file in order. A tail that was torn by a crash ends the
// file; the answer is a remark about it. Fails with a line that names file and offset: damage
// before a valid record, no log of ZooKeeper's, or what `record` fails with.
Expected<std::optional<std::string>> read_log(
    const DataFile& file, const std::function<Expected<void>(const LogRecord&)>& record);

}  // namespace zkfs::zookeeper
