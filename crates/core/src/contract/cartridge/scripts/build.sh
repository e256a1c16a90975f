# How a gear comes about: what a node does when an application is made, and when source is pushed. Sourced; all as root, who
# becomes the gear's user for whatever is not ours.

runtime=$home/app-root/runtime
cache=/var/cache/till-gear
# Names of variables that scripts told the broker.
added=$lib/added

# gear_does COMMAND…: as the gear's user, without an environment of the app: in places where strangers may have laid links.
gear_does() {
    setpriv --reuid "$(id -u "$user")" --regid "$(id -g "$user")" --init-groups -- "$@"
}

# made DIR: a directory of the gear's, with those above it that are missing; ours where the gear has no say.
made() {
    gear_does mkdir -p -- "$1" 2>/dev/null || mkdir -p -- "$1"
}

# ---- The gear --------------------------------------------------------------------------------------------------------

build_layout() {
    id -u "$user" >/dev/null 2>&1 || fail "the base has no user \`$user\`: it makes one for the gear, with a group of that name"
    local name file target
    for name in setpriv tail ruby; do
        command -v "$name" >/dev/null || fail "the base has no \`$name\`, which gears need"
    done
    chown "root:$user" "$home"
    chmod 0750 "$home"
    mkdir -p "$home"/{.env/user_vars,.ssh,.tmp,.sandbox,git,app-deployments/by-id} "$home"/app-root/{data,logs} "$runtime"/{repo,dependencies,build-dependencies}
    for name in repo dependencies build-dependencies; do ln -sfn "runtime/$name" "$home/app-root/$name"; done
    ln -sfn ../data "$runtime/data"
    chown -R "root:$user" "$home/.env" "$home/.ssh" "$home/git"
    chmod -R u=rwX,g=rX,o= "$home/.env"
    chmod 0750 "$home/.ssh" "$home/git"
    chown "root:$user" "$home/app-root"
    chown "$user:$user" "$home/.tmp" "$home"/app-root/{data,logs} "$runtime" "$runtime"/{repo,dependencies,build-dependencies} "$home/app-deployments" "$home/app-deployments/by-id"
    chown "root:$user" "$home/.sandbox"
    chmod 0 "$home/.sandbox"
    state new
    # Where scripts look for them, unless the base has its own.
    for file in "$lib"/bin/*; do
        target=/usr/bin/${file##*/}
        [ -e "$target" ] || ln -s "$file" "$target"
    done
    # Debian's, which is there, passes over jobs with a dot in their names.
    target=/usr/local/bin/run-parts
    [ -e "$target" ] || ln -s "$lib/bin/run-parts" "$target"
}

# ---- Cartridges ------------------------------------------------------------------------------------------------------

# entries: what is visible in the gear's home.
entries() {
    local file
    for file in "$home"/*; do printf '%s\n' "${file##*/}"; done
}

