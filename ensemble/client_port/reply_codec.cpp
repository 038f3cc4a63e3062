// SPDX-License-Identifier: Apache-2.0
#include "ensemble/client_port/reply_codec.h"

#include <array>

#include "ensemble/base/check.h"
#include "ensemble/client_port/client_codec.h"

namespace zkfs::client_port {
namespace {

constexpr std::size_t kLengthBytes = 4;

// Fields of known size, gathered on the stack and appended at once.
template <std::size_t kSize>
class Fixed {
 public:
  void write_byte(std::uint8_t value) { bytes_[size_++] = static_cast<char>(value); }

  void write_int(std::int32_t value) { write(static_cast<std::uint32_t>(value)); }

  void write_count(std::size_t value) { write(static_cast<std::uint32_t>(value)); }

  void write_long(std::int64_t value) { write(static_cast<std::uint64_t>(value)); }

  void write_zxid(Zxid zxid) { write(zxid.value); }

  void append_to(std::string& out) const { out.append(bytes_.data(), size_); }

  void replace_in(std::string& out, std::size_t at) const {
    out.replace(at, size_, bytes_.data(), size_);
  }

  template <typename Unsigned>
  void write(Unsigned value) {
    for (std::size_t i = 0; i < sizeof(Unsigned); ++i) {
      bytes_[size_ + i] = static_cast<char>(value >> (8U * (sizeof(Unsigned) - 1 - i)));
    }
    size_ += sizeof(Unsigned);
  }

