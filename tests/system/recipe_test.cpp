// SPDX-License-Identifier: Apache-2.0
// The recipes (scripts/recipes) keep their promises across three nodes, with processes and nodes
// that are killed.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <sstream>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

using Lines = std::vector<std::string>;

Lines lines_of(const std::string& text) {
  Lines lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The command line of a recipe.
std::string recipe(const std::string& line) {
  return std::string(ZKFS_RECIPES) + "/" + line;
}

class Recipe : public ::testing::Test {
 protected:
  void SetUp() override {
    ZKFS_NEEDS_FUSE();
    cluster_ = std::make_unique<Cluster>(
        Cluster::Options{.nodes = 3, .mount_options = "session_timeout=4s"});
  }

  // A file that all processes of the test write to, outside of the mounts.
  [[nodiscard]] std::string local(const std::string& name) const {
    return cluster_->directory(1) + "/" + name;
  }

  [[nodiscard]] std::string at(int node, const std::string& path) const {
    return cluster_->mnt(node, path);
  }

  // A shell that runs `command`; with "exec" it is the recipe itself.
  [[nodiscard]] Process start(const std::string& command, const std::string& log = "log") const {
    return Process::start({"/bin/sh", "-c", command}, local(log));
  }

  // Runs it on all nodes at once: {} is the mount. Waits for all.
  std::string on_all(const std::string& command) const {
    std::vector<Process> all;
    for (int node = 1; node <= 3; ++node) {
      all.push_back(
          start(fmt::format(fmt::runtime(command), fmt::arg("m", cluster_->mnt(node))), "all"));
    }
    for (auto& one : all) EXPECT_EQ(one.wait(Seconds(60)), 0) << read_file(local("all"));
    return read_file(local("all"));
  }

  [[nodiscard]] bool appears(const std::string& text, const std::string& log = "log") const {
    return eventually([&] { return read_file(local(log)).find(text) != std::string::npos; },
                      Seconds(20));
  }

  std::unique_ptr<Cluster> cluster_;
};

// "begin TOKEN" and "end TOKEN", in the order in which they were written.
void expect_one_at_a_time(const std::string& log, std::size_t count) {
  unsigned long long last = 0;
  std::string open;
  std::size_t begun = 0;
  for (const auto& line : lines_of(log)) {
    std::istringstream words(line);
    std::string what;
    std::string token;
    words >> what >> token;
    if (what == "begin") {
      EXPECT_EQ(open, "") << log;
      EXPECT_GT(std::stoull(token), last) << log;
      last = std::stoull(token);
      open = token;
      ++begun;
    } else {
      EXPECT_EQ(open, token) << log;
      open.clear();
    }
  }
  EXPECT_EQ(begun, count) << log;
}

TEST_F(Recipe, LockLetsOneWorkAtATimeAndItsTokenGrows) {
  const auto log = local("work");
  on_all("for i in 1 2 3 4 5 6 7 8; do " +
         recipe("lock {m}/job sh -c 'echo begin $LOCK_TOKEN; echo end $LOCK_TOKEN' >> ") + log +
         " || exit; done");
  expect_one_at_a_time(read_file(log), 24);
}

TEST_F(Recipe, LockOfADeadNodeIsGivenToTheNext) {
  auto holder =
      start("exec " + recipe("lock ") + at(3, "job") + " sh -c 'echo held; exec sleep 60'");
  ASSERT_TRUE(appears("held"));
  EXPECT_EQ(run(recipe("lock -n ") + at(1, "job") + " true").status, 1);
  EXPECT_EQ(run(recipe("lock -w 1 ") + at(1, "job") + " true").status, 4);
  cluster_->kill(3);
  EXPECT_EQ(run(recipe("lock -w 30 ") + at(1, "job") + " true").status, 0);
}

TEST_F(Recipe, ReadersShareAndAWriterIsAlone) {
  auto reader = start("exec " + recipe("rwlock read ") + at(1, "rw") +
                      " sh -c 'echo reading; exec sleep 60'");
  ASSERT_TRUE(appears("reading"));
  EXPECT_EQ(run(recipe("rwlock read -w 5 ") + at(2, "rw") + " true").status, 0);
  EXPECT_EQ(run(recipe("rwlock write -n ") + at(2, "rw") + " true").status, 1);
  reader.signal(SIGKILL);
  EXPECT_EQ(run(recipe("rwlock write -w 5 ") + at(2, "rw") + " true").status, 0);
}

TEST_F(Recipe, CounterLosesNothingWithAndWithoutALock) {
  for (const char* option : {"", "-l "}) {
    run("rm -f " + local("all"));
    const auto file = std::string(*option != 0 ? "locked" : "free");
    const auto output = on_all("for i in 1 2 3 4 5 6 7 8 9 10; do " + recipe("counter ") + option +
                               "{m}/" + file + " || exit; done");
    const auto all = lines_of(output);
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 30U) << output;
    ASSERT_TRUE(cluster_->sync(1));
    EXPECT_EQ(run(recipe("counter ") + at(1, file) + " 0").output, "30\n");
  }
}

