// SPDX-License-Identifier: Apache-2.0
#include "zkfs/config.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace zkfs {
namespace {

constexpr const char* kThree =
    "server.1=a:2888:3888\n"
    "server.2=b:2888:3888;2181\n"
    "server.3=[::1]:2888:3888:participant\n";

class ConfigFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "zkfs_config.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    std::filesystem::create_directory(dir_ + "/data");
    write("data/myid", "2\n");
  }

  void TearDown() override { std::filesystem::remove_all(dir_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name) << text;
  }

  // Loads a zoo.cfg with `text` after its dataDir line.
  Expected<Config> load(const std::string& text, std::vector<std::string> overrides = {}) {
    write("zoo.cfg", "dataDir=" + dir_ + "/data\n" + text);
    return load_config({.file = file(), .data_dir = "", .overrides = std::move(overrides)});
  }

  // The line a refused configuration is refused with.
  std::string refusal(const std::string& text, std::vector<std::string> overrides = {}) {
    const auto config = load(text, std::move(overrides));
    return config ? "(taken)" : config.error().text;
  }

  [[nodiscard]] std::string file() const { return dir_ + "/zoo.cfg"; }

  std::string dir_;
};

bool has_remark(const Config& config, bool warning, const std::string& part) {
  return std::ranges::any_of(config.remarks, [&](const Remark& remark) {
    return remark.warning == warning && remark.text.find(part) != std::string::npos;
  });
}

TEST_F(ConfigFile, WithoutOneAStandaloneServerIsMade) {
  const Config config =
      load_config({.file = "", .data_dir = dir_ + "/data/", .overrides = {}}).value();
  EXPECT_TRUE(config.standalone);
  EXPECT_EQ(config.self, ServerId(1));
  EXPECT_EQ(config.data_dir, dir_ + "/data");
  EXPECT_EQ(config.purge_interval, std::chrono::hours(1));
}

TEST_F(ConfigFile, ItsTextIsAConfigurationOfTheSameMeaning) {
  const Config config = load(std::string("tickTime=1500\nsnapCount=77\n") + kThree).value();
  const std::string text = config_text(config);
  EXPECT_NE(text.find("dataDir=" + dir_ + "/data\n"), std::string::npos) << text;
  EXPECT_NE(text.find("myid=2\n"), std::string::npos) << text;
  const Config again = load(text).value();
  EXPECT_EQ(again.servers, config.servers);
  EXPECT_EQ(config_text(again), text);
}

TEST_F(ConfigFile, DataDirOfTheCommandLineWins) {
  write("zoo.cfg", "dataDir=/nowhere\n");
  EXPECT_EQ(
      load_config({.file = file(), .data_dir = dir_ + "/data", .overrides = {}}).value().data_dir,
      dir_ + "/data");
}

TEST_F(ConfigFile, ThreeServersAreTakenWithMyid) {
  const Config config =
      load(std::string("tickTime=2000\ninitLimit=10\nsyncLimit=5\n") + kThree).value();
  EXPECT_FALSE(config.standalone);
  EXPECT_EQ(config.self, ServerId(2));
  ASSERT_EQ(config.servers.size(), 3U);
  EXPECT_EQ(config.servers[2].host, "::1");
  EXPECT_EQ(config.client_port, 2181);
  EXPECT_EQ(config.purge_interval, Millis(0));
}

TEST_F(ConfigFile, OneServerLineMayHaveTheClientPort) {
  const Config config = load("server.1=a:2888:3888;127.0.0.1:2282\n").value();
  EXPECT_TRUE(config.standalone);
  EXPECT_EQ(config.client_port, 2282);
  EXPECT_EQ(config.client_address, "127.0.0.1");
}

TEST_F(ConfigFile, OneServerLineIsStandaloneUnderItsNumber) {
  const Config config = load("server.7=a:2888:3888\n").value();
  EXPECT_TRUE(config.standalone);
  EXPECT_EQ(config.self, ServerId(7));
}

TEST_F(ConfigFile, OneServerLineWithoutStandaloneEnabledNeedsMyid) {
  EXPECT_NE(refusal("standaloneEnabled=false\nserver.7=a:2888:3888\n").find("myid: no server.2"),
            std::string::npos);
}

