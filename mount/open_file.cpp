// SPDX-License-Identifier: Apache-2.0
#include "mount/open_file.h"

#include <algorithm>
#include <cerrno>

#include "ensemble/base/limits.h"

namespace zkfs::mount {

void OpenFile::load() {
  if (loaded) return;
  staged = std::string(snapshot.view());
  loaded = true;
}

std::string_view OpenFile::value() {
  if (mode == WriteMode::kAppend) {
    if (staged.empty()) return snapshot.view();
    joined = std::string(snapshot.view()) + staged;
    return joined;
  }
  return loaded ? std::string_view(staged) : snapshot.view();
}

std::size_t OpenFile::size() const {
  if (mode == WriteMode::kAppend) return snapshot.size() + staged.size();
  return loaded ? staged.size() : snapshot.size();
}

std::optional<std::string> OpenFile::with(std::string_view bytes, std::uint64_t offset) {
  if (offset > limits::kDataBytesMax || offset + bytes.size() > limits::kDataBytesMax) return {};
  std::string whole(loaded ? std::string_view(staged) : snapshot.view());
  whole.resize(std::max<std::size_t>(whole.size(), offset + bytes.size()));
  whole.replace(offset, bytes.size(), bytes);
  return whole;
}

int OpenFile::write(std::string_view bytes, std::uint64_t offset, std::uint64_t lock_owner) {
  if (failed != 0) return failed;
  if (at_end) offset = size();
  const std::uint64_t end =
      mode == WriteMode::kAppend ? size() + bytes.size() : offset + bytes.size();
  if (offset > limits::kDataBytesMax || end > limits::kDataBytesMax) return failed = EFBIG;
  if (mode == WriteMode::kAppend) {
    staged.append(bytes);
  } else {
    load();
    if (offset == staged.size()) {
      staged.append(bytes);
    } else {
      staged.resize(std::max<std::size_t>(staged.size(), end));
      staged.replace(offset, bytes.size(), bytes);
    }
  }
  ++writes;
  if (std::find(writers.begin(), writers.end(), lock_owner) == writers.end()) {
    writers.push_back(lock_owner);
  }
  return 0;
}

int OpenFile::truncate(std::uint64_t size) {
  if (failed != 0) return failed;
  if (size > limits::kDataBytesMax) return EFBIG;
  if (mode == WriteMode::kAppend) {
    // No longer an addition: the whole value is this handle's, if nobody has added to it since.
    staged = std::string(value());
    loaded = true;
    mode = WriteMode::kOverlay;
  }
  load();
  staged.resize(size);
  // Nothing is left of the value it opened, so its version no longer matters.
  if (size == 0 && mode == WriteMode::kOverlay) mode = WriteMode::kReplace;
  ++writes;
  return 0;
}

}  // namespace zkfs::mount
