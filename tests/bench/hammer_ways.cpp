// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/hammer_ways.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>
#include <spawn.h>

extern char** environ;

namespace zkfs::bench {

namespace {

// "w" writer "n" serial "l" length ".": fixed width, repeated to the length; the last byte is '\n'.
constexpr std::size_t kTokenBytes = 24;
constexpr std::size_t kPieces = 7;

bool parse_number(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

Written failed(std::string& why, std::string_view what) {
  why = fmt::format("{}: {}", what, std::strerror(errno));
  return Written::kFailed;
}

// --- by system calls ---

class File {
 public:
  File(const std::string& path, int flags) : fd_(open(path.c_str(), flags | O_CLOEXEC, 0644)) {}

  ~File() { close_now(); }

  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] int fd() const { return fd_; }

  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

  [[nodiscard]] bool write(std::string_view bytes) const {
    return ::write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  }

  bool close_now() {
    const int fd = fd_;
    fd_ = -1;
    return fd < 0 || ::close(fd) == 0;
  }

 private:
  int fd_;
};

Written write_with(const std::string& path,
                   int flags,
                   std::string_view value,
                   std::size_t pieces,
                   std::string& why) {
  File file(path, O_WRONLY | flags);
  if (!file.is_open()) return failed(why, "open");
  for (std::size_t i = 0; i < pieces; ++i) {
    const std::size_t begin = value.size() * i / pieces;
    const std::size_t end = value.size() * (i + 1) / pieces;
    if (!file.write(value.substr(begin, end - begin))) return failed(why, "write");
  }
  return file.close_now() ? Written::kYes : failed(why, "close");
}

Written truncating(const Attempt& attempt, std::string& why) {
  return write_with(attempt.file, O_CREAT | O_TRUNC, attempt.value, 1, why);
}

Written in_pieces(const Attempt& attempt, std::string& why) {
  return write_with(attempt.file, O_CREAT | O_TRUNC, attempt.value, kPieces, why);
}

Written appending(const Attempt& attempt, std::string& why) {
  struct stat attributes {};

  // Anew before it is too large to be appended to.
  const bool large = stat(attempt.file.c_str(), &attributes) == 0 && attributes.st_size > 100'000;
  return write_with(attempt.file, O_CREAT | (large ? O_TRUNC : O_APPEND), attempt.value, 2, why);
}

Written conflict_or_failure(std::string& why, std::string_view what) {
  return errno == ESTALE ? Written::kConflict : failed(why, what);
}

// The whole value in one write of a descriptor that reads, too.
Written comparing(const Attempt& attempt, std::string& why) {
  File file(attempt.file, O_RDWR);
  if (!file.is_open()) return failed(why, "open");
  std::string old(attempt.value.size(), '\0');
  if (read(file.fd(), old.data(), old.size()) < 0) return failed(why, "read");
  if (pwrite(file.fd(), attempt.value.data(), attempt.value.size(), 0) !=
      static_cast<ssize_t>(attempt.value.size())) {
    return conflict_or_failure(why, "pwrite");
  }
  return file.close_now() ? Written::kYes : failed(why, "close");
}

// Writes over what there is, without truncating: one commit, at close.
Written over(const Attempt& attempt, std::string& why) {
  File file(attempt.file, O_WRONLY);
  if (!file.is_open()) return failed(why, "open");
  const std::string_view value = attempt.value;
  if (!file.write(value.substr(0, value.size() / 2)) || !file.write(value.substr(value.size() / 2)))
    return conflict_or_failure(why, "write");
  return file.close_now() ? Written::kYes : conflict_or_failure(why, "close");
}

Written truncating_descriptor(const Attempt& attempt, std::string& why) {
  File file(attempt.file, O_WRONLY);
  if (!file.is_open()) return failed(why, "open");
  if (ftruncate(file.fd(), 0) != 0) return conflict_or_failure(why, "ftruncate");
  if (!file.write(attempt.value)) return conflict_or_failure(why, "write");
  return file.close_now() ? Written::kYes : conflict_or_failure(why, "close");
}

std::string temporary_of(const Attempt& attempt) {
  return fmt::format("{}.new-{}", attempt.file, attempt.writer);
}

Written renaming(const Attempt& attempt, std::string& why) {
  const std::string temporary = temporary_of(attempt);
  const Written written = write_with(temporary, O_CREAT | O_TRUNC, attempt.value, 2, why);
  if (written != Written::kYes) return written;
  if (rename(temporary.c_str(), attempt.file.c_str()) != 0) return failed(why, "rename");
  return Written::kYes;
}

// The file is a link that is switched between two files of this writer's, which are written before.
// A reader may have followed the link before and read the file after it was written again.
Written switching(const Attempt& attempt, std::string& why) {
  static std::array<unsigned, 16> turn{};
  const unsigned side = ++turn.at(attempt.writer) % 2;
  const std::string target = fmt::format("{}.{}-{}", attempt.file, attempt.writer, side);
  const Written written = write_with(target, O_CREAT | O_TRUNC, attempt.value, 1, why);
  if (written != Written::kYes) return written;
  const std::string temporary = temporary_of(attempt);
  const std::string relative = target.substr(target.rfind('/') + 1);
  // One that a failed attempt left behind.
  if (unlink(temporary.c_str()) != 0 && errno != ENOENT) return failed(why, "unlink");
  if (symlink(relative.c_str(), temporary.c_str()) != 0) return failed(why, "symlink");
  if (rename(temporary.c_str(), attempt.file.c_str()) != 0) return failed(why, "rename");
  return Written::kYes;
}

// Now a file takes the name, now a link.
Written retyping(const Attempt& attempt, std::string& why) {
  static std::array<unsigned, 16> turn{};
  return ++turn.at(attempt.writer) % 2 == 0 ? renaming(attempt, why) : switching(attempt, why);
}

// --- by programs ---

Written run(std::vector<std::string> words, std::string& why) {
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t process = 0;
  int status = posix_spawnp(&process, arguments[0], nullptr, nullptr, arguments.data(), environ);
  if (status == 0 && waitpid(process, &status, 0) != process) status = -1;
  if (status == 0) return Written::kYes;
  why = fmt::format("{}: wait status {:#x}", words[0], static_cast<unsigned>(status));
  return Written::kFailed;
}

// A script whose $1 is the file, $2 the scratch file, $3 a temporary name beside the file.
Written run_script(const char* shell,
                   const char* script,
                   const Attempt& attempt,
                   std::string& why) {
  return run({shell, "-c", script, shell, attempt.file, attempt.scratch, temporary_of(attempt)},
             why);
}

Written by_cp(const Attempt& attempt, std::string& why) {
  return run({"cp", attempt.scratch, attempt.file}, why);
}

Written by_mv(const Attempt& attempt, std::string& why) {
  return run_script("sh", "cat \"$2\" > \"$3\" && mv \"$3\" \"$1\"", attempt, why);
}

Written by_sed(const Attempt& attempt, std::string& why) {
  const std::string line = attempt.value.substr(0, attempt.value.size() - 1);
  return run({"sed", "-i", "s/.*/" + line + "/", attempt.file}, why);
}

Written by_python(const Attempt& attempt, std::string& why) {
  return run({"python3", "-c", "import sys; open(sys.argv[1], 'w').write(open(sys.argv[2]).read())",
              attempt.file, attempt.scratch},
             why);
}

Written by_bash(const Attempt& attempt, std::string& why) {
  return run_script("bash", "{ head -c 1000 \"$2\"; tail -c +1001 \"$2\"; } > \"$1\"", attempt,
                    why);
}

Written by_dash(const Attempt& attempt, std::string& why) {
  return run_script("dash", "read -r line < \"$2\"; printf '%s\\n' \"$line\" > \"$1\"", attempt,
                    why);
}

Written by_tee(const Attempt& attempt, std::string& why) {
  return run_script("sh", "tee \"$1\" < \"$2\" > /dev/null", attempt, why);
}

constexpr std::size_t kSmall = 3000;
constexpr std::size_t kMedium = 100'000;
constexpr std::size_t kLarge = 1'000'000;
constexpr std::size_t kFixed = 8192;  // where what was there before shows beyond a shorter value
constexpr std::size_t kAppended = 1000;

constexpr std::array<Way, 18> kWays{{
    {"truncate", kShortestValue, kSmall, 1, true, false, truncating},
    {"pieces", kShortestValue, kMedium, 1, true, false, in_pieces},
    {"large", kShortestValue, kLarge, 1, true, false, in_pieces},
    {"append", kShortestValue, kAppended, 100'000, false, false, appending},
    {"compare", kFixed, kFixed, 1, true, false, comparing},
    {"over", kFixed, kFixed, 1, true, false, over},
    {"ftruncate", kShortestValue, kMedium, 1, true, false, truncating_descriptor},
    {"rename", kShortestValue, kMedium, 1, true, false, renaming},
    {"symlink", kShortestValue, kSmall, 1, false, false, switching},
    {"retype", kShortestValue, kSmall, 1, false, false, retyping},
    {"cp", kShortestValue, kMedium, 1, true, true, by_cp},
    {"mv", kShortestValue, kMedium, 1, true, true, by_mv},
    {"sed", kShortestValue, kSmall, 1, true, false, by_sed},
    {"python", kShortestValue, kMedium, 1, true, true, by_python},
    {"bash", kShortestValue, kMedium, 1, true, true, by_bash},
    {"dash", kShortestValue, kSmall, 1, true, true, by_dash},
    {"tee", kShortestValue, kMedium, 1, true, true, by_tee},
    {"cp-large", kShortestValue, kLarge, 1, true, true, by_cp},
}};

}  // namespace

std::string make_value(unsigned writer, std::uint64_t serial, std::size_t length) {
  const std::string token =
      fmt::format("w{:02}n{:09}l{:09}.", writer % 100, serial % 1'000'000'000, length);
  std::string value;
  value.reserve(length + kTokenBytes);
  while (value.size() < length) value += token;
  value.resize(length - 1);
  value += '\n';
  return value;
}

std::vector<Author> authors_of(std::string_view text, std::string& why) {
  std::vector<Author> authors;
  if (text.empty()) why = "it is empty";
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t at = text.size() - rest.size();
    std::uint64_t writer = 0;
    std::uint64_t serial = 0;
    std::uint64_t length = 0;
    if (rest.size() < kShortestValue || !parse_number(rest.substr(1, 2), writer) ||
        !parse_number(rest.substr(4, 9), serial) || !parse_number(rest.substr(14, 9), length) ||
        length < kShortestValue) {
      why = fmt::format("of {} bytes, at {} no value begins", text.size(), at);
      return {};
    }
    if (length > rest.size()) {
      why = fmt::format("of {} bytes, at {} a value of {} is cut", text.size(), at, length);
      return {};
    }
    const std::string expected = make_value(static_cast<unsigned>(writer), serial, length);
    const auto [in_text, in_value] =
        std::mismatch(rest.begin(), rest.begin() + length, expected.begin());
    if (in_value != expected.end()) {
      why =
          fmt::format("of {} bytes, at {} a value ({} of writer {}) goes on with another after {}",
                      text.size(), at, serial, writer, in_text - rest.begin());
      return {};
    }
    authors.push_back({static_cast<unsigned>(writer), serial});
    rest.remove_prefix(length);
  }
  return authors;
}

std::span<const Way> all_ways() {
  return kWays;
}

}  // namespace zkfs::bench