 private:
  std::array<char, kSize> bytes_;
  std::size_t size_ = 0;
};

void append_length(std::string& out, std::size_t length) {
  Fixed<kLengthBytes> number;
  number.write_count(length);
  number.append_to(out);
}

void append_int(std::string& out, std::int32_t value) {
  Fixed<4> number;
  number.write_int(value);
  number.append_to(out);
}

void append_data(std::string& out, const Blob& data) {
  if (data.is_null()) return append_int(out, -1);
  append_length(out, data.size());
  out.append(data.view());
}

// The length and header of a frame whose body takes `body_bytes`.
void append_frame_header(std::string& out, std::size_t body_bytes, ReplyTo to, Error error) {
  Fixed<kFrameHeaderBytes + kReplyHeaderBytes> header;
  header.write_count(kReplyHeaderBytes + body_bytes);
  header.write_int(to.xid);
  header.write_zxid(to.zxid);
  header.write_int(wire_error(error));
  header.append_to(out);
}

std::size_t begin_reply(std::string& out, ReplyTo to) {
  const std::size_t frame = begin_frame(out);
  append_reply_header(out, to.xid, to.zxid);
  return frame;
}

}  // namespace

std::size_t begin_frame(std::string& out) {
  const std::size_t frame = out.size();
  out.append(kFrameHeaderBytes, '\0');
  return frame;
}

void end_frame(std::string& out, std::size_t frame) {
  Fixed<kFrameHeaderBytes> length;
  length.write_count(out.size() - frame - kFrameHeaderBytes);
  length.replace_in(out, frame);
}

void append_reply_header(std::string& out, std::int32_t xid, Zxid zxid, Error error) {
  Fixed<kReplyHeaderBytes> header;
  header.write_int(xid);
  header.write_zxid(zxid);
  header.write_int(wire_error(error));
  header.append_to(out);
}

void patch_reply_zxid(std::string& out, std::size_t frame, Zxid zxid) {
  // After the length and the xid.
  for (std::size_t i = 0; i < 8; ++i) {
    out[frame + 8 + i] = static_cast<char>(zxid.value >> (8U * (7 - i)));
  }
}

void append_stat(std::string& out, const tree::Stat& stat) {
  Fixed<kStatBytes> bytes;
  bytes.write_zxid(stat.czxid);
  bytes.write_zxid(stat.mzxid);
  bytes.write_long(stat.ctime);
  bytes.write_long(stat.mtime);
  bytes.write_int(stat.version);
  bytes.write_int(stat.cversion);
  bytes.write_int(stat.aversion);
  bytes.write(stat.ephemeral_owner.value);
  bytes.write(stat.data_length);
  bytes.write(stat.num_children);
  bytes.write_zxid(stat.pzxid);
  bytes.append_to(out);
}

void append_acl(std::string& out, const tree::AclList& acl) {
  append_length(out, acl.size());
  for (const tree::AclEntry& entry : acl) {
    append_int(out, static_cast<std::int32_t>(entry.permissions));
    append_string(out, entry.scheme);
    append_string(out, entry.id);
  }
}

void append_string(std::string& out, std::string_view text) {
  append_length(out, text.size());
  out.append(text);
}

StringsWriter::StringsWriter(std::string& out) : out_(out), begin_(out.size()) {
  append_length(out_, 0);
}

void StringsWriter::add(std::string_view text) {
  append_string(out_, text);
  ++count_;
}

void StringsWriter::end() {
  Fixed<kLengthBytes> count;
  count.write(count_);
  count.replace_in(out_, begin_);
}

void write_connect_response(std::string& out, const ConnectResponse& response) {
  ZKFS_CHECK(response.password.empty() || response.password.size() == kPasswordBytes,
             "a password of {} bytes", response.password.size());
  constexpr std::size_t kFieldsBytes = 4 + 4 + 8 + kLengthBytes;
  Fixed<kFrameHeaderBytes + kFieldsBytes> head;
  head.write_count(kFieldsBytes + kPasswordBytes + (response.read_only ? 1 : 0));
  head.write_int(0);  // protocol version
  head.write_int(response.timeout_ms);
  head.write(response.session.value);
  head.write_count(kPasswordBytes);
  head.append_to(out);
  out.append(response.password);
  out.append(kPasswordBytes - response.password.size(), '\0');
  if (response.read_only) out.push_back(*response.read_only ? '\1' : '\0');
}

void write_header_only(std::string& out, ReplyTo to, Error error) {
  append_frame_header(out, 0, to, error);
}

void write_stat(std::string& out, ReplyTo to, const tree::Stat& stat) {
  append_frame_header(out, kStatBytes, to, Error::kOk);
  append_stat(out, stat);
}

void write_data(std::string& out, ReplyTo to, const Blob& data, const tree::Stat& stat) {
  append_frame_header(out, kLengthBytes + data.size() + kStatBytes, to, Error::kOk);
  append_data(out, data);
  append_stat(out, stat);
}

void write_path(std::string& out, ReplyTo to, std::string_view path) {
  append_frame_header(out, kLengthBytes + path.size(), to, Error::kOk);
  append_string(out, path);
}

void write_path(std::string& out, ReplyTo to, std::string_view path, const tree::Stat& stat) {
  append_frame_header(out, kLengthBytes + path.size() + kStatBytes, to, Error::kOk);
  append_string(out, path);
  append_stat(out, stat);
}

void write_acl(std::string& out, ReplyTo to, const tree::AclList& acl, const tree::Stat& stat) {
  const std::size_t frame = begin_reply(out, to);
  append_acl(out, acl);
  append_stat(out, stat);
  end_frame(out, frame);
}

void write_strings(std::string& out, ReplyTo to, std::span<const std::string> texts) {
  const std::size_t frame = begin_reply(out, to);
  append_length(out, texts.size());
  for (const std::string& text : texts) append_string(out, text);
  end_frame(out, frame);
}

void write_number(std::string& out, ReplyTo to, std::int32_t number) {
  append_frame_header(out, 4, to, Error::kOk);
  append_int(out, number);
}

void write_token(std::string& out, ReplyTo to, const Data& token) {
  append_frame_header(out, kLengthBytes + token.value_or(ByteView{}).size(), to, Error::kOk);
  if (token) return append_string(out, *token);
  append_int(out, -1);
}

void write_identities(std::string& out, ReplyTo to, std::span<const server::AuthId> identities) {
  const std::size_t frame = begin_reply(out, to);
  append_length(out, identities.size());
  for (const server::AuthId& identity : identities) {
    append_string(out, identity.scheme);
    const std::string_view id = identity.id;
    append_string(out, identity.scheme == "digest" ? id.substr(0, id.find(':')) : id);
  }
  end_frame(out, frame);
}

ChildrenReply::ChildrenReply(std::string& out, ReplyTo to)
    : out_(out), frame_(begin_reply(out, to)), names_(out) {}

void ChildrenReply::end() {
  names_.end();
  end_frame(out_, frame_);
}

void ChildrenReply::end(const tree::Stat& stat) {
  names_.end();
  append_stat(out_, stat);
  end_frame(out_, frame_);
}

void write_event(std::string& out,
                 EventType type,
                 std::string_view path,
                 std::optional<Zxid> zxid) {
  constexpr std::uint64_t kNoZxid = ~std::uint64_t{0};
  const ReplyTo to{.xid = kNotificationXid, .zxid = zxid.value_or(Zxid(kNoZxid))};
  append_frame_header(out, 4 + 4 + kLengthBytes + path.size(), to, Error::kOk);
  append_int(out, static_cast<std::int32_t>(type));
  append_int(out, kSyncConnected);
  append_string(out, path);
}

MultiReply::MultiReply(std::string& out, ReplyTo to) : out_(out), frame_(begin_reply(out, to)) {}

void MultiReply::append_header(std::int32_t type, bool done, std::int32_t error) {
  Fixed<4 + 1 + 4> header;
  header.write_int(type);
  header.write_byte(done ? 1 : 0);
  header.write_int(error);
  header.append_to(out_);
}

void MultiReply::created(OpCode op, std::string_view path, const tree::Stat& stat) {
  const bool with_stat = op == OpCode::kCreate2 || op == OpCode::kCreateTtl;
  append_header(static_cast<std::int32_t>(with_stat ? OpCode::kCreate2 : OpCode::kCreate), false,
                0);
  append_string(out_, path);
  if (with_stat) append_stat(out_, stat);
}

void MultiReply::succeeded(OpCode op) {
  append_header(static_cast<std::int32_t>(op), false, 0);
}

void MultiReply::set(const tree::Stat& stat) {
  succeeded(OpCode::kSetData);
  append_stat(out_, stat);
}

void MultiReply::data(const Blob& data, const tree::Stat& stat) {
  succeeded(OpCode::kGetData);
  append_data(out_, data);
  append_stat(out_, stat);
}

StringsWriter MultiReply::children() {
  succeeded(OpCode::kGetChildren);
  return StringsWriter(out_);
}

void MultiReply::failed(Error error) {
  append_header(static_cast<std::int32_t>(OpCode::kError), false, wire_error(error));
  append_int(out_, wire_error(error));
}

void MultiReply::end() {
  append_header(static_cast<std::int32_t>(OpCode::kError), true, -1);
  end_frame(out_, frame_);
}

}  // namespace zkfs::client_port
