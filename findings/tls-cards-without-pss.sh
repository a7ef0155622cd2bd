#!/usr/bin/env bash
# A smart card that signs with RSA in the form PKCS #1 v1.5 only, as old ones and their drivers do, as a client's certificate in TLS.
#
# Expected: in TLS 1.3 no signature comes about, as RSA signs there in the form PSS alone (RFC 8446 section 4.2.3). In TLS 1.2 one
#   does, where the server takes both forms, since a client signs with "a hash/signature algorithm pair" of the server's list
#   that its key can be used with (RFC 5246 section 7.4.8), and the token's list of mechanisms says with which (PKCS #11 v2.40,
#   section 5.5, C_GetMechanismList).
# Seen, on 2026-12-01, with OpenSSL 3.0.19 (curl 7.88.1, libp11 0.4.12 as its engine) and NSS 3.87 (tstclnt), all of Debian 12, and
#   SoftHSM 2.6.1 as the card:
#   - OpenSSL chooses by the server's order and does not ask the token. Where PSS comes first in the list, which is OpenSSL's own
#     order and rustls's, TLS 1.2 ends with CKR_MECHANISM_INVALID as TLS 1.3 does; where v1.5 comes first, it succeeds.
#   - NSS asks the token, and keeps to an order of its own: TLS 1.2 succeeds in either order. In TLS 1.3 it sends no certificate, so
#     that the server tells of a missing one, and nobody of the signature.
#   - Neither tries TLS 1.2 after it has failed in 1.3 with a server that has both.
# What it means: who opens TLS 1.3 on a host that asks for cards locks such cards out, and hears "no certificate". That a
#   host is held at TLS 1.2 helps browsers, and programs with OpenSSL only where the server's list begins with v1.5.
set -euo pipefail
folder=$(mktemp -d)
servers=()
trap '[ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2> /dev/null; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq softhsm2=2.6.1-2.1 libsofthsm2=2.6.1-2.1 opensc=0.23.0-0.3+deb12u2 opensc-pkcs11=0.23.0-0.3+deb12u2 \
  libengine-pkcs11-openssl=0.4.12-0.1 libnss3-tools=2:3.87.1-1+deb12u4 libnss3=2:3.87.1-1+deb12u4 2> download.log ||
  { cat download.log; echo "This needs Debian 12."; exit 2; }
for package in ./*.deb; do dpkg-deb -x "$package" installed; done
place_of() { dirname "$(find "$folder/installed" -name "$1" | head -1)"; }
export PATH=$folder/installed/usr/bin:$PATH OPENSSL_ENGINES
OPENSSL_ENGINES=$(place_of pkcs11.so)
LD_LIBRARY_PATH=$(place_of 'libopensc.so.*'):$(place_of libnss3.so):$(place_of libsoftokn3.so)
export LD_LIBRARY_PATH
{
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj "/CN=CA" -days 30
  openssl req -newkey rsa:2048 -nodes -keyout card.key -out card.csr -subj "/CN=card"
  openssl x509 -req -in card.csr -CA ca.pem -CAkey ca.key -set_serial 5 -days 30 -out card.pem
  openssl req -x509 -newkey rsa:2048 -nodes -keyout host.key -out host.pem -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost" -days 30
} 2> /dev/null
mkdir tokens
printf 'directories.tokendir = %s/tokens\n' "$folder" > whole.conf
# A card of today, and one without PSS: mechanisms that are listed are the only ones.
{ cat whole.conf; echo "slots.mechanisms = CKM_RSA_PKCS,CKM_SHA256_RSA_PKCS,CKM_SHA384_RSA_PKCS,CKM_SHA512_RSA_PKCS"; } > old.conf
module=$(place_of libsofthsm2.so)/libsofthsm2.so
export SOFTHSM2_CONF=$folder/whole.conf PKCS11_MODULE_PATH=$module
{
  softhsm2-util --init-token --free --label card --pin 1234 --so-pin 12345678
  softhsm2-util --import card.key --token card --id 01 --label card --pin 1234
  pkcs11-tool --module "$module" --token-label card --login --pin 1234 --write-object card.pem --type cert --id 01 --label card
  mkdir nss
  certutil -d sql:nss -N --empty-password
  certutil -d sql:nss -A -t C,C,C -n ca -i ca.pem
  certutil -d sql:nss -A -t CP,, -n host -i host.pem
  modutil -dbdir sql:nss -add card -libfile "$module" -force
} > /dev/null 2>&1

# What the server tells of the signature, or that there is no answer.
told() {
  local text
  text=$("$@") || true
  text=$(grep -ao 'Peer signature type: [A-Z-]*' <<< "$text" || echo ": refused")
  echo "${text##*: }"
}
openssl_client() {
  curl -sS --noproxy '*' --max-time 10 --cacert host.pem --engine pkcs11 --cert-type ENG --key-type ENG \
    --cert 'pkcs11:token=card;id=%01;type=cert' --key 'pkcs11:token=card;id=%01;type=private?pin-value=1234' \
    "https://localhost:$1/" 2>&1
}
nss_client() {
  printf 'GET / HTTP/1.0\r\n\r\n' | timeout 10 tstclnt -h 127.0.0.1 -a localhost -p "$1" -d sql:nss -n card:card -w 1234 -o -V tls1.2:tls1.3 2>&1
}
seen=
while IFS='|' read -r what options; do
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  # shellcheck disable=SC2086 # several words
  openssl s_server -accept "127.0.0.1:$port" -cert host.pem -key host.key -CAfile ca.pem -Verify 2 -verify_return_error -www $options < /dev/null > server.log 2>&1 &
  servers+=($!)
  until grep -q ACCEPT server.log; do sleep 0.1; done
  for card in whole old; do
    export SOFTHSM2_CONF=$folder/$card.conf
    seen+="$what, $card: OpenSSL $(told openssl_client "$port"), NSS $(told nss_client "$port")"$'\n'
  done
done << 'ROWS'
1.2, PSS first|-tls1_2 -client_sigalgs RSA-PSS+SHA256:RSA+SHA256
1.2, v1.5 first|-tls1_2 -client_sigalgs RSA+SHA256:RSA-PSS+SHA256
1.3|-tls1_3
both|
ROWS
expected="1.2, PSS first, whole: OpenSSL RSA-PSS, NSS RSA-PSS
1.2, PSS first, old: OpenSSL refused, NSS RSA
1.2, v1.5 first, whole: OpenSSL RSA, NSS RSA-PSS
1.2, v1.5 first, old: OpenSSL RSA, NSS RSA
1.3, whole: OpenSSL RSA-PSS, NSS RSA-PSS
1.3, old: OpenSSL refused, NSS refused
both, whole: OpenSSL RSA-PSS, NSS RSA-PSS
both, old: OpenSSL refused, NSS refused
"
printf %s "$seen"
if [ "$seen" != "$expected" ]; then
  echo "this has changed; before:"
  printf %s "$expected"
  exit 1
fi
