// SPDX-License-Identifier: Apache-2.0
#include "zkfs/mounts.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include <asio/post.hpp>
#include <fmt/format.h>

#include "ensemble/base/check.h"
#include "ensemble/base/log.h"
#include "mount/handover.pb.h"
#include "mount/mount_point.h"

namespace zkfs {
namespace {

// One worker that hangs on a locked directory must not stop the replay of the others.
constexpr int kEventWorkers = 8;

std::unexpected<Problem> problem(std::string text) {
  return std::unexpected(Problem{std::move(text)});
}

bool lies_under(const std::string& path, const std::string& directory) {
  if (directory == "/") return true;
  return path == directory || path.starts_with(directory + "/");
}

}  // namespace

std::string resolved_mountpoint(const std::string& path) {
  std::error_code failed;
  const auto plain = std::filesystem::absolute(path, failed).lexically_normal();
  auto resolved = std::filesystem::canonical(plain, failed);
  if (failed) {
    // Dead, or not there: then the mount says so.
    const auto parent = std::filesystem::canonical(plain.parent_path(), failed);
    resolved = failed || !plain.has_filename() ? plain : parent / plain.filename();
  }
  std::string text = resolved.string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

Mounts::Mounts(Parts parts, std::function<void(const std::string&)> gone)
    : parts_(std::move(parts)), gone_(std::move(gone)) {}

Mounts::~Mounts() {
  clear();
}

Expected<void> Mounts::spawn_zygote() {
  auto zygote = mount::EventZygote::spawn();
  if (!zygote) return std::unexpected(std::move(zygote).error());
  zygote_ = std::move(*zygote);
  return {};
}

// A server that wrote to its own mount, or looked a path up in it, would wait for itself.
Expected<void> Mounts::refuse(const std::string& mountpoint) const {
  if (lies_under(parts_.data_dir, mountpoint))
    return problem(fmt::format(
        "{}: the data directory lies under the mount point {}; give another --data-dir or "
        "dataDir",
        parts_.data_dir, mountpoint));
  std::error_code no_file;
  const std::filesystem::path log = std::filesystem::read_symlink("/proc/self/fd/2", no_file);
  if (!no_file && lies_under(log.string(), mountpoint))
    return problem(
        fmt::format("{}: the log lies under the mount point {}; redirect standard error elsewhere",
                    log.string(), mountpoint));
  std::vector<mount::MountEntry> others = mount::mounts_of_this_process();
  std::erase_if(others, [](const auto& entry) { return entry.type != mount::kFilesystemType; });
  const auto is_ours = [&](const std::string& device) {
    return std::ranges::any_of(others, [&](const mount::MountEntry& entry) {
      return entry.device == device &&
             std::ranges::find(mounted_, entry.path, &Mounted::mountpoint) != mounted_.end();
    });
  };
  for (const mount::MountEntry& other : others) {
    // A dead one is taken over; ours are alive, also where they were bound to.
    if (other.path == mountpoint && is_ours(other.device))
      return problem(fmt::format("a zkfs is mounted at {} already; unmount it first", mountpoint));
    // Also others': one that serves us could in turn be served by us.
    if (other.path != mountpoint && lies_under(mountpoint, other.path))
      return problem(fmt::format("mount point {} lies on the zkfs at {}; name one elsewhere",
                                 mountpoint, other.path));
  }
  return {};
}

Expected<void> Mounts::add(mount::MountOptions options) {
  ZKFS_CHECK(door_ != nullptr && zygote_ != nullptr, "a mount before there is what to mount");
  ZKFS_CHECK(!stopped_, "a mount after the end");
  ZKFS_TRY(refuse(options.mountpoint));
  const std::string mountpoint = options.mountpoint;
  auto made = make(std::move(options));
  if (!made) return std::unexpected(std::move(made).error());
  std::unique_ptr<mount::Mount> mount = std::move(*made);
  // Called from within the mount: it is taken down later, from the loop.
  const std::uint64_t id = ++last_id_;
  ZKFS_TRY(mount->start([this, id] { asio::post(parts_.context, [this, id] { unmounted(id); }); }));
  mounted_.push_back({id, mountpoint, std::move(mount)});
  return {};
}

Expected<std::unique_ptr<mount::Mount>> Mounts::make(mount::MountOptions options) {
  auto helper = zygote_->helper(kEventWorkers);
  if (!helper) return std::unexpected(std::move(helper).error());
  return std::make_unique<mount::Mount>(parts_.context, *door_, std::move(options),
                                        parts_.control_files(), std::move(*helper), parts_.now);
}

void Mounts::pause() {
  for (const Mounted& mounted : mounted_) mounted.mount->pause();
}

void Mounts::go_on() {
  for (const Mounted& mounted : mounted_) mounted.mount->go_on();
}

bool Mounts::settled() const {
  return std::ranges::all_of(mounted_,
                             [](const Mounted& mounted) { return mounted.mount->settled(); });
}

Expected<void> Mounts::hand_over(handover::Daemon& out) const {
  for (const Mounted& mounted : mounted_) ZKFS_TRY(mounted.mount->hand_over(*out.add_mounts()));
  return {};
}

void Mounts::drop_workers() {
  for (const Mounted& mounted : mounted_) mounted.mount->drop_helper();
  zygote_.reset();
}

Expected<void> Mounts::resume(const handover::Daemon& in) {
  for (const handover::Mount& left : in.mounts()) {
    mount::MountOptions options;
    ZKFS_TRY(mount::parse_mount_options(left.options(), options));
    options.mountpoint = left.mountpoint();
    auto made = make(options);
    if (!made) return std::unexpected(std::move(made).error());
    std::unique_ptr<mount::Mount> mount = std::move(*made);
    const std::uint64_t id = ++last_id_;
    const auto resumed = mount->resume(
        left, [this, id] { asio::post(parts_.context, [this, id] { unmounted(id); }); });
    if (resumed) {
      mounted_.push_back({id, left.mountpoint(), std::move(mount)});
      continue;
    }
    ZKFS_LOG_ERROR(mount, "{}: {}; it is mounted anew", left.mountpoint(), resumed.error().text);
    mount.reset();
    ::close(left.fuse());
    ZKFS_TRY(add(std::move(options)));
  }
  return {};
}

void Mounts::unmounted(std::uint64_t id) {
  const auto it = std::ranges::find(mounted_, id, &Mounted::id);
  if (stopped_ || it == mounted_.end()) return;
  const std::string mountpoint = it->mountpoint;
  mounted_.erase(it);
  gone_(mountpoint);
}

Expected<void> Mounts::remove(const std::string& mountpoint) {
  const auto it = std::ranges::find(mounted_, mountpoint, &Mounted::mountpoint);
  if (it == mounted_.end())
    return problem(fmt::format("{}: this server mounts nothing there", mountpoint));
  it->mount->stop();
  mounted_.erase(it);
  return {};
}

void Mounts::stop() {
  stopped_ = true;
  for (const Mounted& mounted : mounted_) mounted.mount->stop();
}

void Mounts::clear() {
  stopped_ = true;
  mounted_.clear();
}

void Mounts::tick() {
  for (const Mounted& mounted : mounted_) mounted.mount->tick();
}

std::vector<std::string> Mounts::mountpoints() const {
  std::vector<std::string> all;
  for (const Mounted& mounted : mounted_) all.push_back(mounted.mountpoint);
  return all;
}

}  // namespace zkfs
