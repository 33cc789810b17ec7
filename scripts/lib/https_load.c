// Clients of the public API, as cheap as pgbench's are: HTTP/1.1 over TLS, a connection per client, one request at a time.
//
//   https_load HOST PORT CA PATH TOKEN_FILE CLIENTS SECONDS [WARMUP] < BODY
//
// Two threads, each with its share of the clients behind one poll. Every client sends the same POST again and again and
// takes each reply's whole body; one that does not say `200`, or holds `"type":"error"`, ends the run. Prints one JSON
// object. Closed loop: it shows what a number of clients get done, not what they would suffer at a rate.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 2, COUNT_MAX = 1 << 20, REPLY_MAX = 64 << 10, REQUEST_MAX = 64 << 10 };

static char request[REQUEST_MAX];
static size_t request_bytes;
static struct sockaddr_in address;
static SSL_CTX *context;
static double warmup, end;

struct client {
  SSL *ssl;
  int socket;
  double began;
  size_t sent, got;
  char reply[REPLY_MAX + 1];
};

struct thread {
  pthread_t id;
  int clients;
  long count;
  float *milliseconds;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what) {
  fprintf(stderr, "https_load: %s (%s)\n", what, errno ? strerror(errno) : "no error of the system");
  ERR_print_errors_fp(stderr);
  exit(1);
}

static void dial(struct client *c) {
  int one = 1;
  c->socket = socket(AF_INET, SOCK_STREAM, 0);
  if (c->socket < 0 || connect(c->socket, (struct sockaddr *)&address, sizeof address)) fail("connect");
  setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->ssl = SSL_new(context);
  SSL_set_fd(c->ssl, c->socket);
  SSL_set_tlsext_host_name(c->ssl, "localhost");
  if (SSL_connect(c->ssl) != 1) fail("the handshake");
  fcntl(c->socket, F_SETFL, fcntl(c->socket, F_GETFL) | O_NONBLOCK);
}

// What poll shall wait for; 0 when there is no need to wait.
static short wanted(struct client *c, int result) {
  switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ: return POLLIN;
    case SSL_ERROR_WANT_WRITE: return POLLOUT;
    default: fail("the connection ended");
  }
  return 0;
}

// The reply's length, or 0 while it is not whole.
static size_t whole(struct client *c) {
  c->reply[c->got] = 0;
  char *body = strstr(c->reply, "\r\n\r\n"), *length = strcasestr(c->reply, "\r\ncontent-length:");
  if (!body) return 0;
  if (!length || length > body) fail("a reply without a length");
  size_t bytes = (size_t)(body + 4 - c->reply) + strtoul(length + 17, NULL, 10);
  if (bytes > REPLY_MAX) fail("a reply that is too large");
  return c->got >= bytes ? bytes : 0;
}

// Goes on until it would wait; gives what for.
static short step(struct client *c, struct thread *t) {
  for (;;) {
    if (c->sent < request_bytes) {
      if (c->sent == 0) c->began = now();
      int n = SSL_write(c->ssl, request + c->sent, (int)(request_bytes - c->sent));
      if (n <= 0) return wanted(c, n);
      c->sent += (size_t)n;
      continue;
    }
    int n = SSL_read(c->ssl, c->reply + c->got, (int)(REPLY_MAX - c->got));
    if (n <= 0) return wanted(c, n);
    c->got += (size_t)n;
    if (!whole(c)) continue;
    if (strncmp(c->reply, "HTTP/1.1 200", 12) || strstr(c->reply, "\"type\":\"error\"")) {
      fprintf(stderr, "https_load: refused: %s\n", c->reply);
      exit(1);
    }
    double done = now();
    if (done < end && c->began >= warmup && t->count < COUNT_MAX)
      t->milliseconds[t->count++] = (float)((done - c->began) * 1e3);
    c->sent = c->got = 0;
  }
}

static void *work(void *argument) {
  struct thread *t = argument;
  struct client *all = calloc(t->clients, sizeof *all);
  struct pollfd *waits = calloc(t->clients, sizeof *waits);
  for (int i = 0; i < t->clients; i++) dial(&all[i]);
  for (int i = 0; i < t->clients; i++) waits[i].fd = all[i].socket, waits[i].events = step(&all[i], t);
  while (now() < end) {
    if (poll(waits, t->clients, 100) < 0 && errno != EINTR) fail("poll");
    for (int i = 0; i < t->clients; i++)
      if (waits[i].revents) waits[i].events = step(&all[i], t);
  }
  return NULL;
}

static void make_request(char **arguments) {
  char token[512] = "", *body = malloc(REQUEST_MAX);
  FILE *file = fopen(arguments[5], "r");
  if (!file || !fgets(token, sizeof token, file)) fail("the token's file");
  fclose(file);
  token[strcspn(token, "\r\n")] = 0;
  size_t bytes = fread(body, 1, REQUEST_MAX / 2, stdin);
  int head = snprintf(request, sizeof request,
                      "POST %s HTTP/1.1\r\nHost: localhost:%s\r\nAuthorization: Bearer %s\r\n"
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                      arguments[4], arguments[2], token, bytes);
  memcpy(request + head, body, bytes);
  request_bytes = (size_t)head + bytes;
  free(body);
}

static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

int main(int count, char **arguments) {
  if (count < 8) {
    fprintf(stderr, "usage: https_load HOST PORT CA PATH TOKEN_FILE CLIENTS SECONDS [WARMUP] < BODY\n");
    return 2;
  }
  address.sin_family = AF_INET;
  address.sin_port = htons((unsigned short)atoi(arguments[2]));
  if (inet_pton(AF_INET, arguments[1], &address.sin_addr) != 1) fail("the host is no IPv4 address");
  context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_load_verify_locations(context, arguments[3], NULL) != 1) fail("the authority");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  make_request(arguments);
  int clients = atoi(arguments[6]), threads = clients < THREADS_MAX ? clients : THREADS_MAX;
  double seconds = atof(arguments[7]);
  warmup = now() + (count > 8 ? atof(arguments[8]) : 1);
  end = warmup + seconds;
  struct thread all[THREADS_MAX] = {0};
  for (int i = 0; i < threads; i++) {
    all[i].clients = clients / threads + (i < clients % threads);
    all[i].milliseconds = malloc(COUNT_MAX * sizeof(float));
    pthread_create(&all[i].id, NULL, work, &all[i]);
  }
  long total = 0, at = 0;
  for (int i = 0; i < threads; i++) pthread_join(all[i].id, NULL), total += all[i].count;
  float *merged = malloc((total + 1) * sizeof(float));
  for (int i = 0; i < threads; i++) {
    memcpy(merged + at, all[i].milliseconds, all[i].count * sizeof(float));
    at += all[i].count;
  }
  qsort(merged, total, sizeof(float), ascending);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  printf("{\"commits_per_second\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"commits\": %ld, "
         "\"client_cpu_us_per_commit\": %.1f}\n",
         total / seconds, total ? merged[total / 2] : 0, total ? merged[total * 99 / 100] : 0, total,
         total ? cpu * 1e6 / total : 0);
  return 0;
}
