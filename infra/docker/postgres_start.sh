#!/bin/sh
# Starts PostgreSQL with a database and two roles for each folder under /run/secrets/roles: <name> who serves,
# <name>-owner who owns the tables. Each folder holds `username` and `password`, as a basic-auth secret does.
set -eu
umask 077
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  rm -rf "$PGDATA.draft"
  initdb --pgdata "$PGDATA.draft" --username database --auth-local trust --auth-host scram-sha-256 --encoding UTF8 --locale C.UTF-8
  echo 'host all all all scram-sha-256' >>"$PGDATA.draft/pg_hba.conf"
  mv "$PGDATA.draft" "$PGDATA"
fi
rm -f "$PGDATA/postmaster.pid"

# One line is one statement here; what is there already says so and stays.
statements() {
  for folder in /run/secrets/roles/*; do
    role=$(cat "$folder/username") password=$(cat "$folder/password")
    echo "CREATE ROLE \"$role\" LOGIN PASSWORD '$password';"
    echo "ALTER ROLE \"$role\" LOGIN PASSWORD '$password';"
  done
  for folder in /run/secrets/roles/*-owner; do
    role=$(cat "$folder/username")
    database=${role%_owner}
    echo "CREATE DATABASE \"$database\" OWNER \"$role\" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';"
    # Without this, every role of the server may enter every database.
    echo "REVOKE ALL ON DATABASE \"$database\" FROM PUBLIC;"
  done
}
statements | postgres --single -D "$PGDATA" postgres >/dev/null 2>&1
exec postgres -D "$PGDATA" -c config_file=/etc/zongzhi/postgresql.conf -c hba_file="$PGDATA/pg_hba.conf" \
  -c ident_file="$PGDATA/pg_ident.conf" -c listen_addresses='*' -c unix_socket_directories=/tmp
