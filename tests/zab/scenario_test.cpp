// SPDX-License-Identifier: Apache-2.0
// Runs testdata/*.txt: what an ensemble does, step by step, as text. A file is blocks of
//
//   # comments
//   command ...
//   ----
//   what it came to
//   <empty line>
//
// in which each effect of a machine is a line "member: effect". Pings and notifications are left
// out unless shown. `zkfs_zab_test --rewrite` writes what happens into the files: read the diff
// before you believe it. Commands:
//
//   members N [observers=M] [counter-max=K] [history=H]   a new ensemble, stopped
//   set N accepted=E current=E log=1.1:a,1.2:b mark=1.2   what is on N's disk
//   start N|all           all: and link everybody
//   link-up A B [lazy] | link-up A all      link-down A B [lazy]
//   deliver | deliver A B [COUNT]           everything until silence, or from A to B
//   drop A B [COUNT]      hold A B | release     nothing goes from A to B
//   tick MS               one tick           run MS   ticks of 10 ms, everything delivered
//   crash N | restart N   disk N manual|auto      disk-done N [COUNT]
//   propose N WORD...     sync N ID          snapshot N
//   state | log N | applied N | in-flight A B     show pings|notifications|nothing
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "ensemble/zab/to_text.h"
#include "tests/zab/world.h"

namespace zkfs::zab::testing {
namespace {

bool rewrite = false;

using Words = std::vector<std::string>;

Words split(const std::string& text, char separator) {
  Words words;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, separator);) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

Zxid zxid_of(const std::string& text) {
  const Words parts = split(text, '.');
  return Zxid{Epoch{static_cast<std::uint32_t>(std::stoul(parts.at(0)))},
              static_cast<std::uint32_t>(std::stoul(parts.at(1)))};
}

class Scenario {
 public:
  std::string run(const std::string& line) {
    output_.clear();
    words_ = split(line, ' ');
    if (const auto it = commands().find(words_.front()); it != commands().end()) {
      (this->*it->second)();
    } else {
      say("unknown command");
    }
    return output_;
  }

 private:
  using Command = void (Scenario::*)();

  static const std::map<std::string, Command>& commands() {
    static const std::map<std::string, Command> table{{"members", &Scenario::members},
                                                      {"set", &Scenario::set},
                                                      {"start", &Scenario::start},
                                                      {"restart", &Scenario::start},
                                                      {"crash", &Scenario::crash},
                                                      {"link-up", &Scenario::link_up},
                                                      {"link-down", &Scenario::link_down},
                                                      {"deliver", &Scenario::deliver},
                                                      {"drop", &Scenario::drop},
                                                      {"hold", &Scenario::hold},
                                                      {"release", &Scenario::release},
                                                      {"tick", &Scenario::tick},
                                                      {"run", &Scenario::run_for},
                                                      {"disk", &Scenario::disk},
                                                      {"disk-done", &Scenario::disk_done},
                                                      {"propose", &Scenario::propose},
                                                      {"sync", &Scenario::sync},
                                                      {"snapshot", &Scenario::snapshot},
                                                      {"state", &Scenario::state},
                                                      {"log", &Scenario::log},
                                                      {"applied", &Scenario::applied},
                                                      {"in-flight", &Scenario::in_flight},
                                                      {"show", &Scenario::show}};
    return table;
  }

  [[nodiscard]] bool has(std::size_t i) const { return i < words_.size(); }

  [[nodiscard]] Id number(std::size_t i, Id otherwise = 0) const {
    return has(i) ? static_cast<Id>(std::stoul(words_[i])) : otherwise;
  }

  [[nodiscard]] std::string option(const std::string& name) const {
    for (const auto& word : words_) {
      if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
    }
    return {};
  }

  void say(const std::string& text) { output_ += text + "\n"; }

  void trace(Id id, const std::string& text) {
    const auto is = [&](const char* what) { return text.find(what) != std::string::npos; };
    if (!pings_ && (is(" PING ") || is(" PONG "))) return;
    if (!notifications_ && is(" NOTIFICATION ")) return;
    say(fmt::format("{}: {}", id, text));
  }

  void members() {
    const auto observers = option("observers");
    const auto counter_max = option("counter-max");
    const auto history = option("history");
    held_.clear();
    world_ = std::make_unique<World>(
        number(1), observers.empty() ? 0 : static_cast<Id>(std::stoul(observers)),
        counter_max.empty() ? Zxid::kCounterMax
                            : static_cast<std::uint32_t>(std::stoul(counter_max)));
    world_->trace = [this](Id id, const std::string& text) { trace(id, text); };
    world_->hold = [this](Id from, Id to, const Message&) { return held_.contains({from, to}); };
    for (const Id id : world_->ids()) {
      if (!history.empty()) world_->node(id).config.history_entries_max = std::stoul(history);
    }
  }

  void set() {
    Durable& disk = world_->node(number(1)).disk;
    if (const auto text = option("accepted"); !text.empty()) {
      disk.accepted = Epoch{static_cast<std::uint32_t>(std::stoul(text))};
    }
    if (const auto text = option("current"); !text.empty()) {
      disk.current = Epoch{static_cast<std::uint32_t>(std::stoul(text))};
    }
    for (const auto& item : split(option("log"), ',')) {
      const auto parts = split(item, ':');
      disk.entries.push_back(Entry{zxid_of(parts.at(0)), Blob{parts.at(1)}});
    }
    if (const auto text = option("mark"); !text.empty()) {
      disk.mark = zxid_of(text);
      world_->preset(disk);
    }
  }

