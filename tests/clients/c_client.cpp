// SPDX-License-Identifier: Apache-2.0
// The C client library of ZooKeeper against HOST:PORT[,HOST:PORT...]: prints what it is answered.
// The transcript is the same on each run against servers that behave the same: no zxids, times,
// session ids. compare.py compares it.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#define THREADED
#include <zookeeper/zookeeper.h>

namespace {

using std::string;
using std::vector;

constexpr auto kWait = std::chrono::seconds(20);
constexpr int kTimeoutMs = 8000;
const string kRoot = "/t_c_client";

void say(const string& line) {
  std::printf("%s\n", line.c_str());
}

string error_text(int code) {
  return code == ZOK ? "ok" : zerror(code);
}

void say(const string& call, int code, const string& more = "") {
  say(call + " -> " + error_text(code) + (more.empty() ? "" : " " + more));
}

string stat_text(const Stat& stat) {
  return "[v=" + std::to_string(stat.version) + " cv=" + std::to_string(stat.cversion) +
         " av=" + std::to_string(stat.aversion) + " length=" + std::to_string(stat.dataLength) +
         " children=" + std::to_string(stat.numChildren) +
         " ephemeral=" + (stat.ephemeralOwner != 0 ? "yes" : "no") +
         " unchanged=" + (stat.czxid == stat.mzxid ? "yes" : "no") + "]";
}

string event_text(int type) {
  if (type == ZOO_CREATED_EVENT) return "created";
  if (type == ZOO_DELETED_EVENT) return "deleted";
  if (type == ZOO_CHANGED_EVENT) return "changed";
  if (type == ZOO_CHILD_EVENT) return "child";
  return std::to_string(type);
}

// A handle, its session's state and the events it was told.
class Client {
 public:
  explicit Client(const string& hosts, const clientid_t* id = nullptr) {
    handle_ = zookeeper_init(hosts.c_str(), &Client::on_session, kTimeoutMs, id, this, 0);
  }

  ~Client() { close(); }

  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void close() {
    if (handle_ != nullptr) zookeeper_close(std::exchange(handle_, nullptr));
  }

  zhandle_t* get() const { return handle_; }

  bool connected() {
    return await([this] { return state_ == ZOO_CONNECTED_STATE; });
  }

  bool expired() {
    return await([this] { return state_ == ZOO_EXPIRED_SESSION_STATE; });
  }

  static void on_event(zhandle_t*, int type, int, const char* path, void* context) {
    if (type == ZOO_SESSION_EVENT) return;
    Client& self = *static_cast<Client*>(context);
    const std::lock_guard lock(self.mutex_);
    self.events_.push_back(event_text(type) + " " + path);
    self.changed_.notify_all();
  }

  // Waits until so many events came, and says them in their order.
  void say_events(size_t count) {
    if (!await([&] { return events_.size() >= count; })) say("  events are missing");
    const std::lock_guard lock(mutex_);
    for (const string& event : events_) say("  event " + event);
    events_.clear();
  }

 private:
  static void on_session(zhandle_t*, int type, int state, const char*, void* context) {
    if (type != ZOO_SESSION_EVENT) return;
    Client& self = *static_cast<Client*>(context);
    const std::lock_guard lock(self.mutex_);
    self.state_ = state;
    self.changed_.notify_all();
  }

  bool await(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kWait, condition);
  }

  zhandle_t* handle_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  int state_ = 0;
  vector<string> events_;
};

// --- calls that say themselves ---

void create(Client& c,
            const string& path,
            const string& data = "",
            int mode = ZOO_PERSISTENT,
            const ACL_vector* acl = &ZOO_OPEN_ACL_UNSAFE) {
  char made[512] = "";
  const int code = zoo_create(c.get(), path.c_str(), data.data(), static_cast<int>(data.size()),
                              acl, mode, made, sizeof made);
  say("create " + path + " mode=" + std::to_string(mode), code, made);
}

void create2(Client& c, const string& path, int mode, int64_t ttl = -1) {
  char made[512] = "";
  Stat stat{};
  const int code = ttl < 0 ? zoo_create2(c.get(), path.c_str(), "x", 1, &ZOO_OPEN_ACL_UNSAFE, mode,
                                         made, sizeof made, &stat)
                           : zoo_create2_ttl(c.get(), path.c_str(), "x", 1, &ZOO_OPEN_ACL_UNSAFE,
                                             mode, ttl, made, sizeof made, &stat);
  say("create2 " + path + " mode=" + std::to_string(mode), code,
      code == ZOK ? string(made) + " " + stat_text(stat) : "");
}

