#!/bin/sh
# Fetch servers of other versions than this machine's into .servers/<name>-<version>/, each with all that it needs, down
# to the C library: nothing is installed. They come out of Debian's newer suites, from where this machine's apt has its
# own packages. What cannot be fetched is named, and is no error: `make test-servers` names it as well.
#
# Usage: fetch.sh [mysql-9.7] [mariadb-11.8] [postgresql-18]
set -eu
cd "$(dirname "$0")/../../.."
home="$PWD/.servers"
test $# -gt 0 || set -- mysql-9.7 mariadb-11.8 postgresql-18

give_up() {
    echo "NOT FETCHED: $1" >&2
    exit 0
}

# Lists of these suites, beside those of the system, as if nothing were installed.
prepare() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || give_up "$*: this system has no apt-get"
    # What apt itself says of where Debian's packages lie; one line an index, of which all may be the same.
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' |
        grep -v security | head -n 1)
    test -n "$mirror" || give_up "$*: apt knows no archive of Debian's (try: apt-get update)"
    apt="$home/apt"
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    for suite in stable testing unstable; do
        echo "deb [signed-by=$keys] $mirror $suite main"
    done >"$apt/sources.list"
    apt_get update -q >"$apt/log" 2>&1 || give_up "$*: $(tail -n 2 "$apt/log")"
}

apt_get() {
    apt-get -o Dir::State="$apt/state" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
        -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferencesparts=/dev/null -o APT::Install-Recommends=false -o APT::Sandbox::User=root \
        -o Debug::NoLocking=true "$@"
}

fetch() {
    name=$1
    version=${name##*-}
    case $name in
        mysql-*) wanted="mysql-server-core=$version* mysql-client-core=$version*" ;;
        # Its plugins are not in the core.
        mariadb-*) wanted="mariadb-server=1:$version* mariadb-client=1:$version*" ;;
        postgresql-*) wanted="postgresql-$version postgresql-client-$version" ;;
        *) echo "There is no server $name: mysql-9.7, mariadb-11.8, postgresql-18" >&2; exit 2 ;;
    esac
    # shellcheck disable=SC2086 # a list of packages
    apt_get -y -q --download-only -o Dir::Cache::archives="$apt/$name" install $wanted patchelf >"$apt/log" 2>&1 ||
        { echo "NOT FETCHED: $name: $(tail -n 3 "$apt/log")" >&2; return 0; }
    rm -rf "$home/$name.unfinished"
    mkdir -p "$home/$name.unfinished"
    for package in "$apt/$name"/*.deb; do
        dpkg-deb -x "$package" "$home/$name.unfinished"
    done
    lead_to_libraries "$home/$name.unfinished" "$home/$name" >"$apt/log" 2>&1 ||
        { echo "NOT FETCHED: $name: $(tail -n 3 "$apt/log")" >&2; return 0; }
    # What tests have on their path: the server's own programs, and no shell.
    mkdir "$home/$name.unfinished/programs"
    case $name in
        mysql-*) programs="mysqld mysql mysqldump" ;;
        *) programs="mariadbd mariadb mariadb-dump mariadb-install-db" ;;
    esac
    for program in $programs; do
        for file in "$home/$name.unfinished"/usr/*bin/$program; do
            test ! -e "$file" || ln -s "$home/$name/usr/$(basename "$(dirname "$file")")/$program" \
                "$home/$name.unfinished/programs/$program"
        done
    done
    test ! -d "$home/$name.unfinished/usr/lib/postgresql" || {
        rmdir "$home/$name.unfinished/programs"
        ln -s "usr/lib/postgresql/$version/bin" "$home/$name.unfinished/programs"
    }
    rm -rf "${home:?}/$name" "${apt:?}/$name"
    mv "$home/$name.unfinished" "$home/$name"
    echo "Fetched $name."
}

# Let each program find the libraries that came with it, by whomever it is started: those of the system are older.
lead_to_libraries() {
    libraries=$(dirname "$(ls "$1"/usr/lib/*/ld-linux-*.so.*)")
    loader=$(basename "$(ls "$libraries"/ld-linux-*.so.*)")
    place="$2${libraries#"$1"}"
    patch="$libraries/$loader --library-path $libraries $1/usr/bin/patchelf"
    for file in "$1"/usr/bin/* "$1"/usr/sbin/* "$1"/usr/lib/postgresql/*/bin/*; do
        test -f "$file" && test ! -L "$file" || continue
        # What has no loader is a script, or linked for good.
        case $file in */patchelf) continue ;; esac
        $patch --print-interpreter "$file" >/dev/null 2>&1 || continue
        $patch --set-interpreter "$place/$loader" --force-rpath --set-rpath "$place" "$file"
    done
}

missing=""
for name in "$@"; do
    test -d "$home/$name" || missing="$missing $name"
done
test -n "$missing" || exit 0
# shellcheck disable=SC2086 # a list of names
prepare $missing
for name in $missing; do
    mkdir -p "$apt/$name/partial"
    fetch "$name"
done
