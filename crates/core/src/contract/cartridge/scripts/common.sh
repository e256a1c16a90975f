# What building and running share: where things are, environments, scripts of cartridges. Sourced.

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

note() {
    printf '%s\n' "$*" >&2
}

shopt -s nullglob
plan=$lib/plan
scratch=/run/till-gear
home=$(<"$plan/home")
user=$(<"$plan/user")
primary=$(<"$plan/primary")
mapfile -t carts <"$plan/order"
hooks_dir=$home/app-root/runtime/repo/.openshift/action_hooks

# about CART KEY: what the plan says of a cartridge.
about() {
    printf '%s' "$(<"$plan/carts/$1/$2")"
}

# What this process was started with. Its own variables may be called like the app's, so those are never variables here.
declare -A given=()
while IFS= read -r -d '' entry; do
    given[${entry%%=*}]=${entry#*=}
done </proc/self/environ
unset entry

# ---- Environment -----------------------------------------------------------------------------------------------------

# Values by name, while an environment is put together.
declare -A value=() fixed=()

# read_vars DIR: one file for each variable. What the gear itself says is never replaced.
read_vars() {
    local file name parts text IFS=''
    for file in "$1"/*; do
        name=${file##*/}
        case $name in *.erb | *.rpmnew) continue ;; esac
        [ -f "$file" ] && [ -r "$file" ] && [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
        [ -z "${fixed[$name]-}" ] || continue
        # Zero bytes are left out.
        mapfile -d '' parts <"$file"
        text="${parts[*]}"
        text=${text%$'\n'}
        # The form of older cartridges.
        if [[ $text == "export $name="* ]]; then
            text=${text#*=}
            text=${text%[\'\"]}
            text=${text#[\'\"]}
        fi
        value[$name]=$text
    done
}

# Entries `NAME=VALUE` of an environment that is put together.
vars=()

# load_env CART [control]: puts together what scripts of a cartridge find, in `vars`; later ones win.
load_env() {
    local cart name dir element own=() elements="" libraries=""
    value=() fixed=()
    read_vars /etc/openshift/env
    read_vars "$home/.env"
    for name in "${!value[@]}"; do fixed[$name]=1; done
    for cart in "${carts[@]}"; do read_vars "$home/$cart/env"; done
    for dir in "$home"/.env/*/; do
        [ "${dir%/}" = "$home/.env/user_vars" ] || read_vars "${dir%/}"
    done
    if [ "${2-}" = control ]; then own=("$primary" "$1"); else own=("$1" "$primary"); fi
    for cart in "${own[@]}"; do read_vars "$home/$cart/env"; done
    # Variables of the user: files of the image, and what the instance was started with, which wins. Neither replaces the
    # gear's own, but for the secret token, and where the app is reached, which only who starts it knows.
    for name in OPENSHIFT_SECRET_TOKEN OPENSHIFT_APP_DNS OPENSHIFT_GEAR_DNS; do
        unset "fixed[$name]"
        [ -z "${given[$name]-}" ] || value[$name]=${given[$name]}
    done
    for name in "$home"/.env/user_vars/*; do
        name=${name##*/}
        [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] && [ -z "${fixed[$name]-}" ] && [ -n "${given[$name]+set}" ] || continue
        value[$name]=${given[$name]}
        fixed[$name]=1
    done
    read_vars "$home/.env/user_vars"
    if [ -z "${value[OPENSHIFT_SECRET_TOKEN]-}" ]; then
        value[OPENSHIFT_SECRET_TOKEN]=$(secret_token)
    fi
    local short
    short=$(about "$primary" short)
    for name in $(printf '%s\n' "${!value[@]}" | LC_ALL=C sort); do
        element=${value[$name]}
        case $name in
            OPENSHIFT_*_LD_LIBRARY_PATH_ELEMENT)
                [ "$name" = "OPENSHIFT_${short}_LD_LIBRARY_PATH_ELEMENT" ] || libraries+=${element:+$element:}
                ;;
            OPENSHIFT_*_PATH_ELEMENT)
                [ "$name" = "OPENSHIFT_${short}_PATH_ELEMENT" ] || elements+=${element:+:$element}
                ;;
        esac
    done
    element=${value[OPENSHIFT_${short}_PATH_ELEMENT]-}
    elements=${element:+$element}$elements
    elements=${elements#:}
    value[PATH]=${elements:+$elements:}${value[PATH]}
    libraries+=${value[OPENSHIFT_${short}_LD_LIBRARY_PATH_ELEMENT]-}
    libraries=${libraries%:}
    name=${given[LD_LIBRARY_PATH]-}
    libraries+=${libraries:+${name:+:}}$name
    [ -z "$libraries" ] || value[LD_LIBRARY_PATH]=$libraries
    value[USER]=$user value[LOGNAME]=$user
    vars=()
    for name in "${!given[@]}"; do
        [ -n "${value[$name]+set}" ] || vars+=("$name=${given[$name]}")
    done
    for name in "${!value[@]}"; do vars+=("$name=${value[$name]}"); done
}

# While building there is one that is forgotten afterwards, lest an image hold a secret; an instance makes its own, and all
# that run in it find the same.
secret_token() {
    local file=$scratch/secret_token
    if [ ! -r "$file" ] && [ "$(id -u)" = 0 ]; then
        mkdir -p "$scratch"
        random_letters 128 >"$file"
        chmod 0444 "$file"
    elif [ ! -r "$file" ]; then
        file=$home/app-root/runtime/.secret_token
        [ -s "$file" ] || (umask 077 && random_letters 128 >"$file.$$" && mv -n "$file.$$" "$file" && rm -f "$file.$$")
    fi
    cat "$file"
}

random_letters() {
    local text=""
    while [ ${#text} -lt "$1" ]; do text+=$(head -c 512 /dev/urandom | LC_ALL=C tr -dc 'A-Za-z0-9_-'); done
    printf '%s' "${text:0:$1}"
}

# ---- Scripts ---------------------------------------------------------------------------------------------------------

# as_user COMMAND…: becomes the gear's user, if it is not that already, and the command, with the environment in `vars`.
as_user() {
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid "$(id -u "$user")" --regid "$(id -g "$user")" --init-groups -- env -i -- "${vars[@]}" "$@"
    fi
    exec env -i -- "${vars[@]}" "$@"
}

# check_script FILE WHAT: can it be executed? The kernel's own answers name no cause.
check_script() {
    local line="" interpreter rest
    IFS= read -r line <"$1" 2>/dev/null || true
    case $line in
        *$'\r') fail "$2 has the line ends of Windows (CRLF): save it with plain ones, or let git do so (\`* text eol=lf\` in .gitattributes)" ;;
        '#!'*) ;;
        *) return 0 ;;
    esac
    read -r interpreter rest <<<"${line#??}"
    if [[ $interpreter == */env ]]; then
        rest=${rest#-S }
        interpreter=${rest%% *}
        [[ $interpreter == -* || $interpreter == *=* ]] || (PATH=${value[PATH]-$PATH} && command -v "$interpreter" >/dev/null) || fail "$2 needs the interpreter \`$interpreter\`, which is not in the base: make a base upon it that has it"
    elif [ ! -x "$interpreter" ]; then
        fail "$2 needs the interpreter \`$interpreter\`, which is not in the base: make a base upon it that has it"
    fi
}

# protocol NUMBER: shows standard output of scripts as a client of OpenShift would, and keeps what is meant for the broker.
# A line of our own says that the script is done; who backgrounds something without closing its output is listened to
# further.
protocol() {
    local line
    trap '' TERM INT
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            $'\001end') echo >&"$1" ;;
            CLIENT_RESULT:* | CLIENT_MESSAGE:* | CLIENT_ERROR:* | CLIENT_INTERNAL_ERROR:* | CLIENT_DEBUG:* | APP_INFO:*)
                line=${line#*:}
                printf '%s\n' "${line# }"
                ;;
            ENV_VAR_ADD:* | ENV_VAR_ADD_UNIQUE:* | APP_ENV_VAR_REMOVE:*) [ ! -w "$scratch/broker" ] || printf '%s\n' "$line" >>"$scratch/broker" ;;
            # May be secrets, and nobody is there who would keep them.
            ATTR:* | CART_DATA:* | CART_PROPERTIES:* | SSH_KEY_ADD:* | APP_SSH_KEY_ADD:* | BROKER_AUTH_KEY_ADD:* | NOTIFY_ENDPOINT_*:* | NOTIFY_MAPPING_*:* | NOTIFY_ENDPOINT_*\ * | NOTIFY_MAPPING_*\ *) ;;
            *) printf '%s\n' "$line" ;;
        esac
    done
}

