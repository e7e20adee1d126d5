#!/bin/sh
# CGI for Quotion: the body goes from stdin to quotion untouched, the headers as flags, and the exit code becomes the
# status. Keys stay in the file .env of QUOTION_HOME, which quotion reads itself; this script sees none.
# QUOTION_MODE=sync (default) or enqueue.
set -u
umask 077

answer() { # status, body
  printf 'Status: %s\r\nContent-Type: application/json\r\n\r\n%s\n' "$1" "$2"
  exit 0
}

broken() { # message
  echo "quotion.cgi: $1" >&2
  answer '500 Internal Server Error' '{"status":"error","error":{"kind":"config","message":"the receiver is misconfigured","retryable":false,"hint":"see its log"}}'
}

if [ "${REQUEST_METHOD-}" != POST ]; then
  answer '405 Method Not Allowed' '{"status":"error","error":{"kind":"usage","message":"only POST","retryable":false,"hint":"POST the delivery"}}'
fi

case ${QUOTION_MODE:-sync} in
  sync) enqueue= ;;
  enqueue) enqueue=--enqueue ;;
  *) broken "QUOTION_MODE=$QUOTION_MODE is neither sync nor enqueue" ;;
esac

# A header `Proxy:` would become HTTP_PROXY on servers that do not drop it: a stranger's proxy for our keys.
unset HTTP_PROXY

cd "${QUOTION_HOME:-/var/lib/quotion}" || broken "no folder ${QUOTION_HOME:-/var/lib/quotion}"

# Without either header the value is empty, and quotion refuses an empty signature.
result=$(quotion --require-signature \
  --signature "${HTTP_OPENPHONE_SIGNATURE:-${HTTP_WEBHOOK_SIGNATURE-}}" \
  --webhook-id "${HTTP_WEBHOOK_ID-}" --webhook-timestamp "${HTTP_WEBHOOK_TIMESTAMP-}" \
  ${enqueue:+"$enqueue"})
code=$?

[ -n "$result" ] || broken "quotion ended with $code and no result"
case $code in
  0) answer '200 OK' "$result" ;;
  64 | 65) answer '400 Bad Request' "$result" ;;
  75) answer '503 Service Unavailable' "$result" ;;
  77) answer '401 Unauthorized' "$result" ;;
  *) answer '500 Internal Server Error' "$result" ;;
esac
