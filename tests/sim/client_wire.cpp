// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/client_wire.h"

#include "tests/sim/checkers.h"

namespace zkfs::sim::wire {
namespace {

jute::Writer begin(std::string& out, std::int32_t xid, OpCode op) {
  jute::Writer writer(out);
  writer.write_int(xid);
  writer.write_int(static_cast<std::int32_t>(op));
  return writer;
}

void write_paths(jute::Writer& writer, const std::vector<std::string>& paths) {
  writer.write_count(paths.size());
  for (const auto& path : paths) writer.write_string(path);
}

void expect_good(const jute::Reader& reader) {
  if (!reader.good()) Checkers::violated("a client was sent a record that ends too soon");
}

}  // namespace

std::string connect(Zxid last_seen,
                    std::uint32_t timeout_ms,
                    SessionId session,
                    std::string_view password) {
  std::string out;
  jute::Writer writer(out);
  writer.write_int(0);
  writer.write_long(static_cast<std::int64_t>(last_seen.value));
  writer.write_int(static_cast<std::int32_t>(timeout_ms));
  writer.write_long(static_cast<std::int64_t>(session.value));
  writer.write_buffer(password);
  writer.write_bool(false);
  return out;
}

std::string plain(std::int32_t xid, OpCode op) {
  std::string out;
  begin(out, xid, op);
  return out;
}

std::string auth(std::string_view user_password) {
  std::string out;
  auto writer = begin(out, client_port::kAuthXid, OpCode::kAuth);
  writer.write_int(0);
  writer.write_string("digest");
  writer.write_buffer(user_password);
  return out;
}

std::string create(std::int32_t xid,
                   std::string_view path,
                   std::string_view data,
                   std::int32_t flags,
                   bool only_owner) {
  constexpr std::int32_t kAll = 31;
  std::string out;
  auto writer = begin(out, xid, OpCode::kCreate);
  writer.write_string(path);
  writer.write_buffer(data);
  writer.write_count(1);
  writer.write_int(kAll);
  writer.write_string(only_owner ? "auth" : "world");
  writer.write_string(only_owner ? "" : "anyone");
  writer.write_int(flags);
  return out;
}

std::string set(std::int32_t xid,
                std::string_view path,
                std::string_view data,
                std::int32_t version) {
  std::string out;
  auto writer = begin(out, xid, OpCode::kSetData);
  writer.write_string(path);
  writer.write_buffer(data);
  writer.write_int(version);
  return out;
}

std::string remove(std::int32_t xid, std::string_view path, std::int32_t version) {
  std::string out;
  auto writer = begin(out, xid, OpCode::kDelete);
  writer.write_string(path);
  writer.write_int(version);
  return out;
}

std::string read(std::int32_t xid, OpCode op, std::string_view path, bool watch) {
  std::string out;
  auto writer = begin(out, xid, op);
  writer.write_string(path);
  writer.write_bool(watch);
  return out;
}

std::string sync(std::int32_t xid, std::string_view path) {
  std::string out;
  begin(out, xid, OpCode::kSync).write_string(path);
  return out;
}

std::string add_recursive_watch(std::int32_t xid, std::string_view path) {
  std::string out;
  auto writer = begin(out, xid, OpCode::kAddWatch);
  writer.write_string(path);
  writer.write_int(1);
  return out;
}

std::string set_watches(Zxid relative,
                        const std::vector<std::string>& data,
                        const std::vector<std::string>& exist,
                        const std::vector<std::string>& child) {
  std::string out;
  auto writer = begin(out, client_port::kSetWatchesXid, OpCode::kSetWatches);
  writer.write_long(static_cast<std::int64_t>(relative.value));
  write_paths(writer, data);
  write_paths(writer, exist);
  write_paths(writer, child);
  return out;
}

ConnectReply read_connect(jute::Reader& reader) {
  ConnectReply reply;
  reader.read_int();
  reply.timeout_ms = reader.read_int();
  reply.session = SessionId{static_cast<std::uint64_t>(reader.read_long())};
  reply.password = reader.read_text();
  expect_good(reader);
  return reply;
}

ReplyHeader read_header(jute::Reader& reader) {
  ReplyHeader header;
  header.xid = reader.read_int();
  header.zxid = reader.read_long();
  header.error = reader.read_int();
  expect_good(reader);
  return header;
}

Event read_event(jute::Reader& reader) {
  Event event;
  event.type = reader.read_int();
  reader.read_int();
  event.path = reader.read_text();
  expect_good(reader);
  return event;
}

Stat read_stat(jute::Reader& reader) {
  Stat stat;
  reader.read_long();
  stat.mzxid = Zxid{static_cast<std::uint64_t>(reader.read_long())};
  reader.read_long();
  reader.read_long();
  stat.version = reader.read_int();
  reader.read_int();
  reader.read_int();
  stat.owner = SessionId{static_cast<std::uint64_t>(reader.read_long())};
  reader.read_int();
  reader.read_int();
  reader.read_long();
  expect_good(reader);
  return stat;
}

std::vector<std::string> read_names(jute::Reader& reader) {
  std::vector<std::string> names;
  const auto count = reader.read_count(4).value_or(0);
  for (std::size_t i = 0; i < count; ++i) names.emplace_back(reader.read_text());
  expect_good(reader);
  return names;
}

}  // namespace zkfs::sim::wire