  void start() {
    if (words_.at(1) == "all") return world_->start_all();
    world_->start(number(1));
  }

  void crash() { world_->crash(number(1)); }

  void link_up() {
    if (words_.at(2) == "all") return world_->link_all(number(1));
    world_->link_up(number(1), number(2), has(3));
  }

  void link_down() { world_->link_down(number(1), number(2), has(3)); }

  void deliver() {
    if (!has(1)) return world_->deliver_all();
    for (Id n = number(3, 1); n > 0; --n) world_->deliver(number(1), number(2));
  }

  void drop() {
    for (Id n = number(3, 1); n > 0; --n) world_->drop(number(1), number(2));
  }

  void hold() { held_.insert({number(1), number(2)}); }

  void release() { held_.clear(); }

  void tick() { world_->tick(Millis{number(1)}); }

  void run_for() { world_->run(Millis{number(1)}); }

  void disk() {
    world_->node(number(1)).disk_auto = words_.at(2) == "auto";
    if (words_.at(2) == "auto") world_->disk_done(number(1));
  }

  void disk_done() { world_->disk_done(number(1), number(2, ~Id{0})); }

  void propose() {
    for (std::size_t i = 2; has(i); ++i) {
      if (!world_->zab(number(1)).leading()) return say("does not lead");
      const Zxid zxid = world_->propose(number(1), words_[i], !has(i + 1));
      if (zxid == Zxid{}) say("no more zxids");
    }
  }

  void sync() {
    if (!world_->active(number(1))) return say("not active");
    world_->request_sync(number(1), number(2));
  }

  void snapshot() { world_->snapshot(number(1)); }

  void state() {
    for (const Id id : world_->ids()) {
      if (!world_->node(id).zab) {
        say(fmt::format("{}: down", id));
        continue;
      }
      const Zab& zab = world_->zab(id);
      say(fmt::format("{}: {}{} leader={} epoch={}/{} last={} committed={}", id,
                      to_string(zab.state()), zab.active() ? " active" : "", zab.leader(),
                      zab.current_epoch(), zab.accepted_epoch(), to_text(zab.history().last()),
                      to_text(zab.history().committed())));
    }
  }

  void log() {
    const Durable& disk = world_->node(number(1)).disk;
    std::string line = fmt::format("base={}", to_text(disk.base));
    for (const auto& entry : disk.entries) {
      line += fmt::format(" {}:{}", to_text(entry.zxid), entry.bytes.view());
    }
    say(line +
        fmt::format(" mark={} epochs={}/{}", to_text(disk.mark), disk.current, disk.accepted));
  }

  void applied() { say(world_->texts(number(1))); }

  void in_flight() { say(std::to_string(world_->in_flight(number(1), number(2)))); }

  void show() {
    pings_ = words_.at(1) == "pings";
    notifications_ = words_.at(1) == "notifications";
  }

  std::unique_ptr<World> world_;
  Words words_;
  std::string output_;
  std::set<std::pair<Id, Id>> held_;
  bool pings_ = false;
  bool notifications_ = false;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// What the file would say if it told what happens.
std::string replay(const std::vector<std::string>& lines) {
  Scenario scenario;
  std::string result;
  std::string happened;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i] == "----") {
      result += "----\n" + (happened.empty() ? "nothing\n" : happened) + "\n";
      happened.clear();
      while (i + 1 < lines.size() && !lines[i + 1].empty()) ++i;
      ++i;
      continue;
    }
    result += lines[i] + "\n";
    if (!lines[i].empty() && !lines[i].starts_with('#')) happened += scenario.run(lines[i]);
  }
  while (result.ends_with("\n\n")) result.pop_back();
  return result;
}

class ScenarioFile : public ::testing::TestWithParam<std::string> {};

TEST_P(ScenarioFile, HappensAsWritten) {
  const std::string path = GetParam();
  const auto lines = lines_of(path);
  const std::string happens = replay(lines);
  if (rewrite) {
    std::ofstream(path) << happens;
    return;
  }
  std::string written;
  for (const auto& line : lines) written += line + "\n";
  EXPECT_EQ(written, happens);
}

std::vector<std::string> files() {
  std::vector<std::string> result;
  for (const auto& entry : std::filesystem::directory_iterator(ZKFS_ZAB_TESTDATA)) {
    if (entry.path().extension() == ".txt") result.push_back(entry.path().string());
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::string name_of(const ::testing::TestParamInfo<std::string>& info) {
  return std::filesystem::path(info.param).stem().string();
}

INSTANTIATE_TEST_SUITE_P(Zab, ScenarioFile, ::testing::ValuesIn(files()), name_of);

}  // namespace

void set_rewrite() {
  rewrite = true;
}

}  // namespace zkfs::zab::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::string{argv[i]} == "--rewrite") zkfs::zab::testing::set_rewrite();
  }
  return RUN_ALL_TESTS();
}
