// SPDX-License-Identifier: Apache-2.0
#include "tests/import/source.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <zlib.h>

namespace zkfs::zookeeper {
namespace {

namespace fs = std::filesystem;

std::uint32_t adler(const std::string& bytes) {
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (const char c : bytes) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  return (b << 16U) | a;
}

void write_data(jute::Writer& writer, const Blob& data) {
  if (data.is_null()) {
    writer.write_null();
  } else {
    writer.write_buffer(data.view());
  }
}

void write_acl(jute::Writer& writer, const tree::AclList& acl) {
  writer.write_count(acl.size());
  for (const tree::AclEntry& entry : acl) {
    writer.write_int(static_cast<std::int32_t>(entry.permissions));
    writer.write_string(entry.scheme);
    writer.write_string(entry.id);
  }
}

void write_seal(std::string& out) {
  const std::uint32_t sum = adler(out);
  jute::Writer writer(out);
  writer.write_long(sum);
  writer.write_string("/");
}

}  // namespace

std::string create_v0(const std::string& path, const Blob& data, bool ephemeral) {
  std::string out;
  jute::Writer writer(out);
  writer.write_string(path);
  write_data(writer, data);
  write_acl(writer, tree::open_acl());
  writer.write_bool(ephemeral);
  return out;
}

std::string create(const std::string& path,
                   const Blob& data,
                   std::int32_t parent_cversion,
                   bool ephemeral,
                   const tree::AclList& acl) {
  std::string out;
  jute::Writer writer(out);
  writer.write_string(path);
  write_data(writer, data);
  write_acl(writer, acl);
  writer.write_bool(ephemeral);
  writer.write_int(parent_cversion);
  return out;
}

std::string create_container(const std::string& path, std::int32_t parent_cversion) {
  std::string out;
  jute::Writer writer(out);
  writer.write_string(path);
  writer.write_null();
  write_acl(writer, tree::open_acl());
  writer.write_int(parent_cversion);
  return out;
}

std::string create_ttl(const std::string& path, std::int32_t parent_cversion, std::int64_t ttl) {
  std::string out = create_container(path, parent_cversion);
  jute::Writer(out).write_long(ttl);
  return out;
}

std::string remove(const std::string& path) {
  std::string out;
  jute::Writer(out).write_string(path);
  return out;
}

std::string set_data(const std::string& path, const Blob& data, std::int32_t version) {
  std::string out;
  jute::Writer writer(out);
  writer.write_string(path);
  write_data(writer, data);
  writer.write_int(version);
  return out;
}

std::string set_acl(const std::string& path, const tree::AclList& acl, std::int32_t version) {
  std::string out;
  jute::Writer writer(out);
  writer.write_string(path);
  write_acl(writer, acl);
  writer.write_int(version);
  return out;
}

std::string check(const std::string& path, std::int32_t version) {
  std::string out;
  jute::Writer writer(out);
  writer.write_string(path);
  writer.write_int(version);
  return out;
}

std::string error(std::int32_t code) {
  std::string out;
  jute::Writer(out).write_int(code);
  return out;
}

std::string create_session(std::int32_t timeout) {
  return error(timeout);  // one int, too
}

std::string close_session(const std::vector<std::string>& paths) {
  std::string out;
  jute::Writer writer(out);
  writer.write_count(paths.size());
  for (const std::string& path : paths) writer.write_string(path);
  return out;
}

std::string multi(const std::vector<std::pair<std::int32_t, std::string>>& operations) {
  std::string out;
  jute::Writer writer(out);
  writer.write_count(operations.size());
  for (const auto& [type, body] : operations) {
    writer.write_int(type);
    writer.write_buffer(body);
  }
  return out;
}

std::string digest(std::uint64_t value) {
  std::string out;
  jute::Writer writer(out);
  writer.write_int(2);
  writer.write_long(static_cast<std::int64_t>(value));
  return out;
}

std::string log_header() {
  std::string out = "ZKLG";
  jute::Writer writer(out);
  writer.write_int(2);
  writer.write_long(0);
  return out;
}

std::string log_record(std::uint64_t zxid,
                       std::int32_t type,
                       const std::string& body,
                       std::int64_t session) {
  std::string content;
  jute::Writer header(content);
  header.write_long(session);
  header.write_int(7);
  header.write_long(static_cast<std::int64_t>(zxid));
  header.write_long(kTime + static_cast<std::int64_t>(zxid & 0xffffffffU));
  header.write_int(type);
  content += body;
  std::string out;
  jute::Writer writer(out);
  writer.write_long(adler(content));
  writer.write_buffer(content);
  return out + 'B';
}

std::string SnapshotText::bytes() const {
  std::string out = "ZKSN";
  jute::Writer writer(out);
  writer.write_int(2);
  writer.write_long(-1);
  writer.write_count(sessions.size());
  for (const std::int64_t session : sessions) {
    writer.write_long(session);
    writer.write_int(30'000);
  }
  writer.write_count(acls.size());
  for (const auto& [number, acl] : acls) {
    writer.write_long(number);
    write_acl(writer, acl);
  }
  for (const SnapshotZnode& znode : znodes) {
    writer.write_string(znode.path);
    write_data(writer, znode.data);
    writer.write_long(znode.acl);
    const StatPersisted& s = znode.stat;
    for (const std::int64_t value : {s.czxid, s.mzxid, s.ctime, s.mtime}) writer.write_long(value);
    for (const std::int32_t value : {s.version, s.cversion, s.aversion}) writer.write_int(value);
    writer.write_long(s.ephemeral_owner);
    writer.write_long(s.pzxid);
  }
  writer.write_string("/");
  write_seal(out);
  if (digest) {
    writer.write_long(5);
    writer.write_int(2);
    writer.write_long(0x1234567890);
    write_seal(out);
  }
  if (last_zxid) {
    writer.write_long(5);
    write_seal(out);
  }
  return out;
}

std::vector<SnapshotZnode> znodes(std::vector<SnapshotZnode> more) {
  std::vector<SnapshotZnode> all{{"", {}}, {"/zookeeper", {}}, {"/zookeeper/quota", {}}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Source::Source() {
  std::string pattern = (fs::temp_directory_path() / "zkfs-source-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) return;
  root_ = pattern;
  fs::create_directory(root_ + "/version-2");
}

Source::~Source() {
  fs::remove_all(root_);
}

void Source::write(const std::string& name, const std::string& bytes) const {
  std::ofstream(root_ + "/version-2/" + name, std::ios::binary) << bytes;
}

void Source::write_log(std::uint64_t first,
                       const std::vector<std::pair<std::int32_t, std::string>>& txns) const {
  std::string bytes = log_header();
  std::uint64_t zxid = first;
  for (const auto& [type, body] : txns) bytes += log_record(zxid++, type, body);
  write(fmt::format("log.{:x}", first), bytes + std::string(4096, '\0'));
}

}  // namespace zkfs::zookeeper
