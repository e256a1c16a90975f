# Called with the places where the script may be.
for script in "$@"; do
    if [ -f "$script" ]; then break; fi
done
clean() {
    echo "warning: $1: the build starts clean" >&2
    rm -rf /.till/out/artifacts
    exit 0
}
"$script" > /.till/saving/artifacts.tar || clean "$script failed (exit code $?)"
if [ ! -s /.till/saving/artifacts.tar ]; then exit 0; fi
mkdir /.till/out/artifacts || clean "there is no place for what was saved"
tar -C /.till/out/artifacts -xf /.till/saving/artifacts.tar || clean "what $script wrote is not a tar archive and nothing else"
