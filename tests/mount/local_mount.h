// SPDX-License-Identifier: Apache-2.0
// LocalMount: a real mount over an ensemble of one (tests/support/local_door.h), in this process.
// Shell scripts run in child processes while the calling thread drives the loop; the test itself
// never touches the mount, for that would wait for itself.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include "mount/mount.h"
#include "tests/support/local_door.h"

namespace zkfs::test {

struct Ran {
  int status = -1;  // exit status, or 128 + signal
  std::string out;  // standard output and error
};

class LocalMount final : public server::ChangeSubscriber {
 public:
  explicit LocalMount(const std::string& options = "", bool with_helper = false);
  ~LocalMount() override;
  LocalMount(const LocalMount&) = delete;
  LocalMount& operator=(const LocalMount&) = delete;

  static bool available();

  // Begins a script, working directory and $ZK at the mount.
  pid_t start(const std::string& script, const std::string& shell = "bash");
  // Drives the loop until it ended.
  Ran finish(pid_t pid);

  Ran run(const std::string& script, const std::string& shell = "bash") {
    return finish(start(script, shell));
  }

  // Drives the loop until `condition`; false after `limit`.
  bool drive_until(const std::function<bool()>& condition,
                   std::chrono::milliseconds limit = std::chrono::seconds(20));

  void stop() { mount_->stop(); }

  LocalDoor& door() { return *door_; }

  const std::string& path() const { return path_; }

  [[nodiscard]] bool unmounted() const { return unmounted_; }

  void set_quorum(bool in_quorum);
  // The ensemble takes its time: requests stay undecided until resumed.
  void pause(bool paused);
  // The data at a path; nothing if there is no such znode.
  std::optional<std::string> data(const std::string& path) const;
  // Txns that made or set a name, since the mount began.
  int versions(const std::string& name) const;

  Expected<void> started{};

  // ChangeSubscriber.
  void applied(const server::AppliedTxn& txn) override;

  void replaced(const tree::DataTree&, const tree::DataTree&) override {}

  void quorum_changed(bool) override {}

 private:
  void tick();
  void pump();

  struct Child {
    std::string output;
  };

  asio::io_context context_;
  asio::steady_timer timer_;
  std::string base_;
  std::string path_;
  std::unique_ptr<LocalDoor> door_;
  std::unique_ptr<mount::Mount> mount_;
  bool pump_posted_ = false;
  bool paused_ = false;
  bool unmounted_ = false;
  int scripts_ = 0;
  std::map<pid_t, Child> children_;
  std::map<std::string, int> versions_;
};

// A fixture that skips where there is no FUSE.
class MountTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!LocalMount::available()) GTEST_SKIP() << "/dev/fuse cannot be opened";
  }

  // Mounts with these options; `m` is it.
  LocalMount& with(const std::string& options, bool helper = false) {
    mount_ = std::make_unique<LocalMount>(options, helper);
    EXPECT_TRUE(mount_->started) << (mount_->started ? "" : mount_->started.error().text);
    return *mount_;
  }

  LocalMount& m() { return mount_ ? *mount_ : with(""); }

  // Runs a script of which every command must succeed; its output. A negated one is not one that
  // must: write `! this || exit`.
  std::string sh(const std::string& script, const std::string& shell = "bash") {
    const Ran ran = m().run("set -e\n" + script, shell);
    EXPECT_EQ(ran.status, 0) << script << "\n" << ran.out;
    return ran.out;
  }

  std::unique_ptr<LocalMount> mount_;
};

}  // namespace zkfs::test
