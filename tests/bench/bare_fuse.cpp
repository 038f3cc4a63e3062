// SPDX-License-Identifier: Apache-2.0
// A minimal FUSE filesystem in memory: what scripts/bench measures our mount against. It agrees
// with the kernel on what our mount agrees on (one thread, direct_io, timeouts of 0, truncation
// by open, no FLUSH for readers, permissions not checked by the kernel) and does nothing else: what
// remains is the cost of FUSE itself.
//
//   zkfs_bare_fuse MOUNTPOINT     in the foreground, until SIGTERM or SIGINT
//
// Files, directories, renames that replace. No symbolic links, no attributes that can be set
// except the size; directories are never removed.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include <fuse3/fuse_lowlevel.h>

namespace {

constexpr unsigned kMaxWriteBytes = 1024 * 1024;

struct Node {
  mode_t mode = 0;
  std::string data{};
  std::uint64_t lookups = 0;  // that the kernel holds
  bool linked = true;
  // A directory's: an entry keeps its offset while others come and go.
  std::map<off_t, std::pair<std::string, fuse_ino_t>> entries{};
  std::unordered_map<std::string, off_t> offsets{};
  off_t next_offset = 1;
};

class Tree {
 public:
  Tree() { nodes_[FUSE_ROOT_ID].mode = S_IFDIR | 0755; }

  Node& at(fuse_ino_t ino) { return nodes_.at(ino); }

  // 0 if there is none.
  fuse_ino_t find(fuse_ino_t parent, const std::string& name) {
    Node& directory = at(parent);
    const auto found = directory.offsets.find(name);
    return found == directory.offsets.end() ? 0 : directory.entries.at(found->second).second;
  }

  fuse_ino_t make(fuse_ino_t parent, const std::string& name, mode_t mode) {
    const fuse_ino_t ino = next_ino_++;
    nodes_[ino].mode = mode;
    link(parent, name, ino);
    return ino;
  }

  void link(fuse_ino_t parent, const std::string& name, fuse_ino_t ino) {
    Node& directory = at(parent);
    directory.offsets[name] = directory.next_offset;
    directory.entries[directory.next_offset++] = {name, ino};
  }

  // Takes the name away; the node stays.
  fuse_ino_t unlink(fuse_ino_t parent, const std::string& name) {
    const fuse_ino_t ino = find(parent, name);
    if (ino == 0) return 0;
    Node& directory = at(parent);
    directory.entries.erase(directory.offsets.at(name));
    directory.offsets.erase(name);
    return ino;
  }

  void drop(fuse_ino_t ino) {
    at(ino).linked = false;
    forget(ino, 0);
  }

  void forget(fuse_ino_t ino, std::uint64_t count) {
    Node& node = at(ino);
    node.lookups -= std::min(count, node.lookups);
    if (node.lookups == 0 && !node.linked) nodes_.erase(ino);
  }

  struct stat attributes(fuse_ino_t ino) {
    struct stat result {};

    const Node& node = at(ino);
    result.st_ino = ino;
    result.st_mode = node.mode;
    result.st_nlink = S_ISDIR(node.mode) ? 2 : 1;
    result.st_size = static_cast<off_t>(node.data.size());
    return result;
  }

  // As the answer to a look-up: the kernel holds it once more.
  fuse_entry_param entry(fuse_ino_t ino) {
    ++at(ino).lookups;
    fuse_entry_param result{};
    result.ino = ino;
    result.attr = attributes(ino);
    return result;
  }

 private:
  std::unordered_map<fuse_ino_t, Node> nodes_;
  fuse_ino_t next_ino_ = FUSE_ROOT_ID + 1;
};

Tree tree;

void on_init(void* /*user*/, fuse_conn_info* connection) {
  connection->want =
      connection->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_ASYNC_DIO |
                             FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
  connection->max_write = kMaxWriteBytes;
  connection->max_readahead = 0;
}

void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const fuse_ino_t ino = tree.find(parent, name);
  if (ino == 0) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  const fuse_entry_param entry = tree.entry(ino);
  fuse_reply_entry(request, &entry);
}

void on_forget(fuse_req_t request, fuse_ino_t ino, std::uint64_t count) {
  tree.forget(ino, count);
  fuse_reply_none(request);
}

void on_getattr(fuse_req_t request, fuse_ino_t ino, fuse_file_info* /*info*/) {
  const struct stat attributes = tree.attributes(ino);
  fuse_reply_attr(request, &attributes, 0);
}

void on_setattr(
    fuse_req_t request, fuse_ino_t ino, struct stat* wanted, int set, fuse_file_info* /*info*/) {
  if ((set & FUSE_SET_ATTR_SIZE) != 0) {
    tree.at(ino).data.resize(static_cast<std::size_t>(wanted->st_size));
  }
  on_getattr(request, ino, nullptr);
}

void on_mkdir(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  const fuse_entry_param entry = tree.entry(tree.make(parent, name, S_IFDIR | mode));
  fuse_reply_entry(request, &entry);
}

void set_up(fuse_file_info& info) {
  info.direct_io = 1;
  info.keep_cache = 0;
  info.noflush = (info.flags & O_ACCMODE) == O_RDONLY ? 1 : 0;
}

