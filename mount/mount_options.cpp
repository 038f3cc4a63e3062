// SPDX-License-Identifier: Apache-2.0
// The text of -o.
#include <array>
#include <charconv>
#include <initializer_list>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "ensemble/base/duration.h"
#include "ensemble/tree/path.h"
#include "mount/mount.h"

namespace zkfs::mount {

namespace {

std::unexpected<Problem> refuse(std::string_view name,
                                std::string_view value,
                                std::string_view allowed) {
  return std::unexpected(
      Problem{fmt::format("mount option {}={}: allowed is {}", name, value, allowed)});
}

constexpr std::string_view kDurations = "a number with ms, s, m, h or d, such as 10s";

Expected<void> take_duration(std::string_view name, std::string_view value, MountOptions& options) {
  const auto parsed = parse_duration(value);
  if (!parsed) return refuse(name, value, kDurations);
  const Millis time = *parsed;
  if (name == "timeo") options.timeo = time;
  if (name == "commit_timeo") options.commit_timeo = time;
  if (name == "session_timeout") {
    constexpr std::int64_t kMin = 1000;
    constexpr std::int64_t kMax = 3'600'000;
    if (time.count() < kMin || time.count() > kMax) return refuse(name, value, "1s to 1h");
    options.session_timeout_ms = static_cast<std::uint32_t>(time.count());
  }
  return {};
}

Expected<void> take_valued(std::string_view name, std::string_view value, MountOptions& options) {
  if (name == "timeo" || name == "commit_timeo" || name == "session_timeout") {
    return take_duration(name, value, options);
  }
  if (name == "quorum_loss") {
    if (value == "default") {
      options.quorum_loss = QuorumLoss::kDefault;
    } else if (value == "wait") {
      options.quorum_loss = QuorumLoss::kWait;
    } else if (value == "strict") {
      options.quorum_loss = QuorumLoss::kStrict;
    } else {
      return refuse(name, value, "default, wait or strict");
    }
    return {};
  }
  if (name == "commit") {
    if (value == "close") {
      options.commit = CommitMode::kClose;
    } else if (value == "writer") {
      options.commit = CommitMode::kWriter;
    } else if (value == "write") {
      options.commit = CommitMode::kWrite;
    } else {
      return refuse(name, value, "close, writer or write");
    }
    return {};
  }
  if (name == "control") {
    if (value.empty() || value == "." || value == ".." || value.size() > 255 ||
        value.find('/') != std::string_view::npos) {
      return refuse(name, value, "a file name");
    }
    options.control = std::string(value);
    return {};
  }
  if (name == "root") {
    if (!tree::validate_path(value)) {
      return refuse(name, value, "the path of a znode, such as /app1");
    }
    options.root = std::string(value);
    return {};
  }
  if (name == "fsname" || name == "source") {
    if (value.empty()) return refuse(name, value, "a name to show in /proc/mounts");
    options.source = std::string(value);
    return {};
  }
  return std::unexpected(Problem{fmt::format(
      "unknown mount option {}={}: known with a value are timeo, commit_timeo, session_timeout, "
      "quorum_loss, commit, control, root, fsname",
      name, value)});
}

// What mount(8), fstab and systemd pass along and what is the case anyway.
bool is_ignored(std::string_view name) {
  static constexpr std::string_view kIgnored[] = {
      "defaults", "rw",       "nosuid",      "nodev",    "noexec",
      "noatime",  "relatime", "strictatime", "lazytime", "nodiratime",
      "async",    "sync",     "dirsync",     "auto",     "noauto",
      "nofail",   "_netdev",  "user",        "users",    "nouser",
      "owner",    "group",    "loud",        "silent",   "default_permissions"};
  for (const std::string_view ignored : kIgnored) {
    if (name == ignored) return true;
  }
  return false;
}

Expected<void> take(std::string_view option, MountOptions& options) {
  const auto equals = option.find('=');
  const std::string_view name = option.substr(0, equals);
  if (option.empty() || name.starts_with("x-") || name.starts_with("X-") || name == "comment" ||
      name == "user") {
    return {};
  }
  if (equals != std::string_view::npos) {
    return take_valued(name, option.substr(equals + 1), options);
  }
  if (name == "allow_other") {
    options.allow_other = true;
  } else if (name == "ro") {
    options.read_only = true;
  } else if (name == "exec") {
    options.exec = true;
  } else if (!is_ignored(name)) {
    return std::unexpected(Problem{fmt::format(
        "unknown mount option {}: known without a value are allow_other, ro, rw, exec, noexec",
        name)});
  }
  if (name == "rw") options.read_only = false;
  if (name == "noexec") options.exec = false;
  return {};
}

}  // namespace

std::string mount_options_text(const MountOptions& options) {
  const auto word = [](auto value, std::initializer_list<std::string_view> words) {
    return *(words.begin() + static_cast<std::ptrdiff_t>(value));
  };
  std::string text;
  const auto line = [&text](std::string_view name, std::string_view value) {
    text += fmt::format("{}={}\n", name, value);
  };
  line("mountpoint", options.mountpoint);
  line("fsname", options.source);
  line("control", options.control);
  line("timeo", fmt::format("{}ms", options.timeo.count()));
  line("commit_timeo", fmt::format("{}ms", options.commit_timeo.count()));
  line("session_timeout", fmt::format("{}ms", options.session_timeout_ms));
  line("quorum_loss", word(options.quorum_loss, {"default", "wait", "strict"}));
  line("commit", word(options.commit, {"close", "writer", "write"}));
  line("allow_other", options.allow_other ? "yes" : "no");
  line("ro", options.read_only ? "yes" : "no");
  line("exec", options.exec ? "yes" : "no");
  return text;
}

Expected<void> parse_mount_options(const std::string& text, MountOptions& options) {
  if (!text.empty()) options.given += (options.given.empty() ? "" : ",") + text;
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    ZKFS_TRY(take(rest.substr(0, comma), options));
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return {};
}

}  // namespace zkfs::mount
