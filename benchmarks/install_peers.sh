#!/bin/sh
# Install the tools that `make bench` compares with; one that cannot be installed is named there and left out.
# Its argument is a directory for those that are Python's.
set -u
test -x "$1/bin/sqlite3mysql" && test -x "$1/bin/django-admin" || {
	"${PYTHON:-python3}" -m venv "$1" && "$1/bin/pip" install --quiet --disable-pip-version-check \
		sqlite3-to-mysql mysql-to-sqlite3 "Django>=5.2" "psycopg[binary]"
} || echo "sqlite3-to-mysql, mysql-to-sqlite3 and Django cannot be installed."
become=""
test "$(id -u)" = 0 || become="sudo"
missing=""
for name in pgloader mydumper sqlite3; do
	command -v "$name" >/dev/null || missing="$missing $name"
done
test -z "$missing" || $become apt-get update -q
for name in $missing; do
	DEBIAN_FRONTEND=noninteractive $become apt-get install -q -y --no-install-recommends "$name" || echo "$name cannot be installed."
done
exit 0
