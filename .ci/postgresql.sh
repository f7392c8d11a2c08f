# Sourced by .ci/run: the system's PostgreSQL as a service of this run alone, on a loopback port, its files thrown away.

# Prints the folder of the newest server's programs; fails where none is installed and none can be.
postgresql_programs() {
    local found
    found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
    if [[ -z $found && $EUID == 0 ]] && command -v apt-get >/dev/null; then
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends postgresql; } >/dev/null 2>&1
        found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
    fi
    [[ -x $found/initdb ]] && printf '%s\n' "$found"
}

# A server refuses to run as root.
as_its_owner() {
    if [[ $EUID == 0 ]]; then (cd / && runuser -u postgres -- "$@"); else (cd / && "$@"); fi
}

# Starts it and exports TEST_POSTGRES_URL, which tests/conftest.py reads; fails without a trace where it cannot.
start_postgresql() {
    postgresql_bin=$(postgresql_programs) || return 1
    local password port place=/tmp
    # as tests/kit/memory.py: to make a database takes a tenth of the time there
    if (($(df --output=avail /dev/shm 2>/dev/null | tail -1 || echo 0) >= 4 * 1024 * 1024)); then place=/dev/shm; fi
    postgresql_folder=$(mktemp -d "$place/ccexport-postgresql-XXXXXX")
    password=$(python3 -c 'import secrets; print(secrets.token_hex())')
    port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    (umask 077 && printf '%s\n' "$password" >"$postgresql_folder/password")
    if [[ $EUID == 0 ]]; then chown -R postgres "$postgresql_folder"; fi
    # what is thrown away need not survive a loss of power, and a thousand databases of a few rows want no vacuum; test
    # processes have many engines
    as_its_owner "$postgresql_bin/initdb" --pgdata="$postgresql_folder/data" --username=postgres \
        --auth=scram-sha-256 --pwfile="$postgresql_folder/password" --encoding=UTF8 --no-sync >/dev/null &&
        as_its_owner "$postgresql_bin/pg_ctl" --pgdata="$postgresql_folder/data" --wait start \
            --log="$postgresql_folder/log" --options="-c listen_addresses=127.0.0.1 -c port=$port \
            -c unix_socket_directories= -c fsync=off -c full_page_writes=off \
            -c synchronous_commit=off -c autovacuum=off -c max_connections=300" >/dev/null || {
        stop_postgresql
        return 1
    }
    export TEST_POSTGRES_URL="postgresql+psycopg://postgres:$password@127.0.0.1:$port/postgres"
    export TEST_POSTGRES_THROWN_AWAY=true # so nobody has to drop a thousand databases first
    echo "$("$postgresql_bin/postgres" --version), as a service on 127.0.0.1:$port"
}

stop_postgresql() {
    if [[ -z ${postgresql_folder:-} ]]; then return 0; fi
    as_its_owner "$postgresql_bin/pg_ctl" --pgdata="$postgresql_folder/data" --mode=immediate stop >/dev/null 2>&1 || true
    rm -rf "$postgresql_folder"
}
