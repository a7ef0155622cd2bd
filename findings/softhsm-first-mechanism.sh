#!/usr/bin/env bash
# SoftHSM's list of mechanisms that a token shall not have.
#
# Expected: "slots.mechanisms = -A,B" takes A and B away, as the manual page softhsm2.conf(5) has it: "The list can be prefixed
#   with minus sign - to list only the disabled mechanisms."
# Seen, on 2026-12-01, with SoftHSM 2.6.1 (Debian 12, softhsm2 2.6.1-2.1): the first of the list stays; the others go.
# What it means: a test that takes RSA-PSS away from a token, so as to play an old card, and names it first, passes with a token
#   that has it. Name something first that is of no matter, or list what the token shall have; and look at what
#   C_GetMechanismList tells.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq libsofthsm2=2.6.1-2.1 opensc=0.23.0-0.3+deb12u2 opensc-pkcs11=0.23.0-0.3+deb12u2 2> download.log ||
  { cat download.log; echo "This needs Debian 12."; exit 2; }
for package in ./*.deb; do dpkg-deb -x "$package" installed; done
libraries=$(dirname "$(find installed -name 'libopensc.so.*' | head -1)")
export PATH=$folder/installed/usr/bin:$PATH LD_LIBRARY_PATH=$folder/$libraries
mkdir "$folder/tokens"
export SOFTHSM2_CONF=$folder/softhsm2.conf
module=$(find "$folder/installed" -name libsofthsm2.so | head -1)
listed() {
  printf 'directories.tokendir = %s/tokens\nslots.mechanisms = %s\n' "$folder" "$1" > "$SOFTHSM2_CONF"
  pkcs11-tool --module "$module" --list-mechanisms 2> /dev/null | sed -nE 's/^ +((SHA256-)?RSA-PKCS-PSS),.*/\1/p' | tr '\n' ' '
}
seen="PSS first: $(listed '-CKM_RSA_PKCS_PSS,CKM_SHA256_RSA_PKCS_PSS')
PSS second: $(listed '-CKM_SHA256_RSA_PKCS_PSS,CKM_RSA_PKCS_PSS')
something else first: $(listed '-CKM_MD5,CKM_SHA256_RSA_PKCS_PSS,CKM_RSA_PKCS_PSS')"
expected="PSS first: RSA-PKCS-PSS 
PSS second: SHA256-RSA-PKCS-PSS 
something else first: "
echo "$seen"
if [ "$seen" != "$expected" ]; then
  echo "this has changed; before:"
  echo "$expected"
  exit 1
fi
