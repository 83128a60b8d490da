#!/bin/sh
# Makes the secrets that compose.yaml names, and a self-signed certificate for a first try:
#
#   deploy/first-secrets.sh [HOST...]     names of this machine in the certificate besides localhost
#
# What is there already stays as it is: delete a file to have it made anew. For other uses put a certificate that
# others trust into secrets/tls-certificate.pem, and its key into secrets/tls-key.pem.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets files
# Containers run as other users, and an engine mounts each file as it is: all may read the files, nobody else the folder.
chmod 700 secrets
umask 022

command -v openssl >/dev/null || { echo 'first-secrets.sh needs openssl' >&2; exit 69; }

# make NAME: standard input becomes the secret, whole or not at all, unless it is there.
make() {
  if [ -s "secrets/$1" ]; then cat >/dev/null; return; fi
  cat >"secrets/.$1"
  chmod 444 "secrets/.$1"
  mv "secrets/.$1" "secrets/$1"
  echo "made secrets/$1"
}
word() { openssl rand -hex 32; }

word | make postgres-password
printf 'postgres://headwater:%s@postgres:5432/headwater\n' "$(cat secrets/postgres-password)" | make database-url
printf 'default_user = headwater\ndefault_pass = %s\n' "$(word)" | make rabbitmq.conf
printf 'amqp://headwater:%s@rabbitmq:5672\n' "$(sed -n 's/^default_pass = //p' secrets/rabbitmq.conf)" | make broker-url
word | make join-token
openssl rand -base64 18 | make admin-password

if [ ! -s secrets/tls-certificate.pem ]; then
  names=DNS:localhost,IP:127.0.0.1
  for host in "$@"; do
    case $host in *[!0-9.]*) names=$names,DNS:$host ;; *) names=$names,IP:$host ;; esac
  done
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 365 -subj '/CN=headwater' \
    -addext "subjectAltName=$names" -addext basicConstraints=critical,CA:TRUE \
    -keyout secrets/.new-key -out secrets/.new-certificate 2>/dev/null
  rm -f secrets/tls-key.pem
  make tls-key.pem <secrets/.new-key
  make tls-certificate.pem <secrets/.new-certificate
  rm -f secrets/.new-*
fi

echo "The first account's password is in $(pwd)/secrets/admin-password."
