/* The load tool's telephones: the media of up to 108 calls in one thread, and what came back, judged frame by frame.
 *
 *     loadmedia ADDRESS FIRST_PORT CALLS EXACT
 *
 * Call i has RTP port FIRST_PORT + 4*i (RTCP beside it is taken and not read). It learns where to send from the first
 * packet that comes, as a phone behind NAT is found, and then says a frame of 20 ms every 20 ms: 3 s of "speech" and
 * 0.5 s of digital silence, in turns. Each frame of speech is a chord of eight tones that spells (call, frame mod 60).
 * What comes back is late by a few samples: 40 by pjmedia's concealment of lost packets, 26 more by the resamplers of
 * pcm24. So a packet holds the end of one frame and the beginning of the next, which a DFT over samples 84..147 reads.
 * With EXACT=1 (G.711 passed through) both parts must be the very bytes that were sent.
 *
 * Standard input: `mark` begins to count, `hush` ends the speech, `report` writes one JSON line, end of file quits.
 * Arrival times are the kernel's (SO_TIMESTAMPNS), so a late look costs no accuracy. Times in histograms are 0.1 ms.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CALLS 108
#define FRAME 160
#define PERIOD 60          /* frames of a call are told apart modulo this */
#define DIGITS 8
#define BASE 3
#define TONES (DIGITS * BASE)
#define FIRST_SAMPLE 84
#define WINDOW 64
#define DELAY 40           /* samples, without resamplers */
#define SLOTS 20           /* a call is served every 20 ms, in its own millisecond */
#define SPEECH_FRAMES 150
#define PAUSE_FRAMES 25
#define HISTORY 1024       /* send times kept: 20 s */
#define RTT_BINS 10000     /* 0.1 ms: 1 s */
#define GAP_BINS 5000      /* 0.1 ms: 500 ms */
#define LATE_BINS 1000
#define IDLE_NS 400000000LL
#define BATCH 16
#define SILENCE_LEVEL 3e3  /* a tone of a chord has 3.8e4 */

typedef struct {
    int rtp, rtcp, up;
    struct sockaddr_in peer;
    uint32_t ssrc, timestamp, peer_ssrc;
    uint16_t sequence, peer_sequence;
    int slot, turn;                     /* position in speech + pause */
    int64_t frame;                      /* speech frames said so far */
    int64_t sent_ns[HISTORY];
    int64_t last_rx_ns, last_frame;     /* last_frame: of the caller's, as it came back; -1: none yet */
    int silent_since;                   /* silent packets since then */
    int64_t mark_frame;                 /* the first frame that counts; -1: not counting */
    /* breaks: RTP packets that never came; reordered: that came behind a later one, which a phone puts right */
    int64_t got, lost, repeated, foreign, damaged, starved, strangers, breaks, reordered, packets, sent;
} Call;

static Call calls[MAX_CALLS];
static int n_calls, exact, speaking = 1, counting;
static uint8_t chords[MAX_CALLS * PERIOD][FRAME];
static float wave_cos[TONES][WINDOW], wave_sin[TONES][WINDOW], linear[256];
static uint32_t rtt[RTT_BINS], gaps[GAP_BINS], late[LATE_BINS];

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int16_t ulaw_decode(uint8_t code) {
    code = ~code;
    int value = ((code & 15) << 3) + 0x84;
    value <<= (code & 0x70) >> 4;
    return code & 0x80 ? 0x84 - value : value - 0x84;
}

static uint8_t ulaw_encode(int value) {
    uint8_t best = 0xff;
    int distance = 1 << 20;
    for (int code = 0; code < 256; code++) {  /* slow and obvious: only for the table of chords */
        int d = abs(ulaw_decode(code) - value);
        if (d < distance && code != 0x7f) distance = d, best = code;
    }
    return best;
}

static double tone_hz(int tone) { return 375.0 + 125.0 * tone; }

static void make_tables(void) {
    static uint8_t coded[65536];
    for (int code = 0; code < 256; code++) linear[code] = ulaw_decode(code);
    for (int value = -32768; value < 32768; value++) coded[value + 32768] = ulaw_encode(value);
    for (int tone = 0; tone < TONES; tone++)
        for (int n = 0; n < WINDOW; n++) {
            wave_cos[tone][n] = cos(2 * M_PI * tone_hz(tone) * n / 8000);
            wave_sin[tone][n] = sin(2 * M_PI * tone_hz(tone) * n / 8000);
        }
    for (int symbol = 0; symbol < MAX_CALLS * PERIOD; symbol++)
        for (int n = 0; n < FRAME; n++) {
            double sum = 0;
            for (int digit = 0, rest = symbol; digit < DIGITS; digit++, rest /= BASE)
                sum += 1200 * sin(2 * M_PI * tone_hz(digit * BASE + rest % BASE) * n / 8000 + digit * 1.3);
            chords[symbol][n] = coded[(int)lround(sum) + 32768];
        }
}