build_cartridge() {
    local cart=$1 dir=$home/$1 short name file from
    short=$(about "$cart" short)
    name=$(about "$cart" name)
    if [ -e "$plan/carts/$cart/from" ]; then
        from=$(about "$cart" from)
        mkdir -p "$dir"
        for file in "$from"/* "$from"/.[!.]*; do
            case ${file##*/} in
                usr) ln -s "$file" "$dir/usr" ;;
                *) cp -a "$file" "$dir/" ;;
            esac
        done
    fi
    for file in metadata/ bin/ metadata/manifest.yml bin/control; do
        [ -e "$dir/$file" ] || fail "the cartridge $name is malformed: it has no $file"
    done
    # Many cartridges leave it to their package to say what may be executed.
    for file in "$dir"/bin/* "$dir"/hooks/*; do
        [ ! -f "$file" ] || [ -L "$file" ] || chmod 0755 "$file"
    done
    mkdir -p "$dir/env"
    printf '%s' "$dir/" >"$dir/env/OPENSHIFT_${short}_DIR"
    printf '%s' "$(about "$cart" ident)" >"$dir/env/OPENSHIFT_${short}_IDENT"
    chown -Rh "$user:$user" "$dir"
    for file in "$dir"/metadata/{manifest,managed_files}.yml "$dir/env/OPENSHIFT_${short}_"{DIR,IDENT}; do
        [ ! -f "$file" ] || { chown -h "root:$user" "$file" && chmod 0644 "$file"; }
    done
    unlock "$cart"
    dependency_dirs "$cart"
    mkdir -p "$scratch"
    entries >"$scratch/entries"
    for file in "$dir"/env/*.erb; do render "$cart" "$file"; done
    broker
}

build_setup() {
    scripted "$1" setup
}

build_install() {
    scripted "$1" install
}

# scripted CART SCRIPT: one of those that come in the course of things, with the software's version.
scripted() {
    mkdir -p "$scratch"
    : >"$scratch/broker"
    script "$1" setup "bin/$2 of the cartridge $(about "$1" name)" "$home/$1/bin/$2" --version "$(about "$1" version)"
    local code=$?
    broker
    [ "$code" = 0 ] || fail "bin/$2 of the cartridge $(about "$1" name) failed (exit code $code)"
}

# What scripts told the broker of variables.
broker() {
    local line name
    [ -f "$scratch/broker" ] || return 0
    while IFS= read -r line; do
        name=${line#*:}
        name=${name# }
        case $line in
            ENV_VAR_ADD*)
                line=${name#*=}
                name=${name%%=*}
                [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
                # The gear's own stay; what came this way may come anew.
                [ ! -e "$home/.env/$name" ] || [ -e "$added/$name" ] || continue
                printf '%s' "$line" >"$home/.env/$name"
                chown "root:$user" "$home/.env/$name"
                chmod 0640 "$home/.env/$name"
                mkdir -p "$added"
                : >"$added/$name"
                ;;
            # Only what came this way goes this way.
            APP_ENV_VAR_REMOVE*) [ ! -e "$added/$name" ] || rm -f "$home/.env/$name" "$added/$name" ;;
        esac
    done <"$scratch/broker"
    rm -f "$scratch/broker"
}

build_templates() {
    local cart=$1 pattern file
    while IFS= read -r pattern; do
        expand "$cart" "$pattern"
        for file in "${expanded[@]}"; do
            [[ $file != *.erb ]] || render "$cart" "$file"
        done
    done <"$plan/carts/$cart/templates"
}

# render CART FILE: an ERB template becomes what it says, by the Ruby of the base.
render() {
    local cart=$1 file=$2 into=${2%.erb} said code
    [ -f "$file" ] || return 0
    said=$(mktemp)
    _render() {
        load_env "$cart" setup
        cd "$home/$cart" || exit 1
        as_user oo-erb -S 2 -- "$file"
    }
    (_render) >"$scratch/rendered" 2>"$said" </dev/null
    code=$?
    if [ "$code" != 0 ]; then
        cat "$said" >&2
        fail "the template ${file#"$home/"} of the cartridge $(about "$cart" name) cannot be rendered"
    fi
    rm -f "$said"
    gear_does rm -f -- "$into" &&
        gear_does tee -- "$into" <"$scratch/rendered" >/dev/null &&
        gear_does chmod --reference="$file" -- "$into" &&
        gear_does rm -f -- "$file" || fail "the template ${file#"$home/"} of the cartridge $(about "$cart" name) cannot be replaced"
    rm -f "$scratch/rendered"
}

# expand CART PATTERN: the files that an entry of managed_files.yml means, in `expanded`; an entry without `*` stands for
# itself. What leads out of where it may is left out, and said.
expand() {
    local place=$2 base file IFS=''
    expanded=()
    case $place in
        '~/'*) base=$home place=${place#'~/'} ;;
        *) base=$home/$1 ;;
    esac
    place=${place#./}
    case /$place/ in
        */../*)
            note "managed_files.yml of the cartridge $(about "$1" name): $2 leads out of the gear, and is left out"
            return
            ;;
    esac
    if [[ $place != *'*'* ]]; then
        expanded=("$base/$place")
        return
    fi
    shopt -s globstar dotglob
    for file in "$base"/$place; do
        [ ! -f "$file" ] || expanded+=("$file")
    done
    shopt -u globstar dotglob
}

# locked CART: the files that are the user's while the gear is unlocked, and root's otherwise; in `lockable`.
locked() {
    local cart=$1 pattern file inside
    lockable=()
    while IFS= read -r pattern; do
        expand "$cart" "$pattern"
        for file in "${expanded[@]}"; do
            inside=${file#"$home/"}
            case $inside in
                .ssh | .ssh/* | .sandbox | .sandbox/* | .tmp | .tmp/* | .env | .env/*) ;;
                "$cart"/?* | app-root/?* | .[!./]*)
                    lockable+=("$file")
                    continue
                    ;;
            esac
            note "managed_files.yml of the cartridge $(about "$cart" name): $pattern is not its own, and is not locked"
        done
    done <"$plan/carts/$cart/locked"
}

unlock() {
    local file
    chown "$user:$user" "$home"
    locked "$1"
    for file in "${lockable[@]}"; do
        if [ ! -e "$file" ] && [ ! -L "$file" ]; then
            made "$(dirname "$file")"
            if [[ $file == */ ]]; then
                install -d -m 0755 "$file"
            else
                install -m 0644 /dev/null "$file"
            fi
        fi
        chown -h "$user:$user" "${file%/}"
    done
}

