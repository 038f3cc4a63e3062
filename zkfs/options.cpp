// SPDX-License-Identifier: Apache-2.0
#include "zkfs/options.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <sstream>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "ensemble/base/duration.h"
#include "zkfs/commands/client.h"

#ifndef ZKFS_VERSION
#define ZKFS_VERSION "unknown"
#endif

namespace zkfs {
namespace {

// What a description of a command adds: `app` takes the options, `result` makes the command of
// them after the parse.
struct Described {
  CLI::App* app = nullptr;
  std::function<Command()> result;
};

// Misuse that the parser cannot see; the text names the value and the remedy.
[[noreturn]] void refuse(const std::string& text) {
  throw CLI::ValidationError(text, kExitMisuse);
}

Millis duration_of(const std::string& option, const std::string& text) {
  const auto duration = parse_duration(text);
  if (!duration) refuse(option + " " + text + ": give a time such as 500ms, 30s, 5m, 2h or 1d");
  return *duration;
}

std::optional<Millis> duration_of(const CLI::Option& option, const std::string& text) {
  if (option.count() == 0) return std::nullopt;
  return duration_of(option.get_name(), text);
}

Zxid zxid_of(const std::string& option, std::string_view text) {
  const bool hexadecimal = text.starts_with("0x");
  const std::string_view digits = text.substr(hexadecimal ? 2 : 0);
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, hexadecimal ? 16 : 10);
  if (error != std::errc{} || stop != end)
    refuse(option + " " + std::string(text) + ": give a zxid such as 0x100000001");
  return Zxid{value};
}

mode_t mode_of(const std::string& text) {
  unsigned value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, 8);
  if (error != std::errc{} || stop != end || value > 0777)
    refuse("--mode " + text + ": give an octal mode up to 777, such as 640");
  return value;
}

// A flag that is asked for by app.count().
void add_choice(CLI::App& app, const std::string& name, const std::string& text) {
  app.add_flag_callback(
      name, [] {}, text);
}

// An empty path names nothing, and would be joined to something.
void require_path(const std::string& path) {
  if (path.empty()) refuse("PATH is empty: give a path below a mount point");
}