/* The symbol of a payload, -1: silence, -2: sound that is no chord. */
static int symbol_of(const uint8_t *payload) {
    float pcm[WINDOW], power[TONES];
    for (int n = 0; n < WINDOW; n++) pcm[n] = linear[payload[FIRST_SAMPLE + n]];
    float loudest = 0;
    for (int tone = 0; tone < TONES; tone++) {
        float re = 0, im = 0;
        for (int n = 0; n < WINDOW; n++) re += pcm[n] * wave_cos[tone][n], im += pcm[n] * wave_sin[tone][n];
        power[tone] = re * re + im * im;
        if (power[tone] > loudest) loudest = power[tone];
    }
    if (loudest < SILENCE_LEVEL * SILENCE_LEVEL) return -1;
    int symbol = 0, weight = 1;
    for (int digit = 0; digit < DIGITS; digit++, weight *= BASE) {
        int best = 0, second = -1;
        for (int value = 1; value < BASE; value++) {
            float p = power[digit * BASE + value];
            if (p > power[digit * BASE + best]) second = best, best = value;
            else if (second < 0 || p > power[digit * BASE + second]) second = value;
        }
        float top = power[digit * BASE + best];
        if (top < loudest / 16 || power[digit * BASE + second] * 10 > top) return -2;
        symbol += weight * best;
    }
    return symbol < MAX_CALLS * PERIOD ? symbol : -2;
}

static void count(uint32_t *bins, int n, int64_t ns) {
    int64_t bin = ns / 100000;
    bins[bin < 0 ? 0 : bin >= n ? n - 1 : bin]++;
}

/* Whether a payload is the beginning of this frame, behind the end of the one before it or silence, bit by bit. */
static int same(int index, int symbol, const uint8_t *payload) {
    static const uint8_t silence[DELAY] = {[0 ... DELAY - 1] = 0xff};
    int before = index * PERIOD + (symbol % PERIOD + PERIOD - 1) % PERIOD;
    return !memcmp(payload + DELAY, chords[symbol], FRAME - DELAY)
        && (!memcmp(payload, chords[before] + FRAME - DELAY, DELAY) || !memcmp(payload, silence, DELAY));
}

/* A frame of ours is back: which one, how long it took, and whether any is missing before it. */
static void back(Call *call, int index, int symbol, const uint8_t *payload, int64_t at) {
    if (symbol / PERIOD != index) { call->foreign += counting; return; }
    if (exact && !same(index, symbol, payload)) { call->damaged += counting; return; }
    int part = symbol % PERIOD;
    int64_t frame, newest = call->frame - 1;
    if (call->last_frame < 0) frame = newest - ((newest - part) % PERIOD + PERIOD) % PERIOD;
    else frame = call->last_frame + 1 + ((part - call->last_frame - 1) % PERIOD + PERIOD) % PERIOD;
    if (frame < 0) return;
    if (frame > newest) { call->repeated += counting; return; }  /* said before, not yet said again */
    int counts = counting && call->mark_frame >= 0 && frame >= call->mark_frame;
    if (call->last_frame >= 0 && counts) {
        int64_t first = call->last_frame + 1 > call->mark_frame ? call->last_frame + 1 : call->mark_frame;
        call->lost += frame - first;
        /* silence between two frames that were said without a pause: the playout had run dry */
        int64_t pause = call->sent_ns[frame % HISTORY] - call->sent_ns[(frame - 1) % HISTORY];
        if (frame == call->last_frame + 1 && pause < PAUSE_FRAMES * 10000000LL) call->starved += call->silent_since;
    }
    if (counts) call->got++, count(rtt, RTT_BINS, at - call->sent_ns[frame % HISTORY]);
    call->last_frame = frame;
    call->silent_since = 0;
}

/* A packet that another has overtaken: what it brings is not lost after all. */
static void overtaken(Call *call, int index, const uint8_t *payload) {
    int symbol = symbol_of(payload);
    call->reordered += counting, call->packets += counting, call->breaks -= counting;
    if (symbol < 0) return;
    if (symbol / PERIOD != index) call->foreign += counting;
    else if (exact && !same(index, symbol, payload)) call->damaged += counting;
    else if (counting && call->lost > 0) call->lost--, call->got++;
    else call->repeated += counting;
}