void get(Client& c, const string& path, bool watch = false) {
  char data[1024];
  int length = sizeof data;
  Stat stat{};
  const int code =
      watch ? zoo_wget(c.get(), path.c_str(), &Client::on_event, &c, data, &length, &stat)
            : zoo_get(c.get(), path.c_str(), 0, data, &length, &stat);
  string shown = length < 0 ? "null" : "'" + string(data, length) + "'";
  say("get " + path, code, code == ZOK ? shown + " " + stat_text(stat) : "");
}

void set(Client& c, const string& path, const string& data, int version = -1) {
  Stat stat{};
  const int code =
      zoo_set2(c.get(), path.c_str(), data.data(), static_cast<int>(data.size()), version, &stat);
  say("set " + path + " version=" + std::to_string(version), code,
      code == ZOK ? stat_text(stat) : "");
}

void exists(Client& c, const string& path, bool watch = false) {
  Stat stat{};
  const int code = watch ? zoo_wexists(c.get(), path.c_str(), &Client::on_event, &c, &stat)
                         : zoo_exists(c.get(), path.c_str(), 0, &stat);
  say("exists " + path, code, code == ZOK ? stat_text(stat) : "");
}

void remove(Client& c, const string& path, int version = -1) {
  say("delete " + path + " version=" + std::to_string(version),
      zoo_delete(c.get(), path.c_str(), version));
}

void children(Client& c, const string& path, bool watch = false) {
  String_vector names{};
  Stat stat{};
  const int code =
      watch ? zoo_wget_children2(c.get(), path.c_str(), &Client::on_event, &c, &names, &stat)
            : zoo_get_children2(c.get(), path.c_str(), 0, &names, &stat);
  vector<string> sorted(names.data, names.data + names.count);
  std::sort(sorted.begin(), sorted.end());
  string text;
  for (const string& name : sorted) text += name + " ";
  say("children " + path, code, code == ZOK ? text + stat_text(stat) : "");
  if (code == ZOK) deallocate_String_vector(&names);
}

void acl(Client& c, const string& path) {
  ACL_vector entries{};
  Stat stat{};
  const int code = zoo_get_acl(c.get(), path.c_str(), &entries, &stat);
  string text;
  for (int i = 0; i < entries.count; ++i) {
    const ACL& entry = entries.data[i];
    text += std::to_string(entry.perms) + " " + entry.id.scheme + ":" + entry.id.id + " ";
  }
  say("acl " + path, code, code == ZOK ? text + stat_text(stat) : "");
  if (code == ZOK) deallocate_ACL_vector(&entries);
}

// A completion that others wait for.
struct Completion {
  std::mutex mutex;
  std::condition_variable done_cv;
  bool done = false;
  int code = 0;

  static void on_void(int code, const void* data) {
    auto& self = *static_cast<Completion*>(const_cast<void*>(data));
    const std::lock_guard lock(self.mutex);
    self.code = code;
    self.done = true;
    self.done_cv.notify_all();
  }

  static void on_string(int code, const char*, const void* data) { on_void(code, data); }

  string wait() {
    std::unique_lock lock(mutex);
    if (!done_cv.wait_for(lock, kWait, [this] { return done; })) return "no answer";
    return error_text(code);
  }
};

void sync(Client& c, const string& path) {
  Completion completion;
  zoo_async(c.get(), path.c_str(), &Completion::on_string, &completion);
  say("sync " + path + " -> " + completion.wait());
}

void add_auth(Client& c, const string& scheme, const string& credential) {
  Completion completion;
  zoo_add_auth(c.get(), scheme.c_str(), credential.data(), static_cast<int>(credential.size()),
               &Completion::on_void, &completion);
  say("auth " + scheme + " " + credential + " -> " + completion.wait());
}

void remove_tree(Client& c, const string& path) {
  String_vector names{};
  if (zoo_get_children(c.get(), path.c_str(), 0, &names) == ZOK) {
    for (int i = 0; i < names.count; ++i) remove_tree(c, path + "/" + names.data[i]);
    deallocate_String_vector(&names);
  }
  zoo_delete(c.get(), path.c_str(), -1);
}

