#!/bin/sh
# Install the database servers that tests start instances of, the browser that opens the report page, and what lets a
# clock jump (make chaos), where they are absent (Debian, Ubuntu).
set -eu
missing=""
command -v mariadbd >/dev/null || missing="$missing mariadb-server"
command -v pg_dump >/dev/null || missing="$missing postgresql-client"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing="$missing postgresql"
command -v jq >/dev/null || missing="$missing jq"
browser=""
command -v chromium >/dev/null || browser="chromium fonts-dejavu-core"
clock=""
ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || clock="libfaketime"
test -n "$missing$browser$clock" || exit 0
echo "Installing$missing $browser $clock for the tests."
become=""
test "$(id -u)" = 0 || become="sudo"
$become apt-get update -q || test -z "$missing"
install() { DEBIAN_FRONTEND=noninteractive $become apt-get install -q -y --no-install-recommends "$@"; }
# shellcheck disable=SC2086 # a list of packages
test -z "$missing" || install $missing
# shellcheck disable=SC2086
test -z "$clock" || install $clock || echo "No libfaketime: make chaos leaves out the clock that jumps."
# shellcheck disable=SC2086
test -z "$browser" || install $browser || echo "No Chromium: the test that opens the report page is skipped."