build_lock() {
    local cart=$1 file new
    new=$(comm -13 <(LC_ALL=C sort "$scratch/entries") <(entries | LC_ALL=C sort))
    if [ -n "$new" ]; then
        fail "the cartridge $(about "$cart" name) created the following directories in the gear home directory: ${new//$'\n'/, }"
    fi
    locked "$cart"
    for file in "${lockable[@]}"; do
        file=${file%/}
        [ -e "$file" ] && [ ! -L "$file" ] || continue
        chown "root:$user" "$file"
        if [ -d "$file" ]; then chmod 0755 "$file"; else chmod u=rwX,go=rX "$file"; fi
    done
    chown "root:$user" "$home"
    chmod 0750 "$home"
}

# dependency_dirs CART: what builds leave for the next one lies in one place, and is linked from where it is looked for.
dependency_dirs() {
    local cart=$1 kind entry link target
    for kind in dependencies build-dependencies; do
        while IFS=$'\t' read -r link target; do
            case /$link/$target/ in
                */../*)
                    note "managed_files.yml of the cartridge $(about "$cart" name): $link leads out of the gear, and is left out"
                    continue
                    ;;
            esac
            link=${link%/} target=${target%/}
            if [[ $link == '~/'* ]]; then
                link=$home/${link#'~/'} target=$runtime/$kind/${target#'~/'}
            else
                link=$home/$cart/$link target=$runtime/$kind/$cart/$target
            fi
            made "$target"
            made "$(dirname "$link")"
            if [ -d "$link" ] && [ ! -L "$link" ]; then
                cp -an "$link/." "$target/"
                rm -rf "$link"
            fi
            ln -sfn "$target" "$link"
            chown -h "$user:$user" "$link"
        done <"$plan/carts/$cart/$kind"
        chown -Rh "$user:$user" "$runtime/$kind"
    done
}

# ---- Events ----------------------------------------------------------------------------------------------------------

# connect PUBLISHER EVENT SUBSCRIBER EVENT TYPE: what one cartridge says of itself is told another.
build_connect() {
    local from=$1 event=$2 to=$3 heard_by=$4 type=$5 uuid=$user namespace said told="" file dir name code
    namespace=$(<"$home/.env/OPENSHIFT_NAMESPACE")
    said=$scratch/published
    mkdir -p "$scratch"
    : >"$said"
    file=$home/$from/hooks/$event
    if [ -x "$file" ]; then
        _publish() {
            load_env "$from" control
            check_script "$file" "hooks/$event of the cartridge $(about "$from" name)"
            cd "$home/$from" || exit 1
            as_user "$file" "$user" "$namespace" "$uuid"
        }
        (_publish) >"$said" </dev/null
        code=$?
        [ "$code" = 0 ] || fail "hooks/$event of the cartridge $(about "$from" name) failed (exit code $code)"
    else
        case $event in
            publish-gear-endpoint | publish-http-url) ;;
            *) fail "the cartridge $(about "$from" name) publishes $event, and has no hooks/$event (exit code 127)" ;;
        esac
    fi
    if [[ $type == ENV:* ]]; then
        dir=$home/.env/$(about "$from" short)
        install -d -o root -g "$user" -m 0750 "$dir"
        while IFS= read -r name || [ -n "$name" ]; do
            code=${name#*=}
            name=${name%%=*}
            [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
            # As a shell would read it.
            case $code in
                "'"*"'") code=${code#"'"} code=${code%"'"} ;;
                '"'*'"') code=${code#'"'} code=${code%'"'} ;;
            esac
            printf '%s' "$code" >"$dir/$name"
            chown "root:$user" "$dir/$name"
            chmod 0640 "$dir/$name"
            told+="$name=$(printf '%q' "$code"); "
        done < <(sed -E -e 's/;[[:space:]]*$//' -e 's/;[[:space:]]+([A-Za-z_][A-Za-z0-9_]*=)/\n\1/g' "$said")
        told="'$uuid'='${told% }'"
    else
        told="'$uuid'='$(<"$said")'"
    fi
    file=$home/$to/hooks/$heard_by
    if [ ! -x "$file" ]; then
        [[ $type == ENV:* ]] || [ "$heard_by" = set-gear-endpoints ] || fail "the cartridge $(about "$to" name) subscribes $heard_by, and has no hooks/$heard_by (exit code 127)"
        return 0
    fi
    _subscribe() {
        load_env "$to" control
        check_script "$file" "hooks/$heard_by of the cartridge $(about "$to" name)"
        cd "$home/$to" || exit 1
        as_user "$file" "$user" "$namespace" "$uuid" "$told"
    }
    : >"$scratch/broker"
    heard _subscribe
    code=$?
    broker
    [ "$code" = 0 ] || fail "hooks/$heard_by of the cartridge $(about "$to" name) failed (exit code $code)"
}

# post-install CART: what comes after the first start, so it is started for it, and what stands beside it.
build_post_install() {
    local cart others=() code
    if [ "$1" = "$primary" ]; then
        for cart in "${carts[@]}"; do [ "$cart" = "$primary" ] || others+=("$cart"); done
    fi
    for cart in "${others[@]}" "$1"; do control "$cart" start hooks || exit 1; done
    scripted "$1" post_install
    others+=("$1")
    for ((i = ${#others[@]} - 1; i >= 0; i--)); do control "${others[i]}" stop hooks || exit 1; done
}

# ---- The source ------------------------------------------------------------------------------------------------------

# source [TEMPLATE…]: what was put into the repository is the deployment's; without source there is the primary's template.
build_source() {
    local dir name template=""
    for name in "$@"; do
        dir=$home/$primary/$name
        [ -z "$template" ] && [ -d "$dir" ] || continue
        template=$dir
        if [[ $name == *.git ]]; then
            command -v git >/dev/null || fail "the template is a git repository, and the base has no git"
            # The repository's configuration may name programs that git runs.
            gear_does git -c safe.directory='*' --git-dir="$dir" archive HEAD | tar -x -C "$runtime/repo" || fail "the template $name of the cartridge cannot be unpacked"
        else
            cp -a "$dir/." "$runtime/repo/"
        fi
    done
    chown -Rh "$user:$user" "$runtime/repo"
    for name in hot_deploy force_clean_build; do
        if [ -e "$runtime/repo/.openshift/markers/$name" ]; then eval "$name=true"; else eval "$name=false"; fi
    done
    name=$(date -u -d "@${SOURCE_DATE_EPOCH:-0}" +%Y-%m-%d_%H-%M-%S.000)
    rm -rf "$home"/app-deployments/[0-9]*
    dir=$home/app-deployments/$name
    mkdir -p "$dir"
    cat >"$dir/metadata.json" <<JSON
{"git_ref":"master","git_sha1":"$(<"$plan/commit")","id":null,"hot_deploy":$hot_deploy,"force_clean_build":$force_clean_build,"activations":[],"checksum":null}
JSON
    ln -sfn "$name" "$home/app-deployments/current"
    chown -Rh "$user:$user" "$home/app-deployments"
    state building
}

# verb control|control-alone CART VERB, verb hook NAME: with the app's own scripts around it or without; an action hook.
build_verb() {
    local code
    mkdir -p "$scratch"
    : >"$scratch/broker"
    case $1 in
        control) control "$2" "$3" hooks ;;
        control-alone) control "$2" "$3" ;;
        hook) action_hook "$2" ;;
    esac
    code=$?
    broker
    return "$code"
}

# dependencies kept|fresh: what the builds before have left, or nothing.
build_dependencies() {
    local kind cart from=$cache
    if [ "$1" = fresh ]; then
        for kind in dependencies build-dependencies; do
            find "$runtime/$kind" -mindepth 1 -delete
        done
        for cart in "${carts[@]}"; do dependency_dirs "$cart"; done
        return
    fi
    # What was kept is of the same cartridges, or of no use. Either way they are put there anew, so that the first build
    # leaves the same layer as the next one.
    if [ "$(cat "$cache/stamp" 2>/dev/null)" != "$(<"$plan/stamp")" ]; then
        from=$scratch/installed
        rm -rf "$from"
        mkdir -p "$from"
        for kind in dependencies build-dependencies; do cp -a "$runtime/$kind" "$from/"; done
    fi
    for kind in dependencies build-dependencies; do
        find "$runtime/$kind" -mindepth 1 -delete
        cp -a "$from/$kind/." "$runtime/$kind/" || fail "cannot take the $kind of the build before"
    done
}

# deployment: what was built is the one deployment of this gear, and is kept for the next build.
build_deployment() {
    local dir kind id sum
    dir=$(readlink -f "$home/app-deployments/current")
    id=$(<"$plan/deployment")
    for kind in repo dependencies build-dependencies; do ln -sfn "../../app-root/runtime/$kind" "$dir/$kind"; done
    sum=$(cd "$dir" && tar -c --sort=name -h --exclude metadata.json . 2>/dev/null | tar -xO | sha1sum | cut -d' ' -f1)
    sed -i -e "s/\"id\":null/\"id\":\"$id\"/" -e "s/\"checksum\":null/\"checksum\":\"$sum\"/" "$dir/metadata.json"
    ln -sfn "../${dir##*/}" "$home/app-deployments/by-id/$id"
    chown -Rh "$user:$user" "$home/app-deployments"
    rm -f "$cache/stamp"
    for kind in dependencies build-dependencies; do
        rm -rf "${cache:?}/$kind"
        cp -a "$runtime/$kind" "$cache/$kind" || fail "cannot keep the $kind for the next build"
    done
    cp "$plan/stamp" "$cache/stamp"
    state stopped
}
