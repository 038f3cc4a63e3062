// SPDX-License-Identifier: Apache-2.0
// The commands of ZooKeeper's admin server (reference/zookeeper.md 7.3): each a name, with shorter
// ones besides, that is answered with one JSON object. Not here: snapshot, restore and
// shed_connections, which are commands of those who have ALL on "/"; `zkfs dump` and the data
// directory do the work of the former.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ensemble/admin/admin_source.h"
#include "ensemble/admin/http.h"

namespace zkfs::admin {

// What is served over HTTP, beside the commands under `command_url`: /metrics, if `metrics` gives
// the text. Anything else is 404.
struct AdminPages {
  std::string command_url = "/commands";  // admin.commandURL; empty: no commands
  std::function<std::string()> metrics;   // prometheus_text(); empty: not here
};

// The object, as text. Unknown names and, for most, a server that is not serving are answered with
// an object whose "error" tells so.
std::string run_command(std::string_view name, const HttpRequest& request, AdminSource& source);

// The page of links to all commands.
std::string command_index(std::string_view command_url);

// A handler for HttpServer. `source` must outlive it.
HttpHandler admin_handler(AdminSource& source, AdminPages pages);

}  // namespace zkfs::admin
