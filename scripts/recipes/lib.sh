# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What the recipes share. Sourced, not run. The heart of it is watch/look/await:
#
#   watch DIR           # inotifywait runs, and has said that it watches
#   look                # whatever changed before this moment is seen now ...
#   await               # ... and whatever changes after it ends this wait
#
# In this order no change is missed. After a wait the loop begins anew: an event says that something
# happened, only a look says what is. A wait ends after $recheck seconds also without an event: the
# queues of inotify are bounded, and one dropped event must not mean waiting for ever.
#
# Descriptors: 3 an ephemeral of ours, 4 a lock, 9 what inotifywait says.

# Used by those who source this.
# shellcheck disable=SC2034
{
  name=${0##*/}
  here=$(cd -- "$(dirname -- "$0")" && pwd)
  newline='
'
}
# Names are compared and errors are read as everywhere.
export LC_ALL=C
recheck=5
deadline=
starting=
watcher=
command_pid=
tmp=

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

timed_out() {
  note "timed out"
  exit 4
}

# The comment at the top of the script, without its first two lines, is its help.
print_help() {
  awk 'NR > 2 && !/^#/ { exit } NR > 2 { sub(/^# ?/, ""); print }' "$0"
}

is_number() {
  case $1 in '' | *[!0-9]*) return 1 ;; esac
}