Described describe_serve(CLI::App& zkfs) {
  const auto serve = std::make_shared<ServeCommand>();
  CLI::App* app =
      zkfs.add_subcommand("serve", "Runs one server in the foreground and mounts its tree");
  app->add_option("--config,-c", serve->config_file, "ZooKeeper's zoo.cfg; see zkfs.conf(5)")
      ->type_name("FILE");
  app->add_option("--data-dir,-d", serve->data_dir, "log and snapshots; wins over dataDir")
      ->type_name("DIR");
  app->add_option("--set,-s", serve->overrides, "sets a key of the configuration; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app->add_option("-o,--options", serve->mount_options, "options of MOUNTPOINT; see zkfs(8)")
      ->type_name("OPTIONS")
      ->allow_extra_args(false);
  app->add_option("--log-level", serve->log_level, "what is logged to standard error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}))
      ->type_name("LEVEL")
      ->capture_default_str();
  app->add_option("--mount,-m", serve->mounts, "one more mount with options of its own; repeatable")
      ->type_name("MOUNTPOINT[,OPTIONS]")
      ->allow_extra_args(false);
  app->add_flag("--keep", serve->keep, "goes on when the last mount is gone, or without any");
  app->add_option("MOUNTPOINT", serve->mountpoint, "an empty directory")->type_name("");
  app->footer(
      "Without --config it is an ensemble of one.\n"
      "SIGTERM or SIGINT unmounts and ends it; a second one ends it at once.");
  return {app, [serve]() -> Command {
            if (serve->mountpoint.empty() && serve->mounts.empty() && !serve->keep)
              refuse("name a MOUNTPOINT to serve, or give --keep to do without");
            return *serve;
          }};
}

Described describe_status(CLI::App& zkfs) {
  const auto status = std::make_shared<StatusCommand>();
  CLI::App* app =
      zkfs.add_subcommand("status", "Tells the state of the server behind a mount point");
  app->add_option("MOUNTPOINT", status->mountpoint, "without it: every zkfs mounted here")
      ->type_name("");
  app->footer("Exit codes: 0 in a quorum, 1 no zkfs there, 3 no quorum, 4 it does not answer.");
  return {app, [status] { return *status; }};
}

void check_create(const CreateCommand& create, const CLI::App& app) {
  require_path(create.path);
  using Kind = CreateCommand::Kind;
  if (create.ephemeral + create.ttl.has_value() + create.container > 1)
    refuse("-e, --ttl and --container exclude each other: a znode has one type");
  if (app.count("-d") + app.count("-l") > 1) refuse("-d and -l exclude each other");
  if (create.container && create.kind == Kind::kLink)
    refuse("--container is a directory: leave -l out");
  if (create.kind != Kind::kFile && create.data)
    refuse("DATA is for files: zkfs set gives a directory its value");
  if (create.kind == Kind::kLink && create.mode) refuse("--mode is not for symbolic links");
  if (!std::ranges::all_of(create.owner, [](char c) { return c >= '0' && c <= '9'; }))
    refuse("-e " + create.owner + ": give the number of a process");
  if (create.ttl && create.ttl->count() == 0) refuse("--ttl 0: give a time above 0");
  const std::string name = name_of(create.path);
  if (name == "." || name == ".." || name == "/" ||
      (create.path.ends_with('/') && !create.sequential && create.kind == Kind::kFile))
    refuse(create.path + ": give the name of what to create");
}

Described describe_create(CLI::App& zkfs) {
  struct Texts {
    CreateCommand create;
    std::string ephemeral, ttl, mode;
    bool directory = false;
  };

  const auto t = std::make_shared<Texts>();
  CLI::App* app = zkfs.add_subcommand("create", "Creates a znode and prints its path");
  app->add_flag("-s,--sequential", t->create.sequential,
                "append a number: job- becomes job-0000000042");
  app->add_flag("-e,--ephemeral", t->ephemeral,
                "it goes with this server's mount; -ePID: with process PID");
  CLI::Option* ttl =
      app->add_option("--ttl", t->ttl, "it goes when unchanged and without children for so long")
          ->type_name("TIME");
  app->add_flag("--container", t->create.container, "a directory that goes after its last child");
  app->add_flag("-d,--directory", t->directory, "a directory");
  CLI::Option* link =
      app->add_option("-l,--link", t->create.target, "a symbolic link")->type_name("TARGET");
  app->add_flag("-p,--parents", t->create.parents, "make the directories above, too");
  CLI::Option* mode =
      app->add_option("--mode", t->mode, "octal; default: by the umask")->type_name("MODE");
  app->add_option("PATH", t->create.path, "what to create")->required()->type_name("");
  app->add_option("DATA", t->create.data, "its value, verbatim; -: standard input; default: empty")
      ->type_name("");
  app->footer(
      "Fails with 1 if the path exists: of several creators one wins.\n"
      "The znode appears with its value: nobody sees it empty.");
  return {app, [t, app, ttl, link, mode]() -> Command {
            CreateCommand& create = t->create;
            using Kind = CreateCommand::Kind;
            create.ephemeral = app->count("-e") > 0;
            if (t->ephemeral != "true") create.owner = t->ephemeral;
            create.ttl = duration_of(*ttl, t->ttl);
            if (mode->count() > 0) create.mode = mode_of(t->mode);
            if (t->directory || create.container) create.kind = Kind::kDirectory;
            if (link->count() > 0) create.kind = Kind::kLink;
            check_create(create, *app);
            return create;
          }};
}

Described describe_get(CLI::App& zkfs) {
  const auto get = std::make_shared<GetCommand>();
  CLI::App* app = zkfs.add_subcommand("get", "Prints the value of a znode");
  app->add_flag("--sync", get->sync, "first wait for everything that is committed anywhere");
  app->add_flag("--stat", get->stat, "the stat block after the value, of the same version");
  app->add_option("PATH", get->path, "a directory has its value, too")->required()->type_name("");
  return {app, [get]() -> Command {
            require_path(get->path);
            return *get;
          }};
}

Described describe_set(CLI::App& zkfs) {
  const auto set = std::make_shared<SetCommand>();
  CLI::App* app = zkfs.add_subcommand("set", "Sets the value of a znode that exists");
  app->add_option("--version", set->version, "only if its data version is N")->type_name("N");
  app->add_option("PATH", set->path, "a directory has its value, too")->required()->type_name("");
  app->add_option("DATA", set->data, "verbatim; - or without it: standard input")->type_name("");
  app->footer("Fails with 1 if the version is another: compare and set.");
  return {app, [set]() -> Command {
            require_path(set->path);
            return *set;
          }};
}

Described describe_rm(CLI::App& zkfs) {
  const auto rm = std::make_shared<RmCommand>();
  CLI::App* app = zkfs.add_subcommand("rm", "Removes znodes");
  app->add_flag("-r,--recursive", rm->recursive, "with their value and all that is below them");
  app->add_option("PATH", rm->paths, "one or several")->required()->type_name("");
  app->footer("Without -r a directory goes only if it is empty and has no value.");
  return {app, [rm]() -> Command {
            std::ranges::for_each(rm->paths, require_path);
            return *rm;
          }};
}

Described describe_ls(CLI::App& zkfs) {
  const auto ls = std::make_shared<LsCommand>();
  CLI::App* app = zkfs.add_subcommand("ls", "Lists children, one a line, sorted");
  app->add_flag("-l,--long", ls->details,
                "kind, type, version, size, mtime and ephemeral owner before each");
  app->add_flag("-R,--recursive", ls->recursive, "what is below them, too, as paths");
  app->add_option("PATH", ls->path, "default: the working directory")->type_name("");
  return {app, [ls]() -> Command {
            require_path(ls->path);
            return *ls;
          }};
}

Described describe_stat(CLI::App& zkfs) {
  const auto stat = std::make_shared<StatCommand>();
  CLI::App* app = zkfs.add_subcommand("stat", "Prints what is known of a znode beside its value");
  app->add_option("PATH", stat->path, "a symbolic link is not followed")->required()->type_name("");
  return {app, [stat]() -> Command {
            require_path(stat->path);
            return *stat;
          }};
}

Described describe_wait(CLI::App& zkfs) {
  struct Texts {
    WaitCommand wait;
    std::string timeout;
  };

  const auto t = std::make_shared<Texts>();
  CLI::App* app = zkfs.add_subcommand("wait", "Waits until a path exists, is gone, or has changed");
  add_choice(*app, "--exists", "until it exists; the default");
  add_choice(*app, "--gone", "until it does not exist");
  add_choice(*app, "--changed", "until its value was set, or it was created or removed");
  add_choice(*app, "--children", "until a child came or went");
  app->add_option("--value", t->wait.value, "and its value is TEXT, but for a newline at the end")
      ->type_name("TEXT");
  app->add_option("--version", t->wait.version,
                  "with --changed: since data version N rather than from now on")
      ->type_name("N");
  app->add_flag("--print", t->wait.print, "print the value then; with --children their names");
  CLI::Option* timeout =
      app->add_option("--timeout", t->timeout, "give up after it, with 4")->type_name("TIME");
  app->add_option("PATH", t->wait.path, "it need not exist, nor the directories above")
      ->required()
      ->type_name("");
  app->footer("It is woken by the change, whichever server it is made on; it does not poll.");
  return {app, [t, app, timeout]() -> Command {
            WaitCommand& wait = t->wait;
            using For = WaitCommand::For;
            require_path(wait.path);
            if (app->count("--exists") + app->count("--gone") + app->count("--changed") +
                    app->count("--children") >
                1)
              refuse("--exists, --gone, --changed and --children exclude each other");
            if (app->count("--gone") > 0) wait.what = For::kGone;
            if (app->count("--changed") > 0) wait.what = For::kChanged;
            if (app->count("--children") > 0) wait.what = For::kChildren;
            if (wait.value && (wait.what == For::kGone || wait.what == For::kChildren))
              refuse("--value goes with --exists or --changed");
            if (wait.version && wait.what != For::kChanged) refuse("--version goes with --changed");
            wait.timeout = duration_of(*timeout, t->timeout);
            return wait;
          }};
}

Described describe_lock(CLI::App& zkfs) {
  struct Texts {
    LockCommand lock;
    std::string wait, grace = "5s", suspect_after = "3s";
  };

  const auto t = std::make_shared<Texts>();
  CLI::App* app =
      zkfs.add_subcommand("lock", "Runs a command while holding a lock of the ensemble");
  app->add_flag("-s,--shared", t->lock.shared, "share it with other shared ones");
  app->add_flag("-n,--nonblock", t->lock.try_only, "fail with 1 rather than wait");
  CLI::Option* wait =
      app->add_option("-w,--wait", t->wait, "give up waiting after it, with 4")->type_name("TIME");
  app->add_flag("--print-token", t->lock.print_token, "print the fencing token first");
  app->add_option("--grace", t->grace, "from SIGTERM to SIGKILL when the lock is lost")
      ->type_name("TIME")
      ->capture_default_str();
  app->add_option("--suspect-after", t->suspect_after,
                  "a server that does not answer for so long may have lost it")
      ->type_name("TIME")
      ->capture_default_str();
  app->add_option("PATH", t->lock.path, "a file, which is made if it does not exist")
      ->required()
      ->type_name("");
  app->add_option("COMMAND", t->lock.command, "after --, with its arguments")
      ->required()
      ->type_name("");
  app->footer(
      "The command has the fencing token in ZKFS_LOCK_TOKEN; the exit code is the command's.\n"
      "If the lock may be lost the command is ended and the exit code is 1.");
  return {app, [t, wait]() -> Command {
            LockCommand& lock = t->lock;
            require_path(lock.path);
            lock.wait = duration_of(*wait, t->wait);
            if (lock.wait && lock.try_only) refuse("-n and -w exclude each other");
            lock.grace = duration_of("--grace", t->grace);
            lock.suspect_after = duration_of("--suspect-after", t->suspect_after);
            if (lock.suspect_after < Millis(500))
              refuse("--suspect-after " + t->suspect_after + ": give 500ms or more");
            return lock;
          }};
}

Described describe_dump(CLI::App& zkfs) {
  struct Texts {
    DumpCommand dump;
    std::string from, to;
  };

  const auto t = std::make_shared<Texts>();
  CLI::App* app = zkfs.add_subcommand("dump", "Prints the log and snapshots of a server readably");
  app->add_option("--data-dir,-d", t->dump.data_dir, "of the server; default: that of zkfs serve")
      ->type_name("DIR");
  add_choice(*app, "--txns", "the records of the log; the default");
  add_choice(*app, "--snapshot", "sessions and znodes of the newest snapshot");
  add_choice(*app, "--tree", "of the newest snapshot with the committed log applied");
  app->add_option("--from", t->from, "records from here on")->type_name("ZXID");
  app->add_option("--to", t->to, "records, or the tree, up to here")->type_name("ZXID");
  app->add_option("FILE", t->dump.files, "log segments or snapshots instead of a data directory")
      ->type_name("");
  app->footer(
      "All checksums are verified: 1 if something is damaged or cannot be read.\n"
      "Nothing is changed or locked; the server may be running.");
  return {app, [t, app]() -> Command {
            DumpCommand& dump = t->dump;
            using Show = DumpCommand::Show;
            if (app->count("--txns") + app->count("--snapshot") + app->count("--tree") > 1)
              refuse("--txns, --snapshot and --tree exclude each other");
            if (app->count("--txns") > 0) dump.show = Show::kTxns;
            if (app->count("--snapshot") > 0) dump.show = Show::kSnapshot;
            if (app->count("--tree") > 0) dump.show = Show::kTree;
            if (!dump.files.empty() && !dump.data_dir.empty())
              refuse("--data-dir and FILE exclude each other");
            if (!t->from.empty()) dump.from = zxid_of("--from", t->from);
            if (!t->to.empty()) dump.to = zxid_of("--to", t->to);
            return dump;
          }};
}

Described describe_import(CLI::App& zkfs) {
  const auto import = std::make_shared<ImportCommand>();
  CLI::App* app =
      zkfs.add_subcommand("import", "Makes a data directory out of one of a ZooKeeper server");
  app->add_option("--data-dir,-d", import->data_dir,
                  "to be made, without data; default: that of zkfs serve")
      ->type_name("DIR");
  app->add_option("--log-dir", import->log_dir, "dataLogDir of the ZooKeeper server, if it has one")
      ->type_name("DIR");
  app->add_option("ZOOKEEPER_DATA_DIR", import->source, "dataDir of the ZooKeeper server, stopped")
      ->required()
      ->type_name("");
  app->footer(
      "Versions 3.4 to 3.9. Sessions and their ephemerals are left out. Nothing is changed in\n"
      "ZOOKEEPER_DATA_DIR; nothing is written if something cannot be imported.");
  return {app, [import]() -> Command {
            if (import->source.empty())
              refuse("ZOOKEEPER_DATA_DIR is empty: give the dataDir of a ZooKeeper server");
            return *import;
          }};
}

PrintAndExit finish(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = app.exit(error, out, err);
  if (code == 0) {
    std::string text = out.str();
    if (!text.ends_with('\n')) text += '\n';
    return {.exit_code = kExitYes, .text = std::move(text)};
  }
  // One line that names the thing, and where to read on.
  return {.exit_code = kExitMisuse,
          .text = std::string("zkfs: ") + error.what() + "; see zkfs --help\n"};
}

// Where there may be several words the parser takes one such as "[a,b]" apart. So a character goes
// in front of it, and is taken away again from what it became.
constexpr std::string_view kGuarded = "\1[";

void guard_brackets(std::vector<std::string>& words) {
  if (words.empty() || (words[0] != "rm" && words[0] != "lock" && words[0] != "dump")) return;
  for (std::string& word : words)
    if (word.starts_with('[') && word.ends_with(']')) word.insert(0, kGuarded, 0, 1);
}

void unguard(std::string& word) {
  if (word.starts_with(kGuarded)) word.erase(0, 1);
}

void unguard(std::vector<std::string>& words) {
  for (std::string& word : words) unguard(word);
}

void unguard(Command& command) {
  std::visit(
      [](auto& c) {
        if constexpr (requires { c.path; }) unguard(c.path);
        if constexpr (requires { c.paths; }) unguard(c.paths);
        if constexpr (requires { c.command; }) unguard(c.command);
        if constexpr (requires { c.files; }) unguard(c.files);
        if constexpr (requires { c.data_dir; }) unguard(c.data_dir);
      },
      command);
}

// -e4711, also at the end of a cluster, as --ephemeral=4711: the parser knows no option whose
// argument may be absent, and a detached one would swallow the path.
std::vector<std::string> normalized(int argc, const char* const* argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words.front() != "create") return words;
  for (std::size_t i = 1; i < words.size() && words[i] != "--"; ++i) {
    const std::string word = words[i];
    if (word.size() < 3 || word[0] != '-' || word[1] == '-') continue;
    const auto e = word.find_last_of('e');
    if (e == std::string::npos || e + 1 == word.size()) continue;
    if (word.find_first_not_of("sdp", 1) != e ||
        word.find_first_not_of("0123456789", e + 1) != std::string::npos)
      continue;
    words[i] = "--ephemeral=" + word.substr(e + 1);
    if (e > 1) words.insert(words.begin() + static_cast<std::ptrdiff_t>(i), word.substr(0, e));
  }
  return words;
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
      "zkfs COMMAND --help tells more. serve and status are about servers, dump and import about\n"
      "their files; the others are helpers for scripts and work on paths below a mount point.\n"
      "Times: 500ms, 30s, 5m, 2h, 1d; a number alone is seconds.\n"
      "Exit codes: 0 yes, 1 no, 2 misuse, 3 no quorum, 4 timed out.\n"
      "Manual pages: zkfs(1), zkfs(7), zkfs(8), zkfs.conf(5).");
  const std::vector<Described> commands{
      describe_serve(app), describe_status(app), describe_create(app), describe_get(app),
      describe_set(app),   describe_rm(app),     describe_ls(app),     describe_stat(app),
      describe_wait(app),  describe_lock(app),   describe_dump(app),   describe_import(app)};
  try {
    std::vector<std::string> words = normalized(argc, argv);
    guard_brackets(words);
    // The parser takes them from the back.
    std::ranges::reverse(words);
    app.parse(words);
    for (const Described& described : commands) {
      if (!described.app->parsed()) continue;
      Command command = described.result();
      unguard(command);
      return command;
    }
  } catch (const CLI::ParseError& error) {
    return finish(app, error);
  }
  return PrintAndExit{.exit_code = kExitMisuse, .text = "zkfs: no command; see zkfs --help\n"};
}

}  // namespace zkfs