static void packet(Call *call, int index, const uint8_t *data, int size, const struct sockaddr_in *from, int64_t at) {
    if (size < 12 || (data[0] >> 6) != 2 || (data[1] & 0x7f) == 101) return;
    if (call->up && (from->sin_port != call->peer.sin_port || from->sin_addr.s_addr != call->peer.sin_addr.s_addr)) {
        call->strangers += counting;
        return;
    }
    uint16_t sequence = data[2] << 8 | data[3];
    uint32_t ssrc;
    memcpy(&ssrc, data + 8, 4);
    if (!call->up) {
        int slot = call->slot, rtp = call->rtp, rtcp = call->rtcp;
        int64_t mark = -1;
        if (counting) mark = 0;
        memset(call, 0, offsetof(Call, got));
        call->rtp = rtp, call->rtcp = rtcp, call->slot = slot, call->up = 1, call->peer = *from;
        call->last_frame = -1, call->mark_frame = mark;
        call->ssrc = rand(), call->timestamp = rand(), call->sequence = rand() & 0x7fff;
        call->turn = (index * 37) % (SPEECH_FRAMES / 2) ;
    } else {
        int16_t step = sequence - call->peer_sequence;
        if (counting) count(gaps, GAP_BINS, at - call->last_rx_ns);
        if (ssrc == call->peer_ssrc && step < 0 && step > -16 && size == 12 + FRAME) {
            call->last_rx_ns = at;
            overtaken(call, index, data + 12);
            return;
        }
        if (counting && (step != 1 || ssrc != call->peer_ssrc)) call->breaks += step > 1 && ssrc == call->peer_ssrc ? step - 1 : 1;
    }
    call->packets += counting;
    call->peer_sequence = sequence, call->peer_ssrc = ssrc, call->last_rx_ns = at;
    if (size != 12 + FRAME) { call->damaged += counting; return; }
    int symbol = symbol_of(data + 12);
    if (symbol == -1) call->silent_since++;
    else if (symbol == -2) call->damaged += counting;
    else back(call, index, symbol, data + 12, at);
}

static void receive(Call *call, int index) {
    static uint8_t data[BATCH][512];
    static char control[BATCH][64];
    static struct sockaddr_in from[BATCH];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    int n;
    do {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){data[i], sizeof data[i]};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i],
                .msg_iov = &parts[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = sizeof control[i]};
        }
        n = recvmmsg(call->rtp, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
            struct cmsghdr *extra = CMSG_FIRSTHDR(&messages[i].msg_hdr);
            int64_t at = now_ns(CLOCK_REALTIME);
            if (extra && extra->cmsg_type == SO_TIMESTAMPNS) {
                struct timespec t;
                memcpy(&t, CMSG_DATA(extra), sizeof t);
                at = t.tv_sec * 1000000000LL + t.tv_nsec;
            }
            packet(call, index, data[i], messages[i].msg_len, &from[i], at);
        }
    } while (n == BATCH);
}

static void say(Call *call, int index) {
    uint8_t data[12 + FRAME] = {0x80, 0};
    call->turn = (call->turn + 1) % (SPEECH_FRAMES + PAUSE_FRAMES);
    int64_t at = now_ns(CLOCK_REALTIME);
    if (speaking && call->turn < SPEECH_FRAMES) {
        memcpy(data + 12, chords[index * PERIOD + call->frame % PERIOD], FRAME);
        call->sent_ns[call->frame % HISTORY] = at;
        if (counting && call->mark_frame >= 0) call->sent++;
        call->frame++;
    } else memset(data + 12, 0xff, FRAME);
    data[2] = call->sequence >> 8, data[3] = call->sequence & 255;
    uint32_t timestamp = htonl(call->timestamp);
    memcpy(data + 4, &timestamp, 4);
    memcpy(data + 8, &call->ssrc, 4);
    call->sequence++, call->timestamp += FRAME;
    sendto(call->rtp, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&call->peer, sizeof call->peer);
}

static void mark(void) {
    counting = 1;
    memset(rtt, 0, sizeof rtt), memset(gaps, 0, sizeof gaps), memset(late, 0, sizeof late);
    for (int i = 0; i < n_calls; i++) {
        Call *call = &calls[i];
        call->got = call->lost = call->repeated = call->foreign = call->damaged = call->starved = 0;
        call->strangers = call->breaks = call->reordered = call->packets = call->sent = 0;
        call->mark_frame = call->up ? call->frame : -1;
    }
}

