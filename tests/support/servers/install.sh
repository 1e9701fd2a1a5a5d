#!/bin/sh
# Install the database servers that tests start instances of, where they are absent (Debian, Ubuntu).
set -eu
missing=""
command -v mariadbd >/dev/null || missing="$missing mariadb-server"
command -v pg_dump >/dev/null || missing="$missing postgresql-client"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing="$missing postgresql"
test -n "$missing" || exit 0
echo "Installing$missing for the tests."
become=""
test "$(id -u)" = 0 || become="sudo"
$become apt-get update -q
# shellcheck disable=SC2086 # a list of packages
DEBIAN_FRONTEND=noninteractive $become apt-get install -q -y --no-install-recommends $missing