// --- scenarios ---

void znodes(Client& c) {
  say("-- znodes");
  const string r = kRoot;
  create(c, r, "root");
  create(c, r);
  create(c, r + "/e", "x", ZOO_EPHEMERAL);
  create(c, r + "/e/x");
  create(c, r + "/s-", "", ZOO_PERSISTENT_SEQUENTIAL);
  create(c, r + "/s-", "", ZOO_EPHEMERAL_SEQUENTIAL);
  create(c, r + "/c", "", ZOO_CONTAINER);
  create2(c, r + "/c2", ZOO_PERSISTENT);
  create2(c, r + "/cc", ZOO_CONTAINER);
  create2(c, r + "/t", ZOO_PERSISTENT_WITH_TTL, 60000);
  create2(c, r + "/t-", ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 60000);
  create2(c, r + "/t0", ZOO_PERSISTENT_WITH_TTL, 0);
  create(c, r + "/missing/x");
  create(c, "relative");
  get(c, r);
  get(c, r + "/missing");
  char made[64];
  say("create with null data", zoo_create(c.get(), (r + "/null").c_str(), nullptr, -1,
                                          &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made));
  get(c, r + "/null");
  set(c, r, "changed");
  set(c, r, "changed", 7);
  set(c, r, "changed", 1);
  exists(c, r);
  exists(c, r + "/missing");
  children(c, r);
  children(c, r + "/missing");
  remove(c, r);
  remove(c, r + "/c2", 3);
  remove(c, r + "/c2", 0);
  remove(c, r + "/c2");
  sync(c, r);
  sync(c, "/t_missing");
}

void watches(Client& c, Client& writer) {
  say("-- watches");
  const string n = kRoot + "/n";
  exists(c, n, true);
  create(writer, n);
  c.say_events(1);
  get(c, n, true);
  children(c, n, true);
  set(writer, n, "x");
  c.say_events(1);
  create(writer, n + "/c");
  c.say_events(1);
  get(c, n, true);
  remove(writer, n + "/c");
  remove(writer, n);
  c.say_events(1);
  create(writer, n);
  get(c, n, true);
  children(c, n, true);
  remove(writer, n);
  c.say_events(1);
  create(writer, n);
  get(c, n, true);
  say("remove a child watch",
      zoo_remove_watches(c.get(), n.c_str(), ZWATCHTYPE_CHILD, &Client::on_event, &c, 0));
  say("remove a data watch",
      zoo_remove_watches(c.get(), n.c_str(), ZWATCHTYPE_DATA, &Client::on_event, &c, 0));
  set(writer, n, "unseen");
  sync(c, n);
  get(c, n, true);
  say("remove all watches", zoo_remove_all_watches(c.get(), n.c_str(), ZWATCHTYPE_ANY, 0));
  set(writer, n, "unseen");
  sync(c, n);
  say("remove none",
      zoo_remove_watches(c.get(), n.c_str(), ZWATCHTYPE_ANY, &Client::on_event, &c, 0));
}

