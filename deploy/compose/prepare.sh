#!/bin/sh
# Makes what belongs to this machine alone: the secrets, and .env with the settings of the containers. What is there
# already is left as it is. Remove a file of secrets and run it again to have a new one; then restart the containers.
set -eu
cd "$(dirname "$0")"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1; }
hash_of() { printf %s "$(cat "$1")" | sha256; }
make() { [ -s "$1" ] || { printf '%s\n' "$2" >"$1" && echo "made $1"; }; }

# Others must not look into the folder. The files themselves are mounted one by one, and read by each container's user.
umask 022
mkdir -p secrets/sources secrets/alertmanager
chmod 700 secrets

make secrets/grafana-admin-password "$(random)"
make secrets/sources/github "$(random)"
for name in admin demo prometheus; do
  make "secrets/$name-token" "$(random)"
done
# Every NAME-token is let in by its hash: put a file of your own there for another.
tokens=
for file in secrets/*-token; do
  name=${file#secrets/}
  tokens="$tokens${tokens:+,}${name%-token}:$(hash_of "$file")"
done
printf '%s\n' "$tokens" >secrets/api-tokens

# Valkey knows the password's hash alone; `health` may ask whether it is alive, and nothing else.
make secrets/redis-url "redis://streamgauge:$(random)@valkey:6379/0"
password=$(sed 's|^[^:]*://[^:]*:||; s|@.*||' secrets/redis-url)
commands='+@read +@write +@connection +@transaction +@scripting -@dangerous +cluster|slots'
printf '%s\n' 'user default off' 'user health on nopass -@all +ping' \
  "user streamgauge on #$(printf %s "$password" | sha256) ~sg:v1:* $commands" >secrets/valkey-users

make .env "$(cat example.env)"
