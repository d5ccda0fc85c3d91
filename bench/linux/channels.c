// SPDX-License-Identifier: MIT
/* channels.c -- pipes and sockets: round trips of one byte, and 1 MiB at a time. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rows.h"

#define GROUP "syscall"

struct channel { /* what the child reads and writes, and the parent */
        int child_in, child_out, in, out;
        unsigned ops;
};

static void pipes(struct channel *c)
{
        int there[2], back[2];

        REQUIRE(!pipe(there) && !pipe(back));
        *c = (struct channel){ there[0], back[1], back[0], there[1], 0 };
}

static void unix_pair(struct channel *c)
{
        int ends[2];

        REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
        *c = (struct channel){ ends[1], ends[1], ends[0], ends[0], 0 };
}

static struct sockaddr_in loopback(int fd)
{
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);

        REQUIRE(fd >= 0);
        REQUIRE(!bind(fd, (struct sockaddr *)&address, size));
        REQUIRE(!getsockname(fd, (struct sockaddr *)&address, &size));
        return address;
}

static void tcp(struct channel *c)
{
        int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in address = loopback(listener);
        int client = socket(AF_INET, SOCK_STREAM, 0), server;

        REQUIRE(!listen(listener, 1) && client >= 0);
        REQUIRE(!connect(client, (struct sockaddr *)&address, sizeof(address)));
        server = accept(listener, NULL, NULL);
        REQUIRE(server >= 0);
        REQUIRE(!setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
        REQUIRE(!setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
        *c = (struct channel){ server, server, client, client, 0 };
}

static void udp(struct channel *c)
{
        int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
        struct sockaddr_in at_a = loopback(a), at_b = loopback(b);

        REQUIRE(!connect(a, (struct sockaddr *)&at_b, sizeof(at_b)));
        REQUIRE(!connect(b, (struct sockaddr *)&at_a, sizeof(at_a)));
        *c = (struct channel){ b, b, a, a, 0 };
}

static void echo(void *argument)
{
        struct channel *c = argument;
        char byte;

        for (unsigned i = 0; i < c->ops; i++) {
                read_all(c->child_in, &byte, 1);
                byte++;
                write_all(c->child_out, &byte, 1);
        }
}

static uint64_t round_trips(struct channel *c, unsigned ops)
{
        unsigned char byte = 0;
        pid_t child;

        c->ops = ops + 1; /* one to warm up */
        child = spawn(echo, c);
        write_all(c->out, &byte, 1);
        read_all(c->in, &byte, 1);
        begin();
        for (unsigned i = 0; i < ops; i++) {
                write_all(c->out, &byte, 1);
                read_all(c->in, &byte, 1);
        }
        end();
        return (uint64_t)byte << 1 | join(child);
}

#define ROUND_TRIPS(make)               \
        struct channel c;               \
        make(&c);                       \
        return round_trips(&c, ops)

ROW(pipe, 2500, "1 byte there and back through pipes, two processes") { ROUND_TRIPS(pipes); }
ROW(unix, 2000, "1 byte there and back, AF_UNIX stream") { ROUND_TRIPS(unix_pair); }
ROW(tcp, 600, "1 byte there and back, TCP by loopback") { ROUND_TRIPS(tcp); }
ROW(udp, 800, "1 byte there and back, UDP by loopback") { ROUND_TRIPS(udp); }

#define CHUNK (64 * KIB)
static char chunk[CHUNK];

static void source(void *argument)
{
        struct channel *c = argument;

        for (size_t done = 0; done < c->ops * MIB; done += CHUNK)
                write_all(c->child_out, chunk, CHUNK);
}

static uint64_t stream(struct channel *c, unsigned ops)
{
        uint64_t sum = 0;
        pid_t child;

        memset(chunk, 7, sizeof(chunk));
        c->ops = ops + 1; /* one to warm up */
        child = spawn(source, c);
        for (size_t done = 0; done < MIB; done += CHUNK)
                read_all(c->in, chunk, CHUNK);
        begin();
        for (size_t done = 0; done < ops * MIB; done += CHUNK) {
                read_all(c->in, chunk, CHUNK);
                sum += sum_words(chunk, PAGE);
        }
        end();
        return sum + join(child);
}

#define STREAM(make)                    \
        struct channel c;               \
        make(&c);                       \
        return stream(&c, ops)

ROW(pipe_1m, 16, "1 MiB through a pipe, by 64 KiB") { STREAM(pipes); }
ROW(unix_1m, 16, "1 MiB through AF_UNIX, by 64 KiB") { STREAM(unix_pair); }
ROW(tcp_1m, 16, "1 MiB through TCP by loopback, by 64 KiB") { STREAM(tcp); }
