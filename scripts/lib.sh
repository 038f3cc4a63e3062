# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts share. Sourced, not run.

top=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
name=${0##*/}

note() { printf '%s: %s\n' "$name" "$*" >&2; }

die() {
  note "$*"
  exit 1
}

# A wrong command line: exit code 2.
misuse() {
  note "$*; see $name --help"
  exit 2
}

# The comment at the top of the script, without its first two lines, is its help.
print_help() {
  awk 'NR > 2 && !/^#/ { exit } NR > 2 { sub(/^# ?/, ""); print }' "$0"
}

# value_of OPTION "$@": the argument after OPTION, or misuse.
value_of() {
  [ $# -ge 2 ] || misuse "$1 needs a value"
  printf '%s' "$2"
}

is_number() { [[ $1 =~ ^[0-9]+$ ]]; }

# Milliseconds of a clock that only goes forward.
now_ms() {
  local up
  read -r up _ < /proc/uptime
  printf '%s' "$((10#${up/./} * 10))"
}

# The program to run: $ZKFS, or the newest of what was built.
find_zkfs() {
  local candidate
  if [ -n "${ZKFS:-}" ]; then
    [ -x "$ZKFS" ] || die "ZKFS=$ZKFS is no program"
    printf '%s' "$ZKFS"
    return
  fi
  for candidate in "$top/build/release/zkfs/zkfs" "$top/build/dev/zkfs/zkfs"; do
    [ -x "$candidate" ] || continue
    printf '%s' "$candidate"
    return
  done
  die "zkfs is not built yet; run scripts/build, or set ZKFS to the program"
}

# The field "start time" of /proc/PID/stat: with the pid it names one process for ever.
start_time_of() {
  local stat
  stat=$(cat "/proc/$1/stat" 2> /dev/null) || return 1
  stat=${stat##*) }
  # shellcheck disable=SC2086
  set -- $stat
  # A zombie is over, only not collected.
  [ "$1" != Z ] || return 1
  printf '%s' "${20}"
}

# True while the file "PID START_TIME" names a living process; sets $pid.
alive() {
  local started
  [ -r "$1" ] || return 1
  read -r pid started < "$1" || return 1
  [ -n "$started" ] && [ "$(start_time_of "$pid")" = "$started" ]
}

# True if something is mounted exactly there (also something that does not answer).
is_mounted() {
  local escaped=${1// /\\040}
  awk -v want="$escaped" '$5 == want { found = 1 } END { exit !found }' /proc/self/mountinfo
}
