#!/bin/sh
# Starts nginx so that it asks this network's own name server again and again: a container that was made anew has another
# address, and nginx alone would keep the one of its start. Only the first name server knows the containers; nginx would
# ask all of them in turn.
set -eu
server=$(awk '$1 == "nameserver" { print ($2 ~ /:/ ? "[" $2 "]" : $2); exit }' /etc/resolv.conf)
echo "resolver $server valid=2s ipv6=off;" >/tmp/resolver.conf
exec nginx -g 'daemon off;'
