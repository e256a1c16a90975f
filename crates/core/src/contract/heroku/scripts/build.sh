#!/bin/bash
# Drives buildpacks (Heroku's "Buildpack API"): build.sh ACTION [INDEX]. What is to be done stands in plan.sh beside it:
# build_dir, build_user, pruned, explicit, names, packs, images, test_setup, test_script.

here=/tmp/heroku
app=/app
env_dir=$here/env
cache=$here/cache/next
out=$here/out
. "$here/plan.sh"

say() { printf -- '-----> %s\n' "$*"; }
warn() { printf ' !     %s\n' "$*"; }

indent() {
    local line
    while IFS= read -r line || [[ $line ]]; do printf '       %s\n' "$line"; done
}

pack() { printf '%s/buildpacks/%s' "$here" "${packs[$1]}"; }

# What keeps a script from being started, as far as the kernel would not say it well.
check() { # INDEX SCRIPT
    local file first='' interpreter rest
    file=$(pack "$1")/bin/$2
    if [[ ! -f $file ]]; then
        warn "the buildpack ${names[$1]} has no bin/$2"
        return 1
    fi
    IFS= read -r first 2> /dev/null < "$file"
    [[ $first == '#!'* ]] || return 0
    if [[ $first == *$'\r' ]]; then
        warn "bin/$2 of the buildpack ${names[$1]} has the line ends of Windows (CR LF), so its interpreter is not found"
        return 1
    fi
    read -r interpreter rest <<< "${first:2}"
    if [[ ! -x $interpreter ]]; then
        warn "bin/$2 of the buildpack ${names[$1]} wants the interpreter $interpreter, which this base does not have"
        return 1
    fi
}

# Sources that many files, whatever they do to a shell, and then becomes a command. One that ends the shell is named.
sourced='
    __till_files=("${@:2:$1}") __till_command=("${@:$1 + 2}")
    set --
    trap '\''__till_status=$?; echo " !     $__till_file, which sets variables for later buildpacks, ended the shell (exit code $__till_status)" >&2'\'' EXIT
    for __till_file in "${__till_files[@]}"; do
        . "$__till_file"
        set +eu
    done
    trap - EXIT
    exec "${__till_command[@]}"
'
# Runs a script of a buildpack in the build directory; `exports` are files that are sourced before, in a shell of its own.
exports=()
call() { # INDEX SCRIPT ARGUMENT…
    local index=$1 script=$2
    shift 2
    check "$index" "$script" || return 126
    (
        cd "$build_dir" || exit
        exec /bin/bash -c "$sourced" bash "${#exports[@]}" "${exports[@]}" "$(pack "$index")/bin/$script" "$@" < /dev/null
    )
}

# What the buildpacks that ran before left for those after them.
earlier() { # INDEX
    local index file
    exports=()
    while read -r index; do
        file=$(pack "$index")/export
        [[ $index == "$1" || ! -f $file ]] || exports+=("$file")
    done < "$out/ran"
}

# 126 also when it cannot be started.
detect() { # INDEX
    check "$1" detect || return 126
    call "$1" detect "$build_dir" > "$out/stdout" 2> "$out/stderr"
}

# The name that a buildpack gives to what it found, or else its own.
label() { # INDEX
    local line
    while IFS= read -r line || [[ $line ]]; do
        [[ ! $line =~ [^[:space:]] ]] || { printf '%s' "${line:0:200}"; return; }
    done 2> /dev/null < "$out/stdout"
    printf '%s' "${names[$1]}"
}