static void bins(const char *name, const uint32_t *values, int n) {
    printf("\"%s\":{", name);
    for (int i = 0, first = 1; i < n; i++)
        if (values[i]) printf("%s\"%d\":%u", first ? "" : ",", i, values[i]), first = 0;
    printf("}");
}

static void report(void) {
    printf("{\"calls\":[");
    for (int i = 0; i < n_calls; i++) {
        Call *c = &calls[i];
        /* what was said and is not back at the end is lost too */
        int64_t first = c->last_frame + 1 > c->mark_frame ? c->last_frame + 1 : c->mark_frame;
        int64_t tail = c->mark_frame >= 0 && c->frame > first ? c->frame - first : 0;
        printf("%s{\"call\":%d,\"up\":%d,\"sent\":%ld,\"back\":%ld,\"lost\":%ld,\"tail\":%ld,\"repeated\":%ld,\"foreign\":%ld,"
               "\"damaged\":%ld,\"starved\":%ld,\"strangers\":%ld,\"breaks\":%ld,\"reordered\":%ld,\"packets\":%ld}",
               i ? "," : "", i, c->up, c->sent, c->got, c->lost, tail, c->repeated, c->foreign, c->damaged, c->starved,
               c->strangers, c->breaks, c->reordered, c->packets);
    }
    printf("],");
    bins("rtt", rtt, RTT_BINS), printf(","), bins("gaps", gaps, GAP_BINS), printf(","), bins("late", late, LATE_BINS);
    printf("}\n");
    fflush(stdout);
}

/* False at the end of file. */
static int obey(void) {
    static char line[256];
    static size_t have;
    ssize_t n = read(0, line + have, sizeof line - 1 - have);
    if (n == 0) return 0;
    if (n > 0) have += n;
    line[have] = 0;
    for (char *end; (end = strchr(line, '\n'));) {
        *end = 0;
        if (!strcmp(line, "mark")) mark();
        else if (!strcmp(line, "speak")) speaking = 1;
        else if (!strcmp(line, "hush")) speaking = 0;
        else if (!strcmp(line, "report")) counting = 0, report();
        have -= end + 1 - line;
        memmove(line, end + 1, have + 1);
    }
    return 1;
}

static int udp(const char *address, int port) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1, size = 1 << 18, sock = socket(AF_INET, SOCK_DGRAM, 0);
    inet_pton(AF_INET, address, &here.sin_addr);
    setsockopt(sock, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(sock, (struct sockaddr *)&here, sizeof here)) {
        fprintf(stderr, "loadmedia: %s:%d is taken\n", address, port);
        exit(1);
    }
    return sock;
}

int main(int argc, char **argv) {
    if (argc != 5 || (n_calls = atoi(argv[3])) < 1 || n_calls > MAX_CALLS) {
        fprintf(stderr, "usage: loadmedia ADDRESS FIRST_PORT CALLS EXACT\n");
        return 2;
    }
    exact = atoi(argv[4]);
    make_tables();
    for (int i = 0; i < n_calls; i++) {
        calls[i].rtp = udp(argv[1], atoi(argv[2]) + 4 * i);
        calls[i].rtcp = udp(argv[1], atoi(argv[2]) + 4 * i + 1);
        calls[i].slot = (i * 7) % SLOTS;
        calls[i].mark_frame = -1;
    }
    /* A telephone is a machine of its own: it is not late because the bridge is busy. Needs root; without, `late` says so. */
    struct sched_param priority = {.sched_priority = 10};
    int real_time = !sched_setscheduler(0, SCHED_RR, &priority);
    fcntl(0, F_SETFL, O_NONBLOCK);
    printf("ready %d\n", real_time);
    fflush(stdout);
    int64_t due = now_ns(CLOCK_MONOTONIC);
    for (int64_t tick = 0;; tick++) {
        int slot = tick % SLOTS;
        due += 1000000;
        struct timespec until = {due / 1000000000LL, due % 1000000000LL};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        int64_t late_ns = now_ns(CLOCK_MONOTONIC) - due;
        if (counting) count(late, LATE_BINS, late_ns);
        if (late_ns > 500000000LL) due += late_ns;
        if (!slot && !obey()) return 0;
        int64_t wall = now_ns(CLOCK_REALTIME);
        for (int i = 0; i < n_calls; i++) {
            Call *call = &calls[i];
            if (call->slot != slot) continue;
            receive(call, i);
            if (call->up && wall - call->last_rx_ns > IDLE_NS) call->up = 0;
            if (call->up) say(call, i);
        }
    }
}
