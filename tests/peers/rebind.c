/* A resolver and a wire of the tests' own, loaded into the gateway by LD_PRELOAD.

   Names under .rebind.test get the answers of the file REBIND_SCRIPT, a line each: NAME ADDRESS[,ADDRESS...]. The first
   look-up of a name gets its first line, the next one the next, and when there are no more the last again. The address
   "never" stands for an answer that takes a minute.

   A connection to the address REBIND_PUBLIC_ADDRESS goes to 127.0.0.1, port REBIND_PUBLIC_PORT; one to any other
   address but loopback is refused, so that no test leaves this machine. REBIND_LOG gets a line for each of both. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void note(const char *what, const char *whom) {
  FILE *log = fopen(getenv("REBIND_LOG"), "a");
  if (log) {
    fprintf(log, "%s %s\n", what, whom);
    fclose(log);
  }
}

/* How often a name was looked up before, by the log. */
static int before(const char *name) {
  char line[512], wanted[512];
  int count = 0;
  snprintf(wanted, sizeof wanted, "resolve %s\n", name);
  FILE *log = fopen(getenv("REBIND_LOG"), "r");
  while (log && fgets(line, sizeof line, log))
    count += strcmp(line, wanted) == 0;
  if (log)
    fclose(log);
  return count;
}

/* The addresses that the next look-up of a name gets. */
static int answer(const char *name, char *addresses, size_t size) {
  char line[4096];
  int turn = before(name), found = 0;
  FILE *script = fopen(getenv("REBIND_SCRIPT"), "r");
  while (script && fgets(line, sizeof line, script)) {
    char *space = strchr(line, ' ');
    if (!space)
      continue;
    *space = 0;
    if (strcmp(line, name) != 0)
      continue;
    space[1 + strcspn(space + 1, "\n")] = 0;
    snprintf(addresses, size, "%s", space + 1);
    found = 1;
    if (turn-- == 0)
      break;
  }
  if (script)
    fclose(script);
  note("resolve", name);
  return found;
}

typedef int resolve_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef int connect_fn(int, const struct sockaddr *, socklen_t);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
  resolve_fn *next = (resolve_fn *)dlsym(RTLD_NEXT, "getaddrinfo");
  const char *end = ".rebind.test";
  if (!name || strlen(name) <= strlen(end) || strcmp(name + strlen(name) - strlen(end), end) != 0)
    return next(name, service, hints, result);
  char addresses[4096], *rest = NULL;
  pthread_mutex_lock(&lock);
  int found = answer(name, addresses, sizeof addresses);
  pthread_mutex_unlock(&lock);
  if (!found)
    return EAI_NONAME;
  struct addrinfo **last = result, numeric = *hints;
  numeric.ai_flags = AI_NUMERICHOST;
  *result = NULL;
  for (char *one = strtok_r(addresses, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
    if (strcmp(one, "never") == 0) {
      sleep(60);
      return EAI_AGAIN;
    }
    int failure = next(one, service, &numeric, last);
    if (failure)
      return failure;
    while (*last)
      last = &(*last)->ai_next;
  }
  return 0;
}

int connect(int descriptor, const struct sockaddr *address, socklen_t length) {
  connect_fn *next = (connect_fn *)dlsym(RTLD_NEXT, "connect");
  char text[INET6_ADDRSTRLEN] = "", line[INET6_ADDRSTRLEN + 16];
  const struct sockaddr_in *four = (const struct sockaddr_in *)address;
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
  if (address->sa_family == AF_INET)
    inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
  else if (address->sa_family == AF_INET6)
    inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
  else
    return next(descriptor, address, length);
  /* The port lies at the same place in both. */
  snprintf(line, sizeof line, "%s %d", text, ntohs(four->sin_port));
  pthread_mutex_lock(&lock);
  note("connect", line);
  pthread_mutex_unlock(&lock);
  if (strcmp(text, getenv("REBIND_PUBLIC_ADDRESS")) == 0) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    here.sin_port = htons(atoi(getenv("REBIND_PUBLIC_PORT")));
    return next(descriptor, (struct sockaddr *)&here, sizeof here);
  }
  if (strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0 || strcmp(text, "::ffff:127.0.0.1") == 0)
    return next(descriptor, address, length);
  errno = ECONNREFUSED;
  return -1;
}