void on_create(
    fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* info) {
  fuse_ino_t ino = tree.find(parent, name);
  if (ino == 0) ino = tree.make(parent, name, S_IFREG | mode);
  if ((info->flags & O_TRUNC) != 0) tree.at(ino).data.clear();
  const fuse_entry_param entry = tree.entry(ino);
  set_up(*info);
  fuse_reply_create(request, &entry, info);
}

void on_open(fuse_req_t request, fuse_ino_t ino, fuse_file_info* info) {
  if ((info->flags & O_TRUNC) != 0) tree.at(ino).data.clear();
  set_up(*info);
  fuse_reply_open(request, info);
}

void on_opendir(fuse_req_t request, fuse_ino_t /*ino*/, fuse_file_info* info) {
  fuse_reply_open(request, info);
}

void on_read(
    fuse_req_t request, fuse_ino_t ino, std::size_t size, off_t offset, fuse_file_info* /*info*/) {
  const std::string& data = tree.at(ino).data;
  const std::size_t begin = std::min(data.size(), static_cast<std::size_t>(offset));
  fuse_reply_buf(request, data.data() + begin, std::min(size, data.size() - begin));
}

void on_write(fuse_req_t request,
              fuse_ino_t ino,
              const char* bytes,
              std::size_t size,
              off_t offset,
              fuse_file_info* info) {
  std::string& data = tree.at(ino).data;
  const std::size_t begin =
      (info->flags & O_APPEND) != 0 ? data.size() : static_cast<std::size_t>(offset);
  data.resize(std::max(data.size(), begin + size));
  std::memcpy(data.data() + begin, bytes, size);
  fuse_reply_write(request, size);
}

void on_close(fuse_req_t request, fuse_ino_t /*ino*/, fuse_file_info* /*info*/) {
  fuse_reply_err(request, 0);
}

void on_unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const fuse_ino_t ino = tree.unlink(parent, name);
  if (ino != 0) tree.drop(ino);
  fuse_reply_err(request, ino == 0 ? ENOENT : 0);
}

void on_rename(fuse_req_t request,
               fuse_ino_t parent,
               const char* name,
               fuse_ino_t new_parent,
               const char* new_name,
               unsigned /*flags*/) {
  const fuse_ino_t ino = tree.unlink(parent, name);
  if (ino != 0) {
    const fuse_ino_t replaced = tree.unlink(new_parent, new_name);
    if (replaced != 0) tree.drop(replaced);
    tree.link(new_parent, new_name, ino);
  }
  fuse_reply_err(request, ino == 0 ? ENOENT : 0);
}

void list(fuse_req_t request, fuse_ino_t ino, std::size_t size, off_t offset, bool plus) {
  static std::vector<char> buffer;
  buffer.resize(size);
  std::size_t used = 0;
  const auto& entries = tree.at(ino).entries;
  for (auto at = entries.upper_bound(offset); at != entries.end(); ++at) {
    const auto& [name, child] = at->second;
    char* place = buffer.data() + used;
    std::size_t needed = 0;
    if (plus) {
      const fuse_entry_param entry = tree.entry(child);
      needed = fuse_add_direntry_plus(request, place, size - used, name.c_str(), &entry, at->first);
      if (needed > size - used) tree.forget(child, 1);
    } else {
      const struct stat attributes = tree.attributes(child);
      needed = fuse_add_direntry(request, place, size - used, name.c_str(), &attributes, at->first);
    }
    if (needed > size - used) break;
    used += needed;
  }
  fuse_reply_buf(request, buffer.data(), used);
}

void on_readdir(
    fuse_req_t request, fuse_ino_t ino, std::size_t size, off_t offset, fuse_file_info* /*info*/) {
  list(request, ino, size, offset, false);
}

void on_readdirplus(
    fuse_req_t request, fuse_ino_t ino, std::size_t size, off_t offset, fuse_file_info* /*info*/) {
  list(request, ino, size, offset, true);
}

fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops ops{};
  ops.init = on_init;
  ops.lookup = on_lookup;
  ops.forget = on_forget;
  ops.getattr = on_getattr;
  ops.setattr = on_setattr;
  ops.mkdir = on_mkdir;
  ops.create = on_create;
  ops.open = on_open;
  ops.read = on_read;
  ops.write = on_write;
  ops.release = on_close;
  ops.flush = on_close;
  ops.unlink = on_unlink;
  ops.rename = on_rename;
  ops.opendir = on_opendir;
  ops.releasedir = on_close;
  ops.readdir = on_readdir;
  ops.readdirplus = on_readdirplus;
  return ops;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: zkfs_bare_fuse MOUNTPOINT\n");
    return 2;
  }
  char program[] = "zkfs_bare_fuse";
  char* arguments[] = {program, nullptr};
  fuse_args args = FUSE_ARGS_INIT(1, arguments);
  const fuse_lowlevel_ops ops = operations();
  fuse_session* session = fuse_session_new(&args, &ops, sizeof ops, nullptr);
  if (session == nullptr || fuse_set_signal_handlers(session) != 0 ||
      fuse_session_mount(session, argv[1]) != 0) {
    return 1;
  }
  const int result = fuse_session_loop(session);
  fuse_session_unmount(session);
  fuse_remove_signal_handlers(session);
  fuse_session_destroy(session);
  fuse_opt_free_args(&args);
  return result < 0 ? 1 : 0;
}
