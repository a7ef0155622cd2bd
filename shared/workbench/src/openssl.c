/* How long OpenSSL takes to verify one signature: the digest of the message and EVP_PKEY_verify, with everything that
 * can be prepared prepared. OpenSSL is loaded, not linked, and its headers are not needed. Arguments: files with the
 * SubjectPublicKeyInfo, the message and the signature. Each line of input is a count; each line of output is the time that
 * so many verifications took, in nanoseconds. The first line of output is OpenSSL's version. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static unsigned char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = malloc(65536);
    if (!file || !bytes) exit(2);
    *length = fread(bytes, 1, 65536, file);
    fclose(file);
    return bytes;
}

static void *library;

static void *symbol(const char *name) {
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "no %s\n", name);
        exit(3);
    }
    return found;
}

int main(int count, char **arguments) {
    const char *names[] = {"libcrypto.so.3", "libcrypto.3.dylib", "/opt/homebrew/opt/openssl@3/lib/libcrypto.3.dylib",
                           "/usr/local/opt/openssl@3/lib/libcrypto.3.dylib"};
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++) library = dlopen(names[i], RTLD_NOW);
    if (!library || count != 4) return 3;
    const char *(*version)(int) = (const char *(*)(int))symbol("OpenSSL_version");
    void *(*d2i_pubkey)(void **, const unsigned char **, long) =
        (void *(*)(void **, const unsigned char **, long))symbol("d2i_PUBKEY");
    const void *(*sha256)(void) = (const void *(*)(void))symbol("EVP_sha256");
    void *(*context_new)(void *, void *) = (void *(*)(void *, void *))symbol("EVP_PKEY_CTX_new");
    int (*verify_init)(void *) = (int (*)(void *))symbol("EVP_PKEY_verify_init");
    int (*set_md)(void *, const void *) = (int (*)(void *, const void *))symbol("EVP_PKEY_CTX_set_signature_md");
    unsigned char *(*digest)(const unsigned char *, size_t, unsigned char *) =
        (unsigned char *(*)(const unsigned char *, size_t, unsigned char *))symbol("SHA256");
    int (*verify)(void *, const unsigned char *, size_t, const unsigned char *, size_t) =
        (int (*)(void *, const unsigned char *, size_t, const unsigned char *, size_t))symbol("EVP_PKEY_verify");

    size_t key_length, message_length, signature_length;
    const unsigned char *key_bytes = read_file(arguments[1], &key_length);
    const unsigned char *message = read_file(arguments[2], &message_length);
    const unsigned char *signature = read_file(arguments[3], &signature_length);
    void *key = d2i_pubkey(NULL, &key_bytes, (long)key_length);
    void *context = key ? context_new(key, NULL) : NULL;
    if (!context || verify_init(context) != 1 || set_md(context, sha256()) != 1) return 4;
    printf("%s\n", version(0));
    fflush(stdout);

    unsigned long long times;
    while (scanf("%llu", &times) == 1) {
        struct timespec began, ended;
        clock_gettime(CLOCK_MONOTONIC, &began);
        for (unsigned long long i = 0; i < times; i++) {
            unsigned char hash[32];
            digest(message, message_length, hash);
            if (verify(context, signature, signature_length, hash, sizeof hash) != 1) return 5;
        }
        clock_gettime(CLOCK_MONOTONIC, &ended);
        long long taken = (ended.tv_sec - began.tv_sec) * 1000000000LL + (ended.tv_nsec - began.tv_nsec);
        printf("%lld\n", taken);
        fflush(stdout);
    }
    return 0;
}