# need_seconds OPTION [VALUE]
need_seconds() {
  [ $# -ge 2 ] || misuse "$1 needs a number of seconds"
  is_number "$2" || misuse "$1 $2: give whole seconds"
}

# A name that people choose for a znode. What reads as a marker would make something else.
need_name() {
  case $1 in
    '' | . | .. | */* | *@*) misuse "'$1' cannot be a name: give one without / and @" ;;
  esac
}

need_directory() {
  [ -d "$1" ] || die "$1 is no directory; is the tree mounted, and the path right?"
}

make_directory() {
  mkdir -p -- "$@" || die "cannot make $*"
}

# Who we are, for people.
whoami_text() { printf '%s %s' "$(uname -n)" "$$"; }

# --- the end ---

# What a signal does; a script may have a better idea.
on_signal() { exit "$1"; }

clean_up() {
  [ -z "$starting" ] || kill -PIPE "$starting" 2> /dev/null || :
  [ -z "$command_pid" ] || kill -s TERM -- "-$command_pid" 2> /dev/null || :
  [ -z "$tmp" ] || rm -rf "$tmp"
}

prepare() {
  command -v inotifywait > /dev/null || die "inotifywait is missing; install inotify-tools"
  trap clean_up EXIT
  trap 'on_signal 129' HUP
  trap 'on_signal 130' INT
  trap 'on_signal 143' TERM
  tmp=$(mktemp -d) || die "cannot make a temporary directory"
  mkfifo "$tmp/says" || die "cannot make a pipe in $tmp"
}

# --- time: seconds of a clock that only goes forward ---

uptime_s() {
  read -r now _ < /proc/uptime
  now=${now%%.*}
}

# set_deadline [SECONDS]; without: never.
set_deadline() {
  deadline=
  [ -n "${1:-}" ] || return 0
  uptime_s
  deadline=$((now + $1))
}

# True if there is time; sets $left.
time_is_left() {
  left=
  [ -n "$deadline" ] || return 0
  uptime_s
  left=$((deadline - now))
  [ "$left" -gt 0 ]
}

# --- watch, look, await ---

# watch PATH...: false if one of them is not there (any more).
watch() {
  patience=$recheck
  if time_is_left; then
    [ -z "$left" ] || [ "$left" -ge "$patience" ] || patience=$left
  else
    patience=1
  fi
  # If we are killed here, nothing of ours may live on in a child: 3 and 4 are closed before anything
  # that could wait, and 9, open both ways, keeps the pipe from waiting for its other end.
  exec 9<> "$tmp/says"
  inotifywait -t "$patience" -e close_write,create,delete,move,attrib,delete_self,move_self \
    -- "$@" 3>&- 4>&- 2> "$tmp/says" > /dev/null 9>&- &
  starting=$!
  exec 9< "$tmp/says"
  while read -r line <&9; do
    case $line in
      'Watches established.')
        watcher=$starting
        return 0
        ;;
    esac
  done
  wait "$starting" || :
  starting=
  return 1
}

# Waits for the first event since watch.
await() {
  # Not a word if a signal ended it.
  wait "$watcher" 2> /dev/null || :
  starting=''
  watcher=''
  exec 9<&-
}

# Looked, and need not wait. Nothing if nothing is watched.
unwatch() {
  [ -n "$watcher" ] || return 0
  kill -PIPE "$watcher" 2> /dev/null || :
  await
}

# wait_until LOOK DIR...: until the function LOOK says yes; false at the deadline.
wait_until() {
  look=$1
  shift
  while :; do
    watch "$@" || die "one of these is gone: $*"
    if "$look"; then
      unwatch
      return 0
    fi
    if ! time_is_left; then
      unwatch
      return 1
    fi
    await
  done
}

# --- the quorum ---

# know_root DIR: which mount it is in. To be called while the mount is well.
know_root() { root=$(stat -c %m -- "$1"); }

# True if this node is in a quorum. Bounded: a mount whose server is stopped does not answer.
in_quorum() {
  answer=$(timeout -s KILL 1 cat "$root/.zkfs/status.json" 2> /dev/null) || return 1
  case $answer in *'"in_quorum":true'*) ;; *) return 1 ;; esac
}

# Looks once a second: what a server has to say about itself makes no events. False if a signal, or
# the end of the command, comes first.
await_quorum() {
  until in_quorum; do
    recheck=1
    watch "$tmp" || return 1
    if [ -n "$stopping" ] || command_ended; then unwatch; else await; fi
    [ -z "$stopping" ] && ! command_ended || return 1
  done
  recheck=5
}

# --- ephemerals ---

# The name of the znode that descriptor 3 made; fails if it made none.
own_name() {
  getfattr --absolute-names --only-values -n user.zk.name /proc/self/fd/3 2> /dev/null
}

# The first line of a file; fails if it is gone, or empty: what was made with O_EXCL and has
# not got its value yet.
first_line() {
  { read -r value < "$1"; } 2> /dev/null && [ -n "$value" ]
}

# stand_in DIR PREFIX TEXT: makes a sequential ephemeral with the text, which lives as long as
# descriptor 3, here or in a child that inherits it, is open. Sets $me to its name.
stand_in() {
  exec 3> "$1/$2-@seq@eph=fd"
  if ! printf '%s\n' "$3" >&3 || ! me=$(own_name); then die "cannot make an entry in $1"; fi
}

# claim PATH TEXT: makes the ephemeral PATH of descriptor 3; false if somebody has it. O_EXCL: who
# wins is known at once, and not at a close whose errors a shell would not see.
claim() {
  if {
    set -C
    command exec 3> "$1@eph=fd"
  } 2> "$tmp/why"; then
    set +C
    printf '%s\n' "$2" >&3 || die "cannot write $1"
    return 0
  fi
  set +C
  read -r why < "$tmp/why" || :
  case $why in
    *exist*) return 1 ;;
    *) die "cannot make $1: ${why##*: }" ;;
  esac
}

# --- a command that runs while we watch ---

# spawn ENDED CMD...: in a process group of its own, sets $spawned to its number. Its end appears as
# the file ENDED, which a watch of its directory sees, with the exit status. If we are killed, CMD
# gets SIGTERM: the kernel kills the shell between us, and tells CMD of that one's death.
spawn() {
  rm -f "$1"
  # shellcheck disable=SC2016
  setsid setpriv --pdeathsig KILL sh -c 'trap : HUP INT TERM
    ended=$1; shift; setpriv --pdeathsig TERM "$@"
    echo $? > "$ended+"; mv "$ended+" "$ended"' sh "$@" 4>&- 9>&- &
  spawned=$!
}

start_command() {
  spawn "$tmp/ended" "$@"
  command_pid=$spawned
}

command_ended() { [ -e "$tmp/ended" ]; }

# Sets $status.
command_status() {
  read -r status < "$tmp/ended"
  wait "$command_pid" 2> /dev/null || :
  command_pid=
}

# stop_command SECONDS: SIGTERM to the whole group, SIGKILL after so many seconds. Sets $status.
stop_command() {
  [ -n "$command_pid" ] || return 0
  kill -s TERM -- "-$command_pid" 2> /dev/null || :
  set_deadline "$1"
  if wait_until command_ended "$tmp"; then
    # What it started and left behind goes, too.
    kill -s KILL -- "-$command_pid" 2> /dev/null || :
    command_status
  else
    kill -s KILL -- "-$command_pid" 2> /dev/null || :
    wait "$command_pid" 2> /dev/null || :
    command_pid=
    status=137
  fi
  deadline=
}

# Set by a script that has something to finish first; see interrupt.
stopping=

# For on_signal: the wait ends, and the loop sees $stopping. A signal between a look and its wait is
# not lost: the watcher is ended, so the wait is over before it begins.
interrupt() {
  stopping=$1
  [ -z "$watcher" ] || kill -PIPE "$watcher" 2> /dev/null || :
}

# shellcheck disable=SC2154,SC2317
# keep_registered PATH TEXT [CMD...]: is registered at PATH while CMD runs, or until a signal, and
# ends with its exit status. Registers again if the entry is lost (this node was cut off, and its
# sessions ended). $patient: waits while somebody else has the name, up to $wait_s seconds.
keep_registered() {
  path=$1 text=$2
  shift 2
  directory=${path%/*}
  know_root "$directory"
  on_signal() { interrupt "$1"; }
  set_deadline "$wait_s"
  while [ -z "$stopping" ]; do
    take_path || {
      [ -z "$stopping" ] || break
      [ -n "$command_pid" ] || timed_out
    }
    deadline=
    if [ $# -gt 0 ] && [ -z "$command_pid" ]; then start_command "$@" 3>&-; fi
    keep_path || break
    note "$path was lost; registering again"
    exec 3>&-
    await_quorum || break
    # Whoever took it meanwhile may have it only for a moment.
    patient=yes
  done
  status=
  if command_ended; then
    command_status
  else
    stop_command 5
  fi
  exit "${stopping:-${status:-0}}"
}

path_is_free_or_stopping() { [ ! -e "$path" ] || [ -n "$stopping" ] || command_ended; }

take_path() {
  until claim "$path" "$text"; do
    [ -n "$patient" ] || die "${path##*/} is taken in $directory; wait for it with -w"
    wait_until path_is_free_or_stopping "$directory" "$tmp" || return 1
    [ -z "$stopping" ] && ! command_ended || return 1
  done
  own=$(own_inode)
}

# The number of the znode that descriptor 3 made.
own_inode() { stat -L -c %i "/proc/$$/fd/3" 2> /dev/null; }

# False when it is time to end, true when the entry is gone or another's.
keep_path() {
  while :; do
    if watch "$path" "$tmp"; then
      if [ -n "$stopping" ] || command_ended; then
        unwatch
        return 1
      fi
      if [ "$(stat -c %i "$path" 2> /dev/null)" = "$own" ]; then
        await
        continue
      fi
      unwatch
    fi
    [ -z "$stopping" ] && ! command_ended || return 1
    [ "$(stat -c %i "$path" 2> /dev/null)" = "$own" ] || return 0
  done
}
