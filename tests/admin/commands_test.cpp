// SPDX-License-Identifier: Apache-2.0
#include "ensemble/admin/commands.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/admin/fake_source.h"

namespace zkfs::admin {
namespace {

using Json = nlohmann::ordered_json;

class Commands : public testing::Test {
 protected:
  Json run(std::string_view name, std::vector<std::pair<std::string, std::string>> query = {}) {
    return Json::parse(run_command(name, {.path = "", .parameters = std::move(query)}, source));
  }

  FakeSource source;
};

std::vector<std::string> keys(const Json& json) {
  std::vector<std::string> all;
  for (const auto& item : json.items()) all.push_back(item.key());
  return all;
}

using Keys = std::vector<std::string>;

TEST_F(Commands, AreAnsweredUnderEachName) {
  const std::vector<std::pair<std::string, Keys>> names{
      {"configuration", {"conf", "config"}},
      {"connections", {"cons"}},
      {"connection_stat_reset", {"crst"}},
      {"stat_reset", {"srst"}},
      {"observer_connection_stat_reset", {"orst"}},
      {"dirs", {}},
      {"dump", {}},
      {"environment", {"env", "envi"}},
      {"get_trace_mask", {"gtmk"}},
      {"set_trace_mask", {"stmk"}},
      {"hash", {}},
      {"initial_configuration", {"icfg"}},
      {"is_read_only", {"isro"}},
      {"last_snapshot", {"lsnp"}},
      {"leader", {"lead"}},
      {"monitor", {"mntr"}},
      {"observers", {"obsr"}},
      {"ruok", {}},
      {"server_stats", {"srvr"}},
      {"stats", {"stat"}},
      {"system_properties", {"sysp"}},
      {"voting_view", {}},
      {"watches", {"wchc"}},
      {"watches_by_path", {"wchp"}},
      {"watch_summary", {"wchs"}},
      {"zabstate", {}}};
  source.lead();
  for (const auto& [name, shorter] : names) {
    EXPECT_EQ(run(name)["command"], name);
    for (const std::string& alias : shorter) EXPECT_EQ(run(alias)["command"], name) << alias;
    EXPECT_EQ(run(name).at("error").is_null(), name != "set_trace_mask") << name;
    EXPECT_NE(
        command_index("/commands").find("<a href=\"/commands/" + name + "\">" + name + "</a>"),
        std::string::npos);
  }
}

TEST_F(Commands, AnUnknownOneSaysSo) {
  EXPECT_EQ(run("nosuch"), Json::parse(R"({"command": "nosuch",
                                           "error": "Unknown command: nosuch"})"));
  EXPECT_EQ(run("")["error"], "Unknown command: ");
  EXPECT_EQ(run("ruok/x")["error"], "Unknown command: ruok/x");
}

TEST_F(Commands, ANameThatIsNotUtf8IsAnsweredToo) {
  EXPECT_TRUE(run("\xff\xfe")["error"].is_string());
}

TEST_F(Commands, AServerThatDoesNotServeSaysSoButForFive) {
  source.lose_quorum();
  for (const char* name : {"ruok", "configuration", "dump", "monitor", "stats", "leader", "hash"}) {
    EXPECT_EQ(run(name)["error"], "This ZooKeeper instance is not currently serving requests");
  }
  for (const char* name : {"environment", "get_trace_mask", "system_properties", "zabstate"}) {
    EXPECT_TRUE(run(name)["error"].is_null()) << name;
  }
}

TEST_F(Commands, ConfigurationOfAStandaloneServer) {
  EXPECT_EQ(keys(run("configuration")),
            (Keys{"client_port", "data_dir", "data_log_dir", "tick_time", "max_client_cnxns",
                  "min_session_timeout", "max_session_timeout", "server_id",
                  "client_port_listen_backlog", "command", "error"}));
  EXPECT_EQ(run("configuration")["client_port"], 2181);
}

TEST_F(Commands, ConfigurationOfAnEnsemble) {
  source.lead();
  const Json json = run("conf");
  for (const char* key : {"init_limit", "sync_limit", "election_alg", "election_port",
                          "quorum_port", "peer_type", "membership"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["server_id"], 3);
}

TEST_F(Commands, ConnectionsAreObjects) {
  source.clients = two_connections();
  const Json json = run("connections");
  ASSERT_EQ(json["connections"].size(), 2U);
  EXPECT_EQ(json["secure_connections"], Json::array());
  EXPECT_EQ(keys(json["connections"][0]),
            (Keys{"remote_socket_address", "interest_ops", "outstanding_requests",
                  "packets_received", "packets_sent", "session_id", "last_operation", "established",
                  "session_timeout", "last_cxid", "last_zxid", "last_response_time", "last_latency",
                  "min_latency", "avg_latency", "max_latency"}));
  EXPECT_EQ(json["connections"][0]["session_id"], 72059241409871872);
  EXPECT_EQ(json["connections"][1]["last_cxid"], -1);
}

TEST_F(Commands, SessionsOfHighServersAreNegativeAsJavasLongs) {
  source.by_session = {{SessionId{0xff00000000000000}, {"/a"}}};
  EXPECT_EQ(run("watches")["session_id_to_watched_paths"],
            Json::parse(R"({"-72057594037927936": ["/a"]})"));
}

TEST_F(Commands, ServerStatsOfALeader) {
  source.lead();
  const Json json = run("server_stats");
  EXPECT_EQ(keys(json), (Keys{"version", "read_only", "server_stats", "client_response",
                              "proposal_stats", "node_count", "command", "error"}));
  EXPECT_EQ(json["server_stats"]["server_state"], "leader");
  EXPECT_EQ(json["server_stats"]["last_processed_zxid"], 4294967300);
  EXPECT_EQ(json["server_stats"]["avg_latency"], 10.0 / 3);
  EXPECT_EQ(json["client_response"]["last_buffer_size"], -1);
}

TEST_F(Commands, StatsAddTheConnections) {
  source.clients = two_connections();
  const Json json = run("stats");
  EXPECT_EQ(json["connections"].size(), 2U);
  EXPECT_TRUE(json.contains("secure_connections"));
  EXPECT_FALSE(json.contains("proposal_stats"));
}

TEST_F(Commands, DumpIsByExpiryAndBySession) {
  source.add_ephemeral();
  source.expiries = {{1'795'287'680'000, {FakeSource::kSession}}};
  const Json json = run("dump");
  EXPECT_EQ(json["expiry_time_to_session_ids"],
            Json::parse(R"({"1795287680000": [72059241409871872]})"));
  EXPECT_EQ(json["session_id_to_ephemeral_paths"], Json::parse(R"({"72059241409871872": ["/e"]})"));
}

TEST_F(Commands, WatchesByPathAndInSum) {
  source.by_path = {{"/a", {FakeSource::kSession}}};
  source.by_session = {{FakeSource::kSession, {"/a"}}};
  EXPECT_EQ(run("wchp")["path_to_session_ids"], Json::parse(R"({"/a": [72059241409871872]})"));
  EXPECT_EQ(run("wchs")["num_total_watches"], 1);
  EXPECT_EQ(run("wchs")["num_connections"], 1);
  EXPECT_EQ(run("wchs")["num_paths"], 1);
}

TEST_F(Commands, LeaderIsFoundByAFollowerToo) {
  source.lead();
  EXPECT_EQ(run("leader")["is_leader"], true);
  source.member.state = zab::PeerState::kFollowing;
  const Json json = run("leader");
  EXPECT_EQ(json["is_leader"], false);
  EXPECT_EQ(json["leader_id"], 3);
  EXPECT_EQ(json["leader_ip"], "10.0.0.3");
}

TEST_F(Commands, AStandaloneServerHasNoLeader) {
  EXPECT_EQ(run("leader")["error"], "server is not initialized");
  EXPECT_EQ(run("voting_view")["current_config"], Json::object());
  EXPECT_EQ(run("zabstate")["voting"], false);
}

TEST_F(Commands, TheVotingViewLeavesObserversOut) {
  source.lead();
  const Json view = run("voting_view")["current_config"];
  EXPECT_EQ(keys(view), (Keys{"1", "2", "3"}));
  EXPECT_EQ(view["1"], Json::parse(R"({"server_addresses": ["10.0.0.1:2888"],
      "election_addresses": ["10.0.0.1:3888"], "client_address": "10.0.0.1:2181",
      "learner_type": "participant"})"));
}

TEST_F(Commands, ObserversOfALeader) {
  source.lead();
  const Json json = run("observers");
  EXPECT_EQ(json["synced_observers"], 1);
  EXPECT_EQ(json["observers"].size(), 1U);
}

TEST_F(Commands, ZabstateFollowsTheElection) {
  source.lead();
  const Json json = run("zabstate");
  EXPECT_EQ(keys(json), (Keys{"myid", "is_leader", "quorum_address", "election_address",
                              "client_address", "voting", "last_zxid", "zab_epoch", "zab_counter",
                              "zabstate", "command", "error"}));
  EXPECT_EQ(json["zabstate"], "broadcast");
  EXPECT_EQ(json["last_zxid"], "0x100000004");
  EXPECT_EQ(json["quorum_address"]["all_addresses"], Json::parse(R"(["10.0.0.3:2888"])"));
  source.lose_quorum();
  EXPECT_EQ(run("zabstate")["zabstate"], "synchronization");
  source.member.state = zab::PeerState::kLooking;
  EXPECT_EQ(run("zabstate")["zabstate"], "election");
}

TEST_F(Commands, MonitorHasTheNamesOfMntrWithoutPrefix) {
  const Json json = run("monitor");
  EXPECT_EQ(json["server_state"], "standalone");
  EXPECT_EQ(json["packets_received"], 10);
  EXPECT_EQ(json["avg_latency"], 10.0 / 3);
  EXPECT_EQ(json["uptime"], 23249);
}

TEST_F(Commands, ResetsReset) {
  static_cast<void>(run("crst"));
  static_cast<void>(run("srst"));
  EXPECT_EQ(source.connection_resets, 1);
  EXPECT_EQ(source.port_resets, 1);
}

TEST_F(Commands, TheTraceMaskIsANumber) {
  EXPECT_EQ(run("gtmk")["tracemask"], 306);
  EXPECT_EQ(run("stmk", {{"traceMask", "7"}})["tracemask"], 7);
  EXPECT_EQ(run("stmk")["error"], "setTraceMask requires long traceMask argument");
  EXPECT_EQ(run("stmk", {{"traceMask", "7x"}})["error"],
            "setTraceMask requires long traceMask argument, got 7x");
}

TEST_F(Commands, TheLastSnapshot) {
  source.snapshot = LastSnapshot{Zxid{0xab}, 1'795'287'646'123};
  EXPECT_EQ(run("lsnp")["zxid"], "ab");
  EXPECT_EQ(run("lsnp")["timestamp"], 1'795'287'646);
}

TEST_F(Commands, PropertiesAreTheConfiguration) {
  const Json json = run("sysp");
  EXPECT_EQ(json["zookeeper.tickTime"], "2000");
  EXPECT_EQ(json["os.name"], "Linux");
}

TEST_F(Commands, TheIndexIsSorted) {
  const std::string page = command_index("/x");
  EXPECT_TRUE(page.starts_with("<a href=\"/x/configuration\">configuration</a>\n<br/>\n"));
  EXPECT_LT(page.find("watch_summary"), page.find("watches_by_path"));
}

class AdminHandler : public Commands {
 protected:
  HttpHandler handler = admin_handler(source, {.metrics = [] { return "m 1\n"; }});

  HttpResponse get(std::string path) { return handler({std::move(path), {}}); }
};

TEST_F(AdminHandler, ServesIndexCommandsAndMetrics) {
  EXPECT_EQ(get("/commands").body, command_index("/commands"));
  EXPECT_EQ(get("/commands/").body, command_index("/commands"));
  EXPECT_EQ(get("/commands/ruok").content_type, "application/json");
  EXPECT_EQ(get("/commands/nosuch").status, 200U);
  EXPECT_EQ(get("/metrics").body, "m 1\n");
  EXPECT_TRUE(get("/metrics").content_type.starts_with("text/plain; version=0.0.4"));
}

TEST_F(AdminHandler, NothingElseIsThere) {
  for (const char* path : {"/", "", "/command", "/commandsx", "/metrics/", "/commands2/ruok"}) {
    EXPECT_EQ(get(path).status, 404U) << path;
  }
}

TEST_F(AdminHandler, AListenerForMetricsHasNoCommands) {
  handler = admin_handler(source, {.command_url = "", .metrics = [] { return "m 1\n"; }});
  EXPECT_EQ(get("/metrics").status, 200U);
  EXPECT_EQ(get("/commands").status, 404U);
  EXPECT_EQ(get("/ruok").status, 404U);
}

TEST_F(AdminHandler, AListenerForCommandsMayHaveNoMetrics) {
  handler = admin_handler(source, {.command_url = "/admin", .metrics = {}});
  EXPECT_EQ(get("/metrics").status, 404U);
  EXPECT_EQ(get("/admin/ruok").status, 200U);
  EXPECT_EQ(get("/commands/ruok").status, 404U);
}

}  // namespace
}  // namespace zkfs::admin
