// SPDX-License-Identifier: Apache-2.0
// The keys of zoo.cfg one by one: what each does to the configuration being drawn up, and which of
// ZooKeeper's are known and mean nothing here. How they fit together is config.cpp's affair.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/error.h"
#include "zkfs/config.h"

namespace zkfs {

// A configuration while its keys are taken in, in any order.
struct ConfigDraft {
  Config config;
  std::optional<std::uint32_t> session_timeout_min_ms;
  std::optional<std::uint32_t> session_timeout_max_ms;
  std::string data_log_dir;
  std::string dynamic_file;  // dynamicConfigFile
  std::string peer_type;
  bool standalone_enabled = true;
  bool wants_prometheus = false;  // metricsProvider.className
};

enum class KeyFate {
  kTaken,
  kNotApplicable,  // a key of ZooKeeper's without a meaning here
  kUnknown,
};

// Takes one key. Fails with what is wrong with the value and the remedy; also for group.* and
// weight.*, which change what a quorum is, and for keys that ask for protection this release does
// not give. server.N lines are added to config.servers; two with the same N are refused.
Expected<KeyFate> take_key(ConfigDraft& draft, std::string_view key, std::string_view value);

// True for server.N, group.N and weight.N: the keys that a dynamic configuration file may hold.
bool is_ensemble_key(std::string_view key);

}  // namespace zkfs