# What a buildpack said when it did not agree, in one line.
words() {
    local line all=''
    while IFS= read -r line || [[ $line ]]; do
        line=${line#"${line%%[![:space:]]*}"}
        [[ ! $line ]] || all+="${all:+ / }$line"
        ((${#all} < 300)) || { all=${all:0:300}…; break; }
    done 2> /dev/null < <(cat "$out/stdout" "$out/stderr")
    printf '%s' "${all:-it said nothing}"
}

prepare() {
    local index pack file group
    group=$(id -g "$build_user" 2> /dev/null) || group=$build_user
    mkdir -p "$app" "$out" "$here/buildpacks" "$env_dir" "$here/test-env" "$build_dir"
    [[ $build_dir == "$app" ]] || find "$app" -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +
    for index in "${!packs[@]}"; do
        pack=$(pack "$index")
        if [[ ${images[index]} ]]; then
            if [[ ! -d ${images[index]} ]]; then
                warn "the base has no directory ${images[index]} for the buildpack ${names[index]}"
                exit 1
            fi
            cp -a -- "${images[index]}/." "$pack"
        fi
        # A repository or an archive may have lost the bits. A link out of the buildpack is none of its files.
        for file in "$pack"/bin/*; do
            file=$(realpath -- "$file")
            [[ $file != "$pack"/* || ! -f $file ]] || chmod 0755 -- "$file"
        done
        check "$index" detect && check "$index" compile || exit 1
    done
    : > "$out/ran"
    chown -R "$build_user:$group" "$app" "$out" "$here/buildpacks" "$build_dir"
    [[ $pruned == 0 ]] || say "Deleting $pruned files matching .slugignore patterns."
    restore_cache "$group"
}

# A build works on a copy: what a failed one leaves in it is forgotten.
restore_cache() { # GROUP
    cd "$here/cache" || exit
    [[ -d current || ! -d old ]] || mv old current
    rm -rf next old
    mkdir -p current test
    cp -a --reflink=auto current next || exit
    find next test ! -user "$build_user" -exec chown -h "$build_user:$1" {} +
    chmod u+rwx next test
}

save_cache() {
    cd "$here/cache" || exit
    rm -rf old
    mv current old && mv next current || exit
    rm -rf old
}

choose() {
    local index status all=()
    for index in "${!packs[@]}"; do
        detect "$index"
        status=$?
        if ((status == 0)); then
            printf '%s' "$index" > "$out/chosen"
            label "$index" > "$out/label"
            say "$(< "$out/label") app detected"
            return
        fi
        ((status != 126)) || exit 1
        all+=("${names[index]} (exit code $status): $(words)")
    done
    warn 'no buildpack matches this source. What each of them said:'
    printf '       %s\n' "${all[@]}"
    exit 1
}

compile() { # INDEX
    local index=$1 status
    if [[ $explicit == yes ]]; then
        detect "$index"
        status=$?
        if ((status != 0)); then
            warn "the buildpack ${names[index]} does not match this source (its bin/detect ended with exit code $status):"
            words | indent
            exit 1
        fi
        label "$index" > "$out/label"
        say "$(< "$out/label") app detected"
    else
        index=$(< "$out/chosen")
    fi
    earlier "$index"
    call "$index" compile "$build_dir" "$cache" "$env_dir"
    status=$?
    leftovers "$index"
    if ((status != 0)); then
        warn "Push rejected, failed to compile $(< "$out/label") app."
        warn "bin/compile of the buildpack ${names[index]} ended with exit code $status"
        exit "$status"
    fi
    printf '%s\n' "$index" >> "$out/ran"
}

# They end with the step: nothing that runs is in an image.
leftovers() { # INDEX
    local folder name state found=()
    for folder in /proc/[0-9]*; do
        [[ ${folder##*/} != "$$" && ${folder##*/} != "$BASHPID" && ${folder##*/} != 1 ]] || continue
        { read -r name < "$folder/comm" && read -r _ _ state _ < "$folder/stat"; } 2> /dev/null || continue
        [[ $state == Z ]] || found+=("$name")
    done
    ((${#found[@]} == 0)) || warn "the buildpack ${names[$1]} left processes running (${found[*]}); they are ended"
}

release() {
    local index='' ran status
    : > "$out/release.yml"
    # Of the last one that has something to say.
    while read -r ran; do
        [[ ! -f $(pack "$ran")/bin/release ]] || index=$ran
    done < "$out/ran"
    [[ $index ]] || return 0
    exports=()
    call "$index" release "$build_dir" "$cache" > "$out/release.yml"
    status=$?
    indent < "$out/release.yml"
    if ((status != 0)); then
        warn "bin/release of the buildpack ${names[index]} ended with exit code $status"
        exit "$status"
    fi
    if grep -A1 '^addons:' "$out/release.yml" | grep -qE '^[[:space:]]*- |^addons:[[:space:]]*\[[^]]'; then
        warn "the buildpack ${names[index]} asks for add-ons, which are not provided: set the config vars that they would set"
    fi
}

report() {
    local index
    while read -r index; do
        [[ -f $(pack "$index")/bin/report ]] || continue
        call "$index" report "$build_dir" "$cache" "$env_dir" | indent
        # What it says is for people; how it ends does not matter.
        [[ ${PIPESTATUS[0]} == 0 ]] || warn "bin/report of the buildpack ${names[index]} failed"
    done < "$out/ran"
}

# What is left in the build directory becomes /app.
slug() {
    local types
    save_cache
    if [[ $build_dir != "$app" ]]; then
        find "$app" -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +
        find "$build_dir" -mindepth 1 -maxdepth 1 -exec mv -t "$app" -- {} + || exit
        rmdir "$build_dir"
    fi
    rm -rf "$app/.till"
    install -D -m 0755 "$here/start" "$app/.till/start" || exit
    say 'Discovering process types'
    types=$(sed -nE 's/^[[:space:]]*([A-Za-z0-9_-]+)[[:space:]]*:.*/\1/p' "$app/Procfile" 2> /dev/null | paste -sd, -)
    printf '       Procfile declares types -> %s\n' "${types:-(none)}"
}

# As on Heroku CI, on what will be the artifact; what it writes is forgotten.
trial() {
    local index ran
    env_dir=$out/test-env
    cache=$here/cache/test
    mkdir -p "$env_dir"
    cp -a "$here/env/." "$here/test-env/." "$env_dir"
    # What buildpacks export names the directory in which they were compiled.
    [[ $build_dir == "$app" ]] || ln -sfn "$app" "$build_dir"
    build_dir=$app
    mapfile -t ran < "$out/ran"
    for index in "${ran[@]}"; do
        [[ -f $(pack "$index")/bin/test-compile ]] || continue
        earlier "$index"
        call "$index" test-compile "$app" "$cache" "$env_dir" || exit
    done
    export_variables
    exec /bin/bash "$here/start" test "/bin/bash $here/build.sh run-test"
}

export_variables() {
    local file value
    for file in "$env_dir"/*; do
        [[ -f $file && ! ${file##*/} =~ ^(PATH|GIT_DIR|CPATH|CPPATH|LD_PRELOAD|LIBRARY_PATH)$ ]] || continue
        IFS= read -r -d '' value < "$file"
        export "${file##*/}=$value"
    done
}

run_test() {
    local index found=''
    build_dir=$app
    env_dir=$out/test-env
    exports=()
    [[ ! $test_setup ]] || /bin/bash -c "$test_setup" || exit
    if [[ $test_script ]]; then
        exec /bin/bash -c "$test_script"
    fi
    while read -r index <&3; do
        [[ -f $(pack "$index")/bin/test ]] || continue
        found=yes
        call "$index" test "$app" "$env_dir" || exit
    done 3< "$out/ran"
    if [[ ! $found ]]; then
        warn 'nothing says how the app is tested: no buildpack has bin/test, and app.json has no environments.test.scripts.test'
        exit 1
    fi
}

case $1 in
    prepare | choose | release | report | slug | trial) "$1" ;;
    compile) compile "$2" ;;
    run-test) run_test ;;
esac
