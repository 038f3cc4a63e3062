// SPDX-License-Identifier: Apache-2.0
#include "zkfs/options.h"

#include <sstream>
#include <utility>

#include <CLI/CLI.hpp>

#ifndef ZKFS_VERSION
#define ZKFS_VERSION "unknown"
#endif

namespace zkfs {
namespace {

void describe_serve(CLI::App& app, ServeCommand& serve) {
  app.add_option("--config,-c", serve.config_file, "ZooKeeper's zoo.cfg; see zkfs.conf(5)")
      ->type_name("FILE");
  app.add_option("--data-dir,-d", serve.data_dir, "log and snapshots; wins over dataDir")
      ->type_name("DIR");
  app.add_option("--set,-s", serve.overrides, "sets a key of the configuration; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("-o,--options", serve.mount_options, "mount options; see zkfs(8)")
      ->type_name("OPTIONS")
      ->allow_extra_args(false);
  app.add_option("--log-level", serve.log_level, "what is logged to standard error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}))
      ->type_name("LEVEL")
      ->capture_default_str();
  app.add_option("MOUNTPOINT", serve.mountpoint, "an empty directory")->required()->type_name("");
}

PrintAndExit finish(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = app.exit(error, out, err);
  if (code == 0) return {.exit_code = kExitYes, .text = out.str()};
  // One line that names the thing, and where to read on.
  return {.exit_code = kExitMisuse,
          .text = std::string("zkfs: ") + error.what() + "; see zkfs --help\n"};
}

}  // namespace

Command parse_command_line(int argc, const char* const* argv) {
  CLI::App app(
      "zkfs: a tree of small files, the same on every machine.\n"
      "An ensemble of servers keeps it by ZooKeeper's atomic broadcast and mounts it on each.",
      "zkfs");
  app.set_version_flag("--version", "zkfs " ZKFS_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 yes, 1 no, 2 misuse, 3 no quorum, 4 timed out.\n"
      "Manual pages: zkfs(8), zkfs.conf(5), zkfs(7).");

  ServeCommand serve;
  StatusCommand status;
  CLI::App* serve_app =
      app.add_subcommand("serve", "Runs one server in the foreground and mounts its tree");
  describe_serve(*serve_app, serve);
  serve_app->footer(
      "Without --config it is an ensemble of one.\n"
      "SIGTERM or SIGINT unmounts and ends it; a second one ends it at once.");
  CLI::App* status_app =
      app.add_subcommand("status", "Tells the state of the server behind a mount point");
  status_app->add_option("MOUNTPOINT", status.mountpoint, "without it: every zkfs mounted here")
      ->type_name("");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return finish(app, error);
  }
  if (serve_app->parsed()) return serve;
  return status;
}

}  // namespace zkfs