void multi(Client& c) {
  say("-- multi");
  const string a = kRoot + "/m-a", b = kRoot + "/m-b", s = kRoot + "/m-s-";
  const auto run = [&](const string& label, vector<zoo_op_t> ops) {
    vector<zoo_op_result_t> results(ops.size());
    const int code = zoo_multi(c.get(), static_cast<int>(ops.size()), ops.data(), results.data());
    string text;
    for (const zoo_op_result_t& result : results) text += "(" + error_text(result.err) + ")";
    say(label, code, text);
  };
  char path[256], other[256];
  Stat stat{};
  zoo_op_t create_a, create_b, create_s, set_a, check_a, delete_a, delete_b;
  zoo_create_op_init(&create_a, a.c_str(), "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path);
  zoo_create_op_init(&create_b, b.c_str(), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, other,
                     sizeof other);
  zoo_create_op_init(&create_s, s.c_str(), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, other,
                     sizeof other);
  zoo_set_op_init(&set_a, a.c_str(), "2", 1, 0, &stat);
  zoo_check_op_init(&check_a, a.c_str(), 1);
  zoo_delete_op_init(&delete_a, a.c_str(), 1);
  zoo_delete_op_init(&delete_b, b.c_str(), 9);
  run("create", {create_a, create_b});
  say(string(path) + " " + other);
  run("again", {create_a, create_b});
  run("set, check, sequence", {set_a, check_a, create_s});
  say(string(other) + " " + stat_text(stat));
  run("set of an old version", {create_s, set_a, check_a});
  run("bad version last", {delete_a, delete_b});
  run("delete", {delete_a});
  zoo_op_t container;
  zoo_create_op_init(&container, (kRoot + "/m-c").c_str(), "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, path,
                     sizeof path);
  run("a single create", {container});
  children(c, kRoot);
}

void permissions(const string& hosts, Client& other) {
  say("-- permissions");
  Client c(hosts);
  c.connected();
  add_auth(c, "digest", "user:password");
  const string n = kRoot + "/closed";
  create(c, n, "secret", 0, &ZOO_CREATOR_ALL_ACL);
  acl(c, n);
  add_auth(c, "digest", "");
  get(c, n);
  get(other, n);
  set(other, n, "x");
  acl(other, n);
  Client again(hosts);
  again.connected();
  add_auth(again, "digest", "user:password");
  get(again, n);
  say("set acl", zoo_set_acl(again.get(), n.c_str(), -1, &ZOO_READ_ACL_UNSAFE));
  acl(other, n);
  get(other, n);
  set(other, n, "x");
  ACL_vector none{0, nullptr};
  create(other, kRoot + "/bad", "", 0, &none);
  create(other, kRoot + "/creator", "", 0, &ZOO_CREATOR_ALL_ACL);
  Client wrong(hosts);
  wrong.connected();
  add_auth(wrong, "unknown", "x");
}

void sessions(const string& hosts, Client& other) {
  say("-- sessions");
  Client first(hosts);
  say(first.connected() ? "connected" : "not connected");
  say("timeout " + std::to_string(zoo_recv_timeout(first.get())));
  create(first, kRoot + "/mine", "", ZOO_EPHEMERAL);
  const clientid_t id = *zoo_client_id(first.get());
  exists(other, kRoot + "/mine", true);
  first.close();
  other.say_events(1);
  exists(other, kRoot + "/mine");
  Client late(hosts, &id);
  say(late.expired() ? "expired" : "not expired");
  clientid_t unknown{};
  unknown.client_id = 0x1234567812345678;
  Client never(hosts, &unknown);
  say(never.expired() ? "expired" : "not expired");
}

void chroot(const string& hosts, Client& other) {
  say("-- chroot");
  Client c(hosts + kRoot);
  c.connected();
  create(c, "/inside", "x");
  get(c, "/inside", true);
  set(other, kRoot + "/inside", "y");
  c.say_events(1);
  children(c, "/inside");
  create(c, "/inside/s-", "", ZOO_SEQUENCE);
}

void many(Client& c) {
  say("-- many at once");
  vector<Completion> completions(1000);
  for (size_t i = 0; i < completions.size(); ++i) {
    zoo_acreate(c.get(), (kRoot + "/many-" + std::to_string(i)).c_str(), "x", 1,
                &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, &Completion::on_string, &completions[i]);
  }
  size_t made = 0;
  for (Completion& completion : completions) made += completion.wait() == "ok";
  say(std::to_string(made) + " made");
}

void configuration(Client& c) {
  say("-- configuration");
  char data[4096];
  int length = sizeof data;
  Stat stat{};
  const int code = zoo_getconfig(c.get(), 0, data, &length, &stat);
  say("config", code);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s HOST:PORT[,HOST:PORT...]\n", argv[0]);
    return 2;
  }
  zoo_set_debug_level(static_cast<ZooLogLevel>(0));
  zoo_deterministic_conn_order(1);
  // All at one server: what one of them wrote the other sees at once.
  const string hosts = string(argv[1]).substr(0, string(argv[1]).find(','));
  Client client(hosts), writer(hosts);
  if (!client.connected() || !writer.connected()) {
    say("not connected");
    return 1;
  }
  remove_tree(client, kRoot);
  znodes(client);
  watches(client, writer);
  multi(client);
  permissions(hosts, writer);
  sessions(hosts, writer);
  chroot(hosts, writer);
  many(client);
  configuration(client);
  add_auth(client, "digest", "super:secret");
  remove_tree(client, kRoot);
  return 0;
}