# heard COMMAND…: runs it in a process of its own, its output through `protocol`; answers its exit code. A signal to this
# shell is dealt with meanwhile.
heard() {
    local fifo out in job code
    fifo=$(mktemp -u /tmp/.gear-XXXXXXXXXX)
    mkfifo -m 0600 "$fifo" || return 1
    exec {in}<>"$fifo"
    rm -f "$fifo"
    exec {out}> >(protocol "$in")
    ("$@" >&"$out" </dev/null {out}>&- {in}<&-) &
    job=$!
    while wait "$job"; code=$?; kill -0 "$job" 2>/dev/null; do :; done
    printf '\001end\n' >&"$out"
    exec {out}>&-
    read -t 5 -r _ <&"$in"
    exec {in}<&-
    return "$code"
}

# script CART PURPOSE WHAT FILE ARGUMENT…: runs a script of a cartridge as the gear's user.
script() {
    local cart=$1 purpose=$2 what=$3 code
    shift 3
    _script() {
        load_env "$cart" "$purpose"
        check_script "$1" "$what"
        cd "$home/$cart" || exit 1
        as_user "$@"
    }
    heard _script "$@"
}

# control CART VERB [hooks]: `bin/control VERB`, with the app's own scripts for this cartridge around it.
control() {
    local cart=$1 verb=$2 file=$home/$1/bin/control name version code
    [ -x "$file" ] || return 0
    name=$(about "$cart" name)
    version=$(about "$cart" version)
    if [ "${3-}" = hooks ]; then
        for hook in "$hooks_dir"/{pre,post}_"$verb"_"$name"{,-"$version"}; do
            [ ! -f "$hook" ] || check_script "$hook" "the action hook ${hook##*/}"
        done
        _control() {
            load_env "$cart" control
            check_script "$file" "bin/control of the cartridge $name"
            cd "$home/$cart" || exit 1
            as_user /bin/bash "$lib/hooked" "$hooks_dir" "$verb" "$name" "$version" "$file"
        }
    else
        _control() {
            load_env "$cart" control
            check_script "$file" "bin/control of the cartridge $name"
            cd "$home/$cart" || exit 1
            as_user "$file" "$verb"
        }
    fi
    heard _control
    code=$?
    [ "$code" = 0 ] || note "Failed to execute: 'control $verb' for $home/$cart (exit code $code)"
    return "$code"
}

# action_hook NAME: a script of the app, if it is there.
action_hook() {
    local file=$hooks_dir/$1 code
    [ -f "$file" ] || return 0
    if [ ! -x "$file" ]; then
        note "NOTE: The .openshift/action_hooks/$1 hook is not executable, to make it executable: chmod +x .openshift/action_hooks/$1"
        return 0
    fi
    _hook() {
        load_env "$primary" control
        check_script "$file" "the action hook ${file##*/}"
        cd "$home" || exit 1
        as_user "$file"
    }
    heard _hook
    code=$?
    [ "$code" = 0 ] || note "the action hook $1 failed (exit code $code)"
    return "$code"
}

state() {
    local file=$home/app-root/runtime/.state
    printf '%s\n' "$1" >"$file"
    [ "$(id -u)" != 0 ] || chown "$user:$user" "$file"
}
