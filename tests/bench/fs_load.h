// SPDX-License-Identifier: Apache-2.0
// What small files cost on a mount, beside other filesystems in the same run: the part of
// zkfs_bench that scripts/bench calls with `fs`.
//
// Where caller and server run decides more than what they do (on a virtual machine of two cores
// one stat costs 12 us on one core and 150 us across two, and the scheduler takes either), so each
// figure is taken with both on one core, with the caller on one and all servers on another, and
// as the scheduler likes. Rounds are short and interleaved over the targets.
#pragma once

#include <string>
#include <vector>

namespace zkfs::bench {

// words: [--rounds N] [--round-ms MS] [--entries N] [--cores WHICH[,WHICH]...] [--operation NAME]
//        TARGET TARGET...
//
//   N of --rounds    rounds of each operation, target and placement (default 20)
//   MS               length of a round (default 100)
//   N of --entries   files in the directory that is listed (default 10000)
//   WHICH            same, apart or free (default: all three)
//   NAME             only the operations whose names begin so (default: all)
//   TARGET           NAME=DIR[:DIR2][@PID[,PID]...]: works in DIR, awaits events in DIR2 (the same
//                    directory through another mount; default DIR); the PIDs are its servers
//
// Prints a table for each operation; ratios are to the first two targets. Returns the exit code;
// ends the process with one line if the words are wrong or a target fails.
int run_fs_load(const std::vector<std::string>& words);

}  // namespace zkfs::bench