TEST_F(Recipe, NamingGivesEachNumberOnce) {
  const auto output = on_all("for i in 1 2 3 4 5 6 7 8 9 10; do " +
                             recipe("naming id {m}/ids job-") + " || exit; done");
  const auto all = lines_of(output);
  EXPECT_EQ(all.size(), 30U);
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 30U) << output;
}

TEST_F(Recipe, ANameHasOneOwnerAndAStandbyTakesItOverFromADeadNode) {
  auto owner = start("exec " + recipe("naming register ") + at(3, "names") + " web one");
  EXPECT_EQ(run(recipe("naming wait -w 20 ") + at(1, "names") + " web").output, "one\n");
  EXPECT_EQ(run(recipe("naming register ") + at(2, "names") + " web two true").status, 1);
  auto standby = start("exec " + recipe("naming register -w 60 ") + at(2, "names") + " web two");
  cluster_->kill(3);
  EXPECT_TRUE(eventually(
      [&] { return run(recipe("naming resolve ") + at(1, "names") + " web").output == "two\n"; }));
  // Process::signal is what a service manager does.
  standby.signal(SIGTERM);
  EXPECT_EQ(standby.wait(Seconds(10)), 143);
  EXPECT_TRUE(eventually(
      [&] { return run(recipe("naming resolve ") + at(1, "names") + " web").status == 1; }));
}

TEST_F(Recipe, MembershipTellsOfJoinsLeavesAndDeadNodes) {
  auto watcher = start("exec " + recipe("membership watch ") + at(1, "group"), "watch");
  auto a = start("exec " + recipe("membership join ") + at(2, "group") + " a load=3");
  auto b = start("exec " + recipe("membership join ") + at(3, "group") + " b load=1");
  EXPECT_EQ(run(recipe("membership wait -w 20 ") + at(1, "group") + " 2").status, 0);
  EXPECT_EQ(run(recipe("membership pick -l ") + at(1, "group")).output, "b\n");
  EXPECT_EQ(run(recipe("membership set ") + at(1, "group") + " b load=7").status, 0);
  EXPECT_EQ(run(recipe("membership pick -l ") + at(1, "group")).output, "a\n");
  EXPECT_TRUE(appears("= b load=7", "watch"));
  cluster_->kill(3);
  EXPECT_TRUE(appears("- b", "watch"));
  EXPECT_EQ(run(recipe("membership list ") + at(1, "group")).output, "a\tload=3\n");
  a.signal(SIGKILL);
  EXPECT_TRUE(appears("- a", "watch"));
  // Nobody is made a member by telling data of one who is gone.
  EXPECT_EQ(run(recipe("membership set ") + at(1, "group") + " a load=1").status, 1);
  EXPECT_EQ(run(recipe("membership list ") + at(1, "group")).output, "");
}

