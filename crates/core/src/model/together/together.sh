# Runs several processes as foreman does: arguments are, of each process, its name, its port (or none), the number of its
# command's words, and these. The first that ends ends all: SIGTERM, five seconds, SIGKILL; its exit code is that of all.
base=${PORT:-5000} longest=0
names=() pids=() readers=()
arguments=("$@")
for ((at = 0; at < ${#arguments[@]}; at += 3 + arguments[at + 2])); do
    ((${#arguments[at]} + 2 <= longest)) || longest=$((${#arguments[at]} + 2))
done

say() { printf '%(%H:%M:%S)T %-*s | %s\n' -1 "$longest" "$1" "$2"; }

lines() {
    local line
    trap '' TERM INT HUP
    while IFS= read -r line || [[ $line ]]; do say "$1" "$line"; done
}

stop() { # SIGNAL
    local pid
    for pid in "${pids[@]}"; do kill "-$1" -- "-$pid" 2> /dev/null; done
}

told=''
trap 'told=143; stop TERM' TERM HUP
trap 'told=130; stop TERM' INT
trap 'stop USR1' USR1
trap 'stop USR2' USR2

# What bash itself says of jobs is of no interest.
exec 2> /dev/null

# Each is a group, so that whatever it starts is told to end, too.
set -m
while (($#)); do
    name=$1.1 port=${2:-$((base + 100 * ${#pids[@]}))} count=$3
    shift 3
    exec {output}> >(lines "$name")
    readers+=("$!")
    (
        trap - TERM HUP INT USR1 USR2
        export PORT=$port PS=$name DYNO=$name
        exec "${@:1:count}"
    ) >&"$output" 2>&1 {output}>&- &
    pids+=("$!") names+=("$name")
    say "$name" "started with pid $!"
    exec {output}>&-
    shift "$count"
done

status=0 ended=''
until [[ $ended || $told ]]; do
    wait -n "${pids[@]}"
    status=$?
    # A signal ends the waiting, too; then none has ended.
    for index in "${!pids[@]}"; do
        if [[ ! $ended ]] && ! kill -0 "${pids[index]}" 2> /dev/null; then
            ended=${names[index]}
            say "$ended" "ended with exit code $status"
        fi
    done
done
stop TERM

alive() {
    local pid
    for pid in "${pids[@]}"; do
        ! kill -0 -- "-$pid" 2> /dev/null || return 0
    done
    return 1
}

# A pipe into which nobody writes: there may be no `sleep` in the image.
exec {quiet}<> <(:)
for ((tenths = 0; tenths < 50; tenths++)); do
    alive || break
    read -r -t 0.1 _ <&"$quiet"
done
stop KILL
# What was said last is shown; but who left its group and keeps the output is not waited for.
for ((tenths = 0; tenths < 10; tenths++)); do
    kill -0 "${readers[@]}" 2> /dev/null || break
    read -r -t 0.1 _ <&"$quiet"
done
exit "${told:-$status}"
