# A gear that runs: its cartridges are started in order, and stopped the other way round. Sourced; as the gear's user.

# in_order: all cartridges as they are started, the web framework last.
in_order() {
    local cart
    for cart in "${carts[@]}"; do [ "$cart" = "$primary" ] || printf '%s\n' "$cart"; done
    printf '%s\n' "$primary"
}

start_secondaries() {
    local cart
    for cart in "${carts[@]}"; do
        [ "$cart" = "$primary" ] || control "$cart" start hooks || return 1
    done
}

start_primary() {
    action_hook pre_start && control "$primary" start hooks && action_hook post_start
}

run_start() {
    start_secondaries && start_primary && state started
}

run_stop() {
    local cart code=0
    # From now on nobody takes it for broken that nothing runs.
    state stopped
    action_hook pre_stop || code=1
    # Whatever one of them says, the others are stopped.
    while IFS= read -r cart; do control "$cart" stop hooks || code=1; done < <(in_order | tac)
    action_hook post_stop || code=1
    state stopped
    return "$code"
}

run_restart() {
    run_stop
    run_start
}

run_status() {
    local cart code=0
    while IFS= read -r cart; do control "$cart" status || code=1; done < <(in_order)
    return "$code"
}

# ---- The first process of an instance --------------------------------------------------------------------------------

# follow [PAST]: shows what is written to log files; what was in them before is another instance's.
declare -A followed=()
follow() {
    local file from=+1
    [ -z "${1-}" ] || from=0
    for file in "$home"/app-root/logs/* "$home"/*/{log,logs}/*; do
        [ -f "$file" ] && [ -r "$file" ] && [ -z "${followed[$file]-}" ] || continue
        [[ $file != "$home/app-root/logs/logs/"* ]] || continue
        followed[$file]=1
        tail -q -n "$from" -F --pid=$$ "$file" 2>/dev/null &
    done
}

# alone: are there no processes but ours?
alone() {
    local dir words IFS=' '
    for dir in /proc/[0-9]*; do
        [ "${dir#/proc/}" != "$$" ] || continue
        words=()
        { mapfile -d '' words <"$dir/cmdline"; } 2>/dev/null
        case "${words[*]-}" in
            '' | 'sleep 1' | 'tail -q'* | *'/gear run') ;;
            *) return 1 ;;
        esac
    done
}

# What was written to logs, and is not shown yet.
last_words() {
    follow
    sleep 0.3
}

stopping() {
    # Not ignored: who is started from here would ignore it, too.
    trap : TERM INT
    echo "the gear is told to stop"
    run_stop
    last_words
    exit 0
}

broken() {
    note "$1"
    trap : TERM INT
    run_stop
    last_words
    exit 1
}

run_run() {
    trap stopping TERM INT
    follow past
    control "$primary" update-configuration || broken "the web framework could not be configured"
    start_secondaries || broken "a cartridge did not start"
    state deploying
    control "$primary" deploy hooks || broken "the app could not be deployed"
    action_hook deploy || broken "the app could not be deployed"
    start_primary || broken "the web framework did not start"
    alone || lived=1
    control "$primary" post-deploy hooks || broken "the app could not be deployed"
    action_hook post_deploy || broken "the app could not be deployed"
    state started
    watch
}

# Did anything run that is no script of ours?
lived=""

# watch: until the web framework is no more. Its own word for that counts once it has said that it runs; and when nothing
# runs any more of what did, nobody needs to say so.
watch() {
    local known="" bad=0 gone=0 count=0
    while :; do
        follow
        # Who stops or restarts it inside knows why nothing runs.
        if [ "$(<"$home/app-root/runtime/.state")" != started ]; then
            bad=0 gone=0
        elif [ $((count % 5)) = 0 ]; then
            # Apart, so that what is said when a signal comes is not lost with what the script says.
            control "$primary" status >/dev/null 2>&1 &
            if wait $!; then known=1 bad=0; else bad=$((bad + 1)); fi
            if alone; then gone=$((gone + 1)); else lived=1 gone=0; fi
            if [ -n "$known" ] && [ "$bad" -ge 3 ]; then broken "the web framework has stopped"; fi
            if [ -n "$lived" ] && [ "$gone" -ge 2 ]; then broken "nothing runs any more"; fi
        fi
        count=$((count + 1))
        sleep 1 &
        wait $!
    done
}
