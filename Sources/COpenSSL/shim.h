#pragma once
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

// TLS and certificates: what the headers offer as macros only.
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline int komora_tls13_only(SSL_CTX *context) {
  return (int)(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) &&
               SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION));
}

static inline int komora_set_groups(SSL_CTX *context, const char *list) {
  return (int)SSL_CTX_set1_groups_list(context, list);
}

static inline int komora_set_signatures(SSL_CTX *context, const char *list) {
  return (int)SSL_CTX_set1_sigalgs_list(context, list);
}

static inline void komora_keep_little(SSL_CTX *context) {
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
}

static inline EVP_PKEY *komora_generate_ed25519(void) { return EVP_PKEY_Q_keygen(0, 0, "ED25519"); }
static inline EVP_PKEY *komora_generate_p256(void) { return EVP_EC_gen("P-256"); }

static inline size_t komora_memory(BIO *bio, const unsigned char **start) {
  char *first = 0;
  long count = BIO_get_mem_data(bio, &first);
  *start = (const unsigned char *)first;
  return count > 0 ? (size_t)count : 0;
}

// The text of a certificate's only alternative name if that is a URI, else NULL.
static inline const ASN1_IA5STRING *komora_only_uri(const GENERAL_NAMES *names) {
  if (sk_GENERAL_NAME_num(names) != 1) return 0;
  const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
  return name->type == GEN_URI ? name->d.uniformResourceIdentifier : 0;
}
