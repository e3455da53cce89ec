#!/bin/sh
# Starts `sipbridge` with the settings file, if there is one. exec: the supervisor takes this process's place, so the
# SIGTERM of `docker stop` and of Kubernetes reaches it, and it drains.
set -eu
config=${SIPBRIDGE_CONFIG:-/etc/sipbridge/bridge.yaml}
case "${1:-serve}" in
    serve | doctor | call | calls | backup | restore | retention | audit | dialplan | tools | policy | approvals | users \
        | api | voicemail | queues | dial | campaign | version | sim | demo | workers | edge | nodes | capacity | --help)
        if [ -r "$config" ]; then
            export SIPBRIDGE_CONFIG="$config"
        fi
        exec sipbridge "$@"
        ;;
    *)
        exec "$@"
        ;;
esac
