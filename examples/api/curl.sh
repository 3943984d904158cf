#!/bin/sh
# Call a running app with curl: examples/api/curl.sh http://127.0.0.1:7860 PICTURE
# With a password: FER_USER=anna FER_PASSWORD=secret examples/api/curl.sh ...
set -eu
url=${1%/}
cookies=$(mktemp)
trap 'rm -f "$cookies"' EXIT
if [ -n "${FER_USER:-}" ]; then
    curl -fsS -o /dev/null -c "$cookies" --data-urlencode "username=$FER_USER" \
        --data-urlencode "password=$FER_PASSWORD" "$url/login"
fi

# 1. Upload the file; the answer is its path, ["/.../picture.jpg"].
path=$(curl -fsS -b "$cookies" -F "files=@$2" "$url/gradio_api/upload" | sed 's/^\["\(.*\)"\]$/\1/')
# 2. Put the call into the queue; the answer is {"event_id": "..."}.
event=$(curl -fsS -b "$cookies" -H 'Content-Type: application/json' -d "{\"data\": [{\"path\": \"$path\"}]}" \
    "$url/gradio_api/call/compare" | sed 's/.*"event_id": *"\([^"]*\)".*/\1/')
# 3. Wait for the result, which comes as an event, "event: complete", and its data: one JSON array.
answer=$(curl -fsSN -b "$cookies" "$url/gradio_api/call/compare/$event")
case $answer in
*"event: complete"*) printf '%s\n' "$answer" | sed -n 's/^data: \[\({.*}\)\]$/\1/p' ;;
*) printf '%s\n' "$answer" >&2 && exit 1 ;;
esac
