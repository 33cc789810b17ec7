// Clients over HTTPS, as cheap as pgbench's are: HTTP/1.1, a connection per client, one request at a time.
//
//   https_load HOST PORT CA PATH TOKEN_FILE CLIENTS SECONDS [WARMUP] < BODY       the same POST of the API, again and again
//   https_load HOST PORT CA PUT|GET CLIENTS SECONDS [WARMUP] < LIST               objects: a line each, `TARGET FILE`
//
// Two threads, each with its share of the clients behind one poll. A reply's whole body is taken. A POST that is not
// answered with `200` or holds `"type":"error"` ends the run; so does an object that is not answered with 200, 201 or
// 204, or is read with another length than its file has. Client i takes the lines i, i + CLIENTS and so on, round and
// round; with 0 SECONDS each line once, without a warm-up. What began before the warm-up was over does not count, what
// began before the end is finished and counts. Prints one JSON object. Closed loop: it shows what a number of clients get
// done, not what they would suffer at a rate.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
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
#include <unistd.h>

#include "load_clock.h"

enum { THREADS_MAX = 2, COUNT_MAX = 1 << 20, REPLY_MAX = 64 << 10, REQUEST_MAX = 64 << 10, READ_AHEAD = 128 << 10 };

struct request {
  char *head;
  size_t head_bytes;
  const char *body;
  size_t body_bytes;
  size_t object_bytes;  // what counts as moved
};

static struct request *requests;
static int request_count, client_count;
static int put, get;  // neither: POST
static struct sockaddr_in address;
static SSL_CTX *context;
static double warmup, end;

struct client {
  SSL *ssl;
  int socket, next;
  const struct request *request;  // null when there is nothing more to ask
  double began, first, last;
  size_t sent, got, total;  // total: of the reply, once its head is there
  long count;
  double bytes;
  char reply[REPLY_MAX + 1];
};

struct thread {
  pthread_t id;
  int first, clients;
  long count, all;
  float *milliseconds;
  double per_second, bytes_per_second;
};

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

static void refuse(struct client *c) {
  fprintf(stderr, "https_load: refused: %s\n", c->reply);
  exit(1);
}

// Reads the reply's head, when it is whole: its status, and how long the reply is.
static void head(struct client *c) {
  c->reply[c->got] = 0;
  char *body = strstr(c->reply, "\r\n\r\n"), *length = strcasestr(c->reply, "\r\ncontent-length:");
  if (!body) return;
  int status = strncmp(c->reply, "HTTP/1.1 ", 9) ? 0 : atoi(c->reply + 9);
  if (status != 200 && !(put && (status == 201 || status == 204))) refuse(c);
  if (status == 204) length = NULL;
  else if (!length || length > body) fail("a reply without a length");
  size_t bytes = length ? strtoul(length + 17, NULL, 10) : 0;
  c->total = (size_t)(body + 4 - c->reply) + bytes;
  if (get && bytes != c->request->object_bytes) fail("an object of another length");
  if (!get && c->total > REPLY_MAX) fail("a reply that is too large");
}

// The next part of the request that is to be sent; 0 bytes when all of it was.
static size_t unsent(struct client *c, const char **from) {
  const struct request *r = c->request;
  int in_head = c->sent < r->head_bytes;
  *from = in_head ? r->head + c->sent : r->body + (c->sent - r->head_bytes);
  return (in_head ? r->head_bytes : r->head_bytes + r->body_bytes) - c->sent;
}

static void begin(struct client *c) {
  c->began = now();
  c->sent = c->got = c->total = 0;
  int done = isinf(end) ? c->next >= request_count : c->began >= end;
  c->request = done ? NULL : &requests[c->next % request_count];
  c->next += client_count;
}

static void count(struct client *c, struct thread *t) {
  c->last = now();
  t->all++;
  if (c->began < warmup || t->count == COUNT_MAX) return;
  if (c->count++ == 0) c->first = c->began;
  c->bytes += (double)c->request->object_bytes;
  t->milliseconds[t->count++] = (float)((c->last - c->began) * 1e3);
}

// Goes on until it would wait; gives what for, or 0 at the end.
static short step(struct client *c, struct thread *t) {
  while (c->request) {
    const char *from;
    size_t bytes = unsent(c, &from);
    if (bytes) {
      int n = SSL_write(c->ssl, from, (int)bytes);
      if (n <= 0) return wanted(c, n);
      c->sent += (size_t)n;
      continue;
    }
    // An object's bytes are counted, and not kept.
    size_t kept = get && c->total ? 0 : c->got;
    int n = SSL_read(c->ssl, c->reply + kept, (int)(REPLY_MAX - kept));
    if (n <= 0) return wanted(c, n);
    c->got += (size_t)n;
    if (!c->total) head(c);
    if (!c->total || c->got < c->total) continue;
    if (c->got > c->total) fail("a reply that is longer than it says");
    if (!put && !get && (c->reply[c->got] = 0, strstr(c->reply, "\"type\":\"error\""))) refuse(c);
    count(c, t);
    begin(c);
  }
  return 0;
}

static void *work(void *argument) {
  struct thread *t = argument;
  struct client *all = calloc(t->clients, sizeof *all);
  struct pollfd *waits = calloc(t->clients, sizeof *waits);
  int active = t->clients;
  for (int i = 0; i < t->clients; i++) all[i].next = t->first + i, dial(&all[i]);
  for (int i = 0; i < t->clients; i++) {
    begin(&all[i]);
    waits[i].fd = all[i].socket;
    if (!(waits[i].events = step(&all[i], t))) waits[i].fd = -1, active--;
  }
  while (active) {
    if (poll(waits, t->clients, 100) < 0 && errno != EINTR) fail("poll");
    for (int i = 0; i < t->clients; i++)
      if (waits[i].fd >= 0 && waits[i].revents && !(waits[i].events = step(&all[i], t))) waits[i].fd = -1, active--;
  }
  for (int i = 0; i < t->clients; i++) {
    if (all[i].count == 0) continue;
    t->per_second += all[i].count / (all[i].last - all[i].first);
    t->bytes_per_second += all[i].bytes / (all[i].last - all[i].first);
  }
  return NULL;
}

