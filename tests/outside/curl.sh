#!/usr/bin/env bash
# REST as a person types it. Each check compares what curl prints with what is expected.
set -u
base="$FOURFOLD_URL/v1"
admin="Authorization: Bearer $FOURFOLD_ADMIN_TOKEN"
customer="Authorization: Bearer $FOURFOLD_CUSTOMER_TOKEN"
nobody="Authorization: Bearer not.a.token"
json="Content-Type: application/json"
key=$((8000000 + RANDOM * 30 + RANDOM % 30))
row="$base/artists/$key"
long=$(printf 'x%.0s' {1..161})

# check NAME EXPECTED ACTUAL: EXPECTED is a pattern of bash.
check() {
  # shellcheck disable=SC2053
  if [[ "$3" == $2 ]]; then echo "ok $1"; else echo "not ok $1: expected $2, got ${3:0:300}"; fi
}
status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
# header NAME ARGUMENTS…: the value of a header of the answer.
header() { local name=$1; shift; curl -s -o /dev/null -D - "$@" | tr -d '\r' | sed -n "s/^$name: //Ip" | head -n 1; }
# answer ARGUMENTS…: the status and the body.
answer() { local all; all=$(curl -s -w '\n%{http_code}' "$@"); echo "${all##*$'\n'} ${all%$'\n'*}"; }
# filter LIST EXPRESSION ARGUMENTS…: the rows of a list that a filter finds.
filter() { local list=$1 text=$2; shift 2; answer -G --data-urlencode "filter=$text" "$@" "$base/$list"; }
# ids: the keys in a body, in their order.
ids() { grep -o '"id":[0-9]*' | cut -d : -f 2 | paste -sd ' '; }
# token: the page token in a body.
token() { sed -n 's/.*"next_page_token":"\([^"]*\)".*/\1/p'; }

check "a row is read by its key" '200 {"id":1,*"name":"AC/DC"}' "$(answer "$base/artists/1")"

# Three pages of 4 over the ten albums below 11, the last of them short.
pages() {
  local token="" body seen=""
  for _ in 1 2 3 4; do
    body=$(curl -s "$base/albums?page_size=4&id__lte=10${token:+&page_token=$token}")
    seen="$seen/$(ids <<< "$body")"
    token=$(token <<< "$body")
    [[ -n "$token" ]] || break
  done
  echo "$seen"
}
check "pages follow one another to the end" "/1 2 3 4/5 6 7 8/9 10" "$(pages)"
check "a filter reaches over a relation" '200 *"Let There Be Rock"*' "$(filter albums 'artist.name == "AC/DC" && title.startsWith("Let")')"
check "a related row is read along" '200 *"artist":{*"name":"AC/DC"*' "$(answer "$base/albums/1?expand=artist")"
sums="$base/invoices:aggregate?count=*&sum=total"
check "a sum is over the rows the caller may see" \
  '200 *{"count":7,"sum_total":"39.62"}* 200 *{"count":0,"sum_total":null}* 200 *{"count":412,"sum_total":"2328.60"}*' \
  "$(answer -H "$customer" "$sums") $(answer "$sums") $(answer -H "$admin" "$sums")"

create() { answer -X POST -H "$admin" -H "$json" -d "{\"id\": $key, \"name\": \"one\"}" "$base/artists"; }
patch() { answer -X PATCH -H "$admin" -H "$json" -H "If-Match: $1" -d "{\"name\": \"$2\"}" "$row"; }
check "create" "201 {\"id\":$key,\"revision\":1,\"name\":\"one\"}" "$(create)"
check "create again" '409 *"code":"already_exists"*' "$(create)"
check "patch" '200 *"revision":2,"name":"two"}' "$(patch '"1"' two)"
check "a stale revision is refused" '412 *"code":"revision_mismatch"*' "$(patch '"1"' three)"
check "the refused write changed nothing" '200 *"revision":2,"name":"two"}' "$(answer "$row")"
check "replace" '200 *"revision":3,"name":"four"}' "$(answer -X PUT -H "$admin" -H "$json" -d '{"name": "four"}' "$row")"
check "delete" 204 "$(status -X DELETE -H "$admin" -H 'If-Match: "3"' "$row")"
check "a row is created, updated and deleted" '404 *"code":"not_found"*' "$(answer "$row")"

track='{"name": "Ünïcode ✓ \"\\ 𝄞", "media_type_id": 1, "milliseconds": 1, "unit_price": "12345678.90"}'
made=$(header location -X POST -H "$admin" -H "$json" -d "$track" "$base/tracks")
check "text and decimals come back as they went in" '200 *"name":"Ünïcode ✓ \\"\\\\ 𝄞",*"unit_price":"12345678.90"*' "$(answer "$FOURFOLD_URL$made")"
check "the track goes" 204 "$(status -X DELETE -H "$admin" "$FOURFOLD_URL$made")"