TEST_F(Recipe, PickGoesRoundAmongAllNodes) {
  std::vector<Process> members;
  for (const char* name : {"a", "b", "c"}) {
    members.push_back(
        start("exec " + recipe("membership join ") + at(1, "group") + " " + name + " x"));
  }
  ASSERT_EQ(run(recipe("membership wait -w 20 ") + at(1, "group") + " 3").status, 0);
  for (int node = 1; node <= 3; ++node) ASSERT_TRUE(cluster_->sync(node));
  std::map<std::string, int> picked;
  for (const auto& name : lines_of(on_all(
           "for i in 1 2 3 4; do " + recipe("membership pick {m}/group") + " || exit; done"))) {
    ++picked[name];
  }
  EXPECT_EQ(picked, (std::map<std::string, int>{{"a", 4}, {"b", 4}, {"c", 4}}));
}

TEST_F(Recipe, NeverTwoMastersWhenOneIsKilledAndANodeDies) {
  const auto work = local("work");
  const auto command = " sh -c 'echo begin $MASTER_TOKEN >> " + work +
                       "; trap \"kill \\$!; echo end $MASTER_TOKEN >> " + work +
                       "; exit\" TERM; sleep 100 & wait'";
  std::vector<Process> masters;
  for (int i = 0; i < 3; ++i) {
    // The last stands on the node that dies; it is to be the second to lead.
    const int node = i == 1 ? 3 : 1 + i / 2;
    masters.push_back(start("exec " + recipe("master run -g 1 ") + at(node, "election") + command,
                            fmt::format("master{}", i)));
    ASSERT_TRUE(appears(i == 0 ? "is master" : "waiting behind", fmt::format("master{}", i)));
  }
  ASSERT_TRUE(appears("begin", "work"));
  masters[0].signal(SIGKILL);
  ASSERT_TRUE(appears("is master", "master1")) << read_file(work);
  const auto who = run(recipe("master who ") + at(1, "election")).output;
  EXPECT_NE(who.find("candidate-0000000001"), std::string::npos) << who;
  cluster_->kill(3);
  ASSERT_TRUE(appears("is master", "master2")) << read_file(work);
  ASSERT_TRUE(eventually([&] { return lines_of(read_file(work)).size() == 5; })) << read_file(work);
  masters[2].signal(SIGTERM);
  EXPECT_EQ(masters[2].wait(Seconds(20)), 143);
  expect_one_at_a_time(read_file(work), 3);
}

TEST_F(Recipe, QueueGivesEachEntryOnceAndInOrder) {
  const auto work = local("work");
  for (int i = 10; i < 40; ++i) {
    ASSERT_EQ(run(recipe("queue put ") + at(1 + i % 3, "q") + fmt::format(" e{}", i)).status, 0);
  }
  EXPECT_EQ(run("sync " + at(2, "q") + "; " + recipe("queue size ") + at(2, "q")).output, "30\n");
  EXPECT_EQ(run(recipe("queue peek ") + at(2, "q")).output, "e10\n");
  on_all("until ! " + recipe("queue take -n {m}/q >> ") + work + "; do :; done; true");
  const auto done = lines_of(read_file(work));
  EXPECT_EQ(done.size(), 30U) << read_file(work);
  EXPECT_EQ(std::set<std::string>(done.begin(), done.end()).size(), 30U) << read_file(work);
  EXPECT_EQ(run("ls -A " + at(1, "q/claimed") + "; ls -A " + at(1, "q/items")).output, "");
}

TEST_F(Recipe, WhatADeadConsumerHadClaimedComesBack) {
  for (const char* entry : {"first", "second", "third"}) {
    ASSERT_EQ(run(recipe("queue put ") + at(1, "q") + " " + entry).status, 0);
  }
  const auto stuck = " sh -c 'echo got $(cat); exec sleep 100'";
  auto killed = start("exec " + recipe("queue take ") + at(2, "q") + stuck);
  ASSERT_TRUE(appears("got first"));
  auto lost = start("exec " + recipe("queue take ") + at(3, "q") + stuck);
  ASSERT_TRUE(appears("got second"));
  EXPECT_EQ(run(recipe("queue take ") + at(1, "q")).output, "third\n");
  EXPECT_EQ(run(recipe("queue take -n ") + at(1, "q")).status, 1);
  auto rest =
      start("for i in 1 2; do " + recipe("queue take -w 60 ") + at(1, "q") + "; done", "rest");
  killed.signal(SIGKILL);
  EXPECT_TRUE(appears("first", "rest"));
  cluster_->kill(3);
  EXPECT_TRUE(appears("second", "rest"));
  EXPECT_EQ(rest.wait(Seconds(20)), 0);
}

