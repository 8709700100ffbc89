#!/bin/sh
# A first start makes the cluster; every start is the server's own, not root's.
set -eu

case ${1:-} in -*) set -- postgres "$@" ;; esac
[ "${1:-}" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /var/run/postgresql
  chown -R postgres:postgres "$PGDATA" /var/run/postgresql
  chmod 700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "$method" != trust ]; then
    echo 'set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust' >&2
    exit 1
  fi
  words=$(mktemp)
  echo "${POSTGRES_PASSWORD:-none}" >"$words"
  initdb --username="${POSTGRES_USER:-postgres}" --pwfile="$words" --auth-local=trust --auth-host="$method"
  rm "$words"
  echo "host all all all $method" >>"$PGDATA/pg_hba.conf"
fi
exec "$@"
