"""A small edge: Kamailio between strangers and workers, with just what a worker relies on (bridge/sip/edge.py).

Calls from outside go to the workers in turn; who comes from 127.0.0.2 is trunk `pbx`. It says in each request where it
came from, record-routes, relays what workers send, and writes its own address into the Contact of their REGISTERs.
Not the real one (bridge/edge): no dispatcher, no media, no defence.
"""

from contextlib import asynccontextmanager

from tests.fakes.kamailio import Process
from tests.fakes.ports import free_port

MODULES = ("tm", "tmx", "sl", "rr", "pv", "maxfwd", "textops", "siputils", "xlog", "cfgutils")
CONFIG = """\
debug=1
log_stderror=yes
fork=yes
children=1
auto_aliases=no
listen=udp:127.0.0.1:{port}
listen=udp:127.0.0.1:{inner}
pv_buffer_size=2048
{modules}
modparam("rr", "enable_double_rr", 2)
request_route {{
    xlog("L_ERR", "SEEN $rm $ru from=$si:$sp on=$Rp contact=$ct\n");
    remove_hf("X-Sipbridge-Source");
    remove_hf("X-Sipbridge-Trunk");
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (is_method("ACK") && !has_totag()) {{ exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK") && t_check_trans()) {{ t_relay(); }}
        exit;
    }}
    if ($Rp == {inner}) {{ route(FROM_WORKER); exit; }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    $var(worker) = {first};
    if (is_method("INVITE") && $hdr(X-To-Worker) != $null) {{ $var(worker) = $(hdr(X-To-Worker){{s.int}}); }}
    $du = "sip:127.0.0.1:" + $var(worker);
    $fs = "udp:127.0.0.1:{inner}";
    append_hf("X-Sipbridge-Source: $si:$sp;transport=$proto\r\n");
    if ($si == "127.0.0.2") {{ append_hf("X-Sipbridge-Trunk: {trunk}\r\n"); }}
    record_route();
    t_relay();
}}
route[FROM_WORKER] {{
    loose_route();
    $var(to_worker) = 0;
    if ($rd == "127.0.0.1" && $(ru{{uri.port}}{{s.int}}) >= {first} && $(ru{{uri.port}}{{s.int}}) <= {last}) {{
        $var(to_worker) = 1;
    }}
    $fs = "udp:127.0.0.1:{port}";
    if ($var(to_worker) == 1) {{
        $fs = "udp:127.0.0.1:{inner}";
        append_hf("X-Sipbridge-Source: $si:$sp;transport=$proto;worker\r\n");
    }}
    if (is_method("REGISTER")) {{
        $var(user) = $(ct{{nameaddr.uri}}{{uri.user}});
        $var(line) = $(ct{{nameaddr.uri}}{{uri.param,line}});
        remove_hf("Contact");
        append_hf("Contact: <sip:$var(user)@127.0.0.1:{port};line=$var(line)>\r\n");
        t_on_reply("REGISTERED");
    }}
    if (is_method("INVITE")) {{ record_route(); }}
    t_relay();
}}
onreply_route[REGISTERED] {{
    subst_hf("Contact", "/@127.0.0.1:{port}/@$T_req($si):$T_req($sp)/", "a");
}}
"""


class Edge(Process):
    """`port`: for everybody; `inner`: for workers, which listen on the ports from `first` to `last`."""

    def __init__(self, folder, workers, trunk):
        super().__init__(folder, free_port())
        self.inner = free_port()
        self.first, self.last = min(workers), max(workers)
        self.trunk = trunk

    @property
    def sockets(self):
        """For WorkerConfig.sip.edge."""
        return (f"127.0.0.1:{self.inner}",)

    def text(self):
        return CONFIG.format(
            port=self.port, inner=self.inner, first=self.first, last=self.last, trunk=self.trunk,
            modules="\n".join(f'loadmodule "{name}.so"' for name in MODULES),
        )  # fmt: skip


@asynccontextmanager
async def edge(folder, *workers, trunk="pbx"):
    """Running for as long as the block, in front of workers on these ports; calls go to the first of them."""
    folder.mkdir(exist_ok=True)
    one = Edge(folder, workers, trunk)
    await one.start(one.text())
    try:
        yield one
    finally:
        await one.stop()