TEST_F(Recipe, NobodyPassesABarrierAloneAndAllLeaveTogether) {
  const auto work = local("work");
  on_all("for i in 1 2 3; do " + recipe("barrier --double -w 60 {m}/bar 3 sh -c 'echo in >> ") +
         work + "' && echo out >> " + work + " || exit; done");
  // Rounds of three that come in and three that go out never mix.
  std::string order;
  for (const auto& line : lines_of(read_file(work))) order += line == "in" ? 'i' : 'o';
  int in = 0;
  int out = 0;
  for (const char c : order) {
    if (c == 'i') {
      EXPECT_GE(out, in / 3 * 3 - 3) << order;
      ++in;
    } else {
      ++out;
      EXPECT_EQ(in - (out - 1) / 3 * 3 >= 3, true) << order;
    }
  }
  EXPECT_EQ(in, 9);
  EXPECT_EQ(out, 9);
}

TEST_F(Recipe, ABarrierDoesNotCountTheDead) {
  auto dead = start("exec " + recipe("barrier ") + at(1, "bar") + " 2 echo passed");
  ASSERT_TRUE(eventually(
      [&] { return run("ls " + at(2, "bar/members") + " | grep member-").status == 0; }));
  dead.signal(SIGKILL);
  ASSERT_TRUE(eventually([&] { return run("ls " + at(2, "bar/members")).output.empty(); }));
  EXPECT_EQ(run(recipe("barrier -w 1 ") + at(2, "bar") + " 2 echo passed").status, 4);
  EXPECT_EQ(read_file(local("log")).find("passed"), std::string::npos);
}

// Kills it when it has started so many processes; false if it waits before that.
bool kill_at_child(Process& process, std::size_t count) {
  const auto pid = std::to_string(process.pid());
  const auto children = "/proc/" + pid + "/task/" + pid + "/children";
  std::set<std::string> seen;
  const auto deadline = std::chrono::steady_clock::now() + Millis(500);
  while (seen.size() < count && std::chrono::steady_clock::now() < deadline) {
    std::istringstream words(read_file(children));
    for (std::string word; words >> word;) seen.insert(word);
  }
  process.signal(SIGKILL);
  return seen.size() >= count;
}

// Also as the shell starts what it waits with: no child may go on holding the ephemeral's
// descriptor, or the lock's.
TEST_F(Recipe, WhatIsKilledAnywhereLeavesNothingBehind) {
  ASSERT_EQ(run("mkdir -p " + at(1, "bar/members")).status, 0);
  std::size_t count = 1;
  for (bool before_it_waits = true; before_it_waits; ++count) {
    for (int time = 0; time < 3; ++time) {
      auto member = start("exec " + recipe("barrier ") + at(1, "bar") + " 2 true");
      before_it_waits = kill_at_child(member, count);
      EXPECT_TRUE(eventually([&] {
        return run("ls " + at(2, "bar/members") + " 2>/dev/null").output.empty();
      })) << "killed at its child "
          << count;
      EXPECT_EQ(run("timeout 5 flock " + at(2, "bar/lock") + " true").status, 0);
    }
  }
  EXPECT_GT(count, 5U);
}

