#!/bin/sh
# Starts nginx so that it asks this network's own name server again and again: a container that was made anew has another
# address, and nginx alone would keep the one of its start.
set -eu
servers=$(awk '$1 == "nameserver" { print ($2 ~ /:/ ? "[" $2 "]" : $2) }' /etc/resolv.conf | tr '\n' ' ')
echo "resolver $servers valid=2s ipv6=off;" >/tmp/resolver.conf
exec nginx -g 'daemon off;'