once() { header location -X POST -H "$admin" -H "$json" -H "Idempotency-Key: curl-$key" -d "{\"name\": \"$1 $key\"}" "$base/artists"; }
first=$(once once)
check "a write sent twice under one key is done once" "$first 200 {\"items\":\[{\"id\":${first##*/},*}\],*" "$(once once) $(answer "$base/artists?name=once%20$key")"
check "another write under that key" '422 *"code":"idempotency_mismatch"*' \
  "$(answer -X POST -H "$admin" -H "$json" -H "Idempotency-Key: curl-$key" -d '{"name": "other"}' "$base/artists")"
check "it goes" 204 "$(status -X DELETE -H "$admin" "$FOURFOLD_URL$first")"

check "a missing row is not found" '404 *"code":"not_found"*' "$(answer -H "$admin" "$base/artists/99999999")"
check "an unknown field in a filter is named" '400 *"code":"invalid_argument"*nmae*' "$(filter artists 'nmae == 1')"
check "a value too long is refused with its field" '400 *"code":"invalid_argument"*"pointer":"/title"*' \
  "$(answer -X POST -H "$admin" -H "$json" -d "{\"title\": \"$long\", \"artist_id\": 1}" "$base/albums")"
check "a token that is none is refused" '401 *"code":"unauthenticated"*' "$(answer -H "$nobody" "$base/artists/1")"
check "an anonymous write is refused" '403 *"code":"permission_denied"*' "$(answer -X POST -H "$json" -d '{"name": "no"}' "$base/artists")"
check "hidden rows do not exist for others" '404 *"code":"not_found"* 404 *"code":"not_found"* 200 {"items":\[\],* 200 {"id":2,*' \
  "$(answer "$base/customers/1") $(answer -H "$customer" "$base/customers/2") $(answer "$base/customers") $(answer -H "$admin" "$base/customers/2")"
known='employees?hire_date__isnull=false&page_size=1'
check "a masked field is null and cannot be asked for" '200 *"hire_date":null,*"phone":"+1 (403) 262-3443"* 200 {"items":\[\],* 200 *"hire_date":"2002-04-01T*' \
  "$(answer -H "$customer" "$base/employees/3") $(answer -H "$customer" "$base/$known") $(answer -H "$admin" "$base/employees/3")"

check "the type is JSON" 'application/json*' "$(header content-type "$base/artists/1")"
etag=$(header etag "$base/artists/1")
check "an ETag with the revision" '"1-*"' "$etag"
check "304 for that ETag" 304 "$(status -H "If-None-Match: $etag" "$base/artists/1")"
check "HEAD" 200 "$(status -I "$base/artists/1")"
check "a request id" '?*' "$(header x-request-id "$base/artists/1")"
check "a list with a condition" '200 *"Iron Maiden"*' "$(answer "$base/artists?name__startswith=Iron")"
check "a list in order, one of it" '200 *"id":275*' "$(answer "$base/artists?order_by=-id&page_size=1&id__lte=275")"
check "only some fields" '200 {"name":"AC/DC"}' "$(answer "$base/artists/1?fields=name")"
check "a count by group" '200 *{"media_type_id":1,"count":3034}*' "$(answer "$base/tracks:aggregate?group_by=media_type_id&count=*")"
check "gzip" 'gzip' "$(header content-encoding -H 'Accept-Encoding: gzip' "$base/tracks?page_size=200")"
check "HTTP/2 without TLS" 2 "$(curl -s -o /dev/null --http2-prior-knowledge -w '%{http_version}' "$base/artists/1")"
check "a problem document" 'application/problem+json*' "$(header content-type "$base/artists/99999999")"
check "its type is a page" 200 "$(status "$FOURFOLD_URL/problems/not_found")"
check "an unknown parameter is named" '400 *nmae*' "$(answer "$base/artists?nmae=x")"
check "a body that is no JSON" '400 *"code":"invalid_argument"*' "$(answer -X POST -H "$admin" -H "$json" -d '{"name"' "$base/artists")"
check "another media type" 415 "$(status -X POST -H "$admin" -H 'Content-Type: text/csv' -d 'x' "$base/artists")"
check "another method" 405 "$(status -X POST -H "$admin" -H "$json" -d '{}' "$base/artists/1")"
check "nothing acceptable" 406 "$(status -H 'Accept: image/png' "$base/artists/1")"
check "alive" 200 "$(status "$FOURFOLD_URL/live")"
check "ready" 200 "$(status "$FOURFOLD_URL/ready")"