TEST_F(Recipe, ConfigWatchSeesWholeVersionsAndTheLastOne) {
  ASSERT_EQ(run("mkdir " + at(1, "conf")).status, 0);
  ASSERT_TRUE(cluster_->sync(3));
  auto watcher = start("exec " + recipe("config-watch ") + at(3, "conf/app") +
                           " sh -c 'echo saw $(cat $CONFIG/a) $(cat $CONFIG/b)'",
                       "watch");
  const auto source = local("source");
  ASSERT_EQ(run("mkdir " + source).status, 0);
  for (int i = 1; i <= 8; ++i) {
    const auto result = run(fmt::format("cd {0} && echo {1} > a && echo {1} > b && {2}", source, i,
                                        recipe("config-publish . ") + at(1 + i % 2, "conf/app")));
    ASSERT_EQ(result.status, 0) << result.output;
  }
  EXPECT_TRUE(appears("saw 8 8", "watch")) << read_file(local("watch"));
  for (const auto& line : lines_of(read_file(local("watch")))) {
    ASSERT_EQ(line.size(), 7U) << line;
    EXPECT_EQ(line[4], line[6]) << line;
  }
  EXPECT_EQ(run("ls " + at(1, "conf/app.versions") + " | wc -l").output, "3\n");
}

// Each source with its collector, once all are collected by one of `collectors`.
class LogCollectors : public Recipe {
 protected:
  std::map<std::string, std::string> settled(const std::set<std::string>& collectors) {
    std::map<std::string, std::string> result;
    EXPECT_TRUE(eventually(
        [&] {
          result.clear();
          std::set<std::string> used;
          for (const auto& line :
               lines_of(run(recipe("log-collector status ") + at(1, "logs")).output)) {
            std::istringstream words(line);
            std::string source;
            std::string collector;
            std::string state;
            words >> source >> collector >> state;
            if (state != "collecting") return false;
            result[source] = collector;
            used.insert(collector);
          }
          return result.size() == 6 && used == collectors;
        },
        Seconds(40)))
        << run(recipe("log-collector status ") + at(1, "logs")).output;
    return result;
  }
};

TEST_F(LogCollectors, TheWorkOfADeadNodeMovesAndNothingElse) {
  for (int i = 1; i <= 6; ++i) {
    const auto add = fmt::format("log-collector add {} s{} text", at(1, "logs"), i);
    ASSERT_EQ(run(recipe(add)).status, 0);
  }
  const auto work = " sh -c 'exec sleep 1000' work";
  auto manager = start("exec " + recipe("log-collector manage ") + at(3, "logs"));
  ASSERT_TRUE(appears("is master"));
  auto successor = start("exec " + recipe("log-collector manage ") + at(2, "logs"));
  auto a = start("exec " + recipe("log-collector collect ") + at(1, "logs") + " a" + work);
  settled({"a"});
  auto c = start("exec " + recipe("log-collector collect ") + at(3, "logs") + " c" + work);
  settled({"a", "c"});
  auto b = start("exec " + recipe("log-collector collect ") + at(2, "logs") + " b" + work);
  const auto before = settled({"a", "b", "c"});
  for (const char* collector : {"a", "b", "c"}) {
    EXPECT_EQ(std::count_if(before.begin(), before.end(),
                            [&](auto& one) { return one.second == collector; }),
              2);
  }
  // With the node go a collector and the manager.
  cluster_->kill(3);
  const auto after = settled({"a", "b"});
  for (const auto& [source, collector] : before) {
    EXPECT_TRUE(collector == "c" || after.at(source) == collector) << source;
  }
  for (auto* one : {&a, &b}) {
    one->signal(SIGTERM);
    EXPECT_EQ(one->wait(Seconds(20)), 143);
  }
}

TEST_F(Recipe, MisuseIsOneClearLine) {
  for (const char* name : {"barrier", "config-publish", "config-watch", "counter", "lock",
                           "log-collector", "master", "membership", "naming", "queue", "rwlock"}) {
    EXPECT_EQ(run(recipe(name) + std::string(" --help")).status, 0) << name;
    const auto bad = run(recipe(name) + std::string(" --nonsense"));
    EXPECT_EQ(bad.status, 2) << name;
    EXPECT_EQ(lines_of(bad.output).size(), 1U) << bad.output;
  }
}

}  // namespace
}  // namespace zkfs::testing
