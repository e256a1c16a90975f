# A gear that runs: its cartridges are started in order, and stopped the other way round. Sourced; as the gear's user.

# in_order: all cartridges as they are started, the web framework last.
in_order() {
    local cart
    for cart in "${carts[@]}"; do [ "$cart" = "$primary" ] || printf '%s\n' "$cart"; done
    printf '%s\n' "$primary"
}

# one CART VERB: a verb of one cartridge, with the app's own scripts around it; those of the whole app are the web framework's.
# Nothing keeps a gear from being stopped.
one() {
    local cart=$1 verb=$2 code=0 app=""
    [ "$cart" != "$primary" ] || app=1
    [ -z "$app" ] || action_hook "pre_$verb" || code=1
    [ "$code" = 0 ] || [ "$verb" = stop ] || return 1
    control "$cart" "$verb" hooks || code=1
    [ "$code" = 0 ] || [ "$verb" = stop ] || return 1
    [ -z "$app" ] || action_hook "post_$verb" || code=1
    return "$code"
}

start_secondaries() {
    local cart
    for cart in "${carts[@]}"; do
        [ "$cart" = "$primary" ] || one "$cart" start || return 1
    done
}

# each VERB: a verb of all, in the order of those named. Whatever one of them says, the others are told as well.
each() {
    local cart code=0
    while IFS= read -r cart; do one "$cart" "$1" || code=1; done
    return "$code"
}

# means NAME CART: is it called so, or so with its version?
means() {
    [ "${1,,}" = "$2" ] || [ "${1,,}" = "$2-$(about "$2" version)" ]
}

# chosen [--cart CART…]: the cartridges that are meant, in order; all when none is named.
chosen() {
    local cart name wanted=() known
    while [ $# -gt 0 ]; do
        case $1 in
            --cart) wanted+=("${2-}") && shift ;;
            --cart=*) wanted+=("${1#*=}") ;;
            --all-cartridges) ;;
            -*) fail "gear: --cart CARTRIDGE is known, and not \`$1\`" ;;
            *) wanted+=("$1") ;;
        esac
        [ $# -eq 0 ] || shift
    done
    for name in "${wanted[@]}"; do
        known=""
        for cart in "${carts[@]}"; do means "$name" "$cart" && known=1; done
        [ -n "$known" ] || fail "gear: there is no cartridge \`$name\`; there are: ${carts[*]}"
    done
    while IFS= read -r cart; do
        [ ${#wanted[@]} -gt 0 ] || printf '%s\n' "$cart"
        for name in "${wanted[@]}"; do ! means "$name" "$cart" || printf '%s\n' "$cart"; done
    done < <(in_order)
}

run_start() {
    local cart list
    list=$(chosen "$@") || return 1
    while IFS= read -r cart; do
        one "$cart" start || return 1
        [ "$cart" != "$primary" ] || state started
    done <<<"$list"
}

# has_primary LIST: is the web framework among these?
has_primary() {
    [[ $'\n'$1$'\n' == *$'\n'"$primary"$'\n'* ]]
}

run_stop() {
    local list code=0
    list=$(chosen "$@") || return 1
    # From now on nobody takes it for broken that nothing runs.
    ! has_primary "$list" || state stopped
    each stop < <(tac <<<"$list") || code=1
    return "$code"
}

run_restart() {
    local list code=0
    list=$(chosen "$@") || return 1
    ! has_primary "$list" || state stopped
    each restart <<<"$list" || code=1
    ! has_primary "$list" || state started
    return "$code"
}

run_reload() {
    local list
    list=$(chosen "$@") || return 1
    each reload <<<"$list"
}

run_tidy() {
    each tidy < <(in_order)
}

run_status() {
    local cart list code=0
    list=$(chosen "$@") || return 1
    while IFS= read -r cart; do control "$cart" status || code=1; done <<<"$list"
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
        # What was moved away is shown already.
        case $file in *.[0-9] | *.[0-9][0-9] | *.gz | *.old) continue ;; esac
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
    one "$primary" start || broken "the web framework did not start"
    alone || lived=1
    control "$primary" post-deploy hooks || broken "the app could not be deployed"
    action_hook post_deploy || broken "the app could not be deployed"
    state started
    watch
}

# Did anything run that is no script of ours?
lived=""

# jobs: whoever has jobs to run is told each time that one of the times has come, as a node of OpenShift does; what jobs say is
# in its logs.
declare -A times=()
jobs() {
    local now entry when cart
    TZ=UTC0 printf -v now '%(minutely=%Y%m%d%H%M hourly=%Y%m%d%H daily=%Y%m%d weekly=%G%V monthly=%Y%m)T' -1
    for entry in $now; do
        when=${entry%=*} entry=${entry#*=}
        if [ -n "${times[$when]-}" ] && [ "${times[$when]}" != "$entry" ]; then
            for cart in "${carts[@]}"; do
                [ ! -x "$home/$cart/bin/cron_runjobs.sh" ] || run_jobs "$cart" "$when" &
            done
        fi
        times[$when]=$entry
    done
}

# run_jobs CART WHEN
run_jobs() {
    local what="bin/cron_runjobs.sh of the cartridge $1"
    script "$1" control "$what" "$home/$1/bin/cron_runjobs.sh" "$2" >/dev/null 2>&1 || note "$what failed for $2 (exit code $?)"
}

# watch: until the web framework is no more.
watch() {
    local known="" bad=0 gone=0 count=0
    while :; do
        follow
        # Who stops or restarts it inside knows why nothing runs.
        if [ "$(<"$home/app-root/runtime/.state")" = started ]; then
            jobs
            [ $((count % 5)) != 0 ] || look
        else
            bad=0 gone=0
        fi
        count=$((count + 1))
        sleep 1 &
        wait $!
    done
}

# look: does it run? Its own word for that counts once it has said that it runs; and when nothing runs any more of what did,
# nobody needs to say so.
look() {
    # Apart, so that what is said when a signal comes is not lost with what the script says.
    control "$primary" status >/dev/null 2>&1 &
    if wait $!; then known=1 bad=0; else bad=$((bad + 1)); fi
    if alone; then gone=$((gone + 1)); else lived=1 gone=0; fi
    if [ -n "$known" ] && [ "$bad" -ge 3 ]; then broken "the web framework has stopped"; fi
    if [ -n "$lived" ] && [ "$gone" -ge 2 ]; then broken "nothing runs any more"; fi
}
