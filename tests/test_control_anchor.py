import json

from bridge.approval.signing import Signer
from bridge.control_anchor import HEADS, Anchor
from bridge.settings_tools import AuditHeads
from bridge.store.gatestore import GateStore, NewAudit
from bridge.store.store import Store


async def test_a_head_is_kept_whenever_it_moved(tmp_path):
    signer = Signer(tmp_path / "keys")
    async with Store(f"sqlite:///{tmp_path}/store.db") as store:
        gates = GateStore(store, signer)
        anchor = Anchor(gates, signer, AuditHeads(), tmp_path, "")
        await anchor.keep()
        assert not (tmp_path / HEADS).exists()
        for count in (1, 2):
            await gates.note(NewAudit("run_by_hand", "anna", {}), "r", 1.0)
            await anchor.keep()
            await anchor.keep()
            heads = [json.loads(line) for line in (tmp_path / HEADS).read_text().splitlines()]
            assert [head["seq"] for head in heads] == list(range(1, count + 1))
        assert heads[-1]["hash"] == (await gates.audit())[-1]["hash"]
