// SPDX-License-Identifier: Apache-2.0
#include "ensemble/admin/admin_source.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <pwd.h>

namespace zkfs::admin {
namespace {

constexpr std::string_view kNone = "<NA>";

std::string java_arch(std::string_view machine) {
  return std::string(machine == "x86_64" ? "amd64" : machine);
}

std::string megabytes(long name) {
  const auto pages = static_cast<std::uint64_t>(std::max(0L, ::sysconf(static_cast<int>(name))));
  const auto page = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PAGESIZE)));
  return fmt::format("{}MB", pages * page >> 20U);
}

}  // namespace

Environment read_environment() {
  Environment all;
  utsname system{};
  if (::uname(&system) == 0) {
    all.host_name = static_cast<const char*>(system.nodename);
    all.os_arch = java_arch(static_cast<const char*>(system.machine));
    all.os_version = static_cast<const char*>(system.release);
  }
  if (const passwd* user = ::getpwuid(::getuid()); user != nullptr) {
    all.user_name = user->pw_name;
    all.user_home = user->pw_dir;
  } else {
    all.user_name = std::to_string(::getuid());
  }
  std::error_code ignored;
  all.user_dir = std::filesystem::current_path(ignored).string();
  return all;
}

bool is_serving(const AdminSource& source) {
  return source.status().in_quorum || source.port().read_only;
}

std::string_view mode_word(const AdminSource& source) {
  const server::MemberStatus status = source.status();
  if (!status.in_quorum) return "read-only";
  if (source.settings().standalone) return "standalone";
  switch (status.state) {
    case zab::PeerState::kLeading:
      return "leader";
    case zab::PeerState::kObserving:
      return "observer";
    case zab::PeerState::kLooking:
    case zab::PeerState::kFollowing:
      break;
  }
  return "follower";
}

std::string decimal_text(double value) {
  std::string text = fmt::format("{:.4f}", std::isfinite(value) ? value : 0.0);
  while (text.ends_with('0') && !text.ends_with(".0")) text.pop_back();
  return text;
}

std::vector<std::pair<std::string, std::string>> environment_lines(const AdminSource& source) {
  const Environment& environment = source.environment();
  return {{"zookeeper.version", source.settings().version},
          {"host.name", environment.host_name},
          {"java.version", std::string(kNone)},
          {"java.vendor", std::string(kNone)},
          {"java.home", std::string(kNone)},
          {"java.class.path", std::string(kNone)},
          {"java.library.path", std::string(kNone)},
          {"java.io.tmpdir", std::string(kNone)},
          {"java.compiler", std::string(kNone)},
          {"os.name", "Linux"},
          {"os.arch", environment.os_arch},
          {"os.version", environment.os_version},
          {"user.name", environment.user_name},
          {"user.home", environment.user_home},
          {"user.dir", environment.user_dir},
          {"os.memory.free", megabytes(_SC_AVPHYS_PAGES)},
          {"os.memory.max", megabytes(_SC_PHYS_PAGES)},
          {"os.memory.total", megabytes(_SC_PHYS_PAGES)}};
}

std::string membership_text(const tree::DataTree& tree) {
  return std::string(tree.find(kConfigIno)->data.view());
}

std::vector<SessionPaths> ephemerals_by_session(const tree::DataTree& tree) {
  std::vector<SessionPaths> all;
  for (const tree::Session& session : tree.sessions()) {
    if (session.ephemerals == 0) continue;
    SessionPaths& one = all.emplace_back();
    one.session = session.id;
    for (const Ino ino : tree.ephemerals_of(session.id)) one.paths.push_back(tree.path_of(ino));
  }
  return all;
}

}  // namespace zkfs::admin
