// SPDX-License-Identifier: Apache-2.0
// A data directory of ZooKeeper, written as its formats are specified (reference/zookeeper.md 9.9).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/import/importer.h"
#include "ensemble/import/zookeeper_files.h"
#include "ensemble/jute/jute.h"
#include "ensemble/tree/acl.h"

namespace zkfs::zookeeper {

inline constexpr std::int64_t kTime = 1'700'000'000'000;

// --- bodies of txns ---

std::string create_v0(const std::string& path, const Blob& data, bool ephemeral = false);
std::string create(const std::string& path,
                   const Blob& data,
                   std::int32_t parent_cversion,
                   bool ephemeral = false,
                   const tree::AclList& acl = tree::open_acl());
std::string create_container(const std::string& path, std::int32_t parent_cversion);
std::string create_ttl(const std::string& path, std::int32_t parent_cversion, std::int64_t ttl);
std::string remove(const std::string& path);
std::string set_data(const std::string& path, const Blob& data, std::int32_t version);
std::string set_acl(const std::string& path, const tree::AclList& acl, std::int32_t version);
std::string check(const std::string& path, std::int32_t version);
std::string error(std::int32_t code);
std::string create_session(std::int32_t timeout);
std::string close_session(const std::vector<std::string>& paths);
std::string multi(const std::vector<std::pair<std::int32_t, std::string>>& operations);
// What 3.6 and later append.
std::string digest(std::uint64_t value);

// The numbers of the types.
inline constexpr std::int32_t kCreateType = 1, kDeleteType = 2, kSetDataType = 5, kSetAclType = 7,
                              kCheckType = 13, kMultiType = 14, kCreate2Type = 15,
                              kReconfigType = 16, kCreateContainerType = 19,
                              kDeleteContainerType = 20, kCreateTtlType = 21, kErrorType = -1,
                              kCreateSessionType = -10, kCloseSessionType = -11;

// --- files ---

std::string log_header();
std::string log_record(std::uint64_t zxid,
                       std::int32_t type,
                       const std::string& body,
                       std::int64_t session = 1);

struct SnapshotZnode {
  std::string path;  // "" for the root
  Blob data;
  std::int64_t acl = -1;
  StatPersisted stat{};
};

struct SnapshotText {
  std::vector<std::int64_t> sessions{};
  std::vector<std::pair<std::int64_t, tree::AclList>> acls{};
  std::vector<SnapshotZnode> znodes{};
  bool digest = false;     // 3.6 and later
  bool last_zxid = false;  // 3.9

  [[nodiscard]] std::string bytes() const;
};

// The root, /zookeeper and /zookeeper/quota, then `more`.
std::vector<SnapshotZnode> znodes(std::vector<SnapshotZnode> more = {});

std::string gzip(const std::string& bytes);

// In a temporary directory, which goes with it.
class Source {
 public:
  Source();
  ~Source();
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  [[nodiscard]] const std::string& path() const { return root_; }

  // In version-2.
  void write(const std::string& name, const std::string& bytes) const;
  // A snapshot and a log whose first record has the next zxid, epoch 0.
  void write_log(std::uint64_t first,
                 const std::vector<std::pair<std::int32_t, std::string>>& txns) const;

  [[nodiscard]] Expected<Imported> read() const { return read_zookeeper(root_, ""); }

 private:
  std::string root_;
};

}  // namespace zkfs::zookeeper
