// SPDX-License-Identifier: Apache-2.0
// Running commands as a user would, with a deadline, and waiting for conditions.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace zkfs::testing {

using Seconds = std::chrono::seconds;
using Millis = std::chrono::milliseconds;

struct CommandResult {
  int status = -1;     // exit status; 128 + signal if it was killed; -1 if it did not end in time
  std::string output;  // standard output and standard error
};

// A process of ours. Destroyed running, it is killed.
class Process {
 public:
  Process() = default;
  // Standard output and error go to `log` (appended); standard input is /dev/null.
  static Process start(const std::vector<std::string>& arguments, const std::string& log);
  // With these descriptors as its standard input, and as its output and error. The caller's stay.
  static Process start(const std::vector<std::string>& arguments, int input, int output);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  [[nodiscard]] pid_t pid() const { return pid_; }

  [[nodiscard]] bool running();
  void signal(int number) const;
  // Waits for its end; the exit status as above, -1 after `limit`.
  int wait(Millis limit);

 private:
  pid_t pid_ = -1;
  int status_ = -1;
};

// Runs `command` by /bin/bash -c. A command that outlives `limit` is killed.
CommandResult run(const std::string& command, Millis limit = Seconds(60));

// True as soon as `condition` is; false if it is not within `limit`.
bool eventually(const std::function<bool()>& condition, Millis limit = Seconds(20));

// The whole file; empty if it cannot be read.
std::string read_file(const std::string& path);
// open(O_WRONLY|O_CREAT|O_TRUNC), write, close as `echo >` does; 0 or the errno of the first call
// that failed.
int write_file(const std::string& path, const std::string& data);
// open(O_WRONLY|O_APPEND): the file must exist.
int append_file(const std::string& path, const std::string& data);

}  // namespace zkfs::testing
