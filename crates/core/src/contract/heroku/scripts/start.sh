#!/bin/bash
# Starts a process of the app as a dyno does: start TYPE COMMAND, or start TYPE -- PROGRAM ARGUMENT…

export HOME=/app DYNO="${DYNO:-$1.1}" PS="${PS:-$1.1}"
cd "$HOME" || exit
__till_command=("${@:2}")
# A file that ends the shell ends the process: it is told which.
trap '__till_status=$?; echo " !     $__till_file ended the start (exit code $__till_status)" >&2' EXIT
for __till_file in /etc/profile.d/*.sh "$HOME"/.profile.d/*.sh "$HOME/.profile"; do
    # shellcheck disable=SC1090 # those that there are
    [[ ! -f $__till_file || ! -r $__till_file ]] || . "$__till_file"
    # What one file wants of its shell is not for the next one.
    set +eu
done
trap - EXIT
if ((${#__till_command[@]} == 1)); then
    set -- /bin/bash -c "${__till_command[0]}"
else
    set -- "${__till_command[@]:1}"
fi
unset -v __till_file __till_command
set +eu
(($$ == 1)) || exec "$@"

# The first process of an instance gets no signal that it does not wait for: so that is this shell, not the app. As on a dyno
# every process is told to end. Jobs are groups of their own, in which an interrupt is not ignored; what bash itself says of
# them is of no interest.
exec {errors}>&2 2> /dev/null
set -m
"$@" <&0 2>&"$errors" {errors}>&- &
child=$!
trap 'kill -TERM -- -1 2> /dev/null' TERM
trap 'kill -INT -- -1 2> /dev/null' INT
for signal in HUP QUIT USR1 USR2; do
    # shellcheck disable=SC2064 # as it is now
    trap "kill -$signal -- -$child 2> /dev/null" "$signal"
done
wait "$child"
status=$?
while kill -0 "$child" 2> /dev/null; do
    wait "$child"
    status=$?
done
exit "$status"
