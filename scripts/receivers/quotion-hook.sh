#!/bin/sh
#   webhook -hooks hooks.json -ip 127.0.0.1 -port 9000 -verbose    (without -ip it listens on every address)
#
# Command of hooks.json for Debian's `webhook`, which passes the raw body as a file, mixes stderr into its answer, and
# knows two answers only: 200 for exit 0, 500 for any other. So what no repetition would cure (64, 65: no usable
# payload; 77: signature refused) exits 0 with quotion's verdict, and everything else makes the sender try again.
# Starts in hooks.json's "command-working-directory", where .env lies. QUOTION_MODE=enqueue answers before the work.
umask 077 && [ "$QUOTION_MODE" = enqueue ] && set -- --enqueue
quotion --require-signature --signature "${OPENPHONE_SIGNATURE:-$WEBHOOK_SIGNATURE}" --webhook-id "$WEBHOOK_ID" --webhook-timestamp "$WEBHOOK_TIMESTAMP" "$@" < "$QUOTION_BODY" 2>> receiver.log
case $? in 0 | 64 | 65 | 77) exit 0 ;; *) exit 1 ;; esac
