#!/usr/bin/env bash
# REST as a person types it. Each check compares what curl prints with what is expected.
set -u
base="$FOURFOLD_URL/v1"
admin="Authorization: Bearer $FOURFOLD_ADMIN_TOKEN"
json="Content-Type: application/json"
key=$((8000000 + RANDOM * 30 + RANDOM % 30))

# check NAME EXPECTED ACTUAL: EXPECTED is a pattern of bash.
check() {
  # shellcheck disable=SC2053
  if [[ "$3" == $2 ]]; then echo "ok $1"; else echo "not ok $1: expected $2, got ${3:0:300}"; fi
}
status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
# header NAME ARGUMENTS…: the value of a header of the answer.
header() { local name=$1; shift; curl -s -o /dev/null -D - "$@" | tr -d '\r' | sed -n "s/^$name: //Ip" | head -n 1; }

check "a row" '*"name":"AC/DC"*' "$(curl -s -H "$admin" "$base/artists/1")"
check "the type is JSON" 'application/json*' "$(header content-type -H "$admin" "$base/artists/1")"
etag=$(header etag -H "$admin" "$base/artists/1")
check "an ETag with the revision" '"1-*"' "$etag"
check "304 for that ETag" 304 "$(status -H "$admin" -H "If-None-Match: $etag" "$base/artists/1")"
check "HEAD" 200 "$(status -I -H "$admin" "$base/artists/1")"
check "a request id" '?*' "$(header x-request-id -H "$admin" "$base/artists/1")"
check "a list with a filter" '*"Iron Maiden"*' "$(curl -s -H "$admin" "$base/artists?name__startswith=Iron")"
check "a list in order, one of it" '*"id":275*' "$(curl -s -H "$admin" "$base/artists?order_by=-id&page_size=1&id__lte=275")"
check "the filter language" '*"Let There Be Rock"*' "$(curl -s -G -H "$admin" --data-urlencode 'filter=artist.id == 1 && title.startsWith("Let")' "$base/albums")"
check "expand" '*"artist":{*"name":"AC/DC"*' "$(curl -s -H "$admin" "$base/albums/1?expand=artist")"
check "only some fields" '*"name":"AC/DC"*' "$(curl -s -H "$admin" "$base/artists/1?fields=name")"
check "a count by group" '*"count":*' "$(curl -s -H "$admin" "$base/tracks:aggregate?group_by=media_type_id&count=*")"
check "gzip" 'gzip' "$(header content-encoding -H "$admin" -H 'Accept-Encoding: gzip' "$base/tracks?page_size=200")"
check "HTTP/2 without TLS" 2 "$(curl -s -o /dev/null --http2-prior-knowledge -w '%{http_version}' -H "$admin" "$base/artists/1")"

check "create" 201 "$(status -X POST -H "$admin" -H "$json" -d "{\"id\": $key, \"name\": \"one\"}" "$base/artists")"
check "create again" 409 "$(status -X POST -H "$admin" -H "$json" -d "{\"id\": $key, \"name\": \"one\"}" "$base/artists")"
check "patch" 200 "$(status -X PATCH -H "$admin" -H "$json" -H 'If-Match: "1"' -d '{"name": "two"}' "$base/artists/$key")"
check "a stale patch" 412 "$(status -X PATCH -H "$admin" -H "$json" -H 'If-Match: "1"' -d '{"name": "three"}' "$base/artists/$key")"
check "replace" 200 "$(status -X PUT -H "$admin" -H "$json" -d '{"name": "four"}' "$base/artists/$key")"
check "delete" 204 "$(status -X DELETE -H "$admin" "$base/artists/$key")"
check "gone" 404 "$(status -H "$admin" "$base/artists/$key")"

check "a problem document" 'application/problem+json*' "$(header content-type -H "$admin" "$base/artists/99999999")"
check "with its code" '*"code":"not_found"*' "$(curl -s -H "$admin" "$base/artists/99999999")"
check "its type is a page" 200 "$(status "$FOURFOLD_URL/problems/not_found")"
check "an unknown parameter is named" '*nmae*' "$(curl -s -H "$admin" "$base/artists?nmae=x")"
check "an unknown parameter is 400" 400 "$(status -H "$admin" "$base/artists?nmae=x")"
check "a body that is no JSON" 400 "$(status -X POST -H "$admin" -H "$json" -d '{"name"' "$base/artists")"
check "another media type" 415 "$(status -X POST -H "$admin" -H 'Content-Type: text/csv' -d 'x' "$base/artists")"
check "another method" 405 "$(status -X POST -H "$admin" -H "$json" -d '{}' "$base/artists/1")"
check "nothing acceptable" 406 "$(status -H "$admin" -H 'Accept: image/png' "$base/artists/1")"
check "a token that is none" 401 "$(status -H 'Authorization: Bearer not.a.token' "$base/artists/1")"
check "no token may not write" '40[13]' "$(status -X POST -H "$json" -d "{\"id\": $key, \"name\": \"no\"}" "$base/artists")"
check "alive" 200 "$(status "$FOURFOLD_URL/live")"
check "ready" 200 "$(status "$FOURFOLD_URL/ready")"