TEST_F(ConfigFile, SessionTimeoutsFollowTickTime) {
  const Config config = load("tickTime=100\nmaxSessionTimeout=-1\n").value();
  EXPECT_EQ(config.session_timeout_min_ms, 200U);
  EXPECT_EQ(config.session_timeout_max_ms, 2'000U);
}

TEST_F(ConfigFile, KeysOfStorageAreTaken) {
  const Config config = load(
                            "snapCount=1000\npreAllocSize=1024\nautopurge.snapRetainCount=5\n"
                            "autopurge.purgeInterval=2\nsnapSizeLimitInKb=2048\n")
                            .value();
  EXPECT_EQ(config.snap_count, 1'000U);
  EXPECT_EQ(config.segment_bytes, 1U << 20U);
  EXPECT_EQ(config.snapshots_retained, 5U);
  EXPECT_EQ(config.purge_interval, std::chrono::hours(2));
  EXPECT_EQ(config.snap_bytes, 2U << 20U);
}

TEST_F(ConfigFile, FewerThanThreeSnapshotsAreNeverKept) {
  EXPECT_EQ(load("autopurge.snapRetainCount=1\n").value().snapshots_retained, 3U);
}

TEST_F(ConfigFile, PurgeIntervalMayHaveAUnit) {
  EXPECT_EQ(load("autopurge.purgeInterval=30s\n").value().purge_interval, Millis(30'000));
  EXPECT_EQ(load("autopurge.purgeInterval=30ms\n").value().purge_interval, Millis(30));
  EXPECT_EQ(load("autopurge.purgeInterval=2m\n").value().purge_interval, Millis(120'000));
}

TEST_F(ConfigFile, SetReplacesTheFilesValue) {
  const Config config =
      load("tickTime=2000\nsnapCount=x\n", {"tickTime=500", "snapCount=9"}).value();
  EXPECT_EQ(config.tick_time, Millis(500));
  EXPECT_EQ(config.snap_count, 9U);
}

TEST_F(ConfigFile, OfTwoSetsTheLastWins) {
  EXPECT_EQ(load("", {"tickTime=500", "tickTime=600"}).value().tick_time, Millis(600));
}

TEST_F(ConfigFile, SetReplacesAServerLine) {
  EXPECT_EQ(load(kThree, {"server.1=z:1:2"}).value().servers[0].host, "z");
}

TEST_F(ConfigFile, SystemPropertyNamesOfZooKeeperWork) {
  EXPECT_EQ(load("zookeeper.snapCount=77\n").value().snap_count, 77U);
}

TEST_F(ConfigFile, UnknownKeyWarns) {
  EXPECT_TRUE(has_remark(load("tikTime=1\n").value(), true, "zoo.cfg:2: tikTime"));
}

TEST_F(ConfigFile, KeyOfZooKeeperWithoutMeaningIsRemarked) {
  const Config config = load("leaderServes=yes\nadmin.rateLimiterIntervalInMS=3\n").value();
  EXPECT_TRUE(has_remark(config, false, "zoo.cfg:2: leaderServes has no meaning here"));
  EXPECT_TRUE(has_remark(config, false, "admin.rateLimiterIntervalInMS"));
}

TEST_F(ConfigFile, KeysOfTheClientPortAreTaken) {
  const Config config = load(
                            "clientPort=2181\nclientPortAddress=::1\nmaxClientCnxns=0\n"
                            "maxCnxns=500\njute.maxbuffer=4096\nglobalOutstandingLimit=77\n"
                            "readonlymode.enabled=true\nlocalSessionsEnabled=true\n"
                            "localSessionsUpgradingEnabled=true\nextendedTypesEnabled=false\n"
                            "skipACL=yes\nenforceQuota=true\n"
                            "znode.container.checkIntervalMs=250\n")
                            .value();
  EXPECT_TRUE(config.remarks.empty()) << config.remarks.front().text;
  EXPECT_EQ(config.client_port, 2181);
  EXPECT_EQ(config.client_address, "::1");
  EXPECT_EQ(config.client_connections_max, 0U);
  EXPECT_EQ(config.connections_max, 500U);
  EXPECT_EQ(config.frame_bytes_max, 4096U);
  EXPECT_EQ(config.outstanding_max, 77U);
  EXPECT_TRUE(config.read_only_mode);
  EXPECT_TRUE(config.local_sessions);
  EXPECT_TRUE(config.local_sessions_upgrading);
  EXPECT_FALSE(config.extended_types);
  EXPECT_TRUE(config.skip_acl);
  EXPECT_TRUE(config.enforce_quota);
  EXPECT_EQ(config.reap_interval, Millis{250});
}

TEST_F(ConfigFile, WithoutKeysClientsAreNotServedAndNothingIsOpenToAdministrators) {
  const Config config = load("").value();
  EXPECT_EQ(config.client_port, 0);
  EXPECT_EQ(config.client_connections_max, 60U);
  EXPECT_EQ(config.outstanding_max, 1'000U);
  EXPECT_FALSE(config.skip_acl);
  EXPECT_FALSE(config.enforce_quota);
  EXPECT_EQ(config.word_whitelist, "srvr");
  EXPECT_FALSE(config.admin_server);
  EXPECT_EQ(config.metrics_port, 0);
}

TEST_F(ConfigFile, TheClientPortOfTheOwnServerLineWins) {
  EXPECT_EQ(load(std::string("clientPort=7\n") + kThree).value().client_port, 2181);
}

TEST_F(ConfigFile, FramesLargerThanThereAreWarn) {
  const Config config = load("jute.maxbuffer=999999999\n").value();
  EXPECT_TRUE(has_remark(config, true, "jute.maxbuffer=999999999 is more than there is here"));
  EXPECT_EQ(config.frame_bytes_max, limits::kFrameBytesMax);
}

TEST_F(ConfigFile, SystemPropertyOfTheSuperUserIsTaken) {
  const std::string key = "zookeeper.DigestAuthenticationProvider.superDigest=";
  EXPECT_EQ(load(key + "super:hash\n").value().super_digest, "super:hash");
}

TEST_F(ConfigFile, KeysOfTheAdminServerAreTaken) {
  const Config config = load(
                            "4lw.commands.whitelist=ruok, mntr\nadmin.enableServer=true\n"
                            "admin.serverAddress=127.0.0.1\nadmin.serverPort=9090\n"
                            "admin.commandURL=/zk\nadmin.idleTimeout=5000\n"
                            "metricsProvider.httpPort=7070\nmetricsProvider.httpHost=::1\n")
                            .value();
  EXPECT_TRUE(config.remarks.empty()) << config.remarks.front().text;
  EXPECT_EQ(config.word_whitelist, "ruok, mntr");
  EXPECT_TRUE(config.admin_server);
  EXPECT_EQ(config.admin_address, "127.0.0.1");
  EXPECT_EQ(config.admin_port, 9090);
  EXPECT_EQ(config.admin_url, "/zk");
  EXPECT_EQ(config.admin_idle_timeout, Millis{5'000});
  EXPECT_EQ(config.metrics_port, 7070);
  EXPECT_EQ(config.metrics_address, "::1");
}

TEST_F(ConfigFile, AnAdminPortWithoutTheServerIsRemarked) {
  EXPECT_TRUE(has_remark(load("admin.serverPort=9090\n").value(), false,
                         "admin.enableServer=true turns it on"));
}

TEST_F(ConfigFile, ThePrometheusProviderHasZooKeepersPort) {
  const std::string provider =
      "metricsProvider.className=org.apache.zookeeper.metrics.prometheus."
      "PrometheusMetricsProvider\n";
  EXPECT_EQ(load(provider).value().metrics_port, 7000);
  EXPECT_EQ(load(provider + "metricsProvider.httpPort=7070\n").value().metrics_port, 7070);
}

TEST_F(ConfigFile, ServersAreToldAsZooKeeperDoes) {
  EXPECT_EQ(servers_text(load(kThree).value()),
            "server.1=a:2888:3888:participant\n"
            "server.2=b:2888:3888:participant;0.0.0.0:2181\n"
            "server.3=[::1]:2888:3888:participant");
}

TEST_F(ConfigFile, ForceSyncOffIsNotFollowed) {
  EXPECT_TRUE(has_remark(load("forceSync=no\n").value(), true, "forceSync=no"));
}

TEST_F(ConfigFile, TwoVotersWarn) {
  EXPECT_TRUE(has_remark(load("server.1=a:1:2\nserver.2=b:1:2\n").value(), true, "two voters"));
}

TEST_F(ConfigFile, EvenNumberOfVotersWarns) {
  EXPECT_TRUE(has_remark(load(std::string(kThree) + "server.4=d:1:2\n").value(), true, "4 voters"));
}

TEST_F(ConfigFile, PeerTypeAgainstTheServerLineWarns) {
  EXPECT_TRUE(has_remark(load(std::string("peerType=observer\n") + kThree).value(), true,
                         "peerType=observer"));
}

TEST_F(ConfigFile, ServerLinesMayLiveInADynamicFile) {
  write("dynamic", std::string(kThree) + "version=100000000\n");
  EXPECT_EQ(load("dynamicConfigFile=" + dir_ + "/dynamic\n").value().servers.size(), 3U);
}

TEST_F(ConfigFile, LogDirectoryEqualToDataDirIsTaken) {
  EXPECT_TRUE(load("dataLogDir=" + dir_ + "/./data/\n").has_value());
}

TEST_F(ConfigFile, RefusalNamesFileLineKeyValueAndRemedy) {
  EXPECT_EQ(refusal("tickTime=fast\n"),
            file() + ":2: tickTime=fast: give a whole number from 1 to 3600000");
}

TEST_F(ConfigFile, RefusalOfSetNamesIt) {
  EXPECT_EQ(refusal("", {"tickTime=0"}),
            "--set: tickTime=0: give a whole number from 1 to 3600000");
  EXPECT_NE(refusal("", {"tickTime"}).find("--set tickTime: give key=value"), std::string::npos);
}

TEST_F(ConfigFile, MissingFileIsRefused) {
  const auto config = load_config({.file = dir_ + "/none.cfg", .data_dir = "", .overrides = {}});
  EXPECT_NE(config.error().text.find("none.cfg: cannot be read: No such file"), std::string::npos);
}

TEST_F(ConfigFile, DirectoryInsteadOfAFileIsRefused) {
  const auto config = load_config({.file = dir_, .data_dir = "", .overrides = {}});
  EXPECT_NE(config.error().text.find("Is a directory"), std::string::npos);
}

TEST_F(ConfigFile, MissingDataDirIsRefused) {
  write("zoo.cfg", "tickTime=2000\n");
  const auto config = load_config({.file = file(), .data_dir = "", .overrides = {}});
  EXPECT_NE(config.error().text.find("dataDir is missing"), std::string::npos);
}

TEST_F(ConfigFile, MissingMyidIsRefused) {
  std::filesystem::remove(dir_ + "/data/myid");
  EXPECT_NE(refusal(kThree).find("data/myid: cannot be read: No such file"), std::string::npos);
}

TEST_F(ConfigFile, MyidThatIsNoNumberIsRefused) {
  write("data/myid", "two\n");
  EXPECT_NE(refusal(kThree).find("data/myid: \"two\" is not a number"), std::string::npos);
}

TEST_F(ConfigFile, MyidThatIsNotListedIsRefused) {
  write("data/myid", "9");
  EXPECT_NE(refusal(kThree).find("myid: no server.9 line"), std::string::npos);
}

struct Refused {
  const char* text;
  const char* part;
};

class RefusedConfig : public ConfigFile, public testing::WithParamInterface<Refused> {};

TEST_P(RefusedConfig, SaysWhy) {
  EXPECT_NE(refusal(GetParam().text).find(GetParam().part), std::string::npos)
      << refusal(GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    ConfigFile,
    RefusedConfig,
    testing::Values(
        Refused{"group.1=1:2:3\n", "zoo.cfg:2: group.1=1:2:3: groups and weights change"},
        Refused{"weight.1=0\n", "groups and weights"},
        Refused{"server.1=a:1:2\nserver.01=b:1:2\n", "server.1 is there twice"},
        Refused{"server.1=a:1:2\nserver.2=a:1:3\n", "another server's already"},
        Refused{"server.0=a:1:2\n", "must be 1 to 255"},
        Refused{"server.256=a:1:2\n", "must be 1 to 255"},
        Refused{"server.x=a:1:2\n", "must be 1 to 255"},
        Refused{"server.1=a:1\n", "zoo.cfg:2: server.1=a:1: a part is missing"},
        Refused{"server.1=a:1:2:observer\nserver.2=b:1:2:observer\n",
                "every server is an observer"},
        Refused{"dataLogDir=/elsewhere\n", "dataLogDir=/elsewhere: a log directory apart"},
        Refused{"dynamicConfigFile=/none\n", "/none: cannot be read"},
        Refused{"electionAlg=0\n", "only 3"},
        Refused{"peerType=leader\n", "participant or observer"},
        Refused{"clientPort=0\n", "from 1 to 65535"},
        Refused{"maxClientCnxns=-1\n", "from 0 to"},
        Refused{"jute.maxbuffer=12\n", "from 1024"},
        Refused{"globalOutstandingLimit=0\n", "from 1"},
        Refused{"skipACL=maybe\n", "true or false"},
        Refused{"DigestAuthenticationProvider.superDigest=root:x\n", "give super:HASH"},
        Refused{"admin.serverPort=65536\n", "from 1 to 65535"},
        Refused{"admin.commandURL=commands\n", "a path that begins with /"},
        Refused{"metricsProvider.httpPort=0\n", "from 1 to 65535"},
        Refused{"standaloneEnabled=perhaps\n", "true or false"},
        Refused{"heartbeatInterval=400\n", "at least twice heartbeatInterval=400"},
        Refused{"minSessionTimeout=50000\n", "is more than maxSessionTimeout=40000"},
        Refused{"autopurge.purgeInterval=1w\n", "give hours"},
        Refused{"sslQuorum=true\n", "no such protection"},
        Refused{"sessionRequireClientSASLAuth=true\n", "no such protection"},
        Refused{"snapCount=1\n", "from 2"},
        Refused{"tickTime=2000 # ms\n", "give a whole number"}));

TEST_F(ConfigFile, ProtectionSwitchedOffIsTaken) {
  EXPECT_TRUE(load("sslQuorum=false\n").has_value());
}

}  // namespace
}  // namespace zkfs