static void make_post(char **arguments) {
  char token[512] = "", *body = malloc(REQUEST_MAX), *request = malloc(REQUEST_MAX);
  FILE *file = fopen(arguments[5], "r");
  if (!file || !fgets(token, sizeof token, file)) fail("the token's file");
  fclose(file);
  token[strcspn(token, "\r\n")] = 0;
  size_t bytes = fread(body, 1, REQUEST_MAX / 2, stdin);
  int head = snprintf(request, REQUEST_MAX,
                      "POST %s HTTP/1.1\r\nHost: localhost:%s\r\nAuthorization: Bearer %s\r\n"
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                      arguments[4], arguments[2], token, bytes);
  // In one record with its head.
  memcpy(request + head, body, bytes);
  free(body);
  requests = calloc(1, sizeof *requests);
  requests[request_count++] = (struct request){.head = request, .head_bytes = (size_t)head + bytes};
}

static const char *contents(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "r");
  if (!file || fseek(file, 0, SEEK_END)) fail(path);
  *bytes = (size_t)ftell(file);
  char *all = malloc(*bytes + 1);
  rewind(file);
  if (fread(all, 1, *bytes, file) != *bytes) fail(path);
  fclose(file);
  return all;
}

static void make_objects(const char *port) {
  char line[8 << 10], last[4 << 10] = "";
  const char *body = NULL;
  size_t bytes = 0;
  while (fgets(line, sizeof line, stdin)) {
    char *file = strchr(line, ' ');
    if (!file) fail("a line is `TARGET FILE`");
    *file++ = 0;
    file[strcspn(file, "\n")] = 0;
    // Many lines may name one file: it is held once when they follow each other.
    if (strcmp(file, last)) body = contents(file, &bytes), snprintf(last, sizeof last, "%s", file);
    requests = realloc(requests, (request_count + 1) * sizeof *requests);
    struct request *r = &requests[request_count++];
    *r = (struct request){.body = body, .body_bytes = put ? bytes : 0, .object_bytes = bytes};
    r->head_bytes =
        (size_t)(put ? asprintf(&r->head, "PUT %s HTTP/1.1\r\nHost: localhost:%s\r\nContent-Length: %zu\r\n\r\n",
                                line, port, bytes)
                     : asprintf(&r->head, "GET %s HTTP/1.1\r\nHost: localhost:%s\r\n\r\n", line, port));
  }
  if (!request_count) fail("no objects");
}

int main(int count, char **arguments) {
  put = count > 4 && !strcmp(arguments[4], "PUT"), get = count > 4 && !strcmp(arguments[4], "GET");
  int at = put || get ? 5 : 6;
  if (count < at + 2) {
    fprintf(stderr, "usage: https_load HOST PORT CA PATH TOKEN_FILE CLIENTS SECONDS [WARMUP] < BODY\n"
                    "       https_load HOST PORT CA PUT|GET CLIENTS SECONDS [WARMUP] < LIST\n");
    return 2;
  }
  address.sin_family = AF_INET;
  address.sin_port = htons((unsigned short)atoi(arguments[2]));
  if (inet_pton(AF_INET, arguments[1], &address.sin_addr) != 1) fail("the host is no IPv4 address");
  context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_load_verify_locations(context, arguments[3], NULL) != 1) fail("the authority");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  if (put || get) {
    // The same cipher for both sides of a comparison, and few reads for many bytes.
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
    make_objects(arguments[2]);
  } else {
    make_post(arguments);
  }
  client_count = atoi(arguments[at]);
  int threads = client_count < THREADS_MAX ? client_count : THREADS_MAX;
  double seconds = atof(arguments[at + 1]);
  warmup = now() + (seconds == 0 ? 0 : count > at + 2 ? atof(arguments[at + 2]) : 1);
  end = seconds == 0 ? INFINITY : warmup + seconds;
  struct thread all[THREADS_MAX] = {0};
  for (int i = 0, first = 0; i < threads; i++) {
    all[i].first = first;
    first += all[i].clients = client_count / threads + (i < client_count % threads);
    all[i].milliseconds = malloc(COUNT_MAX * sizeof(float));
    pthread_create(&all[i].id, NULL, work, &all[i]);
  }
  long total = 0, every = 0, place = 0;
  double per_second = 0, bytes_per_second = 0;
  for (int i = 0; i < threads; i++) {
    pthread_join(all[i].id, NULL);
    total += all[i].count, every += all[i].all;
    per_second += all[i].per_second, bytes_per_second += all[i].bytes_per_second;
  }
  float *merged = malloc((total + 1) * sizeof(float));
  for (int i = 0; i < threads; i++) {
    memcpy(merged + place, all[i].milliseconds, all[i].count * sizeof(float));
    place += all[i].count;
  }
  qsort(merged, total, sizeof(float), ascending);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  printf("{\"commits_per_second\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"commits\": %ld, "
         "\"client_cpu_us_per_commit\": %.1f",
         per_second, total ? merged[total / 2] : 0, total ? merged[total * 99 / 100] : 0, total,
         every ? cpu * 1e6 / every : 0);
  if (put || get) printf(", \"MB_s\": %.2f, \"requests\": %ld", bytes_per_second / 1e6, every);
  printf("}\n");
  return 0;
}
